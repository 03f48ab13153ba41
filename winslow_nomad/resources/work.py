"""What a long piece of work on files is given: a way to say how far it is, and to learn that it shall end."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from winslow_nomad.core.errors import ShareUnavailable
from winslow_nomad.resources.layout import MARK


class Cancelled(Exception):
    """Raised by Progress inside the work: leave, taking away what was half made."""


class Progress(Protocol):
    def __call__(self, bytes_done: int, bytes_total: int, files_done: int, files_total: int, /) -> None:
        """Called several times a second; cheap. Raises Cancelled when nobody wants the work any more."""
        ...


def unwatched(bytes_done: int, bytes_total: int, files_done: int, files_total: int) -> None:
    """Progress that nobody looks at."""


CONDITIONS = {
    errno.ENOSPC: (
        "share.full",
        "The share is full.",
        "Free space on it; the screen of disk usage names what may go.",
    ),
    errno.EDQUOT: (
        "share.full",
        "The quota on the share is used up.",
        "Free space, or have the quota raised.",
    ),
    errno.EROFS: (
        "share.read_only",
        "The share is mounted read-only.",
        "Look at its server and mount it for writing.",
    ),
    errno.EIO: ("share.gone", "The share reports input/output errors.", "Look at its server and its disks."),
    errno.ESTALE: (
        "share.gone",
        "The share was exported anew while it was in use.",
        "Mount it again on this machine.",
    ),
    errno.ENODEV: ("share.gone", "The share is no longer there.", "Mount it again on this machine."),
    errno.ESHUTDOWN: ("share.gone", "The share was shut down.", "Look at its server and mount it again."),
    errno.ENOTCONN: ("share.gone", "The share is no longer connected.", "Mount it again on this machine."),
    errno.EHOSTDOWN: ("share.gone", "The share's server is down.", "Look at its server."),
    errno.ETIMEDOUT: ("share.stalled", "The share does not answer.", "Look at its server and the network."),
}


def condition(error: OSError) -> ShareUnavailable | None:
    """The condition of the share that an OSError stands for, in words; None: it is of another kind."""
    known = CONDITIONS.get(error.errno or 0)
    if known is None:
        return None
    code, message, hint = known
    return ShareUnavailable(f"{message} Nothing that was there before is changed.", hint=hint, code=code)


@contextmanager
def share_conditions() -> Iterator[None]:
    """Turns errors of a share in trouble into ShareUnavailable; others pass."""
    try:
        yield
    except OSError as error:
        known = condition(error)
        if known is None:
            raise
        raise known from error


def unreadable(root: Path, error: OSError) -> ShareUnavailable:
    """What is said of an error met while reading a share, whatever it is."""
    return condition(error) or ShareUnavailable(
        f"{error.filename or root} on the share cannot be read: {error.strerror}. Nothing was written there.",
        hint="Look at its owner and mode, and at those of the folders it lies in.",
        code="share.denied",
    )


def require_share(root: Path) -> None:
    """Before anything is written: the share's mark is there. Otherwise `root` is the empty directory that
    the share should be mounted on, and what is written would be lost below it."""
    with share_conditions():
        try:
            if MARK in os.listdir(root):  # noqa: PTH208 - a name that was missing is remembered as missing for long
                return
        except (FileNotFoundError, NotADirectoryError):
            pass
        except OSError as error:
            raise unreadable(root, error) from error
    raise ShareUnavailable(
        f"{root} is not Winslow's share: the file {MARK} is missing. Nothing was written.",
        hint="Mount the share there.",
        code="share.gone",
    )
