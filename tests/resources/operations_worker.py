"""A worker for operations as a process of its own: `operations_worker.py SHARE BOOK OWNER [ENDS]`. Writes a line to
ENDS for every end that it is told."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.resources.book import FileBook
from tests.resources.some import FixedClock
from winslow_nomad.core.operations import Operation
from winslow_nomad.resources.operate import operate
from winslow_nomad.resources.probe import can_reflink
from winslow_nomad.resources.reader import Reader
from winslow_nomad.resources.scribe import Scribe
from winslow_nomad.resources.workspaces import CopyWorkspace


def main(share: str, book: str, owner: str, ends: str = "/dev/null") -> None:
    writer, reader = Scribe(Path(share)), Reader(Path(share))
    copies = CopyWorkspace(writer, reader, lambda: can_reflink(writer, reader), lambda: "")

    def on_end(operation: Operation) -> None:
        with open(ends, "a") as file:
            file.write(f"{operation.id} {operation.state}\n")

    operate(FileBook(Path(book)), owner, {"workspace": copies}, on_end, lambda: False, FixedClock())


if __name__ == "__main__":
    main(*sys.argv[1:])
