"""The daily round of retention: what has had its time goes into the trash, and what has been there long
enough is freed for ever. Everything can be repeated; what cannot be moved now is moved with the next round.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from datetime import datetime

from winslow_nomad.core.errors import NotFound, Refused
from winslow_nomad.core.operations import Operation
from winslow_nomad.core.project import Project
from winslow_nomad.core.retention import RetentionPolicy, obsolete
from winslow_nomad.resources.trash import Trash, TrashEntry

log = logging.getLogger(__name__)


def tidy(
    projects: Iterable[Project], policy: RetentionPolicy, trash: Trash, now: datetime, new_id: Callable[[], str]
) -> list[TrashEntry]:
    """Move aside what the rule names; answers what was moved. Raises ShareUnavailable: the rest waits."""
    moved: list[TrashEntry] = []
    for project in projects:
        rule = policy.of(project.id)
        removals = obsolete(project, now, rule) and obsolete(project, now, rule, trash.restored(project.id))
        try:
            entry = trash.put_obsolete(removals, f"{now:%Y%m%dT%H%M%S}-{new_id()}", now)
        except (NotFound, Refused) as error:  # its files are elsewhere: in the trash as a whole, behind a link
            log.info("nothing of project %s was moved to the trash: %s", project.id, error)
            continue
        if entry is not None:
            moved.append(entry)
    return moved


def emptying(trash: Trash, policy: RetentionPolicy, now: datetime) -> list[Operation]:
    """The operations "delete" to put into the book: one for each entry whose time has come, and once an hour
    at most."""
    found = []
    for entry in trash.entries():
        patience = policy.of(entry.project).trash
        if patience is not None and entry.at + patience <= now:
            found.append(
                Operation(
                    id=f"delete-{entry.id}-{now:%Y%m%d%H}",
                    kind="delete",
                    project=entry.project,
                    arguments={"entry": entry.id},
                    made=now,
                )
            )
    return found
