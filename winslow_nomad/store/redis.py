"""The store on Redis or Valkey. `_apply` is the one way in which a project is ever written.

A WatchError, a cut connection and a time-out do not tell whether EXEC was carried out. So every commit
has an id that stands in the project's log afterwards, and going round again finds it there."""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError
from redis import Redis
from redis.exceptions import LockError, RedisError, ResponseError, WatchError
from redis.lock import Lock

from winslow_nomad.core import ledger
from winslow_nomad.core.decision import Decision
from winslow_nomad.core.effects import Effect
from winslow_nomad.core.errors import Conflict, OutcomeUnknown, StoreUnavailable
from winslow_nomad.core.ports import Change, Clock
from winslow_nomad.core.project import Project
from winslow_nomad.core.rows import NOTHING, tally
from winslow_nomad.store import codec, extracts, indexes
from winslow_nomad.store.commit import Cause, Command, Snapshot, plan, read_log, read_marks, rings
from winslow_nomad.store.faults import AWAY, away, refused_by_server, translated
from winslow_nomad.store.keys import Keys
from winslow_nomad.store.lists import Lists
from winslow_nomad.store.queue import Doorbells
from winslow_nomad.store.transaction import Transaction, as_dict

CONTROLLER = "controller"  # the lease whose epoch fences the facts of sweeps
ANSWER_KEPT = 24 * 3600  # seconds that an idempotency key is remembered
HEAD = ("format", "head", "pipeline", "log", "marks")


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)


@dataclass(slots=True)
class _Attempt:
    """What one call of `change` knows over its rounds."""

    commit: str
    sent: bool = False  # an EXEC went out whose reply did not come
    oldest_sent: int | None = None  # the lowest version such an EXEC would have made
    conflicts: int = 0


