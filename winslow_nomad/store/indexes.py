"""What projects are found by: the terms of one, and what a commit writes to keep all indexes true. No I/O.

Every index is ordered by the last change, so that the newest of any of them can be walked without sorting."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

from winslow_nomad.core.lists import TRASH
from winslow_nomad.core.project import Project
from winslow_nomad.core.rows import asked_since
from winslow_nomad.store.extracts import milliseconds
from winslow_nomad.store.keys import Keys

Command = tuple[str | bytes | int | float, ...]

RANK = 2**41  # more milliseconds than any time has: a priority counts before every time
LONGEST_NAME = 200  # characters that order names


@dataclass(frozen=True, slots=True)
class Places:
    """Where a project stands in all lists."""

    terms: frozenset[str]
    state: str  # or `trashed`
    audience: str
    named: str
    folded: str
    asking: int | None


def places(project: Project) -> Places:
    state = TRASH if project.trashed is not None else project.state.value
    since = asked_since(project)
    fold = project.name.casefold()
    terms = {f"state:{state}", f"author:{project.author}", f"pipeline:{project.pipeline.name}"}
    terms.update(f"tag:{t}" for t in project.tags)
    terms.update(f"who:{n}" for n in audience_of(project))
    return Places(
        terms=frozenset(terms),
        state=state,
        audience=_digest(project),
        named=f"{fold[:LONGEST_NAME]}\0{project.id}",
        folded=f"{fold}\n{project.id}",
        asking=milliseconds(since) if since is not None else None,
    )


def audience_of(project: Project) -> list[str]:
    """All names under which somebody may see it."""
    return sorted({project.author, *(m.user for m in project.participants)} - {""})


def _audience(project: Project) -> str:
    return json.dumps([project.author, audience_of(project)], ensure_ascii=False)


def _digest(project: Project) -> str:
    return hashlib.sha256(_audience(project).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def write(keys: Keys, before: Places | None, project: Project, after: Places) -> list[Command]:
    """The commands that lead from one place to the other."""
    identity, score = project.id, milliseconds(project.updated)
    commands: list[Command] = [
        ("ZADD", keys.updated, score, identity),
        ("ZADD", keys.priority, project.priority * RANK + score, identity),
    ]
    commands += [("ZADD", keys.term(t), score, identity) for t in sorted(after.terms)]
    gone = sorted(before.terms - after.terms) if before is not None else []
    commands += [("ZREM", keys.term(t), identity) for t in gone]
    commands += _used(keys, before, after)
    if before is None:
        commands.append(("ZADD", keys.created, milliseconds(project.created), identity))
    if before is None or before.folded != after.folded:
        if before is not None:
            commands.append(("ZREM", keys.named, before.named))
        commands.append(("ZADD", keys.named, 0, after.named))
        commands.append(("HSET", keys.folded, identity, after.folded))
    if after.asking is not None:
        commands.append(("ZADD", keys.asking, after.asking, identity))
    elif before is not None and before.asking is not None:
        commands.append(("ZREM", keys.asking, identity))
    return commands + _counts(keys, before, project, after)


def _used(keys: Keys, before: Places | None, after: Places) -> list[Command]:
    """How often pipelines and tags occur, for completing what somebody types."""
    old, new = _uses(before), _uses(after)
    steps = [(use, 1) for use in sorted(new - old)] + [(use, -1) for use in sorted(old - new)]
    return [("HINCRBY", keys.used, use, step) for use, step in steps]


def _uses(of: Places | None) -> set[str]:
    if of is None or of.state == TRASH:
        return set()
    return {f"{of.audience}|{t}" for t in of.terms if t.startswith(("pipeline:", "tag:"))}


def _counts(keys: Keys, before: Places | None, project: Project, after: Places) -> list[Command]:
    """Projects are counted by who may see them: those are few, while the projects are many."""
    if before is not None and (before.state, before.audience) == (after.state, after.audience):
        return []
    commands: list[Command] = []
    if before is not None:
        commands.append(("HINCRBY", keys.counts, f"{before.state}|{before.audience}", -1))
    commands.append(("HINCRBY", keys.counts, f"{after.state}|{after.audience}", 1))
    if before is None or before.audience != after.audience:
        commands.append(("HSET", keys.audiences, after.audience, _audience(project)))
    return commands
