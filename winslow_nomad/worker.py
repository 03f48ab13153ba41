"""Processes with one purpose each, and the name under which doorbells are answered."""

from __future__ import annotations

import logging
import sys

from winslow_nomad import config
from winslow_nomad.bootstrap import engine
from winslow_nomad.bootstrap.engine import run_controller, run_operations, run_worker
from winslow_nomad.bootstrap.logs import write_logs
from winslow_nomad.core.errors import WinslowError

__all__ = ["run_controller", "run_operations", "run_worker"]


def main() -> None:
    """`python -m winslow_nomad.worker files <parent pid>`: how a process restarts the one for its files."""
    write_logs(logging.WARNING)
    what, parent = sys.argv[1:3]
    if what != "files":
        raise SystemExit(f"no such process: {what}")
    engine.follow_parent(int(parent))
    try:
        engine.run_files(config.load())
    except WinslowError as error:
        raise SystemExit(f"winslow: {error} [{error.code}]") from None


if __name__ == "__main__":
    main()
