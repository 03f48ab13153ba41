"""Where the files of a project are on this machine, for people and programs that go on with them.

Only reads, and gives up on a share that does not answer: a list of files is never worth a hanging terminal."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TypeVar

from winslow_nomad.core.client import Client
from winslow_nomad.core.project import Project
from winslow_nomad.core.stage import StageState

T = TypeVar("T")
PATIENCE = 5.0  # seconds for a share that may be stalled
MOST = 50  # files listed of one output


@dataclass(frozen=True, slots=True)
class File:
    path: PurePath
    size: int  # bytes


def of_project(client: Client, project: Project) -> dict[int, PurePath]:
    """Stage number -> directory of its output, for stages that ran."""

    def find() -> dict[int, PurePath]:
        ran = [n for n, e in project.ended.items() if e.attempt]
        ran += [n for n, s in project.stages.items() if s.started is not None]
        found = {n: client.output(project.id, n) for n in sorted(ran)}
        return {n: path for n, path in found.items() if path is not None}

    return within(PATIENCE, find, {})


def final(project: Project) -> list[int]:
    """The newest successes of the stages that nothing follows: what a person came for."""
    last = [s.id for s in project.pipeline.stages if not project.pipeline.followers[s.id]]
    newest = {e.id: e.number for _, e in sorted(project.ended.items()) if e.state is StageState.SUCCEEDED}
    return [newest[i] for i in last if i in newest]


def files(directory: PurePath) -> tuple[list[File], int] | None:
    """Files below a directory in order of their names, and how many more there are; None: the share does not answer."""

    def find() -> tuple[list[File], int] | None:
        found: list[File] = []
        left_out = 0
        for folder, folders, names in os.walk(directory):
            folders.sort()
            for name in sorted(names):
                path = Path(folder) / name
                if len(found) < MOST:
                    found.append(File(path, path.lstat().st_size))
                else:
                    left_out += 1
        return found, left_out

    return within(PATIENCE, find, None)


def within(seconds: float, read: Callable[[], T], otherwise: T) -> T:
    """What `read` answers, or `otherwise` when the share does not answer in time or says no."""
    answer: list[T] = []
    problems: list[BaseException] = []

    def attempt() -> None:
        try:
            answer.append(read())
        except OSError as error:
            problems.append(error)
        except Exception as error:  # noqa: BLE001  belongs to who called; raised there
            problems.append(error)

    reader = threading.Thread(target=attempt, daemon=True, name="reads the share")
    reader.start()
    reader.join(seconds)
    if problems and not isinstance(problems[0], OSError):
        raise problems[0]
    return answer[0] if answer else otherwise
