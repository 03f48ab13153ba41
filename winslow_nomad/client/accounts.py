"""core.accounts.Accounts on a server; and coming in there: a log-in that leaves a token for this machine."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from winslow_nomad.client.wire import Wire
from winslow_nomad.core.access import Role, Scope
from winslow_nomad.core.errors import Invalid, Refused, WinslowError
from winslow_nomad.core.people import Person, Token

SCOPES: tuple[Scope, ...] = ("read", "run", "files", "manage")
DAYS = 90  # that a token from a log-in is good for
PAGE = 500


class HttpAccounts:
    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def persons(self) -> Sequence[Person]:
        found: list[Person] = []
        after = ""
        while True:
            page = self._wire.read(dict[str, Any], "users", {"limit": PAGE, "after": after})
            found += [_person(item) for item in page["items"]]
            after = page["next"]
            if not after:
                return found

    def add(self, name: str, *, role: Role, display_name: str, email: str, password: str) -> Person:
        body = {"name": name, "role": role.value, "display_name": display_name, "email": email}
        return self._changed("POST", "users", {**body, "password": password or None})

    def set_role(self, name: str, role: Role) -> Person:
        return self._changed("PATCH", _user(name), {"role": role.value})

    def set_password(self, name: str, password: str) -> None:
        self._wire.ask("PUT", f"{_user(name)}/password", json={"password": password}, again=True)

    def link(self, name: str) -> str:
        answer = self._wire.ask("POST", f"{_user(name)}/link")
        return f"{self._wire.url}{self._wire.value(dict[str, Any], answer)['path']}"

    def deactivate(self, name: str, heir: str) -> tuple[int, int]:
        answer = self._wire.ask("POST", f"{_user(name)}/deactivate", json={"heir": heir}, again=True)
        told = self._wire.value(dict[str, Any], answer)
        return int(told["passed"]), int(told["kept"])

    def activate(self, name: str) -> Person:
        return self._changed("POST", f"{_user(name)}/activate", None)

    def tokens(self, user: str) -> Sequence[Token]:
        page = self._wire.read(dict[str, Any], f"{_user(user)}/tokens")
        return [Token.model_validate(item) for item in page["items"]]

    def add_token(self, user: str, name: str, scopes: frozenset[Scope], days: int | None) -> str:
        del user, name, scopes, days
        raise Refused(
            "A token cannot make tokens, so none is made from here.",
            hint="winslow login makes one for this machine, and the page Account makes others. On the server's own "
            "machine the same command works for everybody.",
            code="token.needs_session",
        )

    def withdraw(self, user: str, token: str) -> None:
        self._wire.ask("DELETE", f"{_user(user)}/tokens/{quote(token, safe='')}")

    def _changed(self, method: str, path: str, body: Any) -> Person:
        answer = self._wire.ask(method, path, json=body)
        return _person(self._wire.value(dict[str, Any], answer))


def _user(name: str) -> str:
    if name in ("", ".", ".."):
        raise Invalid(f"{name!r} is nobody's name.", code="people.name")
    return f"users/{quote(name, safe='')}"


def _person(told: Mapping[str, Any]) -> Person:
    return Person.model_validate({**told, "password": bool(told.get("password"))})


def log_in(wire: Wire, *, user: str = "", password: str = "", link: str = "", machine: str) -> tuple[str, str]:
    """By name and password, or by the secret of a log-in link: whose it is, and a new token for this machine. `wire`
    without a token. The session that it takes is ended again."""
    body = {"link": link} if link else {"user": user, "password": password}
    session = wire.value(dict[str, Any], wire.ask("POST", "session", json=body))
    sent = {"x-csrf-token": str(session["csrf"])}
    try:
        asked = {"name": f"winslow on {machine}"[:200], "scopes": sorted(SCOPES), "days": DAYS}
        made = wire.value(dict[str, Any], wire.ask("POST", "tokens", json=asked, headers=sent))
    finally:
        with contextlib.suppress(WinslowError):
            wire.ask("DELETE", "session", headers=sent)
    return str(session["user"]), str(made["secret"])


def who_am_i(wire: Wire) -> str:
    """Whose token it is."""
    return str(wire.read(dict[str, Any], "session")["user"])


def log_out(wire: Wire) -> None:
    """Withdraw the token that is used."""
    wire.ask("DELETE", "session", again=True)
