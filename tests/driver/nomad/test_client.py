"""What is asked of Nomad over real HTTP, and how its answers, errors and silences are sorted."""

from __future__ import annotations

import itertools
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.driver.nomad.certificates import Authority
from tests.driver.nomad.server import FakeNomad
from winslow_nomad.core.errors import DriverUnavailable
from winslow_nomad.driver.nomad import faults
from winslow_nomad.driver.nomad.access import Access
from winslow_nomad.driver.nomad.client import Agent, AlreadyThere, Client, parsed_version
from winslow_nomad.driver.nomad.faults import Answer, NoAnswer

TOKEN = "7e57c0de-0000-4000-8000-5ec2e7000000"
JOB = {"ID": "winslow-p-0001-1-abcdef", "Namespace": "winslow", "Meta": {"a": "b"}, "Priority": 50}


@pytest.fixture
def server() -> Iterator[FakeNomad]:
    with FakeNomad() as made:
        made.add_node("n1")
        yield made


@pytest.fixture
def client(server: FakeNomad) -> Iterator[Client]:
    made = Client(Access(address=server.address, token=TOKEN, region="eu", connect=0.5, answer=0.5))
    yield made
    made.close()


def test_every_request_names_namespace_and_region_and_shows_the_token(server: FakeNomad, client: Client) -> None:
    server.files["a", "alloc/x"] = b"12345"
    client.register(JOB)
    client.jobs("winslow-", only_wanted=True)
    client.allocations(filtered='ClientStatus == "x"')
    client.allocations_of(JOB["ID"])
    client.evaluations('Status == "blocked"')
    client.mistakes(JOB)
    client.size_of("a", "alloc/x")
    client.bytes_of("a", "alloc/x", 1, 3)
    client.deregister(JOB["ID"])
    for asked, query, headers in zip(server.asked, server.queries, server.headers, strict=True):
        assert query["namespace"] == "winslow" and query["region"] == "eu", asked
        assert headers["X-Nomad-Token"] == TOKEN, asked
    assert client.asked == len(server.asked)


def test_a_job_is_created_once_and_never_changed(server: FakeNomad, client: Client) -> None:
    assert client.register(JOB) == server.jobs[JOB["ID"]]["JobModifyIndex"]
    with pytest.raises(AlreadyThere):
        client.register(JOB)
    assert client.job(JOB["ID"])["Meta"] == {"a": "b"}
    assert client.job("another") is None


def test_a_stop_keeps_the_job_and_may_be_repeated(server: FakeNomad, client: Client) -> None:
    client.register(JOB)
    for _ in range(2):
        client.deregister(JOB["ID"])
    client.deregister("unknown")
    assert server.jobs[JOB["ID"]]["Stop"]
    assert not any(query.get("purge") for query in server.queries)
    assert client.jobs("winslow-", only_wanted=True).items == []
    assert [j["ID"] for j in client.jobs("winslow-", only_wanted=False).items] == [JOB["ID"]]


def test_lists_are_read_to_their_last_page_and_count_up_to_the_first_pages_index(server: FakeNomad) -> None:
    server.page = 2
    with_pages = Client(Access(address=server.address))
    for number in range(5):
        with_pages.register(JOB | {"ID": f"winslow-{number}"})
    before = server.index
    answered = itertools.count()

    def changes_meanwhile(method: str, path: str) -> None:
        if path == "/v1/jobs" and next(answered) == 1:
            server.index += 100

    server.faults = changes_meanwhile
    listing = with_pages.jobs("winslow-", only_wanted=True)
    assert [j["ID"] for j in listing.items] == [f"winslow-{n}" for n in range(5)]
    assert listing.index == before


def test_a_read_is_repeated_a_write_is_not(server: FakeNomad, client: Client) -> None:
    failures = itertools.chain(["refuse"], itertools.repeat(None))
    server.faults = lambda method, path: next(failures)
    assert client.job("x") is None
    assert server.count("GET", "/v1/job/") == 2
    server.faults = lambda method, path: "lose"
    with pytest.raises(NoAnswer) as lost:
        client.register(JOB)
    assert lost.value.sent, "it was carried out, and nobody said so"
    assert server.count("PUT", "/v1/jobs") == 1
    assert JOB["ID"] in server.jobs


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_read_that_is_put_off_is_repeated(server: FakeNomad, client: Client, status: int) -> None:
    said = itertools.chain([(status, "not now")], itertools.repeat(None))
    server.answers = lambda method, path: next(said)
    assert client.job("x") is None
    assert server.count("GET") == 2


