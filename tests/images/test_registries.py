"""What registries may do to us, done by one in this process; and real ones with TLS and tokens."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.driver.nomad.certificates import Authority
from tests.images import docker_registry
from tests.images.docker_registry import ADA, TokenService, registry
from tests.images.pushing import DOCKER, OCI, Pusher
from tests.images.serving import Answered, Asked, Serving
from winslow_nomad.core.errors import ImageRefused, RegistryUnavailable
from winslow_nomad.images import registries
from winslow_nomad.images.registries import FRESH, LONGEST, Login, Registries, Site, _challenge

NAME = "team/tool:1"
CONFIG: dict[str, Any] = {"architecture": "amd64", "os": "linux", "config": {"Entrypoint": ["/run"]}}


def packed(document: Any) -> bytes:
    return document if isinstance(document, bytes) else json.dumps(document).encode()


def digest(document: Any) -> str:
    return f"sha256:{hashlib.sha256(packed(document)).hexdigest()}"


def manifest(config: Any = CONFIG, kind: str = DOCKER["config"]) -> dict[str, Any]:
    entry = {"mediaType": kind, "digest": digest(config), "size": 1}
    return {"schemaVersion": 2, "mediaType": DOCKER["manifest"], "config": entry, "layers": []}


def index(*entries: tuple[str, str, str]) -> dict[str, Any]:
    """Of operating system, architecture, and digest."""
    listed = [
        {"mediaType": OCI["manifest"], "digest": d, "size": 1, "platform": {"os": o, "architecture": a}}
        for o, a, d in entries
    ]
    return {"schemaVersion": 2, "mediaType": OCI["index"], "manifests": listed}


class Registry:
    """Has one tag, and what it names. `first`: what is answered before that, once each."""

    def __init__(self, tagged: Any = None, *more: Any, config: Any = CONFIG, kind: str = "") -> None:
        tagged = manifest(config) if tagged is None else tagged
        self.kind = kind
        self.first: list[Answered] = []
        self.documents = {f"/v2/team/tool/manifests/{at}": packed(tagged) for at in ("1", digest(tagged))}
        for document in (*more, config):
            for place in ("manifests", "blobs"):
                self.documents[f"/v2/team/tool/{place}/{digest(document)}"] = packed(document)

    def __call__(self, asked: Asked) -> Answered:
        if self.first:
            return self.first.pop(0)
        found = self.documents.get(asked.path)
        if found is None:
            return Answered(404, b'{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}')
        return Answered(200, found, {"content-type": self.kind} if self.kind else {})


class Hand:
    """A clock, and whoever waits by it."""

    def __init__(self) -> None:
        self.now = 0.0

    def wait(self, seconds: float) -> None:
        self.now += seconds


@contextmanager
def asking(
    answer: Callable[[Asked], Answered], login: Login | None = None, **site: Any
) -> Iterator[tuple[Registries, Serving, Hand]]:
    hand = Hand()
    with Serving(answer) as serving:
        asks = Registries(Site(**site), lambda _: login, monotonic=lambda: hand.now, pause=hand.wait)
        try:
            yield asks, serving, hand
        finally:
            asks.close()


@contextmanager
def who_asks(site: Site | None = None, login: Login | None = None, **more: Any) -> Iterator[Registries]:
    asks = Registries(site or Site(), lambda _: login, **more)
    try:
        yield asks
    finally:
        asks.close()


def refusal(answer: Callable[[Asked], Answered], login: Login | None = None) -> ImageRefused:
    with asking(answer, login) as (asks, serving, _), pytest.raises(ImageRefused) as refused:
        asks.look(f"{serving.host}/{NAME}")
    return refused.value


# --- documents


@pytest.mark.parametrize(
    ("registry", "code", "said"),
    [
        (Registry({"schemaVersion": 1, "fsLayers": []}), "image.unusable", "schema 1"),
        (Registry(manifest(kind="application/vnd.cncf.helm.config.v1+json")), "image.unusable", "helm"),
        (Registry({"schemaVersion": 2, "mediaType": "text/html"}), "image.unusable", "text/html"),
        (Registry(b"<html>a wiki</html>"), "image.unusable", "not JSON"),
        (Registry(b"[" * 100_000), "image.unusable", "not JSON"),
        (Registry(b"[1]"), "image.unusable", "not a JSON object"),
        (Registry({**manifest(), "config": None}), "image.unusable", "no configuration"),
        (Registry(index(("linux", "amd64", "sha1:abc"))), "image.unusable", "no sha256 digest"),
        (Registry({"mediaType": OCI["index"], "manifests": [1]}), "image.unusable", "no list of objects"),
        (Registry(config={**CONFIG, "os": "windows"}), "image.unusable", "windows"),
        (Registry(config={**CONFIG, "architecture": "s390x"}), "image.architecture", "s390x"),
        (Registry(index(("linux", "riscv64", digest("x")))), "image.architecture", "amd64 and arm64"),
        (Registry(index(("windows", "amd64", digest("x")))), "image.architecture", "something else"),
        (Registry(config={**CONFIG, "config": {"Cmd": "sh -c x"}}), "image.unusable", "no list"),
        (Registry(config={**CONFIG, "config": {"Cmd": ["a\0b"]}}), "image.unusable", "no text"),
        (Registry(config={**CONFIG, "config": {"Cmd": [7]}}), "image.unusable", "no text"),
        (Registry(config={**CONFIG, "config": {"Cmd": ["x" * 9000]}}), "image.unusable", "8192"),
        (Registry(b" " * (5 << 20)), "image.unusable", "4 MiB"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_image_for_us_is_refused_in_words(registry: Registry, code: str, said: str) -> None:
    refused = refusal(registry)
    assert refused.code == code and said in refused.message and NAME in refused.message and refused.hint


def test_a_list_within_a_list_is_refused() -> None:
    inner = index(("linux", "amd64", digest(manifest())))
    assert "lists a list" in refusal(Registry(index(("linux", "amd64", digest(inner))), inner)).message


def test_a_document_without_a_kind_is_what_the_answer_calls_it() -> None:
    bare = {k: v for k, v in manifest().items() if k != "mediaType"}
    with asking(Registry(bare, kind=f"{OCI['manifest']}; charset=utf-8")) as (asks, serving, _):
        found = asks.look(f"{serving.host}/{NAME}")
    assert found is not None and found.entrypoint == ("/run",) and found.digest == digest(bare)


def test_an_image_without_any_configuration_runs_nothing_by_itself() -> None:
    with asking(Registry(config={"architecture": "arm64", "os": "linux", "config": None})) as (asks, serving, _):
        found = asks.look(f"{serving.host}/{NAME}")
    assert found is not None and found.architectures == ("arm64",) and (found.entrypoint, found.command) == ((), ())


def test_variants_that_run_something_else_are_left_out() -> None:
    """So that what stands in the record is what runs, on whichever node."""
    other = {**CONFIG, "architecture": "arm64", "config": {"Entrypoint": ["/run-arm"]}}
    both = index(("linux", "arm64", digest(manifest(other))), ("linux", "amd64", digest(manifest())))
    with asking(Registry(both, manifest(), manifest(other), other)) as (asks, serving, _):
        found = asks.look(f"{serving.host}/{NAME}")
    assert found is not None and (found.architectures, found.entrypoint) == (("amd64",), ("/run",))
    assert found.digest == digest(both)


@pytest.mark.parametrize("place", ["manifests", "blobs"])
def test_what_is_not_what_its_digest_says_is_refused(place: str) -> None:
    many = index(("linux", "amd64", digest(manifest())))
    registry = Registry(many, manifest())
    for path in registry.documents:
        if f"{place}/sha256" in path:
            registry.documents[path] += b" "
    refused = refusal(registry)
    assert refused.code == "image.unusable" and "something else than sha256:" in refused.message


# --- passing troubles


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_passing_trouble_is_tried_again_at_once_and_a_lasting_one_waited_for(status: int) -> None:
    registry = Registry()
    registry.first = [Answered(status)] * 2
    with asking(registry) as (asks, serving, _):
        assert asks.look(f"{serving.host}/{NAME}") is not None
        registry.first = [Answered(status, b'{"errors":[{"message":"the disk is full"}]}')] * 3
        with pytest.raises(RegistryUnavailable) as away:
            asks.look(f"{serving.host}/team/tool:2")
    assert f"HTTP {status} (the disk is full)" in away.value.message


@pytest.mark.parametrize(("told", "left_alone"), [("30", 30.0), (None, registries.LEFT_ALONE), ("999999", LONGEST)])
def test_a_registry_that_takes_no_more_is_left_alone_for_as_long_as_it_says(
    told: str | None, left_alone: float
) -> None:
    registry = Registry()
    registry.first = [Answered(429, headers={"retry-after": told} if told else {})]
    with asking(registry) as (asks, serving, hand):
        for _ in range(3):
            with pytest.raises(RegistryUnavailable) as away:
                asks.look(f"{serving.host}/{NAME}")
            assert away.value.code == "registry.busy"
            hand.wait(left_alone / 4)
        assert len(serving.asked) == 1
        hand.wait(left_alone / 4)
        assert asks.look(f"{serving.host}/{NAME}") is not None


def test_a_registry_that_asks_for_a_moment_gets_it() -> None:
    registry = Registry()
    registry.first = [Answered(429, headers={"retry-after": "1"})]
    with asking(registry) as (asks, serving, hand):
        assert asks.look(f"{serving.host}/{NAME}") is not None
        assert hand.now == 1.0


def test_a_registry_that_says_nothing_costs_one_deadline() -> None:
    over = threading.Event()

    def never(_: Asked) -> Answered:
        over.wait(10)
        return Answered()

    began = time.monotonic()
    with Serving(never) as serving, who_asks(answer=0.2) as asks, pytest.raises(RegistryUnavailable) as away:
        try:
            asks.look(f"{serving.host}/{NAME}")
        finally:
            took = time.monotonic() - began
            over.set()
    assert away.value.code == "registry.silent" and took < 5


def test_a_look_as_a_whole_has_a_deadline() -> None:
    with asking(Registry()) as (asks, serving, hand):
        answer = serving.answer

        def slowly(asked: Asked) -> Answered:
            hand.wait(registries.WHOLE + 1)
            return answer(asked)

        serving.answer = slowly
        with pytest.raises(RegistryUnavailable):
            asks.look(f"{serving.host}/{NAME}")


def test_many_that_start_together_ask_once_and_a_configuration_is_fetched_once_for_ever() -> None:
    with asking(Registry()) as (asks, serving, hand):
        for _ in range(5):
            asks.look(f"{serving.host}/{NAME}")
        assert [a.path.split("/")[-2] for a in serving.asked] == ["manifests", "blobs"]
        hand.wait(FRESH)
        asks.look(f"{serving.host}/{NAME}")
        assert [a.path.split("/")[-2] for a in serving.asked] == ["manifests", "blobs", "manifests"]


# --- who we are


def locked(challenge: str, wanted: str, then: Callable[[Asked], Answered]) -> Callable[[Asked], Answered]:
    def answer(asked: Asked) -> Answered:
        if asked.path.startswith("/token") or asked.headers.get("authorization") == wanted:
            return then(asked)
        return Answered(401, headers={"www-authenticate": challenge})

    return answer


def test_a_token_is_asked_for_where_the_registry_says_with_the_scope_that_it_says() -> None:
    registry, tokens = Registry(), []

    def then(asked: Asked) -> Answered:
        if asked.path.startswith("/token"):
            tokens.append(asked)
            return Answered(200, b'{"access_token": "abc"}')
        return registry(asked)

    with asking(lambda a: Answered(), Login("ada", "kept")) as (asks, serving, _):
        realm = f'Bearer realm="http://{serving.host}/token?x=1",service="s",scope="repository:team/tool:pull"'
        serving.answer = locked(realm, "Bearer abc", then)
        assert asks.look(f"{serving.host}/{NAME}") is not None
    (asked,) = tokens
    assert asked.headers["authorization"] == f"Basic {base64.b64encode(b'ada:kept').decode()}"
    for part in ("x=1", "service=s", "scope=repository%3Ateam%2Ftool%3Apull", "account=ada"):
        assert part in asked.path


def test_without_a_log_in_a_token_for_nobody_is_asked_for() -> None:
    registry = Registry()

    def then(asked: Asked) -> Answered:
        assert asked.headers.get("authorization") in (None, "Bearer abc")
        return Answered(200, b'{"token": "abc"}') if asked.path.startswith("/token") else registry(asked)

    with asking(lambda a: Answered()) as (asks, serving, _):
        serving.answer = locked(f'Bearer realm="http://{serving.host}/token"', "Bearer abc", then)
        assert asks.look(f"{serving.host}/{NAME}") is not None


@pytest.mark.parametrize(
    "challenge", ["", "Negotiate", 'Basic realm="x"', 'Digest realm="x"', 'Bearer realm="http://HOST/token"']
)
@pytest.mark.parametrize("login", [None, Login("ada", "not this one")])
def test_whoever_is_not_let_in_is_told_what_to_do(challenge: str, login: Login | None) -> None:
    with asking(lambda a: Answered(), login) as (asks, serving, _):
        says = {"www-authenticate": challenge.replace("HOST", serving.host)}
        serving.answer = lambda a: Answered(401, b'{"errors":[{"message":"no"}]}', says)
        with pytest.raises(ImageRefused) as refused:
            asks.look(f"{serving.host}/{NAME}")
    assert refused.value.code == "image.denied" and "winslow registries set" in refused.value.hint
    assert ("somebody without a log-in" in refused.value.message) == (login is None)
    assert "not this one" not in str(refused.value)


def test_a_password_goes_to_no_token_service_without_tls() -> None:
    """Where the registry itself has TLS: this one is of another machine by its name alone."""
    with who_asks(login=Login("ada", "kept")) as asks, pytest.raises(RegistryUnavailable) as refused:
        asks.visit("registry.example.org", "a", "a")._authorize('Bearer realm="http://registry.example.org/token"')
    assert "not over TLS" in refused.value.message


def test_where_a_blob_lies_elsewhere_nobody_there_learns_who_we_are() -> None:
    registry = Registry()
    with asking(lambda a: Answered(), Login("ada", "kept")) as (asks, serving, _), Serving(registry) as elsewhere:

        def answer(asked: Asked) -> Answered:
            if "/blobs/" in asked.path:
                return Answered(307, headers={"location": f"http://{elsewhere.host}{asked.path}"})
            return registry(asked)

        basic = f"Basic {base64.b64encode(b'ada:kept').decode()}"
        serving.answer = locked("Basic realm=x", basic, answer)
        assert asks.look(f"{serving.host}/{NAME}") is not None
        assert serving.asked[-1].headers["authorization"] == basic
        assert [a.headers.get("authorization") for a in elsewhere.asked] == [None]


@pytest.mark.parametrize("target", ["/v2/team/tool/manifests/1", "file:///etc/passwd", "gopher://x/", "http://[/"])
def test_a_registry_that_sends_us_round_or_anywhere_is_given_up(target: str) -> None:
    with asking(lambda _: Answered(302, headers={"location": target})) as (asks, serving, _):
        with pytest.raises(RegistryUnavailable):
            asks.look(f"{serving.host}/{NAME}")
        assert len(serving.asked) <= registries.REDIRECTIONS


def test_a_registry_with_tls_sends_us_nowhere_without(tmp_path: Path) -> None:
    tls = Authority(tmp_path).issue("registry", "localhost")
    registry = Registry()
    with Serving(registry) as plain, Serving(lambda a: moved(a, plain.host), tls) as serving:
        with who_asks() as asks, pytest.raises(RegistryUnavailable, match="away from TLS"):
            asks.look(f"{serving.host}/{NAME}")
        assert serving.asked and not plain.asked


def moved(asked: Asked, host: str) -> Answered:
    return Answered(307, headers={"location": f"http://{host}{asked.path}"})


@pytest.mark.parametrize(
    ("header", "scheme", "parameters"),
    [
        (
            'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",'
            'scope="repository:library/busybox:pull"',
            "bearer",
            {
                "realm": "https://auth.docker.io/token",
                "service": "registry.docker.io",
                "scope": "repository:library/busybox:pull",
            },
        ),
        ('Basic realm="https://1.dkr.ecr.eu.amazonaws.com/",service="ecr.amazonaws.com"', "basic",
         {"realm": "https://1.dkr.ecr.eu.amazonaws.com/", "service": "ecr.amazonaws.com"}),
        ('Basic realm="Sonatype Nexus, \\"ours\\"", Bearer realm=https://x/t', "bearer", {"realm": "https://x/t"}),
        ('Bearer realm="https://x/t", Basic realm="y"', "bearer", {"realm": "https://x/t"}),
        ("bEaReR realm = \"https://x/t\"", "bearer", {"realm": "https://x/t"}),
        ("Negotiate", "", {}),
    ],
)  # fmt: skip
def test_a_challenge_is_read_as_registries_write_it(header: str, scheme: str, parameters: Mapping[str, str]) -> None:
    assert _challenge(header) == (scheme, parameters)


def test_hosts_that_only_nodes_reach_are_not_asked() -> None:
    with Serving(Registry()) as serving, who_asks(Site(unasked=(serving.host,))) as asks:
        assert asks.look(f"{serving.host}/{NAME}") is None
        assert not serving.asked


def test_only_named_hosts_and_this_machine_may_speak_without_tls() -> None:
    asks = Registries(Site(insecure=("10.0.0.7:5000",)), lambda _: None)  # opens nothing
    for host, may in {
        "10.0.0.7:5000": True, "localhost:5000": True, "127.3.2.1:5000": True, "[::1]:5000": True,
        "10.0.0.7:5001": False, "10.0.0.8:5000": False, "localhost.example.org": False, "docker.io": False,
    }.items():  # fmt: skip
        assert asks.insecure(host) is may, host


# --- real ones


@pytest.fixture
def real() -> None:
    docker_registry.need()


@pytest.mark.usefixtures("real")
def test_tokens_of_a_real_registry(tmp_path: Path) -> None:
    tokens = TokenService(tmp_path / "tokens", ADA)
    data = tmp_path / "registry"
    with registry(data) as open_one, Pusher(open_one.url) as pusher:  # pushed to while nobody is asked for a token
        pushed = pusher.image("team/tool", "1", {"Entrypoint": ["/run"]})
    try:
        with registry(data, tokens=tokens) as locked_one:
            with who_asks(login=Login(*ADA)) as asks:
                found = asks.look(f"{locked_one.host}/{NAME}")
                assert found is not None and found.digest == pushed
                asks.greet(locked_one.host)
            for login, said in ((None, "without a log-in"), (Login("ada", "x"), "wrong user or password")):
                with who_asks(login=login) as asks, pytest.raises(ImageRefused, match=said) as refused:
                    asks.look(f"{locked_one.host}/{NAME}")
                assert refused.value.code == "image.denied"
    finally:
        tokens.stop()


@pytest.mark.usefixtures("real")
def test_a_real_registry_with_tls_is_trusted_by_its_authority_alone(tmp_path: Path) -> None:
    """By a name that is not this machine's, since what is this machine's is trusted in any case."""
    authority = Authority(tmp_path)
    tls = authority.issue("registry", "registry.test")
    with registry(tmp_path / "registry", tls=tls) as served:
        port = served.host.rpartition(":")[2]
        host = f"registry.test:{port}"
        with resolved("registry.test"):
            with Pusher(f"https://{host}", trusting=authority.file) as pusher:
                pushed = pusher.image("team/tool", "1", {"Cmd": ["/run"]})
            for site in (Site(authority=str(authority.file)), Site(insecure=(host,))):
                with who_asks(site) as asks:
                    found = asks.look(f"{host}/{NAME}")
                assert found is not None and found.digest == pushed
            with who_asks() as asks, pytest.raises(RegistryUnavailable, match="is not trusted") as refused:
                asks.look(f"{host}/{NAME}")
            assert refused.value.code == "registry.certificate" and "ca_cert" in refused.value.hint


@pytest.mark.usefixtures("real")
def test_a_real_registry_without_tls_gets_nothing_unless_it_is_named(tmp_path: Path) -> None:
    with registry(tmp_path) as served, resolved("registry.test"):
        host = f"registry.test:{served.host.rpartition(':')[2]}"
        with Pusher(served.url) as pusher:
            pushed = pusher.image("team/tool", "1", {"Cmd": ["/run"]})
        with who_asks(login=Login("ada", "kept")) as asks, pytest.raises(RegistryUnavailable) as refused:
            asks.look(f"{host}/{NAME}")
        assert refused.value.code == "registry.no_tls" and "insecure" in refused.value.hint
        with who_asks(Site(insecure=(host,))) as asks:
            found = asks.look(f"{host}/{NAME}")
        assert found is not None and found.digest == pushed


@contextmanager
def resolved(name: str) -> Iterator[None]:
    """Its address is this machine's, for this process."""
    import socket

    before = socket.getaddrinfo

    def ours(host: Any, *more: Any, **options: Any) -> Any:
        return before("127.0.0.1" if host in (name, name.encode()) else host, *more, **options)

    socket.getaddrinfo = ours
    try:
        yield
    finally:
        socket.getaddrinfo = before
