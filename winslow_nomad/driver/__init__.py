"""Layer 3: what runs attempts."""
