"""An in-memory cluster on a virtual clock."""
