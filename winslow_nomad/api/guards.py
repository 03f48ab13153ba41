"""What holds for every request, whatever its route: an id, safe headers, a limit on bodies.

Plain ASGI, so that uploads and downloads pass through without being copied."""

from __future__ import annotations

import re
import secrets
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

USABLE_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
HEADERS: tuple[tuple[bytes, bytes], ...] = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=()"),
)
CSP = (
    b"default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    b"font-src 'self'; media-src 'self'; connect-src 'self'; manifest-src 'self'; worker-src 'self'; "
    b"frame-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)


class Guards:
    """`request.state.request_id` is the id: the caller's own `X-Request-Id` where it is usable."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = next((v for k, v in scope["headers"] if k == b"x-request-id"), b"")
        identifier = given if USABLE_ID.fullmatch(given) else secrets.token_hex(8).encode()
        state: dict[str, Any] = scope.setdefault("state", {})
        state["request_id"] = identifier.decode()

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                present = {k.lower() for k, _ in message["headers"]}
                more = [(b"x-request-id", identifier), *HEADERS, (b"content-security-policy", CSP)]
                message["headers"] = [*message["headers"], *((k, v) for k, v in more if k not in present)]
            await send(message)

        await self._app(scope, receive, guarded)
