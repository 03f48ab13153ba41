"""Random messages, late, repeated and reordered, against the invariants; and at the end everything comes
to rest: nothing is stuck once people answer and the outside is back."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from tests.core.world import World, chain, pipeline
from winslow_nomad.core import messages as m
from winslow_nomad.core.images import Image
from winslow_nomad.core.pipeline import Pipeline
from winslow_nomad.core.stage import AttemptState, Cause, Outcome, Overrides

PIPELINES: list[Pipeline] = [
    chain("a", "b", "c"),
    pipeline(
        {"id": "a", "retry": {"node_lost": 1, "failed": 1, "delay": 5}},
        {"id": "b", "needs": ("a",), "confirm": {"ask": "always"}},
        {"id": "c", "needs": ("a",), "confirm": {"ask": "once"}, "retry": {"failed": 1, "workspace": "continue"}},
        {"id": "d", "needs": ("b", "c")},
    ),
    pipeline(
        {"id": "a", "results": {"n": "integer"}},
        {"id": "b", "needs": ("a",), "when": "a.results.n > 2"},
        {"id": "c", "needs": ("a",), "when": "a.results.n <= 2"},
        {"id": "d", "needs": ("b", "c"), "join": "any", "pause_after": True},
        {"id": "e", "needs": ("d",)},
    ),
    pipeline(
        {"id": "a"},
        {"id": "b", "needs": ("a",), "sweep": {"max_running": 2, "on_failure": "continue"}},
        {"id": "c", "needs": ("b",), "gather": True},
        {"id": "d", "needs": ("b",)},
        {"id": "e", "needs": ("c", "d"), "join": "any"},
    ),
]
GRID = {"X": ("1", "2", "3"), "Y": ("p", "q")}
STAGE = st.integers(1, 12)
ID = st.sampled_from("abcde")
CAUSES = st.sampled_from([c for c in Cause if c is not Cause.CANCELLED])


class Life(RuleBasedStateMachine):
    world: World

    @initialize(which=st.integers(0, len(PIPELINES) - 1), sweep=st.booleans())
    def create(self, which: int, sweep: bool) -> None:
        made = PIPELINES[which]
        self.world = World(made, sweeps={"b": GRID} if sweep else {})
        self.made = made

    def command(self, command: Any) -> None:
        self.world.try_send(command)

    @rule()
    def start(self) -> None:
        self.command(m.StartProject())

    @rule()
    def pause(self) -> None:
        self.command(m.PauseProject())

    @rule(single=st.booleans())
    def resume(self, single: bool) -> None:
        self.command(m.ResumeProject(single=single))

    @rule(stage=STAGE, sweep=st.booleans(), at_once=st.booleans(), resume=st.booleans())
    def redo(self, stage: int, sweep: bool, at_once: bool, resume: bool) -> None:
        grid = {"X": ("1", "2")} if sweep else {}
        self.command(m.RedoStage(stage=stage, sweep=grid, at_once=at_once, resume=resume))

    @rule(stage_id=ID, sweep=st.booleans(), at_once=st.booleans())
    def enqueue(self, stage_id: str, sweep: bool, at_once: bool) -> None:
        self.command(m.EnqueueStage(id=stage_id, sweep=GRID if sweep else {}, at_once=at_once))

    @rule(stage=STAGE, after=STAGE)
    def enqueue_after(self, stage: int, after: int) -> None:
        ids = [s.id for s in self.made.stages]
        self.command(m.EnqueueStage(id=ids[stage % len(ids)], after=(after,)))

    @rule(stage=STAGE, kill=st.booleans())
    def stop(self, stage: int, kill: bool) -> None:
        self.command(m.StopStage(stage=stage, kill=kill))

    @rule()
    def stop_all(self) -> None:
        self.command(m.StopProject())

    @rule(stage=STAGE)
    def skip(self, stage: int) -> None:
        self.command(m.SkipStage(stage=stage))

    @rule(stage=STAGE)
    def remove(self, stage: int) -> None:
        self.command(m.RemoveQueued(stage=stage))

    @rule(stages=st.lists(STAGE, max_size=4))
    def reorder(self, stages: list[int]) -> None:
        self.command(m.Reorder(stages=tuple(stages)))

    @rule(stage=STAGE, pause_after=st.booleans())
    def change(self, stage: int, pause_after: bool) -> None:
        self.command(m.ChangeQueued(stage=stage, overrides=Overrides(values={"X": "9"}), pause_after=pause_after))

    @rule(stage_id=ID)
    def pause_after(self, stage_id: str) -> None:
        self.command(m.PauseAfter(id=stage_id))

    @rule(sweep=st.integers(1, 3), running=st.booleans())
    def stop_sweep(self, sweep: int, running: bool) -> None:
        self.command(m.StopSweep(sweep=sweep, running=running))

    @rule(sweep=st.integers(1, 3), stage=STAGE)
    def choose(self, sweep: int, stage: int) -> None:
        self.command(m.ChooseOfSweep(sweep=sweep, stage=stage))

    @precondition(lambda self: self.world.project.gates)
    @rule(data=st.data(), answer=st.sampled_from(["go", "skip", "stop"]))
    def answer(self, data: Any, answer: Any) -> None:
        gate = data.draw(st.sampled_from(self.world.project.gates))
        self.command(m.AnswerGate(gate=gate.id, answer=answer, stage=data.draw(STAGE)))

    @rule(which=st.integers(0, len(PIPELINES) - 1))
    def edit(self, which: int) -> None:
        self.made = PIPELINES[which]
        self.command(m.EditPipeline(pipeline=self.made))

    @rule()
    def trash_and_restore(self) -> None:
        self.command(m.TrashProject())
        self.command(m.RestoreProject())

    @rule(index=st.integers(0, 5))
    def admit(self, index: int) -> None:
        self.world.admit(index)

    @precondition(lambda self: self.world.effects())
    @rule(data=st.data())
    def perform(self, data: Any) -> None:
        self.world.perform(data.draw(st.sampled_from(self.world.effects())))

    @rule()
    def perform_all(self) -> None:
        for effect in self.world.effects():
            self.world.perform(effect)

    @rule(rounds=st.integers(1, 4))
    def go_on(self, rounds: int) -> None:
        """What happens by itself happens, so that lives get far enough for what people do late in them."""
        for _ in range(rounds):
            while self.world.admit() or self.world.deliver():
                pass
            for effect in self.world.effects():
                self.world.perform(effect)

    @rule(index=st.integers(0, 30), again=st.booleans())
    def deliver(self, index: int, again: bool) -> None:
        self.world.deliver(index, again)

    @precondition(lambda self: self.world.delivered)
    @rule(data=st.data())
    def deliver_an_old_one(self, data: Any) -> None:
        fact = data.draw(st.sampled_from(self.world.delivered[-40:]))
        if not isinstance(fact, m.Admitted | m.HeldBack | m.BecameImpossible | m.BecamePossible | m.StopSent):
            self.world.fact(fact)

    @precondition(lambda self: self.world.running())
    @rule(data=st.data(), cause=CAUSES, ok=st.booleans(), n=st.integers(0, 5))
    def end(self, data: Any, cause: Cause, ok: bool, n: int) -> None:
        key = data.draw(st.sampled_from(self.world.running()))
        success = Outcome(cause=Cause.EXIT, code=0, started=self.world.now, results={"n": str(n)})
        self.world.end(key, success if ok else Outcome(cause=cause, code=1, started=self.world.now))

    @precondition(lambda self: self.world.project.stages)
    @rule(data=st.data(), back=st.booleans())
    def contact(self, data: Any, back: bool) -> None:
        stage = data.draw(st.sampled_from(list(self.world.project.stages.values())))
        attempt = len(stage.attempts)
        where = {"stage": stage.number, "attempt": attempt}
        self.world.fact(m.AttemptInContact(**where) if back else m.AttemptOutOfContact(**where, text="cut off"))

    @rule(stage=STAGE, back=st.booleans())
    def impossible(self, stage: int, back: bool) -> None:
        if back:
            self.world.fact(m.BecamePossible(stage=stage))
        else:
            self.world._apply(m.BecameImpossible(stage=stage, text="no node"))

    @precondition(lambda self: self.world.project.stages)
    @rule(data=st.data(), found=st.booleans())
    def image(self, data: Any, found: bool) -> None:
        """Of whatever stage, in whatever state it is."""
        stage = data.draw(st.sampled_from(list(self.world.project.stages.values())))
        where = {"stage": stage.number, "attempt": len(stage.attempts)}
        image = Image(name="registry.example.org/tool:1", digest="sha256:" + "0" * 64)
        unusable = m.ImageUnusable(**where, code="image.not_found", text="there is none")
        self.world.fact(m.ImagePinned(**where, image=image) if found else unusable)

    @rule()
    def sweep(self) -> None:
        self.world.sweep()

    @rule(seconds=st.integers(1, 1000))
    def wait(self, seconds: int) -> None:
        self.world.wait(seconds)

    def teardown(self) -> None:
        """People answer, resume and forgive; then everything ends and nothing is stuck."""
        if not hasattr(self, "world"):
            return
        world = self.world
        for _ in range(60):
            world.sweep()
            if world.project.pause is not None:
                for stage in [world.project.pause.stage]:
                    world.fact(m.BecamePossible(stage=stage))
                world.send(m.ResumeProject())
            for gate in world.project.gates:
                if gate.kind == "choice":
                    world.send(m.AnswerGate(gate=gate.id, answer="stop"))
                else:
                    world.try_send(m.AnswerGate(gate=gate.id, answer="go"))
            world.settle()
            if not world.project.stages and not world.project.gates and world.project.pause is None:
                break
        assert not world.project.stages, "nothing is stuck"
        assert not world.project.sealing
        assert all(not world.project.unfinished(s) for s in world.project.sweeps.values())
        for number, ended in world.project.ended.items():
            record = world.sealed[number]
            assert record.state is ended.state
            assert all(a.state is AttemptState.ENDED for a in record.attempts)
            ran = [a for a in record.attempts if world.claims.get((number, a.number)) == "runner"]
            for attempt in ran:
                settled = world.ends.get((number, attempt.number))
                assert settled is not None, "no attempt of an ended stage still runs"
                assert attempt.outcome is not None
                assert attempt.outcome.cause is settled.cause, "the first end record is the one that counts"


CHECKS = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]


def test_random_lives_keep_every_invariant_and_come_to_rest():
    run_state_machine_as_test(
        Life, settings=settings(max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=CHECKS)
    )


@pytest.mark.chaos
def test_many_long_random_lives_keep_every_invariant():
    run_state_machine_as_test(
        Life, settings=settings(max_examples=3000, stateful_step_count=120, deadline=None, suppress_health_check=CHECKS)
    )
