"""Names that come from people, and paths that must stay below a root. Nothing here trusts a text: every
component is looked at, and the kernel is asked to keep the walk below the root.

A path is relative, with `/` between components, in Python's file system encoding (bytes that are not
UTF-8 survive as surrogates).
"""

from __future__ import annotations

import ctypes
import errno
import os
import re
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from winslow_nomad.core.errors import Invalid, NotFound, Refused

LONGEST_NAME = 255  # bytes, on every Linux file system in use
OPENAT2 = 437  # the same number on x86_64 and aarch64
RESOLVE_NO_MAGICLINKS = 0x02
RESOLVE_BENEATH = 0x08

_libc = ctypes.CDLL(None, use_errno=True)


class _OpenHow(ctypes.Structure):
    """struct open_how, openat2(2)."""

    _fields_ = [("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64)]


def check_name(name: str) -> str:
    """A single file name as people may give it. Newlines, emoji and spaces are fine. Raises Invalid."""
    if name in ("", ".", ".."):
        raise Invalid(f"{name!r} is not a file name.", code="name.invalid")
    if "/" in name or "\0" in name:
        raise Invalid(f"The name {name!r} contains a character no file name can have.", code="name.invalid")
    if len(os.fsencode(name)) > LONGEST_NAME:
        raise Invalid(
            f"The name {shown(name)} is longer than {LONGEST_NAME} bytes.",
            hint="Give a shorter one.",
            code="name.too_long",
        )
    return name


def split(path: str) -> tuple[str, ...]:
    """The checked components of a relative path; `` is the root itself. Raises Invalid."""
    if path == "":
        return ()
    if path.startswith("/"):
        raise Invalid(f"{shown(path)} is an absolute path; one below the root is meant.", code="path.absolute")
    return tuple(check_name(part) for part in path.removesuffix("/").split("/"))


def shown(name: str) -> str:
    """A name for a sentence: quoted, escaped where it would break the line, not longer than a line."""
    text = repr(os.fsencode(name).decode("utf-8", "backslashreplace"))
    return text if len(text) <= 120 else text[:80] + "…" + text[-36:]


def free_names(name: str) -> Iterator[str]:
    """`clip.mp4`, then `clip-2.mp4` and so on, each within 255 bytes."""
    yield name
    stem, dot, ending = name.rpartition(".")
    if not stem.strip(".") or len(ending) > 12:
        stem, dot, ending = name, "", ""
    match = re.fullmatch(r"(.*)-(\d{1,6})", stem, re.DOTALL)
    base, number = (match[1], int(match[2]) + 1) if match else (stem, 2)
    while True:
        tail = os.fsencode(f"-{number}{dot}{ending}")
        yield _whole(os.fsencode(base)[: LONGEST_NAME - len(tail)]) + os.fsdecode(tail)
        number += 1


def _whole(head: bytes) -> str:
    """Cut text without half a character at its end."""
    for cut in range(4):
        with suppress(UnicodeDecodeError):
            return head[: len(head) - cut].decode()
    return os.fsdecode(head)


def open_beneath(root: Path, path: str, flags: int = os.O_RDONLY) -> int:
    """A descriptor of `path` below `root`; neither `..` nor a link leads out. The caller closes it.

    Links that stay below the root are followed; on a kernel without openat2 none is. Raises Invalid,
    NotFound, Refused (code path.outside), OSError of the share."""
    parts = split(path)
    flags |= os.O_CLOEXEC
    try:
        base = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise _translated(error, path) from error
    try:
        return _openat2(base, "/".join(parts) or ".", flags)
    except NotImplementedError:
        return _walk(base, parts, flags)
    except OSError as error:
        raise _translated(error, path) from error
    finally:
        os.close(base)


def _openat2(base: int, path: str, flags: int) -> int:
    how = _OpenHow(flags=flags, mode=0, resolve=RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS)
    for _ in range(100):
        fd: int = _libc.syscall(OPENAT2, base, os.fsencode(path), ctypes.byref(how), ctypes.sizeof(how))
        if fd >= 0:
            return fd
        error = ctypes.get_errno()
        if error in (errno.ENOSYS, errno.EPERM):  # an old kernel, or a sandbox which does not know the call
            raise NotImplementedError
        if error not in (errno.EAGAIN, errno.EINTR):  # EAGAIN: a rename happened during the walk
            raise OSError(error, os.strerror(error), path)
    raise OSError(errno.EAGAIN, "the path is being renamed again and again", path)


def _walk(base: int, parts: tuple[str, ...], flags: int) -> int:
    """Component by component, following no link at all."""
    path = "/".join(parts)
    current = os.dup(base)
    try:
        for number, part in enumerate(parts):
            last = number == len(parts) - 1
            step = flags if last else os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
            following = os.open(part, step | os.O_NOFOLLOW, dir_fd=current)
            os.close(current)
            current = following
            if stat.S_ISLNK(os.fstat(current).st_mode):
                raise OSError(errno.ELOOP, "a link", path)
        if not parts:
            return os.open(".", flags, dir_fd=base)
        answer, current = current, -1
        return answer
    except OSError as error:
        raise _translated(error, path) from error
    finally:
        if current >= 0:
            os.close(current)


def _translated(error: OSError, path: str) -> Exception:
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return NotFound(f"There is no {shown(path)} here.", code="path.not_found")
    if error.errno in (errno.EXDEV, errno.ELOOP):
        return Refused(
            f"{shown(path)} leads out of its folder by a link; it was not opened.",
            hint="Put the file itself there, or let an administrator map the folder it lies in.",
            code="path.outside",
        )
    return error
