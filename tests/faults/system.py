"""A whole Winslow (`winslow up` as a process) whose share is a small file system of its own, and what can befall
that. Whatever a test does to it, leaving the context ends the fault first: nothing may stay in the kernel."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.world import CLI, ROOT, World, executions, read_json
from tests.waiting import until
from winslow_nomad.bootstrap import open_client, read_pipeline
from winslow_nomad.bootstrap.client import LocalClient
from winslow_nomad.core import messages as m
from winslow_nomad.core.line import why
from winslow_nomad.core.project import Project, ProjectState
from winslow_nomad.core.stage import Reason
from winslow_nomad.resources.layout import folder_of

SCRIPT = """\
#!/bin/sh
echo "start $$" >> "$WINSLOW_OUTPUT/executions"
echo "number=$WINSLOW_STAGE_NUMBER" >> "$WINSLOW_RESULTS"
echo "$WINSLOW_STAGE says hello"
trap 'exit 143' TERM
while [ -e "$HOLD/$WINSLOW_PROJECT.$WINSLOW_STAGE" ]; do sleep 0.05; done
echo "last word of $WINSLOW_STAGE"
"""

# `second` copies a workspace; `asked` waits for a person
TEXT = """\
winslow: 1
name: faults
environment: {{HOLD: {hold}}}
stages:
  - {{id: first, command: [sh, {script}], stop_grace: 1s, resources: {{cpu: 0.1, memory: 16 MiB}}}}
  - {{id: second, command: [sh, {script}], stop_grace: 1s, resources: {{cpu: 0.1, memory: 16 MiB}}}}
  - {{id: asked, confirm: {{ask: always}}, workspace: empty, command: [sh, {script}], stop_grace: 1s,
     resources: {{cpu: 0.1, memory: 16 MiB}}}}
