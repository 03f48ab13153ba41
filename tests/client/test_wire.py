"""What is sent a second time and what is not, and what becomes of answers that say no."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest

from winslow_nomad.client import connect
from winslow_nomad.client.answers import error_of
from winslow_nomad.client.http import HttpClient
from winslow_nomad.client.wire import Wire, checked_url
from winslow_nomad.core import errors
from winslow_nomad.core import messages as m

TOKEN = "wn_abcdefghij_" + "x" * 43


@dataclass
class Script:
    """A server that answers as told: a status, or `cut` for a connection that ends in the middle."""

    steps: list[Any] = field(default_factory=list)
    seen: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    url: str = ""


@pytest.fixture
def script() -> Iterator[Script]:
    told = Script()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("content-length") or 0))
            told.seen.append((self.command, self.path, {k.lower(): v for k, v in self.headers.items()}))
            step = told.steps.pop(0) if told.steps else 200
            if step == "cut":
                self.close_connection = True
                return
            status, body, headers = step if isinstance(step, tuple) else (step, {"id": "p1"}, {})
            if status >= 400 and not body.get("code"):
                body = {"status": status, "code": "some.code", "title": "It is so.", "hint": "", "errors": []}
            data = json.dumps(body).encode()
            self.send_response(status)
            for name, value in {"Content-Type": "application/json", "Content-Length": len(data), **headers}.items():
                self.send_header(name, str(value))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = answer  # noqa: N815 - as the library calls them

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    told.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield told
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("trouble", ["cut", 502, 503, 504, (429, {}, {"Retry-After": "0"})])
def test_reading_is_tried_again(script: Script, trouble: object) -> None:
    script.steps = [trouble, trouble]
    assert Wire(script.url, TOKEN).get("projects").status_code == 200
    assert len(script.seen) == 3


@pytest.mark.parametrize("trouble", ["cut", 503])
def test_a_command_is_sent_again_under_the_same_key(script: Script, trouble: object) -> None:
    script.steps = [trouble, trouble]
    Wire(script.url, TOKEN).command("projects/p1/commands", {"kind": "start_project"}, key="k1")
    assert [headers["idempotency-key"] for _, _, headers in script.seen] == ["k1"] * 3


def test_every_command_of_the_client_carries_a_key_of_its_own(script: Script) -> None:
    script.steps = [403, 403]
    client = HttpClient(Wire(script.url, TOKEN))
    for _ in range(2):
        with pytest.raises(errors.Denied):
            client.send("p1", m.StartProject())
    keys = {headers["idempotency-key"] for _, _, headers in script.seen}
    assert len(keys) == 2 and all(len(k) >= 32 for k in keys)


@pytest.mark.parametrize("trouble", ["cut", 503])
def test_what_could_be_done_twice_is_sent_once(script: Script, trouble: object) -> None:
    script.steps = [trouble]
    with pytest.raises(errors.Unavailable):
        Wire(script.url, TOKEN).ask("POST", "uploads")
    assert len(script.seen) == 1


def test_it_gives_up_after_its_patience_and_says_so(script: Script) -> None:
    script.steps = ["cut"] * 1000
    with pytest.raises(errors.Unavailable) as error:
        Wire(script.url, TOKEN, patience=0.5).get("projects")
    assert error.value.code == "server.away" and 2 <= len(script.seen) < 12


def test_who_is_asked_to_come_back_later_than_that_is_told(script: Script) -> None:
    script.steps = [(429, {"status": 429, "code": "request.too_many", "title": "Too often."}, {"Retry-After": "60"})]
    with pytest.raises(errors.TooMany) as error:
        Wire(script.url, TOKEN).get("projects")
    assert error.value.retry_after == 60 and len(script.seen) == 1


def test_the_token_goes_nowhere_else(script: Script) -> None:
    elsewhere = Script()
    script.steps = [(302, {}, {"Location": "http://127.0.0.1:1/evil"})]
    with pytest.raises(errors.Invalid) as error:
        Wire(script.url, TOKEN).get("projects")
    assert error.value.code == "server.moved" and "http://127.0.0.1:1/evil" in error.value.message
    assert elsewhere.seen == []


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (401, "session.refused", errors.Unidentified),
        (403, "access.denied", errors.Denied),
        (404, "project.not_found", errors.NotFound),
        (409, "gate.not_open", errors.Refused),
        (409, "conflict", errors.Conflict),
        (409, "upload.offset", errors.Conflict),
        (412, "conflict.version", errors.VersionChanged),
        (413, "request.too_large", errors.Invalid),
        (422, "request.invalid", errors.Invalid),
        (422, "driver.rejected", errors.DriverRejected),
        (423, "upload.busy", errors.Unavailable),
        (460, "upload.checksum", errors.Conflict),
        (500, "internal", errors.Unavailable),
        (503, "store.outcome_unknown", errors.OutcomeUnknown),
        (503, "store.unavailable", errors.StoreUnavailable),
        (503, "share.stalled", errors.ShareUnavailable),
        (503, "driver.not_set", errors.DriverUnavailable),
        (503, "log.large", errors.Unavailable),
        (507, "share.full", errors.NoRoom),
    ],
)
def test_an_answer_that_says_no_is_the_error_it_was_made_of(status: int, code: str, kind: type[Exception]) -> None:
    body = {"status": status, "code": code, "title": "It is so.", "hint": "Do this.", "request_id": "r-1", "errors": []}
    error = error_of(httpx.Response(status, json=body, request=httpx.Request("GET", "http://x/")))
    assert type(error) is kind and "It is so." in error.message and "Do this." in error.hint
    assert error.code == (code if status != 500 else "server.failed")
    assert ("r-1" in error.hint) == (status in (500, 503))


def test_mistakes_of_a_request_are_told_with_their_fields() -> None:
    places = [{"field": "body.values.MIN_AREA", "message": "too small"}, {"field": "body.name", "message": "missing"}]
    body = {"status": 422, "code": "request.invalid", "title": "Not so.", "errors": places}
    error = error_of(httpx.Response(422, json=body, request=httpx.Request("GET", "http://x/")))
    assert error.message == "Not so. values.MIN_AREA: too small. name: missing."


def test_mistakes_of_a_pipeline_keep_their_places() -> None:
    places = [{"file": "pipeline.yaml", "line": 4, "column": 7, "message": "wrong", "hint": "right", "code": "p.x"}]
    body = {"status": 422, "code": "pipeline.invalid", "title": "Not so.", "errors": places}
    error = error_of(httpx.Response(422, json=body, request=httpx.Request("GET", "http://x/")))
    assert isinstance(error, errors.InvalidPipeline)
    assert [str(p) for p in error.problems] == ["pipeline.yaml:4:7: wrong; right"]


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"code": 1}', b'{"title": "x"}', b"\xff"])
def test_an_answer_of_somebody_else_is_not_taken_for_ours(body: bytes) -> None:
    for status, kind in ((404, errors.Invalid), (500, errors.Invalid), (502, errors.Unavailable)):
        response = httpx.Response(status, content=body, request=httpx.Request("GET", "http://x:1/"))
        error = error_of(response)
        assert type(error) is kind and "http://x:1" in error.message


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("https://Winslow.Example.org/", "https://winslow.example.org"),
        (" http://127.0.0.1:8800 ", "http://127.0.0.1:8800"),
        ("http://[::1]:8800", "http://[::1]:8800"),
        ("https://bücher.example", "https://xn--bcher-kva.example"),
    ],
)
def test_an_address_is_where_a_server_is_and_nothing_more(given: str, url: str) -> None:
    assert checked_url(given) == url


def test_a_script_names_a_server_or_is_told_how(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    for name in ("WINSLOW_URL", "WINSLOW_CONTEXT", "WINSLOW_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    calls: list[Callable[[], object]] = [connect, lambda: connect("http://x", "no token"), lambda: connect("x", TOKEN)]
    codes = []
    for call in calls:
        with pytest.raises(errors.Invalid) as error:
            call()
        codes.append(error.value.code)
    assert codes == ["context.none", "server.token", "server.address"]


def test_why_a_server_cannot_be_reached_is_said_in_words(script: Script) -> None:
    wrong = Wire(script.url.replace("http://", "https://"), TOKEN)
    with pytest.raises(errors.Unavailable) as error:
        wrong.get("projects")
    assert "what answers there does not speak TLS" in str(error.value) and "Write http://" in str(error.value)
    with pytest.raises(errors.Unavailable) as error:
        Wire("http://nowhere.invalid", TOKEN).get("projects")
    assert "nobody knows a machine of that name" in str(error.value)
    with pytest.raises(errors.Unavailable) as error:
        Wire("http://127.0.0.1:1", TOKEN, patience=0.0).get("projects")
    assert "cannot be reached: Connection refused." in str(error.value)
    with pytest.raises(errors.Invalid) as invalid:
        Wire(f"{script.url}/winslow", TOKEN)
    assert "nothing after that" in str(invalid.value)
