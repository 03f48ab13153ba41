"""When what waits is likely to begin: played through on nodes, and left out where nobody can tell."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from winslow_nomad.core.admit import Waiting
from winslow_nomad.core.begins import Begin, Running, Standing, Takes, about, begins, between, left_of, line_of
from winslow_nomad.core.durations import Typical
from winslow_nomad.core.inventory import GpuGroup, Inventory, Node
from winslow_nomad.core.pipeline import GIB, Gpu, Resources

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
ONE_GPU = Resources(cpu=1, memory=GIB, gpu=Gpu(count=1))
DETECT = Takes("detect", 14, (720.0, 800.0, 900.0))


def node(name: str = "n1", gpus: int = 1, used: int = 0, cpu: float = 8, cpu_used: float = 0) -> Node:
    groups = (GpuGroup(model="RTX 4070", memory=12 * GIB, count=gpus, used=used),) if gpus else ()
    return Node(name=name, cpu=cpu, cpu_used=cpu_used, memory=64 * GIB, memory_used=int(cpu_used) * GIB, gpus=groups)


def standing(number: int, takes: Takes | None = DETECT, resources: Resources = ONE_GPU, priority: int = 50) -> Standing:
    queued = NOW - timedelta(hours=1) + timedelta(seconds=number)
    return Standing(Waiting(project="p", stage=number, queued=queued, resources=resources, priority=priority), takes)


def running(ran: float = 0.0, takes: Takes | None = DETECT, name: str = "n1") -> Running:
    return Running(name, ONE_GPU, left_of(takes, ran), takes)


def played(line: list[Standing], runs: list[Running], *nodes: Node) -> dict[int, Begin]:
    found = begins(line, runs, Inventory(driver="nomad", nodes=nodes, seen=NOW), NOW)
    return {stage: begin for (_, stage), begin in found.items()}


def minutes(begin: Begin) -> float:
    return (begin.likely - NOW).total_seconds() / 60


def test_each_in_line_begins_when_the_one_before_it_is_likely_to_end() -> None:
    found = played([standing(1), standing(2), standing(3)], [running(ran=200)], node(used=1))
    assert [round(minutes(found[n])) for n in (1, 2, 3)] == [10, 23, 37]
    third = found[3]
    assert third.text == "about 35 min: 14 runs of detect took 12 to 15 min, and 2 stages are before it"
    assert found[1].text == "about 10 min: 14 runs of detect took 12 to 15 min, and it is next"
    assert round((third.earliest - NOW).total_seconds()) == 720 - 200 + 2 * 720
    assert round((third.latest - NOW).total_seconds()) == 900 - 200 + 2 * 900


def test_two_machines_take_two_at_once() -> None:
    runs = [running(ran=200), running(ran=600, name="n2")]
    found = played([standing(1), standing(2), standing(3)], runs, node(used=1), node("n2", used=1))
    assert [round(minutes(found[n])) for n in (1, 2, 3)] == [3, 10, 17]


def test_a_thin_history_says_nothing() -> None:
    few = Typical(ended={"succeeded": 2, "failed": 9}, median=800, p10=720, p90=900)
    assert Takes.of("detect", few) is None and Takes.of("detect", None) is None
    enough = Takes.of("detect", few.but(ended={"succeeded": 3}))
    assert enough == Takes("detect", 3, (720.0, 800.0, 900.0))
    assert played([standing(1)], [running(takes=None)], node(used=1)) == {}
    found = played([standing(1), standing(2, takes=None), standing(3)], [running()], node(used=1))
    assert set(found) == {1, 2}, "what comes after one of unknown length is unknown"


def test_what_has_outlasted_the_history_has_no_known_end() -> None:
    assert left_of(DETECT, 899.0) == (0.0, 0.0, 1.0)
    assert played([standing(1)], [running(ran=901)], node(used=1)) == {}


def test_what_would_have_room_already_waits_for_something_else_and_nothing_is_said() -> None:
    assert played([standing(1)], [], node()) == {}


def test_a_node_that_takes_nothing_new_and_one_that_does_not_fit_help_nobody() -> None:
    away = node("n2", used=0).but(ready=False)
    found = played([standing(1)], [running(ran=200)], node(used=1), away, node("n3", gpus=0))
    assert round(minutes(found[1])) == 10


def test_a_small_one_does_not_wait_for_a_large_one_before_it() -> None:
    two = Resources(cpu=1, memory=GIB, gpu=Gpu(count=2))
    runs = [running(ran=600), running(ran=0)]
    found = played([standing(1, resources=two), standing(2)], runs, node(gpus=2, used=2))
    assert minutes(found[2]) < minutes(found[1])


def test_progress_counts_more_than_history() -> None:
    runs = [Running("n1", ONE_GPU, (60.0, 60.0, 60.0), DETECT)]
    assert played([standing(1)], runs, node(used=1))[1].likely == NOW + timedelta(minutes=1)


def test_those_at_the_driver_come_first_and_by_priority() -> None:
    unplaced = [standing(5).waiting, standing(6, priority=90).waiting]
    held = [standing(1).waiting, standing(2, priority=99).waiting]
    assert [w.stage for w in line_of(unplaced, held, {})] == [6, 5, 2, 1]


def test_times_are_said_no_more_exactly_than_they_are_known() -> None:
    said = {8: "8 s", 44: "45 s", 95: "2 min", 720: "12 min", 2400: "40 min", 5000: "85 min", 9000: "2.5 h"}
    assert {s: about(s).removeprefix("about ") for s in said} == said
    assert between(720, 900) == "12 to 15 min" and between(50, 120) == "50 s to 2 min"
    assert between(60, 61) == "about 60 s"


TAKES = st.builds(
    lambda low, more, most, runs: Takes("s", runs, (low, low + more, low + more + most)),
    st.floats(1, 1e4), st.floats(0, 1e4), st.floats(0, 1e4), st.integers(3, 99),
)  # fmt: skip
SIZES = st.builds(
    lambda cpu, gpus: Resources(cpu=cpu, memory=GIB, gpu=Gpu(count=gpus) if gpus else None),
    st.integers(1, 4), st.integers(0, 2),
)  # fmt: skip


Cluster = tuple[list[Standing], list[Running], list[Node]]
tried = settings(max_examples=40, deadline=None)


@st.composite
def clusters(draw: st.DrawFn) -> Cluster:
    """Full nodes: what runs there is what they say is in use."""
    nodes, runs = [], []
    for name in ("n1", "n2", "n3")[: draw(st.integers(1, 3))]:
        there = draw(st.lists(SIZES, max_size=4))
        gpus, cpu = sum(r.gpu.count for r in there if r.gpu), sum(r.cpu for r in there)
        nodes.append(node(name, gpus=gpus, used=gpus, cpu=max(cpu, 0.5), cpu_used=max(cpu, 0.5)))
        for resources in there:
            takes = draw(st.none() | TAKES)
            runs.append(Running(name, resources, left_of(takes, draw(st.floats(0, 1e4))), takes))
    sizes = draw(st.lists(st.tuples(SIZES, st.none() | TAKES), max_size=6))
    return [standing(i + 1, t, r) for i, (r, t) in enumerate(sizes)], runs, nodes


@tried
@given(clusters())
def test_a_guess_lies_in_the_future_and_within_its_margin(cluster: Cluster) -> None:
    line, runs, nodes = cluster
    for begin in played(line, runs, *nodes).values():
        assert NOW <= begin.earliest <= begin.likely <= begin.latest and begin.likely > NOW
        assert begin.text.startswith("about ")


@tried
@given(clusters())
def test_nothing_is_told_where_nothing_is_known(cluster: Cluster) -> None:
    line, runs, nodes = cluster
    unknown = [Running(r.node, r.resources, None, None) for r in runs]
    assert played(line, unknown, *nodes) == {}


@tried
@given(clusters())
def test_among_equals_who_stands_behind_changes_nothing_for_those_before(cluster: Cluster) -> None:
    """Smaller ones do overtake, into what the larger ones cannot use."""
    line, runs, nodes = cluster
    line = [standing(n + 1, s.takes, line[0].waiting.resources) for n, s in enumerate(line)]
    whole = played(line, runs, *nodes)
    for count in range(len(line)):
        part = played(line[:count], runs, *nodes)
        assert part == {n: b for n, b in whole.items() if n <= count}
