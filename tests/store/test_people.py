"""People, sessions, tokens, limits and audit on a real server."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import pytest
from argon2 import PasswordHasher

from tests.valkey import Server
from winslow_nomad.core.access import Role
from winslow_nomad.core.audit import AuditEntry
from winslow_nomad.core.errors import Invalid, NotFound, Refused, TooMany, Unidentified
from winslow_nomad.core.people import Group, Opened, Person
from winslow_nomad.store import limits, sessions
from winslow_nomad.store.audit import RedisAudit
from winslow_nomad.store.dump import dump, load
from winslow_nomad.store.keys import Keys
from winslow_nomad.store.passwords import Passwords
from winslow_nomad.store.people import RedisPeople
from winslow_nomad.store.sessions import digest

START = datetime(2025, 3, 3, 9, 0, tzinfo=UTC)
PASSWORD = "correct horse battery"
HASHER = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
QUICK = Passwords(HASHER)
HERE = "10.0.0.1"


class Clock:
    def __init__(self) -> None:
        self.time = START

    def now(self) -> datetime:
        return self.time

    def pass_(self, **much: float) -> None:
        self.time += timedelta(**much)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def people(server: Server, clock: Clock) -> RedisPeople:
    return with_people(server, clock)


def with_people(server: Server, clock: Clock) -> RedisPeople:
    """As another process has them."""
    made = RedisPeople(server.client, clock, server.keys, QUICK)
    if not made.persons():
        made.add(Person(name="ann", role=Role.ADMIN, made=START))
        made.add(Person(name="ada", role=Role.MEMBER, made=START), PASSWORD)
    return made


def everything(server: Server) -> str:
    """All that is stored under this test's prefix, keys and values."""
    client: Any = server.client
    read: dict[bytes, Callable[[bytes], object]] = {
        b"string": client.get,
        b"hash": client.hgetall,
        b"set": client.smembers,
        b"zset": lambda k: client.zrange(k, 0, -1),
        b"list": lambda k: client.lrange(k, 0, -1),
        b"stream": client.xrange,
    }
    keys = list(client.scan_iter(match=f"{server.keys.prefix}:*"))
    return "\n".join(f"{key!r} {read[client.type(key)](key)!r}" for key in keys)


# --- sessions


def test_a_session_is_found_by_its_secret_and_by_nothing_else(people: RedisPeople) -> None:
    opened = people.log_in("ada", PASSWORD, HERE)
    found = people.of_session(opened.secret)
    assert found is not None and (found.user, found.role, found.scopes) == ("ada", Role.MEMBER, None)
    for other in ("", opened.secret[:-1], opened.secret + "x", digest(opened.secret), "*", "\udcff"):
        assert people.of_session(other) is None


def test_the_store_knows_no_secret(server: Server, people: RedisPeople) -> None:
    opened = people.log_in("ada", PASSWORD, HERE)
    link = people.make_link("ada", 60)
    _, token = people.add_token("ada", "nightly", frozenset({"read"}))
    people.of_token(token)
    stored = everything(server)
    for secret in (opened.secret, link, token, token.partition("_")[2].partition("_")[2], PASSWORD):
        assert secret not in stored
    assert digest(token) in stored  # the search finds what is there


def test_a_session_that_is_not_used_ends_and_one_that_is_used_goes_on_until_its_last_day(
    server: Server, people: RedisPeople, clock: Clock
) -> None:
    opened = people.open_session("ada", "password")
    key = server.keys.session(digest(opened.secret))
    assert 0 < server.client.ttl(key) <= sessions.IDLE  # the store lets it go by itself
    server.client.expire(key, 1000)
    assert people.of_session(opened.secret) is not None
    assert server.client.ttl(key) > 1000  # it was used
    clock.pass_(seconds=sessions.LONGEST - 100)
    server.client.expire(key, 10)
    assert people.of_session(opened.secret) is not None
    assert server.client.ttl(key) <= 100  # never beyond its end
    clock.pass_(seconds=101)
    assert people.of_session(opened.secret) is None


