"""Layer 2: following drivers, sweeping, timers."""
