"""Who logs in to which registry. The passwords are among the secrets; here is only where."""

from __future__ import annotations

import contextlib

from redis import Redis

from winslow_nomad.core.errors import Invalid, NotFound
from winslow_nomad.core.images import RegistryLogin, checked_host
from winslow_nomad.core.model import Record
from winslow_nomad.core.ports import Clock
from winslow_nomad.store.keys import Keys
from winslow_nomad.store.secrets import Secrets
from winslow_nomad.store.transaction import as_dict, ask

LONGEST = 256  # characters of a user's name


class Stored(Record):
    format: int = 1
    login: RegistryLogin
    secret: str


class RedisRegistries:
    def __init__(self, client: Redis, secrets: Secrets, clock: Clock, keys: Keys) -> None:
        self._client = client
        self._secrets = secrets
        self._clock = clock
        self._key = keys.registries

    def all(self) -> list[RegistryLogin]:
        found = as_dict(ask(self._client, ("HGETALL", self._key))[0]).values()
        return sorted((Stored.model_validate_json(text).login for text in found), key=lambda login: login.host)

    def put(self, host: str, user: str, password: str, by: str) -> RegistryLogin:
        checked_host(host)
        if not user.strip() or ":" in user or not user.isprintable() or len(user) > LONGEST:
            raise Invalid(
                f"{user[:80]!r} is not the name of a user of a registry; nothing was stored.", code="registry.user"
            )
        if not password or not password.isprintable():
            raise Invalid("A password has letters, and no line ends; nothing was stored.", code="registry.password")
        before = self._of(host)
        secret = self._secrets.put(f"registry {host}", password)
        login = RegistryLogin(host=host, user=user, changed=self._clock.now(), by=by)
        ask(self._client, ("HSET", self._key, host, Stored(login=login, secret=secret).model_dump_json()))
        self._forget(before)
        return login

    def remove(self, host: str) -> None:
        before = self._of(host)
        if before is None:
            raise NotFound(
                f"There is no log-in for the registry {host[:80]!r}; nothing was done.",
                hint="See winslow registries list.",
                code="registry.not_found",
            )
        ask(self._client, ("HDEL", self._key, host))
        self._forget(before)

    def reveal(self, host: str) -> tuple[str, str] | None:
        """User and password; None: there are none. Raises StoreUnavailable. For who asks the registry, nobody else."""
        found = self._of(host)
        try:
            return (found.login.user, self._secrets.reveal(found.secret)) if found is not None else None
        except NotFound:
            return None  # it was taken away just now

    def _of(self, host: str) -> Stored | None:
        text = ask(self._client, ("HGET", self._key, host))[0]
        return Stored.model_validate_json(text) if text is not None else None

    def _forget(self, stored: Stored | None) -> None:
        if stored is not None:
            with contextlib.suppress(NotFound):
                self._secrets.delete(stored.secret)
