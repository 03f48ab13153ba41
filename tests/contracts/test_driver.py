"""What Winslow relies on, whatever runs the attempts. Each test is tried with every driver."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import pytest

from tests.cluster.conftest import nomad_tools  # noqa: F401
from tests.cluster.nomad import Cluster
from tests.contracts.driver_cases import MEMORY, Case, Does, driver_case
from winslow_nomad.core.errors import DriverRejected
from winslow_nomad.core.pipeline import Gpu, Resources
from winslow_nomad.core.ports import AttemptRef, Observation
from winslow_nomad.core.stage import Cause, Outcome

UNKNOWN = AttemptRef(project="nobody", stage=1, attempt=1)


@pytest.fixture(scope="session")
def one_node(nomad_tools: object) -> Iterator[Cluster]:  # noqa: F811
    cluster = Cluster.start(1, client={"memory_total_mb": MEMORY >> 20})
    yield cluster
    cluster.stop()


@pytest.fixture(params=["local", "simulated", "nomad"])
def case(request: pytest.FixtureRequest) -> Iterator[Case]:
    with driver_case(request.param, lambda: request.getfixturevalue("one_node")) as made:
        yield made


@pytest.fixture
def whole(case: Case) -> Resources:
    """All cores of the machine."""
    return Resources(cpu=case.cores, memory=1 << 30)


def seen(case: Case, ref: AttemptRef) -> Observation:
    return case.driver.observe([ref])[0]


def phase_is(case: Case, ref: AttemptRef, phase: str) -> None:
    case.until(lambda: seen(case, ref).phase == phase)


def end_of(case: Case, ref: AttemptRef) -> Outcome:
    phase_is(case, ref, "ended")
    outcome = seen(case, ref).outcome
    assert outcome is not None
    return outcome


def test_the_same_spec_twice_is_one_process(case: Case) -> None:
    spec = case.prepared(Does(hold=True))
    case.driver.submit(spec)
    phase_is(case, spec.ref, "running")
    assert case.driver.submit(spec).phase == "running"
    assert case.restarted().submit(spec).phase == "running"
    case.until(lambda: case.runs(spec.ref))
    case.release(spec.ref)
    assert end_of(case, spec.ref).succeeded
    assert case.driver.submit(spec).phase == "ended"
    assert case.runs(spec.ref) == 1


def test_another_spec_under_the_same_name_is_rejected_and_the_first_one_stays(case: Case) -> None:
    spec = case.prepared(Does(hold=True))
    case.driver.submit(spec)
    phase_is(case, spec.ref, "running")
    with pytest.raises(DriverRejected):
        case.driver.submit(spec.but(fingerprint="another"))
    assert seen(case, spec.ref).phase == "running"


def test_what_does_not_fit_waits_with_a_reason_and_starts_when_there_is_room(case: Case, whole: Resources) -> None:
    first, second, third = (case.prepared(Does(hold=True), resources=whole) for _ in range(3))
    for spec in (first, second, third):
        case.driver.submit(spec)
    phase_is(case, first.ref, "running")
    waits = seen(case, third.ref)
    assert (waits.phase, waits.reason.kind, waits.reason.ahead) == ("waiting", "busy", 1)
    assert waits.reason.text.startswith(f"waits for {case.cores:g} cores: 0 of {case.cores:g} are free on ")
    assert waits.reason.text.endswith(", 1 stage ahead")
    case.release(first.ref)
    phase_is(case, second.ref, "running")
    assert seen(case, third.ref).reason.ahead == 0
    assert case.runs(third.ref) == 0


def test_what_is_running_says_where_and_since_when(case: Case) -> None:
    spec = case.prepared(Does(hold=True))
    case.driver.submit(spec)
    phase_is(case, spec.ref, "running")
    running = seen(case, spec.ref)
    assert running.node == case.driver.inventory().nodes[0].name
    assert running.started is not None


def test_what_can_never_fit_is_rejected_or_called_impossible(case: Case) -> None:
    spec = case.prepared(Does(), resources=Resources(gpu=Gpu(memory=1 << 40)))
    try:
        case.driver.submit(spec)
    except DriverRejected as error:
        assert "no node has a GPU" in error.message
        assert seen(case, spec.ref).phase == "absent"
    else:
        reason = seen(case, spec.ref).reason
        assert (reason.kind, "no node has a GPU" in reason.text) == ("impossible", True)
    assert case.runs(spec.ref) == 0


@pytest.mark.parametrize("code", [0, 3, 255])
def test_an_exit_code_arrives_as_it_was(case: Case, code: int) -> None:
    spec = case.prepared(Does(code=code))
    case.driver.submit(spec)
    outcome = end_of(case, spec.ref)
    assert (outcome.cause, outcome.code, outcome.succeeded) == (Cause.EXIT, code, code == 0)
    assert outcome.started is not None and outcome.ended is not None and outcome.started <= outcome.ended


def test_a_command_that_dies_by_a_signal_is_no_success(case: Case) -> None:
    spec = case.prepared(Does(signal=11))
    case.driver.submit(spec)
    outcome = end_of(case, spec.ref)
    assert (outcome.signal, outcome.succeeded) == (11, False)


def test_a_command_that_takes_too_long_is_ended_with_cause_timeout(case: Case) -> None:
    spec = case.prepared(Does(hold=True), timeout=0.2)
    case.driver.submit(spec)
    assert end_of(case, spec.ref).cause is Cause.TIMEOUT


def test_a_command_that_takes_too_much_memory_is_ended_with_cause_out_of_memory(case: Case) -> None:
    spec = case.prepared(Does(eats_memory=True), resources=Resources(memory=64 << 20))
    case.driver.submit(spec)
    assert end_of(case, spec.ref).cause is Cause.OUT_OF_MEMORY


def test_a_stop_is_polite_and_its_cause_is_told(case: Case) -> None:
    spec = case.prepared(Does(hold=True))
    case.driver.submit(spec)
    case.until(lambda: case.runs(spec.ref))
    for _ in range(2):
        case.attempts.control(spec.ref, "terminate")
        case.driver.stop(spec.ref, "terminate")
    outcome = end_of(case, spec.ref)
    assert (outcome.cause, outcome.signal) == (Cause.STOPPED, 15)
    case.driver.stop(spec.ref, "terminate")
    assert end_of(case, spec.ref) == outcome


def test_who_ignores_a_stop_is_killed_after_the_grace_time(case: Case) -> None:
    spec = case.prepared(Does(hold=True, ignores_terminate=True), stop_grace=0.2)
    case.driver.submit(spec)
    case.until(lambda: case.runs(spec.ref))
    case.attempts.control(spec.ref, "terminate")
    case.driver.stop(spec.ref, "terminate")
    outcome = end_of(case, spec.ref)
    assert (outcome.cause, outcome.signal) == (Cause.KILLED, 9)


def test_a_kill_does_not_wait_for_the_grace_time(case: Case) -> None:
    spec = case.prepared(Does(hold=True, ignores_terminate=True), stop_grace=3600.0)
    case.driver.submit(spec)
    case.until(lambda: case.runs(spec.ref))
    case.attempts.control(spec.ref, "terminate")
    case.driver.stop(spec.ref, "terminate")
    case.attempts.control(spec.ref, "kill")
    case.driver.stop(spec.ref, "kill")
    assert end_of(case, spec.ref).cause is Cause.KILLED


def test_what_is_stopped_before_its_start_never_runs_and_frees_its_place_in_the_line(
    case: Case, whole: Resources
) -> None:
    first, second, third = (case.prepared(Does(hold=True), resources=whole) for _ in range(3))
    for spec in (first, second, third):
        case.driver.submit(spec)
    phase_is(case, first.ref, "running")
    case.driver.stop(second.ref, "terminate")
    assert end_of(case, second.ref).cause is Cause.CANCELLED
    assert seen(case, third.ref).reason.ahead == 0
    case.release(first.ref)
    phase_is(case, third.ref, "running")
    assert case.runs(second.ref) == 0


def test_what_was_cancelled_on_the_share_never_runs_though_it_is_submitted_later(case: Case) -> None:
    spec = case.prepared(Does())
    assert case.attempts.cancel(spec.ref).cause is Cause.CANCELLED
    case.driver.submit(spec)
    assert end_of(case, spec.ref).cause is Cause.CANCELLED
    after = case.prepared(Does())
    case.driver.submit(after)
    assert end_of(case, after.ref).succeeded
    assert case.runs(spec.ref) == 0


def test_what_is_cancelled_while_it_waits_never_runs_though_the_driver_was_not_told(
    case: Case, whole: Resources
) -> None:
    first, second = (case.prepared(Does(hold=True), resources=whole) for _ in range(2))
    case.driver.submit(first)
    case.driver.submit(second)
    phase_is(case, first.ref, "running")
    case.attempts.cancel(second.ref)
    case.release(first.ref)
    assert end_of(case, first.ref).succeeded
    last = case.prepared(Does(), resources=whole)
    case.driver.submit(last)
    assert end_of(case, last.ref).succeeded
    assert (end_of(case, second.ref).cause, case.runs(second.ref)) == (Cause.CANCELLED, 0)


def test_stopping_or_forgetting_what_nobody_knows_is_no_error(case: Case) -> None:
    case.driver.stop(UNKNOWN, "terminate")
    case.driver.stop(UNKNOWN, "kill")
    case.driver.forget(UNKNOWN)
    assert seen(case, UNKNOWN).phase == "absent"


def test_observations_come_in_the_order_that_was_asked(case: Case) -> None:
    specs = [case.prepared(Does(hold=True)) for _ in range(3)]
    for spec in specs:
        case.driver.submit(spec)
    refs = [specs[2].ref, UNKNOWN, specs[0].ref, specs[1].ref, specs[0].ref]
    assert [o.ref for o in case.driver.observe(refs)] == refs
    assert case.driver.observe([]) == []


def test_who_starts_anew_finds_running_waiting_and_ended_attempts_again(case: Case, whole: Resources) -> None:
    ended = case.prepared(Does(code=7))
    case.driver.submit(ended)
    assert end_of(case, ended.ref).code == 7
    running, waiting = (case.prepared(Does(hold=True), resources=whole) for _ in range(2))
    case.driver.submit(running)
    case.driver.submit(waiting)
    phase_is(case, running.ref, "running")
    anew = case.restarted().observe([running.ref, waiting.ref, ended.ref])
    assert [o.phase for o in anew] == ["running", "waiting", "ended"]
    assert anew[2].outcome.code == 7


def test_what_is_forgotten_keeps_its_end_and_does_not_run_again(case: Case) -> None:
    spec = case.prepared(Does(code=2))
    case.driver.submit(spec)
    assert end_of(case, spec.ref).code == 2
    for _ in range(2):
        case.driver.forget(spec.ref)
    assert seen(case, spec.ref).outcome.code == 2, "the record on the share is the truth"
    case.driver.submit(spec)
    assert end_of(case, spec.ref).code == 2
    other = case.prepared(Does())
    case.driver.submit(other)
    end_of(case, other.ref)
    assert case.runs(spec.ref) == 1


def test_forgetting_what_still_runs_does_not_give_its_place_away(case: Case, whole: Resources) -> None:
    first, second = (case.prepared(Does(hold=True), resources=whole) for _ in range(2))
    case.driver.submit(first)
    case.until(lambda: case.runs(first.ref))
    case.attempts.publish_end(first.ref, Outcome(cause=Cause.SUPERSEDED))
    case.driver.forget(first.ref)
    case.driver.submit(second)
    assert seen(case, second.ref).reason.text.startswith(f"waits for {case.cores:g} cores")
    assert case.driver.inventory().nodes[0].cpu_used == case.cores
    case.attempts.control(first.ref, "superseded")
    phase_is(case, second.ref, "running")


def test_the_end_on_the_share_wins_over_what_the_driver_sees(case: Case) -> None:
    spec = case.prepared(Does(hold=True))
    case.driver.submit(spec)
    case.until(lambda: case.runs(spec.ref))
    case.attempts.publish_end(spec.ref, Outcome(cause=Cause.SUPERSEDED))
    assert seen(case, spec.ref).outcome.cause is Cause.SUPERSEDED
    case.release(spec.ref)
    case.until(lambda: case.driver.inventory().nodes[0].cpu_used == 0)
    assert seen(case, spec.ref).outcome.cause is Cause.SUPERSEDED


def test_the_inventory_adds_up(case: Case) -> None:
    most = case.cores - 1
    shapes = [Resources(cpu=0.5, memory=16 << 20), Resources(cpu=most, memory=1 << 30, memory_max=3 << 30)]
    specs = [case.prepared(Does(hold=True), resources=shape) for shape in shapes]

    def used() -> tuple[float, int]:
        (node,) = case.driver.inventory().nodes
        return node.cpu_used, node.memory_used

    for spec in specs:
        case.driver.submit(spec)
    for spec in specs:
        case.until(lambda spec=spec: case.runs(spec.ref))
    case.until(lambda: used() == (most + 0.5, (16 << 20) + (3 << 30)))
    known = case.driver.inventory()
    (node,) = known.nodes
    assert (known.driver, node.ready, known.seen is not None) == (case.driver.name, True, True)
    assert (node.cpu, node.memory) == (case.cores, MEMORY)
    for spec in specs:
        case.release(spec.ref)
        end_of(case, spec.ref)
    case.until(lambda: used() == (0.0, 0))


def test_priority_goes_before_age_in_the_line(case: Case, whole: Resources) -> None:
    first = case.prepared(Does(hold=True), resources=whole)
    low, high = (case.prepared(Does(hold=True), resources=whole, priority=p) for p in (20, 80))
    for spec in (first, low, high):
        case.driver.submit(spec)
    phase_is(case, first.ref, "running")
    case.release(first.ref)
    phase_is(case, high.ref, "running")
    assert seen(case, low.ref).phase == "waiting"


def test_who_follows_hears_of_starts_and_ends(case: Case, whole: Resources) -> None:
    first = case.prepared(Does(hold=True), resources=whole)
    second = case.prepared(Does(code=4), resources=whole)
    reports: list[Observation] = []

    def enough() -> bool:
        return any(r.ref == second.ref and r.phase == "ended" for r in list(reports))

    released: list[bool] = []

    def report(observation: Observation) -> None:
        reports.append(observation)
        if observation.ref == first.ref and observation.phase == "running" and not released:
            released.append(True)
            case.release(first.ref)

    case.driver.submit(first)
    case.driver.submit(second)
    case.following(report, enough)
    assert {(r.ref, r.phase) for r in reports} >= {(first.ref, "running"), (first.ref, "ended")}
    end = next(r for r in reports if r.ref == second.ref and r.phase == "ended")
    assert end.outcome.code == 4
    assert end.started is not None, "what is over in a moment may never be seen running"


def test_no_order_repetition_or_loss_of_reports_changes_what_is_known_in_the_end(case: Case, whole: Resources) -> None:
    """Whoever keeps the report with the highest index, and asks once, knows the truth."""
    shapes = [whole, Resources(), whole, Resources()]
    specs = [case.prepared(Does(code=i), resources=shape) for i, shape in enumerate(shapes)]
    reports: list[Observation] = []
    for spec in specs:
        reports.append(case.driver.submit(spec))

    def enough() -> bool:
        return {r.ref for r in list(reports) if r.phase == "ended"} == {s.ref for s in specs}

    case.following(reports.append, enough)
    asked = case.driver.observe([s.ref for s in specs])
    for seed in range(100):
        random = Random(seed)
        arrived = random.choices(reports, k=random.randrange(2 * len(reports))) + asked
        random.shuffle(arrived)
        known: dict[AttemptRef, Observation] = {}
        for report in arrived:
            if report.ref not in known or report.index >= known[report.ref].index:
                known[report.ref] = report
        for spec, last in zip(specs, asked, strict=True):
            assert (known[spec.ref].phase, known[spec.ref].outcome) == ("ended", last.outcome), f"seed {seed}"
