"""What only shows when all parts work together on one machine: real store, share, runner and stages."""

from __future__ import annotations

import copy
import secrets
import threading
import time
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.core.world import pipeline
from tests.resources import some
from tests.waiting import until
from winslow_nomad import bootstrap, config
from winslow_nomad.bootstrap.engine import Engine, open_engine
from winslow_nomad.bootstrap.housekeeping import Housekeeping
from winslow_nomad.bootstrap.installation import Installation, part
from winslow_nomad.config import Settings
from winslow_nomad.core import messages as m
from winslow_nomad.core.pipeline import Pipeline, Resources, StageDefinition
from winslow_nomad.core.project import Project, ProjectState
from winslow_nomad.core.stage import Attempt, AttemptState, StageState
from winslow_nomad.resources.trash import Trash

SMALL = Resources(cpu=0.1, memory=16 * 2**20)


def sh(stage_id: str, script: str, *needs: str, **fields: object) -> StageDefinition:
    return StageDefinition.model_validate(
        {"id": stage_id, "command": ("sh", "-c", script), "needs": needs, "resources": SMALL, **fields}
    )


def create(engine: Engine, made: Pipeline, **fields: object) -> str:
    project = f"t-{secrets.token_hex(4)}"
    message = {"project": project, "name": project, "pipeline": made, "actor": "ada", "start": True, **fields}
    engine.client.send(project, m.CreateProject.model_validate(message))
    return project


def at_rest(engine: Engine, project: str) -> Project:
    def over() -> Project | None:
        found = engine.client.project(project)
        busy = (ProjectState.RUNNING, ProjectState.QUEUED)
        return found if found.state not in busy and not found.sealing else None

    return until(over, seconds=30)


class Later:
    """A clock some days ahead."""

    def __init__(self, days: float, clock: object) -> None:
        self._ahead = timedelta(days=days)
        self._clock = clock

    def now(self) -> datetime:
        return self._clock.now() + self._ahead  # type: ignore[attr-defined]


def test_a_home_may_be_called_as_people_call_folders(settings: Settings) -> None:
    odd = replace(settings, home=settings.home / "my #1 %20 é'?", share=settings.home / "my share")
    with open_engine(odd) as engine:
        project = create(engine, pipeline(sh("a", "true")))
        assert at_rest(engine, project).state is ProjectState.SUCCEEDED


def test_a_stage_sees_what_the_one_before_it_left_in_workspace_and_output(engine: Engine) -> None:
    made = pipeline(
        sh("a", 'echo draft > notes; echo result > "$WINSLOW_OUTPUT/r"; echo "n=7" >> "$WINSLOW_RESULTS"',
           results={"n": "integer"}),
        sh("b", 'cat notes "$WINSLOW_STAGES/a/r" > "$WINSLOW_OUTPUT/both"', "a", when="a.results.n == 7"),
    )  # fmt: skip
    project = create(engine, made)
    assert at_rest(engine, project).state is ProjectState.SUCCEEDED
    output = engine.client.output(project, 2)
    assert output is not None
    assert (engine.installation.settings.share / output / "both").read_text() == "draft\nresult\n"


def test_what_a_stage_wrote_is_in_its_log_and_nothing_else(engine: Engine) -> None:
    project = create(engine, pipeline(sh("a", "printf one; printf two >&2; printf '\\0\\377'")))
    at_rest(engine, project)
    chunks = list(engine.client.log(project, 1))
    assert b"".join(c.data for c in chunks if c.stream == "out") == b"one\0\xff"
    assert b"".join(c.data for c in chunks if c.stream == "err") == b"two"


def test_a_stage_that_ignores_a_polite_stop_is_killed_after_its_grace(engine: Engine) -> None:
    made = pipeline(sh("a", "trap '' TERM; while :; do sleep 0.05; done", stop_grace=0.3))
    project = create(engine, made)
    until(lambda: engine.client.project(project).state is ProjectState.RUNNING)
    until(lambda: engine.client.project(project).stages[1].state.value == "running")
    engine.client.send(project, m.StopStage(stage=1, actor="ada"))
    ended = at_rest(engine, project).ended[1]
    assert (ended.state.value, ended.message) == ("stopped", "stopped by ada")


def test_failed_workspaces_go_to_the_trash_after_their_time_and_results_never(engine: Engine) -> None:
    project = create(engine, pipeline(sh("good", "echo x > kept"), sh("bad", "echo y > lost; exit 3", "good")))
    at_rest(engine, project)
    share = engine.installation.settings.share
    good, bad = (share / f"projects/{project}/stages/{n}/attempts/1" for n in ("0001-good", "0002-bad"))
    housekeeping = Housekeeping(engine.installation)
    now = engine.installation.clock.now()
    housekeeping.tidy(engine.client.project(project), now + timedelta(days=6))
    assert (bad / "workspace/lost").exists()
    housekeeping.tidy(engine.client.project(project), now + timedelta(days=8))
    assert not (bad / "workspace").exists()
    assert (good / "workspace/kept").exists()
    assert (bad / "log/out").exists()


