"""Whole projects over a simulated cluster with losses, cuts, and unreliable reports: always the same end."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.core.invariants import check
from tests.core.world import chain, pipeline
from tests.scenarios.simulation import Simulation, nodes
from winslow_nomad.core import messages as m
from winslow_nomad.core.allowance import Allowance
from winslow_nomad.core.pipeline import GIB
from winslow_nomad.core.project import ProjectState
from winslow_nomad.core.stage import Cause, StageState
from winslow_nomad.driver.simulated.script import Act, Faults

FAN = pipeline(
    {"id": "a"},
    {"id": "b", "needs": ("a",)},
    {"id": "c", "needs": ("a",)},
    {"id": "d", "needs": ("b", "c")},
)


def minute(*_: object) -> Act:
    return Act(seconds=60)


def states(simulation: Simulation, project: str) -> list[str]:
    return [f"{e.id}:{e.state.value}" for e in simulation.project(project).ended.values()]


def test_projects_share_the_cluster_and_all_succeed():
    simulation = Simulation(nodes(2), minute)
    for number in range(20):
        simulation.create(f"p{number}", FAN)
    simulation.run()
    assert {simulation.project(f"p{n}").state for n in range(20)} == {ProjectState.SUCCEEDED}


def test_a_lost_node_costs_an_attempt_and_not_the_project():
    simulation = Simulation(nodes(2), minute)
    simulation.create("p", pipeline({"id": "a", "patience": 5.0, "retry": {"node_lost": 3, "delay": 1}}))
    while not simulation.driver.started:
        simulation.step()
    node = simulation.project("p").stages[1].attempts[0].node or "n0"
    simulation.driver.lose(node, back_after=100)
    simulation.run()
    assert states(simulation, "p") == ["a:succeeded"]
    ended = simulation.project("p").ended[1]
    assert ended.attempt == 2


def test_a_cut_shorter_than_the_patience_disturbs_nothing():
    simulation = Simulation(nodes(1), minute)
    simulation.create("p", pipeline({"id": "a", "patience": 900.0}))
    while not simulation.driver.started:
        simulation.step()
    simulation.driver.cut("n0", seconds=300)
    simulation.run()
    assert simulation.project("p").ended[1].attempt == 1
    assert states(simulation, "p") == ["a:succeeded"]


def test_a_stage_that_never_fits_pauses_its_project_until_a_fitting_node_joins():
    wants = {"id": "a", "resources": {"gpu": {"memory": 24 * GIB}}}
    simulation = Simulation(nodes(1), minute)
    simulation.create("p", pipeline(wants))
    simulation.run()
    pause = simulation.project("p").pause
    assert pause is not None and pause.kind == "impossible"
    assert "24 GiB" in pause.text
    bigger = nodes(2)[1]
    group = bigger.gpus[0].but(model="A5000", memory=24 * GIB)
    simulation.driver.join(bigger.but(gpus=(group,)))
    simulation.clock.seconds += 60
    simulation.look(simulation.clock.now())
    simulation.run()
    assert states(simulation, "p") == ["a:succeeded"]


def test_what_alone_is_beyond_a_limit_pauses_its_project_until_the_limit_is_raised():
    simulation = Simulation(nodes(1), minute)
    simulation.limits = {"ada": Allowance(cpu=1)}
    simulation.create("p", pipeline({"id": "a", "resources": {"cpu": 2}}), actor="ada")
    simulation.run()
    for _ in range(3):
        simulation.clock.seconds += 60
        simulation.look(simulation.clock.now())
        simulation.run()
    project = simulation.project("p")
    assert project.pause is not None and project.pause.kind == "impossible"
    assert project.pause.text == "a cannot start: it needs 2 cores, and ada may use 1 core at a time"
    version = project.version
    simulation.look(simulation.clock.now())
    assert simulation.project("p").version == version, "it is told once and not at every look"
    simulation.limits = {"ada": Allowance(cpu=2)}
    simulation.clock.seconds += 60
    simulation.look(simulation.clock.now())
    simulation.run()
    assert states(simulation, "p") == ["a:succeeded"]


def test_stages_beyond_a_limit_run_one_after_the_other_and_all_succeed():
    simulation = Simulation(nodes(2), minute)
    simulation.limits = {"ada": Allowance(stages=1)}
    for number in range(4):
        simulation.create(f"p{number}", chain("a"), actor="ada")
    simulation.create("other", chain("a"), actor="bob")
    simulation.create("own", FAN, actor="bob")
    simulation.send("own", m.Describe(limit=Allowance(stages=1), actor="bob"))
    simulation.run()
    everyone = [simulation.project(p) for p in ("p0", "p1", "p2", "p3", "other", "own")]
    assert {p.state for p in everyone} == {ProjectState.SUCCEEDED}
    for projects in (everyone[:4], everyone[5:]):
        times = sorted((e.started, e.ended) for p in projects for e in p.ended.values())
        assert all(before[1] <= after[0] for before, after in pairwise(times)), times


def test_while_the_driver_is_away_gates_and_pauses_go_on_and_afterwards_everything_runs():
    simulation = Simulation(nodes(1), minute)
    simulation.create("p", chain("a", "b"))
    simulation.driver.away(600)
    simulation.answer_bells()
    assert simulation.project("p").stages[1].reason is not None
    simulation.send("p", m.PauseProject(actor="ada"))
    assert simulation.project("p").pause is not None
    simulation.send("p", m.ResumeProject(actor="ada"))
    simulation.run()
    assert states(simulation, "p") == ["a:succeeded", "b:succeeded"]


def test_a_stop_reaches_a_running_stage():
    simulation = Simulation(nodes(1), minute)
    simulation.create("p", chain("a", "b"))
    while simulation.project("p").state is not ProjectState.RUNNING or not simulation.driver.started:
        simulation.step()
    simulation.send("p", m.StopStage(stage=1, actor="ada"))
    simulation.run()
    assert states(simulation, "p") == ["a:stopped"]
    ended = simulation.project("p").ended[1]
    assert (ended.ended - ended.started).total_seconds() < 30


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.integers(0, 10_000),
    lost=st.floats(0, 0.6),
    twice=st.floats(0, 0.6),
    delay=st.floats(0, 90),
    reply_lost=st.floats(0, 0.4),
    disasters=st.lists(st.tuples(st.integers(1, 400), st.sampled_from(["cut", "lose", "away"])), max_size=4),
)
def test_no_loss_repetition_or_order_of_reports_changes_how_it_ends(seed, lost, twice, delay, reply_lost, disasters):
    faults = Faults(lost=lost, twice=twice, delay=delay, reply_lost=reply_lost)
    simulation = Simulation(
        nodes(3), lambda spec, random: Act(seconds=20 + 60 * random.random()), seed=seed, faults=faults
    )
    made = pipeline(*(s.but(patience=60.0, retry=s.retry.but(node_lost=50, delay=5.0)) for s in FAN.stages))
    for number in range(4):
        simulation.create(f"p{number}", made)
    ahead = sorted(disasters)
    for _ in range(100_000):
        while ahead and simulation.clock.seconds >= ahead[0][0]:
            kind = ahead.pop(0)[1]
            if kind == "cut":
                simulation.driver.cut("n0", 200)
            elif kind == "lose":
                simulation.driver.lose("n1", 120)
            else:
                simulation.driver.away(45)
        if not simulation.step():
            break
    for number in range(4):
        project = simulation.project(f"p{number}")
        check(project, simulation.clock.now())
        assert sorted(states(simulation, project.id)) == ["a:succeeded", "b:succeeded", "c:succeeded", "d:succeeded"]
    assert max(simulation.driver.started.values()) == 1, "no attempt is started twice"


def test_each_counted_success_is_one_end_record():
    simulation = Simulation(nodes(2), minute, faults=Faults(lost=0.3, twice=0.3, delay=20))
    for number in range(10):
        simulation.create(f"p{number}", FAN)
    simulation.run()
    successes = sum(e.succeeded for e in simulation.attempts.ends.values())
    counted = sum(
        e.state is StageState.SUCCEEDED for n in range(10) for e in simulation.project(f"p{n}").ended.values()
    )
    assert successes == counted == 40


@pytest.mark.parametrize("cause", [Cause.OUT_OF_MEMORY])
def test_a_stage_out_of_memory_says_so(cause):
    simulation = Simulation(nodes(1), lambda *_: Act(seconds=5, out_of_memory=True))
    simulation.create("p", chain("a"))
    simulation.run()
    failure = simulation.project("p").failures[0]
    assert failure.cause == cause.value
    assert "memory" in failure.message
