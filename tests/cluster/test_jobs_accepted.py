"""Jobs as `driver/nomad/job.py` builds them, on a real Nomad: accepted as they stand, placed where they are meant to
be, and carried out in containers that see what they should."""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.nomad import NAMESPACE, Cluster, when
from tests.driver.nomad import jobs
from winslow_nomad.core.pipeline import MIB, Resources
from winslow_nomad.core.ports import AttemptRef, AttemptSpec
from winslow_nomad.driver.nomad import job as building
from winslow_nomad.driver.nomad.nodes import NodeDetail, read_nodes
from winslow_nomad.driver.nomad.site import Site
from winslow_nomad.runner import ARCHITECTURES, binary

UID = 4242
VOLUME = "winslow-share"


@pytest.fixture(scope="module")
def prepared(nomad_cluster: Cluster) -> Iterator[Cluster]:
    nomad_cluster.configure_scheduler(MemoryOversubscriptionEnabled=True)
    yield nomad_cluster
    for job in nomad_cluster.api("GET", "/v1/jobs"):
        nomad_cluster.api("DELETE", f"/v1/job/{job['ID']}", purge="true")


def details(cluster: Cluster, site: Site) -> tuple[NodeDetail, ...]:
    nodes = [cluster.api("GET", f"/v1/node/{stub['ID']}") for stub in cluster.api("GET", "/v1/nodes")]
    allocations = cluster.api("GET", "/v1/allocations", resources="true", namespace="*")
    return read_nodes(nodes, allocations, site)


# --- every golden job


@pytest.mark.parametrize("name", sorted(jobs.CASES))
def test_nomad_takes_every_golden_job_and_understands_every_field(prepared: Cluster, name: str) -> None:
    """What Nomad does not know it drops without a word, so what it keeps is compared."""
    wanted = jobs.golden(name) | {"Namespace": NAMESPACE, "Region": "global", "NodePool": "default"}
    answer = prepared.api("POST", "/v1/validate/job", {"Job": wanted})
    assert (answer["ValidationErrors"], answer["Error"]) == (None, "")
    planned = prepared.api("POST", f"/v1/job/{wanted['ID']}/plan", {"Job": wanted, "Diff": False})
    assert not planned["Warnings"]
    prepared.submit(wanted)
    kept = prepared.api("GET", f"/v1/job/{wanted['ID']}")
    prepared.api("DELETE", f"/v1/job/{wanted['ID']}")
    assert missing(wanted, kept) == []


def missing(wanted: Any, kept: Any, path: str = "") -> list[str]:
    """What was said and is not there as it was said."""
    if isinstance(wanted, dict):
        return [m for key, value in wanted.items() for m in missing(value, (kept or {}).get(key), f"{path}/{key}")]
    if isinstance(wanted, list):
        if not wanted and not kept:
            return []
        if len(wanted) != len(kept or ()):
            return [f"{path}: {wanted} became {kept}"]
        return [m for i, (w, k) in enumerate(zip(wanted, kept, strict=True)) for m in missing(w, k, f"{path}/{i}")]
    return [] if wanted == kept or (not wanted and not kept) else [f"{path}: {wanted!r} became {kept!r}"]


# --- real ones


