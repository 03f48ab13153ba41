"""The attempt directories on the share: made before a driver hears of an attempt, read for its end.

Everything that is made here can be made again, so nothing of `prepare` waits for the disk: after a loss of
power `spec` finds what is missing and has it made anew before anything is submitted. What decides for ever
(a claim, an end, a record) is on disk before it is answered, and never rewritten.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Literal

from winslow_nomad.core import expand
from winslow_nomad.core.errors import Invalid, NotFound, Refused, ShareUnavailable
from winslow_nomad.core.images import Image, argv, own_place
from winslow_nomad.core.operations import Operations
from winslow_nomad.core.pipeline import Placement
from winslow_nomad.core.ports import AttemptRef, AttemptSpec, Clock, Heartbeat, LogStream, Spool
from winslow_nomad.core.project import Project
from winslow_nomad.core.stage import Cause, EndedStage, Outcome, Stage
from winslow_nomad.resources import endings, farm, layout, places, scribe, space
from winslow_nomad.resources.places import Places, PlacesKind
from winslow_nomad.resources.reader import Reader
from winslow_nomad.resources.scribe import Scribe, Step
from winslow_nomad.resources.sealing import Sealing
from winslow_nomad.resources.workspaces import Workspaces

CONTROL = ("run", "terminate", "kill", "superseded")
BY_ITS_NODE = (Cause.RUNNER_LOST, Cause.NODE_LOST, Cause.SUPERSEDED)
NAMES_KEPT = 10_000
LOG_STREAMS: tuple[LogStream, ...] = ("out", "err", "index")
LOG_PIECE = 1024 * 1024  # bytes of a log fetched and written at once
COMPLETE = frozenset({"command", "environment", "control", "output", "log", "stages"})


class ShareAttempts:
    """Implements core.ports.Attempts.

    `reveal`: the text of a secret by its reference; raises NotFound. `base`: variables that a process gets
    unless a pipeline says otherwise, such as PATH for the local driver. `driver_places`: by a project's
    driver, where its processes find their files. `largest`: see space.Largest."""

    def __init__(
        self,
        writer: Scribe,
        reader: Reader,
        operations: Operations,
        clock: Clock,
        *,
        reveal: Callable[[str], str],
        installation: str,
        driver_places: Mapping[str, PlacesKind],
        base: Mapping[str, Mapping[str, str]],
        largest: space.Largest,
    ) -> None:
        self._write = writer
        self._read = reader
        self._workspaces = Workspaces(writer, reader, operations, clock, largest)
        self._sealing = Sealing(writer, reader)
        self._clock = clock
        self._reveal = reveal
        self._installation = installation
        self._places = driver_places
        self._base = base
        self._names: dict[tuple[str, int], str] = {}  # (project, stage number) -> its directory; never changes

    def prepare(self, project: Project, stage: int, attempt: int) -> str | None:
        found = project.stages[stage]
        directory = _directory(project, found, attempt)
        steps = [scribe.unless(f"{directory}/claim"), *self._steps(project, found, attempt)]
        workspace = layout.workspace_folder(project, found, attempt)
        self._workspaces.check()
        empty = self._workspaces.is_empty(project, found)
        if empty:
            steps.append(scribe.mkdir(workspace, _open_mode(found)))
        if workspace != f"{directory}/workspace":
            steps.append(scribe.mkdir(workspace.rpartition("/")[0]))
            steps.append(scribe.symlink(f"{directory}/workspace", layout.link_from(directory, workspace)))
        self._write.perform(steps, f"the directory of {_named(found, attempt)} was not made")
        self._remember(project.id, found)
        return None if empty else self._workspaces.ask_for(project, found, attempt)

    def image(self, project: Project, stage: int) -> str:
        found = project.stages[stage]
        attempt = max(1, len(found.attempts))
        _, public = self._variables(project, found, attempt, self._where(project, found, attempt))
        image = found.overrides.image if found.overrides.image is not None else found.definition.image
        return _expanded(image, public)

    def spec(self, project: Project, stage: int, attempt: int) -> AttemptSpec:
        """Raises ShareUnavailable where the directory had to be made again (after a loss of power)."""
        found = project.stages[stage]
        definition, overrides = found.definition, found.overrides
        directory = _directory(project, found, attempt)
        self._still_whole(project, found, attempt, directory)
        at = self._where(project, found, attempt)
        _, public = self._variables(project, found, attempt, at)
        entrypoint, command = self._words(found, public)
        image = _image(found)
        spec = AttemptSpec(
            ref=AttemptRef(project=project.id, stage=stage, attempt=attempt),
            stage_id=definition.id,
            directory=directory,
            workspace=layout.workspace_folder(project, found, attempt),
            image=image.pinned if image is not None else self.image(project, stage),
            entrypoint=entrypoint,
            command=command,
            starts_in=image.directory if image is not None and own_place(entrypoint, command) else "",
            resources=overrides.resources or definition.resources,
            placement=_placement(definition.placement, image),
            timeout=overrides.timeout if overrides.timeout is not None else definition.timeout,
            stop_grace=definition.stop_grace,
            heartbeat=definition.heartbeat,
            run_as=definition.run_as,
            priority=project.priority,
            pipeline_folder=_pipeline(found),
            stages=farm.plan(project, found, at.stages).outputs,
            previous_node=_previous_node(project, found),
            avoid=_avoid(found),
            installation=self._installation,
            fingerprint="",
        )
        return spec.but(fingerprint=_fingerprint(spec, found))

    def cancel(self, ref: AttemptRef, outcome: Outcome | None = None) -> Outcome | None:
        directory = self._find(ref)
        if directory is None:  # never prepared to the end, so no driver has heard of it
            self._workspaces.give_up(ref)
            return outcome or self._cancelled()
        ended = self._end(directory)
        if ended is not None:
            return ended
        self._workspaces.give_up(ref)
        token = secrets.token_hex(16)
        claim = json.dumps({"format": 1, "token": token, "kind": "cancelled", "by": "winslow"}) + "\n"
        step = scribe.publish(f"{directory}/claim", claim)
        answer = self._write.perform([step], f"the claim of attempt {ref} was not made")[0]
        if not answer["made"] and not _is_cancelled(answer["data"]):
            return self._end(directory)
        self._write.perform([scribe.unlink(f"{directory}/environment")], f"{ref} was not tidied")
        return self._publish(directory, outcome or self._cancelled(), str(ref))

    def claim_of(self, ref: AttemptRef) -> bytes | None:
        directory = self._find(ref)
        if directory is None or "claim" not in self._read.names(directory):
            return None
        return self._read.read(f"{directory}/claim", 64 * 1024)

    def control(self, ref: AttemptRef, word: Literal["run", "terminate", "kill", "superseded"]) -> None:
        directory = self._find(ref)
        if directory is None:
            raise ShareUnavailable(
                f"Attempt {ref} has no directory on the share; it was not told to {word}.",
                hint="It is tried again.",
                code="share.gone",
            )
        step = scribe.raise_word(f"{directory}/control", word, CONTROL)
        self._write.perform([step], f"attempt {ref} was not told to {word}")

    def end(self, ref: AttemptRef) -> Outcome | None:
        directory = self._find(ref)
        return self._end(directory) if directory is not None else None

    def publish_end(self, ref: AttemptRef, outcome: Outcome) -> Outcome:
        directory = self._find(ref)
        if directory is None:  # its end is what the store says; there is nothing that could contradict it
            return outcome
        return self._publish(directory, outcome, str(ref))

    def heartbeat(self, ref: AttemptRef) -> Heartbeat | None:
        directory = self._find(ref)
        data = self._read.read(f"{directory}/heartbeat", 64 * 1024) if directory is not None else None
        try:
            return endings.parse_heartbeat(data) if data else None
        except ValueError:
            return None  # read while it was being written; the next one is whole

    def complete_log(self, ref: AttemptRef, spool: Spool) -> bool:
        """The index comes last: what it promises is there."""
        directory = self._find(ref)
        sizes = spool.sizes() if directory is not None else None
        if sizes is None:
            return False
        for stream in LOG_STREAMS:
            path = f"{directory}/log/{stream}"
            at = self._read.call(partial(_size, self._read.root / path), path)
            while at < sizes[stream]:
                data = spool.read(stream, at, min(LOG_PIECE, sizes[stream] - at))
                if not data:
                    return False
                step = scribe.put(path, at, data.decode("utf-8", "surrogateescape"))
                self._write.perform([step], f"the end of the log of {ref} was not fetched")
                at += len(data)
        return True

    def seal(self, project: Project, stage: int) -> None:
        self._sealing.seal(project, project.sealing[stage])

    # --- what is written before

    def _steps(self, project: Project, stage: Stage, attempt: int) -> list[Step]:
        directory = _directory(project, stage, attempt)
        at = self._where(project, stage, attempt)
        variables, public = self._variables(project, stage, attempt, at)
        command = self._command(project, stage, public)
        mode = _open_mode(stage)
        environment = _terminated(f"{name}={text}" for name, text in variables.items())
        foreign = self._runs_as_image(project, stage)  # its runner is not our user, and needs all that ours needs
        own = mode if foreign else 0o755
        return [
            scribe.mkdir(directory, own),
            scribe.mkdir(f"{directory}/output", mode),
            scribe.mkdir(f"{directory}/log", own),
            *self._stages(project, stage, directory, at),
            scribe.write(f"{directory}/command", _terminated(command), sync=False),
            scribe.write(f"{directory}/environment", environment, mode=0o644 if foreign else 0o600, sync=False),
            scribe.create(f"{directory}/control", "run\n"),
        ]

    def _runs_as_image(self, project: Project, stage: Stage) -> bool:
        return stage.definition.run_as == "image" and self._places[project.driver] == "container"

    def _command(self, project: Project, stage: Stage, public: Mapping[str, str]) -> tuple[str, ...]:
        command = argv(*self._words(stage, public), _image(stage))
        if not command:
            raise Refused(
                f"{stage.name} has neither command nor entrypoint; it was not started.",
                hint=f"Give it a command: the driver {project.driver} knows of no image that could bring one.",
                code="stage.no_command",
            )
        return command

    @staticmethod
    def _words(stage: Stage, public: Mapping[str, str]) -> tuple[tuple[str, ...] | None, tuple[str, ...] | None]:
        """Its own entry point and command, as far as it gives them."""
        entrypoint = _argv(_chosen(stage.overrides.entrypoint, stage.definition.entrypoint), public)
        return entrypoint, _argv(_chosen(stage.overrides.command, stage.definition.command), public)

    def _stages(self, project: Project, stage: Stage, directory: str, at: Places) -> list[Step]:
        """Links for the local driver. Containers get mounts, which need directories to be mounted on."""
        plan = farm.plan(project, stage, at.stages)
        top = f"{directory}/stages"
        steps = [scribe.mkdir(top), *(scribe.mkdir(f"{top}/{name}") for name in plan.indexes)]
        for name, output in plan.outputs.items():
            path = f"{top}/{name}"
            if self._places[project.driver] == "local":
                steps.append(scribe.symlink(path, layout.link_from(path.rpartition("/")[0], output), replace=True))
            else:
                steps.append(scribe.mkdir(path))
        for name, index in plan.indexes.items():
            steps.append(scribe.write(f"{top}/{name}/index.json", index, sync=False))
        return steps

    def _where(self, project: Project, stage: Stage, attempt: int) -> Places:
        if self._places[project.driver] == "container":
            return places.in_container(_pipeline(stage))
        directory = _directory(project, stage, attempt)
        workspace = layout.workspace_folder(project, stage, attempt)
        return places.on_this_machine(str(self._write.root), directory, workspace, _pipeline(stage))

    def _variables(
        self, project: Project, stage: Stage, attempt: int, at: Places
    ) -> tuple[dict[str, str], dict[str, str]]:
        """All variables of the process, and those that others may see."""
        values = stage.environment
        if values is None:
            values = expand.environment(project, stage, ())
        winslow = {
            "WINSLOW_INPUT": at.input,
            "WINSLOW_WORKSPACE": at.workspace,
            "WINSLOW_OUTPUT": at.output,
            "WINSLOW_STAGES": at.stages,
            "WINSLOW_RESULTS": at.results,
            "WINSLOW_PROGRESS": at.progress,
            "WINSLOW_PROJECT": project.id,
            "WINSLOW_PROJECT_NAME": project.name,
            "WINSLOW_STAGE": stage.definition.id,
            "WINSLOW_STAGE_NUMBER": str(stage.number),
            "WINSLOW_ATTEMPT": str(AttemptRef(project=project.id, stage=stage.number, attempt=attempt)),
        }
        if at.pipeline is not None:
            winslow["WINSLOW_PIPELINE"] = at.pipeline
        if self._runs_as_image(project, stage):
            winslow["WINSLOW_OPEN_MODES"] = "1"  # the runner opens what is there at the end, so that it can be copied
            if any(v.secret for v in values):
                raise Refused(
                    f"{stage.name} runs as the image's own user, who can read only what everybody can; it was not"
                    " started, since it is given secrets.",
                    hint="Take away `run_as: image`, or the stage's secrets.",
                    code="stage.secret_as_image",
                )
        try:
            revealed = {v.value: self._reveal(v.value) for v in values if v.secret}
            resolved = expand.resolved(values, winslow, revealed)
        except (Invalid, NotFound) as error:
            raise Refused(f"{stage.name} cannot start: {error.message}", hint=error.hint, code=error.code) from error
        standard = {
            **self._base.get(project.driver, {}),
            "HOME": at.workspace,
            "PYTHONUNBUFFERED": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        unusable = [n for n, text in resolved.variables.items() if "\0" in text]
        if unusable:
            raise Refused(
                f"{stage.name} cannot start: the value of {unusable[0]} contains a NUL character.",
                code="environment.nul",
            )
        return {**standard, **resolved.variables}, {**standard, **resolved.public}

    def _still_whole(self, project: Project, stage: Stage, attempt: int, directory: str) -> None:
        """Files made just before a loss of power may be missing or empty."""
        there = set(self._read.names(directory))
        if "claim" in there:
            return
        command = self._read.read(f"{directory}/command")
        environment = self._read.read(f"{directory}/environment") or b""
        at = self._where(project, stage, attempt)
        _, public = self._variables(project, stage, attempt, at)
        expected = _terminated(self._command(project, stage, public)).encode("utf-8", "surrogateescape")
        whole = there >= COMPLETE and command == expected and environment.endswith(b"\0")
        workspace = layout.workspace_folder(project, stage, attempt).rpartition("/")
        if whole and workspace[2] in self._read.names(workspace[0]):
            return
        if self.prepare(project, stage.number, attempt) is not None:
            raise ShareUnavailable(
                f"The workspace of {_named(stage, attempt)} has to be made again.",
                hint="It goes on by itself.",
                code="share.gone",
            )

    # --- what is read afterwards

    def _end(self, directory: str) -> Outcome | None:
        if "end.json" not in self._read.names(directory):
            return None
        data = self._read.read(f"{directory}/end.json")
        if data is None:
            return None
        return self._with_results(endings.parse_end(data), directory)

    def _with_results(self, outcome: Outcome, directory: str) -> Outcome:
        try:
            data = self._read.read(f"{directory}/results", endings.RESULTS_BYTES + 1)
        except OSError:  # a directory, a pipe, a link: whatever the process made of it
            data, said = None, "results is not a file that can be read"
        else:
            said = ""
        if data is not None:
            found, said = endings.parse_results(data)
            outcome = outcome.but(results=found)
        return outcome.but(message="; ".join(filter(None, (outcome.message, said))))

    def _publish(self, directory: str, outcome: Outcome, name: str) -> Outcome:
        end = endings.render_end(outcome, secrets.token_hex(16), "winslow")
        step = scribe.publish(f"{directory}/end.json", end)
        answer = self._write.perform([step], f"the end of attempt {name} was not published")[0]
        return self._with_results(endings.parse_end(answer["data"].encode("utf-8", "surrogateescape")), directory)

    def _cancelled(self) -> Outcome:
        return Outcome(cause=Cause.CANCELLED, message="cancelled before it started", ended=self._clock.now())

    # --- where it is

    def _find(self, ref: AttemptRef) -> str | None:
        """The directory of an attempt by its numbers alone; None: there is none (yet)."""
        stage = self._names.get((ref.project, ref.stage))
        if stage is None:
            top = f"{layout.project_folder(ref.project)}/stages"
            for name in self._read.names(top):
                parsed = layout.parse_stage(name)
                if parsed is not None and parsed[0] == ref.stage:
                    stage = f"{top}/{name}"
                    self._keep(ref.project, ref.stage, stage)
                    break
            else:
                return None
        directory = layout.attempt_folder(stage, ref.attempt)
        return directory if str(ref.attempt) in self._read.names(f"{stage}/attempts") else None

    def _remember(self, project: str, stage: Stage) -> None:
        self._keep(project, stage.number, layout.folder_of(project, stage))

    def _keep(self, project: str, number: int, directory: str) -> None:
        if len(self._names) >= NAMES_KEPT:
            self._names.clear()
        self._names[project, number] = directory


def _directory(project: Project, stage: Stage, attempt: int) -> str:
    return layout.attempt_folder(layout.folder_of(project.id, stage), attempt)


def _named(stage: Stage, attempt: int) -> str:
    return f"attempt {attempt} of {stage.name}"


def _terminated(texts: Iterable[str]) -> str:
    return "".join(f"{text}\0" for text in texts)


def _open_mode(stage: Stage) -> int:
    """Images that run as a user of their own have to write there; nobody else looks into the share."""
    return 0o777 if stage.definition.run_as == "image" else 0o755


def _image(stage: Stage) -> Image | None:
    """What was found of its image, if anybody was asked."""
    return stage.attempts[-1].image if stage.attempts else None


def _placement(asked: Placement, image: Image | None) -> Placement:
    """An image for one architecture runs on no node of another."""
    tag = image.only_on if image is not None else ""
    return asked.but(require=(*asked.require, tag)) if tag and tag not in asked.require else asked


def _pipeline(stage: Stage) -> str | None:
    return layout.pipeline_folder(stage.folder) if stage.folder else None


def _fingerprint(spec: AttemptSpec, stage: Stage) -> str:
    """Of what was fixed when the stage was admitted. A priority or a name that people change while the attempt is
    being submitted must not make another attempt of it: whoever comes second would be told that it is refused."""
    fixed = {"definition", "overrides", "environment", "folder", "inputs", "gathered", "source", "point", "sweep"}
    text = stage.model_dump_json(include=fixed)
    return hashlib.sha256(f"{spec.installation} {spec.ref} {text}".encode()).hexdigest()


def _chosen(mine: tuple[str, ...] | None, defined: tuple[str, ...] | None) -> tuple[str, ...] | None:
    return mine if mine is not None else defined


def _expanded(text: str, variables: Mapping[str, str]) -> str:
    try:
        result = expand.expand(text, variables)
    except Invalid as error:
        raise Refused(f"{text[:80]!r}: {error.message}", hint=error.hint, code=error.code) from error
    if "\0" in result:
        raise Refused(f"{text[:80]!r} contains a NUL character.", code="environment.nul")
    return result


def _argv(argv: tuple[str, ...] | None, variables: Mapping[str, str]) -> tuple[str, ...] | None:
    return None if argv is None else tuple(_expanded(text, variables) for text in argv)


def _previous_node(project: Project, stage: Stage) -> str:
    """Where the workspace that this one continues from was last written."""
    if stage.source is not None and stage.source.kind == "stage":
        ended = project.ended.get(stage.source.number)
        return ended.node if isinstance(ended, EndedStage) else ""
    return next((a.node for a in reversed(stage.attempts) if a.node), "")


def _avoid(stage: Stage) -> tuple[str, ...]:
    """Nodes that lost earlier attempts, or could not start them. A node where everything fails at once is always free,
    and would get each of them."""
    lost = (a.node for a in stage.attempts if a.node and a.outcome is not None and a.outcome.cause in BY_ITS_NODE)
    return tuple(dict.fromkeys(lost))


def _is_cancelled(claim: str) -> bool:
    try:
        return bool(json.loads(claim).get("kind") == "cancelled")
    except (ValueError, AttributeError):
        return False  # a runner that has made it and not written it yet


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except FileNotFoundError:
        return 0


def install_runner(writer: Scribe, version: str, binary: Callable[[str], Path]) -> dict[str, str]:
    """Put the runner of this version on the share, for every architecture; answers where, relative to the
    root. Idempotent. `binary`: the built program by architecture."""
    targets = {arch: layout.runner_file(version, arch) for arch in layout.ARCHITECTURES}
    steps = [scribe.install(binary(arch), path) for arch, path in targets.items()]
    writer.perform(steps, f"the runner {version} was not installed")
    return targets
