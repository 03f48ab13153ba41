"""Work that may hang, asked for by whoever may leave at any moment."""

from __future__ import annotations

import asyncio
import threading

import pytest

from tests.waiting import until
from winslow_nomad.api.lanes import Lane


@pytest.mark.parametrize("when", ["before it comes", "in the moment it comes"])
def test_a_result_whose_asker_has_left_is_closed(when: str) -> None:
    closed: list[str] = []
    goes_on = threading.Event()

    def work() -> str:
        goes_on.wait(10)
        return "held"

    async def asks() -> None:
        lane = Lane("test", 1)
        asker = asyncio.ensure_future(lane(work, unwanted=closed.append))
        await asyncio.sleep(0)  # it has begun
        if when == "before it comes":
            asker.cancel()
            goes_on.set()
        else:
            loop = asyncio.get_running_loop()
            settled = loop.call_soon_threadsafe

            def at_once(settle, *arguments):
                def both() -> None:
                    settle(*arguments)
                    asker.cancel()

                return settled(both)

            loop.call_soon_threadsafe = at_once
            goes_on.set()
        with pytest.raises(asyncio.CancelledError):
            await asker
        await asyncio.get_running_loop().run_in_executor(None, until, lambda: closed)

    asyncio.run(asks())
    assert closed == ["held"]
