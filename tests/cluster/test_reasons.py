"""Why stages wait, on a real cluster: what can never start pauses its project and goes on by itself when a fitting node
joins; what is busy says when it may start."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.cluster.agents import Card, Node
from tests.cluster.nomad import Cluster
from tests.cluster.whole import SMALL, Whole, a_whole, stage, stop_all, when_said
from winslow_nomad.core.begins import Begin
from winslow_nomad.core.pipeline import Gpu, Placement
from winslow_nomad.core.stage import StageState

pytestmark = pytest.mark.chaos
CARD = Card("GPU-9", "NVIDIA GeForce RTX 4070", 12282)
ONE_CARD = SMALL.but(gpu=Gpu(count=1, model="RTX*"))


def paused_by_what_is_impossible(world: Whole, project: str) -> str:
    def said() -> str:
        pause = world.project(project).pause
        return pause.text if pause is not None and pause.kind == "impossible" else ""

    return str(when_said(said, 20, world.last_words))


@pytest.mark.usefixtures("nomad_plugin")
def test_what_no_node_can_hold_pauses_at_once_and_goes_on_when_a_node_with_a_gpu_joins(
    start_cluster: Callable[..., Cluster],
) -> None:
    cluster = start_cluster(1)
    with a_whole(cluster) as world:
        wants_gpu = world.create(stage("", resources=ONE_CARD))
        wants_tag = world.create(stage("", placement=Placement(require=("hall-2",))))
        assert "no node has a GPU like RTX*: there is no GPU at all" in paused_by_what_is_impossible(world, wants_gpu)
        assert "no node has the tag hall-2: n1 lacks hall-2" in paused_by_what_is_impossible(world, wants_tag)
        (verdict,) = world.client.nodes_for(wants_gpu, 1)
        assert (verdict.node, verdict.fits, verdict.text) == ("n1", False, "it has no GPU")
        jobs = {j["ID"] for j in cluster.api("GET", "/v1/jobs")}
        assert not any(wants_gpu in j or wants_tag in j for j in jobs), "nothing of it waits at Nomad"
        cluster.add_node(Node("n9", gpus=[CARD], meta={"winslow_tags": "fast-disk"}))
        done = world.finished(wants_gpu, 60)
        assert done.ended[1].state is StageState.SUCCEEDED and done.ended[1].node == "n9"
        assert world.project(wants_tag).pause is not None, "the new node has another tag"
        cluster.add_node(Node("n10", meta={"winslow_tags": "hall-2"}))
        assert world.finished(wants_tag, 60).ended[1].node == "n10"
        assert world.ran(wants_gpu) == ["start", "done"] and not world.wrong(wants_gpu, wants_tag)


@pytest.mark.usefixtures("nomad_plugin")
def test_what_is_busy_says_when_it_may_start_once_the_history_can_tell(start_cluster: Callable[..., Cluster]) -> None:
    cluster = start_cluster([Node("n1", gpus=[CARD])])
    with a_whole(cluster) as world:
        made: dict[str, Any] = {"resources": ONE_CARD}
        halfway = 'echo 5 > "$WINSLOW_PROGRESS"; first_waits\n'
        before = world.create(stage(halfway, "train", **made))
        world.working(before)
        behind = world.create(stage("", "detect", **made))

        def begin() -> Begin | None:
            return world.client.begins(behind).get(1)

        first = when_said(begin, 30, world.last_words)
        assert first.text.endswith(": it is next") and first.earliest == first.likely == first.latest
        reason = world.project(behind).stages[1].reason
        assert reason is not None and "the only one is in use" in reason.text
        stop_all(world, [before])
        for done in (behind, *(world.create(stage("", "detect", **made)) for _ in range(2))):
            world.finished(done, 60)
        again = world.create(stage(halfway, "train", **made))
        world.working(again)
        line = [world.create(stage("", "detect", **made)) for _ in range(2)]
        told = when_said(lambda: [b for p in line if (b := world.client.begins(p).get(1))][1:], 30, world.last_words)
        assert "3 runs of detect took" in told[0].text and told[0].text.endswith("1 stage is before it")
        stop_all(world, [again, *line])
