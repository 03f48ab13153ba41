"""What becomes of the projects of somebody who leaves: they get another author, and with it somebody to whom their
questions belong. By commands, like everything that changes a project."""

from __future__ import annotations

from winslow_nomad.core.client import Client
from winslow_nomad.core.errors import Conflict, NotFound, Refused
from winslow_nomad.core.messages import Describe

FIRST = ("waiting", "paused", "failed", "running", "queued", "succeeded", "idle")  # whose questions are most urgent
PAGE = 200
ROUNDS = 3  # a project that changes while the list is read may be missed by one of them


def pass_on(client: Client, leaver: str, heir: str, actor: str) -> tuple[int, int]:
    """How many projects the heir has got, and how many still name the leaver: all, where there is no heir; else those
    that refused. Repeating it goes on."""
    passed: set[str] = set()
    kept: set[str] = set()
    for _ in range(ROUNDS):
        found = [p for p in _authored(client, leaver) if p not in kept]
        if not heir:
            return 0, len(found)
        for project in found:
            try:
                client.send(project, Describe(actor=actor, author=heir))
                passed.add(project)
            except (Refused, Conflict, NotFound):
                kept.add(project)
        if not found:
            break
    return len(passed), len(kept)


def _authored(client: Client, author: str) -> list[str]:
    """All of them before the first is changed, since changing one takes it out of the list."""
    found: dict[str, str] = {}
    after = ""
    while page := client.projects(author=author, limit=PAGE, after=after):
        found.update((row.id, row.state) for row in page)
        after = page[-1].id
    return sorted(found, key=lambda project: FIRST.index(found[project]))