def test_another_password_ends_all_sessions_at_once_in_all_processes(
    server: Server, people: RedisPeople, clock: Clock
) -> None:
    other = with_people(server, clock)
    first, second = people.log_in("ada", PASSWORD, HERE), other.open_session("ada", "link")
    anns = people.open_session("ann", "password")
    people.set_password("ada", "another long password")
    assert other.of_session(first.secret) is None and other.of_session(second.secret) is None
    assert other.of_session(anns.secret) is not None
    with pytest.raises(Unidentified):
        other.log_in("ada", PASSWORD, HERE)
    assert other.log_in("ada", "another long password", HERE).session.user == "ada"


def test_a_password_that_is_changed_while_somebody_logs_in_with_the_old_one_leaves_no_session(
    server: Server, people: RedisPeople, clock: Clock
) -> None:
    class Slow(Passwords):
        """Another process changes the password between comparing and opening."""

        def matches(self, hashed: str, password: str) -> bool:
            done = super().matches(hashed, password)
            people.set_password("ada", "another long password")
            return done

    late = RedisPeople(server.client, clock, server.keys, Slow(HASHER))
    opened = late.log_in("ada", PASSWORD, HERE)
    assert people.of_session(opened.secret) is None and late.of_session(opened.secret) is None


def test_a_password_hashed_with_old_parameters_is_hashed_anew_at_the_next_log_in(
    server: Server, people: RedisPeople, clock: Clock
) -> None:
    newer = RedisPeople(
        server.client, clock, server.keys, Passwords(PasswordHasher(time_cost=2, memory_cost=8, parallelism=1))
    )
    first = people.log_in("ada", PASSWORD, HERE)
    newer.log_in("ada", PASSWORD, HERE)
    assert "t=2" in everything(server).partition(server.keys.people)[2]
    assert newer.of_session(first.secret) is not None  # nobody is thrown out by it
    assert newer.log_in("ada", PASSWORD, HERE)


def test_a_link_lets_in_once_and_not_when_it_is_too_old_or_its_person_has_gone(
    server: Server, people: RedisPeople
) -> None:
    link = people.make_link("ada", 60)
    assert people.log_in_by_link(link, HERE).session.by == "link"
    with pytest.raises(Unidentified):
        people.log_in_by_link(link, HERE)
    assert 0 < server.client.ttl(server.keys.link(digest(people.make_link("ada", 60)))) <= 60
    before = people.make_link("ada", 60)
    people.deactivate("ada")
    people.activate("ada")
    with pytest.raises(Unidentified):
        people.log_in_by_link(before, HERE)


