"""What nobody should have to do by hand: moving aside what has outlived its time, emptying the trash,
counting what uses the disk. Runs in the process for files, at the pace of hours."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from winslow_nomad.config import Settings
from winslow_nomad.core.errors import NotFound, Refused
from winslow_nomad.core.operations import Operation
from winslow_nomad.core.project import Project
from winslow_nomad.core.retention import AT_ONCE, Retention, obsolete
from winslow_nomad.resources import changes, unpacking, uploads
from winslow_nomad.resources.layout import MARK
from winslow_nomad.resources.trash import Trash, TrashEntry, old
from winslow_nomad.resources.usage import Usage
from winslow_nomad.resources.work import Progress, share_conditions

if TYPE_CHECKING:
    from winslow_nomad.bootstrap.installation import Installation

log = logging.getLogger(__name__)
EVERY = 600.0  # seconds
DAY = 86400.0
SEALING = 20.0  # seconds that the record of an ended stage is waited for


class Housekeeping:
    def __init__(self, installation: Installation) -> None:
        settings = installation.settings
        self.installation = installation
        self.trash = Trash(settings.share)
        self.usage = Usage(settings.share, settings.home / "usage.json")
        self.policy = policy(settings)

    def __call__(self) -> None:
        now = self.installation.clock.now()
        self.policy = policy(self.installation.choices.now())
        for project in self.projects():
            with others_go_on(f"{project.id} was not tidied"):
                self.tidy(project, now)
        with others_go_on("the trash was not emptied"):
            self.empty_trash(now)
        with others_go_on("what broken imports left was not removed"):
            self.installation.pool.sweep([o.id for o in self.installation.operations.list()], older=DAY)
        with others_go_on("what broken uploads left was not removed"):
            self.expire_uploads(now)
        self.usage.survey(self.projects, self.trash.entries(), now)
        remember(largest_file(self.installation), self.usage.largest())

    def projects(self) -> list[Project]:
        found = (self.installation.store.load(p) for p in self.installation.store.projects())
        return [p for p in found if p is not None]

    def tidy(self, project: Project, now: datetime) -> None:
        """Nothing is deleted here: it goes to the trash, from where it can be taken back."""
        stamp = f"{now:%Y%m%dt%H%M%S}"
        if project.trashed is not None:
            if not project.stages and not project.sealing and self.trash.of_project(project.id) is None:
                self.moved(self.trash.put_project(project.id, f"{project.id}-{stamp}", "", now))
            return
        removals = obsolete(project, now, self.policy.of(project), self.trash.restored(project.id))
        if removals:
            self.moved(self.trash.put_obsolete(removals, old(project.id, stamp), now))

    def clean(self, operation: Operation, progress: Progress) -> str:
        """operate.Handler of the kind `clean`: what a project would lose in some days anyhow goes to the trash now.
        What has just ended is waited for until its record is complete: nothing of it may move before."""
        until = time.monotonic() + SEALING
        while True:
            project = self.installation.store.load(operation.project)
            if project is None:
                raise NotFound(f"There is no project {operation.project!r} any more.", code="project.not_found")
            if not project.sealing or time.monotonic() > until:
                break
            progress(0, 0, 0, 0)
            time.sleep(0.1)
        now = self.installation.clock.now()
        removals = obsolete(project, now, AT_ONCE)
        entry = self.trash.put_obsolete(removals, old(project.id, operation.id), now, operation.actor)
        self.moved(entry)
        count = len(entry.paths) if entry is not None else 0
        if not count:
            return "there was nothing to clean up"
        days = self.installation.choices.now().keep_trash_days
        return f"{directories(count)} moved to the trash, where it stays {days:g} days"

    def take_back(self, operation: Operation, progress: Progress) -> str:  # noqa: ARG002 - nothing to count
        """operate.Handler of the kind `take_back`: `clean` undone. Its time counts from now on."""
        entry = self.trash.restore(operation.arguments["entry"], self.installation.clock.now())
        for path in entry.paths:
            self.usage.forget(path)
        return f"{directories(len(entry.paths))} moved back from the trash"

    def moved(self, entry: TrashEntry | None) -> None:
        for path in entry.paths if entry is not None else ():
            self.usage.forget(path)
        if entry is not None:
            log.info("%s: %d directories moved to the trash", entry.project, len(entry.paths))

    def expire_uploads(self, now: datetime) -> None:
        share = self.installation.settings.share
        with share_conditions(), changes.share_at(str(share), MARK) as root:
            expired = uploads.expire(root, now.timestamp())
        if expired:
            log.info("%d uploads were given up: nobody has gone on with them", expired)
        unpacking.sweep(share, [o.id for o in self.installation.operations.list()], now.timestamp() - DAY)

    def empty_trash(self, now: datetime) -> None:
        if self.policy.trash is None:
            return
        before = now - self.policy.trash
        if any(e.at < before for e in self.trash.entries()):
            operation = Operation(
                id=f"empty-trash-{now:%Y%m%dt%H%M}", kind="delete", arguments={"before": before.isoformat()}, made=now
            )
            self.installation.operations.put(operation)


@contextmanager
def others_go_on(what: str) -> Iterator[None]:
    """One folder that cannot be moved or read, whoever has made it so, must not keep all others from being cleaned up.
    A share that is away holds up all of them."""
    try:
        yield
    except (Refused, OSError) as error:
        log.warning("%s: %s", what, error)


def directories(count: int) -> str:
    return "1 directory" if count == 1 else f"{count} directories"


def policy(settings: Settings) -> Retention:
    return Retention(
        failed_workspaces=timedelta(days=settings.keep_failed_days),
        superseded_attempts=timedelta(days=settings.keep_superseded_days),
        trash=timedelta(days=settings.keep_trash_days),
    )


def largest_file(installation: Installation) -> Path:
    return installation.settings.home / "largest"


def remember(file: Path, text: str) -> None:
    draft = file.with_suffix(".new")
    draft.write_text(text, encoding="utf-8")
    draft.replace(file)


def largest(installation: Installation) -> str:
    """A sentence for the moment the disk is full, as of the last count."""
    try:
        return largest_file(installation).read_text(encoding="utf-8")
    except OSError:
        return ""