@dataclass
class Share:
    """The share of a test cluster, with what an installation puts there."""

    cluster: Cluster

    def __post_init__(self) -> None:
        self.root = Path(self.cluster.share)
        self.site = Site(
            installation="test",
            namespace=NAMESPACE,
            share_volume=VOLUME,
            share_roots={"*": str(self.root)},
            uid=UID,
            gid=UID,
            runner_version="1.0",
            oversubscription=True,
        )
        for arch in ARCHITECTURES:
            target = self.root / f"bin/1.0/{arch}/winslow-run"
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(binary(arch), target)
        (self.root / "inputs").mkdir(exist_ok=True)
        (self.root / "inputs/street.mp4").write_text("a video\n")
        (self.root / "pipelines/abc").mkdir(parents=True, exist_ok=True)
        (self.root / "pipelines/abc/detect.py").write_text("code\n")

    def attempt(self, script: str, mode: int = 0o755, **more: Any) -> AttemptSpec:
        ref = AttemptRef(project=f"p{secrets.token_hex(4)}", stage=2, attempt=1)
        directory = self.root / f"projects/{ref.project}/stages/0002-work/attempts/1"
        for name in ("workspace", "output", "log", "stages/detect", "stages/sweep/0003"):
            (directory / name).mkdir(parents=True)
        (directory / "stages/sweep/index.json").write_text("[]\n")
        earlier = self.root / f"projects/{ref.project}/stages/0001-detect/attempts/1/output"
        earlier.mkdir(parents=True)
        (earlier / "boxes.csv").write_text("1,2\n")
        (directory / "command").write_text("\0".join(["/bin/sh", "-c", script]) + "\0")
        variables = ("HOME=/workspace", "WINSLOW_RESULTS=/winslow/results", f"WINSLOW_ATTEMPT={ref}", "SECRET=hidden")
        (directory / "environment").write_text("".join(f"{v}\0" for v in variables))
        (directory / "control").write_text("run\n")
        for found in (directory, *directory.rglob("*")):
            os.chown(found, UID, UID)
            found.chmod(mode if found.is_dir() else 0o644)
        return jobs.spec(
            ref=ref,
            directory=str(directory.relative_to(self.root)),
            workspace=str((directory / "workspace").relative_to(self.root)),
            image="box:1",
            pipeline_folder="pipelines/abc",
            stages={
                "detect": str(earlier.relative_to(self.root)),
                "sweep/0003": str(earlier.relative_to(self.root)),
            },
            installation="test",
            **({"resources": Resources(cpu=0.01, memory=32 * MIB, shm=8 * MIB)} | more),
        )

    def run(self, spec: AttemptSpec) -> dict[str, Any]:
        """Carry it out; its allocation at the end."""
        job = building.build(spec, self.site, details(self.cluster, self.site))
        self.cluster.submit(job)

        def over() -> Any:
            found = self.cluster.allocations(job["ID"])
            return found[0] if found and found[0]["ClientStatus"] in ("complete", "failed") else None

        return dict(when(over, 60))

    def end(self, spec: AttemptSpec) -> dict[str, Any]:
        return dict(json.loads((self.root / spec.directory / "end.json").read_text()))

    def log(self, spec: AttemptSpec) -> str:
        return (self.root / spec.directory / "log/out").read_text()


@pytest.fixture(scope="module")
def share(prepared: Cluster) -> Share:
    return Share(prepared)


LOOK = """
echo at=$(id -u):$(id -g) $PWD $HOME
echo saw $(cat /input/street.mp4) $(cat /pipeline/detect.py) $(cat /stages/detect/boxes.csv)
echo saw $(cat /stages/sweep/index.json) $(cat /stages/sweep/0003/boxes.csv)
for place in /workspace /output /winslow; do touch $place/made && echo can $place; done
for place in /input /pipeline /stages /stages/detect /stages/sweep/0003 /winslow-run; do
  touch $place/made 2>/dev/null && echo CAN $place
done
echo gpus=$NVIDIA_VISIBLE_DEVICES path=$PATH
echo shm=$(busybox df -k /dev/shm | busybox awk 'END {print $2}')
echo score=1 > $WINSLOW_RESULTS
tr '\\0' '\\n' < /proc/1/environ 2>/dev/null | busybox grep -c hidden
exit 7
"""


def test_a_stage_finds_its_places_and_can_write_where_it_should_and_nowhere_else(share: Share) -> None:
    spec = share.attempt(LOOK)
    allocation = share.run(spec)
    end, log = share.end(spec), share.log(spec)
    assert (end["cause"], end["code"]) == ("exit", 7), log
    lines = log.splitlines()
    assert f"at={UID}:{UID} /workspace /workspace" in lines
    assert "saw a video code 1,2" in lines
    assert "saw [] 1,2" in lines
    writes = [line for line in lines if line.startswith(("can", "CAN"))]
    assert writes == ["can /workspace", "can /output", "can /winslow"]
    assert "gpus=void path=/bin" in lines
    assert "shm=8192" in lines
    directory = share.root / spec.directory
    assert (directory / "results").read_text() == "score=1\n"
    assert (directory / "output/made").stat().st_uid == UID
    assert json.loads((directory / "claim").read_text())["owner"] == allocation["ID"]
    assert "hidden" not in json.dumps(share.cluster.api("GET", f"/v1/job/{allocation['JobID']}"))
