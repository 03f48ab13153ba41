"""What a pipeline file may say, as frozen values. Reading files is resources/definitions' business."""

from __future__ import annotations

from enum import StrEnum
from functools import cached_property
from typing import Literal

from pydantic import Field

from winslow_nomad.core.model import Value

MIB = 1024 * 1024
GIB = 1024 * MIB
HEARTBEAT = 10.0  # seconds between two heartbeats of a runner, unless patience with its node is short


class ParameterKind(StrEnum):
    FILE = "file"
    FILES = "files"
    FOLDER = "folder"
    STRING = "string"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    CHOICE = "choice"


FILE_KINDS = frozenset({ParameterKind.FILE, ParameterKind.FILES, ParameterKind.FOLDER})


class Parameter(Value):
    """A form field, and an environment variable of every stage. All values are texts as written."""

    kind: ParameterKind
    title: str = ""
    help: str = ""
    default: str | None = None  # None: required
    min: str | None = None
    max: str | None = None
    options: tuple[str, ...] = ()
    accept: tuple[str, ...] = ()  # file name endings


class Secret(Value):
    required: bool = True


class Gpu(Value):
    count: int = Field(default=1, ge=1)
    memory: int = 0  # bytes each GPU must have
    model: str = ""  # a glob such as "RTX*"; empty: any


class Resources(Value):
    cpu: float = 1.0  # cores
    memory: int = 1 * GIB  # bytes reserved
    memory_max: int | None = None  # bytes; None: memory is the limit
    shm: int = 64 * MIB  # bytes of /dev/shm
    gpu: Gpu | None = None


class Placement(Value):
    pool: str = "default"
    require: tuple[str, ...] = ()  # node tags
    prefer: Literal["", "previous_node"] = ""


class Retry(Value):
    """How many more attempts a stage gets, by what ended the one before."""

    node_lost: int = 3
    failed: int = 0
    timeout: int = 0
    delay: float = 30.0  # seconds
    workspace: Literal["fresh", "continue"] = "fresh"


class SweepPolicy(Value):
    max_running: int = Field(default=4, ge=1)
    on_failure: Literal["stop", "continue"] = "stop"
    workspace: Literal["separate", "shared", "nested"] = "separate"


class Confirm(Value):
    ask: Literal["never", "once", "always"] = "never"
    show: tuple[str, ...] = ()  # "<stage id>/<path in its output>"


class Chart(Value):
    file: str
    x: str
    y: tuple[str, ...]
    title: str = ""


class LogParser(Value):
    """Makes a table of a log: where `pattern` (RE2) is found in a line, or in so many `lines` of one stream that follow
    one another, a row is added to `file`. `columns`: heading -> text with `${name}` of groups, of TIMESTAMP, SOURCE,
    LINE and MATCH, and of variables; none: the time and all groups. `file` may hold such names as well."""

    file: str
    pattern: str
    columns: dict[str, str] = {}
    lines: int = Field(default=1, ge=1, le=100)
    stream: Literal["", "out", "err"] = ""  # empty: either


PARSED = ".log_parser_output"  # the folder that the files of log parsers seem to be in
OF_MATCH = ("TIMESTAMP", "SOURCE", "LINE", "MATCH")  # what a log parser knows of each match beside its groups


class ResultKind(StrEnum):
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    STRING = "string"


class StageDefinition(Value):
    """Presets of one step. Environment values and command elements still hold their `${X}`."""

    id: str
    title: str = ""
    image: str = ""
    entrypoint: tuple[str, ...] | None = None
    command: tuple[str, ...] | None = None
    environment: dict[str, str] = {}
    secrets: tuple[str, ...] = ()
    required: tuple[str, ...] = ()  # environment variables that a person must have set
    resources: Resources = Resources()
    placement: Placement = Placement()
    timeout: float | None = None  # seconds
    stop_grace: float = 30.0  # seconds between SIGTERM and SIGKILL
    patience: float = 900.0  # seconds without a heartbeat, out of contact, until another attempt is made
    retry: Retry = Retry()
    results: dict[str, ResultKind] = {}
    sweep: SweepPolicy | None = None  # None: not meant for sweeps, which a person may still ask for
    charts: tuple[Chart, ...] = ()
    log_parsers: tuple[LogParser, ...] = ()
    needs: tuple[str, ...] = ()
    join: Literal["all", "any"] = "all"
    when: str | None = None
    gather: bool = False
    workspace: str = "previous"  # previous | empty | a stage id
    confirm: Confirm = Confirm()
    pause_after: bool = False
    run_as: Literal["winslow", "image"] = "winslow"

    @property
    def runs_its_image(self) -> bool:
        """It gives no command, so that only its image can tell what runs."""
        return not self.entrypoint and not self.command

    @property
    def heartbeat(self) -> float:
        """Seconds between two heartbeats: several within the patience, so that what lives is never taken for dead."""
        return min(HEARTBEAT, self.patience / 4)


class Pipeline(Value):
    """A whole pipeline. `stages` has its `needs` resolved: a file without any `needs` is a chain. `version`: of
    the library, that it is or was made from (0: it comes from a file); `edited`: it was changed since."""

    name: str
    title: str = ""
    description: str = ""
    parameters: dict[str, Parameter] = {}
    secrets: dict[str, Secret] = {}
    environment: dict[str, str] = {}
    stages: tuple[StageDefinition, ...]
    folder: str | None = None  # digest of the pipeline folder, mounted at /pipeline
    version: int = 0
    edited: bool = False

    @cached_property
    def by_id(self) -> dict[str, StageDefinition]:
        return {s.id: s for s in self.stages}

    @cached_property
    def followers(self) -> dict[str, tuple[str, ...]]:
        """Stage id -> ids of the stages that need it, in the order of the file."""
        return {s.id: tuple(f.id for f in self.stages if s.id in f.needs) for s in self.stages}

    @property
    def first(self) -> tuple[str, ...]:
        return tuple(s.id for s in self.stages if not s.needs)
