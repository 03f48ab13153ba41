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

from tests.cluster import images
from tests.cluster.nomad import NAMESPACE, Cluster, when
from tests.driver.nomad import jobs
from winslow_nomad.core.pipeline import MIB, Gpu, Placement, Resources
from winslow_nomad.core.ports import AttemptRef, AttemptSpec
from winslow_nomad.core.stage import Cause
from winslow_nomad.driver.claim import parse_claim
from winslow_nomad.driver.nomad import job as building
from winslow_nomad.driver.nomad.nodes import NodeDetail, read_nodes
from winslow_nomad.driver.nomad.outcome import Verdict, judge
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
    wanted["Datacenters"] = ["nowhere"]  # kept, and not started
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

    def submit(self, spec: AttemptSpec, site: Site | None = None) -> str:
        """The job's id."""
        job = building.build(spec, site or self.site, details(self.cluster, site or self.site))
        self.cluster.submit(job)
        return str(job["ID"])

    def run(self, spec: AttemptSpec, site: Site | None = None) -> dict[str, Any]:
        """Carry it out; its allocation at the end."""
        job_id = self.submit(spec, site)

        def over() -> Any:
            found = self.cluster.allocations(job_id)
            return found[0] if found and found[0]["ClientStatus"] in ("complete", "failed") else None

        return dict(when(over, 60))

    def verdict(self, spec: AttemptSpec) -> Verdict:
        job = self.cluster.api("GET", f"/v1/job/{building.job_id('test', spec.ref)}")
        claim = self.root / spec.directory / "claim"
        text = claim.read_bytes() if claim.exists() else None
        return judge(job, self.cluster.allocations(job["ID"]), parse_claim(text))

    def is_blocked(self, job_id: str) -> bool:
        """Nomad has looked, and found no place."""
        found = self.cluster.api("GET", f"/v1/job/{job_id}/evaluations")
        return any(e["Status"] == "blocked" for e in found)

    def end(self, spec: AttemptSpec) -> dict[str, Any]:
        found = self.root / spec.directory / "end.json"
        assert found.exists(), self.verdict(spec)
        return dict(json.loads(found.read_text()))

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


def test_an_image_with_a_user_of_its_own_keeps_it_and_can_write(share: Share) -> None:
    box = images.box(share.cluster.directory)
    share.cluster.add_image(images.Image("box-user:1", box.tar, ("ENV PATH=/bin COLOUR=blue", "USER 1234:1235")))
    spec = share.attempt("echo at=$(id -u):$(id -g) $COLOUR; touch /output/made", mode=0o777, run_as="image")
    spec = spec.but(image="box-user:1")
    share.run(spec)
    assert share.end(spec)["code"] == 0
    assert share.log(spec) == "at=1234:1235 blue\n"


def test_nothing_in_paths_and_names_is_interpolated_on_the_way_to_docker(share: Share) -> None:
    odd = share.root / "odd ${node.unique.name} %{if true} $${x}"
    odd.mkdir()
    for name in ("bin", "inputs", "projects", "pipelines"):
        (odd / name).symlink_to(share.root / name)
    installation = "te st ${attr.cpu.arch} %{if true}"
    site = share.site.but(share_roots={"*": str(odd)})
    spec = share.attempt("cat /input/street.mp4").but(installation=installation)
    allocation = share.run(spec, site)
    assert share.log(spec) == "a video\n"
    assert building.ref_of(allocation["JobID"], None, installation) == spec.ref


def test_docker_shows_whose_a_container_is(share: Share) -> None:
    spec = share.attempt("cat /workspace/go")
    os.mkfifo(share.root / spec.workspace / "go")
    job_id = share.submit(spec)
    when(lambda: share.verdict(spec).phase == "running")
    node = share.verdict(spec).node
    names = share.cluster.docker(node, "ps", "--filter", f"label=winslow.attempt={spec.ref}", "--format", "{{.Names}}")
    assert names.strip() == f"{building.TASK}-{share.verdict(spec).allocation}"
    (share.root / spec.workspace / "go").write_text("on\n")
    when(lambda: share.cluster.status(job_id) == "complete")


def test_a_folder_that_is_mapped_into_the_input_pool_is_seen_there_read_only(share: Share) -> None:
    archive = share.root / "archive"
    archive.mkdir()
    (archive / "old.mp4").write_text("an old video\n")
    (share.root / "inputs/archive").mkdir()
    spec = share.attempt("cat /input/archive/old.mp4 /input/street.mp4; touch /input/archive/made || echo refused")
    share.run(spec, share.site.but(mapped={"archive": str(archive)}))
    assert share.log(spec) == "an old video\na video\nrefused\n"


