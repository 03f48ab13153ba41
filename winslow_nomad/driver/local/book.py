"""The driver's own directory on the local disk: one JSON file per attempt, changed under one flock.

Any process may open it at any time, and any may be killed at any time: files appear by rename. They are
not synced: after a power loss nothing runs any more, and a booking that is lost or torn then is found
again by the claim, or submitted again. It must never lie on the share, which may hang."""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

from pydantic import ValidationError

from winslow_nomad.core.errors import DriverUnavailable
from winslow_nomad.core.ports import AttemptRef
from winslow_nomad.driver.local.booking import Booking

LOCK_PATIENCE = 10.0  # seconds


class Book:
    """`home` is Winslow's local directory for this driver; everything beneath is made with mode 0700."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._attempts = home / "attempts"
        for directory in (home, self._attempts, home / "runs"):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._read: dict[str, tuple[tuple[int, int, int], Booking]] = {}

    @property
    def socket(self) -> Path:
        """Where runners tell that they started and ended."""
        return self.home / "notify.sock"

    @property
    def socket_usable(self) -> bool:
        """The kernel's limit for the name of a socket is 107 bytes; without one, ends are seen by polling."""
        return len(os.fsencode(self.socket)) <= 107

    def run_directory(self, ref: AttemptRef) -> Path:
        """What a runner of this attempt needs on the local disk: spool, confinement, its own words."""
        return self.home / "runs" / _key(ref)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """One process at a time decides what starts. The kernel lets go when the holder dies. Raises
        DriverUnavailable when the holder hangs."""
        descriptor = os.open(self.home / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            self._acquire(descriptor)
            yield
        finally:
            os.close(descriptor)

    @staticmethod
    def _acquire(descriptor: int) -> None:
        deadline = time.monotonic() + LOCK_PATIENCE
        while True:
            with suppress(BlockingIOError):
                return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if time.monotonic() > deadline:
                raise DriverUnavailable(
                    "The local driver is held by another process of Winslow that does not go on.",
                    hint="Is the share hanging? Nothing was changed; it is tried again.",
                )
            time.sleep(0.001)

    def get(self, ref: AttemptRef) -> Booking | None:
        return self._load(_key(ref) + ".json")

    def all(self) -> list[Booking]:
        """Every booking, in the order of submission."""
        names = [entry.name for entry in os.scandir(self._attempts) if entry.name.endswith(".json")]
        for gone in self._read.keys() - set(names):
            del self._read[gone]
        found = (self._load(name) for name in names)
        return sorted((b for b in found if b is not None), key=lambda b: b.sequence)

    def put(self, booking: Booking) -> None:
        name = _key(booking.spec.ref) + ".json"
        made = self._attempts / f".{name}.{os.getpid()}"
        made.write_text(booking.model_dump_json())
        made.rename(self._attempts / name)

    def remove(self, ref: AttemptRef) -> None:
        (self._attempts / (_key(ref) + ".json")).unlink(missing_ok=True)
        shutil.rmtree(self.run_directory(ref), ignore_errors=True)

    def _load(self, name: str) -> Booking | None:
        """Parsed once for each version of the file. None: not there, or torn by a power loss."""
        path = self._attempts / name
        with suppress(FileNotFoundError):
            with path.open("rb") as file:
                about = os.fstat(file.fileno())
                version = (about.st_ino, about.st_mtime_ns, about.st_size)
                known = self._read.get(name)
                if known is not None and known[0] == version:
                    return known[1]
                text = file.read()
            with suppress(ValidationError):
                booking = Booking.model_validate_json(text)
                self._read[name] = (version, booking)
                return booking
        return None


def _key(ref: AttemptRef) -> str:
    """A file name for any project id."""
    return f"{quote(ref.project, safe='')}.{ref.stage:04d}.{ref.attempt}"
