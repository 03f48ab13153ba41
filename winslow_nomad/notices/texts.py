"""What a message says: who, what, which project, and where to look. Never a secret."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

from winslow_nomad.core.notices import Message, Notice

LONGEST = 150  # characters of a subject
TEST = "This is a test: notifications reach you."
PLURAL = {"gate": "questions", "failure": "failures", "finished": "finished projects",
          "impossible": "stages that cannot start", "node": "messages about nodes"}  # fmt: skip
SINGULAR = {"gate": "question", "failure": "failure", "finished": "finished project",
            "impossible": "stage that cannot start", "node": "message about nodes"}  # fmt: skip


def subject(message: Message) -> str:
    if message.test:
        return "Winslow: a test"
    if len(message.notices) == 1 and not message.more:
        return _short(sentence(message.notices[0]))
    counts = Counter(n.what for n in message.notices)
    parts = [f"{c} {(PLURAL if c > 1 else SINGULAR).get(what, what)}" for what, c in counts.items()]
    projects = {n.project: n.name for n in message.notices if n.project}
    where = f"{len(projects)} projects" if len(projects) > 1 else next(iter(projects.values()), "")
    more = f" and {message.more} more" if message.more else ""
    return _short(f"{', '.join(parts)}{more}" + (f" in {where}" if where else ""))


def body(message: Message, public_url: str, zone: str) -> str:
    """Plain text. `public_url`: where people find the web UI; empty: not known, and there are no links."""
    if message.test:
        lines = [TEST, ""]
    else:
        lines = [line for notice in message.notices for line in (*of(notice, public_url, zone), "")]
    if message.more:
        lines += [f"And {message.more} more.", ""]
    if message.to and public_url:
        lines.append(f"What you are told is up to you: {public_url}/settings/notifications")
    return "\n".join(lines).rstrip() + "\n"


def of(notice: Notice, public_url: str, zone: str) -> Sequence[str]:
    at = notice.at.astimezone(ZoneInfo(zone))
    by = f" (after {notice.actor} did something)" if notice.actor else ""
    found = [sentence(notice), f"{at:%Y-%m-%d %H:%M} {at.tzname()}{by}"]
    link = link_to(notice, public_url)
    return [*found, link] if link else found


def sentence(notice: Notice) -> str:
    text = " ".join(notice.text.split())
    stage = f"{notice.stage:04d}-{notice.stage_id}" if notice.stage_id else "a stage"
    match notice.what:
        case "gate":
            return f"{notice.name} waits for you: {text}"
        case "failure":
            return f"{notice.name}: {stage} failed: {text}"
        case "impossible":
            return f"{notice.name}: {stage} cannot start: {text}"
        case _:
            return text


def link_to(notice: Notice, public_url: str) -> str:
    if not public_url:
        return ""
    return f"{public_url}/projects/{quote(notice.project)}" if notice.project else f"{public_url}/nodes"


def as_event(message: Message, public_url: str) -> dict[str, Any]:
    """What a webhook is told: one notice, the same at every try."""
    if message.test:
        return {"id": message.id, "event": "test", "text": TEST, "at": _time(message.opened)}
    notice = message.notices[0]
    return {
        "id": message.id,
        "event": notice.what,
        "text": sentence(notice),
        "detail": notice.text,
        "at": _time(notice.at),
        "project": {"id": notice.project, "name": notice.name} if notice.project else None,
        "stage": {"number": notice.stage, "id": notice.stage_id} if notice.stage else None,
        "node": notice.node or None,
        "actor": notice.actor or None,
        "url": link_to(notice, public_url) or None,
    }


def _time(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


def _short(text: str) -> str:
    text = "".join(c if c.isprintable() else " " for c in text)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
