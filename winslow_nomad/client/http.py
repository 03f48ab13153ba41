"""core.client.Client on a server.

What a project is comes as the same record that the server keeps, with secrets masked; what is sent is what the REST
API takes. Secrets travel as texts with the command that uses them, and pipelines as what people wrote."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any, Self
from urllib.parse import quote
from uuid import uuid4

import httpx

from winslow_nomad.client import following, packing
from winslow_nomad.client.answers import problem
from winslow_nomad.client.files import HttpFiles
from winslow_nomad.client.wire import Wire
from winslow_nomad.core.begins import Begin
from winslow_nomad.core.client import Finding, Happened, LogChunk, Progress, Summary, begun
from winslow_nomad.core.errors import Invalid, InvalidPipeline, NotFound, OutcomeUnknown, Refused, Unavailable
from winslow_nomad.core.leftovers import Leftovers
from winslow_nomad.core.lists import TRASH
from winslow_nomad.core.messages import AnyCommand, CreateProject, EditPipeline, SetSecrets
from winslow_nomad.core.operations import Operation
from winslow_nomad.core.pipeline import Pipeline
from winslow_nomad.core.project import Project
from winslow_nomad.core.verdicts import NodeVerdict

PAGE = 500  # rows asked for at once
POLL = 25.0  # seconds of the longest poll
KNOWN = 50  # projects kept, so that what has not changed need not come again


class HttpClient:
    """`close` lets go of the connections."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.files = HttpFiles(wire)
        self._lock = threading.Lock()
        self._seen: dict[str, tuple[str, Project]] = {}
        self._cursors: dict[str, str] = {}
        self._sources: dict[str, dict[str, Any]] = {}  # of pipelines that this client has read, by digest
        self._secrets: dict[str, str] = {}  # texts by the reference that stands for them here

    def close(self) -> None:
        self.wire.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- projects

    def projects(
        self, *, state: str = "", tag: str = "", author: str = "", text: str = "", limit: int = 100, after: str = ""
    ) -> Sequence[Summary]:
        if not all(map(is_text, (state, tag, author, text))):
            return ()  # nothing is called so
        asked = {"state": state, "tag": tag, "author": author, "text": text}
        params: dict[str, Any] = {name: value for name, value in asked.items() if value}
        if after:
            params["behind"] = self.find(after)
        found: list[Summary] = []
        while True:
            params["limit"] = min(PAGE, limit - len(found))
            page = self.wire.read(dict[str, Any], "projects", params)
            found += [Summary.model_validate(row) for row in page["items"]]
            if not page["next"] or len(found) >= limit:
                return found
            params = {**{k: v for k, v in params.items() if k != "behind"}, "after": page["next"]}

    def find(self, name: str) -> str:
        if not is_text(name) or not name:
            raise no_project(name)
        if _may_be_id(name):
            try:
                return self.project(name).id
            except NotFound:
                pass  # then it is a name, or the start of an id
        rows = self.projects(text=name, limit=1000) if len(name) <= 200 else ()
        found = [row.id for row in rows if row.name == name]
        if not found and len(name) <= 200:  # perhaps it was deleted, and is to be restored
            rows = [*rows, *self.projects(state=TRASH, text=name, limit=1000)]
            found = [row.id for row in rows if row.name == name]
        if not found and len(name) >= 3:
            found = begun(name, [row.id for row in rows if row.id.startswith(name)])
        if not found:
            raise no_project(name)
        return found[0]

    def project(self, project: str) -> Project:
        if not is_text(project) or not _may_be_id(project):
            raise no_project(project)
        tag, known = self._seen.get(project, ("", None))
        headers = {"if-none-match": tag} if known is not None else {}
        try:
            answer = self.wire.get(f"projects/{quote(project, safe='')}/record", headers=headers)
        except NotFound as error:
            raise no_project(project) if error.code == "project.not_found" else error from None
        self._cursors.setdefault(project, answer.headers.get("winslow-cursor", ""))
        if answer.status_code == httpx.codes.NOT_MODIFIED and known is not None:
            return known
        found: Project = self.wire.value(Project, answer)
        with self._lock:
            self._seen[project] = answer.headers.get("etag", ""), found
            while len(self._seen) > KNOWN:
                self._seen.pop(next(iter(self._seen)))
        return found

    # --- commands

    def send(
        self, project: str, command: AnyCommand, *, key: str = "", request: str = "", expected: int | None = None
    ) -> Project:
        """Who acts is who the token belongs to. The server names a new project itself. `request` is the server's own
        affair."""
        del request
        key = key or uuid4().hex
        match = {"if-match": f'"{expected}"'} if expected is not None else {}
        if isinstance(command, CreateProject):
            answer = self.wire.command("projects", checked(self._new(command)), key=key)
        else:
            path = f"projects/{quote(project, safe='')}/commands"
            answer = self.wire.command(path, checked(self._body(command)), key=key, **match)
        identifier = str(self.wire.value(dict[str, Any], answer)["id"])
        try:
            return self.project(identifier)
        except Unavailable as error:
            raise OutcomeUnknown(
                f"It was done (project {identifier}), and then the server went away: {error.message}",
                hint=error.hint,
            ) from error

    def _new(self, command: CreateProject) -> dict[str, Any]:
        body = command.model_dump(
            mode="json", include={"name", "values", "tags", "priority", "sweeps", "driver", "start"}
        )
        members = [m.model_dump(mode="json") for m in command.participants]
        return {
            **body,
            "pipeline": self._source(command.pipeline),
            "secrets": {name: self._secret(reference) for name, reference in command.secrets.items()},
            "participants": members or None,
        }

    def _body(self, command: AnyCommand) -> dict[str, Any]:
        if isinstance(command, SetSecrets):
            texts = {n: self._secret(r) if r is not None else None for n, r in command.secrets.items()}
            return {"kind": command.kind, "secrets": texts}
        if isinstance(command, EditPipeline):
            source = self._source(command.pipeline)
            source = {**source, "keep_folder": False} if "text" in source else source
            return {"kind": command.kind, **source, "expected_version": command.expected_version}
        return command.model_dump(mode="json", exclude={"actor"})

    def put_secret(self, name: str, value: str) -> str:
        """Kept here until a command takes it along: the server stores no secret that nobody uses."""
        if not is_text(value):
            raise no_text(f"the secret {name}")
        reference = f"secret:here-{uuid4().hex}"
        self._secrets[reference] = value
        return reference

    def _secret(self, reference: str) -> str:
        if reference not in self._secrets:
            raise Invalid(
                "A secret is given by a reference that is not of this client.",
                hint="Put its text first.",
                code="secret.unknown",
            )
        return self._secrets[reference]

    # --- pipelines

    def pipeline(self, path: PurePath) -> Pipeline:
        """Read here, checked by the server, which keeps the code of a folder."""
        place = Path(path)
        folder = packing.folder_of(place)
        text = packing.text_of(place)
        if folder != place:
            answer = self.wire.ask("POST", "pipelines/validate", json={"text": text}, again=True)
            told = self.wire.value(dict[str, Any], answer)
            if folder is None or not _wants_folder(told):
                return self._checked(told, place, {"text": text})
        assert folder is not None
        answer = self.wire.ask(
            "POST",
            "pipelines/validate/folder",
            content=packing.zipped(folder),
            headers={"content-type": "application/zip"},
            again=True,  # the same content again is kept once
        )
        told = self.wire.value(dict[str, Any], answer)
        return self._checked(told, folder / packing.FILE_NAME, {"folder": told.get("folder")})

    def _checked(self, told: dict[str, Any], file: Path, source: dict[str, Any]) -> Pipeline:
        if not told["valid"]:
            problems = ({**p, "file": str(file)} for p in told["errors"])
            raise InvalidPipeline(tuple(problem(p) for p in problems))
        return self._remember(Pipeline.model_validate(told["pipeline"]), source)

    def library(self, name: str, version: int = 0) -> Pipeline:
        if not is_text(name) or not _may_be_id(name):
            raise NotFound("The library has no pipeline of that name.", code="pipeline.not_found")
        path = f"pipelines/{quote(name, safe='')}"
        if version:
            found = self.wire.read(dict[str, Any], f"{path}/versions/{version}")
        else:
            found = self.wire.read(dict[str, Any], path)["version"]
        pipeline = Pipeline.model_validate(found["pipeline"])
        return self._remember(pipeline, {"library": name, "version": found["number"]})

    def _remember(self, pipeline: Pipeline, source: dict[str, Any]) -> Pipeline:
        self._sources[_digest(pipeline)] = source
        return pipeline

    def _source(self, pipeline: Pipeline) -> dict[str, Any]:
        found = self._sources.get(_digest(pipeline))
        if found is None:
            raise Invalid(
                f"The pipeline {pipeline.name} was not read by this client.",
                hint="Read it with `pipeline` or `library` first.",
                code="pipeline.not_read",
            )
        return found

    # --- files

    def bring_input(self, path: PurePath) -> str:
        try:
            return self.files.bring(Path(path))
        except OSError as error:
            raise Refused(
                f"{shown(str(path))} was not brought into the input pool: "
                f"{shown(str(error.filename or path))}: {error.strerror}.",
                hint="Look at the owner and the mode of what is named.",
                code="import.failed",
            ) from error

    def record(self, project: str, stage: int) -> dict[str, Any]:
        path = f"projects/{quote(project, safe='')}/stages/{stage}"
        found: dict[str, Any] = self.wire.read(dict[str, Any], path)["record"]
        return found

    def output(self, project: str, stage: int) -> PurePath | None:
        """Files of a server are fetched, not looked at in place."""
        self.project(project)
        del stage
        return None

    def address(self, project: str) -> str:
        return f"{self.wire.url}/projects/{quote(project, safe='')}" if project else self.wire.url

    def log(self, project: str, stage: int, attempt: int = 0, *, follow: bool = False) -> Iterator[LogChunk]:
        yield from following.chunks(self.wire, quote(project, safe=""), stage, attempt, follow=follow)

    # --- what happens

    def progress(self, project: str) -> Sequence[Progress]:
        told = self.wire.read(dict[str, Any], f"projects/{quote(project, safe='')}/progress")
        known = self._seen.get(project)
        stages = known[1].stages if known is not None else self.project(project).stages
        return [
            Progress(
                stage=int(number),
                attempt=len(stages[int(number)].attempts),
                percent=one["percent"],
                cpu_seconds=one["cpu_seconds"],
                memory_bytes=one["memory_bytes"],
            )
            for number, one in told["stages"].items()
            if int(number) in stages
        ]

    def nodes_for(self, project: str, stage: int) -> Sequence[NodeVerdict]:
        told = self.wire.read(dict[str, Any], f"projects/{quote(project, safe='')}/stages/{stage}/nodes")
        return [NodeVerdict.model_validate(one) for one in told["items"]]

    def begins(self, project: str) -> Mapping[int, Begin]:
        told = self.wire.read(dict[str, Any], f"projects/{quote(project, safe='')}")
        return {s["number"]: Begin.model_validate(s["begins"]) for s in told["stages"] if s.get("begins")}

    def events(self, project: str, cursor: str = "", *, timeout: float = 1.0) -> Sequence[Happened]:
        cursor = cursor or self._cursors.get(project, "")  # nothing is missed since the project was looked at first
        params = {"project": project, "cursor": cursor, "timeout": min(timeout, POLL)}
        told = self.wire.read(dict[str, Any], "events", params)
        self._cursors[project] = told["cursor"]
        return [Happened.model_validate(one) for one in told["items"]]

    def clean(self, project: str, *, actor: str = "", key: str = "") -> Operation:  # noqa: ARG002 - the server knows who
        path = f"projects/{quote(project, safe='')}/clean"
        found: Operation = self.wire.value(Operation, self.wire.command(path, None, key=key or uuid4().hex))
        return found

    def leftovers(self, project: str) -> Leftovers:
        return Leftovers.model_validate(self.wire.read(dict[str, Any], f"projects/{quote(project, safe='')}/leftovers"))

    def take_back(self, project: str, entry: str, *, actor: str = "", key: str = "") -> Operation:  # noqa: ARG002
        path = f"projects/{quote(project, safe='')}/leftovers/{quote(entry, safe='')}/restore"
        found: Operation = self.wire.value(Operation, self.wire.command(path, None, key=key or uuid4().hex))
        return found

    def active(self) -> str:
        return str(self.wire.read(dict[str, Any], "about")["active"])

    def doctor(self) -> Sequence[Finding]:
        told = self.wire.read(dict[str, Any], "doctor")
        return [Finding.model_validate(one) for one in told["items"]]


