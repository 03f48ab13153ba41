"""Winslow: long container pipelines on a team's own machines, with a person in the loop."""

__version__ = "0.1.0"
