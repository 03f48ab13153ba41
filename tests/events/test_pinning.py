"""The image of a stage is settled before anything is made for it, once, and whatever it waits for is told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.builders import HandClock
from tests.core.invariants import check
from tests.core.world import pipeline
from tests.fakes.images import MemoryImages
from winslow_nomad.core import messages as m
from winslow_nomad.core.decide import decide_all
from winslow_nomad.core.effects import Notify, PrepareWorkspace
from winslow_nomad.core.images import Image
from winslow_nomad.core.inventory import Inventory, Node
from winslow_nomad.core.outstanding import outstanding
from winslow_nomad.core.project import Project, ProjectState
from winslow_nomad.core.stage import AttemptState, Cause, Outcome, Overrides, StageState
from winslow_nomad.driver.simulated.attempts import MemoryAttempts
from winslow_nomad.events.perform import Parked, Performer
from winslow_nomad.events.pinning import AGAIN, Pinning
from winslow_nomad.events.sweep import Sweep

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HOST = "registry.example.org"
NAME = f"{HOST}/tool:1"
ONE, TWO = (Image(name=NAME, digest=f"sha256:{n * 64}", command=("run",), architectures=("amd64",)) for n in "12")
AT = {"stage": 1, "attempt": 1}


class World:
    """A project of one stage on `nomad`, and who asks its registry."""

    def __init__(self, *known: Image, **fields: Any) -> None:
        self.images = MemoryImages(*known)
        self.clock = HandClock(NOW)
        self.seconds = 0.0
        self.nodes = (Node(name="n", cpu=8, memory=1 << 40, tags=frozenset({"arch.amd64"})),)
        attempts = MemoryAttempts(lambda: 0.0)
        self.pinning = Pinning(attempts, {"nomad": self.images}, self.inventory, lambda: self.seconds)
        nothing: Any = None
        self.performer = Performer({}, attempts, nothing, self.pinning)
        self.sweep = Sweep(nothing, nothing, {}, attempts, nothing, nothing, self.inventory, self.pinning, nothing)
        made = pipeline({"id": "a", "image": NAME, "command": None, **fields})
        made = made.but(stages=tuple(s.but(command=s.command or None) for s in made.stages))
        create = m.CreateProject(project="p", name="p", pipeline=made, driver="nomad", start=True)
        self.notices: list[Notify] = []
        self.project: Project = decide_all(None, [create, m.Admitted(stage=1)], NOW).project

    def inventory(self, driver: str) -> Inventory:
        return Inventory(driver=driver, nodes=self.nodes, seen=NOW)

    def tell(self, *messages: m.Message) -> None:
        decision = decide_all(self.project, messages, self.clock.now())
        check(decision.project, self.clock.now())
        self.notices += [e for e in decision.effects if isinstance(e, Notify)]
        self.project = decision.project

    def perform(self) -> list[m.AnyFact]:
        (effect,) = [e for e in outstanding(self.project) if isinstance(e, PrepareWorkspace)]
        facts = self.performer(self.project, effect)
        self.tell(*facts)
        return facts

    @property
    def attempt(self) -> Any:
        return self.project.stages[1].attempts[-1]

    def lose_its_node(self) -> None:
        self.tell(m.AttemptAccepted(**self.at), m.AttemptEnded(**self.at, outcome=Outcome(cause=Cause.NODE_LOST)))
        self.clock.pass_by(60)
        self.tell(m.TimerFired(), m.Admitted(stage=1))

    @property
    def at(self) -> dict[str, int]:
        return {"stage": 1, "attempt": len(self.project.stages[1].attempts)}


def test_what_the_name_stands_for_is_in_the_attempt_s_record_before_it_is_submitted() -> None:
    world = World(ONE)
    assert [f.kind for f in world.perform()] == ["image_pinned", "workspace_ready"]
    assert (world.attempt.image, world.attempt.state) == (ONE, AttemptState.INTENDED)
    assert Project.model_validate_json(world.project.model_dump_json()) == world.project


def test_another_attempt_of_the_stage_runs_the_same_image_though_the_tag_has_moved() -> None:
    world = World(ONE)
    world.perform()
    world.images.known[NAME] = TWO
    world.lose_its_node()
    world.perform()
    assert (world.attempt.number, world.attempt.image) == (2, ONE)
    assert world.images.asked == [NAME], "nobody is asked twice"


def test_another_attempt_needs_no_registry() -> None:
    world = World(ONE)
    world.perform()
    world.images.away = True
    world.lose_its_node()
    assert world.performer.needs(world.project, PrepareWorkspace(stage=1, attempt=2)) == ("share",)
    assert [f.kind for f in world.perform()] == ["image_pinned", "workspace_ready"]


def test_a_redo_of_the_stage_runs_what_the_tag_stands_for_then() -> None:
    world = World(ONE)
    world.perform()
    world.images.known[NAME] = TWO
    end = Outcome(cause=Cause.EXIT, code=0)
    world.tell(m.AttemptAccepted(**AT), m.AttemptEnded(**AT, outcome=end), m.RedoStage(stage=1), m.Admitted(stage=2))
    world.perform()
    assert world.project.stages[2].attempts[-1].image == TWO


def test_a_registry_that_is_away_is_waited_for_with_the_reason_and_nothing_is_prepared() -> None:
    world = World(ONE)
    world.images.away = True
    with pytest.raises(Parked) as parked:
        world.perform()
    assert parked.value.what == f"registry {HOST}"
    assert world.performer.needs(world.project, PrepareWorkspace(**AT)) == ("share", f"registry {HOST}")
    world.tell(*parked.value.facts)
    reason = world.project.stages[1].reason
    assert reason is not None and reason.kind == "registry" and HOST in reason.text
    assert world.project.state is ProjectState.RUNNING, "nobody has to do anything"
    world.images.away = False
    world.perform()
    assert world.project.stages[1].reason is None


@pytest.mark.parametrize("code", ["image.not_found", "image.denied"])
def test_an_image_that_cannot_be_had_pauses_the_project_and_goes_on_by_itself_when_it_can(code: str) -> None:
    world = World(ONE) if code == "image.denied" else World()
    world.images.denied = code == "image.denied"
    world.perform()
    stage, pause = world.project.stages[1], world.project.pause
    assert stage.state is StageState.QUEUED and stage.attempts == (), "as if it had not been admitted"
    assert pause is not None and (pause.kind, pause.code, pause.stage) == ("impossible", code, 1)
    assert stage.reason is not None and stage.reason.code == code and stage.reason.text.startswith("cannot start: ")
    assert [n.what for n in world.notices] == ["impossible"]
    assert world.sweep.of_impossible(world.project) == []
    world.images.denied = False
    world.images.known[NAME] = ONE
    assert world.sweep.of_impossible(world.project) == [], "it is not asked at every sweep"
    world.seconds += AGAIN
    world.tell(*world.sweep.of_impossible(world.project), m.Admitted(stage=1))
    assert world.project.pause is None
    world.perform()
    assert (world.attempt.number, world.attempt.image) == (1, ONE)


def test_another_image_that_a_person_names_instead_is_tried_at_once() -> None:
    world = World()
    world.perform()
    assert world.sweep.of_impossible(world.project) == []
    other = ONE.but(name=f"{HOST}/other:1")
    world.images.known[other.name] = other
    world.tell(m.ChangeQueued(stage=1, overrides=Overrides(image=other.name)))
    assert world.sweep.of_impossible(world.project) == [m.BecamePossible(stage=1)]


def test_a_registry_that_is_away_while_one_waits_for_an_image_is_not_asked_at_every_sweep() -> None:
    world = World()
    world.perform()
    world.images.away = True
    world.seconds += AGAIN
    for _ in range(5):
        assert world.sweep.of_impossible(world.project) == []
    assert len(world.images.asked) == 2


def test_a_resumed_project_asks_again() -> None:
    world = World()
    world.perform()
    world.images.known[NAME] = ONE
    world.tell(m.ResumeProject(), m.Admitted(stage=1))
    world.perform()
    assert world.attempt.image == ONE


def test_a_stage_that_is_stopped_meanwhile_is_not_put_back_into_the_line() -> None:
    world = World()
    before = world.project
    world.tell(m.StopStage(stage=1))
    stopping = world.project
    facts = world.performer(before, PrepareWorkspace(**AT))
    world.tell(*facts)
    assert world.project == stopping


def test_what_is_said_of_an_attempt_that_was_submitted_or_has_ended_changes_nothing() -> None:
    world = World(ONE)
    world.perform()
    before = world.project
    world.tell(m.ImageUnusable(**AT, code="image.denied", text="x"), m.ImagePinned(**AT, image=TWO))
    assert world.project == before


@pytest.mark.parametrize(
    ("image", "said"),
    [("tool:1", "no registry is asked for the image tool:1"), ("", "it has no image")],
)
def test_a_stage_without_a_command_needs_a_registry_that_can_be_asked(image: str, said: str) -> None:
    world = World(image=image)
    world.perform()
    pause = world.project.pause
    assert pause is not None and pause.code == "image.no_command" and said in pause.text
    assert world.images.asked == []


def test_an_image_that_runs_nothing_by_itself_needs_a_command() -> None:
    world = World(ONE.but(command=()))
    world.perform()
    assert world.project.pause is not None and world.project.pause.code == "image.no_command"


@pytest.mark.parametrize("image", ["tool:1", "team/tool:1"])
def test_with_a_command_a_name_without_a_registry_is_used_as_it_is(image: str) -> None:
    world = World(image=image, command=("x",))
    assert [f.kind for f in world.perform()] == ["workspace_ready"]
    assert world.attempt.image is None and world.images.asked == []


def test_an_image_for_other_processors_than_all_nodes_have_waits_for_a_node_that_has_them() -> None:
    world = World(ONE.but(architectures=("arm64",)))
    world.perform()
    pause = world.project.pause
    assert pause is not None and pause.code == "image.architecture" and "is for arm64" in pause.text
    world.nodes = (*world.nodes, Node(name="m", cpu=8, memory=1 << 40, tags=frozenset({"arch.arm64"})))
    world.seconds += AGAIN
    assert world.sweep.of_impossible(world.project) == [m.BecamePossible(stage=1)]


def test_a_driver_without_images_asks_nobody() -> None:
    world = World()
    project = world.project.but(driver="local")
    assert world.performer.needs(project, PrepareWorkspace(**AT)) == ("share",)
    assert [f.kind for f in world.performer(project, PrepareWorkspace(**AT))] == ["workspace_ready"]
    assert world.images.asked == []


def test_a_retry_that_is_delayed_keeps_its_image() -> None:
    world = World(ONE, retry={"node_lost": 3, "delay": 30})
    world.perform()
    world.tell(m.AttemptAccepted(**AT), m.AttemptEnded(**AT, outcome=Outcome(cause=Cause.NODE_LOST)))
    world.clock.at += timedelta(seconds=31)
    world.tell(m.TimerFired(), m.Admitted(stage=1))
    assert world.attempt.image == ONE
