"""The newest log lines of what runs, for the screen of `winslow run`.

One thread reads one attempt's log. A stage that writes more than can be read is shown in part and that is
said: the log itself is complete, and the screen never holds a stage up."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator

from winslow_nomad.core.client import Client
from winslow_nomad.core.errors import WinslowError

HELD = 200  # lines kept between two looks
LONGEST = 500  # characters of a line that are shown
SETTLING = 0.3  # seconds to wait for the last lines of an attempt that has ended
READERS = 8  # attempts read at a time; the logs of others are on the share all the same


class Tail:
    def __init__(self, client: Client, project: str) -> None:
        self._client = client
        self._project = project
        self._lock = threading.Lock()
        self._lines: deque[tuple[str, str]] = deque(maxlen=HELD)
        self._left_out = 0
        self._readers: dict[tuple[int, int], threading.Thread] = {}
        self._unsettled: set[tuple[int, int]] = set()

    def follow(self, stage: int, attempt: int, name: str) -> None:
        """Begin to read an attempt's log, once."""
        if (stage, attempt) in self._readers or sum(t.is_alive() for t in self._readers.values()) >= READERS:
            return
        reader = threading.Thread(target=self._read, args=(stage, attempt, name), daemon=True, name=f"tail {name}")
        self._readers[stage, attempt] = reader
        self._unsettled.add((stage, attempt))
        reader.start()

    def take(self) -> Iterator[tuple[str, list[str]]]:
        """What has come since, by stage name and in order."""
        with self._lock:
            lines, left_out = list(self._lines), self._left_out
            self._lines.clear()
            self._left_out = 0
        if left_out:
            yield "winslow", [f"{left_out:,} lines are not shown here; they are in the log"]
        for name, line in lines:
            yield name, [line]

    def settle(self, ended: Iterable[tuple[int, int]]) -> None:
        """Wait a moment, once for each attempt, until the rest of what has ended was read."""
        for key in [k for k in self._unsettled if k in set(ended)]:
            self._unsettled.discard(key)
            self._readers[key].join(SETTLING)

    def finish(self, seconds: float) -> None:
        """Wait until all that has been written was read, or `seconds` have passed."""
        deadline = time.monotonic() + seconds
        for reader in self._readers.values():
            reader.join(max(deadline - time.monotonic(), 0.0))

    def _read(self, stage: int, attempt: int, name: str) -> None:
        rest = {"out": b"", "err": b""}
        try:
            for chunk in self._client.log(self._project, stage, attempt, follow=True):
                *lines, last = (rest[chunk.stream] + chunk.data).split(b"\n")
                rest[chunk.stream] = last[-LONGEST * 4 :]
                self._put(name, lines)
        except WinslowError as error:
            self._put(name, [f"(its log cannot be shown: {error})".encode()])
        self._put(name, [r for r in rest.values() if r])

    def _put(self, name: str, lines: list[bytes]) -> None:
        shown = [line[: LONGEST * 4].decode("utf-8", "replace").rstrip("\r")[:LONGEST] for line in lines[-HELD:]]
        with self._lock:
            self._left_out += len(lines) - len(shown)
            self._left_out += max(len(self._lines) + len(shown) - HELD, 0)
            self._lines.extend((name, line) for line in shown)
