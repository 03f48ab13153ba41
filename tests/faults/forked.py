"""The command line in a process of its own, many times a second: forked from one that has loaded the program and
does nothing else. What a process can do wrong (its exit code, what it writes, what it leaves) is real."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from winslow_nomad import bootstrap  # noqa: F401 - loaded once, before the fork
from winslow_nomad.cli import run, tables  # noqa: F401
from winslow_nomad.cli.main import main

PR_CAPBSET_DROP = 24
CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 1, 2
_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload([__name__])


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str


def winslow(
    args: Sequence[str],
    *,
    folder: Path,
    environment: dict[str, str],
    words: Path,
    out: Path | None = None,
    seconds: float = 30,
) -> Done:
    """`words`: a directory for what it says; `out`: where its stdout goes instead."""
    said, told = out or words / "out", words / "err"
    process = _forks.Process(target=_call, args=(list(args), str(folder), environment, str(said), str(told)))
    process.start()
    process.join(seconds)
    if process.is_alive():
        process.kill()
        process.join()
        raise TimeoutError(f"winslow {' '.join(args)} took longer than {seconds} s")
    assert process.exitcode is not None
    read = said.read_text(errors="surrogateescape") if out is None else ""
    return Done(process.exitcode, read, told.read_text(errors="surrogateescape"))


def _call(args: list[str], folder: str, environment: dict[str, str], out: str, err: str) -> None:
    for path, fd, flags in ((os.devnull, 0, os.O_RDONLY), (out, 1, _WRITE), (err, 2, _WRITE)):
        opened = os.open(path, flags, 0o600)
        os.dup2(opened, fd)
        os.close(opened)
    sys.stdin, sys.stdout = open(0), open(1, "w", errors="strict", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", errors="backslashreplace", buffering=1)  # noqa: SIM115
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv[:] = ["winslow", *args]
    be_nobody_special()
    main()


_WRITE = os.O_WRONLY | os.O_CREAT | os.O_TRUNC


def be_nobody_special() -> None:
    """Without the right of root to read and write whatever the modes say; also for what is started from here."""
    if os.geteuid() != 0:
        return
    libc = ctypes.CDLL(None, use_errno=True)
    for capability in (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH):
        if libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0):
            raise OSError(ctypes.get_errno(), "prctl")
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    sets = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable; then the upper halves
    if libc.capget(header, sets):
        raise OSError(ctypes.get_errno(), "capget")
    for n in (0, 1):
        sets[n] &= ~(1 << CAP_DAC_OVERRIDE | 1 << CAP_DAC_READ_SEARCH)
    if libc.capset(header, sets):
        raise OSError(ctypes.get_errno(), "capset")
