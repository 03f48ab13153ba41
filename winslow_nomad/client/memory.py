"""What this machine remembers of files that it has sent, so that a broken upload goes on, by whichever process, and
nothing is sent twice. Losing it costs time and nothing else.

One small file for each, in the state directory (XDG), readable by its owner alone."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from winslow_nomad.core.model import Value

KEPT = 30 * 86400.0  # seconds
LOOK = 0.3  # seconds between two looks whether another process is done with a file


class Fingerprint(Value):
    """A file of this machine as far as can be told without reading it; another one where its content is changed."""

    device: int
    inode: int
    bytes: int
    modified_ns: int

    @classmethod
    def of(cls, file: Path) -> Fingerprint:
        return cls.at(file.stat())

    @classmethod
    def at(cls, found: os.stat_result) -> Fingerprint:
        return cls(device=found.st_dev, inode=found.st_ino, bytes=found.st_size, modified_ns=found.st_mtime_ns)


class Sent(Value):
    """`upload`: one that is under way, by its path on the server. `tag`: that of the complete file on the server.
    `sha256`: of the file here, where it was computed."""

    fingerprint: Fingerprint
    upload: str = ""
    tag: str = ""
    sha256: str = ""


def state_directory(environ: dict[str, str] | None = None) -> Path:
    env = dict(os.environ) if environ is None else environ
    base = env.get("XDG_STATE_HOME") or str(Path(env.get("HOME") or "/tmp") / ".local" / "state")
    return Path(base) / "winslow" / "uploads"


class Memory:
    def __init__(self, directory: Path) -> None:
        self._directory = directory

    @contextmanager
    def alone(self, *key: str) -> Iterator[Entry]:
        """What is known under the key, for one process at a time: a second one waits for the first."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._sweep()
        name = hashlib.sha256("\0".join(key).encode("utf-8", "surrogateescape")).hexdigest()[:40]
        path = self._directory / f"{name}.json"
        while True:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                self._lock(fd)
                if leads_to(path, fd):  # not swept while we waited
                    yield Entry(fd)
                    return
            finally:
                os.close(fd)

    @staticmethod
    def _lock(fd: int) -> None:
        """In small steps, so that Ctrl-C works meanwhile."""
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(LOOK)
            else:
                return

    def _sweep(self) -> None:
        before = time.time() - KEPT
        for path in self._directory.glob("*.json"):
            with suppress(OSError):
                if path.stat().st_mtime < before:
                    path.unlink()


def leads_to(path: Path, fd: int) -> bool:
    try:
        return path.stat().st_ino == os.fstat(fd).st_ino
    except FileNotFoundError:
        return False


class Entry:
    def __init__(self, fd: int) -> None:
        self._fd = fd

    def read(self) -> Sent | None:
        try:
            return Sent.model_validate(json.loads(os.pread(self._fd, 65536, 0)))
        except ValueError:  # nothing yet, or half of it
            return None

    def write(self, sent: Sent) -> None:
        data = sent.model_dump_json().encode()
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, data, 0)
