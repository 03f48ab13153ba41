"""core.accounts.Accounts on the data directory of this machine, so that nobody is ever locked out: whoever may use it
may let people in. What is done is in the audit, as what came over the API is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta

from winslow_nomad.bootstrap.client import LocalClient
from winslow_nomad.bootstrap.installation import Installation
from winslow_nomad.config import Settings
from winslow_nomad.core.access import RANKS, Role, Scope
from winslow_nomad.core.audit import AuditEntry
from winslow_nomad.core.errors import NotFound, Refused
from winslow_nomad.core.leaving import pass_on
from winslow_nomad.core.people import Person, Token
from winslow_nomad.store.audit import RedisAudit
from winslow_nomad.store.people import RedisPeople

LINK_DAYS = 3


@contextmanager
def open_accounts(settings: Settings) -> Iterator[LocalAccounts]:
    installation = Installation(settings)
    try:
        yield LocalAccounts(installation)
    finally:
        installation.close()


class LocalAccounts:
    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self._clock = installation.clock
        self._people = RedisPeople(installation.state, installation.clock, installation.keys)
        keep = timedelta(days=installation.settings.keep_audit_days)
        self._audit = RedisAudit(installation.state, installation.clock, keep=keep, keys=installation.keys)

    def persons(self) -> Sequence[Person]:
        return self._people.persons()

    def add(self, name: str, *, role: Role, display_name: str, email: str, password: str) -> Person:
        person = Person(name=name, role=role, display_name=display_name, email=email, made=self._clock.now())
        made = self._people.add(person, password)
        self._note("add_user", name, role=role.value)
        return made

    def set_role(self, name: str, role: Role) -> Person:
        changed = self._people.change(name, {"role": role})
        self._note("change_user", name, role=role.value)
        return changed

    def set_password(self, name: str, password: str) -> None:
        self._people.set_password(name, password)
        self._note("set_password", name)

    def link(self, name: str) -> str:
        secret = self._people.make_link(name, LINK_DAYS * 86400)
        self._note("make_link", name)
        return f"/login#{secret}"

    def deactivate(self, name: str, heir: str) -> tuple[int, int]:
        if heir:
            found = self._people.person(heir)
            if not found.active or heir == name or RANKS[found.role] < RANKS[Role.MEMBER]:
                raise Refused(
                    f"{heir} cannot take over the projects of {name}; nothing was done.",
                    hint="Name another active person who may run projects.",
                    code="people.heir",
                )
        self._people.deactivate(name)
        self._note("deactivate_user", name, heir=heir)
        return pass_on(LocalClient(self._installation), name, heir, self._installation.settings.user)

    def activate(self, name: str) -> Person:
        found = self._people.activate(name)
        self._note("activate_user", name)
        return found

    def tokens(self, user: str) -> Sequence[Token]:
        self._people.person(user)
        return self._people.tokens(user=user)

    def add_token(self, user: str, name: str, scopes: frozenset[Scope], days: int | None) -> str:
        expires = self._clock.now() + timedelta(days=days) if days is not None else None
        secret = self._people.add_token(user, name, scopes, expires=expires)[1]
        self._note("make_token", user, name=name, scopes=" ".join(sorted(scopes)))
        return secret

    def withdraw(self, user: str, token: str) -> None:
        if token not in {t.id for t in self._people.tokens(user=user)}:
            raise NotFound(f"{user} has no token {token[:60]!r}; nothing was done.", code="token.not_found")
        self._people.remove_token(token)
        self._note("withdraw_token_of", user, token=token)

    def _note(self, what: str, user: str, **about: str) -> None:
        entry = AuditEntry(
            at=self._clock.now(),
            actor=self._installation.settings.user,
            what=what,
            target={"user": user},
            about={**about, "by": "command line"},
            outcome="done",
            status=200,
        )
        self._audit.append([entry])