@pytest.mark.parametrize("text", ["No cluster leader", "No path to region", "no servers"])
def test_after_a_failure_the_address_is_asked_for_anew(server: FakeNomad, client: Client, text: str) -> None:
    """A server that has lost the others, or that the address leads to no more, answers on for ever."""
    server.files["a", "alloc/x"] = b"12345"
    for asks in (client.nodes, lambda: client.size_of("a", "alloc/x")):
        server.callers.clear()
        asks()
        asks()
        server.answers = lambda method, path: (500, text)
        with pytest.raises(DriverUnavailable):
            asks()
        server.answers = lambda method, path: None
        asks()
        first, second, failed, after = server.callers
        assert first == second == failed, "a connection is used again"
        assert after != failed


def test_threads_that_ask_one_after_the_other_use_one_connection(server: FakeNomad, client: Client) -> None:
    """Nomad lets a machine have a hundred, and Winslow has several processes with dozens of threads each there."""
    for _ in range(12):
        asking = threading.Thread(target=client.nodes)
        asking.start()
        asking.join()
    assert len(server.callers) == 12 and len(set(server.callers)) == 1


def test_a_refusal_costs_no_connection(server: FakeNomad, client: Client) -> None:
    assert client.job("x") is None
    server.answers = lambda method, path: (403, "Permission denied")
    with pytest.raises(DriverUnavailable):
        client.nodes()
    assert len(set(server.callers)) == 1


SORTED = [
    (403, "Permission denied", "nomad.forbidden", "lacks list-jobs"),
    (403, "ACL token not found", "nomad.token", "does not know Winslow's token"),
    (403, "ACL token expired", "nomad.token", "has expired"),
    (403, faults.REGISTRATION_OFF, "nomad.registration_off", "switched off"),
    (500, "No path to region", "nomad.region", "NOMAD_REGION"),
    (400, "Client sent an HTTP request to an HTTPS server.", "nomad.tls", "https://"),
    (400, "Unable to parse index", "nomad.not_understood", "Unable to parse index"),
    (429, "Your IP is issuing too many concurrent connections", "nomad.too_many_requests", "limits"),
    (500, "rpc error: No cluster leader", "nomad.no_leader", "no leader"),
    (500, "rpc error: Not ready to serve consistent reads", "nomad.no_leader", "no leader"),
    (500, "raft: leadership lost while committing log", "nomad.failed", "leadership lost"),
    (404, "not found", "nomad.failed", "not found"),
]


@pytest.mark.parametrize(("status", "text", "code", "said"), SORTED)
def test_each_refusal_says_what_it_is_and_what_to_do(
    server: FakeNomad, client: Client, status: int, text: str, code: str, said: str
) -> None:
    server.answers = lambda method, path: (status, text) if path == "/v1/jobs" else None
    with pytest.raises(DriverUnavailable) as refused:
        client.jobs("winslow-", only_wanted=True)
    assert refused.value.code == code
    assert said in str(refused.value)
    assert refused.value.hint
    assert "list jobs" not in refused.value.message.partition(": ")[0], "which everybody reads who waits for Nomad"
    assert TOKEN not in str(refused.value) + repr(refused.value) + repr(client.access)


def test_without_a_token_a_refusal_says_that_one_is_wanted(server: FakeNomad) -> None:
    server.answers = lambda method, path: (403, "Permission denied")
    with pytest.raises(DriverUnavailable, match="wants a token") as refused:
        Client(Access(address=server.address)).nodes()
    assert refused.value.code == "nomad.token"