def test_a_job_that_is_stopped_lets_its_stage_end_by_itself(share: Share) -> None:
    spec = share.attempt("trap 'echo saved; exit 5' TERM; echo up; while :; do sleep 0.1; done", stop_grace=5.0)
    job_id = share.submit(spec)
    when(lambda: (share.root / spec.directory / "log/out").exists() and "up" in share.log(spec))
    share.cluster.api("DELETE", f"/v1/job/{job_id}")
    when(lambda: share.verdict(spec).phase == "over")
    assert (share.end(spec)["cause"], share.end(spec)["code"]) == ("stopped", 5)
    assert share.log(spec) == "up\nsaved\n"
    assert share.verdict(spec).message.endswith("its job was stopped in Nomad")


def test_a_second_container_of_one_attempt_runs_nothing(share: Share) -> None:
    """Its job made twice, as a purge and a late request would do."""
    spec = share.attempt("echo x >> /output/starts")
    first = share.run(spec)
    share.cluster.api("DELETE", f"/v1/job/{first['JobID']}", purge="true")
    second = share.run(spec)
    assert first["ID"] != second["ID"]
    assert (share.root / spec.directory / "output/starts").read_text() == "x\n"
    assert (share.root / spec.directory / f"refused-{second['ID']}").exists()
    assert share.verdict(spec).phase == "out_of_contact", "the one that ran is unknown; the other is nobody's end"


def test_an_image_that_no_node_has_is_an_end_that_names_it(share: Share) -> None:
    spec = share.attempt("true").but(image="winslow-tests.example/none:1")
    share.run(spec)
    verdict = share.verdict(spec)
    end = verdict.end(answered=0.0, grace=10.0)
    assert end is not None
    assert (end.cause, end.started) == (Cause.RUNNER_LOST, None)
    assert "winslow-tests.example/none:1" in end.message


def test_a_node_can_be_asked_for_by_each_kind_of_tag(share: Share) -> None:
    tags = next(d.node.tags for d in details(share.cluster, share.site) if d.node.name == "n2")
    assert tags >= {"node.n2", "datacenter.dc1", "arch.amd64"}
    spec = share.attempt("true", placement=Placement(require=("node.n2", "datacenter.dc1", "arch.amd64")))
    assert share.run(spec)["NodeName"] == "n2"
    nowhere = share.submit(share.attempt("true", placement=Placement(require=("arch.z80",))))
    when(lambda: share.is_blocked(nowhere))
    assert share.cluster.allocations(nowhere) == []


# --- GPUs


def with_gpu(**gpu: Any) -> dict[str, Any]:
    return {"resources": Resources(cpu=0.01, memory=32 * MIB, gpu=Gpu(**gpu))}


def test_the_smallest_card_that_will_do_is_taken_and_the_big_one_is_left(share: Share, nomad_plugin: None) -> None:
    when(lambda: any(d.node.gpus for d in details(share.cluster, share.site)))
    small = share.attempt("echo $NVIDIA_VISIBLE_DEVICES; cat /workspace/go", **with_gpu())
    os.mkfifo(share.root / small.workspace / "go")
    job_id = share.submit(small)
    when(lambda: share.verdict(small).phase == "running")
    (birch,) = [d.node for d in details(share.cluster, share.site) if d.node.gpus]
    assert [(g.count, g.used) for g in birch.gpus] == [(2, 1), (1, 0)]
    big = share.attempt("echo $NVIDIA_VISIBLE_DEVICES", **with_gpu(memory=20 * 1024 * MIB))
    share.run(big)
    assert share.log(big) == "GPU-a6000\n"
    (share.root / small.workspace / "go").write_text("on\n")
    when(lambda: share.cluster.status(job_id) == "complete")
    assert share.log(small).splitlines()[0] in ("GPU-4070-a", "GPU-4070-b")


def test_two_cards_of_a_model_by_a_pattern(share: Share, nomad_plugin: None) -> None:
    wanted = with_gpu(count=2, model="rtx 40[6-8]0", memory=8 * 1024 * MIB)
    spec = share.attempt("echo $NVIDIA_VISIBLE_DEVICES", **wanted)
    share.run(spec)
    assert sorted(share.log(spec).strip().split(",")) == ["GPU-4070-a", "GPU-4070-b"]


def test_a_pattern_that_no_card_meets_is_not_placed(share: Share, nomad_plugin: None) -> None:
    job_id = share.submit(share.attempt("true", **with_gpu(model="RTX 40[!7]0")))
    when(lambda: share.is_blocked(job_id))
    assert share.cluster.allocations(job_id) == []
