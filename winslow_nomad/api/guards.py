"""What holds for every request, whatever its route: who may ask at all, an id, safe headers, patience, a line in the
log, an entry in the audit. The outermost layer: nothing leaves without having passed here, mistakes included.

Plain ASGI, so that uploads and downloads pass through without being copied."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import secrets
import time
from collections.abc import Callable
from typing import Any

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from winslow_nomad.api.patience import GAP, Patience
from winslow_nomad.api.problems import BY_STATUS, FOREIGN, MEDIA_TYPE, Problem
from winslow_nomad.api.reach import SAFE, Reach, from_own_page
from winslow_nomad.api.trail import Trail
from winslow_nomad.core.about import about
from winslow_nomad.core.access import Principal
from winslow_nomad.core.audit import AuditEntry, Outcome
from winslow_nomad.core.ports import Clock

log = logging.getLogger(__name__)
requests = logging.getLogger("winslow.requests")

USABLE_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
LONGEST_PATH = 200  # characters of an address that are written down: strangers choose it
GONE = 499  # as proxies log it: nobody is there any more to be answered
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})  # others are counted as one
DENIED = frozenset({401, 403, 421, 429})
HEADERS: tuple[tuple[bytes, bytes], ...] = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=()"),
)
PAGES = (
    b"default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    b"font-src 'self'; media-src 'self'; connect-src 'self'; manifest-src 'self'; worker-src 'self'; "
    b"frame-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
# Answers of the API hold what people brought in: opened as a page, nothing in them may run.
ANSWERS = b"default-src 'none'; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'; sandbox; \
frame-ancestors 'none'; base-uri 'none'; form-action 'none'"


class Guards:
    """`scope["state"]["request_id"]` is the id: the caller's own `X-Request-Id` where it is usable."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        reach: Reach,
        trail: Trail,
        clock: Clock,
        gap: float = GAP,
        measured: Callable[[str, str, int, float], None] = lambda *_: None,
    ) -> None:
        """`gap`: seconds to wait for the next piece of a body. `measured`: told of each request: method, route, status,
        seconds to the beginning of its answer."""
        self._app = app
        self._measured = measured
        self._gap = gap
        self._reach = reach
        self._trail = trail
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self._socket(scope, receive, send)
        elif scope["type"] == "http":
            request = _Request(scope, Patience(receive, self._gap), send, self._trail, self._clock)
            with about(request=request.id):
                await request.run(self._app, self._refusal(scope))
            self._measured(*request.measured)
        else:
            await self._app(scope, receive, send)

    def _refusal(self, scope: Scope) -> int:
        """A status, or 0."""
        headers = Headers(scope=scope)
        if not self._reach.knows(headers):
            return 421
        changes = scope["type"] == "websocket" or scope["method"] not in SAFE
        return 403 if changes and not from_own_page(headers) else 0

    async def _socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A refused one is answered before it is accepted, which makes it a 403."""
        refusal = self._refusal(scope)
        if refusal:
            why = BY_STATUS[421].code if refusal == 421 else FOREIGN.code
            say(path=scope["path"][:LONGEST_PATH], method="WS", status=403, address=address_of(scope), why=why)
            await receive()
            await send({"type": "websocket.close", "code": 1008})
            return
        await self._app(scope, receive, send)


class _Request:
    """One request on its way through."""

    def __init__(self, scope: Scope, patience: Patience, send: Send, trail: Trail, clock: Clock) -> None:
        given = next((v for k, v in scope["headers"] if k == b"x-request-id"), b"")
        self.id = given.decode() if USABLE_ID.fullmatch(given) else secrets.token_hex(8)
        self._scope = scope
        self._state: dict[str, Any] = scope.setdefault("state", {})
        self._state["request_id"] = self.id
        self._patience = patience
        self._send = send
        self._trail = trail
        self._clock = clock
        self._begun = time.perf_counter()
        self._answered = 0.0  # when the answer began
        self._status = 0
        self._refused = False  # before any operation was looked for
        self._replaced = False  # an answer of our own went out instead

    async def run(self, app: ASGIApp, refusal: int) -> None:
        try:
            if refusal:
                self._refused = True
                await self._answer(refusal)
            else:
                await app(self._scope, self._patience.receive, self.send)
        except ClientDisconnect:
            if self._patience.over and not self._status:
                await self._answer(408)
            else:
                self._status = self._status or GONE
        except Exception as error:
            log.error("a request failed", exc_info=error)
            if not self._status:
                await self._answer(500)
        finally:
            self._say()

    async def send(self, message: Message) -> None:
        if self._replaced:
            return
        if message["type"] == "http.response.start":
            if self._patience.over:
                await self._answer(408)
                return
            plain = (b"content-type", b"text/plain; charset=utf-8") in message["headers"]
            if message["status"] in (413, 500) and plain:  # the framework's own words
                await self._answer(message["status"])
                return
            await self._begin(message)
        await self._send(message)
        if message.get("more_body"):
            await asyncio.sleep(0)  # sending to who has gone waits for nothing: others must have their turn

    async def _begin(self, message: Message) -> None:
        self._status = message["status"]
        self._answered = time.perf_counter()
        await self._audit()
        api = self._scope["path"].startswith("/api/")
        more = [(b"x-request-id", self.id.encode()), *HEADERS]
        more.append((b"content-security-policy", ANSWERS if api else PAGES))
        if api:
            more.append((b"cache-control", b"no-store"))
        if self._scope["scheme"] == "https":
            more.append((b"strict-transport-security", b"max-age=2592000"))
        if self._status in (408, 413):
            more.append((b"connection", b"close"))
        present = {k.lower() for k, _ in message["headers"]}
        message["headers"] = [*message["headers"], *((k, v) for k, v in more if k not in present)]

    async def _answer(self, status: int) -> None:
        """A problem of our own, in place of whatever the application would say."""
        said = FOREIGN if status == 403 else BY_STATUS[status]
        problem = Problem(status=status, code=said.code, title=said.title, hint=said.hint, request_id=self.id)
        body = json.dumps(problem.model_dump()).encode()
        headers = [(b"content-type", MEDIA_TYPE.encode()), (b"content-length", str(len(body)).encode())]
        start: Message = {"type": "http.response.start", "status": status, "headers": headers}
        await self._begin(start)
        await self._send(start)
        await self._send({"type": "http.response.body", "body": body})
        self._replaced = True

    # --- what is written down

    @property
    def _who(self) -> Principal | None:
        found: Principal | None = self._state.get("principal")
        return found

    @property
    def _what(self) -> str:
        """The operation, as in the description of the API; empty where no route fits."""
        return "foreign_page" if self._refused else str(getattr(self._scope.get("route"), "name", ""))

    def _target(self) -> dict[str, str]:
        if self._refused:
            return {"path": self._scope["path"][:LONGEST_PATH]}
        return {k: str(v)[:LONGEST_PATH] for k, v in self._scope.get("path_params", {}).items()}

    async def _audit(self) -> None:
        who, what = self._who, self._what
        denied = self._status in DENIED or bool(self._state.get("denied"))
        changes = self._scope["method"] not in SAFE
        tried = who is not None or any(k in (b"authorization", b"cookie") for k, _ in self._scope["headers"])
        if not what or not (changes or (denied and tried)):
            return
        outcome: Outcome = "denied" if denied else "done"
        if not denied and self._status >= 400:
            outcome = "failed" if self._status >= 500 else "refused"
        entry = AuditEntry(
            at=self._clock.now(),
            actor=who.user if who is not None else str(self._state.get("actor", "")),
            token=who.token if who is not None else "",
            what=what,
            target=self._target(),
            about=self._state.get("about", {}),
            address=address_of(self._scope),
            request=self.id,
            outcome=outcome,
            status=self._status,
        )
        await self._trail.write(entry)

    @property
    def measured(self) -> tuple[str, str, int, float]:
        """Method, route, status, and seconds to the beginning of the answer."""
        route = str(getattr(self._scope.get("route"), "path", ""))
        method = self._scope["method"] if self._scope["method"] in METHODS else "OTHER"
        return method, route, self._status, (self._answered or time.perf_counter()) - self._begun

    def _say(self) -> None:
        route = self._scope.get("route")
        target = self._target()
        say(
            request=self.id,
            method=self._scope["method"][:20],
            route=getattr(route, "path", ""),
            path="" if route is not None else self._scope["path"][:LONGEST_PATH],
            user=self._who.user if self._who is not None else "",
            project=target.get("project", ""),
            stage=target.get("stage", ""),
            status=self._status,
            ms=round((time.perf_counter() - self._begun) * 1000, 1),
            address=address_of(self._scope),
        )


def address_of(scope: Scope) -> str:
    """Of who asks; a trusted proxy's word for it was taken before."""
    client = scope.get("client")
    return str(client[0]) if client else ""


def say(**fields: str | float) -> None:
    """One line of the log about a request. Paths without their query, which may hold secrets."""
    requests.info("request", extra={"fields": {k: v for k, v in fields.items() if v != ""}})
