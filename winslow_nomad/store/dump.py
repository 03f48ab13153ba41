"""All that the store holds and nothing else can tell, as portable records, taken while others write; and the
way back into an empty store. What is derived (indexes, rows, marks), short-lived (leases, idempotency keys,
live stream, bells, sessions) or worked on at the moment (operations) is left out: it is made again.

Each project is read in one transaction: what a backup holds of it is one version, whole. Secrets stay
encrypted; their key is no part of the store. A key that this module has never heard of is taken along.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from redis import Redis

from winslow_nomad import __version__
from winslow_nomad.core.errors import Invalid, Refused
from winslow_nomad.core.outstanding import outstanding
from winslow_nomad.core.pipeline import Pipeline
from winslow_nomad.core.project import Project
from winslow_nomad.core.said import count
from winslow_nomad.store import codec
from winslow_nomad.store.faults import translated
from winslow_nomad.store.keys import Keys
from winslow_nomad.store.redis import RedisStore
from winslow_nomad.store.schema import SCHEMA
from winslow_nomad.store.transaction import as_dict

FORMAT = 1
LEFT_OUT = frozenset(
    {
        "p",
        "pipeline",
        "idem",
        "idx",
        "waiting",
        "at",
        "node",
        "node-used",
        "open",
        "progress",
        "dirty",
        "timers",
        "ev",
        "journal",
        "lease",
        "limit",
        "link",
        "epoch",
        "breaker",
        "breakers",
        "parked",
        "op",
        "ops",
        "schema",
        "session",
        "outbox",
        "messages",
        "totals",
    }
)  # first words of keys
FENCED = ("controller", "mirror")  # leases whose epochs stand in the journals


class Record(NamedTuple):
    """kind: about, epochs, pipeline (by digest), project (by id), other (by key). `content` is JSON."""

    kind: str
    name: str
    content: bytes


def dump(client: Redis, keys: Keys | None = None) -> Iterator[Record]:
    """Pipelines come before the projects that use them. Raises StoreUnavailable."""
    keys = keys or Keys()
    db: Any = client  # the library's types say bytes or str for everything
    with translated():
        about = {"format": FORMAT, "schema": SCHEMA, "written_by": __version__, "made": datetime.now(UTC).isoformat()}
        yield Record("about", "", json.dumps(about).encode())
        written: set[str] = set()
        for raw in db.zrange(keys.updated, 0, -1):
            found = _project(client, keys, raw.decode())
            if found is None:
                continue
            digest = found["pipeline"]
            if digest not in written:
                written.add(digest)
                yield Record("pipeline", digest, db.get(keys.pipeline(digest)))
            yield Record("project", raw.decode(), json.dumps(found).encode())
        for key in sorted(db.scan_iter(match=f"{_escaped(keys.prefix)}:*", count=1000)):
            name = key.decode()[len(keys.prefix) + 1 :]
            if name.split(":")[0] not in LEFT_OUT:
                other = _other(db, key)
                if other is not None:
                    yield Record("other", name, json.dumps(other).encode())
        # last, so that it is at least as high as in any project's record
        epochs = {name: int(client.get(keys.epoch(name)) or 0) for name in FENCED}
        yield Record("epochs", "", json.dumps(epochs).encode())


def load(
    client: Redis, keys: Keys | None, records: Iterable[Record], *, epoch: int = 0, force: bool = False
) -> tuple[str, ...]:
    """Into an empty store; with `force` also into another, where whatever is there already in the same or a
    newer version is left alone. `epoch`: the highest in the journals on the share, if one is known; what is
    committed from now on gets higher ones. Answers sentences. Raises Refused, Invalid, StoreUnavailable."""
    keys = keys or Keys()
    store = RedisStore(client, keys=keys)
    pipelines: dict[str, Pipeline] = {}
    restored: list[Project] = []
    kept = 0
    with translated():
        if not force and (client.zcard(keys.updated) or client.exists(keys.secrets)):
            raise Refused(
                "The store is not empty. Nothing was restored.",
                hint="Restore into a fresh data directory: name one in WINSLOW_HOME.",
                code="backup.store_not_empty",
            )
        for record in records:
            content = json.loads(record.content)
            match record.kind:
                case "about" if content["schema"] > SCHEMA:
                    raise Refused(
                        f"The backup was written by Winslow {content['written_by']}, which is newer than this Winslow "
                        f"{__version__}. Nothing was restored.",
                        hint="Upgrade this Winslow.",
                        code="backup.newer",
                    )
                case "pipeline":
                    pipelines[record.name] = Pipeline.model_validate(content)
                case "project":
                    project = _assembled(record.name, content, pipelines)
                    if store.restore(project, outstanding(project)).applied:
                        restored.append(project)
                    else:
                        kept += 1
                case "other":
                    _put(client, f"{keys.prefix}:{record.name}", content)
                case "epochs":
                    epoch = max(epoch, *content.values())
        client.incr(keys.people_edition)  # processes that know the people from before read them anew
        epoch = _raise_epochs(client, keys, epoch)
        for project in restored:
            _journal(client, keys, project, epoch)
    sentences = [f"{count(len(restored), 'project')} restored."]
    if kept:
        sentences.append(f"{count(kept, 'project')} left alone: the store has them in the same or a newer version.")
    return tuple(sentences)


def restorer(client: Redis, keys: Keys | None, seen: int) -> Callable[[Project], bool]:
    """For rebuilding from the share: writes a project that the store lacks or has in an older version, and tells
    the journal that history goes on from there. `seen`: the highest epoch in the journals. Answers whether it
    was written. Raises StoreUnavailable."""
    keys = keys or Keys()
    store = RedisStore(client, keys=keys)
    with translated():
        epoch = _raise_epochs(client, keys, seen)

    def restore(project: Project) -> bool:
        if not store.restore(project, outstanding(project)).applied:
            return False
        with translated():
            _journal(client, keys, project, epoch)
        return True

    return restore


def _journal(client: Redis, keys: Keys, project: Project, epoch: int) -> None:
    """A killed restore may leave this out; whoever repeats it finds the project there. Then the share's own lines,
    from which it came, still lead to it."""
    client.xadd(keys.journal, {"p": project.id, "l": _whole_line(project, epoch)})


def _project(client: Redis, keys: Keys, project: str) -> dict[str, Any] | None:
    """One version of it, whole."""
    with client.pipeline(transaction=True) as together:
        together.hmget(keys.project(project), "format", "version", "head", "pipeline")
        together.hgetall(keys.stages(project))
        together.hgetall(keys.sealing(project))
        together.hgetall(keys.ended(project))
        head, *maps = together.execute()
    if head[2] is None:
        return None
    stages, sealing, ended = ({int(n): json.loads(t) for n, t in as_dict(m).items()} for m in maps)
    return {
        "format": int(head[0]),
        "version": int(head[1]),
        "head": json.loads(head[2]),
        "pipeline": head[3].decode(),
        "stages": stages,
        "sealing": sealing,
        "ended": ended,
    }


def _assembled(name: str, content: Mapping[str, Any], pipelines: Mapping[str, Pipeline]) -> Project:
    if content["format"] > codec.FORMAT or content["pipeline"] not in pipelines:
        raise Invalid(f"The record of project {name} cannot be read by this Winslow.", code="backup.damaged")
    maps = {key: {int(n): r for n, r in content[key].items()} for key in ("stages", "sealing", "ended")}
    return Project.model_validate({**content["head"], **maps, "pipeline": pipelines[content["pipeline"]]})


def _whole_line(project: Project, epoch: int) -> bytes:
    """A journal line that stands for all lines before it (`whole`): the share may lack some of them."""
    digest, text = codec.write_pipeline(project.pipeline)
    opening = {
        "format": FORMAT, "whole": True, "epoch": epoch, "project": project.id, "version": project.version,
        "time": datetime.now(UTC).isoformat(), "actor": "", "pipeline": digest, "pipeline_text": text.decode(),
        "entries": [{"what": "restored", "text": "restored from a backup"}],
    }  # fmt: skip
    parts = [json.dumps(opening).encode()[:-1], b',"head":', codec.write_head(project)]
    for name, records in (("stages", project.stages), ("sealing", project.sealing), ("ended", project.ended)):
        texts = [codec.write_record(r) for r in records.values()]
        parts += [f',"{name}":['.encode(), b",".join(texts), b"]"]
    return b"".join([*parts, b"}"])


def _raise_epochs(client: Redis, keys: Keys, seen: int) -> int:
    """The next holder of each lease gets a higher one than has ever been; answers the one for what is restored."""
    epoch = max([seen, *(int(client.get(keys.epoch(name)) or 0) for name in FENCED)]) + 1
    for name in FENCED:
        client.set(keys.epoch(name), epoch)
    return epoch


def _other(client: Any, key: bytes) -> dict[str, Any] | None:
    match client.type(key):
        case b"string":
            value: Any = _text(client.get(key))
        case b"hash":
            value = {_text(k): _text(v) for k, v in as_dict(client.hgetall(key)).items()}
        case b"set":
            value = sorted(_text(m) for m in client.smembers(key))
        case b"zset":
            value = [[_text(m), score] for m, score in client.zrange(key, 0, -1, withscores=True)]
        case b"list":
            value = [_text(m) for m in client.lrange(key, 0, -1)]
        case b"stream":
            value = [
                [_text(identifier), {_text(k): _text(v) for k, v in as_dict(fields).items()}]
                for identifier, fields in client.xrange(key)
            ]
        case _:
            return None  # gone meanwhile
    return {"type": client.type(key).decode(), "value": value, "expires_ms": max(client.pttl(key), 0)}


def _put(client: Redis, key: str, content: Mapping[str, Any]) -> None:
    """Adds what is missing, replaces nothing."""
    value = content["value"]
    there = bool(client.exists(key))
    match content["type"]:
        case "string":
            client.set(key, _bytes(value), nx=True)
        case "hash":
            for field, text in value.items():
                client.hsetnx(key, _bytes(field), _bytes(text))
        case "set" if value:
            client.sadd(key, *map(_bytes, value))
        case "zset" if value:
            client.zadd(key, {_bytes(m): score for m, score in value}, nx=True)
        case "list" if value and not there:
            client.rpush(key, *map(_bytes, value))
        case "stream" if not there:
            for identifier, fields in value:
                client.xadd(key, {_bytes(k): _bytes(v) for k, v in fields.items()}, id=identifier)
    if content["expires_ms"] and not there:
        client.pexpire(key, content["expires_ms"])


def _text(raw: bytes) -> str:
    """Bytes that are not UTF-8 survive, as surrogates escaped by JSON."""
    return raw.decode("utf-8", "surrogateescape")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _escaped(prefix: str) -> str:
    return "".join(f"\\{c}" if c in "*?[]\\" else c for c in prefix)
