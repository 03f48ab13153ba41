"""The process that carries files to the share for the API: started by `porter` as a file of its own, never imported.

Requests come as messages of JSON on descriptor 3 and each gets one answer; the bytes of an upload lie in memory that
both sides see (descriptor 4), two buffers that are filled in turn, so that nothing is copied through the socket. It
may hang for as long as the share does; whoever asked has left by then. It ends when the other end of its socket is
closed: a server that is killed takes its writers with it, and their locks.
"""

from __future__ import annotations

import json
import mmap
import os
import select
import socket
import sys
import time
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))

from typing import Any

from winslow_nomad.core.errors import Conflict, WinslowError
from winslow_nomad.resources import changes, uploads

SOCKET, MEMORY = 3, 4
BUFFER = 4 * 1024 * 1024
LARGEST_REQUEST = 256 * 1024
LOOK_EVERY = 0.5  # seconds between two looks whether another writer wants the upload, and between two signs of life
ALIVE = b"{}"
BRIEF = 20  # milliseconds that bytes wait for others that come right behind them
GAP, GRACE, RATE = 60.0, 60.0, 1024  # who sends may be silent for so long, and must come to so many bytes a second

Request = dict[str, Any]


class Porter:
    """One thing after the other; at most one upload open at a time."""

    def __init__(self, share: str, mark: str, memory: memoryview, channel: socket.socket) -> None:
        self.share = share
        self.mark = mark
        self.memory = memory
        self.channel = channel
        self.handed: list[int] = []  # descriptors that came with the request
        self.said = 0.0
        self.part: uploads.Part | None = None
        self.announced = uploads.Announced()

    def answer(self, request: Request) -> dict[str, Any]:
        try:
            return {"answer": getattr(self, "do_" + request["do"])(request)}
        except WinslowError as error:
            kind = type(error).__name__
            return {"error": {"kind": kind, "message": error.message, "hint": error.hint, "code": error.code}}
        except OSError as error:
            return {"errno": error.errno or 0, "text": error.strerror or str(error)}

    def alive(self) -> None:
        """Says so, at most as often as anybody wants to know."""
        if time.monotonic() - self.said > LOOK_EVERY:
            self.said = time.monotonic()
            self.channel.send(ALIVE)

    # --- the tree

    def do_make_folder(self, request: Request) -> None:
        with changes.share_at(self.share, self.mark) as root:
            uploads.unless_ended(root, request["unless"])
            changes.make_folder(root, request["parts"])

    def do_ensure_folder(self, request: Request) -> None:
        with changes.share_at(self.share, self.mark) as root, changes.folder_at(root, request["parts"], make=True):
            pass

    def do_rename(self, request: Request) -> None:
        with changes.share_at(self.share, self.mark) as root:
            uploads.unless_ended(root, request["unless"])
            changes.rename(root, request["source"], request["target"], request["aside"])

    def do_trash(self, request: Request) -> None:
        with changes.share_at(self.share, self.mark) as root:
            uploads.unless_ended(root, request["unless"])
            changes.trash(root, request["parts"], request["aside"])

    def do_restore(self, request: Request) -> None:
        with changes.share_at(self.share, self.mark) as root:
            uploads.unless_ended(root, request["unless"])
            changes.restore(root, request["entry"], request["parts"])

    def do_set_groups(self, request: Request) -> None:
        with changes.share_at(self.share, self.mark) as root:
            changes.set_groups(root, request["folder"], request["groups"])

    # --- uploads

    def do_begin(self, request: Request) -> None:
        with changes.share_at(self.share, self.mark) as root:
            self.announced.begin(root, request["record"], kept_free=request["kept_free"], quota=request["quota"])

    def do_look(self, request: Request) -> uploads.Record:
        with changes.share_at(self.share, self.mark) as root:
            return uploads.look(root, request["id"], finish=request["finish"], alive=self.alive)

    def do_under_way(self, _: Request) -> list[uploads.Record]:
        with changes.share_at(self.share, self.mark) as root:
            return uploads.under_way(root)

    def do_drop(self, request: Request) -> None:
        with changes.share_at(self.share, self.mark) as root:
            uploads.drop(root, request["id"])

    def do_open(self, request: Request) -> uploads.Record:
        self.leave()
        with changes.share_at(self.share, self.mark) as root:
            kept = os.dup(root)
        self.part = uploads.Part.resume(kept, request["id"], request["offset"], verified=request["verified"])
        return self.part.record

    def do_open_small(self, request: Request) -> None:
        self.leave()
        with changes.share_at(self.share, self.mark) as root:
            kept = os.dup(root)
        self.part = uploads.Part.small(kept, request["record"], request["kept_free"])

    def do_write(self, request: Request) -> int:
        assert self.part is not None
        at = request["buffer"] * BUFFER
        return self.part.write(self.memory[at : at + request["count"]])

    def do_take(self, request: Request) -> dict[str, Any]:
        """The next bytes that come on a connection, straight to the disk."""
        assert self.part is not None
        with socket.socket(fileno=self.handed.pop()) as connection:
            whole = _Taking(self, self.part, connection, request["count"]).run()
        return {"offset": self.part.offset, "whole": whole}

    def do_verify(self, request: Request) -> bool:
        assert self.part is not None
        return self.part.verify(request["sha256"])

    def do_finish(self, _: Request) -> uploads.Record:
        assert self.part is not None
        record = self.part.finish(self.alive)
        self.leave()
        return record

    def do_close(self, _: Request) -> None:
        self.leave()

    def leave(self) -> None:
        if self.part is not None:
            self.part.close()
            os.close(self.part.root)
            self.part = None

    def makes_way(self) -> bool:
        """Whether it has given up its upload for a newer connection."""
        if self.part is None or not self.part.kept or not self.part.wanted_by_another():
            return False
        self.leave()
        return True


