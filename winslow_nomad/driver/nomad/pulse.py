"""Asks Nomad every few seconds how far it is, beside the event stream: a stream that stands still looks like one on
which nothing happens. It does so after a restore from a snapshot, at a server that has lost the others, and where the
network keeps a connection that leads nowhere.

In a thread of its own, since Nomad may be slow and events are not to wait for it. Must never touch the picture."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from winslow_nomad.core.errors import Unavailable

EVERY = 10.0  # seconds; also how long a change may take from the lists to the stream, at the worst


@dataclass(frozen=True)
class Beat:
    """`known`: the highest index that was known before Nomad was asked, which may be lower than what is known now;
    `index`: of Nomad's newest change of a job, 0 where it does not say."""

    known: int
    index: int


class Pulse:
    """Use as a context."""

    def __init__(self, ask: Callable[[], Beat], every: float = EVERY) -> None:
        self._ask, self._every = ask, every
        self._answers: queue.SimpleQueue[Beat | Unavailable] = queue.SimpleQueue()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="nomad-pulse", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Does not wait for an answer that is on its way."""
        self._over.set()

    def take(self) -> Beat | None:
        """The next answer; None: there is none yet. Raises Unavailable."""
        try:
            answer = self._answers.get_nowait()
        except queue.Empty:
            return None
        if isinstance(answer, Unavailable):
            raise answer
        return answer

    def _run(self) -> None:
        while not self._over.wait(self._every):
            try:
                self._answers.put(self._ask())
            except Unavailable as error:
                self._answers.put(error)
