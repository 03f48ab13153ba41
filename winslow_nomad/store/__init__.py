"""Redis: state and queue."""
