"""No name leads out of its space, on no route: more than a hundred hostile names on every way a path can be given."""

from __future__ import annotations

import hashlib
import itertools
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from fastapi.routing import APIRoute
from starlette.testclient import TestClient

from tests.api import tus
from tests.api.conftest import World
from tests.api.standing import ground, member, world

__all__ = ["ground", "member", "world"]

BASES = ["../secret", "../../secret", "../../../secret", "../winslow.json", "../projects", "../uploads", "../trash"]
DOTS = ["..", "%2e%2e", "%252e%252e", "..;", "．．", "%c0%ae%c0%ae", ".%00."]
SLASHES = ["/", "%2f", "\\", "／", "%c0%af", "//"]
HOSTILE = [
    *BASES,
    *(f"{dot}{slash}secret" for dot, slash in itertools.product(DOTS, SLASHES)),
    *(f"folder/{dot}/{dot}/secret" for dot in DOTS),
    "/etc/passwd", "//etc/passwd", "///", "/", "./", ".", "..", "~", "~root/.ssh/id_rsa", "file:///etc/passwd",
    "\\\\server\\share", "C:\\Windows\\win.ini", "c:secret", "folder\0", "\0", "folder/\0/../secret", "nul", "CON",
    "/proc/self/environ", "/proc/self/fd/0", "/dev/zero", "/dev/stdin", "proc/self/root/etc/passwd",
    ".winslow", ".winslow/groups.json", "./.winslow/groups.json", "folder/../.winslow", ".partial-o1", ".partial-o1/x",
    "link-out", "link-out/passwd", "link-up", "link-up/secret", "link-root/etc/passwd", "link-proc/environ",
    "link-loop", "link-loop/x", "folder/link-out", "folder/link-up/secret", "folder/link-root/etc/passwd", "pipe",
    "folder//a", "folder/./a", "folder/../folder/a", "a" * 256, "a/" * 129, "é" * 128, "x" * 4097, "\x1b]0;\x07",
    "\r\nSet-Cookie: x=1", "a\nb", "\u202etxt.exe", "\ufeff", "\u200b", " ", "\t", "%", "%zz", "?", "#", "*",
    "folder/*", "{a,b}", "$(id)", "`id`", ";id", "|id", "'\"", "<script>", "-rf", "--", "\uef80", "\ufffd", "\ud7ff",
    "folder/\uef2e\uef2e/secret", "\uef00", "\uefaf", "\uefc0\uefae\uefc0\uefae\uefc0\uefafsecret", "\uefc0\uefae",
]  # fmt: skip
MARK = b"OUTSIDE"
Ask = Callable[[TestClient, str], Any]
F = "/api/v1/files/inputs"
ROUTES: dict[str, Ask] = {
    "list_files": lambda c, p: c.get(f"{F}/list", params={"path": p}),
    "file_info": lambda c, p: c.get(f"{F}/info", params={"path": p}),
    "download_file": lambda c, p: c.get(f"{F}/content", params={"path": p}),
    "head_file": lambda c, p: c.head(f"{F}/content", params={"path": p}),
    "file_sum": lambda c, p: c.get(f"{F}/sum", params={"path": p}),
    "preview_file": lambda c, p: c.get(f"{F}/preview", params={"path": p}),
    "put_file": lambda c, p: c.put(f"{F}/content", params={"path": p}, content=b"put"),
    "delete_file": lambda c, p: c.delete(f"{F}/content", params={"path": p}),
    "make_folder": lambda c, p: c.post(f"{F}/folders", json={"path": p}),
    "rename_file": lambda c, p: c.post(f"{F}/rename", json={"from": p, "to": "moved/here"}),
    "rename_file to": lambda c, p: c.post(f"{F}/rename", json={"from": "folder/a", "to": p, "overwrite": True}),
    "unpack_file": lambda c, p: c.post(f"{F}/unpack", json={"path": p, "into": "unpacked"}),
    "unpack_file into": lambda c, p: c.post(f"{F}/unpack", json={"path": "folder/a", "into": p}),
    "download_folder": lambda c, p: c.get(f"{F}/archive", params={"path": p}),
    "download_folder tar": lambda c, p: c.get(f"{F}/archive", params={"path": p, "format": "tar.gz"}),
    "read_text": lambda c, p: c.get(f"{F}/text", params={"path": p}),
    "read_series": lambda c, p: c.get(f"{F}/series", params={"path": p}),
    "folder_access": lambda c, p: c.get(f"{F}/access", params={"path": p}),
    "set_folder_access": lambda c, p: c.put(f"{F}/access", params={"path": p}, json={"groups": []}),
    "begin_upload": lambda c, p: _upload(c, path=p, filename="f"),
    "begin_upload name": lambda c, p: _upload(c, path="", filename=p),
}
WITHOUT_PATH = {"list_trash", "restore_file", "file_usage", "upload_options", "upload_offset", "continue_upload",
                "cancel_upload"}  # fmt: skip


