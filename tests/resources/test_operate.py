from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from tests.resources import some
from tests.resources.book import FileBook
from tests.waiting import until
from winslow_nomad.core.errors import Refused, ShareUnavailable, StoreUnavailable
from winslow_nomad.core.operations import Operation
from winslow_nomad.resources.operate import Handler, operate
from winslow_nomad.resources.work import Progress


class AwayBook(FileBook):
    """A store that can be away."""

    away = False
    refused = 0

    def _with(self, change):
        if self.away:
            self.refused += 1
            raise StoreUnavailable("the store is away")
        return super()._with(change)


class Loop:
    def __init__(self, book: FileBook, handler: Handler, on_end: Callable[[Operation], None] | None = None) -> None:
        self.told: list[tuple[str, str, str]] = []
        self.stop = threading.Event()

        def note(operation: Operation) -> None:
            if on_end is not None:
                on_end(operation)
            kept = book.get(operation.id)
            self.told.append((operation.state, operation.code, kept.state))

        arguments = (book, "me", {"checksum": handler}, note, self.stop.is_set, some.FixedClock())
        self.thread = threading.Thread(target=operate, args=arguments, daemon=True)
        self.thread.start()

    def close(self) -> None:
        self.stop.set()
        self.thread.join(5)
        assert not self.thread.is_alive()


@pytest.fixture
def loop() -> Iterator[Callable[..., Loop]]:
    loops: list[Loop] = []

    def start(*arguments) -> Loop:
        loops.append(Loop(*arguments))
        return loops[-1]

    yield start
    for one in loops:
        one.close()


@pytest.fixture
def away(tmp_path) -> AwayBook:
    return AwayBook(tmp_path / "away.json")


def put(book: FileBook, kind: str = "checksum") -> None:
    book.put(Operation(id="o1", kind=kind, made=some.NOW))


def state(book: FileBook) -> str:
    return book.get("o1").state


def test_the_end_is_told_before_it_is_stored(book, loop):
    put(book)
    one = loop(book, lambda operation, progress: "42")
    until(lambda: state(book) == "done")
    until(lambda: one.told == [("done", "", "running")])
    assert book.get("o1").text == "42" and book.get("o1").ended == some.NOW


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Refused("no", code="pool.changed"), "pool.changed"),
        (OSError(28, "No space left on device"), "share.full"),
        (OSError(13, "Permission denied"), "operation.failed"),
        (ZeroDivisionError("oops"), "operation.broken"),
    ],
)
def test_a_failure_is_stored_with_its_code_and_told_before_and_after(book, loop, error, code):
    put(book)

    def handler(operation: Operation, progress: Progress) -> str:
        raise error

    one = loop(book, handler)
    until(lambda: len(one.told) == 2)
    assert one.told == [("failed", code, "running"), ("failed", code, "failed")]
    assert book.get("o1").text


def test_a_kind_that_this_worker_does_not_know_fails_in_words(book, loop):
    put(book, "unpack")
    loop(book, lambda operation, progress: "")
    until(lambda: state(book) == "failed")
    assert book.get("o1").code == "operation.unknown"


def working(begun: threading.Event) -> Handler:
    def handler(operation: Operation, progress: Progress) -> str:
        done = 0
        while True:
            begun.set()
            done += 1
            progress(done, 100, 0, 0)
            threading.Event().wait(0.01)

    return handler


def test_progress_is_seen_and_a_cancel_ends_the_work(book, loop):
    put(book)
    loop(book, working(threading.Event()))
    until(lambda: book.get("o1").bytes_done > 3)
    book.cancel("o1")
    until(lambda: state(book) == "cancelled", 1.0)
    assert book.get("o1").bytes_total == 100


def test_one_that_was_cancelled_while_its_worker_was_dead_is_cancelled_by_the_next(book, loop):
    put(book)
    book.take("dead", 30)
    book.cancel("o1")
    book.expire("o1")
    loop(book, working(threading.Event()))
    until(lambda: state(book) == "cancelled")


def test_a_worker_whose_lease_was_taken_lets_go_and_says_nothing(book, loop):
    put(book)
    begun = threading.Event()
    one = loop(book, working(begun))
    assert begun.wait(5)

    def taken() -> bool:
        book.expire("o1")
        return book.take("other", 30) is not None  # unless it was renewed in between

    until(taken)
    other = Operation(id="o2", kind="checksum", made=some.NOW)
    begun.clear()
    book.put(other)
    until(lambda: book.get("o2").state == "running")
    assert book.get("o1").owner == "other" and state(book) == "running" and one.told == []


def test_a_worker_that_ends_gives_its_operation_back_at_once(book, loop):
    put(book)
    begun = threading.Event()
    one = loop(book, working(begun))
    assert begun.wait(5)
    one.close()
    assert book.take("next", 30).id == "o1"


def test_a_store_that_goes_away_in_the_middle_stops_nothing(away, loop):
    put(away)
    begun, go = threading.Event(), threading.Event()

    def handler(operation: Operation, progress: Progress) -> str:
        begun.set()
        while not go.is_set():
            progress(1, 2, 0, 0)
            threading.Event().wait(0.01)
        return "done all the same"

    one = loop(away, handler)
    assert begun.wait(5)
    away.away = True
    until(lambda: away.refused)  # it could not renew its lease, and works on
    go.set()
    until(lambda: away.refused > 1)  # nor store its end
    away.away = False
    until(lambda: state(away) == "done")
    assert one.told[-1] == ("done", "", "running")


def test_a_follow_up_that_cannot_be_told_is_told_again(book, loop):
    put(book)
    refused = [ShareUnavailable("x"), StoreUnavailable("y")]

    def on_end(operation: Operation) -> None:
        assert state(book) == "running"
        if refused:
            raise refused.pop()

    loop(book, lambda operation, progress: "", on_end)
    until(lambda: state(book) == "done")
    assert not refused
