"""The ways by themselves: what a letter, a webhook and a chat message look like, and where none of them may go."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from base64 import b64decode
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from tests.notices.servers import HookServer, MailServer, a_port
from winslow_nomad.core.notices import Message, Notice
from winslow_nomad.notices import chat, mail, texts, webhook
from winslow_nomad.notices.chat_process import Refused, Watch
from winslow_nomad.notices.reach import Undelivered, is_public

AT = datetime(2025, 3, 4, 23, 6, 7, tzinfo=UTC)


@pytest.fixture
def hook() -> Iterator[HookServer]:
    server = HookServer().start()
    yield server
    server.stop()


def a_notice(**changes: object) -> Notice:
    values = {"id": "c1.0", "what": "failure", "text": "exit code 3", "at": AT, "project": "p1", "name": "Night run",
              "stage": 4, "stage_id": "track", **changes}  # fmt: skip
    return Notice.model_validate(values)


def a_message(*notices: Notice, **changes: object) -> Message:
    values = {"id": "n1", "to": "mem", "channel": "mail", "notices": notices or (a_notice(),), "opened": AT, "due": AT}
    return Message.model_validate({**values, **changes})


# --- where they may go


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "127.8.9.1", "0.0.0.0", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.169.254",
     "100.64.0.1", "224.0.0.1", "255.255.255.255", "240.0.0.1", "198.18.0.1", "192.0.2.1", "::1", "::", "fe80::1%eth0",
     "fc00::1", "fd12:3456::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "2002:7f00:1::", "2002:a00:1::",
     "64:ff9b::7f00:1", "64:ff9b::a00:1", "2001:db8::1", "localhost", "", "1", "0x7f.1", "/run/x.sock"],
)  # fmt: skip
def test_no_address_of_a_network_of_our_own_is_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "93.184.216.34", "2606:4700::1111", "64:ff9b::808:808"])
def test_addresses_of_the_internet_are(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "127.1", "0", "2130706433", "0x7f000001", "[::1]", "[::ffff:127.0.0.1]"]
)
def test_however_this_machine_is_written_a_webhook_does_not_reach_it(hook: HookServer, host: str) -> None:
    with pytest.raises(Undelivered) as caught:
        webhook.post(f"http://{host}:{hook.port}/", "k", "n1", {}, anywhere=False)
    assert "own network" in caught.value.text and caught.value.for_ever
    assert hook.calls == []


def test_a_redirection_is_not_followed(hook: HookServer) -> None:
    other = HookServer().start()
    hook.answer, hook.headers = (lambda _: 307), {"location": other.url}
    with pytest.raises(Undelivered, match="answered 307"):
        webhook.post(hook.url, "k", "n1", {}, anywhere=True)
    other.stop()
    assert len(hook.calls) == 1 and other.calls == []


def test_a_server_that_answers_byte_by_byte_holds_nobody_for_long() -> None:
    port = a_port()
    stop = threading.Event()

    def drip() -> None:
        with socket.create_server(("127.0.0.1", port)) as listening:
            peer, _ = listening.accept()
            with peer:
                while not stop.wait(0.05):
                    try:
                        peer.sendall(b"H")
                    except OSError:
                        return

    thread = threading.Thread(target=drip)
    thread.start()
    begun = time.monotonic()
    with pytest.raises(Undelivered):
        webhook.post(f"http://127.0.0.1:{port}/", "k", "n1", {}, anywhere=True, seconds=1.0)
    assert time.monotonic() - begun < 5
    stop.set()
    thread.join(5)


def test_who_says_gone_is_not_asked_again(hook: HookServer) -> None:
    hook.answer = lambda _: 410
    with pytest.raises(Undelivered) as caught:
        webhook.post(hook.url, "k", "n1", {}, anywhere=True)
    assert caught.value.for_ever
    hook.answer = lambda _: 500
    with pytest.raises(Undelivered) as caught:
        webhook.post(hook.url, "k", "n1", {}, anywhere=True)
    assert not caught.value.for_ever


def test_a_login_in_the_address_is_sent_as_one(hook: HookServer) -> None:
    webhook.post(hook.url.replace("//", "//ada:p%40ss@"), "k", "n1", {}, anywhere=True)
    (call,) = hook.calls
    assert b64decode(call.headers["authorization"].removeprefix("Basic ")) == b"ada:p@ss"
    assert call.headers["host"] == f"127.0.0.1:{hook.port}"


def test_what_is_wrong_with_a_server_does_not_tell_its_address() -> None:
    for url in (f"http://127.0.0.1:{a_port()}/s3cr3t", "http://no-such-host.invalid/s3cr3t"):
        with pytest.raises(Undelivered) as caught:
            webhook.post(url, "k", "n1", {}, anywhere=True)
        assert "s3cr3t" not in caught.value.text and "no-such-host" not in caught.value.text


# --- chat


def test_a_chat_service_gets_title_and_text(hook: HookServer) -> None:
    chat.send(f"json://127.0.0.1:{hook.port}/x", "Night run failed", "line 1\nline 2", anywhere=True)
    told = json.loads(hook.calls[0].body)
    assert (told["title"], told["message"]) == ("Night run failed", "line 1\nline 2")


def test_a_chat_service_on_a_machine_of_our_own_is_not_reached(hook: HookServer) -> None:
    for host in ("127.0.0.1", "localhost"):
        with pytest.raises(Undelivered) as caught:
            chat.send(f"json://{host}:{hook.port}/x", "t", "b", anywhere=False)
        assert "own network" in caught.value.text and caught.value.for_ever
    assert hook.calls == []


def test_a_chat_service_that_refuses_is_tried_again_later_and_its_address_is_not_told(hook: HookServer) -> None:
    hook.answer = lambda _: 503
    with pytest.raises(Undelivered) as caught:
        chat.send(f"json://127.0.0.1:{hook.port}/s3cr3t", "t", "b", anywhere=True)
    assert caught.value.text == "The chat service answered 503." and not caught.value.for_ever


@pytest.mark.parametrize("url", ["syslog://", "nosuch://x", "file:///etc/passwd"])
def test_what_is_no_chat_service_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="no chat service"):
        chat.checked(url)


def test_a_well_known_service_is_known() -> None:
    assert chat.checked("slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/") == "slack"


def test_an_address_makes_the_library_neither_read_files_nor_start_programs() -> None:
    watch = Watch()
    for event, args in (
        ("open", ("/etc/passwd", "r", os.O_RDONLY)),
        ("open", ("/usr/lib/../../etc/passwd", "r", os.O_RDONLY)),
        ("open", (b"/proc/self/environ", "r", os.O_RDONLY)),
        ("open", ("/usr/share/x", "w", os.O_WRONLY | os.O_CREAT)),
        ("subprocess.Popen", ("/bin/sh", ["sh"], None, None)),
        ("os.system", ("ls",)),
        ("socket.connect", (None, "/run/docker.sock")),
        ("socket.connect", (None, ("169.254.169.254", 80))),
        ("socket.sendto", (None, ("10.0.0.1", 514))),
    ):
        with pytest.raises(Refused):
            watch(event, args)
    watch("open", ("/usr/share/zoneinfo/UTC", "r", os.O_RDONLY))
    watch("socket.connect", (None, ("93.184.216.34", 443)))


def test_the_watch_holds_in_the_process_that_sends() -> None:
    """A program that tries what the library might: each attempt is stopped by the interpreter itself."""
    program = (
        "import sys, socket, subprocess; from winslow_nomad.notices.chat_process import Watch; w = Watch();"
        "sys.addaudithook(w)\n"
        "for f in (lambda: socket.create_connection(('127.0.0.1', 9), 1), lambda: open('/etc/passwd'),"
        " lambda: subprocess.run(['true'])):\n"
        "    try: f()\n"
        "    except PermissionError as e: print(type(e).__name__)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["Refused"] * 3, done.stderr


# --- mail


def test_a_password_is_not_sent_to_a_server_far_away_that_does_not_encrypt() -> None:
    server = MailServer().start()
    letter = mail.Letter("n1", "a@b.example", "s", "b", AT)
    with pytest.raises(Undelivered, match="offers no encryption"):
        mail.send(f"smtp://ada:pw@127.1:{server.port}", "", letter)
    server.stop()
    assert server.letters == []


def test_names_and_texts_cannot_add_headers_or_recipients() -> None:
    notice = a_notice(name="x\r\nBcc: eve@example.org", text="a\r\nSubject: b")
    made = mail.written("w@x.example", mail.Letter("n1", "a@b.example", texts.subject(a_message(notice)), "b", AT))
    assert made["Bcc"] is None and "\n" not in str(made["Subject"])
    with pytest.raises(Undelivered) as caught:
        mail.send("smtp://127.0.0.1:1", "", mail.Letter("n1", "a@b.example\r\nBcc: eve@x.example", "s", "b", AT))
    assert caught.value.text


@pytest.mark.parametrize(
    ("url", "port", "sender"),
    [
        ("smtp://mail.example", 25, "winslow@mail.example"),
        ("smtps://u%40x.example:p%3A@mail.example", 465, "u@x.example"),
        ("smtp://u:p@mail.example", 587, "winslow@mail.example"),
        ("smtp://mail.example:2525", 2525, "winslow@mail.example"),
    ],
)
def test_what_the_address_of_a_mail_server_means(url: str, port: int, sender: str) -> None:
    assert mail.parts(url)[2] == port and mail.sender_of(url, "") == sender
    assert mail.sender_of(url, "me@x.example") == "me@x.example"


# --- what they say


def test_a_subject_says_who_what_and_which_project() -> None:
    assert texts.subject(a_message()) == "Night run: 0004-track failed: exit code 3"
    gate = a_notice(what="gate", text="Start track?")
    assert texts.subject(a_message(gate)) == "Night run waits for you: Start track?"
    assert texts.subject(a_message(gate, a_notice())) == "1 question, 1 failure in Night run"
    two = a_message(gate, gate.but(id="c2.0", project="p2", name="Other"), more=7)
    assert texts.subject(two) == "2 questions and 7 more in 2 projects"
    assert len(texts.subject(a_message(a_notice(text="x" * 1000)))) <= 150


def test_a_text_has_the_time_in_the_zone_of_the_installation_and_a_link() -> None:
    body = texts.body(a_message(a_notice(actor="ada")), "https://w.example", "Europe/Berlin")
    assert "2025-03-05 00:06 CET (after ada did something)" in body
    assert "https://w.example/projects/p1" in body
    assert "http" not in texts.body(a_message(), "", "UTC")


def test_a_webhook_says_the_same_at_every_try_and_what_it_is_about() -> None:
    message = a_message()
    event = texts.as_event(message, "https://w.example")
    assert texts.as_event(message.but(tries=5, error="x"), "https://w.example") == event
    assert event["stage"] == {"number": 4, "id": "track"} and event["event"] == "failure"
    node = a_notice(what="node", project="", name="", node="castor", stage=0, stage_id="")
    assert texts.as_event(a_message(node), "https://w.example")["url"] == "https://w.example/nodes"
