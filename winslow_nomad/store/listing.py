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

LOOK = 600  # projects that one step looks at, at most
LEAST = 64
SUMMARIES: TypeAdapter[tuple[Summary, ...]] = TypeAdapter(tuple[Summary, ...])

# Looks at `look` members of one index from `at` on, in order: of the one that is named, or of the group with the fewest
# projects (several keys are one list; what is in more than one is met again, so these cost more). All indexes without
# a name of their own have the same order, so the next step may walk another one. Answers: whether that was the end;
# whether more fit than the `want` that are given; the positions of the last member looked at and of the last that is
# given; how many are given, and their summaries as one text. Positions are id and score, or id and the member itself
# where the order is by name.
STEP = """
local q = cjson.decode(ARGV[1])
local call, byte = redis.call, string.byte

local function less(a, b)
  local n = math.min(#a, #b)
  for i = 1, n do
    local x, y = byte(a, i), byte(b, i)
    if x ~= y then return x < y end
  end
  return #a < #b
end

local function before(id_a, at_a, id_b, at_b)
  if at_a ~= at_b then
    local x, y = tonumber(at_a), tonumber(at_b)
    if q.desc then return x > y else return x < y end
  end
  if q.desc then return less(id_b, id_a) else return less(id_a, id_b) end
end

local function by_score(key)
  local ids, ats, n, offset = {}, {}, 0, 0
  local low, high = '-inf', '+inf'
  if q.at ~= '' then if q.desc then high = q.at else low = q.at end end
  local skipping = q.at ~= ''
  while true do
    local reply
    if q.desc then
      reply = call('ZRANGE', key, high, low, 'BYSCORE', 'REV', 'LIMIT', offset, q.look, 'WITHSCORES')
    else
      reply = call('ZRANGE', key, low, high, 'BYSCORE', 'LIMIT', offset, q.look, 'WITHSCORES')
    end
    for i = 1, #reply, 2 do
      skipping = skipping and not before(q.id, q.at, reply[i], reply[i + 1])
      if not skipping then
        if n == q.look then return ids, ats, false end
        n = n + 1
        ids[n], ats[n] = reply[i], reply[i + 1]
      end
    end
    if #reply < 2 * q.look then return ids, ats, true end
    if n == q.look then return ids, ats, false end
    offset = offset + q.look
  end
end

local function by_name(key)
  local reply
  if q.desc then
    reply = call('ZRANGE', key, q.at == '' and '+' or '(' .. q.at, '-', 'BYLEX', 'REV', 'LIMIT', 0, q.look)
  else
    reply = call('ZRANGE', key, q.at == '' and '-' or '(' .. q.at, '+', 'BYLEX', 'LIMIT', 0, q.look)
  end
  local ids = {}
  for i = 1, #reply do ids[i] = string.match(reply[i], '[^%z]*$') end
  return ids, reply, #reply < q.look
end

local function merged(keys)
  local lists, all, ended, over = {}, 0, true, nil
  for k, key in ipairs(keys) do
    local list = {at = 1}
    list.ids, list.ats, over = by_score(key)
    lists[k], ended, all = list, ended and over, all + #list.ids
  end
  local ids, ats = {}, {}
  while #ids < q.look do
    local best, id, at
    for _, list in ipairs(lists) do
      local this = list.ids[list.at]
      if this and (not best or before(this, list.ats[list.at], id, at)) then
        best, id, at = list, this, list.ats[list.at]
      end
    end
    if not best then break end
    ids[#ids + 1], ats[#ats + 1] = id, at
    for _, list in ipairs(lists) do
      if list.ids[list.at] == id then list.at = list.at + 1 end
    end
  end
  return ids, ats, ended and all <= q.look
end

local base = {q.base}
if q.choose then
  local least = call('ZCARD', q.base)
  for _, group in ipairs(q.any) do
    local size = 0
    for _, key in ipairs(group) do size = size + call('ZCARD', key) end
    if #group > 1 then size = size * 3 end
    if size < least then base, least = group, size end
  end
end
local ids, ats, ended
if q.lex then ids, ats, ended = by_name(base[1])
elseif #base == 1 then ids, ats, ended = by_score(base[1])
else ids, ats, ended = merged(base) end
local last_id, last_at = ids[#ids] or '', ats[#ats] or ''

local function keep(fits)
  local n, kept, places = 0, {}, {}
  for i = 1, #ids do
    if fits[i] then n = n + 1; kept[n], places[n] = ids[i], ats[i] end
  end
  ids, ats = kept, places
end

for _, group in ipairs(q.any) do
  if #ids > 0 and group ~= base then
    local fits, open, names = {}, {}, ids
    for i = 1, #ids do open[i] = i end
    for _, key in ipairs(group) do
      local scores, left, rest, n = call('ZMSCORE', key, unpack(names)), {}, {}, 0
      for i = 1, #open do
        if scores[i] then fits[open[i]] = true else n = n + 1; left[n], rest[n] = open[i], names[i] end
      end
      open, names = left, rest
      if n == 0 then break end
    end
    keep(fits)
  end
end
for _, key in ipairs(q.none) do
  if #ids > 0 then
    local scores, fits = call('ZMSCORE', key, unpack(ids)), {}
    for i = 1, #ids do fits[i] = not scores[i] end
    keep(fits)
  end
end
if q.text ~= '' and #ids > 0 then
  local texts, fits = call('HMGET', q.folded, unpack(ids)), {}
  for i = 1, #ids do fits[i] = texts[i] and string.find(texts[i], q.text, 1, true) end
  keep(fits)
end

local found, cut_id, cut_at, more = {}, '', '', 0
for i = 1, #ids do
  local summary = call('HGET', q.project .. ids[i], 'summary')
  if summary then
    if #found == q.want then more = 1; break end
    found[#found + 1] = summary
    cut_id, cut_at = ids[i], ats[i]
  end
end
return {ended and 1 or 0, more, last_id, last_at, cut_id, cut_at, #found, table.concat(found, ',')}
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


Position = tuple[str, str]  # id, and score or member


@dataclass(frozen=True, slots=True)
class _Step:
    """What STEP answers."""

    ended: bool
    more: bool
    last: Position
    cut: Position
    count: int
    rows: bytes


class Lister:
    """core.lists.Listing. Safe to share between threads."""

    def __init__(self, client: Redis, keys: Keys) -> None:
        self._client = client
        self._keys = keys
        self._audiences: dict[bytes, tuple[str, list[str]]] = {}

    def find(self, query: Query) -> Page:
        text, after = self.text(query)
        try:
            return Page(rows=SUMMARIES.validate_json(text), next=after)
        except ValidationError as error:
            raise unreadable("a project in lists", error) from error

    def text(self, query: Query) -> tuple[bytes, str]:
        """Summaries as they are stored, as one JSON array, and the `next` of the page."""
        plan = self._plan(query)
        position = _position(query.after, lex=plan.lex)
        found: list[bytes] = []
        wanted, looked = query.limit, 0
        while True:
            look = _look(query.limit, wanted, looked)
            step = self._step(query, plan, position, look, wanted)
            wanted, looked, position = wanted - step.count, looked + look, step.last
            found += [step.rows] if step.count else []
            after = ""
            if step.more or (wanted == 0 and not step.ended):
                after = _cursor(step.cut if step.count else position, lex=plan.lex)
            elif not step.ended and query.cap is not None and looked >= query.cap:
                after = _cursor(position, lex=plan.lex)
            if after or step.ended:
                return b"[" + b",".join(found) + b"]", after

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

    def _step(self, query: Query, plan: _Plan, position: Position, look: int, want: int) -> _Step:
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
        ended, more, last_id, last_at, cut_id, cut_at, count, text = reply
        return _Step(
            ended=bool(ended),
            more=bool(more),
            last=(last_id.decode(), last_at.decode()),
            cut=(cut_id.decode(), cut_at.decode()),
            count=int(count),
            rows=text,
        )


def _look(limit: int, wanted: int, looked: int) -> int:
    """How many the next step looks at: what should do, by what fitted so far."""
    if not looked:
        return min(LOOK, max(6 * limit, LEAST))
    fitted = limit - wanted
    return LOOK if not fitted else min(LOOK, max(LEAST, round(1.3 * wanted * looked / fitted)))


def _terms(keys: Keys, kind: str, values: tuple[str, ...] | list[str]) -> tuple[str, ...]:
    return tuple(keys.term(f"{kind}:{v}") for v in values)


def _position(after: str, *, lex: bool) -> Position:
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


def _cursor(position: Position, *, lex: bool) -> str:
    project, at = position
    return f"{at.rpartition(chr(0))[0]}~{project}" if lex else f"{at}-{project}"
