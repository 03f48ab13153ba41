"""core.client.Client on the data directory of this machine."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import islice
from pathlib import Path, PurePath
from typing import Any

from pydantic_core import PydanticSerializationError

from winslow_nomad.bootstrap.begins import InstalledBegins
from winslow_nomad.bootstrap.doctor import examine
from winslow_nomad.bootstrap.installation import Installation, new_id
from winslow_nomad.bootstrap.leftovers import InstalledLeftovers
from winslow_nomad.bootstrap.library import InstalledLibrary, InstalledTexts
from winslow_nomad.bootstrap.local_files import LocalFiles
from winslow_nomad.core import verdicts
from winslow_nomad.core.begins import Begin
from winslow_nomad.core.client import Finding, Happened, LogChunk, Progress, Summary, begun
from winslow_nomad.core.errors import Invalid, NotFound, Refused
from winslow_nomad.core.leftovers import Leftovers
from winslow_nomad.core.lists import TRASH
from winslow_nomad.core.messages import AnyCommand, CreateProject, RestoreProject
from winslow_nomad.core.operations import Operation
from winslow_nomad.core.pipeline import Pipeline
from winslow_nomad.core.ports import AttemptRef
from winslow_nomad.core.project import Project
from winslow_nomad.core.stage import AttemptState, EndedStage, Stage
from winslow_nomad.core.verdicts import NodeVerdict
from winslow_nomad.resources import definitions, layout, logs
from winslow_nomad.resources.changes import not_in_trash
from winslow_nomad.resources.log_text import Mask, Masks
from winslow_nomad.resources.names import free_names, shown
from winslow_nomad.resources.receiving import ShareUploads
from winslow_nomad.resources.sealing import masked
from winslow_nomad.resources.work import unwatched

MOST_OF_A_NAME = 1000  # different contents under one name, with numbers
POLL = 0.1  # seconds between two looks at a log


class LocalClient:
    def __init__(self, installation: Installation) -> None:
        self.installation = installation
        self.files = LocalFiles(installation, lambda: uploads(installation))

    @cached_property
    def _begins(self) -> InstalledBegins:
        return InstalledBegins(self.installation)

    @cached_property
    def _leftovers(self) -> InstalledLeftovers:
        return InstalledLeftovers(self.installation)

    def close(self) -> None:
        """Nothing of its own; the installation is closed by who opened it."""

    def projects(
        self, *, state: str = "", tag: str = "", author: str = "", text: str = "", limit: int = 100, after: str = ""
    ) -> Sequence[Summary]:
        for given in (state, tag, author, text):
            if not is_text(given):
                return ()  # nothing is called so
        store = self.installation.store
        place = store.place(self.find(after)) if after else ""
        return store.page(state=state, tag=tag, author=author, text=text, limit=limit, after=place).rows

    def find(self, name: str) -> str:
        store = self.installation.store
        if not is_text(name):
            raise no_project(name)
        if store.load(name) is not None:
            return name
        found = [s.id for s in self.projects(text=name, limit=1000) if s.name == name]
        if not found:  # perhaps it was deleted, and is to be restored
            found = [s.id for s in self.projects(state=TRASH, text=name, limit=1000) if s.name == name]
        if not found:
            found = begun(name, [p for p in store.projects() if p.startswith(name)] if len(name) >= 3 else [])
        if not found:
            raise no_project(name)
        return found[0]

    def project(self, project: str) -> Project:
        found = self.installation.store.load(project) if is_text(project) else None
        if found is None:
            raise no_project(project)
        return found

    def send(
        self, project: str, command: AnyCommand, *, key: str = "", request: str = "", expected: int | None = None
    ) -> Project:
        try:
            text = command.model_dump_json()
        except PydanticSerializationError:
            raise no_text(f"the command {command.kind.replace('_', ' ')}") from None
        if isinstance(command, RestoreProject):
            self._take_back(project)
        request = hashlib.sha256(text.encode()).hexdigest() if key and not request else request
        if isinstance(command, CreateProject) and not project:
            project = command.project
        return self.installation.sender(
            project, [command], key=key, request=request, actor=command.actor, expected=expected
        )

    def _take_back(self, project: str) -> None:
        """A deleted project's files come back first: a project without its files would be worse than none."""
        entry = self.installation.trash.of_project(project)
        if entry is not None:
            self.installation.trash.restore(entry.id, self.installation.clock.now())

    def pipeline(self, path: PurePath) -> Pipeline:
        self.installation.scribe  # noqa: B018 - the share has to be established before anything is put there
        return definitions.take(Path(path), self.installation.settings.share)

    def library(self, name: str, version: int = 0) -> Pipeline:
        if not is_text(name):
            raise NotFound("The library has no pipeline of that name.", code="pipeline.not_found")
        return InstalledLibrary(self.installation, InstalledTexts(self.installation)).version(name, version).pipeline

    def bring_input(self, path: PurePath) -> str:
        self.installation.scribe  # noqa: B018 - the share has to be established before anything is put there
        name = path.name
        for name in islice(free_names(path.name), MOST_OF_A_NAME):
            try:
                return self._import(Path(path), name)
            except Refused as error:
                if error.code != "pool.name_taken":
                    raise
        return self._import(Path(path), name)  # which says what is in its way

    def _import(self, path: Path, name: str) -> str:
        pool = self.installation.pool
        try:
            done = pool.import_path(path, name)
            return done if isinstance(done, str) else pool.carry_out_import(done, unwatched)
        except OSError as error:
            raise Refused(
                f"{shown(str(path))} was not brought into the input pool: "
                f"{shown(str(error.filename or path))}: {error.strerror}.",
                hint="Look at the owner and the mode of what is named.",
                code="import.failed",
            ) from error

    def put_secret(self, name: str, value: str) -> str:
        if not is_text(value):
            raise no_text(f"the secret {name}")
        return self.installation.secrets.put(name, value)

    def record(self, project: str, stage: int) -> dict[str, Any]:
        found = self.project(project)
        if stage in found.ended and stage not in found.sealing:
            directory = layout.folder_of(project, found.ended[stage])
            text = self.installation.reader.read(f"{directory}/stage.json")
            if text is not None:
                record: dict[str, Any] = json.loads(text)
                return record
        open_stage = found.stages.get(stage) or found.sealing.get(stage)
        if open_stage is None:
            raise NotFound(f"There is no stage {stage} in this project.", code="stage.not_found")
        made: dict[str, Any] = json.loads(open_stage.model_dump_json(exclude={"environment"}))
        made["environment"] = [masked(v) for v in open_stage.environment or ()]
        return made

    def output(self, project: str, stage: int) -> PurePath | None:
        found = self.project(project)
        which = self._stage(found, stage)
        attempt = which.attempt if isinstance(which, EndedStage) else len(which.attempts)
        if not attempt:
            return None
        directory = layout.attempt_folder(layout.folder_of(project, which), attempt)
        output = self.installation.settings.share / directory / "output"
        return output if output.is_dir() else None

    def address(self, project: str) -> str:  # noqa: ARG002 - there are no pages without a server
        return ""

    def log(self, project: str, stage: int, attempt: int = 0, *, follow: bool = False) -> Iterator[LogChunk]:
        found = self.project(project)
        which = self._stage(found, stage)
        newest = which.attempt if isinstance(which, EndedStage) else len(which.attempts)
        number = attempt or newest
        if not number:
            return
        if number > newest:
            raise NotFound(
                f"Stage {stage} has had no attempt {number}.",
                hint=f"They are numbered 1 to {newest}." if newest else "None was made yet.",
                code="attempt.not_found",
            )
        directory = layout.attempt_folder(layout.folder_of(project, which), number)
        reader = logs.LogReader(self.installation.reader, directory)
        # Of all secrets, not only this project's present ones: the stage may have had one that was replaced since.
        mask = Mask(Masks(self.installation.secrets).now)

        def ended() -> bool:
            now = self.project(project).stages.get(stage)
            return now is None or len(now.attempts) != number or now.attempts[-1].state is AttemptState.ENDED

        for chunk in logs.chunks(reader, follow, ended, lambda: time.sleep(POLL)):
            yield mask.apply(chunk)
        yield from mask.rest()

    @staticmethod
    def _stage(project: Project, stage: int) -> Stage | EndedStage:
        found = project.stages.get(stage) or project.ended.get(stage)
        if found is None:
            raise NotFound(f"There is no stage {stage} in this project.", code="stage.not_found")
        return found

    def progress(self, project: str) -> Sequence[Progress]:
        found = []
        for stage in self.project(project).stages.values():
            last = stage.attempt
            if last is None or last.state is not AttemptState.RUNNING:
                continue
            ref = AttemptRef(project=project, stage=stage.number, attempt=last.number)
            beat = self.installation.attempts.heartbeat(ref)
            if beat is not None:
                found.append(
                    Progress(
                        stage=stage.number,
                        attempt=last.number,
                        percent=beat.progress,
                        cpu_seconds=beat.cpu_seconds,
                        memory_bytes=beat.memory_bytes,
                    )
                )
        return found

    def nodes_for(self, project: str, stage: int) -> Sequence[NodeVerdict]:
        found = self.project(project)
        self._stage(found, stage)
        open_stage = found.stages.get(stage)
        if open_stage is None or found.driver not in self.installation.drivers:
            return ()
        return verdicts.of_stage(open_stage, self.installation.admission.inventory(found.driver))

    def begins(self, project: str) -> Mapping[int, Begin]:
        return self._begins.of(self.project(project))

    def events(self, project: str, cursor: str = "", *, timeout: float = 1.0) -> Sequence[Happened]:
        """An empty cursor: from now on. Each entry carries the cursor of its commit."""
        live = self.installation.live
        batch = live.read(cursor or live.now(), timeout=timeout)
        return [h for h in batch.happened if h.project == project]

    def clean(self, project: str, *, actor: str = "", key: str = "") -> Operation:
        found = self.project(project)
        if found.trashed is not None:
            raise Refused("This project is in the trash.", hint="Restore it first.", code="project.in_trash")
        made = self.installation.clock.now()
        name = operation_id(found.id, "clean", actor, key)
        return self.installation.operations.put(
            Operation(id=name, kind="clean", project=found.id, actor=actor, made=made)
        )

    def leftovers(self, project: str) -> Leftovers:
        return self._leftovers.of(self.project(project))

    def take_back(self, project: str, entry: str, *, actor: str = "", key: str = "") -> Operation:
        found = self.project(project)
        name = operation_id(found.id, f"take_back {entry}", actor, key)
        known = self.installation.operations.get(name) if key else None
        if known is not None:
            return known
        if not self._leftovers.holds(found.id, entry):
            raise not_in_trash()
        made = self.installation.clock.now()
        operation = Operation(
            id=name, kind="take_back", project=found.id, actor=actor, arguments={"entry": entry}, made=made
        )
        return self.installation.operations.put(operation)

    def active(self) -> str:
        return self.installation.lease("client").holder()

    def doctor(self) -> Sequence[Finding]:
        return examine(self.installation)


def uploads(installation: Installation) -> ShareUploads:
    settings = installation.settings
    largest, quota = settings.upload_largest, settings.upload_quota
    return ShareUploads(installation.files, installation.clock, largest=largest, quota=quota)


def operation_id(project: str, what: str, actor: str, key: str) -> str:
    """Of a key always the same one, so that asking again begins nothing again."""
    if not key:
        return new_id("o")
    return f"o{hashlib.sha256(chr(0).join((project, what, actor, key)).encode()).hexdigest()[:24]}"


def is_text(given: str) -> bool:
    """Bytes of a command line that are no UTF-8 arrive as halves of characters, and nothing can be called so."""
    try:
        given.encode()
    except UnicodeEncodeError:
        return False
    return True


def no_project(name: str) -> NotFound:
    return NotFound(
        f"There is no project {shown(name)}.", hint="`winslow projects` lists them.", code="project.not_found"
    )


def no_text(where: str) -> Invalid:
    return Invalid(
        f"What was given for {where} holds bytes that are no text (UTF-8). Nothing was changed.",
        hint="Write them as text.",
        code="value.text",
    )