def test_a_token_that_is_put_into_its_file_is_used_from_the_next_request_on(server: FakeNomad, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("first\n")
    server.files["a", "alloc/x"] = b"12345"
    client = Client(Access(address=server.address, token_file=str(file)))
    for token in ("first", "second"):
        (tmp_path / "new").write_text(token)
        (tmp_path / "new").replace(file)
        begun = len(server.headers)
        client.nodes()
        client.size_of("a", "alloc/x")
        assert [h["X-Nomad-Token"] for h in server.headers[begun:]] == [token, token]
    client.close()


@pytest.mark.parametrize(
    ("content", "why"), [(None, "No such file"), (b"", "it is empty"), (b"two words", "no token"), (b"\xff", "no text")]
)
def test_a_file_that_holds_no_token_is_named_and_nomad_is_not_asked(
    server: FakeNomad, tmp_path: Path, content: bytes | None, why: str
) -> None:
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content)
    client = Client(Access(address=server.address, token_file=str(file)))
    for asks in (client.nodes, lambda: client.size_of("a", "x"), lambda: client.register(JOB)):
        with pytest.raises(DriverUnavailable, match=why) as refused:
            asks()
        assert refused.value.code == "nomad.token_file" and str(file) in refused.value.message
        assert "two words" not in str(refused.value)
    assert server.asked == []


def test_an_agent_that_answers_without_a_token_is_open(server: FakeNomad, client: Client) -> None:
    told = {"config": {"Client": {"MaxKillTimeout": "24h"}}}
    address = server.address.removeprefix("http://")

    def answers(method: str, path: str) -> tuple[int, str]:
        with_token = "X-Nomad-Token" in server.headers[-1]
        return (200, json.dumps(told)) if with_token or not closed else (403, "Permission denied")

    server.answers = answers
    for closed in (False, True):
        assert client.agent_at(address) == Agent("24h", open=not closed)
    server.answers = lambda method, path: (403, "Permission denied")
    assert client.agent_at(address) == Agent(None, open=False)


def test_who_is_not_there_cannot_have_done_anything() -> None:
    with FakeNomad() as gone:
        address = gone.address
    client = Client(Access(address=address))
    with pytest.raises(NoAnswer) as nobody:
        client.register(JOB)
    assert not nobody.value.sent
    with pytest.raises(DriverUnavailable, match="Connection refused") as refused:
        client.deregister("x")
    assert refused.value.code == "nomad.unreachable"
    with pytest.raises(DriverUnavailable, match="Connection refused"):
        client.size_of("a", "x")


def test_who_says_nothing_may_have_done_it(server: FakeNomad, client: Client) -> None:
    server.faults = lambda method, path: "silence"
    with pytest.raises(NoAnswer) as silent:
        client.register(JOB)
    assert silent.value.sent
    with pytest.raises(DriverUnavailable, match="did not answer in time") as unknown:
        client.deregister("x")
    assert unknown.value.code == "nomad.silent"


def test_an_answer_that_is_cut_off_is_none(server: FakeNomad, client: Client) -> None:
    client.register(JOB)
    server.faults = lambda method, path: "cut"
    with pytest.raises(DriverUnavailable, match="the connection was lost"):
        client.job(JOB["ID"])


BAD = "<html><head><title>502 Bad Gateway</title></head>\r\n<body><h1>502 Bad Gateway</h1></body></html>"
FORBIDDEN = "<html><head><title>403 Forbidden</title></head><body></body></html>"
NOT_FOUND = "<!DOCTYPE html><html><head><title>404 Not Found</title></head><body></body></html>"