class RedisStore(Lists):
    """core.ports.Store. Safe to share between threads. `deadline`: seconds that a change keeps trying while
    the server is away."""

    def __init__(
        self, client: Redis, *, keys: Keys | None = None, clock: Clock | None = None, deadline: float = 10.0
    ) -> None:
        self._client = client
        self._keys = keys or Keys()
        self._clock = clock or SystemClock()
        self._deadline = deadline
        self._bells = Doorbells(client, self._keys)
        self._pipelines = codec.Pipelines()
        self._cache = SnapshotCache()
        super().__init__(client, self._keys, self._bells)

    def load(self, project: str) -> Project | None:
        with translated(), Transaction.on(self._client) as transaction:
            snapshot = self._read(transaction, project)
        return snapshot.project if snapshot is not None else None

    def change(
        self,
        project: str,
        decide: Callable[[Project | None], Decision],
        *,
        key: str = "",
        request: str = "",
        actor: str = "",
        epoch: int = 0,
        quiet: bool = False,
    ) -> tuple[Project, Change]:
        """See core.ports.Store. `epoch`: that of the controller's lease; refused when there is a newer one."""

        def step(transaction: Transaction, attempt: _Attempt) -> tuple[Project, Change]:
            return self._decide(transaction, attempt, project, decide, key, request, actor, epoch, quiet)

        return self._insist(project, step)

    def restore(self, project: Project, effects: Sequence[Effect] = ()) -> Change:
        """Write a whole project when it is absent or older, with the version it has, and ring for it. For
        rebuilding from the share: journal and statistics get nothing. `effects`: what is outstanding."""

        def step(transaction: Transaction, attempt: _Attempt) -> tuple[Project, Change]:
            before = self._read(transaction, project.id, watch=[self._keys.project(project.id)])
            if before is not None and before.project.version >= project.version:
                return before.project, Change(project=project.id, version=before.project.version, applied=False)
            cause = Cause(attempt.commit, self._clock.now(), 0, "", (), tuple(effects), restored=True)
            self._apply(transaction, attempt, before, project, cause, [])
            return project, Change(project=project.id, version=project.version, applied=True)

        return self._insist(project.id, step)[1]

    def ring(self, project: str) -> None:
        self._bells.ring(project)

    def _insist(
        self, project: str, step: Callable[[Transaction, _Attempt], tuple[Project, Change]]
    ) -> tuple[Project, Change]:
        """Go round until it is decided. After two conflicts in turn, one at a time."""
        attempt = _Attempt(commit=secrets.token_urlsafe(9))
        deadline = time.monotonic() + self._deadline
        pause = 0.005
        lock: Lock | None = None
        try:
            while True:
                try:
                    with Transaction.on(self._client) as transaction:
                        return step(transaction, attempt)
                except WatchError:
                    attempt.conflicts += 1
                    if attempt.conflicts >= 2 and lock is None:
                        lock = self._lock(project)
                except AWAY as error:
                    if time.monotonic() + pause > deadline:
                        raise self._gave_up(project, attempt, error) from error
                    time.sleep(pause)
                    pause = min(pause * 2, 0.25)
                except ResponseError as error:
                    raise refused_by_server(error) from error
        finally:
            if lock is not None:
                _release(lock)

    def _decide(
        self,
        transaction: Transaction,
        attempt: _Attempt,
        project: str,
        decide: Callable[[Project | None], Decision],
        key: str,
        request: str,
        actor: str,
        epoch: int,
        quiet: bool,
    ) -> tuple[Project, Change]:
        keys = self._keys
        idem, fence = keys.idempotency(actor, key), keys.epoch(CONTROLLER)
        watch = [keys.project(project), *([idem] if key else []), *([fence] if epoch else [])]
        extra: list[Command] = [("GET", fence), *([("GET", idem)] if key else [])]
        answers: list[Any] = []
        before = self._read(transaction, project, watch=watch, extra=extra, answers=answers)
        now_epoch = int(answers[0] or 0)
        if attempt.sent and before is not None:
            done = self._already(attempt, before)
            if done is not None:
                return before.project, done
        if epoch and epoch < now_epoch:
            raise Conflict(
                f"The lease of this controller (epoch {epoch}) has passed to another (epoch {now_epoch}). "
                "Nothing was changed.",
                hint="It stands by until it gets the lease again.",
                code="lease.lost",
            )
        if key and answers[1] is not None:
            return self._answered(before, project, answers[1], request)
        decision = decide(before.project if before is not None else None)
        if not decision.changed:
            version = before.project.version if before is not None else 0
            if key:
                transaction.commit([self._answer(idem, request, version)])
            return decision.project, Change(project=project, version=version, applied=False)
        version = (before.project.version if before is not None else 0) + 1
        after = decision.project.but(version=version)
        cause = Cause(attempt.commit, self._clock.now(), now_epoch, actor, decision.facts, decision.effects)
        also = [self._answer(idem, request, version)] if key else []
        self._apply(transaction, attempt, before, after, cause, also, quiet=quiet)
        return after, Change(project=project, version=version, applied=True)

    def _apply(
        self,
        transaction: Transaction,
        attempt: _Attempt,
        before: Snapshot | None,
        project: Project,
        cause: Cause,
        also: list[Command],
        *,
        quiet: bool = False,
    ) -> None:
        """THE commit."""
        commands, after = plan(self._keys, before, project, cause)
        if rings(before, after) and not quiet:
            commands += self._bells.commands(project.id)
        try:
            transaction.commit([*commands, *also])
        except AWAY:
            attempt.sent = True
            if attempt.oldest_sent is None:
                attempt.oldest_sent = project.version
            raise
        self._pipelines.keep(after.digest, project.pipeline)
        self._cache.put(after)

    def _already(self, attempt: _Attempt, snapshot: Snapshot) -> Change | None:
        """Whether an EXEC without a reply was carried out after all. The log answers as long as it reaches
        back to the version that EXEC would have made; beyond that nobody can tell."""
        for entry in snapshot.log:
            if entry.commit == attempt.commit:
                return Change(project=snapshot.project.id, version=entry.version, applied=True)
        oldest = attempt.oldest_sent
        if oldest is not None and snapshot.project.version >= oldest and snapshot.log[0].version > oldest:
            raise _unknown(snapshot.project.id, "others changed it many times since")
        return None

    def _gave_up(self, project: str, attempt: _Attempt, error: Exception) -> StoreUnavailable:
        return _unknown(project, str(error)) if attempt.sent else away(error)

    def _answer(self, idem: str, request: str, version: int) -> Command:
        return (
            "SET",
            idem,
            json.dumps({"format": codec.FORMAT, "request": request, "version": version}),
            "EX",
            ANSWER_KEPT,
        )

    def _answered(self, before: Snapshot | None, project: str, text: bytes, request: str) -> tuple[Project, Change]:
        answer = json.loads(text)
        if answer["request"] != request or before is None:
            raise Conflict(
                "This idempotency key was used for another request. Nothing was changed.",
                hint="Use a new key for a new request.",
                code="idempotency.other_request",
            )
        return before.project, Change(project=project, version=int(answer["version"]), applied=False)

    def _lock(self, project: str) -> Lock | None:
        """Only makes room between those who collide; correctness never depends on it."""
        lock = self._client.lock(self._keys.lock(project), timeout=2.0, blocking_timeout=1.0, sleep=0.002)
        try:
            return lock if lock.acquire() else None
        except (RedisError, LockError):
            return None

    def _read(
        self,
        transaction: Transaction,
        project: str,
        *,
        watch: Sequence[str] = (),
        extra: Sequence[Command] = (),
        answers: list[Any] | None = None,
    ) -> Snapshot | None:
        """The project as it is stored; replies to `extra` are added to `answers`. Reads nothing that this process
        has already."""
        key = self._keys.project(project)
        known = self._cache.get(project)
        wanted: list[Command] = [("HGET", key, "log")] if known is not None else self._everything(project)
        replies = transaction.read([*wanted, *extra], watch=watch)
        if answers is not None:
            answers.extend(replies[len(wanted) :])
        if known is None:
            return self._whole(transaction, project, replies)
        log_text: bytes | None = replies[0]
        if log_text == known.log_text:
            return known
        if log_text is None:
            self._cache.drop(project)
            return None
        touched: set[int] | None = set()
        entries = read_log(log_text)
        if entries[0].version > known.project.version + 1 or entries[-1].version <= known.project.version:
            touched = None
        for entry in entries:
            if touched is not None and entry.version > known.project.version:
                touched = None if entry.touched is None else touched | entry.touched
        if touched is None:
            return self._whole(transaction, project, transaction.read(self._everything(project)))
        return self._patched(transaction, project, known, log_text, sorted(touched))

    def _everything(self, project: str) -> list[Command]:
        keys = self._keys
        return [
            ("HMGET", keys.project(project), *HEAD),
            ("HGETALL", keys.stages(project)),
            ("HGETALL", keys.sealing(project)),
            ("HGETALL", keys.ended(project)),
            ("HGET", keys.project(project), "log"),
        ]

    def _whole(self, transaction: Transaction, project: str, replies: list[Any]) -> Snapshot | None:
        while replies[0][3] != replies[4]:  # a commit in between: head and stages are of two versions
            replies = transaction.read(self._everything(project))
        if replies[0][1] is None:
            return None
        try:
            snapshot = self._snapshot(
                transaction,
                project,
                replies[0],
                {int(n): codec.read_stage(t) for n, t in as_dict(replies[1]).items()},
                {int(n): codec.read_stage(t) for n, t in as_dict(replies[2]).items()},
                {int(n): codec.read_ended(t) for n, t in as_dict(replies[3]).items()},
                None,
            )
        except (ValidationError, ValueError) as error:
            raise codec.unreadable(f"project {project}", error) from error
        self._cache.put(snapshot)
        return snapshot

    def _patched(
        self, transaction: Transaction, project: str, known: Snapshot, log_text: bytes, touched: list[int]
    ) -> Snapshot | None:
        keys = self._keys
        wanted: list[Command] = [("HMGET", keys.project(project), *HEAD)]
        if touched:
            wanted += [("HMGET", k(project), *touched) for k in (keys.stages, keys.sealing, keys.ended)]
        wanted.append(("HGET", keys.project(project), "log"))
        replies = transaction.read(wanted)
        if replies[0][3] != log_text or replies[-1] != log_text:
            return self._whole(transaction, project, transaction.read(self._everything(project)))
        stages, sealing, ended = dict(known.project.stages), dict(known.project.sealing), dict(known.project.ended)
        try:
            if touched:
                _patch(stages, touched, replies[1], codec.read_stage)
                _patch(sealing, touched, replies[2], codec.read_stage)
                _patch(ended, touched, replies[3], codec.read_ended)
            snapshot = self._snapshot(transaction, project, replies[0], stages, sealing, ended, known)
        except (ValidationError, ValueError) as error:
            raise codec.unreadable(f"project {project}", error) from error
        self._cache.put(snapshot)
        return snapshot

    def _snapshot(
        self,
        transaction: Transaction,
        project: str,
        head: list[Any],
        stages: dict[int, Any],
        sealing: dict[int, Any],
        ended: dict[int, Any],
        known: Snapshot | None,
    ) -> Snapshot:
        if int(head[0]) > codec.FORMAT:
            raise StoreUnavailable(
                f"Project {project} was written by a newer Winslow (format {int(head[0])}). Nothing was changed.",
                hint="Upgrade this Winslow.",
                code="store.newer",
            )
        digest = head[2].decode()
        pipeline = self._pipelines.get(digest)
        if pipeline is None:
            text = transaction.read([("GET", self._keys.pipeline(digest))])[0]
            if text is None:
                raise ValueError(f"its pipeline {digest} is missing")
            pipeline = self._pipelines.parse(digest, text)
        found = codec.assemble(codec.read_head(head[1], pipeline), stages, sealing, ended)
        old = known.project if known is not None else None
        dirty, due = read_marks(head[4])
        return Snapshot(
            project=found,
            digest=digest,
            log=read_log(head[3]),
            log_text=head[3],
            dirty=dirty,
            due=due,
            places=indexes.places(found),
            tally=tally(found, old, known.tally if known else NOTHING),
            open=ledger.is_open(found),
            waiting=extracts.waiting(found, old, known.waiting if known else {}),
            at_driver=extracts.at_driver(found, old, known.at_driver if known else {}),
        )


