"""Asks a real registry, and keeps what it answers for `serving.Recorded`: python -m tests.images.record"""

from __future__ import annotations

import base64
import json
import tempfile
from pathlib import Path
from typing import Any

import httpx

from tests.images.docker_registry import ADA, registry
from tests.images.pushing import Pusher
from tests.images.serving import RECORDED
from tests.images.world import CONFIG, OTHER, many
from winslow_nomad.images.manifests import ACCEPT

KEPT = ("content-type", "docker-content-digest", "docker-distribution-api-version", "www-authenticate", "etag")


def record() -> dict[str, Any]:
    found: dict[str, Any] = {"open": {}, "moved": {}, "denied": {}}
    with tempfile.TemporaryDirectory() as folder, registry(Path(folder) / "open") as real:
        pusher = Pusher(real.url)
        pusher.image("team/tool", "1", CONFIG)
        many(pusher)
        for path in ("team/tool", "team/many"):
            follow(pusher.http, path, "1", found["open"])
        found["open"]["missing"] = seen(pusher.http, "/v2/team/tool/manifests/gone")
        pusher.image("team/tool", "1", OTHER)
        follow(pusher.http, "team/tool", "1", found["moved"])
        pusher.close()
    with (
        tempfile.TemporaryDirectory() as folder,
        registry(Path(folder) / "locked", login=ADA) as real,
        httpx.Client(base_url=real.url, trust_env=False) as nobody,
    ):
        found["denied"]["/v2/"] = seen(nobody, "/v2/team/tool/manifests/1")
    return found


def follow(http: httpx.Client, path: str, wanted: str, kept: dict[str, Any]) -> None:
    """The document, and whatever it names but layers."""
    url = f"/v2/{path}/manifests/{wanted}"
    kept[url] = seen(http, url)
    document = json.loads(base64.b64decode(kept[url]["body"]))
    kept[f"/v2/{path}/manifests/{kept[url]['headers']['docker-content-digest']}"] = kept[url]
    for entry in document.get("manifests", ()):
        follow(http, path, entry["digest"], kept)
    if "config" in document:
        blob = f"/v2/{path}/blobs/{document['config']['digest']}"
        kept[blob] = seen(http, blob)


def seen(http: httpx.Client, path: str) -> dict[str, Any]:
    answer = http.get(path, headers={"accept": ACCEPT})
    headers = {k: v for k, v in answer.headers.items() if k in KEPT}
    return {"status": answer.status_code, "headers": headers, "body": base64.b64encode(answer.content).decode()}


if __name__ == "__main__":
    RECORDED.write_text(json.dumps(record(), indent=1, sort_keys=True) + "\n")
