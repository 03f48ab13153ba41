"""The process that serves: connections of people who mean no good, its end, its neighbours, TLS, proxies, and how the
first person comes in."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import ipaddress
import os
import pty
import re
import select
import signal
import socket
import ssl
import stat
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from tests.api.conftest import Served, World
from tests.waiting import until
from winslow_nomad.api.authority import COOKIE
from winslow_nomad.bootstrap.certificate import examine_certificate
from winslow_nomad.bootstrap.protocol import LARGEST, PatientProtocol, among, networks
from winslow_nomad.bootstrap.serve import check_exposure, configuration, listen
from winslow_nomad.config import Settings, load
from winslow_nomad.core.errors import Invalid, Refused

API = "/api/v1"
ROOT = Path(__file__).parents[2]


# --- connections


async def words(scope: Scope, receive: Receive, send: Send) -> None:
    """Sends for ever at /large, and a word elsewhere."""

    async def pieces() -> AsyncIterator[bytes]:
        while scope["path"] == "/large":
            yield b"x" * 65536
            await asyncio.sleep(0)
        yield b"done"

    await StreamingResponse(pieces())(scope, receive, send)


@contextlib.contextmanager
def server(**patience: float) -> Iterator[tuple[int, uvicorn.Server]]:
    """In a thread, with less patience than usual. Answers its port."""
    protocol = type("Quick", (PatientProtocol,), patience)
    made = uvicorn.Server(uvicorn.Config(words, http=protocol, lifespan="off", log_config=None, access_log=False))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=made.run, args=([listening],))
        thread.start()
        try:
            until(lambda: made.started)
            yield listening.getsockname()[1], made
        finally:
            made.should_exit = made.force_exit = True
            thread.join(10)


def connect(port: int) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port))
    connection.settimeout(10)
    return connection


def readable(connection: socket.socket, seconds: float = 0.0) -> bool:
    return bool(select.select([connection], [], [], seconds)[0])


def rest_of(connection: socket.socket) -> bytes:
    """Until the other side closes; fails when it does not."""
    found = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := connection.recv(65536):
            found += piece
    return found


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nX-Slow: "], ids=["nothing", "a letter at a time"])
def test_headers_that_do_not_come_are_waited_for_only_so_long(sent: bytes) -> None:
    with server(headers_within=0.3) as (port, _), connect(port) as connection:
        connection.sendall(sent)
        stop = time.monotonic() + 8
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            while not readable(connection, 0.02) and time.monotonic() < stop:
                connection.sendall(b"a" if sent else b"")
        assert rest_of(connection) == b"" and time.monotonic() < stop


def test_the_headers_of_a_second_request_are_not_waited_for_either_and_a_quiet_connection_stays() -> None:
    with server(headers_within=0.3) as (port, running), connect(port) as connection:
        for _ in range(2):
            connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            answer = b""
            while not answer.endswith(b"0\r\n\r\n"):
                answer += connection.recv(65536)
            assert b"done" in answer
            assert not readable(connection, 0.5)  # longer than headers may take: a quiet connection is no slow one
        connection.sendall(b"GET / HTTP/1.1\r\nX: ")
        assert rest_of(connection) == b""
        until(lambda: not running.server_state.connections)


def test_endless_headers_are_not_kept() -> None:
    with server() as (port, running), connect(port) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nX: ")
        sent = 0
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            while sent < 200 * LARGEST:
                sent += connection.send(b"x" * 8192)
        assert sent < 200 * LARGEST
        until(lambda: not running.server_state.connections)


def test_who_takes_nothing_of_what_is_sent_is_let_go_and_who_reads_slowly_is_not() -> None:
    with server(read_within=0.5) as (port, running), connect(port) as dead, connect(port) as slow:
        for connection in (dead, slow):
            connection.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
        until(lambda: len(running.server_state.connections) == 2)
        taken = 0

        def read_some() -> bool:
            nonlocal taken
            taken += len(slow.recv(1 << 20))
            return len(running.server_state.connections) == 1

        until(read_some, every=0.02)
        for _ in range(30):
            time.sleep(0.02)
            read_some()
        assert taken and len(running.server_state.connections) == 1


def test_only_the_named_proxy_and_this_machine_may_connect_where_tls_ends_at_the_proxy(world: World) -> None:
    peers = networks(["10.0.0.0/24", "2001:db8::1"])
    for address in ("10.0.0.7", "::ffff:10.0.0.7", "2001:db8::1", "127.0.0.1", "::1"):
        assert among((address, 1), peers), address
    for address in ("10.0.1.7", "2001:db8::2", "192.168.0.1", "::ffff:10.0.1.7"):
        assert not among((address, 1), peers), address
    assert not among(None, peers)
    settings = world.installation.settings
    behind = replace(settings, trusted_proxies=("10.0.0.0/24",))

    def peers_of(settings: Settings, *, insecure: bool = False) -> object:
        protocol = configuration(world.app, settings, insecure).http
        assert isinstance(protocol, type) and issubclass(protocol, PatientProtocol)
        return protocol.peers

    assert peers_of(behind) == networks(["10.0.0.0/24"])
    assert peers_of(settings) is None and peers_of(behind, insecure=True) is None
    assert peers_of(replace(behind, tls_certificate="c", tls_key="k")) is None


# --- where it listens


def settings_of(world: World, **more: str) -> Settings:
    return load({**world.environ, **more})


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.1.2.3", "winslow.example"])
def test_it_listens_beyond_this_machine_only_with_tls_or_a_proxy_or_when_told_to(world: World, host: str) -> None:
    with pytest.raises(Refused) as error:
        check_exposure(settings_of(world), host, insecure=False)
    assert error.value.code == "serve.exposed"
    check_exposure(settings_of(world), host, insecure=True)
    check_exposure(settings_of(world, WINSLOW_TRUSTED_PROXIES="10.0.0.7"), host, insecure=False)


def test_a_certificate_that_cannot_be_used_is_told_before_anything_starts(
    world: World, certificate: tuple[Path, Path]
) -> None:
    good, key = map(str, certificate)
    other = world.home / "other.pem"
    private = ec.generate_private_key(ec.SECP256R1())
    pem = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8)
    for secret in (serialization.NoEncryption(), serialization.BestAvailableEncryption(b"asks for it")):
        other.write_bytes(private.private_bytes(*pem, secret))
        pairs = [(good, str(other)), (good, ""), ("", key), (good, "/none"), ("/none", key), (key, good), (good, good)]
        for pair in pairs:
            with pytest.raises(Refused) as error:
                found = settings_of(world, WINSLOW_TLS_CERTIFICATE=pair[0], WINSLOW_TLS_KEY=pair[1])
                check_exposure(found, "0.0.0.0", insecure=False)
            assert error.value.code == "serve.tls", pair
    check_exposure(settings_of(world, WINSLOW_TLS_CERTIFICATE=good, WINSLOW_TLS_KEY=key), "0.0.0.0", insecure=False)


def test_doctor_tells_how_long_the_certificate_is_good(world: World, certificate: tuple[Path, Path]) -> None:
    settings = settings_of(world, WINSLOW_TLS_CERTIFICATE=str(certificate[0]), WINSLOW_TLS_KEY=str(certificate[1]))
    certificate[1].chmod(0o600)
    now = datetime.datetime.now(datetime.UTC)
    told = [
        [f.severity for f in examine_certificate(settings, now + datetime.timedelta(days=days))] for days in (-30, 0, 1)
    ]
    assert told == [["ok"], ["warning"], ["problem"]]
    certificate[1].chmod(0o640)
    assert [f.severity for f in examine_certificate(settings, now)] == ["warning", "warning"]
    assert list(examine_certificate(settings_of(world), now)) == []


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_on_this_machine_it_listens_as_it_is(world: World, host: str) -> None:
    check_exposure(settings_of(world), host, insecure=False)


@pytest.mark.parametrize("proxies", ["everybody", "*", "10.0.0.300", "10.0.0.0/33"])
def test_a_proxy_is_named_by_its_address(world: World, proxies: str) -> None:
    with pytest.raises(Invalid) as error:
        settings_of(world, WINSLOW_TRUSTED_PROXIES=proxies)
    assert error.value.code == "settings.invalid"


def test_a_port_that_somebody_else_has_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other, pytest.raises(Refused) as error:
        listen("127.0.0.1", other.getsockname()[1])
    assert error.value.code == "serve.address"


# --- its life


def test_a_request_that_is_under_way_is_answered_when_the_process_is_told_to_end(served: Served) -> None:
    """A log-in: it hashes for a while, and its answer is worth something."""
    served.world.services.people.set_password("mem", "nineteen purple lanterns")
    body = b'{"user": "mem", "password": "nineteen purple lanterns"}'
    request = (
        b"POST /api/v1/session HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\n\r\n" % len(body)
    )
    with connect(served.port) as connection:
        connection.sendall(request)
        until(lambda: served.anonymous().get(f"{API}/session").status_code == 401)
        served.processes[0].send_signal(signal.SIGTERM)
        until(lambda: b"Shutting down" in served.output())
        connection.sendall(body)
        answer = rest_of(connection)
    assert b"200 OK" in answer and COOKIE.encode() in answer
    assert served.processes[0].wait(20) == 0
    with pytest.raises(httpx.ConnectError):
        served.anonymous().get(f"{API}/session")


@pytest.mark.chaos
def test_several_share_a_port_and_one_that_is_killed_leaves_the_others(served: Served) -> None:
    first = served.processes[0]
    second = served.start()
    served.start()
    first.kill()
    first.wait(10)
    statuses = []
    for _ in range(40):
        with contextlib.suppress(httpx.TransportError):  # what waited at the dead one is refused, not lost in silence
            statuses.append(served.signed_in("mem").get(f"{API}/session").status_code)
    assert len(statuses) >= 38 and set(statuses) == {200}
    second.send_signal(signal.SIGTERM)
    assert second.wait(20) == 0


def test_a_session_outlives_the_process_that_opened_it(served: Served) -> None:
    client = served.signed_in("mem")
    assert client.get(f"{API}/session").status_code == 200
    served.kill()
    served.start()
    assert client.get(f"{API}/session").status_code == 200


def test_what_the_process_writes_can_be_taken_apart_and_holds_no_query(served: Served) -> None:
    served.signed_in("mem").get(f"{API}/session?password=hunter2", headers={"X-Request-Id": "abc"})
    until(lambda: b"request=abc" in served.output())
    line = next(line for line in served.output().decode().splitlines() if "request=abc" in line)
    fields = dict(part.split("=", 1) for part in line.split(" "))
    told = [fields[name] for name in ("user", "status", "route", "method")]
    assert told == ["mem", "200", "/api/v1/session", "GET"]
    assert float(fields["ms"]) > 0 and fields["address"] == "127.0.0.1" and fields["level"] == "info"
    assert b"hunter2" not in served.output()


# --- TLS and proxies


@pytest.fixture
def certificate(world: World) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    files = world.home / "certificate.pem", world.home / "key.pem"
    files[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    files[1].write_bytes(key.private_bytes(serialization.Encoding.PEM, *private))
    return files


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def test_it_speaks_tls_with_a_certificate_of_our_own_and_its_cookies_travel_by_tls_alone(
    world: World, certificate: tuple[Path, Path]
) -> None:
    world.environ |= {"WINSLOW_TLS_CERTIFICATE": str(certificate[0]), "WINSLOW_TLS_KEY": str(certificate[1])}
    world.services.people.set_password("mem", "nineteen purple lanterns")
    served = Served(world, free_port())
    try:
        served.start()
        assert f"https://127.0.0.1:{served.port}".encode() in served.output()
        context = ssl.create_default_context(cafile=certificate[0])
        with httpx.Client(base_url=f"https://127.0.0.1:{served.port}", verify=context) as client:
            answer = client.post(f"{API}/session", json={"user": "mem", "password": "nineteen purple lanterns"})
            assert answer.status_code == 200 and "secure" in answer.headers["set-cookie"].lower()
            assert "max-age" in answer.headers["strict-transport-security"]
            old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        with pytest.raises(httpx.TransportError):
            httpx.get(f"http://127.0.0.1:{served.port}/")
        with pytest.warns(DeprecationWarning):
            old.maximum_version = ssl.TLSVersion.TLSv1_1
        old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
        with pytest.raises(httpx.TransportError):
            httpx.get(f"https://127.0.0.1:{served.port}/", verify=old)
    finally:
        served.kill()


FORWARDED = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https"}


@pytest.mark.parametrize("named", ["127.0.0.1", "10.9.9.9", ""])
def test_a_proxys_word_for_who_asks_is_taken_only_if_it_is_named(world: World, named: str) -> None:
    world.environ["WINSLOW_TRUSTED_PROXIES"] = named
    trusted = named == "127.0.0.1"
    world.services.people.set_password("mem", "nineteen purple lanterns")
    served = Served(world, free_port())
    try:
        served.start()
        with served.anonymous() as client:
            body = {"user": "mem", "password": "nineteen purple lanterns"}
            answer = client.post(f"{API}/session", json=body, headers=FORWARDED)
        assert answer.status_code == 200
        assert ("secure" in answer.headers["set-cookie"].lower()) is trusted
        (row,), _ = world.services.audit.read(limit=1)
        assert row.entry.address == ("203.0.113.9" if trusted else "127.0.0.1")
    finally:
        served.kill()


# --- the first person


def first_start(world: World) -> dict[str, str]:
    """The environment of an installation in which nobody is yet."""
    environ = {**world.environ, "WINSLOW_INSTALLATION": f"{world.environ['WINSLOW_INSTALLATION']}-new"}
    return {**environ, "USER": "Grace Hopper", "PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)}


def command(port: int) -> list[str]:
    return [sys.executable, "-m", "winslow_nomad.cli", "serve", "--port", str(port)]


def test_at_the_first_start_an_administrator_is_made_whose_secrets_only_this_user_can_read(world: World) -> None:
    port = free_port()
    environ = first_start(world)
    login = world.home / "h" / "login"
    output = world.home / "first.log"
    for start in (1, 2):
        with output.open("wb") as stream:
            process = subprocess.Popen(command(port), env=environ, stdout=stream, stderr=subprocess.STDOUT)
        try:
            until(lambda: b"is in" in output.read_bytes(), 30)
            text = login.read_text()
            assert stat.S_IMODE(login.stat().st_mode) == 0o600
            password = re.search(r"with the password (\S+)\.", text)
            assert bool(password) is (start == 1)
            link = re.search(r"(http://127\.0\.0\.1:\d+)/login#(\S+)", text)
            assert link is not None
            with httpx.Client(base_url=link[1]) as client:
                for status in (200, 401):
                    answer = client.post(f"{API}/session", json={"link": link[2]})
                    assert answer.status_code == status
                if password:
                    answer = client.post(f"{API}/session", json={"user": "grace-hopper", "password": password[1]})
                    assert (answer.status_code, answer.json()["role"]) == (200, "admin")
                    assert password[1].encode() not in output.read_bytes()
            assert link[2].encode() not in output.read_bytes()
        finally:
            process.terminate()
            assert process.wait(20) == 0


def test_at_a_terminal_the_link_is_shown_there_and_stored_nowhere(world: World) -> None:
    port = free_port()
    leader, follower = pty.openpty()
    nowhere = subprocess.DEVNULL
    process = subprocess.Popen(command(port), env=first_start(world), stdout=follower, stderr=nowhere, stdin=nowhere)
    os.close(follower)
    shown = b""
    try:

        def read() -> bool:
            nonlocal shown
            if select.select([leader], [], [], 0.05)[0]:
                shown += os.read(leader, 4096)
            return b"/login#" in shown and b"\n" in shown.partition(b"/login#")[2]

        until(read, 30)
        link = re.search(rb"/login#(\S+)", shown)
        assert link is not None and b"with the password " in shown
        assert not (world.home / "h" / "login").exists()
        answer = httpx.post(f"http://127.0.0.1:{port}{API}/session", json={"link": link[1].decode()})
        assert (answer.status_code, answer.json()["user"]) == (200, "grace-hopper")
    finally:
        process.terminate()
        process.wait(20)
        os.close(leader)


def test_it_does_not_start_where_it_would_be_exposed(world: World) -> None:
    everywhere = [*command(free_port()), "--host", "0.0.0.0"]
    done = subprocess.run(everywhere, env=first_start(world), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2 and "[serve.exposed]" in done.stderr
