"""The process for files: carries out operations, mirrors the journal, empties the trash."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Mapping
from typing import Any

from winslow_nomad.bootstrap.housekeeping import EVERY
from winslow_nomad.bootstrap.installation import Installation
from winslow_nomad.core import messages as m
from winslow_nomad.core.errors import Unavailable
from winslow_nomad.core.operations import Operation
from winslow_nomad.resources.mirror import Mirror
from winslow_nomad.resources.operate import operate
from winslow_nomad.store.journal import JournalFeed
from winslow_nomad.store.lease import Lease

log = logging.getLogger(__name__)


def run(installation: Installation, stopping: threading.Event, owner: str) -> None:
    installation.state  # noqa: B018 - without a store this ends here, once, and whoever started it starts it again
    mirror = threading.Thread(target=mirroring, args=(installation, stopping, owner), name="mirror", daemon=True)
    mirror.start()
    keeper = threading.Thread(target=keeping, args=(installation, stopping), name="housekeeping", daemon=True)
    keeper.start()
    try:
        while not stopping.is_set():
            try:
                operate(
                    installation.operations,
                    owner,
                    installation.handlers,
                    lambda o: on_end(installation, o),
                    stopping.is_set,
                    installation.clock,
                )
            except Unavailable as error:
                log.warning("operations wait: %s", error)
                stopping.wait(1.0)
    finally:
        stopping.set()
        mirror.join(timeout=2)


def on_end(installation: Installation, operation: Operation) -> None:
    """What a project has to know of an operation that has ended."""
    if operation.kind != "workspace" or not operation.project:
        return
    where = {"stage": operation.stage, "attempt": operation.attempt}
    if operation.state == "done":
        facts: list[m.AnyFact] = [m.WorkspaceReady(**where)]
    else:
        gone = operation.code == "workspace.source_gone"
        facts = [m.WorkspaceFailed(**where, text=operation.text, for_ever=gone)]
    installation.sender.facts(operation.project, facts)


def keeping(installation: Installation, stopping: threading.Event) -> None:
    """Again and again. Two processes doing it at once is harmless: a place in the trash is taken once."""
    housekeeping = installation.housekeeping
    while not stopping.wait(EVERY):
        try:
            housekeeping()
        except Unavailable as error:
            log.warning("housekeeping waits: %s", error)
        except Exception:
            log.exception("housekeeping failed; it is tried again")


def mirroring(installation: Installation, stopping: threading.Event, owner: str) -> None:
    """One process mirrors at a time: whoever has the lease of the mirror, under its epoch."""
    lease = installation.lease(f"{owner} mirror", "mirror")
    while not stopping.is_set():
        try:
            epoch = lease.hold()
            if epoch is None:
                stopping.wait(0.5)
                continue
            term(installation, stopping, lease, epoch)
        except Unavailable as error:
            log.warning("the mirror waits: %s", error)
            stopping.wait(0.5)
        except Exception:
            log.exception("the mirror failed; it is tried again")
            stopping.wait(5.0)
    try:
        lease.release()
    except Unavailable:
        log.info("the mirror's lease runs out by itself")


def term(installation: Installation, stopping: threading.Event, lease: Lease, epoch: int) -> None:
    """Mirror under one epoch, until the lease is lost."""

    def over() -> bool:
        return stopping.is_set() or lease.hold() != epoch

    def report(wrong: Unavailable | None) -> None:
        if wrong is not None:
            log.warning("the mirror waits: %s", wrong)

    mirror = Mirror(installation.settings.share, Lines(installation.journal), epoch)
    mirror.run(over, report)
    if stopping.is_set() and lease.hold() == epoch:
        mirror.step()  # what was decided last, such as the end of a `winslow run`: nobody may come for days


class Lines:
    """The store's journal as the mirror reads it."""

    def __init__(self, feed: JournalFeed) -> None:
        self._feed = feed
        self.done = feed.done

    def pending(self, count: int) -> list[tuple[str, str, Mapping[str, Any]]]:
        return [(cursor, project, json.loads(line)) for cursor, project, line in self._feed.pending(count)]
