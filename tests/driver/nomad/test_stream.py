"""The event stream over real sockets that cut, delay and garble."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.waiting import until
from winslow_nomad.driver.nomad.access import Access
from winslow_nomad.driver.nomad.stream import AHEAD, Ended, EventStream, Line, lines_of

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n"


class Wire:
    """One raw connection: what the other side writes is in the hands of the test."""

    def __init__(self) -> None:
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self.listening.getsockname()[1]}"
        self.connection: socket.socket | None = None
        self.asked = b""

    def accept(self, head: bytes = HEAD) -> None:
        self.listening.settimeout(5)
        self.connection, _ = self.listening.accept()
        while b"\r\n\r\n" not in self.asked:
            self.asked += self.connection.recv(4096)
        self.connection.sendall(head)

    def send(self, data: bytes) -> None:
        assert self.connection is not None
        self.connection.sendall(data)

    def hang_up(self) -> None:
        assert self.connection is not None
        self.connection.close()

    def close(self) -> None:
        if self.connection is not None:
            self.connection.close()
        self.listening.close()


@pytest.fixture
def wire() -> Iterator[Wire]:
    made = Wire()
    yield made
    made.close()


@pytest.fixture
def stream(wire: Wire) -> Iterator[Callable[..., EventStream]]:
    """Opens one, accepted by the other side."""
    opened: list[EventStream] = []

    def open_one(head: bytes = HEAD, **more: float) -> EventStream:
        made = EventStream(Access(address=wire.address, token="t0ken", region="eu"), 42, **more)
        made.__enter__()
        opened.append(made)
        wire.accept(head)
        return made

    yield open_one
    for made in opened:
        made.__exit__(None, None, None)


def line(index: int, **event: object) -> bytes:
    return json.dumps({"Index": index, "Events": [event]}, ensure_ascii=False).encode() + b"\n"


def taken(stream: EventStream) -> Line:
    return until(lambda: stream.take(0.05))


def test_it_asks_for_all_topics_of_the_namespace_from_an_index_on_and_uncompressed(
    wire: Wire, stream: Callable[..., EventStream]
) -> None:
    stream()
    request = wire.asked.decode().lower()
    assert "get /v1/event/stream?" in request
    for part in ("index=42", "namespace=winslow", "region=eu", "topic=job", "topic=allocation", "topic=node"):
        assert part in request
    assert "accept-encoding: identity" in request
    assert "x-nomad-token: t0ken" in request


def test_lines_arrive_whichever_way_their_bytes_do(wire: Wire, stream: Callable[..., EventStream]) -> None:
    opened = stream()
    raw = b"{}\n" + line(7, Name="Straße 🚗") + line(8, Name="b")
    for position in range(len(raw)):
        wire.send(raw[position : position + 1])
    assert taken(opened).events == []
    first, second = taken(opened), taken(opened)
    assert (first.index, first.events[0]["Name"], second.index) == (7, "Straße 🚗", 8)


def test_a_line_is_there_at_once_and_not_when_the_next_one_comes(
    wire: Wire, stream: Callable[..., EventStream]
) -> None:
    opened = stream()
    begun = time.monotonic()
    wire.send(line(1, Name="a"))
    assert taken(opened).index == 1
    assert time.monotonic() - begun < 5
    assert opened.take(0.0) is None


def test_an_end_before_the_first_line_is_a_rejection(wire: Wire, stream: Callable[..., EventStream]) -> None:
    opened = stream()
    wire.hang_up()
    with pytest.raises(Ended) as ended:
        taken(opened)
    assert not ended.value.subscribed


def test_an_end_later_is_an_end_and_stays_one(wire: Wire, stream: Callable[..., EventStream]) -> None:
    opened = stream()
    wire.send(b"{}\n" + line(3) + b'{"Index": 4, "Ev')
    wire.hang_up()
    assert [taken(opened).index, taken(opened).index] == [0, 3]
    for _ in range(2):
        with pytest.raises(Ended) as ended:
            taken(opened)
        assert ended.value.subscribed, "the half line is dropped: what it said comes again, or by a list"


def test_an_error_status_is_a_rejection_with_its_text(wire: Wire, stream: Callable[..., EventStream]) -> None:
    opened = stream(b"HTTP/1.1 500 Oops\r\nContent-Length: 17\r\n\r\nmisconfigured con")
    with pytest.raises(Ended, match="500: misconfigured con") as ended:
        taken(opened)
    assert not ended.value.subscribed


@pytest.mark.parametrize("garbage", [b"}{\n", b"\xff\xfe\xfd\n", b"[1, 2]\n", b'{"Index": "x"}\n', b"null\n"])
def test_what_is_no_event_ends_the_stream(wire: Wire, stream: Callable[..., EventStream], garbage: bytes) -> None:
    opened = stream()
    wire.send(b"{}\n" + garbage)
    assert taken(opened).events == []
    with pytest.raises(Ended):
        taken(opened)


def test_silence_beyond_what_is_due_ends_the_stream(wire: Wire, stream: Callable[..., EventStream]) -> None:
    opened = stream(silence=0.2)
    wire.send(b"{}\n")
    assert taken(opened).events == []
    with pytest.raises(Ended, match="nothing came for 0"):
        taken(opened)


def test_who_closes_it_does_not_wait_for_the_next_line(wire: Wire) -> None:
    before = threading.active_count()
    opened = EventStream(Access(address=wire.address))
    with opened:
        wire.accept()
        wire.send(b"{}\n")
        assert taken(opened).events == []
        begun = time.monotonic()
    assert time.monotonic() - begun < 5
    until(lambda: threading.active_count() <= before)


def test_who_closes_it_does_not_wait_for_a_server_that_never_answers(wire: Wire) -> None:
    with EventStream(Access(address=wire.address)) as opened:
        wire.accept(head=b"")
        begun = time.monotonic()
    assert time.monotonic() - begun < 5
    assert opened.take(0.0) is None


def test_nobody_there_is_a_rejection(wire: Wire) -> None:
    wire.close()
    with EventStream(Access(address=wire.address)) as opened, pytest.raises(Ended, match="refused") as ended:
        taken(opened)
    assert not ended.value.subscribed


def test_who_reads_slowly_makes_the_server_wait_and_loses_nothing(
    wire: Wire, stream: Callable[..., EventStream]
) -> None:
    opened = stream()
    count = AHEAD + 500
    sender = threading.Thread(target=lambda: wire.send(b"".join(line(i) for i in range(1, count + 1))))
    sender.start()
    until(lambda: opened.waiting == AHEAD)
    assert [taken(opened).index for _ in range(count)] == list(range(1, count + 1))
    sender.join()


@given(st.lists(st.text(st.characters(exclude_characters="\n\r", codec="utf-8")).map(str.encode)), st.data())
def test_however_the_bytes_are_cut_the_lines_are_the_same(lines: list[bytes], data: st.DataObject) -> None:
    raw = b"\n".join([*lines, b"cut off"])
    cuts = sorted(data.draw(st.lists(st.integers(0, len(raw)))))
    chunks = [raw[a:b] for a, b in zip([0, *cuts], [*cuts, len(raw)], strict=True)]
    assert list(lines_of(chunks)) == [stripped for line in lines if (stripped := line.strip())]
