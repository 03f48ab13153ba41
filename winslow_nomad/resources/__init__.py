"""Layer 2: what lies on the share, and the files of pipelines."""
