"""Work that may hang, asked for by whoever may leave at any moment."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress

import pytest

from tests.waiting import until
from winslow_nomad.api.lanes import Lane, at_last
from winslow_nomad.api.routes.uploads import Connection, _end_older


@pytest.mark.parametrize("when", ["before it comes", "in the moment it comes"])
def test_a_result_whose_asker_has_left_is_closed(when: str) -> None:
    closed: list[str] = []
    begun = threading.Event()
    goes_on = threading.Event()

    def work() -> str:
        begun.set()
        goes_on.wait(10)
        return "held"

    async def asks() -> None:
        lane = Lane("test", 1)
        asker = asyncio.ensure_future(lane(work, unwanted=closed.append))
        loop = asyncio.get_running_loop()
        await asyncio.sleep(0)  # it is asked for
        await loop.run_in_executor(None, until, begun.is_set)
        if when == "before it comes":
            asker.cancel()
            goes_on.set()
        else:
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
        await loop.run_in_executor(None, until, lambda: closed)

    asyncio.run(asks())
    assert closed == ["held"]


def test_work_is_never_begun_for_whoever_has_left_before_a_thread_was_free() -> None:
    goes_on = threading.Event()
    done: list[str] = []

    async def asks() -> None:
        lane = Lane("test", 1)
        first = asyncio.ensure_future(lane(lambda: goes_on.wait(10)))
        leaves = asyncio.ensure_future(lane(lambda: done.append("for nobody")))
        await asyncio.sleep(0)  # both are asked for
        leaves.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaves
        goes_on.set()
        await first
        await lane(lambda: done.append("for who waits"))

    asyncio.run(asks())
    assert done == ["for who waits"]


@pytest.mark.parametrize("ends", ["with a result", "with an error"])
def test_what_comes_in_the_moment_of_the_deadline_has_come(ends: str) -> None:
    goes_on = threading.Event()
    told = threading.Event()

    def work() -> str:
        goes_on.wait(10)
        if ends == "with an error":
            raise FileNotFoundError("the work's own")
        return "held"

    async def asks() -> str:
        loop = asyncio.get_running_loop()
        settled = loop.call_soon_threadsafe

        def tells(*arguments):
            handle = settled(*arguments)
            told.set()
            return handle

        loop.call_soon_threadsafe = tells
        asked = loop.time()
        asker = asyncio.ensure_future(Lane("test", 1)(work, deadline=0.05))
        await asyncio.sleep(0)  # it is asked for
        goes_on.set()
        until(lambda: told.is_set() and loop.time() > asked + 0.1)  # the loop finds both at once
        return await asker

    if ends == "with an error":
        with pytest.raises(FileNotFoundError, match="the work's own"):
            asyncio.run(asks())
    else:
        assert asyncio.run(asks()) == "held"


def test_what_is_done_at_last_is_done_for_whoever_leaves() -> None:
    goes_on = threading.Event()
    done: list[str] = []

    def close() -> None:
        goes_on.wait(10)
        done.append("closed")

    async def asks() -> None:
        asker = asyncio.ensure_future(at_last(close))
        await asyncio.sleep(0)
        asker.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asker
        goes_on.set()
        await asyncio.get_running_loop().run_in_executor(None, until, lambda: done)

    asyncio.run(asks())
    assert done == ["closed"]


def test_what_fails_at_last_is_told() -> None:
    with pytest.raises(ZeroDivisionError):
        asyncio.run(at_last(lambda: 1 // 0))


def test_a_connection_that_several_take_over_from_ends_in_order() -> None:
    """Each of them cancelled it, and so cut off what it did at its end: what it held was held for ever."""
    done: list[str] = []

    async def asks() -> None:
        ended = asyncio.Event()

        async def holds() -> None:
            try:
                await asyncio.sleep(100)
            finally:
                await asyncio.sleep(0.05)
                done.append("gave back what it held")
                ended.set()

        older = Connection(asyncio.ensure_future(holds()), ended=ended)
        await asyncio.sleep(0)
        under_way = {"upload": older}
        newer = [asyncio.ensure_future(_end_older(under_way, "upload"))]
        await asyncio.sleep(0.01)
        newer.append(asyncio.ensure_future(_end_older(under_way, "upload")))
        await asyncio.gather(*newer)
        with suppress(asyncio.CancelledError):
            await older.task

    asyncio.run(asks())
    assert done == ["gave back what it held"]
