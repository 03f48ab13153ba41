"""What registries of images know, asked by the OCI distribution API (docker registry API v2)."""
