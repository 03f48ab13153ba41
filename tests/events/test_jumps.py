from __future__ import annotations

from tests.builders import HandClock
from winslow_nomad.events.jumps import Jumps


def test_a_clock_that_is_set_is_noticed_once_and_small_corrections_are_not() -> None:
    clock, monotonic = HandClock(), [0.0]
    jumped = Jumps(clock, lambda: monotonic[0])

    def after(passed: float, seen: float) -> bool:
        monotonic[0] += passed
        clock.pass_by(seen)
        return jumped()

    assert after(0, 0)  # nobody looked before
    assert not after(10, 10)
    assert not after(10, 11)
    assert after(10, 10 - 3600)
    assert not after(1, 1)
    assert after(1, 3601)