@pytest.mark.parametrize(
    ("status", "text", "said"),
    [
        (502, BAD, "refuses: 502 Bad Gateway. It was to"),
        (503, "upstream connect error", "refuses: 503 upstream connect error. It was to"),
        (504, "", "refuses: 504. It was to"),
        (401, "", "refuses: 401. It was to"),
        (403, FORBIDDEN, "refuses: 403 Forbidden. It was to"),
        (404, NOT_FOUND, "refuses: 404 Not Found. It was to"),
    ],
)
def test_what_a_proxy_says_is_told_as_a_proxy_s_and_is_no_word_of_nomad_s(
    server: FakeNomad, client: Client, status: int, text: str, said: str
) -> None:
    """Not even that there is no such job, or no such file."""
    client.register(JOB)
    server.answers = lambda method, path: (status, text)
    questions: list[Callable[[], object]] = [
        lambda: client.jobs("winslow-", only_wanted=True),
        lambda: client.job(JOB["ID"]),
        lambda: client.node("n1"),
        lambda: client.size_of("a", "alloc/x"),
        lambda: client.deregister(JOB["ID"]),
    ]
    for ask in questions:
        with pytest.raises(DriverUnavailable) as refused:
            ask()
        assert refused.value.code == "nomad.proxy" and said in refused.value.message
        assert "<" not in refused.value.message and "token" not in refused.value.hint


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_token_is_not_taken_along_to_where_an_answer_sends_to(server: FakeNomad, client: Client, status: int) -> None:
    with FakeNomad() as other:
        server.answers = lambda method, path: (status, f"{other.address}{path}")
        with pytest.raises(Answer):
            client.register(JOB)
        for ask in (lambda: client.job(JOB["ID"]), lambda: client.size_of("a", "alloc/x")):
            with pytest.raises(DriverUnavailable) as refused:
                ask()
            assert refused.value.code == "nomad.proxy" and other.address in refused.value.message
        assert not other.asked


@pytest.mark.parametrize("text", ["<html>a proxy's idea</html>", "", '"a text"'])
def test_an_answer_that_is_not_nomads_is_none(server: FakeNomad, client: Client, text: str) -> None:
    server.answers = lambda method, path: (200, text)
    with pytest.raises(NoAnswer):
        client.register(JOB)
    for asks in (lambda: client.job("x"), client.nodes, lambda: client.allocations_of("x"), client.version):
        with pytest.raises(DriverUnavailable):
            asks()


def test_a_file_is_looked_at_before_it_is_read(server: FakeNomad, client: Client) -> None:
    server.files["a", "alloc/winslow/out"] = b"0123456789"
    assert client.size_of("a", "alloc/winslow/out") == 10
    assert client.bytes_of("a", "alloc/winslow/out", 3, 4) == b"3456"
    assert client.size_of("a", "alloc/winslow/err") is None
    assert client.bytes_of("a", "alloc/winslow/out", 3, 0) == b""
    reads = [h for (_, path), h in zip(server.asked, server.headers, strict=True) if "readat" in path]
    assert [h["Accept-Encoding"] for h in reads] == ["identity"]


def test_a_file_that_may_not_be_read_says_which_right_is_missing(server: FakeNomad, client: Client) -> None:
    server.answers = lambda method, path: (403, "Permission denied") if "/fs/" in path else None
    with pytest.raises(DriverUnavailable, match="read-fs"):
        client.size_of("a", "x")


@pytest.mark.parametrize(
    ("members", "version"),
    [
        ([("2.0.6-dev+abc", "alive"), ("1.11.3", "alive"), ("1.9.0", "left")], (1, 11, 3)),
        ([("2.0.10", "alive"), ("2.0.9", "alive")], (2, 0, 9)),
        ([], ()),
    ],
)
def test_the_oldest_living_server_counts(
    server: FakeNomad, client: Client, members: list[tuple[str, str]], version: tuple[int, ...]
) -> None:
    found = {"Members": [{"Tags": {"build": build}, "Status": status} for build, status in members]}
    server.answers = lambda method, path: (200, json.dumps(found)) if path == "/v1/agent/members" else None
    assert client.version() == version


def test_what_is_no_version_is_none() -> None:
    assert [parsed_version(t) for t in ("v2", "", "2.0.6", "10.1.2-beta.1")] == [(), (), (2, 0, 6), (10, 1, 2)]


# --- TLS

