"""Log-ins for registries on a real server: a password is nowhere but among the secrets, and goes with its log-in."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.builders import HandClock
from tests.valkey import Server
from winslow_nomad.core.errors import Invalid, NotFound, StoreUnavailable
from winslow_nomad.store.dump import dump
from winslow_nomad.store.registries import RedisRegistries
from winslow_nomad.store.secrets import Secrets

HOST = "registry.example.org:5000"
PASSWORD = "a quite unlikely password"


@pytest.fixture
def secrets(server: Server, tmp_path: Path) -> Secrets:
    return Secrets(server.client, tmp_path / "secret.key", HandClock(), server.keys)


@pytest.fixture
def book(server: Server, secrets: Secrets) -> RedisRegistries:
    return RedisRegistries(server.client, secrets, HandClock(), server.keys)


def test_a_log_in_is_kept_and_its_password_shown_to_who_asks_the_registry_alone(
    book: RedisRegistries, server: Server
) -> None:
    made = book.put(HOST, "winslow", PASSWORD, "ann")
    assert book.all() == [made] and (made.host, made.user, made.by) == (HOST, "winslow", "ann")
    assert PASSWORD not in made.model_dump_json()
    assert book.reveal(HOST) == ("winslow", PASSWORD)
    assert book.reveal("docker.io") is None
    everything = "".join(str(record) for record in dump(server.client, server.keys))
    assert HOST in everything and PASSWORD not in everything


def test_a_new_log_in_replaces_the_old_one_and_a_removed_one_leaves_nothing(
    book: RedisRegistries, secrets: Secrets
) -> None:
    book.put(HOST, "winslow", "the first one", "ann")
    book.put(HOST, "other", PASSWORD, "ben")
    assert book.reveal(HOST) == ("other", PASSWORD)
    assert len(secrets.references()) == 1
    book.remove(HOST)
    assert (book.all(), book.reveal(HOST), list(secrets.references())) == ([], None, [])
    with pytest.raises(NotFound) as gone:
        book.remove(HOST)
    assert gone.value.code == "registry.not_found"


@pytest.mark.parametrize(
    ("host", "user", "password", "code"),
    [
        ("https://registry.example.org", "ada", "x", "registry.host"),
        ("registry", "ada", "x", "registry.host"),
        ("", "ada", "x", "registry.host"),
        (HOST, "", "x", "registry.user"),
        (HOST, "a:b", "x", "registry.user"),
        (HOST, "a\nb", "x", "registry.user"),
        (HOST, "ada", "", "registry.password"),
        (HOST, "ada", "x\ny", "registry.password"),
    ],
)
def test_what_cannot_be_a_log_in_is_refused_and_nothing_is_stored(
    book: RedisRegistries, secrets: Secrets, host: str, user: str, password: str, code: str
) -> None:
    with pytest.raises(Invalid) as refused:
        book.put(host, user, password, "ann")
    assert refused.value.code == code and not secrets.references() and not book.all()


def test_without_the_key_of_the_secrets_nobody_logs_in(book: RedisRegistries, tmp_path: Path) -> None:
    book.put(HOST, "winslow", PASSWORD, "ann")
    (tmp_path / "secret.key").unlink()
    with pytest.raises(StoreUnavailable):
        book.reveal(HOST)
    assert [login.user for login in book.all()] == ["winslow"]
