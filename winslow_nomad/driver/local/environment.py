"""The few variables that only the place of execution knows, put into an attempt's `environment` file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path


def put_into(directory: Path, variables: Mapping[str, str]) -> None:
    """Set `variables` in the NUL-separated file, whole or not at all; repeating is harmless. Only before
    the attempt is claimed, since the runner reads and removes the file. Raises OSError."""
    path = directory / "environment"
    entries = [e for e in path.read_bytes().split(b"\0") if e]
    ours = {os.fsencode(name) for name in variables}
    kept = [e for e in entries if e.partition(b"=")[0] not in ours]
    added = [os.fsencode(f"{name}={value}") for name, value in variables.items()]
    if kept + added == entries:
        return
    made = directory / ".environment-local"
    made.unlink(missing_ok=True)
    with os.fdopen(os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(b"".join(e + b"\0" for e in kept + added))
    made.rename(path)


def of_gpus(uuids: tuple[str, ...]) -> dict[str, str]:
    """A stage sees exactly the GPUs it was given; "void" tells NVIDIA's container runtime: none."""
    return {
        "CUDA_VISIBLE_DEVICES": ",".join(uuids),
        "NVIDIA_VISIBLE_DEVICES": ",".join(uuids) or "void",
    }
