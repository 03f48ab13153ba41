"""The composition root: the one place where layers meet. Everything else is given what it needs."""

from __future__ import annotations

from winslow_nomad.bootstrap.commands import (
    backup,
    open_client,
    pipeline_schema,
    read_pipeline,
    rebuild,
    restore_backup,
)
from winslow_nomad.bootstrap.engine import open_engine

__all__ = ["backup", "open_client", "open_engine", "pipeline_schema", "read_pipeline", "rebuild", "restore_backup"]