def _wants_folder(told: dict[str, Any]) -> bool:
    """Whether the file alone is not all there is to it: it names the folder that it lies in."""
    return any(p.get("code") == "pipeline.no_folder" for p in told["errors"])


def _digest(pipeline: Pipeline) -> str:
    return hashlib.sha256(pipeline.model_dump_json().encode()).hexdigest()


def _may_be_id(text: str) -> bool:
    return 0 < len(text) <= 100 and not set(text) & set("/\\?#%") and text not in (".", "..") and text.isprintable()


def checked(body: dict[str, Any]) -> dict[str, Any]:
    """Raises Invalid where a text holds bytes that are none (as they come from a command line)."""
    try:
        json.dumps(body, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise no_text("the command") from None
    return body


def is_text(given: str) -> bool:
    try:
        given.encode()
    except UnicodeEncodeError:
        return False
    return True


def no_project(name: str) -> NotFound:
    hint = "`winslow projects` lists them."
    return NotFound(f"There is no project {shown(name)[:100]!r}.", hint=hint, code="project.not_found")


def shown(text: str) -> str:
    """For a message: whatever bytes are in it."""
    return text.encode("utf-8", "replace").decode()


def no_text(where: str) -> Invalid:
    return Invalid(
        f"What was given for {where} holds bytes that are no text (UTF-8). Nothing was changed.",
        hint="Write them as text.",
        code="value.text",
    )
