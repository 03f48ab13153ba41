"""One-shot work on an installation: what the command line does without an engine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from winslow_nomad.bootstrap.client import LocalClient
from winslow_nomad.bootstrap.installation import Installation
from winslow_nomad.bootstrap.library import restore_library
from winslow_nomad.config import Settings
from winslow_nomad.core.pipeline import Pipeline
from winslow_nomad.core.said import count
from winslow_nomad.events.sweep import is_with_driver
from winslow_nomad.resources import definitions, schema
from winslow_nomad.resources import rebuild as rebuilding
from winslow_nomad.resources.backup import read_backup, write_backup
from winslow_nomad.resources.journals import highest_epoch
from winslow_nomad.store.dump import Record as Dumped
from winslow_nomad.store.dump import dump, load, restorer


def open_client(settings: Settings) -> LocalClient:
    """Joins or starts the store; runs no stages. `close` lets go of it."""
    return OwningClient(Installation(settings))


class OwningClient(LocalClient):
    def close(self) -> None:
        self.installation.close()


def read_pipeline(path: Path) -> Pipeline:
    return definitions.read(path)


def pipeline_schema() -> dict[str, Any]:
    return schema.schema()


def rebuild(settings: Settings) -> Sequence[str]:
    """Restore the store from the share. What the store has in a newer version is left alone."""
    installation = Installation(settings)
    try:
        state = installation.state
        seen = highest_epoch(settings.share)
        report = rebuilding.rebuild(settings.share, restorer(state, installation.keys, seen))
        sentences = [f"{count(report.restored, 'project')} restored from {settings.share}."]
        sentences += [f"{p.project}: {text}" for p in report.projects for text in (*p.lost, *p.notes)]
        return [*sentences, *restore_library(installation)]
    finally:
        installation.close()


def backup(settings: Settings, target: Path) -> Sequence[str]:
    """Says whose it is: one of an empty home, made by another user's cron, is found out too late."""
    installation = Installation(settings)
    try:
        sentences = [*write_backup(target, dump(installation.state, installation.keys))]
        doubt = "" if installation.store.projects() else ", which has no projects: is WINSLOW_HOME right?"
        return [*sentences, f"It is a backup of {settings.home}{doubt or '.'}"]
    finally:
        installation.close()


def restore_backup(settings: Settings, file: Path) -> Sequence[str]:
    installation = Installation(settings)
    try:
        state, keys = installation.state, installation.keys
        seen = highest_epoch(settings.share)
        sentences = read_backup(file, lambda records: load(state, keys, (Dumped(*r) for r in records), epoch=seen))
        return [*sentences, *_shared_with_another(installation)]
    finally:
        installation.close()


def _shared_with_another(installation: Installation) -> Sequence[str]:
    """What is open in a backup is open in the Winslow that it was taken from as well, if that one is still there."""
    projects = filter(None, map(installation.store.load, installation.store.open_projects()))
    open_ones = sum(is_with_driver(s) for p in projects if p.driver == "nomad" for s in p.stages.values())
    if not open_ones:
        return []
    return [
        f"{count(open_ones, 'stage')} of it had a job at Nomad. Whoever starts Winslow here has these jobs: if the one"
        " that the backup was taken from still runs, let NOMAD_ADDR lead nowhere first (http://127.0.0.1:9)."
    ]