def _patch(
    records: dict[int, Any], touched: list[int], texts: list[bytes | None], parse: Callable[[bytes], Any]
) -> None:
    for number, text in zip(touched, texts, strict=True):
        if text is None:
            records.pop(number, None)
        else:
            records[number] = parse(text)


def _release(lock: Lock) -> None:
    try:
        lock.release()
    except (RedisError, LockError):
        return  # it expires by itself


def _unknown(project: str, why: str) -> OutcomeUnknown:
    return OutcomeUnknown(
        f"The store went away in the middle of a change of project {project}: {why}. "
        "It was made completely or not at all.",
        hint="Look at the project, or repeat the request with the same idempotency key: it is never applied twice.",
    )


class SnapshotCache:
    """What this process knows of projects, so that it reads and parses only what is new. Bounded by the number
    of records held, least recently used first out; never trusted before its log is compared."""

    def __init__(self, records: int = 20_000) -> None:
        self._limit = records
        self._held = 0
        self._snapshots: OrderedDict[str, Snapshot] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, project: str) -> Snapshot | None:
        with self._lock:
            found = self._snapshots.get(project)
            if found is not None:
                self._snapshots.move_to_end(project)
            return found

    def put(self, snapshot: Snapshot) -> None:
        with self._lock:
            self._remove(snapshot.project.id)
            self._snapshots[snapshot.project.id] = snapshot
            self._held += _weight(snapshot)
            while self._held > self._limit and len(self._snapshots) > 1:
                self._remove(next(iter(self._snapshots)))

    def drop(self, project: str) -> None:
        with self._lock:
            self._remove(project)

    def _remove(self, project: str) -> None:
        old = self._snapshots.pop(project, None)
        if old is not None:
            self._held -= _weight(old)


def _weight(snapshot: Snapshot) -> int:
    project = snapshot.project
    return 4 + len(project.stages) + len(project.sealing) + len(project.ended)
