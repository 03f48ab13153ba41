"""A tus client of the fewest lines, over whatever sends requests like httpx."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

HEADERS = {"Tus-Resumable": "1.0.0"}
BODY = {**HEADERS, "Content-Type": "application/offset+octet-stream"}


def metadata(**told: str) -> str:
    return ",".join(f"{k} {base64.b64encode(v.encode()).decode()}" for k, v in told.items())


def begin(client: Any, length: int, **told: str) -> Any:
    headers = {**HEADERS, "Upload-Length": str(length), "Upload-Metadata": metadata(**told)}
    return client.post("/api/v1/uploads", headers=headers)


def begun(client: Any, length: int, **told: str) -> str:
    answer = begin(client, length, **told)
    assert answer.status_code == 201, answer.text
    return str(answer.headers["location"])


def offset(client: Any, place: str) -> int:
    answer = client.head(place, headers=HEADERS)
    assert answer.status_code == 200, answer.status_code
    return int(answer.headers["upload-offset"])


def send(client: Any, place: str, at: int, body: Any, more: Mapping[str, str] | None = None) -> Any:
    return client.patch(place, headers={**BODY, "Upload-Offset": str(at), **(more or {})}, content=body)