SERVER_NAME = "server.global.nomad"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def secure(authority: Authority) -> Iterator[FakeNomad]:
    """Has a certificate for Nomad's own name only, and wants one of its clients."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue("server", SERVER_NAME))
    context.load_verify_locations(authority.file)
    context.verify_mode = ssl.CERT_REQUIRED
    with FakeNomad(tls=context) as made:
        made.files["a", "x"] = b"file"
        yield made


@pytest.fixture
def trusted(secure: FakeNomad, authority: Authority) -> Access:
    certificate, key = authority.issue("client", "client.global.nomad")
    return Access(
        address=secure.address,
        ca=str(authority.file),
        certificate=str(certificate),
        key=str(key),
        server_name=SERVER_NAME,
        answer=2.0,
    )


def test_it_trusts_whom_the_authority_names_and_shows_its_own_certificate(secure: FakeNomad, trusted: Access) -> None:
    client = Client(trusted)
    assert client.job("x") is None
    assert client.size_of("a", "x") == 4
    client.close()


@pytest.mark.parametrize("wrong", [{"server_name": ""}, {"server_name": "server.eu.nomad"}, {"ca": ""}])
def test_another_name_or_another_authority_is_not_trusted(trusted: Access, wrong: dict[str, str]) -> None:
    client = Client(replace(trusted, **wrong))
    for asks in (lambda: client.job("x"), lambda: client.size_of("a", "x")):
        with pytest.raises(DriverUnavailable, match="not trusted") as refused:
            asks()
        assert refused.value.code == "nomad.tls"
        assert "NOMAD_TLS_SERVER_NAME" in refused.value.hint


def test_whoever_wants_to_may_trust_anybody(trusted: Access) -> None:
    client = Client(replace(trusted, verify=False, server_name="", ca=""))
    assert client.job("x") is None
    assert client.size_of("a", "x") == 4
    client.close()


def test_without_its_own_certificate_it_is_not_let_in(trusted: Access) -> None:
    client = Client(replace(trusted, certificate="", key=""))
    for asks in (lambda: client.job("x"), lambda: client.size_of("a", "x")):
        with pytest.raises(DriverUnavailable, match="wants a certificate of Winslow's") as refused:
            asks()
        assert refused.value.code == "nomad.tls" and "NOMAD_CLIENT_CERT" in refused.value.hint


def test_a_key_of_another_certificate_is_said(trusted: Access, authority: Authority) -> None:
    _, other = authority.issue("other", "other.global.nomad")
    client = Client(replace(trusted, key=str(other)))
    for asks in (lambda: client.job("x"), lambda: client.size_of("a", "x")):
        with pytest.raises(DriverUnavailable, match="certificates") as refused:
            asks()
        assert refused.value.code == "nomad.certificates"


def test_who_speaks_no_tls_is_not_asked_for_a_certificate(server: FakeNomad) -> None:
    client = Client(Access(address=server.address.replace("http:", "https:"), answer=2.0))
    for asks in (lambda: client.job("x"), lambda: client.size_of("a", "x")):
        with pytest.raises(DriverUnavailable, match="speaks no TLS") as refused:
            asks()
        assert "http://" in refused.value.hint


def test_a_certificate_that_was_replaced_is_used_without_a_restart(
    secure: FakeNomad, trusted: Access, authority: Authority, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    files = [tmp_path / "cert.pem", tmp_path / "key.pem"]

    def put(made: tuple[Path, Path]) -> None:
        for source, target in zip(made, files, strict=True):
            target.write_bytes(source.read_bytes())

    put(Authority(tmp_path / "other").issue("cli", "cli.global.nomad"))
    client = Client(replace(trusted, certificate=str(files[0]), key=str(files[1])))
    for asks in (lambda: client.job("x"), lambda: client.size_of("a", "x")):
        with pytest.raises(DriverUnavailable, match="does not take Winslow's certificate"):
            asks()
    put(authority.issue("again", "cli.global.nomad"))
    assert client.job("x") is None
    assert client.size_of("a", "x") == 4
    client.close()


@pytest.mark.parametrize("name", ["ca", "certificate"])
def test_a_certificate_file_that_is_not_there_is_named(trusted: Access, name: str, tmp_path: Path) -> None:
    client = Client(replace(trusted, **{name: str(tmp_path / "missing.pem")}))
    for asks in (lambda: client.job("x"), lambda: client.size_of("a", "x")):
        with pytest.raises(DriverUnavailable, match="certificates") as unusable:
            asks()
        assert unusable.value.code == "nomad.certificates"


def test_answer_and_silence_are_told_apart_from_everything_else() -> None:
    with pytest.raises(ZeroDivisionError):
        faults.raised(ZeroDivisionError())
    assert Answer(500, "a\n  b").text == "a b"
