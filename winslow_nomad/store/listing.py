"""The lists of projects for people: one index is walked from its newest project on, and what does not fit is left
out on the way. No step looks at more than some hundred projects, so that a list never holds up the store, however
many projects there are and whatever is asked."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError
from redis import Redis

from winslow_nomad.core.errors import Invalid
from winslow_nomad.core.lists import TRASH, Counts, Page, Query
from winslow_nomad.core.rows import Summary
from winslow_nomad.store.codec import unreadable
from winslow_nomad.store.keys import Keys
from winslow_nomad.store.transaction import as_dict, ask

LOOK = 600  # projects that one step looks at
SUMMARIES: TypeAdapter[tuple[Summary, ...]] = TypeAdapter(tuple[Summary, ...])

# Looks at `look` members of one index from `at` on, in order: of the one that is named, or of the group with the fewest
# projects (several keys are one list; what is in more than one is met again, so these cost more). All indexes without
# a name of their own have the same order, so the next step may walk another one. Answers: whether that was the end;
# the position of the last member looked at; then id, position and summary of those that fit, at most `want`. Positions
# are score and id, or the member itself where the order is by name.
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
  local x, y = a[3], b[3]
  if x ~= y then if q.desc then return x > y else return x < y end end
  if q.desc then return less(b[1], a[1]) else return less(a[1], b[1]) end
end

local start = {q.id, q.at, tonumber(q.at)}

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
      local row = {reply[i], reply[i + 1], tonumber(reply[i + 1])}
      if q.at == '' or before(start, row) then
        if #found == q.look then return found, false end
        found[#found + 1] = row
      end
    end
    if #reply < 2 * q.look then return found, true end
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

local function merged(lists)
  local found, at = {}, {}
  for k = 1, #lists do at[k] = 1 end
  while #found < q.look do
    local best
    for k, list in ipairs(lists) do
      local row = list[at[k]]
      if row and (not best or before(row, best)) then best = row end
    end
    if not best then return found end
    found[#found + 1] = best
    for k, list in ipairs(lists) do
      local row = list[at[k]]
      if row and row[1] == best[1] then at[k] = at[k] + 1 end
    end
  end
  return found
end

local base, least = {q.base}, nil
if q.choose then
  least = redis.call('ZCARD', q.base)
  for _, group in ipairs(q.any) do
    local size = 0
    for _, key in ipairs(group) do size = size + redis.call('ZCARD', key) end
    if #group > 1 then size = size * 3 end
    if size < least then base, least = group, size end
  end
end

local rows, ended
if q.lex then
  rows, ended = by_name(base[1])
elseif #base == 1 then
  rows, ended = by_score(base[1])
else
  local lists, over, all = {}, nil, 0
  ended = true
  for k, key in ipairs(base) do
    lists[k], over = by_score(key)
    ended, all = ended and over, all + #lists[k]
  end
  rows = merged(lists)
  ended = ended and all <= q.look
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
  if #rows > 0 and group ~= base then
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
    """base: the index that is walked, unless one of `any` may be `chosen`; any: groups of which each must have the
    project under one of its keys."""

    base: str
    chosen: bool
    lex: bool
    any: tuple[tuple[str, ...], ...]
    none: tuple[str, ...]


class Lister:
    """core.lists.Listing. Safe to share between threads."""

    def __init__(self, client: Redis, keys: Keys) -> None:
        self._client = client
        self._keys = keys
        self._audiences: dict[bytes, tuple[str, list[str]]] = {}

    def find(self, query: Query) -> Page:
        texts, after = self.texts(query)
        try:
            return Page(rows=SUMMARIES.validate_json(b"[" + b",".join(texts) + b"]"), next=after)
        except ValidationError as error:
            raise unreadable("a project in lists", error) from error

    def texts(self, query: Query) -> tuple[list[bytes], str]:
        """Summaries as they are stored, and the `next` of the page."""
        plan = self._plan(query)
        position = _position(query.after, lex=plan.lex)
        found: list[tuple[tuple[str, str], bytes]] = []
        looked = 0
        while True:
            look = LOOK if looked else min(LOOK, max(6 * query.limit, 64))
            ended, last, rows = self._step(query, plan, position, look, query.limit + 1 - len(found))
            found += rows
            looked += look
            if len(found) > query.limit:
                cut = found[: query.limit]
                return [text for _, text in cut], _cursor(cut[-1][0], lex=plan.lex)
            if ended:
                return [text for _, text in found], ""
            position = last
            if query.cap is not None and looked >= query.cap:
                return [text for _, text in found], _cursor(position, lex=plan.lex)

    def counts(self, who: frozenset[str] | None, author: str = "") -> Counts:
        amounts = as_dict(ask(self._client, ("HGETALL", self._keys.counts))[0])
        readers = self._readers({field.rpartition(b"|")[2] for field in amounts})
        states: dict[str, int] = {}
        mine = 0
        for field, amount in amounts.items():
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
        amounts = as_dict(ask(self._client, ("HGETALL", self._keys.used))[0])
        readers = self._readers({field.partition(b"|")[0] for field in amounts})
        found: dict[str, int] = {}
        for field, amount in amounts.items():
            digest, _, use = field.partition(b"|")
            name = use.decode()
            if int(amount) and name.startswith(kind) and (who is None or not who.isdisjoint(readers[digest][1])):
                found[name.removeprefix(kind)] = found.get(name.removeprefix(kind), 0) + int(amount)
        return dict(sorted(found.items()))

    def _readers(self, digests: set[bytes]) -> dict[bytes, tuple[str, list[str]]]:
        """Author and names by the digest of an audience. They never change, so each is read once."""
        unknown = sorted(digests - self._audiences.keys())
        if unknown:
            found = ask(self._client, ("HMGET", self._keys.audiences, *unknown))[0]
            read = {d: tuple(json.loads(t)) for d, t in zip(unknown, found, strict=True) if t is not None}
            self._audiences = {**self._audiences, **read}
        return self._audiences

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
        whole = {
            "updated": keys.updated, "created": keys.created, "name": keys.named, "priority": keys.priority
        }  # fmt: skip
        base = keys.asking if query.asking else whole[query.sort]
        plain = query.asking or query.sort == "updated"
        return _Plan(
            base=base,
            chosen=plain and not query.asking,
            lex=not plain and query.sort == "name",
            any=tuple(needed),
            none=tuple(none),
        )

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
            "choose": plan.chosen,
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