def test_a_deleted_project_can_be_taken_back_with_its_files(engine: Engine) -> None:
    project = create(engine, pipeline(sh("a", 'echo x > "$WINSLOW_OUTPUT/r"')))
    at_rest(engine, project)
    result = engine.installation.settings.share / f"projects/{project}/stages/0001-a/attempts/1/output/r"
    engine.client.send(project, m.TrashProject(actor="ada"))
    Housekeeping(engine.installation).tidy(engine.client.project(project), engine.installation.clock.now())
    assert not result.exists()
    engine.client.send(project, m.RestoreProject(actor="ada"))
    assert result.read_text() == "x\n"
    assert engine.client.project(project).trashed is None


def test_a_project_whose_files_cannot_be_moved_keeps_no_other_from_being_tidied(engine: Engine) -> None:
    first, second = (create(engine, pipeline(sh("bad", "echo y > lost; exit 3"))) for _ in range(2))
    for project in (first, second):
        at_rest(engine, project)

    class Stuck(Trash):
        """As with a folder that a stage has made read-only."""

        def put_obsolete(self, removals: Any, entry: str, at: Any, actor: str = "") -> Any:
            found = list(removals)
            if found and found[0].project == min(first, second):
                raise PermissionError(13, "Permission denied")
            return super().put_obsolete(found, entry, at, actor)

    installation = copy.copy(engine.installation)
    installation.clock = Later(8, installation.clock)  # type: ignore[assignment]
    housekeeping = Housekeeping(installation)
    housekeeping.trash = Stuck(installation.settings.share)
    housekeeping()
    left = installation.settings.share / "projects"
    assert (left / min(first, second) / "stages/0001-bad/attempts/1/workspace").exists()
    assert not (left / max(first, second) / "stages/0001-bad/attempts/1/workspace").exists()
    assert housekeeping.usage.below("projects")


def test_parts_of_an_installation_are_made_once_however_many_ask_at_once() -> None:
    made: list[str] = []

    class Whole:
        @part
        def one(self) -> str:
            made.append("made")
            time.sleep(0.05)
            return "part"

    whole, found = Whole(), []
    threads = [threading.Thread(target=lambda: found.append(whole.one)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (made, found) == (["made"], ["part"] * 4)


def test_the_trash_is_emptied_after_its_time(engine: Engine) -> None:
    project = create(engine, pipeline(sh("a", "exit 1")))
    at_rest(engine, project)
    installation = engine.installation
    now = installation.clock.now()
    housekeeping = Housekeeping(installation)
    housekeeping.tidy(engine.client.project(project), now + timedelta(days=8))
    assert len(installation.trash.entries()) == 1
    housekeeping.empty_trash(now + timedelta(days=20))
    until(lambda: not installation.trash.entries(), seconds=20)


@pytest.mark.parametrize("way", ["backup", "rebuild"])
def test_after_the_store_is_lost_everything_comes_back(settings: Settings, way: str) -> None:
    with bootstrap.open_engine(settings) as engine:
        project = create(engine, pipeline(sh("a", "echo n=1 >> $WINSLOW_RESULTS"), sh("b", "exit 4", "a")))
        before = at_rest(engine, project)
        until(lambda: not engine.installation.journal.lag().lines)
        file = settings.home / "b.zip"
        if way == "backup":
            bootstrap.backup(settings, file)
    store = settings.home / "store"
    store.rename(settings.home / "lost")
    if way == "backup":
        bootstrap.restore_backup(settings, file)
    else:
        bootstrap.rebuild(settings)
    with bootstrap.open_engine(settings) as engine:
        after = engine.client.project(project)
        assert (after.version, after.ended, after.failures) == (before.version, before.ended, before.failures)
        engine.client.send(project, m.RedoStage(stage=2, actor="ada"))
        assert sorted(at_rest(engine, project).ended) == [1, 2, 3]


def test_who_restores_what_had_jobs_at_nomad_is_told_that_another_winslow_may_have_them_too(tmp_path: Path) -> None:
    """Tried on another machine, as it should be, a stop there would end what the first one runs."""
    settings = config.load({"WINSLOW_HOME": str(tmp_path / "h"), "WINSLOW_DRIVER": "nomad"})
    installation = Installation(settings)
    for name, driver in (("p1", "nomad"), ("p2", "local")):
        attempt = Attempt(number=1, made=some.NOW, state=AttemptState.SUBMITTED)
        with_driver = some.stage(state=StageState.SUBMITTED, attempts=(attempt,))
        installation.store.restore(some.project(with_driver, id=name, driver=driver))
    installation.close()
    file = tmp_path / "b.zip"
    bootstrap.backup(settings, file)
    (settings.home / "store").rename(tmp_path / "lost")
    said = " ".join(bootstrap.restore_backup(settings, file))
    assert "1 stage of it had a job at Nomad" in said and "NOMAD_ADDR" in said


def test_a_second_engine_on_the_same_home_joins_the_first(engine: Engine) -> None:
    second = Installation(engine.installation.settings)
    try:
        assert second.address.socket == engine.installation.address.socket
        until(lambda: engine.client.active() != "")
        assert second.lease("another").hold() is None
    finally:
        second.close()
