"""What a real Nomad does with attempts when nodes, agents, docker and the server itself go away and come back, and that
each attempt is executed once all the same, ends as it ended, and is never given up while it lives.

One fault is made for many stages at once; each test looks at the fate of one of them. What takes long is run by
`make chaos`, or by naming `-m "chaos or not chaos"`."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.chaos.world import read_json
from tests.cluster.nomad import Cluster, box, was_given_up, when
from tests.cluster.whole import FAILS, HOLDS, PATIENCE, Whole, a_whole, stage, stop_all, when_said
from tests.contracts.driver_cases import Does, NomadCase
from winslow_nomad.core import messages as m
from winslow_nomad.core.pipeline import GIB, Resources, StageDefinition
from winslow_nomad.core.ports import AttemptRef, AttemptSpec
from winslow_nomad.core.project import Project
from winslow_nomad.core.stage import Cause, EndedStage, Outcome, StageState
from winslow_nomad.driver.nomad.job import job_id

# What a docker stop makes of this is a clean exit, as after a success: `complete`, code 0, and nobody was killing it.
PRETENDS = f"[ $attempt = 1 ] && trap 'sleep 3; echo pretends >> $WINSLOW_OUTPUT/executions; exit 0' TERM\n{HOLDS}"


@dataclass
class Scenario:
    """`projects`: one stage each, by what happens to it. `meanwhile`: as people saw them while the fault lasted."""

    world: Whole
    projects: dict[str, str] = field(default_factory=dict)
    meanwhile: dict[str, Project] = field(default_factory=dict)
    after: dict[str, Project] = field(default_factory=dict)

    def begin(self, **stages: StageDefinition) -> None:
        created = {name: self.world.create(one) for name, one in stages.items()}
        self.projects |= created
        self.world.working(*created.values())

    def begin_on(self, node: str, **stages: StageDefinition) -> None:
        """All on one node; afterwards the others are there for whatever follows."""
        cluster = self.world.cluster
        others = [name for name in cluster.nodes if name != node]
        for name in others:
            cluster.set_eligible(name, False)
        self.begin(**stages)
        for name in others:
            cluster.set_eligible(name, True)
        assert {self.world.node(self.projects[name]) for name in stages} == {node}

    def __getitem__(self, name: str) -> str:
        return self.projects[name]

    def these(self, *names: str) -> list[str]:
        return [self.projects[name] for name in names or self.projects]

    def cut_off(self, *names: str) -> None:
        when(lambda: self.world.out_of_contact(*self.these(*names)))

    def look(self) -> None:
        self.meanwhile |= {name: self.world.project(project) for name, project in self.projects.items()}

    def finish(self, *names: str) -> None:
        for name in names or self.projects:
            self.after[name] = self.world.finished(self.projects[name])

    def let_go(self, *names: str) -> None:
        for name in names:
            self.world.let_go(self.projects[name])

    def ended(self, name: str) -> EndedStage:
        """And nothing on the share speaks against it."""
        assert not self.world.wrong(self.projects[name])
        return self.after[name].ended[1]

    def ran(self, name: str, attempt: int = 1) -> list[str]:
        return self.world.ran(self.projects[name], attempt)

    def cause(self, name: str, attempt: int = 1) -> Cause:
        found = self.world.installation.attempts.end(self.ref(name, attempt))
        assert found is not None
        return found.cause

    def ref(self, name: str, attempt: int = 1) -> AttemptRef:
        return AttemptRef(project=self.projects[name], stage=1, attempt=attempt)


def succeeded(scenario: Scenario, name: str, attempt: int = 1) -> None:
    ended = scenario.ended(name)
    assert (ended.state, ended.attempt) == (StageState.SUCCEEDED, attempt), ended
    assert scenario.ran(name, attempt) == ["start", "done"]


@pytest.fixture(scope="module")
def fenced(nomad_tools: object) -> Iterator[Cluster]:
    cluster = Cluster.start(2)
    yield cluster
    cluster.stop()


@pytest.fixture(scope="module")
def world(fenced: Cluster) -> Iterator[Whole]:
    with a_whole(fenced) as made:
        yield made


@contextmanager
def a_scenario(world: Whole) -> Iterator[Scenario]:
    """Begins and ends with a cluster that is whole and runs nothing."""
    made = Scenario(world)
    try:
        yield made
        nothing_is_left(world)
    finally:
        stop_all(world, list(made.projects.values()))
        world.cluster.heal()


def nothing_is_left(world: Whole) -> None:
    cluster = world.cluster

    def left() -> list[str]:
        containers = [f"{name} on {node}" for node in cluster.nodes for name in cluster.containers(node)]
        over = ("complete", "failed", "lost")
        here = {node["ID"] for node in cluster.api("GET", "/v1/nodes")}
        allocations = [a for a in cluster.api("GET", "/v1/allocations") if a["NodeID"] in here]
        allocations = [a for a in allocations if a["ClientStatus"] not in over]
        keys = ("ID", "NodeName", "ClientStatus", "DesiredStatus", "JobID")
        jobs = [j["ID"] for j in cluster.api("GET", "/v1/jobs") if not j["Stop"] and j["Status"] != "dead"]
        return [*containers, *(" ".join(str(a[k]) for k in keys) for a in allocations), *jobs]

    when_said(lambda: not left(), 30.0, lambda: "\n".join(left()))


# --- a node is cut off for long


@pytest.fixture(scope="module")
def cut(world: Whole) -> Scenario:
    cluster = world.cluster
    with a_scenario(world) as made:
        fails = stage(HOLDS + FAILS)
        made.begin_on("n1", lives=stage(), succeeds=stage(), fails=fails, stopped=stage(), ended_by_nomad=stage(),
                      purged=stage(), frozen=stage())  # fmt: skip
        cluster.cut("n1")
        made.cut_off()
        since = time.monotonic()
        made.let_go("succeeds", "fails")
        world.send(made["stopped"], m.StopStage(stage=1, actor="ada"))
        cluster.api("DELETE", f"/v1/job/{world.job(made['ended_by_nomad'])}")
        cluster.api("DELETE", f"/v1/job/{world.job(made['purged'])}", purge="true")
        frozen = world.container(made["frozen"])
        cluster.docker("n1", "pause", frozen)
        made.finish("succeeds", "fails", "stopped", "frozen")
        when(lambda: time.monotonic() > since + 2 * PATIENCE)
        world.works_on(*made.these("lives", "ended_by_nomad", "purged"))
        made.look()
        cluster.docker("n1", "unpause", frozen)
        when(lambda: frozen not in cluster.containers("n1"))
        cluster.rejoin("n1")
        when(lambda: not world.out_of_contact(made["lives"]))
        world.works_on(made["lives"])
        made.let_go("lives")
        made.finish()
    return made


@pytest.mark.chaos
def test_a_stage_that_is_cut_off_and_alive_is_left_alone_and_shown_so(cut: Scenario) -> None:
    shown = cut.meanwhile["lives"].stages[1]
    assert shown.state is StageState.RUNNING and len(shown.attempts) == 1
    assert shown.reason is not None and "n1 is cut off from Nomad" in shown.reason.text
    succeeded(cut, "lives")


@pytest.mark.chaos
def test_a_success_while_its_node_is_cut_off_counts_at_once(cut: Scenario) -> None:
    assert cut.meanwhile["succeeds"].ended[1].state is StageState.SUCCEEDED
    succeeded(cut, "succeeds")


@pytest.mark.chaos
def test_a_failure_while_its_node_is_cut_off_counts_at_once_and_is_never_run_again(cut: Scenario) -> None:
    assert cut.meanwhile["fails"].ended[1].state is StageState.FAILED
    assert cut.ended("fails").attempt == 1
    assert cut.ran("fails") == ["start", "failed"]


@pytest.mark.chaos
def test_a_stop_reaches_a_stage_that_is_cut_off(cut: Scenario) -> None:
    assert cut.meanwhile["stopped"].ended[1].state is StageState.STOPPED
    assert cut.ended("stopped").attempt == 1
    assert cut.ran("stopped") == ["start"]


@pytest.mark.chaos
@pytest.mark.parametrize("name", ["ended_by_nomad", "purged"])
def test_a_stage_whose_job_is_ended_behind_its_back_works_on_until_its_node_returns(cut: Scenario, name: str) -> None:
    shown = cut.meanwhile[name].stages[1]
    assert (shown.state, len(shown.attempts)) == (StageState.RUNNING, 1)
    assert shown.attempts[0].out_of_contact is not None
    succeeded(cut, name, attempt=2)
    assert cut.cause(name, attempt=1) is Cause.STOPPED and cut.ran(name) == ["start"]


@pytest.mark.chaos
def test_one_that_gives_no_sign_of_life_is_superseded_and_ends_by_itself_when_it_wakes_up(cut: Scenario) -> None:
    assert cut.meanwhile["frozen"].ended[1].state is StageState.SUCCEEDED  # by another attempt, while it lay frozen
    succeeded(cut, "frozen", attempt=2)
    assert cut.cause("frozen", attempt=1) is Cause.SUPERSEDED and cut.ran("frozen") == ["start"]


# --- a node is cut off, and nobody of Winslow is there to give Nomad orders


@pytest.fixture(scope="module")
def unattended(world: Whole) -> Scenario:
    cluster = world.cluster
    with a_scenario(world) as made:
        made.begin_on("n1", lives=stage(), succeeds=stage(), fails=stage(HOLDS + FAILS))
        world.away()
        cluster.cut("n1")
        when(lambda: cluster.node_status("n1") == "disconnected")
        made.let_go("succeeds", "fails")
        for name in ("succeeds", "fails"):
            end = world.folder(made[name]) / "end.json"
            when(end.exists)
        cluster.rejoin("n1")
        when(lambda: len(world.allocations(made["fails"])) == 2)
        when(lambda: world.allocations(made["fails"])[0]["ClientStatus"] == "failed")
        world.back()
        world.works_on(made["lives"])
        made.let_go("lives")
        made.finish()
    return made


def test_what_nomad_runs_again_after_a_failure_far_away_finds_the_claim_and_runs_nothing(unattended: Scenario) -> None:
    ended = unattended.ended("fails")
    assert (ended.state, ended.attempt) == (StageState.FAILED, 1) and "exit code 3" in ended.message
    assert unattended.ran("fails") == ["start", "failed"]
    project, world = unattended["fails"], unattended.world
    assert len(world.refused(project)) == 1 and world.allocation(project) not in world.refused(project)


@pytest.mark.parametrize("name", ["lives", "succeeds"])
def test_what_nobody_saw_end_has_ended_as_it_says_itself(unattended: Scenario, name: str) -> None:
    succeeded(unattended, name)


# --- agents are killed: for a moment on one node, for long on the other


@pytest.fixture(scope="module")
def agents(world: Whole) -> Scenario:
    cluster = world.cluster
    with a_scenario(world) as made:
        made.begin_on("n1", short_lives=stage(), short_ends=stage())
        made.begin_on("n2", long_lives=stage(), long_ends=stage(), long_fails=stage(HOLDS + FAILS))
        for name in ("n1", "n2"):
            cluster.kill_agent(name)
        made.let_go("short_ends", "long_ends", "long_fails")
        cluster.restart_agent("n1")
        made.cut_off("long_lives")
        world.works_on(*made.these("short_lives", "long_lives"))
        made.look()
        cluster.restart_agent("n2")
        when(lambda: not world.out_of_contact(made["long_lives"]))
        world.works_on(*made.these("short_lives", "long_lives"))
        made.let_go("short_lives", "long_lives")
        made.finish()
    return made


@pytest.mark.parametrize("name", ["short_lives", "short_ends", "long_lives", "long_ends"])
def test_a_killed_agent_disturbs_no_stage(agents: Scenario, name: str) -> None:
    succeeded(agents, name)
    assert not agents.world.refused(agents[name])


def test_a_failure_while_the_agent_is_away_is_one(agents: Scenario) -> None:
    assert agents.ended("long_fails").state is StageState.FAILED
    assert agents.ran("long_fails") == ["start", "failed"]


def test_a_stage_whose_agent_is_away_for_long_is_shown_so(agents: Scenario) -> None:
    assert agents.meanwhile["long_lives"].stages[1].attempts[0].out_of_contact is not None
    quick = agents.meanwhile["short_lives"].stages[1].attempts[0].out_of_contact is None
    events = agents.world.cluster.node("n1")["Events"]
    assert quick or any("heartbeat missed" in e["Message"] for e in events), "a machine that is slow has a slow restart"


# --- dockerd is killed: on one node it takes its containers up again, on the other it kills them


@pytest.fixture(scope="module")
def docker(world: Whole) -> Scenario:
    cluster = world.cluster
    with a_scenario(world) as made:
        made.begin_on("n1", taken_up=stage(), job_ended=stage())
        made.begin_on("n2", killed=stage())
        for name in ("n1", "n2"):
            cluster.kill_docker(name)
        made.cut_off()
        cluster.api("DELETE", f"/v1/job/{world.job(made['job_ended'])}")
        since = time.monotonic()
        when(lambda: time.monotonic() > since + 2 * PATIENCE)
        world.works_on(*made.these())
        made.look()
        cluster.restart_docker("n1", live_restore=True)
        cluster.restart_docker("n2", live_restore=False)
        made.finish("killed")
        world.works_on(*made.these("taken_up", "job_ended"))
        made.let_go("taken_up", "job_ended")
        made.finish()
    return made


@pytest.mark.chaos
def test_what_nomad_calls_failed_may_live_and_is_left_alone(docker: Scenario) -> None:
    for seen in docker.meanwhile.values():
        shown = seen.stages[1]
        assert (shown.state, len(shown.attempts)) == (StageState.RUNNING, 1)
        assert shown.reason is not None and "may still be at work" in shown.reason.text
    for name in ("taken_up", "job_ended"):
        succeeded(docker, name)


@pytest.mark.chaos
def test_what_docker_kills_when_it_comes_back_is_tried_again(docker: Scenario) -> None:
    succeeded(docker, "killed", attempt=2)
    assert docker.cause("killed", attempt=1) is Cause.STOPPED and docker.ran("killed") == ["start"]


# --- power fails: for a moment on one node, for long on the other


@pytest.fixture(scope="module")
def power(world: Whole) -> Scenario:
    cluster = world.cluster
    with a_scenario(world) as made:
        made.begin_on("n1", reboot=stage(patience=60.0))
        made.begin_on("n2", dead=stage())
        for name in ("n1", "n2"):
            cluster.power_off(name)
        cluster.power_on("n1")
        made.finish("reboot", "dead")
        made.look()
        cluster.power_on("n2")
        cluster.wait_ready("n2")
    return made


@pytest.mark.chaos
def test_a_stage_is_tried_again_after_a_reboot_of_its_node(power: Scenario) -> None:
    succeeded(power, "reboot", attempt=2)
    assert power.cause("reboot") is Cause.RUNNER_LOST and power.ran("reboot") == ["start"]


@pytest.mark.chaos
def test_a_stage_on_a_dead_node_is_tried_elsewhere_and_not_run_when_the_node_returns(power: Scenario) -> None:
    assert power.meanwhile["dead"].ended[1].node == "n1"
    succeeded(power, "dead", attempt=2)
    assert power.cause("dead") is Cause.SUPERSEDED and power.ran("dead") == ["start"]


# --- a container vanishes while its node's agent is away


@pytest.mark.chaos
def test_an_allocation_that_nomad_starts_a_second_time_finds_its_own_claim_and_runs_nothing(world: Whole) -> None:
    cluster = world.cluster
    with a_scenario(world) as made:
        made.begin(vanishes=stage())
        project = made["vanishes"]
        node, container = world.node(project), world.container(project)
        cluster.kill_agent(node)
        cluster.docker(node, "rm", "--force", container)
        cluster.restart_agent(node)
        made.finish()
        assert world.refused(project) == [world.allocation(project)], "the same allocation came twice"
        assert made.cause("vanishes") is Cause.RUNNER_LOST and made.ran("vanishes") == ["start"]
        succeeded(made, "vanishes", attempt=2)


# --- a node forgets everything


@pytest.fixture(scope="module")
def forgotten(world: Whole) -> Scenario:
    cluster = world.cluster
    with a_scenario(world) as made:
        made.begin_on("n1", orphan=stage(), dies=stage())
        before = cluster.node_id("n1")
        dies = world.container(made["dies"])
        cluster.kill_agent("n1")
        cluster.wipe_client_state("n1")
        cluster.restart_agent("n1")
        made.cut_off()
        when(lambda: cluster.node_id("n1") != before)
        cluster.wait_ready("n1")
        cluster.docker("n1", "kill", dies)
        made.finish("dies")
        world.works_on(made["orphan"])
        made.look()
        made.let_go("orphan")
        made.finish()
        cluster.api("PUT", f"/v1/node/{before}/purge")  # Nomad expects it back for ever
    return made


@pytest.mark.chaos
def test_a_container_that_its_node_knows_no_more_is_left_alone_until_it_ends(forgotten: Scenario) -> None:
    shown = forgotten.meanwhile["orphan"].stages[1]
    assert len(shown.attempts) == 1 and shown.attempts[0].out_of_contact is not None
    succeeded(forgotten, "orphan")


@pytest.mark.chaos
def test_a_container_that_dies_and_that_nobody_knows_is_tried_again(forgotten: Scenario) -> None:
    succeeded(forgotten, "dies", attempt=2)
    assert forgotten.cause("dies") is Cause.SUPERSEDED and forgotten.ran("dies") == ["start"]


# --- somebody ends containers, allocations and jobs behind Winslow's back


@pytest.fixture(scope="module")
def meddled(world: Whole) -> Scenario:
    cluster = world.cluster
    ways = ("docker_stop", "job_stop", "job_purge", "allocation_stop", "drain", "docker_kill")
    with a_scenario(world) as made:
        stages = {name: stage(PRETENDS, stop_grace=15.0) for name in ways}
        made.begin_on("n1", drain=stages.pop("drain"))
        made.begin_on("n2", **stages)
        jobs = {name: world.job(made[name]) for name in ways}
        allocation = world.allocation(made["allocation_stop"])
        purged = world.allocation(made["job_purge"])
        stopped = world.container(made["docker_stop"])
        cluster.docker("n2", "kill", "--signal=TERM", stopped)
        cluster.api("DELETE", f"/v1/job/{jobs['job_stop']}")
        cluster.api("DELETE", f"/v1/job/{jobs['job_purge']}", purge="true")
        cluster.api("POST", f"/v1/allocation/{allocation}/stop")
        cluster.docker("n2", "kill", world.container(made["docker_kill"]))
        cluster.drain("n1")
        for name in ("job_stop", "drain"):
            when(lambda name=name: cluster.api("GET", f"/v1/job/{jobs[name]}")["Status"] == "dead")
        with pytest.raises(AssertionError, match="404"):
            cluster.api("GET", f"/v1/allocation/{purged}")
        made.look()
        made.finish()
    return made


@pytest.mark.parametrize("name", ["docker_stop", "job_stop", "job_purge", "allocation_stop", "drain"])
def test_who_ends_well_after_being_told_to_end_has_not_succeeded(meddled: Scenario, name: str) -> None:
    succeeded(meddled, name, attempt=2)
    assert meddled.cause(name) is Cause.STOPPED
    assert meddled.ran(name) == ["start", "pretends"]


@pytest.mark.parametrize("name", ["job_stop", "job_purge", "drain"])
def test_a_dead_job_is_no_dead_container_nor_is_one_without_a_record(meddled: Scenario, name: str) -> None:
    shown = meddled.meanwhile[name].stages[1]
    assert (shown.state, len(shown.attempts)) == (StageState.RUNNING, 1)


def test_a_container_that_is_killed_is_tried_again(meddled: Scenario) -> None:
    succeeded(meddled, "docker_kill", attempt=2)
    assert meddled.cause("docker_kill") is Cause.RUNNER_LOST and meddled.ran("docker_kill") == ["start"]


# --- Nomad gives the place to somebody else


@pytest.fixture(scope="module")
def displaced(world: Whole) -> Scenario:
    """One by a purge of its node, one by a job of higher priority."""
    cluster = world.cluster
    with a_scenario(world) as made:
        cluster.configure_scheduler(PreemptionConfig={"BatchSchedulerEnabled": True})
        large = Resources(cpu=0.1, memory=200 * GIB)
        made.begin_on("n1", purged=stage())
        made.begin_on("n2", preempted=stage(resources=large))
        cluster.set_eligible("n1", False)
        greedy = box("greedy", "sleep 3", Resources={"CPU": 50, "MemoryMB": 200 * 1024})
        cluster.submit({**greedy, "Priority": 100})
        when(lambda: cluster.status("greedy") == "complete")
        made.finish("preempted")
        cluster.purge("n1")
        made.finish("purged")
    return made


def test_a_stage_that_is_preempted_starts_anew_when_there_is_room(displaced: Scenario) -> None:
    succeeded(displaced, "preempted", attempt=2)
    assert displaced.cause("preempted") is Cause.STOPPED and displaced.ran("preempted") == ["start"]


def test_what_nomad_runs_elsewhere_after_a_purge_of_the_node_finds_the_claim(displaced: Scenario) -> None:
    succeeded(displaced, "purged", attempt=displaced.ended("purged").attempt)
    assert displaced.ran("purged")[0] == "start"


# --- the server is away


@pytest.fixture(scope="module")
def serverless(world: Whole) -> Scenario:
    cluster = world.cluster
    with a_scenario(world) as made:
        made.begin(lives=stage(), ends=stage())
        cluster.kill_server()
        made.let_go("ends")
        when(lambda: 1 in world.project(made["ends"]).ended)
        made.projects["waits"] = world.create(stage(""))
        when(lambda: (s := world.project(made["waits"]).stages[1]).reason and s.reason.kind == "driver_away")
        world.works_on(made["lives"])
        made.look()
        cluster.restart_server()
        made.finish("ends", "waits")
        made.let_go("lives")
        made.finish()
    return made


def test_a_stage_ends_while_nomad_is_away(serverless: Scenario) -> None:
    assert serverless.meanwhile["ends"].ended[1].state is StageState.SUCCEEDED
    succeeded(serverless, "ends")


def test_a_stage_works_on_while_nomad_is_away(serverless: Scenario) -> None:
    assert len(serverless.meanwhile["lives"].stages[1].attempts) == 1
    succeeded(serverless, "lives")


def test_what_is_started_while_nomad_is_away_waits_and_says_so(serverless: Scenario) -> None:
    reason = serverless.meanwhile["waits"].stages[1].reason
    assert reason is not None and "Nomad" in reason.text
    succeeded(serverless, "waits")


# --- for a moment


def test_a_short_cut_disturbs_nothing_and_nobody_is_told(world: Whole) -> None:
    with a_scenario(world) as made:
        made.begin(ends=stage(), lives=stage())
        nodes = {world.node(project) for project in made.these()}
        for name in nodes:
            world.cluster.cut(name)
        made.let_go("ends")
        when(lambda: made.ran("ends") == ["start", "done"])
        for name in nodes:
            world.cluster.rejoin(name)
        made.finish("ends")
        world.works_on(made["lives"])
        made.look()
        assert made.meanwhile["lives"].stages[1].attempts[0].out_of_contact is None
        made.let_go("lives")
        made.finish()
        succeeded(made, "ends")
        succeeded(made, "lives")


def test_one_that_was_placed_and_not_started_when_its_node_went_starts_elsewhere_as_the_same_attempt(
    world: Whole,
) -> None:
    cluster = world.cluster
    with a_scenario(world) as made:
        cluster.set_eligible("n2", False)
        cluster.freeze_agent("n1")  # Nomad places there until it misses the heartbeats
        try:
            made.projects["pending"] = project = world.create(stage(""))
            when(lambda: [a["ClientStatus"] for a in world.allocations(project)] == ["pending"])
            cluster.set_eligible("n2", True)
            made.finish()
            allocations = world.allocations(project)
        finally:
            cluster.thaw_agent("n1")
        assert len(allocations) == 2
        succeeded(made, "pending")
        assert made.ended("pending").node == "n2"


@pytest.mark.chaos
def test_one_that_nomad_has_no_other_place_for_starts_when_its_node_returns_as_the_same_attempt(world: Whole) -> None:
    """The node then says of what it never started that it is complete."""
    cluster = world.cluster
    with a_scenario(world) as made:
        cluster.set_eligible("n2", False)
        cluster.freeze_agent("n1")
        try:
            made.projects["pending"] = project = world.create(stage(""))
            when(lambda: [a["ClientStatus"] for a in world.allocations(project)] == ["lost"])
        finally:
            cluster.thaw_agent("n1")
        made.finish()
        lost = world.allocations(project)[-1]
        when(lambda: cluster.api("GET", f"/v1/allocation/{lost['ID']}")["ClientStatus"] == "complete")
        assert len(world.allocations(project)) == 2
        succeeded(made, "pending")


def test_what_started_after_its_node_was_given_up_is_ended_when_that_returns_and_tried_again(world: Whole) -> None:
    """Nomad has it replaced, for all that it knows it has never started; the replacement finds the claim."""
    cluster = world.cluster
    with a_scenario(world) as made:
        cluster.set_eligible("n2", False)
        cluster.freeze_docker("n1")
        try:
            made.projects["late"] = project = world.create(stage())
            when(lambda: [a["ClientStatus"] for a in world.allocations(project)] == ["pending"])
            cluster.cut("n1")
            cluster.set_eligible("n2", True)
        finally:
            cluster.thaw_docker("n1")
        when(lambda: made.ran("late") == ["start"])
        when(lambda: sorted(a["NodeName"] for a in world.allocations(project)) == ["n1", "n2"])
        world.works_on(project)
        cluster.rejoin("n1")
        made.finish()
        succeeded(made, "late", attempt=2)
        assert made.cause("late") is Cause.STOPPED and made.ran("late") == ["start"]
        given_up = next(a for a in world.allocations(project) if a["NodeName"] == "n1")
        assert was_given_up(given_up), given_up


# --- jobs as others have made them, seen by the driver alone


@pytest.fixture
def case(fenced: Cluster) -> Iterator[NomadCase]:
    made = NomadCase(fenced)
    yield made
    fenced.heal()
    made.close()


def submitted(case: NomadCase, spec: AttemptSpec, **group: Any) -> str:
    """The job that the driver makes, with something of its group changed by somebody else before it was placed; its id.
    The driver takes it for its own."""
    cluster = case.cluster
    for name in cluster.nodes:
        cluster.set_eligible(name, False)
    case.driver.submit(spec)
    name = job_id("test", spec.ref)
    made = cluster.api("GET", f"/v1/job/{name}")
    made["TaskGroups"][0] |= group
    cluster.api("DELETE", f"/v1/job/{name}", purge="true")
    cluster.submit(made)
    for node in cluster.nodes:
        cluster.set_eligible(node, True)
    assert case.driver.submit(spec).phase in ("waiting", "running")
    case.until(lambda: case.runs(spec.ref))
    when(lambda: cluster.status(name) in ("running", "complete"))  # else it is lost, not unknown, when its node is
    return name


def node_of(case: NomadCase, spec: AttemptSpec) -> str:
    claim = read_json(case.attempts.directory(spec.ref) / "claim")
    assert claim is not None
    allocation = case.cluster.api("GET", f"/v1/allocation/{claim['owner']}")
    return str(allocation["NodeName"])


def phase(case: NomadCase, spec: AttemptSpec) -> str:
    return case.driver.observe([spec.ref])[0].phase


def ended(case: NomadCase, spec: AttemptSpec) -> Outcome:
    case.until(lambda: phase(case, spec) == "ended")
    outcome = case.driver.observe([spec.ref])[0].outcome
    assert outcome is not None and case.runs(spec.ref) == 1
    return outcome


@pytest.mark.chaos
def test_what_nomad_calls_complete_still_runs_until_it_has_ended(case: NomadCase) -> None:
    spec = case.prepared(Does(hold=True, ignores_terminate=True), stop_grace=6.0)
    name = submitted(case, spec, MaxRunDuration=12 * 10**9)
    when(lambda: case.cluster.status(name) == "complete")
    task = case.cluster.allocations(name)[0]["TaskStates"]["winslow"]
    assert task["State"] == "running" and phase(case, spec) == "running"
    outcome = ended(case, spec)
    assert outcome.cause in (Cause.STOPPED, Cause.KILLED) and not outcome.succeeded


@pytest.mark.parametrize("disconnect", [None, {"LostAfter": 6 * 10**9, "Replace": False}])
def test_what_nomad_replaces_while_the_node_is_away_is_refused(case: NomadCase, disconnect: dict[str, Any]) -> None:
    spec = case.prepared(Does(hold=True))
    name = submitted(case, spec, Disconnect=disconnect)
    node = node_of(case, spec)
    case.cluster.cut(node)
    when(lambda: len(case.cluster.allocations(name)) == 2)
    when(lambda: list(case.attempts.directory(spec.ref).glob("refused-*")))
    when(lambda: case.cluster.status(name) == "failed")
    when(lambda: phase(case, spec) == "out_of_contact")
    assert len(case.cluster.containers(node)) == 1
    case.cluster.rejoin(node)
    assert ended(case, spec).cause is Cause.STOPPED


@pytest.mark.chaos
def test_what_is_not_to_be_replaced_before_contact_is_given_up_runs_on(case: NomadCase) -> None:
    spec = case.prepared(Does(hold=True))
    name = submitted(case, spec, Disconnect={"LostAfter": 3600 * 10**9, "Replace": True})
    node = node_of(case, spec)
    case.cluster.cut(node)
    when(lambda: case.cluster.status(name) == "unknown")
    when(lambda: phase(case, spec) == "out_of_contact")
    case.cluster.rejoin(node)
    when(lambda: phase(case, spec) == "running")
    assert len(case.cluster.allocations(name)) == 1
    case.release(spec.ref)
    assert ended(case, spec).succeeded


@pytest.mark.chaos
@pytest.mark.parametrize("then", ["given up", "stopped"])
def test_a_success_far_away_stays_one_whatever_nomad_makes_of_it(case: NomadCase, then: str) -> None:
    """Given up: its node is away for longer than Nomad waits, which places it anew. Stopped: by somebody, meanwhile."""
    seconds = 6 if then == "given up" else 3600
    spec = case.prepared(Does(hold=True))
    name = submitted(case, spec, Disconnect={"LostAfter": seconds * 10**9, "Replace": False})
    node = node_of(case, spec)
    case.cluster.cut(node)
    when(lambda: case.cluster.status(name) == "unknown")
    case.release(spec.ref)
    assert ended(case, spec).succeeded
    if then == "given up":
        when(lambda: list(case.attempts.directory(spec.ref).glob("refused-*")))
        when(lambda: case.cluster.status(name) == "failed")
    else:
        case.cluster.api("DELETE", f"/v1/job/{name}")
    case.cluster.rejoin(node)
    when(lambda: case.cluster.allocations(name)[-1]["ClientStatus"] == "complete")
    assert case.cluster.allocations(name)[-1]["DesiredStatus"] == "stop"
    assert ended(case, spec).succeeded


@pytest.mark.chaos
def test_what_docker_leaves_alone_when_it_is_restarted_is_no_failure(case: NomadCase) -> None:
    for node in case.cluster.nodes:
        case.cluster.restart_docker(node, live_restore=True)
    for node in case.cluster.nodes:
        case.cluster.wait_ready(node)
    spec = case.prepared(Does(hold=True))
    name = submitted(case, spec)
    node = node_of(case, spec)
    case.cluster.kill_docker(node, signal.SIGTERM)
    when(lambda: case.cluster.status(name) == "failed")
    case.cluster.restart_docker(node, live_restore=True)
    (allocation,) = case.cluster.allocations(name)
    said = allocation["TaskStates"]["winslow"]["Events"][-2]["Details"]
    assert said["exit_code"] == "0" and said["exit_message"], "what docker's own end makes of it"
    assert phase(case, spec) == "out_of_contact" and len(case.cluster.containers(node)) == 1
    case.release(spec.ref)
    assert ended(case, spec).succeeded


def test_a_job_that_was_purged_and_made_again_while_its_node_is_away_is_refused(case: NomadCase) -> None:
    spec = case.prepared(Does(hold=True))
    name = submitted(case, spec)
    node = node_of(case, spec)
    case.cluster.cut(node)
    when(lambda: case.cluster.node_status(node) == "disconnected")
    case.cluster.api("DELETE", f"/v1/job/{name}", purge="true")
    late = case.restarted()  # a process that has slept since it was about to submit
    try:
        late.submit(spec)
        when(lambda: list(case.attempts.directory(spec.ref).glob("refused-*")))
        when(lambda: case.cluster.status(name) == "failed")
        when(lambda: late.observe([spec.ref])[0].phase == "out_of_contact")
    finally:
        late.close()
    case.cluster.rejoin(node)
    assert ended(case, spec).cause is Cause.STOPPED
