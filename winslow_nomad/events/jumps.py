"""Notices that somebody has set this machine's clock. Must never be asked for how late it is."""

from __future__ import annotations

from collections.abc import Callable

from winslow_nomad.core.ports import Clock

TOLERATED = 2.0  # seconds; what is corrected in smaller steps hurts no delay


class Jumps:
    def __init__(self, clock: Clock, monotonic: Callable[[], float]) -> None:
        self._clock = clock
        self._monotonic = monotonic
        self._offset: float | None = None

    def __call__(self) -> bool:
        """Whether the clock was set since the last call; the first one says yes, since nobody looked before."""
        offset = self._clock.now().timestamp() - self._monotonic()
        jumped = self._offset is None or abs(offset - self._offset) > TOLERATED
        if jumped:
            self._offset = offset
        return jumped
