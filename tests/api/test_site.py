"""The web UI's files, as they are asked for by browsers and by who looks for a way out of their folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.testclient import TestClient

from winslow_nomad.api.site import Site

WAYS = [
    "../secret", "..%2fsecret", "%2e%2e/secret", "assets/../../secret", "assets/%2e%2e/%2e%2e/secret",
    "assets/..%2f..%2fsecret", "/secret", "//secret", "%2fsecret", "..\\secret", "assets/%00", "%00", "a%00/../secret",
    "%ff", ".", "..", "linked", "assets/linked", "assets/linked/x", "....//secret", "..;/secret", "assets",
]  # fmt: skip


@pytest.fixture
def site(tmp_path: Path) -> TestClient:
    folder = tmp_path / "site"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text("the page")
    (folder / "assets" / "app-1a2b.js").write_text("the script")
    (tmp_path / "secret").write_text("a secret")
    (folder / "linked").symlink_to(tmp_path / "secret")
    (folder / "assets" / "linked").symlink_to(tmp_path)
    return TestClient(ExceptionMiddleware(Site(folder)), raise_server_exceptions=False, follow_redirects=False)


def test_files_are_kept_by_browsers_and_the_page_is_asked_for_anew(site: TestClient) -> None:
    script, page = site.get("/assets/app-1a2b.js"), site.get("/projects/p1/stages/3")
    assert script.text == "the script" and "immutable" in script.headers["cache-control"]
    assert page.text == "the page" and page.headers["cache-control"] == "no-cache"
    assert site.get("/assets/app-0000.js").status_code == 404


@pytest.mark.parametrize("way", [*WAYS, "a" * 5000, "a/" * 3000, "assets/" + "a" * 300])
def test_no_way_leads_out_and_none_is_a_failure(site: TestClient, way: str) -> None:
    answer = site.get(f"http://testserver/{way}")
    assert "a secret" not in answer.text
    assert answer.status_code == 404 or (answer.status_code == 200 and answer.text == "the page"), answer.text
