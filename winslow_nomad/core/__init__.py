"""Layer 1, orchestration: values and pure rules. No I/O, no clock, no randomness: ids and times come in."""
