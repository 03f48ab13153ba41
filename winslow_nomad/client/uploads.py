"""One file to a server by tus: in pieces with a sum each, gone on with after whatever cut it.

How far it is, the server says; which upload it is, the memory of this machine. A piece is as long as a second takes,
so that a slow line that is cut again and again gets on all the same."""

from __future__ import annotations

import base64
import hashlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import httpx

from winslow_nomad.client.memory import Entry, Fingerprint, Sent
from winslow_nomad.client.wire import PREFIX, Wire
from winslow_nomad.core.client import Report
from winslow_nomad.core.errors import Conflict, Invalid, NotFound, Unavailable, WinslowError

VERSION = {"tus-resumable": "1.0.0"}
FIRST, SMALLEST, LARGEST = 4 << 20, 256 << 10, 256 << 20  # bytes of a piece
WANTED = 1.0  # seconds that a piece should take: what a break costs
BLOCK = 1 << 20
PATIENCE = 300.0  # seconds without any progress until it is given up, to be gone on with another time
PAUSE = 1.0
AGAIN = frozenset({"upload.offset", "upload.busy", "upload.taken_over", "upload.checksum", "upload.gone"})


class Sending:
    """`space`, `path`: where it goes. `conflict`: refuse, keep_both or replace."""

    def __init__(self, wire: Wire, entry: Entry, source: Path, report: Report) -> None:
        self._wire = wire
        self._entry = entry
        self._source = source
        self._report = report
        self._name = source.name

    def send(self, space: str, path: str, conflict: str) -> str:
        """Where it is then, in its space. Raises Refused (path.taken), NoRoom, Unavailable, Conflict
        (upload.file_changed) and what the server refuses."""
        fd = os.open(self._source, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fingerprint = Fingerprint.at(os.fstat(fd))
            upload, offset, done = self._resumed(fingerprint) or self._begun(fingerprint, space, path, conflict)
            if done:
                return done
            return self._pour(fd, fingerprint, upload, offset)
        finally:
            os.close(fd)

    def _resumed(self, fingerprint: Fingerprint) -> tuple[str, int, str] | None:
        """(upload, offset, where it is if it is complete) of one that was begun before; None: there is none."""
        sent = self._entry.read()
        if sent is None or not sent.upload:
            return None
        if sent.fingerprint != fingerprint:
            self._give_up(sent.upload)
            return None
        try:
            return (sent.upload, *self._look(sent.upload))
        except NotFound:
            return None

    def _begun(self, fingerprint: Fingerprint, space: str, path: str, conflict: str) -> tuple[str, int, str]:
        folder, _, name = path.rpartition("/")
        told = {"space": space, "path": folder, "filename": name, "conflict": conflict}
        pairs = (f"{k} {base64.b64encode(v.encode()).decode()}" for k, v in told.items() if v)
        headers = {**VERSION, "upload-length": str(fingerprint.bytes), "upload-metadata": ",".join(pairs)}
        answer = self._wire.ask("POST", "uploads", headers=headers)
        upload = answer.headers.get("location", "")
        if not upload.startswith(f"{PREFIX}/uploads/"):
            raise Invalid("The server did not say where the upload goes on.", code="server.other")
        if done := _place(answer):
            return upload, 0, done
        self._entry.write(Sent(fingerprint=fingerprint, upload=upload))
        return upload, 0, ""

    def _look(self, upload: str) -> tuple[int, str]:
        answer = self._wire.ask("HEAD", upload, headers=VERSION, again=True)
        return int(answer.headers["upload-offset"]), _place(answer)

    def _pour(self, fd: int, fingerprint: Fingerprint, upload: str, offset: int) -> str:
        size, reached = FIRST, time.monotonic()
        while True:
            self._report(self._name, offset, fingerprint.bytes)
            began = time.monotonic()
            count = min(size, fingerprint.bytes - offset)
            digest = _digest(fd, offset, count)
            if Fingerprint.at(os.fstat(fd)) != fingerprint or digest is None:
                self._give_up(upload)
                raise Conflict(
                    f"{self._source} changed while it was sent; nothing of it was kept on the server.",
                    hint="Send it again when nobody writes to it any more.",
                    code="upload.file_changed",
                )
            try:
                answer = self._patch(fd, upload, offset, count, digest)
                offset, done = int(answer.headers["upload-offset"]), _place(answer)
                reached = time.monotonic()
                size = int(size * min(2.0, WANTED / max(reached - began, 0.01)))
            except (Unavailable, Conflict) as error:
                before = offset
                offset, done = self._after(error, upload, offset, reached)
                reached = reached if offset <= before else time.monotonic()
                size //= 4
            size = max(SMALLEST, min(LARGEST, size))
            if done:
                self._report(self._name, fingerprint.bytes, fingerprint.bytes)
                return done

    def _patch(self, fd: int, upload: str, offset: int, count: int, digest: bytes) -> httpx.Response:
        headers = {
            **VERSION,
            "upload-offset": str(offset),
            "upload-checksum": f"sha256 {base64.b64encode(digest).decode()}",
            "content-type": "application/offset+octet-stream",
            "content-length": str(count),
        }
        return self._wire.ask("PATCH", upload, headers=headers, content=self._read(fd, offset, count))

    def _read(self, fd: int, offset: int, count: int) -> Iterator[bytes]:
        total = os.fstat(fd).st_size
        while count and (block := os.pread(fd, min(BLOCK, count), offset)):
            yield block
            offset += len(block)
            count -= len(block)
            self._report(self._name, offset, total)

    def _after(self, error: WinslowError, upload: str, offset: int, reached: float) -> tuple[int, str]:
        """Where it stands when a piece did not get through; raises when there is no use in going on."""
        if isinstance(error, Conflict) and error.code not in AGAIN:
            raise error
        while True:
            if time.monotonic() - reached > PATIENCE:
                raise Unavailable(
                    f"{self._name} was sent up to byte {offset}; then {error.message[:1].lower()}{error.message[1:]}",
                    hint="Give the same command again: it goes on from there.",
                    code="upload.interrupted",
                ) from error
            time.sleep(PAUSE)
            try:
                return self._look(upload)
            except Unavailable as again:
                error = again

    def _give_up(self, upload: str) -> None:
        try:
            self._wire.ask("DELETE", upload, headers=VERSION)
        except (NotFound, Unavailable):
            return  # the server gives it up by itself, some days later


def _digest(fd: int, offset: int, count: int) -> bytes | None:
    """None: there are fewer bytes by now."""
    found = hashlib.sha256()
    while count:
        block = os.pread(fd, min(BLOCK, count), offset)
        if not block:
            return None
        found.update(block)
        offset += len(block)
        count -= len(block)
    return found.digest()


def _place(answer: httpx.Response) -> str:
    return unquote(answer.headers.get("winslow-path", ""))
