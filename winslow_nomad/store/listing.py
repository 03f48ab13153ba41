"""The lists of projects for people: one index is walked from its newest project on, and what does not fit is left
out on the way. No step looks at more than some hundred projects, so that a list never holds up the store, however
many projects there are and whatever is asked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from redis import Redis

from winslow_nomad.core.errors import Invalid
from winslow_nomad.core.lists import TRASH, Counts, Page, Query
from winslow_nomad.core.rows import Summary
from winslow_nomad.store.codec import unreadable
from winslow_nomad.store.keys import Keys
from winslow_nomad.store.transaction import as_dict, ask

LOOK = 500  # projects that one step looks at
NEWEST = {"updated", "created", "priority"}  # lists ordered by a number

# Looks at `look` members of the base from `at` on, in order; several keys are one list. Answers: whether that was
# the end; the position of the last member looked at; then id, position and summary of those that fit, at most
# `want`. Positions are score and id, or the member itself where the order is by name.
STEP = """
local q = cjson.decode(ARGV[1])

local function less(a, b)
  local n = math.min(#a, #b)
  for i = 1, n do
    local x, y = string.byte(a, i), string.byte(b, i)
    if x ~= y then return x < y end
  end
  return #a < #b
end

local function before(a, b)
  local x, y = tonumber(a[2]), tonumber(b[2])
  if x ~= y then if q.desc then return x > y else return x < y end end
  if q.desc then return less(b[1], a[1]) else return less(a[1], b[1]) end
end

local function by_score(key)
  local found, offset = {}, 0
  local low, high = '-inf', '+inf'
  if q.at ~= '' then if q.desc then high = q.at else low = q.at end end
  while true do
    local reply
    if q.desc then
      reply = redis.call('ZRANGE', key, high, low, 'BYSCORE', 'REV', 'LIMIT', offset, q.look, 'WITHSCORES')
    else
      reply = redis.call('ZRANGE', key, low, high, 'BYSCORE', 'LIMIT', offset, q.look, 'WITHSCORES')
    end
    for i = 1, #reply, 2 do
      local row = {reply[i], reply[i + 1]}
      if q.at == '' or before({q.id, q.at}, row) then found[#found + 1] = row end
    end
    if #reply < 2 * q.look then return found, true end
    if #found >= q.look then return found, false end
    offset = offset + q.look
  end
end

local function by_name(key)
  local reply
  if q.desc then
    local from = '+'
    if q.at ~= '' then from = '(' .. q.at end
    reply = redis.call('ZRANGE', key, from, '-', 'BYLEX', 'REV', 'LIMIT', 0, q.look)
  else
    local from = '-'
    if q.at ~= '' then from = '(' .. q.at end
    reply = redis.call('ZRANGE', key, from, '+', 'BYLEX', 'LIMIT', 0, q.look)
  end
  local found = {}
  for i = 1, #reply do
    local id = string.match(reply[i], '[^%z]*$')
    found[i] = {id, reply[i]}
  end
  return found, #reply < q.look
end

local rows, ended
if q.lex then
  rows, ended = by_name(q.base[1])
else
  ended = true
  local all, seen = {}, {}
  for _, key in ipairs(q.base) do
    local some, over = by_score(key)
    ended = ended and over
    for _, row in ipairs(some) do
      if not seen[row[1]] then seen[row[1]] = true; all[#all + 1] = row end
    end
  end
  if #q.base > 1 then table.sort(all, before) end
  rows = {}
  for i = 1, math.min(#all, q.look) do rows[i] = all[i] end
  ended = ended and #all <= q.look
end
local last = rows[#rows]

local function kept(list, test)
  local left = {}
  for i, row in ipairs(list) do if test[i] then left[#left + 1] = row end end
  return left
end

local function ids(list)
  local found = {}
  for i, row in ipairs(list) do found[i] = row[1] end
  return unpack(found)
end

for _, group in ipairs(q.any) do
  if #rows > 0 then
    local fits = {}
    for _, key in ipairs(group) do
      for i, score in ipairs(redis.call('ZMSCORE', key, ids(rows))) do
        if score then fits[i] = true end
      end
    end
    rows = kept(rows, fits)
  end
end
for _, key in ipairs(q.none) do
  if #rows > 0 then
    local fits = {}
    for i, score in ipairs(redis.call('ZMSCORE', key, ids(rows))) do fits[i] = not score end
    rows = kept(rows, fits)
  end
end
if q.text ~= '' and #rows > 0 then
  local fits = {}
  for i, text in ipairs(redis.call('HMGET', q.folded, ids(rows))) do
    fits[i] = text and string.find(text, q.text, 1, true)
  end
  rows = kept(rows, fits)
end

local answer = {ended and 1 or 0, last and last[1] or '', last and last[2] or ''}
for i = 1, math.min(#rows, q.want) do
  answer[#answer + 1] = rows[i][1]
  answer[#answer + 1] = rows[i][2]
  answer[#answer + 1] = redis.call('HGET', q.project .. rows[i][1], 'summary')
end
return answer
"""


@dataclass(frozen=True, slots=True)
class _Plan:
    """base: the index that is walked; any: groups of which each must have the project under one of its keys."""

    base: tuple[str, ...]
    lex: bool
    any: tuple[tuple[str, ...], ...]
    none: tuple[str, ...]


class Lister:
    """core.lists.Listing. Safe to share between threads."""

    def __init__(self, client: Redis, keys: Keys) -> None:
        self._client = client
        self._keys = keys

    def find(self, query: Query) -> Page:
        plan = self._plan(query)
        position = _position(query.after, lex=plan.lex)
        found: list[tuple[tuple[str, str], bytes]] = []
        looked = 0
        while True:
            look = LOOK if looked else max(2 * query.limit, 64)
            step = min(look, LOOK)
            ended, last, rows = self._step(query, plan, position, step, query.limit + 1 - len(found))
            found += rows
            looked += step
            if len(found) > query.limit:
                return Page(rows=_read(found[: query.limit]), next=_cursor(found[query.limit - 1][0], lex=plan.lex))
            if ended:
                return Page(rows=_read(found))
            position = last
            if query.cap is not None and looked >= query.cap:
                return Page(rows=_read(found), next=_cursor(position, lex=plan.lex))

    def counts(self, who: frozenset[str] | None, author: str = "") -> Counts:
        amounts, audiences = ask(self._client, ("HGETALL", self._keys.counts), ("HGETALL", self._keys.audiences))
        readers = _readers(audiences)
        states: dict[str, int] = {}
        mine = 0
        for field, amount in as_dict(amounts).items():
            state, _, digest = field.partition(b"|")
            by, names = readers[digest]
            if not int(amount) or (who is not None and who.isdisjoint(names)):
                continue
            states[state.decode()] = states.get(state.decode(), 0) + int(amount)
            if by == author and state.decode() != TRASH:
                mine += int(amount)
        return Counts(states=states, mine=mine, total=sum(n for s, n in states.items() if s != TRASH))

    def used_pipelines(self, who: frozenset[str] | None) -> dict[str, int]:
        return self._used("pipeline:", who)

    def used_tags(self, who: frozenset[str] | None) -> dict[str, int]:
        return self._used("tag:", who)

    def _used(self, kind: str, who: frozenset[str] | None) -> dict[str, int]:
        amounts, audiences = ask(self._client, ("HGETALL", self._keys.used), ("HGETALL", self._keys.audiences))
        readers = _readers(audiences)
        found: dict[str, int] = {}
        for field, amount in as_dict(amounts).items():
            digest, _, use = field.partition(b"|")
            name = use.decode()
            if int(amount) and name.startswith(kind) and (who is None or not who.isdisjoint(readers[digest][1])):
                found[name.removeprefix(kind)] = found.get(name.removeprefix(kind), 0) + int(amount)
        return dict(sorted(found.items()))

    def _plan(self, query: Query) -> _Plan:
        keys = self._keys
        pipelines, not_pipelines = self._globs(query.pipelines), self._globs(query.not_pipelines)
        groups = [
            _terms(keys, "state", query.states),
            *(_terms(keys, "tag", (t,)) for t in query.tags),
            _terms(keys, "author", query.authors),
            _terms(keys, "pipeline", pipelines) if query.pipelines else (),
            _terms(keys, "who", query.participants),
            _terms(keys, "who", sorted(query.who)) if query.who is not None else (),
        ]
        if query.pipelines and not pipelines:
            groups.append((keys.term("pipeline"),))  # no pipeline is called so: nothing is found by it
        needed = [g for g in groups if g]
        none = [
            *_terms(keys, "state", query.not_states),
            *_terms(keys, "tag", query.not_tags),
            *_terms(keys, "author", query.not_authors),
            *_terms(keys, "pipeline", not_pipelines),
        ]
        if TRASH not in query.states:
            none.append(keys.term(f"state:{TRASH}"))
        if query.asking or query.sort != "updated":
            whole = {"created": keys.created, "name": keys.named, "priority": keys.priority}
            base = keys.asking if query.asking else whole[query.sort]
            return _Plan((base,), not query.asking and query.sort == "name", tuple(needed), tuple(none))
        return self._smallest(needed, tuple(none))

    def _smallest(self, groups: list[tuple[str, ...]], none: tuple[str, ...]) -> _Plan:
        """Walk what has the fewest projects."""
        everything = (self._keys.updated,)
        candidates = [*groups, everything]
        flat = [key for group in candidates for key in group]
        sizes = dict(zip(flat, ask(self._client, *(("ZCARD", k) for k in flat)), strict=True))
        base = min(candidates, key=lambda group: sum(int(sizes[k]) for k in group))
        return _Plan(base, False, tuple(g for g in groups if g is not base), none)

    def _globs(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """Names with the `traffic*` among them replaced by those that projects have."""
        if not any(n.endswith("*") for n in names):
            return names
        known = self.used_pipelines(None)
        found = [n for n in names if not n.endswith("*")]
        found += [k for n in names if n.endswith("*") for k in known if k.startswith(n[:-1])]
        return tuple(dict.fromkeys(found))

    def _step(
        self, query: Query, plan: _Plan, position: tuple[str, str], look: int, want: int
    ) -> tuple[bool, tuple[str, str], list[tuple[tuple[str, str], bytes]]]:
        arguments = {
            "base": plan.base,
            "lex": plan.lex,
            "desc": True if query.asking else query.descending,
            "id": position[0],
            "at": position[1],
            "look": look,
            "want": want,
            "any": plan.any,
            "none": plan.none,
            "text": query.text.casefold(),
            "folded": self._keys.folded,
            "project": self._keys.project(""),
        }
        reply: list[Any] = ask(self._client, ("EVAL", STEP, 0, json.dumps(arguments, ensure_ascii=False)))[0]
        rows = [
            ((reply[i].decode(), reply[i + 1].decode()), reply[i + 2])
            for i in range(3, len(reply), 3)
            if reply[i + 2] is not None
        ]
        return bool(reply[0]), (reply[1].decode(), reply[2].decode()), rows


def _readers(audiences: Any) -> dict[bytes, tuple[str, list[str]]]:
    """Author and names by the digest of an audience."""
    return {digest: tuple(json.loads(text)) for digest, text in as_dict(audiences).items()}


def _terms(keys: Keys, kind: str, values: tuple[str, ...] | list[str]) -> tuple[str, ...]:
    return tuple(keys.term(f"{kind}:{v}") for v in values)


def _position(after: str, *, lex: bool) -> tuple[str, str]:
    """(id, score) or (id, member); empty texts: from the start."""
    if not after:
        return "", ""
    if lex:
        name, _, project = after.rpartition("~")
        if project:
            return project, f"{name}\0{project}"
    else:
        score, _, project = after.partition("-")
        if project and score.isascii() and score.isdecimal() and len(score) < 17:
            return project, score
    raise Invalid(
        f"{after[:80]!r} is no place in this list; nothing was done.",
        hint="Give the `next` of a page that was answered, with the same order.",
        code="list.cursor",
    )


def _cursor(position: tuple[str, str], *, lex: bool) -> str:
    project, at = position
    return f"{at.rpartition(chr(0))[0]}~{project}" if lex else f"{at}-{project}"


def _read(found: list[tuple[tuple[str, str], bytes]]) -> tuple[Summary, ...]:
    return tuple(_summaries(found))


def _summaries(found: list[tuple[tuple[str, str], bytes]]) -> Iterator[Summary]:
    for (project, _), text in found:
        try:
            yield Summary.model_validate_json(text)
        except ValidationError as error:
            raise unreadable(f"project {project} in lists", error) from error
