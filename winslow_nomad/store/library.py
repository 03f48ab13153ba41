"""Pipelines by name and their versions, and the texts that pipelines were read from."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

from redis import Redis
from redis.exceptions import WatchError

from winslow_nomad.core.errors import Conflict, NotFound
from winslow_nomad.core.library import Shelf, Version
from winslow_nomad.core.pipeline import Pipeline
from winslow_nomad.core.ports import Clock
from winslow_nomad.store import codec
from winslow_nomad.store.commit import Command
from winslow_nomad.store.faults import translated
from winslow_nomad.store.keys import Keys
from winslow_nomad.store.transaction import Transaction, as_dict, ask, texts


class Shelves:
    """What is changed is marked as not yet on the share until `mirrored` says that it is."""

    def __init__(self, client: Redis, clock: Clock, keys: Keys) -> None:
        self._client = client
        self._clock = clock
        self._keys = keys

    def all(self) -> list[Shelf]:
        found = as_dict(ask(self._client, ("HGETALL", self._keys.library))[0])
        return sorted((Shelf.model_validate_json(t) for t in found.values()), key=lambda s: s.name)

    def get(self, name: str) -> Shelf:
        """Raises NotFound."""
        text = ask(self._client, ("HGET", self._keys.library, name))[0]
        if text is None:
            raise _unknown(name)
        return Shelf.model_validate_json(text)

    def version(self, name: str, number: int) -> Version:
        """0: the newest. Raises NotFound."""
        number = number or self.get(name).newest
        text = ask(self._client, ("HGET", self._keys.versions(name), number))[0]
        if text is None:
            raise NotFound(f"The pipeline {name} has no version {number}.", code="pipeline.not_found")
        return Version.model_validate_json(text)

    def versions(self, name: str) -> list[Version]:
        """The newest first."""
        found = as_dict(ask(self._client, ("HGETALL", self._keys.versions(name)))[0])
        return sorted((Version.model_validate_json(t) for t in found.values()), key=lambda v: -v.number)

    def publish(self, pipeline: Pipeline, text: str, author: str, expected: int | None, comment: str) -> Version:
        """Raises Conflict (pipeline.changed). What is as the newest makes no new version; what lay in the trash is
        taken back."""
        name = pipeline.name
        made: list[Version] = []

        def change(shelf: Shelf | None, newest: Version | None) -> list[Command]:
            made.clear()
            number = shelf.newest if shelf is not None else 0
            if expected is not None and expected != number:
                raise Conflict(
                    f"The pipeline {name} has version {number} by now, and you started from {expected}. "
                    "Nothing was published.",
                    hint="Look at what was changed, and publish again.",
                    code="pipeline.changed",
                )
            same = newest is not None and (newest.text, newest.pipeline.folder) == (text, pipeline.folder)
            if same and shelf is not None and shelf.trashed is None and newest is not None:
                made.append(newest)
                return []
            now = self._clock.now()
            number += not same
            version = newest if same and newest is not None else Version(
                number=number, text=text, pipeline=pipeline.but(version=number, edited=False), author=author, made=now,
                comment=comment,
            )  # fmt: skip
            made.append(version)
            fresh = shelf or Shelf(name=name, author=author, made=now, updated=now)
            shelf = fresh.but(
                title=pipeline.title, description=pipeline.description, newest=number, updated=now, trashed=None,
                stages=len(pipeline.stages),
            )  # fmt: skip
            return [*self._shelf(shelf), ("HSET", self._keys.versions(name), number, codec.write_record(version))]

        self._insist(name, change)
        return made[0]

    def change(self, name: str, change: Callable[[Shelf], Shelf]) -> Shelf:
        """Raises NotFound."""
        made: list[Shelf] = []

        def step(shelf: Shelf | None, _: Version | None) -> list[Command]:
            if shelf is None:
                raise _unknown(name)
            made[:] = [change(shelf)]
            return self._shelf(made[0]) if made[0] != shelf else []

        self._insist(name, step)
        return made[0]

    def put(self, shelf: Shelf, versions: Sequence[Version]) -> bool:
        """Back from the share: what the store has already, or newer, stays. False: it has."""
        done: list[bool] = []

        def step(known: Shelf | None, _: Version | None) -> list[Command]:
            done[:] = [known is None or known.newest < shelf.newest]
            if not done[0]:
                return []
            key = self._keys.versions(shelf.name)
            rows = [x for v in versions for x in (v.number, codec.write_record(v))]
            return [("HSET", self._keys.library, shelf.name, codec.write_record(shelf)), ("HSET", key, *rows)]

        self._insist(shelf.name, step)
        return done[0]

    def unmirrored(self) -> list[str]:
        return sorted(texts(ask(self._client, ("SMEMBERS", self._keys.unmirrored))[0]))

    def mirrored(self, written: Shelf) -> None:
        """It lies on the share as `written`. Where it is another by now it is marked, even if it was not any more: who
        wrote the newer one may have been overtaken by this."""

        def step(shelf: Shelf | None, _: Version | None) -> list[Command]:
            return [("SREM" if shelf == written else "SADD", self._keys.unmirrored, written.name)]

        self._insist(written.name, step)

    def _shelf(self, shelf: Shelf) -> list[Command]:
        return [
            ("HSET", self._keys.library, shelf.name, codec.write_record(shelf)),
            ("SADD", self._keys.unmirrored, shelf.name),
        ]

    def _insist(self, name: str, step: Callable[[Shelf | None, Version | None], list[Command]]) -> None:
        """Read, decide, write, again when somebody else was quicker. Raises StoreUnavailable, what `step` raises."""
        library, versions = self._keys.library, self._keys.versions(name)
        with translated():
            while True:
                try:
                    with Transaction.on(self._client) as transaction:
                        found = transaction.read([("HGET", library, name)], watch=[library, versions])[0]
                        shelf = Shelf.model_validate_json(found) if found is not None else None
                        newest = None
                        if shelf is not None and shelf.newest:
                            text = transaction.read([("HGET", versions, shelf.newest)])[0]
                            newest = Version.model_validate_json(text) if text is not None else None
                        commands = step(shelf, newest)
                        if commands:
                            transaction.commit(commands)
                        return
                except WatchError:
                    continue


class Sources:
    """What pipelines were read from, comments included."""

    def __init__(self, client: Redis, keys: Keys) -> None:
        self._client = client
        self._keys = keys

    def put(self, pipeline: Pipeline, text: str) -> None:
        ask(self._client, ("SET", self._keys.source(_digest(pipeline)), text))

    def get(self, pipeline: Pipeline) -> str | None:
        text = ask(self._client, ("GET", self._keys.source(_digest(pipeline))))[0]
        return None if text is None else text.decode()


def _digest(pipeline: Pipeline) -> str:
    """The same whichever version of the library it is, and wherever it is used."""
    text = pipeline.model_dump_json(exclude={"version", "edited", "folder"})
    return hashlib.sha256(text.encode()).hexdigest()


def _unknown(name: str) -> NotFound:
    return NotFound(
        f"There is no pipeline {name[:100]!r}.", hint="`GET /pipelines` lists them.", code="pipeline.not_found"
    )