"""


class System(World):
    """`share`: where it lies; by default a directory of the home."""

    def __init__(self, base: Path, share: Path | None = None, **settings: str) -> None:
        self._share = share
        where = {"WINSLOW_SHARE": str(share)} if share is not None else {}
        super().__init__(base, **where, **settings)
        self.hold = base / "hold"
        self.hold.mkdir()
        script = base / "work.sh"
        script.write_text(SCRIPT)
        self.file = base / "faults.yaml"
        self.file.write_text(TEXT.format(hold=self.hold, script=script))
        self.pipeline = read_pipeline(self.file)
        self._client: LocalClient | None = None

    @property
    def share(self) -> Path:
        return self._share or super().share

    def begin(self) -> None:
        """Start the engine, and wait until it moves projects."""
        self.add("engine", (*CLI, "up"))
        self.start()
        until(lambda: self.client.active(), 30)

    @property
    def client(self) -> LocalClient:
        if self._client is None:
            self._client = open_client(self.settings)
        return self._client

    def close(self) -> None:
        if self._client is not None:
            self._client.close()
        self.end()

    # --- a person

    def create(self, project: str, *, hold: Sequence[str] = (), **fields: Any) -> None:
        """Make and start it; the stages named in `hold` do not end before `release`."""
        for stage in hold:
            (self.hold / f"{project}.{stage}").touch()
        command = {"project": project, "name": project, "pipeline": self.pipeline, "start": True, **fields}
        self.send(project, m.CreateProject.model_validate(command))

    def send(self, project: str, command: m.AnyCommand) -> Project:
        return self.client.send(project, command)

    def release(self, project: str, stage: str) -> None:
        (self.hold / f"{project}.{stage}").unlink()

    def go(self, project: str) -> None:
        """Answer the open gate."""
        self.send(project, m.AnswerGate(gate=self.project(project).gates[0].id))

    # --- what is seen

    def project(self, project: str) -> Project:
        return self.client.project(project)

    def reasons(self, project: str) -> dict[str, Reason]:
        """Why each open stage waits, by its id."""
        found = self.project(project)
        answers = {s.definition.id: why(found, s, found.updated) for s in found.stages.values()}
        return {name: reason for name, reason in answers.items() if reason is not None}

    def shown(self, project: str) -> dict[str, Any]:
        """`winslow show --json`"""
        done = self.winslow("show", project, "--json")
        assert done.returncode == 0, done.stderr
        answer: dict[str, Any] = json.loads(done.stdout)["project"]
        return answer

    def winslow(self, *args: str, seconds: float = 60) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*CLI, *args], env=self.environment, cwd=ROOT, capture_output=True, text=True, timeout=seconds, check=False
        )

    def states(self, project: str) -> dict[str, str]:
        """State of the newest stage of each id."""
        found = self.project(project)
        ended = {e.id: e.state.value for _, e in sorted(found.ended.items())}
        return ended | {s.definition.id: s.state.value for _, s in sorted(found.stages.items())}

    def reaches(self, project: str, state: ProjectState, seconds: float) -> Project:
        try:
            until(lambda: self.project(project).state is state, seconds, 0.02)
        except AssertionError as error:
            found = self.project(project)
            said = "\n".join(f"== {n}\n{w[-3000:]}" for n, w in self.words().items())
            raise AssertionError(
                f"{project} is {found.state} after {seconds} s: {self.states(project)} {self.reasons(project)}\n{said}"
            ) from error
        return self.project(project)

    def is_running(self, project: str, stage: str) -> bool:
        """The command of its newest attempt is at work."""
        ours = (e for _, e in self.processes() if "WINSLOW_RUNNER" not in e and e.get("WINSLOW_STAGE") == stage)
        return any(e.get("WINSLOW_ATTEMPT", "").startswith(f"{project}/") for e in ours)

    # --- what must be so in the end

    def check_whole(self, *projects: str) -> None:
        """Nothing was lost and nothing was done twice: every stage that succeeded was executed once, in one
        attempt, has its record, its log and its result; and the mirror knows all."""
        for name in projects:
            project = until(lambda n=name: (p := self.project(n)).sealing == {} and p, 10)  # type: ignore[misc]
            for stage in project.ended.values():
                if stage.state.value != "succeeded":
                    continue
                folder = self.share / folder_of(name, stage)
                assert [p.name for p in (folder / "attempts").iterdir()] == ["1"], folder
                attempt = folder / "attempts" / "1"
                assert executions(attempt) == ["start"], attempt
                log = (folder / "log" / "out").read_text()
                assert log == f"{stage.id} says hello\nlast word of {stage.id}\n", folder
                assert stage.results == {"number": str(stage.number)}, folder
                record = read_json(folder / "stage.json")
                assert record is not None and record["state"] == "succeeded"
                assert not list(attempt.glob("refused-*"))
        lag = self.client.installation.journal.lag
        until(lambda: lag().lines == 0, 15, 0.05)
        for name in projects:
            mirrored = read_json(self.share / "projects" / name / "project.json")
            assert mirrored is not None and mirrored["version"] == self.project(name).version
        assert self.violations == []


@contextmanager
def a_system(trouble: Trouble | None = None, **settings: str) -> Iterator[System]:
    base = Path(tempfile.mkdtemp(prefix="wf-", dir="/tmp"))
    system = System(base, trouble.point / "share" if trouble is not None else None, **settings)
    try:
        system.begin()
        yield system
    finally:
        if trouble is not None:
            trouble.end()
        system.close()
        if not os.environ.get("WINSLOW_CHAOS_KEEP"):
            shutil.rmtree(base, ignore_errors=True)


def command(*words: str | Path) -> None:
    subprocess.run([str(w) for w in words], check=True, capture_output=True)


class Trouble:
    """A file system for a share. `begin` the fault and `end` it, as often as wanted."""

    def __init__(self, point: Path) -> None:
        self.point = point

    def begin(self) -> None:
        raise NotImplementedError

    def end(self) -> None:
        raise NotImplementedError


class Faulty(Trouble):
    """tests.faults.faulty: what a network file system does. Ends whatever hangs when it is closed."""

    def __init__(self, base: Path, mode: str) -> None:
        super().__init__(base / "mount")
        self.mode, self.word = base / "mode", mode
        self.end()
        argv = [sys.executable, "-m", "tests.faults.faulty", str(base / "backing"), str(self.point), str(self.mode)]
        (base / "backing").mkdir()
        self.process = subprocess.Popen(argv, cwd=ROOT)
        until(lambda: self.process.poll() is not None or self.point.is_mount(), 20)
        assert self.process.poll() is None, "the file system did not start"

    def begin(self) -> None:
        self.mode.write_text(self.word)

    def end(self) -> None:
        self.mode.write_text("")

    def close(self) -> None:
        self.process.kill()
        self.process.wait()


class Filled(Trouble):
    """A file system that is full in earnest: bytes, or names."""

    def begin(self) -> None:
        with suppress(OSError), (self.point / "filler").open("wb", buffering=0) as file:
            while True:
                file.write(b"x" * (1 << 16))
        with suppress(OSError), (self.point / "filler").open("ab", buffering=0) as file:
            while True:
                file.write(b"x")

    def end(self) -> None:
        (self.point / "filler").unlink(missing_ok=True)


class Frozen(Trouble):
    """Reads go on, writes hang in the kernel."""

    def begin(self) -> None:
        command("fsfreeze", "-f", self.point)

    def end(self) -> None:
        subprocess.run(["fsfreeze", "-u", str(self.point)], capture_output=True, check=False)


@contextmanager
def a_share(kind: str) -> Iterator[Trouble]:
    """kind: stall, full, read_only (a network file system); filled, frozen (file systems of this machine)."""
    if os.geteuid() != 0:
        pytest.skip("mounting needs root")
    base = Path(tempfile.mkdtemp(prefix="wd-", dir="/tmp"))
    (base / "mount").mkdir()
    trouble: Trouble
    try:
        if kind == "filled":
            command("mount", "-t", "tmpfs", "-o", "size=24m", "winslow-test", base / "mount")
            trouble = Filled(base / "mount")
        elif kind == "frozen":
            for program in ("mkfs.ext4", "fsfreeze"):
                if shutil.which(program) is None:
                    pytest.skip(f"{program} is not installed")
            with (base / "image").open("wb") as file:
                file.truncate(64 << 20)
            command("mkfs.ext4", "-q", "-F", base / "image")
            command("mount", "-o", "loop", base / "image", base / "mount")
            trouble = Frozen(base / "mount")
        else:
            if not Path("/dev/fuse").exists():
                pytest.skip("there is no /dev/fuse")
            trouble = Faulty(base, kind)
        try:
            yield trouble
        finally:
            trouble.end()
            if isinstance(trouble, Faulty):
                trouble.close()
            command("umount", "-l", trouble.point)
    finally:
        shutil.rmtree(base, ignore_errors=True)
