"""From a commit to a mailbox: nothing is lost, whatever dies or is away, and nobody is told what is not for them."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest

from tests.notices.conftest import QUICK, Telling
from tests.waiting import until
from winslow_nomad.bootstrap.doctor import examine
from winslow_nomad.core import messages as m
from winslow_nomad.core.errors import Conflict, Invalid
from winslow_nomad.core.project import Member
from winslow_nomad.notices.sending import Pace, Sending
from winslow_nomad.notices.webhook import signature
from winslow_nomad.store.notices import Outbox


@contextmanager
def running(sending: Sending) -> Iterator[None]:
    stopping = threading.Event()
    thread = threading.Thread(target=sending.run, args=(stopping,))
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join(20)
    assert not thread.is_alive()


def ids(world: Telling) -> list[str]:
    return [str(letter["X-Winslow-Notification"]) for letter in world.mail.letters]


def text(world: Telling, number: int = -1) -> str:
    return str(world.mail.letters[number].get_content()).replace("\r\n", "\n")


def test_who_a_question_is_for_gets_a_mail_that_says_what_where_and_the_link(world: Telling) -> None:
    with running(world.sending()):
        world.project()
        until(lambda: world.mail.letters)
    (letter,) = world.mail.letters
    assert letter["To"] == "mem@example.org" and letter["From"] == "winslow@example.org"
    assert str(letter["Subject"]).startswith("Night p1 waits for you: ")
    assert letter["Message-ID"].startswith(f"<{letter['X-Winslow-Notification']}@")
    assert "https://winslow.example.org/projects/p1\n" in text(world)
    assert "https://winslow.example.org/settings/notifications" in text(world)


def test_many_questions_in_a_short_time_are_one_mail(world: Telling) -> None:
    with running(world.sending(Pace(quiet=1.0, longest=5.0, between=0.2))):
        for n in range(20):
            world.project(f"p{n}")
        until(lambda: world.mail.letters)
    (letter,) = world.mail.letters
    assert letter["Subject"] == "20 questions in 20 projects"
    assert [n for n in range(20) if f"/projects/p{n}\n" not in text(world)] == []


def test_what_one_does_oneself_is_not_told_unless_one_asks_for_it(world: Telling) -> None:
    with running(world.sending()):
        world.project("p1", actor="mem")
        world.project("p2", actor="mat")
        until(lambda: world.mail.letters)
        assert "p2" in text(world) and "p1" not in text(world)
        world.notices.change("mem", {"own_actions": True})
        world.project("p3", actor="mem")
        until(lambda: len(world.mail.letters) > 1)
    assert "p3" in text(world)


def test_a_webhook_is_told_each_thing_by_itself_and_signed(world: Telling) -> None:
    fresh = world.webhook()
    world.notices.change("ann", {"which": "all"})
    with running(world.sending()):
        world.project(gates=2)
        until(lambda: world.hook.calls)
        world.project("p2")
        until(lambda: len(world.hook.calls) >= 2)
    for call in world.hook.calls:
        said = signature(fresh.key, call.headers["x-winslow-timestamp"], call.body)
        assert call.headers["x-winslow-signature"] == said
        event = json.loads(call.body)
        assert event["id"] == call.headers["x-winslow-notification"] and event["event"] == "gate"
        assert event["url"] == f"https://winslow.example.org/projects/{event['project']['id']}"
    assert len({call.headers["x-winslow-notification"] for call in world.hook.calls}) == len(world.hook.calls)


def test_a_sender_killed_while_the_server_takes_a_letter_sends_it_again_under_the_same_id(world: Telling) -> None:
    world.mail.holding.set()
    first = world.sender()
    world.project()
    assert world.mail.held.wait(20)
    world.kill(first)
    (kept,) = world.notices._outbox.all()
    assert kept.sealed and kept.tries == 1
    world.mail.holding.clear()
    world.sender()
    until(lambda: world.mail.letters, 20)
    assert ids(world) == [kept.id]


@pytest.mark.chaos
def test_senders_killed_again_and_again_lose_nothing(world: Telling) -> None:
    """Every question arrives, however often who tells of it is killed, and ids tell the copies."""
    world.webhook()
    world.notices.change("ann", {"which": "all"})
    wanted = {f"p{n}" for n in range(60)}
    sender = world.sender()
    for n in range(60):
        world.project(f"p{n}")
        if n % 6 == 5:
            until(lambda known=n // 2: len(world.hook.calls) > known, 20)  # type: ignore[misc]
            world.kill(sender)
            sender = world.sender()

    def told() -> set[str]:
        return {json.loads(call.body)["project"]["id"] for call in world.hook.calls}

    until(lambda: told() == wanted, 60)
    by_id: dict[str, set[bytes]] = {}
    for call in world.hook.calls:
        by_id.setdefault(call.headers["x-winslow-notification"], set()).add(call.body)
    assert len(by_id) == 60
    assert all(len(bodies) == 1 for bodies in by_id.values())


def test_what_cannot_be_sent_now_is_sent_when_the_server_is_back(world: Telling) -> None:
    world.mail.stop()
    with running(world.sending()):
        world.project()
        waiting = until(lambda: world.notices.undelivered("mem"))
        assert "cannot be used" in waiting[0].error and waiting[0].dead is None
        world.mail.start()
        until(lambda: world.mail.letters)
    assert ids(world) == [waiting[0].id]
    assert world.notices.undelivered("mem") == []


def test_what_nobody_takes_for_a_day_is_given_up_and_can_be_sent_again_by_hand(world: Telling) -> None:
    world.hook.answer = lambda _: 503
    world.webhook("mem")
    world.notices.change("mem", {"mail": False})
    world.notices.change_channel("mem", world.notices.rules("mem").channels[0].id, {})
    world.installation.choices.change({"private_webhooks": True})
    with running(world.sending(Pace(again=0.1, most=0.2, enough=0.5))):
        world.project()
        (dead,) = until(lambda: [u for u in world.notices.undelivered("mem") if u.dead is not None])
        assert dead.error == "The webhook's server answered 503." and dead.tries > 1
        world.hook.answer = lambda _: 200
        told = len(world.hook.calls)
        world.notices.retry("mem", dead.id)
        until(lambda: len(world.hook.calls) > told)
        until(lambda: not world.notices.undelivered("mem"))
    assert {call.headers["x-winslow-notification"] for call in world.hook.calls} == {dead.id}


def test_a_mailbox_that_does_not_exist_is_not_tried_again(world: Telling) -> None:
    world.mail.refuse["mem@example.org"] = "550 no such person"
    with running(world.sending()):
        world.project()
        (dead,) = until(lambda: [u for u in world.notices.undelivered("mem") if u.dead is not None])
    assert dead.tries == 1 and "550 no such person" in dead.error


def test_a_webhook_of_one_who_is_no_administrator_does_not_reach_machines_of_our_own(world: Telling) -> None:
    world.webhook("mem")
    world.notices.change("mem", {"mail": False})
    with running(world.sending()):
        world.project()
        (dead,) = until(lambda: [u for u in world.notices.undelivered("mem") if u.dead is not None])
    assert "own network" in dead.error and world.hook.calls == []


def test_who_may_not_see_a_project_is_told_nothing_of_it_whatever_is_asked_for(world: Telling) -> None:
    world.installation.choices.change({"private_webhooks": True})
    for user in ("vic", "mat"):
        world.webhook(user)
        world.notices.change(user, {"which": "all"})
        world.notices.set_of_project(user, "p1", frozenset({"gate", "failure"}))
    with running(world.sending()):
        world.project()
        until(lambda: world.hook.calls)
        until(lambda: world.mail.letters)
    assert len(world.hook.calls) == 1  # that of mat, who sees all


def test_rights_that_end_while_a_message_waits_end_it(world: Telling) -> None:
    world.mail.stop()
    world.people.change("vic", {"email": "vic@example.org"})
    with running(world.sending(Pace(quiet=0.1, again=1.0, most=1.0))):
        world.project(members=(Member(user="vic", role="viewer"),))
        until(lambda: world.notices.undelivered("vic"))
        until(lambda: world.notices.undelivered("mem"))
        world.people.deactivate("vic")
        world.mail.start()
        until(lambda: world.mail.letters)
        until(lambda: not world.notices._outbox.all())
    assert [letter["To"] for letter in world.mail.letters] == ["mem@example.org"]


def test_a_project_can_be_followed_and_silenced(world: Telling) -> None:
    world.people.change("mat", {"email": "mat@example.org"})
    with running(world.sending()):
        world.notices.set_of_project("mem", "p1", frozenset())
        world.notices.set_of_project("mat", "p1", frozenset({"gate"}))
        world.project()
        until(lambda: world.mail.letters)
        world.project("p2")
        until(lambda: len(world.mail.letters) == 2)
    assert [(str(letter["To"]), "p1" in str(letter["Subject"])) for letter in world.mail.letters] == [
        ("mat@example.org", True),
        ("mem@example.org", False),
    ]


def test_channels_of_the_installation_are_told_of_every_project(world: Telling) -> None:
    world.notices.add_channel("", "webhook", "operations", world.hook.url, frozenset({"gate"}))
    with running(world.sending()):
        world.project(actor="mem")
        until(lambda: world.hook.calls)
    assert json.loads(world.hook.calls[0].body)["actor"] == "mem"


def test_a_secret_in_a_text_is_hidden(world: Telling) -> None:
    world.installation.secrets.put("LICENCE", "tops3cret-value")
    project = world.project(gates=0, members=(Member(user="mem"),))
    assert project.stages
    with running(world.sending()):
        failing = m.BecameImpossible(stage=1, text="no node has tops3cret-value")
        world.installation.sender.facts("p1", [failing])
        until(lambda: world.mail.letters)
    assert "no node has" in text(world) and "tops3cret" not in world.mail.letters[0].as_string()


def test_the_test_button_tells_what_became_of_it(world: Telling) -> None:
    fresh = world.webhook("mem")
    with running(world.sending()):
        by_mail = world.notices.test("mem", "mail")
        until(lambda: world.notices.tested("mem", by_mail.id).state == "sent")
        by_hook = world.notices.test("mem", fresh.channel.id)
        failed = until(lambda: (t := world.notices.tested("mem", by_hook.id)).state == "failed" and t)
        assert failed and "own network" in failed.text
    assert world.mail.letters[0]["Subject"] == "Winslow: a test"
    assert world.notices.undelivered("mem") == []


def test_a_node_that_stays_away_is_told_to_those_who_look_after_them_and_that_it_is_back(world: Telling) -> None:
    world.people.change("mat", {"email": "mat@example.org"})
    book, now = world.notices._outbox, world.installation.clock.now()
    for seconds in (0, 30, 70, 80):
        book.nodes({"castor": False, "pollux": True}, now + timedelta(seconds=seconds))
    with running(world.sending()):
        until(lambda: world.mail.letters)
        book.nodes({"castor": True, "pollux": True}, now + timedelta(seconds=90))
        until(lambda: len(world.mail.letters) == 2)
    assert [str(letter["To"]) for letter in world.mail.letters] == ["mat@example.org"] * 2
    assert "castor is down" in text(world, 0) and "castor is back" in text(world, 1)
    assert "pollux" not in text(world, 0)


def test_the_program_of_the_installation_is_called_as_before(world: Telling) -> None:
    said = world.home / "said"
    hook = world.home / "h" / "notify"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f'#!/bin/sh\nprintf "%s|" "$@" "$WINSLOW_NOTIFICATION" > {said}.new; mv {said}.new {said}\n')
    hook.chmod(0o755)
    with running(world.sending()):
        world.project()
        until(said.exists)
    what, project, name, _, identifier, _ = said.read_text().split("|")
    assert (what, project, name) == ("gate", "p1", "Night p1") and identifier


def test_what_was_decided_last_is_on_its_way_when_the_process_ends(world: Telling) -> None:
    with running(world.sending(Pace(quiet=30.0, longest=60.0))):
        world.project()
    assert len(world.mail.letters) == 1


def test_a_message_sent_again_by_hand_does_not_wait_for_the_pause_of_others(world: Telling) -> None:
    world.hook.answer = lambda _: 410
    world.webhook("ann")
    world.notices.change("ann", {"which": "all"})
    with running(world.sending(Pace(again=60.0, enough=600.0))):
        world.project()
        (dead,) = until(lambda: [u for u in world.notices.undelivered("ann") if u.dead is not None])
        world.hook.answer = lambda _: 503
        world.project("p2")
        until(lambda: [u for u in world.notices.undelivered("ann") if u.dead is None])
        world.hook.answer = lambda _: 200
        world.notices.retry("ann", dead.id)
        until(lambda: dead.id not in [u.id for u in world.notices.undelivered("ann")])
        assert len(world.notices.undelivered("ann")) == 1  # that of p2, which has its own time


def test_who_sent_before_another_one_writes_nothing_any_more(world: Telling) -> None:
    outbox = Outbox(world.installation.state, world.installation.keys)
    world.project()
    (place, notice), *_ = outbox.taken(10)
    old = world.installation.lease("old", "notices").hold()
    world.installation.state.incr(world.installation.keys.epoch("notices"))
    assert old is not None and notice is not None
    with pytest.raises(Conflict, match="Another process"):
        outbox.spread(old, [place], [])
    assert outbox.taken(10)


def test_without_the_key_of_the_secrets_a_channel_says_so_and_mail_goes_on(world: Telling) -> None:
    world.webhook("mem")
    world.installation.choices.change({"private_webhooks": True})
    key = world.home / "h" / "secret.key"
    key.write_bytes(os.urandom(32))
    with running(world.sending()):
        world.project()
        until(lambda: any("key of the secrets" in u.error for u in world.notices.undelivered("mem")))
        until(lambda: world.mail.letters)
        assert "https://winslow.example.org/projects/p1\n" in text(world)
        assert "Night" not in text(world) and "[hidden: the key of the secrets" in text(world)
        key.unlink()
    findings = [f for f in examine(world.installation) if f.subject == "notifications"]
    assert world.hook.calls == [] and findings


def test_two_senders_do_not_both_send(world: Telling) -> None:
    with running(world.sending(QUICK, "one")), running(world.sending(QUICK, "two")):
        for n in range(5):
            world.project(f"p{n}")
            until(lambda known=n: len(world.mail.letters) > known)  # type: ignore[misc]
    assert len(ids(world)) == len(set(ids(world))) == 5


@pytest.mark.parametrize("url", ["ftp://x.example", "https://", "http://a b.example/", "javascript:alert(1)", ""])
def test_an_address_that_is_no_webhook_is_refused(world: Telling, url: str) -> None:
    with pytest.raises(Invalid, match="cannot be used"):
        world.notices.add_channel("mem", "webhook", "x", url, None)


def test_the_address_of_a_channel_is_nowhere_to_be_read_in_the_store(world: Telling) -> None:
    world.notices.add_channel("mem", "webhook", "x", "https://example.org/s3cr3t-path", None)
    client = world.installation.state
    for key in client.scan_iter(match=f"{world.installation.keys.prefix}:*"):
        content = client.hgetall(key) if client.type(key) == b"hash" else client.dump(key)
        assert "s3cr3t-path" not in str(content), key
