"""Logs viewed live on a real cluster, where the share shows late what nodes write."""

from __future__ import annotations

import statistics
from pathlib import Path

import pytest

from tests.cluster.late import TALKS, delays, late_share, logs_over, until_it_runs
from tests.cluster.nomad import Cluster
from tests.cluster.whole import a_whole, stage, stop_all
from winslow_nomad.resources.log_ahead import EVERY

pytestmark = pytest.mark.chaos
LATE = 3.0  # seconds
LINES = 120


def test_a_log_is_seen_live_from_its_node_where_the_share_is_late(cluster: Cluster, tmp_path: Path) -> None:
    with a_whole(cluster) as world, late_share(world.share, LATE) as root:
        project = world.create(stage(TALKS.format(count=LINES)))
        until_it_runs(world.installation, project)
        driver = world.installation.nomad
        before = driver._client.asked
        logs = logs_over(world.installation, root, tmp_path / "cache")
        took = delays(world.installation, logs, project, LINES, 60)
        # what was written before anybody had noticed that the share is late may come late
        noticed = took[LINES // 2 :]
        assert statistics.median(noticed) < 1000 * LATE / 6, took
        asked = driver._client.asked - before
        assert asked < 6 * LINES * 0.1 / EVERY + 50, "a few requests for each look"
        stop_all(world, [project])
        whole = (world.folder(project) / "log" / "out").read_bytes()
        assert whole.count(b"\n") >= LINES
        quiet = driver._client.asked
        logs_over(world.installation, root, tmp_path / "cache").open(world.project(project), 1).page(0, 10)
        assert driver._client.asked == quiet, "nothing is asked for a log that nobody watches"