class _Taking:
    """One body, or the rest of it. What has come is written, whatever ends it."""

    def __init__(self, porter: Porter, part: uploads.Part, connection: socket.socket, count: int) -> None:
        self.channel = porter.channel
        self.memory = porter.memory
        self.part = part
        self.connection = connection
        self.left = count
        self.filled = 0
        self.came = 0
        self.called = False  # there is a word from the server
        self.begun = self.heard = self.looked = time.monotonic()

    def run(self) -> bool:
        """Whether all of it came. Raises Conflict (upload.taken_over)."""
        try:
            while self.left:
                if not (self._receive() and self._goes_on()):
                    return False
            return True
        finally:
            self._write()

    def _receive(self) -> bool:
        """What there is, or wait for it a moment. False: there will be no more."""
        try:
            count = self.connection.recv_into(self.memory[self.filled :], min(self.left, 2 * BUFFER - self.filled))
        except BlockingIOError:
            waiting = BRIEF if self.filled else LOOK_EVERY * 1000
            ready = select.poll()
            ready.register(self.connection, select.POLLIN)
            ready.register(self.channel, select.POLLIN)
            found = [fd for fd, _ in ready.poll(waiting)]
            self.called = self.channel.fileno() in found
            if not found:
                self._write()
            return True
        except OSError:
            return False
        self.filled += count
        self.left -= count
        self.came += count
        self.heard = time.monotonic()
        if self.filled >= BUFFER // 2:
            self._write()
        return count > 0

    def _write(self) -> None:
        filled, self.filled = self.filled, 0
        if filled:
            self.part.write(self.memory[:filled])

    def _goes_on(self) -> bool:
        """Every now and then: give a sign of life, see whether somebody wants it to end, or sends too slowly."""
        now = time.monotonic()
        if now - self.looked < LOOK_EVERY and not self.called:
            return True
        self.looked = now
        if select.select([self.channel], [], [], 0)[0]:
            if not self.channel.recv(LARGEST_REQUEST):
                self._write()
                os._exit(0)  # the server is gone
            return False
        self.channel.send(ALIVE)
        if self.part.kept and self.part.wanted_by_another():
            raise Conflict(TAKEN_OVER["message"], hint=TAKEN_OVER["hint"], code=TAKEN_OVER["code"])
        slow = now - self.begun > GRACE and self.came < (now - self.begun - GRACE) * RATE
        return not slow and now - self.heard < GAP


def main() -> None:
    os.umask(0o022)
    channel = socket.socket(fileno=SOCKET)
    memory = mmap.mmap(MEMORY, 2 * BUFFER)
    porter = Porter(sys.argv[1], sys.argv[2], memoryview(memory), channel)
    lost = False
    while True:
        ready = select.select([channel], [], [], LOOK_EVERY)[0]
        if not ready:
            lost = porter.makes_way() or lost
            continue
        request, porter.handed, _, _ = socket.recv_fds(channel, LARGEST_REQUEST, 1)
        if not request:
            porter.leave()
            os._exit(0)
        asked = json.loads(request)
        if asked["do"] == "stop":
            continue  # what it was about has ended by itself
        if asked["do"] in ("open", "open_small", "close"):
            lost = False
        if lost and asked["do"] in ("write", "take", "verify", "finish"):
            answer: dict[str, Any] = {"error": TAKEN_OVER}
        else:
            answer = porter.answer(asked)
        for unused in porter.handed:
            os.close(unused)
        channel.send(json.dumps(answer).encode())


TAKEN_OVER = {
    "kind": "Conflict",
    "message": "A newer connection goes on with this upload.",
    "hint": "What was written by this one stays.",
    "code": "upload.taken_over",
}

if __name__ == "__main__":
    main()
