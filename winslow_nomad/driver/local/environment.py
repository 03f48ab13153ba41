"""The few variables that only the place of execution knows, put into an attempt's `environment` file."""

from __future__ import annotations

import os
from collections.abc import Mapping


def with_variables(text: bytes, variables: Mapping[str, str]) -> bytes | None:
    """The NUL-separated `text` with `variables` set; None: they are in it already."""
    entries = [e for e in text.split(b"\0") if e]
    ours = {os.fsencode(name) for name in variables}
    kept = [e for e in entries if e.partition(b"=")[0] not in ours]
    added = [os.fsencode(f"{name}={value}") for name, value in variables.items()]
    return None if kept + added == entries else b"".join(e + b"\0" for e in kept + added)


def of_gpus(uuids: tuple[str, ...]) -> dict[str, str]:
    """A stage sees exactly the GPUs it was given; "void" tells NVIDIA's container runtime: none."""
    return {
        "CUDA_VISIBLE_DEVICES": ",".join(uuids),
        "NVIDIA_VISIBLE_DEVICES": ",".join(uuids) or "void",
    }
