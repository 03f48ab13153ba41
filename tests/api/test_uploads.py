"""Uploads: no byte is lost, none is doubled, nothing is replaced unasked."""

from __future__ import annotations

import base64
import hashlib
import os
from pathlib import Path

from starlette.testclient import TestClient

from tests.api import tus
from tests.api.conftest import World


def inputs(world: World) -> Path:
    return world.installation.settings.share / "inputs"


def test_a_file_arrives_in_pieces_and_appears_when_it_is_whole(world: World, member: TestClient) -> None:
    content = os.urandom(9_000_000)
    place = tus.begun(member, len(content), filename="clip.mp4", path="junction/march", space="inputs")
    assert tus.send(member, place, 0, content[:5_000_000]).headers["upload-offset"] == "5000000"
    assert not (inputs(world) / "junction").exists(), "nothing is to be seen of half a file"
    assert tus.offset(member, place) == 5_000_000
    done = tus.send(member, place, 5_000_000, content[5_000_000:])
    assert done.status_code == 204, done.text
    assert done.headers["winslow-path"] == "junction/march/clip.mp4"
    assert (inputs(world) / "junction/march/clip.mp4").read_bytes() == content
    assert tus.offset(member, place) == len(content)


def test_smoke(world: World, member: TestClient) -> None:
    r = member.put("/api/v1/files/inputs/content?path=a/b.txt", content=b"hello\nworld\n")
    assert r.status_code == 201, r.text
    print(r.json(), r.headers)
    r = member.get("/api/v1/files/inputs/list?path=a"); print(r.text)
    r = member.get("/api/v1/files/inputs/content?path=a/b.txt", headers={"Range": "bytes=2-4"}); print(r.status_code, r.content, r.headers)
    for q in ("info?path=a", "text?path=a/b.txt&tail=1", "archive?path=a", "usage", "access?path=a", "preview?path=a/b.txt"):
        r = member.get("/api/v1/files/inputs/" + q); print(q, r.status_code, r.content[:200])
    r = member.post("/api/v1/files/inputs/rename", json={"from": "a/b.txt", "to": "c/d.txt"}); print(r.text)
    r = member.post("/api/v1/files/inputs/folders", json={"path": "x/y"}); print(r.text)
    r = member.delete("/api/v1/files/inputs/content?path=c"); print(r.text)
    r = member.get("/api/v1/files/inputs/list"); print(r.text)
    r = member.get("/api/v1/files/project:nope/list"); print(r.text)
    assert hashlib and base64
