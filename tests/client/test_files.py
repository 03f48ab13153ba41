"""Files to and from a server: what is cut off goes on, what is there is not sent twice, and a server that is busy is
given time."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.api.conftest import Served, World, directory, running_server, server
from tests.api.standing import ground, served, standing, world
from winslow_nomad.client.files import INPUTS, HttpFiles
from winslow_nomad.client.memory import Fingerprint, Memory, Sent
from winslow_nomad.client.wire import Wire
from winslow_nomad.core.access import Scope
from winslow_nomad.core.errors import Invalid, Unavailable, WinslowError
from winslow_nomad.core.filing import Entry

__all__ = ["directory", "ground", "running_server", "served", "server", "standing", "world"]

TOKEN = "wn_abcdefghij_" + "x" * 43
SCOPES: frozenset[Scope] = frozenset({"read", "files"})
LONG = "路" * 84 + "a.b"  # 255 bytes, the most that a name may have


@pytest.fixture
def files(world: World, served: Served, tmp_path: Path) -> HttpFiles:
    _, token = world.services.people.add_token("mem", "test", SCOPES)
    return HttpFiles(Wire(served.url, token), Memory(tmp_path / "memory"))


def test_an_upload_that_the_server_has_given_up_is_begun_anew(
    world: World, served: Served, files: HttpFiles, tmp_path: Path
) -> None:
    """Nobody had gone on with it for days; the answer to the question how far it is has no words."""
    source = tmp_path / "clip.mp4"
    source.write_bytes(b"content")
    with files._memory.alone(served.url, INPUTS, "clip.mp4", str(source)) as known:
        known.write(Sent(fingerprint=Fingerprint.of(source), upload=f"/api/v1/uploads/{'0' * 32}"))
    assert files.put(source, INPUTS, "clip.mp4", conflict="keep_both") == "clip.mp4"
    assert (world.installation.settings.share / "inputs" / "clip.mp4").read_bytes() == b"content"


def test_a_file_whose_name_is_as_long_as_a_name_may_be_is_fetched(
    world: World, files: HttpFiles, tmp_path: Path
) -> None:
    inputs = world.installation.settings.share / "inputs"
    assert world.installation.scribe is not None
    inputs.mkdir(exist_ok=True)
    (inputs / LONG).write_bytes(b"content")
    for how, client in (("remote", files), ("here", world.services.client.files)):  # type: ignore[attr-defined]
        (tmp_path / how).mkdir()
        assert client.get(INPUTS, LONG, tmp_path / how / LONG).read_bytes() == b"content"
        assert [p.name for p in (tmp_path / how).iterdir()] == [LONG]


def test_two_who_fetch_the_same_file_to_the_same_place_both_have_it(
    world: World, files: HttpFiles, tmp_path: Path
) -> None:
    inputs = world.installation.settings.share / "inputs"
    assert world.installation.scribe is not None
    inputs.mkdir(exist_ok=True)
    content = bytes(range(256)) * 80_000
    (inputs / "clip").write_bytes(content)
    wrong: list[Exception] = []

    def fetch() -> None:
        try:
            files.get(INPUTS, "clip", tmp_path / "clip")
        except WinslowError as error:
            wrong.append(error)

    threads = [threading.Thread(target=fetch) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert wrong == []
    assert hashlib.sha256((tmp_path / "clip").read_bytes()).digest() == hashlib.sha256(content).digest()


def test_a_folder_with_what_cannot_be_brought_is_not_brought_without_it_in_silence(
    world: World, tmp_path: Path
) -> None:
    (tmp_path / "frames" / "more").mkdir(parents=True)
    (tmp_path / "frames" / "linked").symlink_to(tmp_path / "frames" / "more")
    with pytest.raises(Invalid) as found:
        world.services.client.files.put(tmp_path / "frames", INPUTS, "frames")  # type: ignore[attr-defined]
    assert found.value.code == "import.not_a_file" and "linked" in found.value.message


@dataclass
class Busy:
    """A server that answers, and whose share does not, until `over`."""

    over: float = 0.0
    url: str = ""
    asked: list[str] = field(default_factory=list)


@pytest.fixture
def busy() -> Iterator[Busy]:
    told = Busy()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("content-length") or 0))
            status, body = 200, b"{}"
            kind = "application/json"
            if "/content" in self.path:
                told.asked.append(self.command)
                if time.monotonic() < told.over:
                    status, body = 503, json.dumps({"code": "share.stalled", "title": "It hangs."}).encode()
                else:
                    status, body, kind = (206 if self.command == "GET" else 201), b"content", "text/plain"
            self.send_response(status)
            for name, value in {"Content-Type": kind, "Content-Length": len(body), "ETag": '"t"'}.items():
                self.send_header(name, str(value))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_PUT = answer  # noqa: N815 - as the library calls them

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    told.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield told
    server.shutdown()
    server.server_close()


def entry() -> Entry:
    return Entry.model_validate(
        {"name": "clip", "path": "clip", "kind": "file", "bytes": 7, "modified": "2026-03-04T05:06:07Z", "tag": "t"}
    )


@pytest.mark.parametrize("what", ["fetching", "bringing"])
def test_a_server_that_has_no_share_now_is_asked_again_with_pauses(busy: Busy, tmp_path: Path, what: str) -> None:
    files = HttpFiles(Wire(busy.url, TOKEN, patience=20.0), Memory(tmp_path / "memory"))
    (tmp_path / "source").write_bytes(b"content")
    busy.over = time.monotonic() + 1.5
    if what == "fetching":
        files._get_file(INPUTS, entry(), tmp_path / "clip")
        assert (tmp_path / "clip").read_bytes() == b"content"
    else:
        assert files._in_one(tmp_path / "source", INPUTS, "clip") == "clip"
    assert len(busy.asked) <= 4


def test_a_server_that_gets_no_share_is_not_asked_for_ever(busy: Busy, tmp_path: Path) -> None:
    files = HttpFiles(Wire(busy.url, TOKEN, patience=0.5), Memory(tmp_path / "memory"))
    busy.over = time.monotonic() + 60
    with pytest.raises(Unavailable) as found:
        files._get_file(INPUTS, entry(), tmp_path / "clip")
    assert found.value.code == "share.stalled" and len(busy.asked) <= 3


def test_what_is_left_of_a_fetch_and_longer_than_the_file_is_not_taken_for_it(busy: Busy, tmp_path: Path) -> None:
    files = HttpFiles(Wire(busy.url, TOKEN), Memory(tmp_path / "memory"))
    mark: Any = hashlib.sha256(b"t").hexdigest()[:8]
    (tmp_path / f".clip.{mark}.part").write_bytes(b"content and more")
    files._get_file(INPUTS, entry(), tmp_path / "clip")
    assert (tmp_path / "clip").read_bytes() == b"content"
