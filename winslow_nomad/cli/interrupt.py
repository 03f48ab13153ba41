"""Ctrl-C during `winslow run`: the first asks politely, the second leaves at once.

The first only sets a mark, so that nothing is cut off in the middle of a conversation with the store."""

from __future__ import annotations

import os
import select
import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any, NoReturn

from winslow_nomad.cli.edge import INTERRUPTED

SHOW_CURSOR = "\x1b[?25h"


class Interrupt:
    """While open, `asked` tells whether somebody wants to leave. SIGTERM and SIGHUP end the command in good
    order without pausing anything."""

    def __init__(self) -> None:
        self.asked = False
        self.by_signal = 0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Interrupt:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def wait(self, meanwhile: Callable[[], None]) -> None:
        """Until somebody wants to leave; `meanwhile` is called again and again."""
        while not self.asked:
            meanwhile()
            select.select([], [], [], 0.2)  # a signal that comes between the look and the wait costs as much

    def _handle(self, number: int, _: FrameType | None) -> None:
        if self.asked:
            leave_at_once()
        self.asked = True
        if number != signal.SIGINT:
            self.by_signal = number


def leave_at_once() -> NoReturn:
    if sys.stderr.isatty():
        os.write(2, SHOW_CURSOR.encode())
    os._exit(INTERRUPTED)
