"""The driver `nomad`: one batch job for each attempt."""
