"""What is said about a Nomad before anything is started on it."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.driver.nomad.certificates import Authority
from tests.driver.nomad.jobs import SITE
from tests.driver.nomad.server import FakeNomad
from winslow_nomad.core.client import Finding
from winslow_nomad.driver.nomad.access import Access
from winslow_nomad.driver.nomad.check import findings
from winslow_nomad.driver.nomad.client import Client


@pytest.fixture
def server() -> Iterator[FakeNomad]:
    with FakeNomad() as made:
        made.add_node("n1")
        yield made


NOW = datetime(2027, 3, 1, 3, tzinfo=UTC)


def found(server: FakeNomad, oversubscription: bool = False, now: datetime = NOW, **access: Any) -> list[Finding]:
    client = Client(Access(**{"address": server.address, "token": "t", "connect": 0.5, "answer": 0.5, **access}))
    return list(findings(client, SITE.model_copy(update={"oversubscription": oversubscription}), now))


def said(server: FakeNomad, **more: Any) -> dict[str, str]:
    """The texts of what is not in order, with how bad each is."""
    return {f"{f.text} {f.fix}": f.severity for f in found(server, **more) if f.severity != "ok"}


def test_what_is_in_order_is_said_in_two_lines(server: FakeNomad) -> None:
    texts = [f.text for f in found(server)]
    assert texts == [f"version 2.0.6 at {server.address}", "namespace winslow"]


@pytest.mark.parametrize(
    ("version", "severity"), [("2.0.4", ""), ("2.0.3", "warning"), ("1.11.3", "warning"), ("1.11.2", "problem")]
)
def test_an_older_version_is_warned_of_and_one_that_loses_events_is_a_problem(
    server: FakeNomad, version: str, severity: str
) -> None:
    server.version = version
    found = said(server)
    assert list(found.values()) == ([severity] if severity else [])
    assert all(version in text and "2.0.4" in text for text in found)


def test_a_namespace_that_is_missing_is_said_with_what_makes_it(server: FakeNomad) -> None:
    server.namespaces = set()
    ((text, severity),) = said(server).items()
    assert severity == "problem" and "nomad namespace apply winslow" in text


@pytest.mark.parametrize(
    ("path", "right"),
    [
        ("/v1/jobs", "list-jobs and read-job in the namespace winslow"),
        ("/v1/allocations", "read-job"),
        ("/v1/job/winslow-doctor/plan", "submit-job"),
        ("/v1/nodes", "node {"),
    ],
)
def test_a_right_that_is_missing_is_named(server: FakeNomad, path: str, right: str) -> None:
    server.answers = lambda method, asked: (403, "Permission denied") if asked == path else None
    ((text, severity),) = said(server).items()
    assert severity == "problem" and right in text


def test_who_cannot_be_reached_is_asked_once(server: FakeNomad) -> None:
    server.faults = lambda method, path: "refuse"
    ((text, severity),) = said(server).items()
    assert severity == "problem" and "the connection was lost" in text
    assert {path for _, path in server.asked} == {"/v1/agent/members"}


def test_a_namespace_that_the_token_may_not_see_is_told_from_one_that_is_missing(server: FakeNomad) -> None:
    server.answers = lambda method, asked: (403, "Permission denied") if asked == "/v1/namespace/winslow" else None
    ((text, severity),) = said(server).items()
    assert severity == "problem" and "no right in the namespace winslow, or there is none" in text
    assert "NOMAD_NAMESPACE" in text and "policy" in text


EXPIRED = (500, "ACL token expired")
UNKNOWN = (403, "Permission denied")


@pytest.mark.parametrize(
    ("answer", "words"), [(EXPIRED, "The token for Nomad has expired"), (UNKNOWN, "does not know Winslow's token")]
)
def test_a_token_that_is_no_good_is_told_from_a_right_that_is_missing(
    server: FakeNomad, answer: tuple[int, str], words: str, tmp_path: Path
) -> None:
    """Nomad says "Permission denied" to both."""
    server.token = answer
    server.answers = lambda method, asked: None if "acl" in asked else (403, "Permission denied")
    ((text, severity),) = said(server).items()
    assert severity == "problem" and words in text and "nomad acl token create" in text and "NOMAD_TOKEN" in text
    file = tmp_path / "token"
    file.write_text("t")
    file.chmod(0o600)
    ((text, _),) = said(server, token="", token_file=str(file)).items()
    assert f"write its Secret ID into {file}" in text and "NOMAD_TOKEN" not in text


def living(begin: datetime, end: datetime) -> dict[str, Any]:
    written = {"CreateTime": begin.isoformat(), "ExpirationTime": end.isoformat().replace("+00:00", ".123456789Z")}
    return {"Type": "client", "Policies": ["winslow"], **written}


@pytest.mark.parametrize(
    ("life", "left", "severity"),
    [
        (timedelta(days=365), timedelta(days=15), "ok"),
        (timedelta(days=365), timedelta(days=13), "warning"),
        (timedelta(days=1), timedelta(hours=3), "ok"),
        (timedelta(days=1), timedelta(hours=2), "warning"),
        (timedelta(days=1), timedelta(hours=-1), "problem"),
    ],
)
def test_a_token_that_ends_soon_is_warned_of(
    server: FakeNomad, life: timedelta, left: timedelta, severity: str
) -> None:
    server.token = (200, living(NOW + left - life, NOW + left))
    (told,) = [f for f in found(server) if "the token" in f.text]
    assert told.severity == severity and f"{NOW + left:%Y-%m-%d %H:%M}" in told.text
    assert severity == "ok" or "put its Secret ID into NOMAD_TOKEN" in told.fix


def test_a_token_that_may_do_everything_is_more_than_is_needed(server: FakeNomad) -> None:
    server.token = (200, {"Type": "management", "ExpirationTime": None})
    ((text, severity),) = said(server).items()
    assert severity == "warning" and "policy-winslow.hcl" in text


def test_a_cluster_without_access_control_is_noted(server: FakeNomad) -> None:
    server.token = (200, {"Type": "client", "AccessorID": "acls-disabled", "ExpirationTime": None})
    ((text, severity),) = said(server, token="").items()
    assert severity == "note" and "acl { enabled = true }" in text


def test_the_identity_of_a_job_is_no_token_that_ends(server: FakeNomad) -> None:
    server.token = (404, "ACL token not found")
    assert said(server) == {}


def test_a_file_of_the_token_that_others_read_is_warned_of(server: FakeNomad, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("t\n")
    file.chmod(0o644)
    ((text, severity),) = said(server, token="", token_file=str(file)).items()
    assert severity == "warning" and f"chmod 600 {file}" in text


@pytest.mark.parametrize(
    ("cluster", "winslow", "severity"),
    [(True, True, None), (False, False, None), (True, False, "note"), (False, True, "problem")],
)
def test_what_memory_max_means_is_the_same_on_both_sides(
    server: FakeNomad, cluster: bool, winslow: bool, severity: str | None
) -> None:
    server.scheduler["MemoryOversubscriptionEnabled"] = cluster
    assert list(said(server, oversubscription=winslow).values()) == ([severity] if severity else [])


def test_a_certificate_that_ends_soon_is_warned_of(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue("server", "server.global.nomad"))
    own, key = map(str, authority.issue("cli", "cli.global.nomad"))
    now = datetime.now(UTC)
    with FakeNomad(tls=context) as server:
        access = {"ca": str(authority.file), "certificate": own, "key": key, "server_name": "server.global.nomad"}
        server.add_node("n1")
        assert said(server, now=now, **access) == {}
        for text, severity in said(server, now=now + timedelta(minutes=55), **access).items():
            assert severity == "warning" and "ends on" in text
        late = said(server, now=now + timedelta(hours=2), **access)
        assert [severity for severity in late.values()] == ["problem", "problem"]
        assert any(own in text and "nomad tls cert create -cli" in text for text in late)
