"""`winslow doctor --nomad` on a real cluster: what each node lacks, with the fix, and how the share is seen from it."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cluster import images
from tests.cluster.nomad import Cluster, Node
from tests.waiting import until

ROOT = Path(__file__).parents[2]


def doctor(cluster: Cluster, home: Path, *words: str, **more: str) -> tuple[int, list[dict[str, Any]]]:
    """As a person types it: its exit code, and the findings."""
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith(("WINSLOW_", "NOMAD_", "REDIS_"))},
        **cluster.environment,
        "WINSLOW_DRIVER": "nomad",
        "WINSLOW_HOME": str(home),
        "WINSLOW_SHARE": str(cluster.share / home.name),
        "PYTHONPATH": str(ROOT),
        **more,
    }
    command = [sys.executable, "-m", "winslow_nomad.cli", "doctor", "--nomad", "--json", *words]
    done = subprocess.run(command, env=environment, cwd=home, capture_output=True, text=True, timeout=150, check=False)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)["findings"]


def of(findings: list[dict[str, Any]], subject: str, text: str) -> dict[str, Any]:
    matching = [f for f in findings if f["subject"] == subject and text in f["text"]]
    assert len(matching) == 1, findings
    return matching[0]


def test_a_good_cluster_has_nothing_to_mend_and_nothing_is_left_behind(cluster: Cluster, tmp_path: Path) -> None:
    code, findings = doctor(cluster, tmp_path, "--image", "box:1")
    assert code == 0, findings
    for name in ("n1", "n2"):
        assert of(findings, name, "the share, ")["severity"] == "ok"
        seen = of(findings, name, "sees the share (")
        assert seen["severity"] == "ok", seen
        assert " free of " in seen["text"] and " ms for a small durable write" in seen["text"]
        assert re.search(r"copies (share blocks|are made by its kernel) \(16.0 MiB in [0-9.e-]+ s", seen["text"])
    assert not list((cluster.share / tmp_path.name / "trash").iterdir())
    until(lambda: all(j["Status"] == "dead" for j in cluster.api("GET", "/v1/jobs", prefix="doctor-")), 30)


def test_without_an_image_no_job_is_run(cluster: Cluster, tmp_path: Path) -> None:
    before = {j["ID"] for j in cluster.api("GET", "/v1/jobs", prefix="doctor-")}
    code, findings = doctor(cluster, tmp_path)
    assert code == 0 and "--image" in of(findings, "share", "was not tried")["fix"]
    assert {j["ID"] for j in cluster.api("GET", "/v1/jobs", prefix="doctor-")} == before


def test_each_lack_of_a_node_is_named_with_its_fix(start_cluster: Callable[..., Cluster], tmp_path: Path) -> None:
    cluster = start_cluster([Node("n1", share=False), Node("n2")], client={"max_kill_timeout": "30s"})
    code, findings = doctor(cluster, tmp_path)
    assert code == 1
    assert "host_volume" in of(findings, "n1", "does not offer the share")["fix"]
    assert 'max_kill_timeout = "24h"' in of(findings, "n2", "killed 30s after")["fix"]
    cluster.kill_docker("n2", 9)
    until(lambda: not cluster.node("n2")["Drivers"]["docker"]["Healthy"], 60)
    _, findings = doctor(cluster, tmp_path)
    assert "Start docker" in of(findings, "n2", "docker does not work")["fix"]


def test_a_node_whose_share_is_not_mounted_is_found_by_the_trial(cluster: Cluster, tmp_path: Path) -> None:
    cluster.lose_share("n1")
    try:
        code, findings = doctor(cluster, tmp_path, "--image", "box:1")
    finally:
        cluster.regain_share("n1")
    assert code == 1
    wrong = of(findings, "n1", "the share could not be used there")
    assert wrong["severity"] == "problem" and "bind" in wrong["text"]
    assert of(findings, "n2", "sees the share (")["severity"] == "ok"


@pytest.mark.parametrize(("by", "said"), [(3600, "s ahead of"), (-3600, "s behind")])
def test_a_node_whose_clock_is_wrong_is_found_by_the_trial(
    cluster: Cluster, tmp_path: Path, by: int, said: str
) -> None:
    """Nobody can set the clock of one machine here, so what its shell calls `date` is wrong."""
    tar = tmp_path / "wrong.tar"
    with tarfile.open(images.box(tmp_path).tar) as box, tarfile.open(tar, "w") as out:
        for known in box:
            if known.name != "bin/sh":
                out.addfile(known, box.extractfile(known) if known.isfile() else None)
        wrong_date = f"date() {{ echo $(($(/bin/busybox date +%s) + {by})); }}"
        script = f'#!/bin/busybox sh\n{wrong_date}\nshift\neval "$1"\n'.encode()
        entry = tarfile.TarInfo("bin/sh")
        entry.size, entry.mode = len(script), 0o755
        out.addfile(entry, io.BytesIO(script))
    name = f"wrong:{abs(by)}{said[2]}"
    cluster.add_image(images.Image(name, tar, ("ENV PATH=/bin",)), ["n1"])
    cluster.add_image(images.Image(name, images.box(tmp_path).tar, ("ENV PATH=/bin",)), ["n2"])
    code, findings = doctor(cluster, tmp_path, "--image", name)
    wrong = of(findings, "n1", "its clock is")
    assert code == 0 and wrong["severity"] == "warning" and said in wrong["text"] and "NTP" in wrong["fix"]
    assert re.search("3[56]..", wrong["text"])
    assert not [f for f in findings if f["subject"] == "n2" and "clock" in f["text"]]


def test_an_image_that_is_not_there_is_said(cluster: Cluster, tmp_path: Path) -> None:
    code, findings = doctor(cluster, tmp_path, "--image", "nobody/has-this:1")
    found = of(findings, "n1", "the image could not be fetched there")
    assert code == 1 and "nobody/has-this:1" in found["text"] + found["fix"]
