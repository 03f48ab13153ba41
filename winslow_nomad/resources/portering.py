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
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))

from typing import Any

from winslow_nomad.core.errors import WinslowError
from winslow_nomad.resources import changes, uploads

SOCKET, MEMORY = 3, 4
BUFFER = 4 * 1024 * 1024
LARGEST_REQUEST = 256 * 1024
LOOK_EVERY = 0.5  # seconds between two looks whether another writer wants the upload

Request = dict[str, Any]


class Porter:
    """One thing after the other; at most one upload open at a time."""

    def __init__(self, share: str, mark: str, memory: memoryview) -> None:
        self.share = share
        self.mark = mark
        self.memory = memory
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

    def do_set_groups(self, request: Request) -> None:
        with changes.share_at(self.share, self.mark) as root:
            changes.set_groups(root, request["folder"], request["groups"])

    # --- uploads

    def do_begin(self, request: Request) -> None:
        with changes.share_at(self.share, self.mark) as root:
            self.announced.begin(root, request["record"], kept_free=request["kept_free"], quota=request["quota"])

    def do_look(self, request: Request) -> uploads.Record:
        with changes.share_at(self.share, self.mark) as root:
            return uploads.look(root, request["id"])

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

    def do_verify(self, request: Request) -> bool:
        assert self.part is not None
        return self.part.verify(request["sha256"])

    def do_finish(self, _: Request) -> uploads.Record:
        assert self.part is not None
        record = self.part.finish()
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


def main() -> None:
    os.umask(0o022)
    channel = socket.socket(fileno=SOCKET)
    memory = mmap.mmap(MEMORY, 2 * BUFFER)
    porter = Porter(sys.argv[1], sys.argv[2], memoryview(memory))
    lost = False
    while True:
        ready = select.select([channel], [], [], LOOK_EVERY)[0]
        if not ready:
            lost = porter.makes_way() or lost
            continue
        request = channel.recv(LARGEST_REQUEST)
        if not request:
            porter.leave()
            os._exit(0)
        asked = json.loads(request)
        if asked["do"] in ("open", "open_small", "close"):
            lost = False
        if lost and asked["do"] in ("write", "verify", "finish"):
            answer: dict[str, Any] = {"error": TAKEN_OVER}
        else:
            answer = porter.answer(asked)
        channel.send(json.dumps(answer).encode())


TAKEN_OVER = {
    "kind": "Conflict",
    "message": "A newer connection goes on with this upload.",
    "hint": "What was written by this one stays.",
    "code": "upload.taken_over",
}

if __name__ == "__main__":
    main()