def test_only_one_of_many_who_use_a_link_at_once_comes_in(people: RedisPeople) -> None:
    link, opened, gate = people.make_link("ada", 60), [], threading.Barrier(4)

    def come_in() -> None:
        gate.wait(10)
        try:
            opened.append(people.log_in_by_link(link, HERE))
        except Unidentified:
            return

    threads = [threading.Thread(target=come_in) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(opened) == 1


# --- log-in


def test_nobody_learns_from_a_refusal_whether_there_is_such_a_person(people: RedisPeople) -> None:
    people.add(Person(name="gone", made=START), PASSWORD)
    people.deactivate("gone")
    said = set()
    for user, password in (("ada", "wrong"), ("nobody", "wrong"), ("ann", ""), ("gone", PASSWORD), ("", PASSWORD)):
        with pytest.raises(Unidentified) as error:
            people.log_in(user, password, HERE)
        said.add((str(error.value), error.value.code))
    assert len(said) == 1


def test_a_refusal_costs_the_same_hash_whoever_is_named(server: Server, people: RedisPeople, clock: Clock) -> None:
    class Counted(PasswordHasher):
        verified = 0

        def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:  # noqa: A002 the library's name
            self.verified += 1
            return super().verify(hash, password)

    hasher = Counted(time_cost=1, memory_cost=8, parallelism=1)
    counting = RedisPeople(server.client, clock, server.keys, Passwords(hasher))
    for user in ("ada", "nobody", "ann"):
        before = hasher.verified
        with pytest.raises(Unidentified):
            counting.log_in(user, "wrong", HERE)
        assert hasher.verified == before + 1


def test_too_many_attempts_are_not_looked_at_any_more_even_by_another_process_and_even_if_right(
    server: Server, people: RedisPeople, clock: Clock
) -> None:
    for _ in range(limits.PAIR.attempts):
        with pytest.raises(Unidentified):
            people.log_in("ada", "wrong", HERE)
    for who in (people, with_people(server, clock)):
        with pytest.raises(TooMany) as error:
            who.log_in("ada", PASSWORD, HERE)
        assert 0 < error.value.retry_after <= limits.PAIR.seconds
        assert error.value.code == "session.too_many"
    assert people.log_in("ada", PASSWORD, "10.0.0.2").session.user == "ada"  # she herself, from elsewhere


def test_names_that_do_not_exist_are_limited_like_others(people: RedisPeople) -> None:
    for _ in range(limits.PAIR.attempts):
        with pytest.raises(Unidentified):
            people.log_in("nobody", "wrong", HERE)
    with pytest.raises(TooMany):
        people.log_in("nobody", "wrong", HERE)


def test_one_address_cannot_try_many_names_and_an_office_that_logs_in_is_no_attacker(people: RedisPeople) -> None:
    for _ in range(limits.ADDRESS.attempts + 5):
        people.log_in("ada", PASSWORD, HERE)  # a whole office behind one address
    for n in range(limits.ADDRESS.attempts):
        with pytest.raises(Unidentified):
            people.log_in(f"user{n}", "wrong", HERE)
    with pytest.raises(TooMany):
        people.log_in("another", "wrong", HERE)


def test_one_address_cannot_try_many_links(people: RedisPeople) -> None:
    link = people.make_link("ada", 60)
    for n in range(limits.PAIR.attempts):
        with pytest.raises(Unidentified):
            people.log_in_by_link(f"guess{n}", HERE)
    with pytest.raises(TooMany):
        people.log_in_by_link(link, HERE)
    assert people.log_in_by_link(link, "10.9.9.9").session.user == "ada"


def test_guessing_one_name_from_many_addresses_ends_too_but_not_for_addresses_she_is_known_at(
    people: RedisPeople,
) -> None:
    people.log_in("ada", PASSWORD, HERE)
    attempts = 0
    with pytest.raises(TooMany):
        for n in range(limits.NAME.attempts + 1):
            attempts = n
            with pytest.raises(Unidentified):
                people.log_in("ada", "wrong", f"10.1.{n}.1")
    assert attempts == limits.NAME.attempts
    assert people.log_in("ada", PASSWORD, HERE).session.user == "ada"


def test_nobody_can_lock_another_person_out_from_one_address(people: RedisPeople) -> None:
    for _ in range(limits.NAME.attempts * 2):
        with pytest.raises((Unidentified, TooMany)):
            people.log_in("ada", "wrong", "10.6.6.6")
    assert people.log_in("ada", PASSWORD, "10.0.0.9").session.user == "ada"


def test_a_count_always_ends_by_itself(server: Server, people: RedisPeople) -> None:
    with pytest.raises(Unidentified):
        people.log_in("ada", "wrong", HERE)
    counted = list(server.client.scan_iter(match=f"{server.keys.prefix}:limit:*"))
    assert len(counted) == 3
    assert all(0 < server.client.ttl(key) <= 900 for key in counted)
    for key in counted:
        server.client.persist(key)  # as after a restore from elsewhere
    with pytest.raises(Unidentified):
        people.log_in("ada", "wrong", HERE)
    assert all(0 < server.client.ttl(key) <= 900 for key in counted)


def test_an_address_of_the_sixth_version_counts_as_its_network() -> None:
    assert limits.network("2001:db8::1") == limits.network("2001:db8::ffff:2") != limits.network("2001:db8:0:1::1")
    assert limits.network("::ffff:10.0.0.1") == limits.network("10.0.0.1")
    assert limits.network("") == "" and limits.network("a socket") == "a socket"


@pytest.mark.parametrize("password", ["", "short", "aaaaaaaaaaaaaa", "ababababababab", "ada", "ada-12345", "x" * 1025])
def test_weak_passwords_are_refused(people: RedisPeople, password: str) -> None:
    with pytest.raises(Invalid) as error:
        people.set_password("ada", password)
    assert error.value.code == "password.weak" and (not password or password not in str(error.value).split())
    assert people.log_in("ada", PASSWORD, HERE)


def test_a_password_is_the_same_on_every_keyboard(people: RedisPeople) -> None:
    people.set_password("ada", "stra\u0073\u0301enbahn auf gleis 9")
    assert people.log_in("ada", "stra\u015benbahn auf gleis 9", HERE)


# --- persons and groups


def test_a_change_is_seen_by_another_process_with_its_next_request(
    server: Server, people: RedisPeople, clock: Clock
) -> None:
    other = with_people(server, clock)
    opened = other.open_session("ada", "password")
    people.change("ada", {"role": Role.MAINTAINER})
    people.add_group(Group(name="team", members={"ada": "owner"}, made=START))
    found = other.of_session(opened.secret)
    assert found is not None and found.role is Role.MAINTAINER and found.groups == {"team"}


def test_people_who_are_changed_at_the_same_time_all_stay_changed(
    server: Server, people: RedisPeople, clock: Clock
) -> None:
    def add(number: int) -> None:
        mine = RedisPeople(server.client, clock, server.keys, QUICK)
        for n in range(5):
            mine.add(Person(name=f"u{number}-{n}", made=START))
            mine.change("ada", {"display_name": f"{number}-{n}"})

    threads = [threading.Thread(target=add, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(people.persons()) == 22


def test_of_processes_that_start_at_once_one_makes_the_first_administrator(server: Server, clock: Clock) -> None:
    made: list[bool] = []

    def start(number: int) -> None:
        mine = RedisPeople(server.client, clock, server.keys, QUICK)
        made.append(mine.add_first(Person(name=f"root{number}", role=Role.ADMIN, made=START), PASSWORD))

    threads = [threading.Thread(target=start, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(made) == [False, False, False, True]
    assert len(RedisPeople(server.client, clock, server.keys, QUICK).persons()) == 1


def test_the_last_administrator_stays_one(people: RedisPeople) -> None:
    with pytest.raises(Refused) as error:
        people.deactivate("ann")
    assert error.value.code == "people.last_admin"
    with pytest.raises(Refused):
        people.change("ann", {"role": Role.MEMBER})
    people.change("ada", {"role": Role.ADMIN})
    people.deactivate("ann")
    with pytest.raises(Refused):
        people.deactivate("ada")


def test_who_leaves_loses_sessions_and_tokens_at_once_and_gets_none_of_them_back(people: RedisPeople) -> None:
    opened = people.log_in("ada", PASSWORD, HERE)
    _, personal = people.add_token("ada", "mine", frozenset({"read"}))
    _, trigger = people.add_token("ada", "hook", frozenset({"trigger"}), project="p1")
    _, anns = people.add_token("ann", "hers", frozenset({"read"}))
    people.deactivate("ada")
    for again in (False, True):
        if again:
            people.activate("ada")
        assert people.of_session(opened.secret) is None
        assert people.of_token(personal) is None and people.of_token(trigger) is None
    assert people.of_token(anns) is not None
    assert people.tokens(user="ada") == [] and people.tokens(project="p1") == []
    assert people.log_in("ada", PASSWORD, HERE)


def test_nobody_makes_a_token_session_or_link_for_who_has_left(people: RedisPeople) -> None:
    people.deactivate("ada")
    for make in (
        lambda: people.add_token("ada", "t", frozenset({"read"})),
        lambda: people.open_session("ada", "link"),
        lambda: people.make_link("ada", 60),
    ):
        with pytest.raises(NotFound):
            make()


def test_names_are_never_given_twice(people: RedisPeople) -> None:
    people.add_group(Group(name="team", made=START))
    people.remove_group("team")
    for name in ("team", "everyone"):
        with pytest.raises(Refused) as error:
            people.add_group(Group(name=name, made=START))
        assert error.value.code == "people.name_taken"
    people.deactivate("ada")
    with pytest.raises(Refused):
        people.add(Person(name="ada", made=START))


@pytest.mark.parametrize("name", ["", "Ada", "@ada", "a b", "a/b", "ada\n", "ä", "-ada", ".ada", "a" * 41, "a:b", "*"])
def test_names_have_no_signs_that_mean_something_elsewhere(people: RedisPeople, name: str) -> None:
    with pytest.raises(Invalid):
        people.add(Person(name=name, made=START))
    with pytest.raises(Invalid):
        people.add_group(Group(name=name, made=START))


def test_groups_hold_people_who_are_there(people: RedisPeople) -> None:
    people.add_group(Group(name="team", made=START))
    assert people.set_member("team", "ada", "owner").members == {"ada": "owner"}
    assert people.set_member("team", "ada", "member").members == {"ada": "member"}
    assert people.set_member("team", "ada", None).members == {}
    for group, user in (("none", "ada"), ("team", "none")):
        with pytest.raises(NotFound):
            people.set_member(group, user, "member")
    with pytest.raises(NotFound):
        people.set_member("team", "ada", None)


# --- tokens


def test_a_token_does_what_its_scopes_say_until_it_expires_or_is_withdrawn(people: RedisPeople, clock: Clock) -> None:
    token, secret = people.add_token("ada", "nightly", frozenset({"run"}), expires=START + timedelta(days=1))
    found = people.of_token(secret)
    assert found is not None and (found.user, found.token) == ("ada", "nightly")
    assert sorted(found.scopes or ()) == ["run"]
    assert people.tokens(user="ada")[0].used == START
    clock.pass_(days=1)
    assert people.of_token(secret) is None
    people.remove_token(token.id)
    assert people.tokens(user="ada") == []
    with pytest.raises(NotFound):
        people.remove_token(token.id)


def test_what_is_nearly_a_token_is_none(people: RedisPeople) -> None:
    _, secret = people.add_token("ada", "nightly", frozenset({"run"}))
    _, other = people.add_token("ada", "other", frozenset({"run"}))
    identifier = secret.split("_")[1]
    for wrong in (
        "",
        "wn_",
        "wn__",
        f"wn_{identifier}",
        f"wn_{identifier}_",
        secret[:-1],
        secret + "x",
        secret.upper(),
        secret.removeprefix("wn_"),
        f"wn_{identifier}_{other.split('_')[2]}",
        "wn_*_x",
        f"wn_{identifier}\0_x",
        "wn_" + "x" * 100_000,
        "wn_é_x",
    ):
        assert people.of_token(wrong) is None


def test_that_a_token_was_used_is_written_once_in_a_minute(server: Server, people: RedisPeople, clock: Clock) -> None:
    _, secret = people.add_token("ada", "nightly", frozenset({"run"}))
    for _ in range(5):
        people.of_token(secret)
    written = server.client.info("commandstats")["cmdstat_hset"]["calls"]
    people.of_token(secret)
    assert server.client.info("commandstats")["cmdstat_hset"]["calls"] == written
    clock.pass_(seconds=61)
    people.of_token(secret)
    assert server.client.info("commandstats")["cmdstat_hset"]["calls"] == written + 1


# --- audit


def entry(number: int, clock: Clock, **more: Any) -> AuditEntry:
    return AuditEntry(at=clock.now(), actor=f"u{number % 2}", what="add_user", outcome="done", status=201, **more)


def test_the_audit_is_read_from_its_newest_entry_on_in_pages(server: Server, clock: Clock) -> None:
    audit = RedisAudit(server.client, clock, keep=timedelta(days=1), keys=server.keys)
    clock.time = datetime.now(UTC)
    audit.append([entry(n, clock, target={"n": str(n)}) for n in range(25)])
    seen, cursor = [], ""
    while True:
        rows, cursor = audit.read(before=cursor, limit=10)
        seen += [r.entry.target["n"] for r in rows]
        if not cursor:
            break
    assert seen == [str(n) for n in reversed(range(25))]
    rows, _ = audit.read(actor="u1", limit=3)
    assert [r.entry.target["n"] for r in rows] == ["23", "21", "19"]
    assert audit.read(actor="nobody")[0] == [] and audit.read(outcome="denied")[0] == []


@pytest.mark.parametrize("cursor", ["x", "1", "1-", "-1", "1-1-1", "+", "(1-1", "1-x", "９-９", "9" * 50 + "-1"])
def test_a_cursor_that_is_none_is_refused(server: Server, clock: Clock, cursor: str) -> None:
    with pytest.raises(Invalid):
        RedisAudit(server.client, clock, keep=timedelta(days=1), keys=server.keys).read(before=cursor)


def test_the_audit_forgets_what_is_too_old_and_nothing_else(server: Server, clock: Clock) -> None:
    clock.time = datetime.now(UTC)
    short = RedisAudit(server.client, clock, keep=timedelta(days=1), keys=server.keys)
    short.append([entry(n, clock) for n in range(500)])
    assert server.client.xlen(server.keys.audit) == 500
    clock.pass_(days=2)
    short.append([entry(0, clock)])
    left = server.client.xlen(server.keys.audit)
    assert left <= 101  # whole pieces of the stream go at a time


# --- backup


def test_a_backup_holds_people_tokens_and_audit_and_no_session_link_or_count(
    server: Server, people: RedisPeople, clock: Clock
) -> None:
    clock.time = datetime.now(UTC)
    opened: Opened = people.log_in("ada", PASSWORD, HERE)
    link = people.make_link("ada", 60)
    with pytest.raises(Unidentified):
        people.log_in("ada", "wrong", HERE)
    people.add_group(Group(name="team", members={"ada": "owner"}, made=START))
    _, token = people.add_token("ada", "nightly", frozenset({"read"}))
    audit = RedisAudit(server.client, clock, keep=timedelta(days=1), keys=server.keys)
    audit.append([entry(n, clock) for n in range(3)])
    records = list(dump(server.client, server.keys))
    names = {r.name.split(":")[0] for r in records if r.kind == "other"}
    assert {"people", "groups", "tokens", "audit"} <= names
    assert names.isdisjoint({"session", "link", "limit"})

    keys = Keys(f"{server.keys.prefix}-restored")
    restored = RedisPeople(server.client, clock, keys, QUICK)
    assert restored.persons() == []  # and so it knows that there is nobody
    load(server.client, keys, records)
    assert [p.name for p in restored.persons()] == ["ada", "ann"]
    found = restored.of_token(token)
    assert found is not None and found.groups == {"team"}
    assert restored.of_session(opened.secret) is None
    with pytest.raises(Unidentified):
        restored.log_in_by_link(link, HERE)
    rows, _ = RedisAudit(server.client, clock, keep=timedelta(days=1), keys=keys).read()
    assert len(rows) == 3


def test_a_record_that_cannot_be_read_shows_nothing_of_itself(
    server: Server, people: RedisPeople, clock: Clock
) -> None:
    text = json.loads(server.client.hget(server.keys.people, "ada") or "")
    server.client.hset(server.keys.people, "ada", json.dumps({**text, "person": {**text["person"], "role": "emperor"}}))
    server.client.incr(server.keys.people_edition)
    with pytest.raises(Exception, match="people and groups cannot be read") as error:
        people.persons()
    assert text["password"] not in str(error.value) and error.value.__cause__ is None