def _upload(client: TestClient, **told: str) -> Any:
    try:
        answer = tus.begin(client, 3, conflict="replace", **told)
    except UnicodeEncodeError:
        return client.get(f"{F}/info?path=none")  # no client could have sent it
    if answer.status_code == 201:
        return tus.send(client, answer.headers["location"], 0, b"put")
    return answer


@pytest.fixture
def pool(world: World) -> Iterator[Path]:
    share = world.installation.settings.share
    world.installation.scribe  # noqa: B018 - makes the share
    inputs = share / "inputs"
    (inputs / "folder").mkdir(parents=True)
    (inputs / "folder" / "a").write_text("inside")
    (inputs / ".winslow").mkdir()
    (inputs / ".winslow" / "groups.json").write_text('{"folders": {}}')
    (inputs / ".partial-o1").mkdir()
    for place in (share, share.parent, share.parent.parent):
        (place / "secret").write_bytes(MARK)
    for folder in (inputs, inputs / "folder"):
        (folder / "link-out").symlink_to("/etc/passwd")
        (folder / "link-up").symlink_to("../" if folder == inputs else "../..")
        (folder / "link-root").symlink_to("/")
    (inputs / "link-proc").symlink_to("/proc/self")
    (inputs / "link-loop").symlink_to("link-loop")
    os.mkfifo(inputs / "pipe")
    yield inputs
    for place in (share, share.parent, share.parent.parent):
        with suppress(FileNotFoundError):
            (place / "secret").unlink()


def everything_outside(inputs: Path) -> dict[str, str]:
    """Of the share and the home around it, but what belongs to the pool and to uploads."""
    home = inputs.parents[2]
    found = {}
    for path in home.rglob("*"):
        inside = path.is_relative_to(inputs) and ".winslow" not in path.parts and ".partial-o1" not in path.parts
        ours = path.is_relative_to(inputs.parent / "uploads") or path.is_relative_to(inputs.parent / "trash")
        if not (inside or ours or path.is_dir() or path.suffix == ".log"):
            found[str(path)] = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "other"
    return found


def test_there_are_more_than_a_hundred_of_them_and_each_route_with_a_path_is_tried(world: World) -> None:
    assert len(set(HOSTILE)) > 120
    there = {
        r.name
        for r in world.app.routes
        if isinstance(r, APIRoute) and r.path.startswith(("/api/v1/files", "/api/v1/uploads"))
    }
    assert there == {n.partition(" ")[0] for n in ROUTES} | WITHOUT_PATH, "a new route has to be tried as well"


@pytest.mark.parametrize("route", ROUTES)
def test_no_name_leads_out(member: TestClient, pool: Path, route: str) -> None:
    before = everything_outside(pool)
    with member:  # one loop for all of them
        _try_all(member, pool, route)
    assert everything_outside(pool) == before


def _try_all(member: TestClient, pool: Path, route: str) -> None:
    for name in HOSTILE:
        answer = ROUTES[route](member, name)
        assert answer.status_code < 500, (name, answer.status_code, answer.text)
        assert MARK not in answer.content, name
        assert b"root:" not in answer.content, name
        assert "set-cookie" not in answer.headers, name
        if answer.status_code >= 400 and answer.content:
            assert answer.headers["content-type"] == "application/problem+json"
            assert str(pool.parent) not in answer.text, "where the share lies is nobody's business"
        if not (pool / "folder" / "a").exists():  # some names are fine
            (pool / "folder").mkdir(exist_ok=True)
            (pool / "folder" / "a").write_text("inside")
        shutil.rmtree(pool / "moved", ignore_errors=True)


def test_no_space_leads_out(member: TestClient, pool: Path) -> None:
    spaces = ["project:..", "project:../inputs", "project:.", "project:", "project:%2e%2e", "inputs/..", "..", "Inputs",
              "inputs:x", "project:a/b", "project:\0", "uploads", "trash", "project:" + "a" * 150, "p/x"]  # fmt: skip
    for space in spaces:
        with suppress(Exception):
            answer = member.get(f"/api/v1/files/{space}/list", params={"path": "secret"})
            assert answer.status_code in (404, 422), (space, answer.text)


def test_a_cookie_of_somebody_elses_page_changes_nothing(world: World, pool: Path) -> None:
    client = world.signed_in("mem")
    del client.headers["x-csrf-token"]
    for route in ("put_file", "delete_file", "make_folder", "rename_file", "unpack_file", "set_folder_access"):
        assert ROUTES[route](client, "folder").status_code == 403, route
    assert tus.begin(client, 3, filename="x").status_code == 403
    assert ROUTES["list_files"](client, "folder").status_code == 200
