"""core.progress.Progresses in one hash, which holds what runs and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from redis import Redis

from winslow_nomad.core.progress import StageKey, Told
from winslow_nomad.store import codec
from winslow_nomad.store.commit import Command
from winslow_nomad.store.keys import Keys
from winslow_nomad.store.transaction import as_dict, ask


class RedisProgresses:
    def __init__(self, client: Redis, keys: Keys) -> None:
        self._client = client
        self._key = keys.progress

    def read(self, stages: Iterable[StageKey]) -> Mapping[StageKey, Told]:
        wanted = list(stages)
        if not wanted:
            return {}
        found = ask(self._client, ("HMGET", self._key, *(_field(s) for s in wanted)))[0]
        pairs = zip(wanted, found, strict=True)
        return {stage: Told.model_validate_json(text) for stage, text in pairs if text is not None}

    def all(self) -> Mapping[StageKey, Told]:
        found = as_dict(ask(self._client, ("HGETALL", self._key))[0])
        return {_stage(field.decode()): Told.model_validate_json(text) for field, text in found.items()}

    def put(self, told: Mapping[StageKey, Told], gone: Iterable[StageKey] = ()) -> None:
        commands: list[Command] = []
        if told:
            rows = [x for stage, one in told.items() for x in (_field(stage), codec.write_record(one))]
            commands.append(("HSET", self._key, *rows))
        left = [_field(s) for s in gone]
        if left:
            commands.append(("HDEL", self._key, *left))
        if commands:
            ask(self._client, *commands)


def _field(stage: StageKey) -> str:
    return f"{stage[0]}/{stage[1]}"


def _stage(field: str) -> StageKey:
    project, _, number = field.rpartition("/")
    return project, int(number)
