"""The jobs that are compared with what was reviewed by eye: tests/driver/nomad/jobs/<name>.json.

python -m tests.driver.nomad.jobs        writes them anew; read the difference before it is committed"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.driver.nomad.documents import RTX_4070, RTX_A6000, node
from winslow_nomad.core.pipeline import GIB, MIB, Gpu, Placement, Resources
from winslow_nomad.core.ports import AttemptRef, AttemptSpec
from winslow_nomad.driver.nomad.job import build
from winslow_nomad.driver.nomad.nodes import NodeDetail, read_nodes
from winslow_nomad.driver.nomad.site import Site

FOLDER = Path(__file__).parent / "jobs"
REF = AttemptRef(project="p7q2m4x9", stage=2, attempt=1)
SITE = Site(runner_version="0.1.0")
NODES = [node("alder"), node("birch", [RTX_4070, RTX_A6000], mhz=2600)]


def spec(**more: Any) -> AttemptSpec:
    ref = more.get("ref", REF)
    directory = f"projects/{ref.project}/stages/{ref.stage:04d}-detect/attempts/{ref.attempt}"
    known: dict[str, Any] = {
        "ref": ref,
        "stage_id": "detect",
        "directory": directory,
        "workspace": f"{directory}/workspace",
        "image": "traffic:1.2",
        "entrypoint": None,
        "command": ("python", "/pipeline/detect.py", "--key", "${SECRET}"),
        "resources": Resources(),
        "placement": Placement(),
        "timeout": None,
        "stop_grace": 30.0,
        "run_as": "winslow",
        "priority": 50,
        "pipeline_folder": None,
        "stages": {},
        "previous_node": "birch",
        "avoid": (),
        "installation": "winslow",
        "fingerprint": "6f1ed002ab5595859014ebf0951522d9",
    }
    return AttemptSpec(**(known | more))


@dataclass(frozen=True)
class Case:
    spec: AttemptSpec
    site: Site = SITE
    nodes: list[dict[str, Any]] = field(default_factory=lambda: NODES)

    def build(self) -> dict[str, Any]:
        details: tuple[NodeDetail, ...] = read_nodes(self.nodes, [], self.site)
        return build(self.spec, self.site, details)


EARLIER = "projects/p7q2m4x9/stages/0001-scan/attempts/1/output"
LIMITED = Resources(cpu=2, memory=4 * GIB, memory_max=6 * GIB, shm=GIB)

CASES = {
    "a_cpu_stage": Case(spec(pipeline_folder="pipelines/4f0c", stages={"scan": EARLIER}, timeout=43200.0)),
    "half_a_core": Case(spec(resources=Resources(cpu=0.5, memory=100 * MIB + 1))),
    "memory_above_the_reservation": Case(spec(resources=LIMITED), SITE.but(oversubscription=True)),
    "memory_above_where_that_is_off": Case(spec(resources=LIMITED)),
    "whole_cores": Case(spec(resources=LIMITED), SITE.but(whole_cores=True)),
    "any_gpu": Case(spec(resources=Resources(gpu=Gpu()))),
    "two_gpus_of_a_kind": Case(spec(resources=Resources(gpu=Gpu(count=2, memory=8 * GIB, model="RTX*")))),
    "a_gpu_that_nobody_has_yet": Case(spec(resources=Resources(gpu=Gpu(memory=80 * GIB, model="[AH]100*")))),
    "no_nodes_known": Case(spec(resources=Resources(gpu=Gpu())), nodes=[]),
    "the_image_s_own_user": Case(spec(run_as="image", image=f"example.org:5000/team/tool:1@sha256:{'0a' * 32}")),
    "what_its_image_runs": Case(
        spec(
            image=f"example.org:5000/team/tool@sha256:{'0a' * 32}",
            command=None,
            starts_in="/opt/${tool}",
            placement=Placement(require=("arch.arm64",)),
        )
    ),
    "nodes_that_lost_it": Case(
        spec(placement=Placement(prefer="previous_node"), avoid=("birch", "${meta.evil}", "alder"))
    ),
    "the_node_before": Case(spec(placement=Placement(prefer="previous_node"))),
    "pool_and_tags": Case(
        spec(placement=Placement(pool="big", require=("fast-disk", "class.lab", "arch.amd64", "node.birch"))),
        SITE.but(
            pools={"big": "workstations"}, datacenters=("berlin", "hall-*"), share_roots={"workstations": "/mnt/w"}
        ),
    ),
    "a_sweep_that_is_gathered": Case(
        spec(
            stages={"scan": EARLIER, "grid/0003": EARLIER, "grid/0004": EARLIER},
            workspace="projects/p7q2m4x9/sweeps/3/workspace",
        ),
        SITE.but(mapped={"archive": "/mnt/archive", "cameras": "/mnt/cameras/2026"}, network="none"),
    ),
    "hostile_names": Case(
        spec(
            ref=AttemptRef(project="p." + "x" * 98, stage=123456, attempt=12),
            previous_node="${meta.evil}",
            placement=Placement(prefer="previous_node"),
            priority=0,
            timeout=0.25,
            installation='wins"low ${attr.cpu.arch} %{if true}\n',
        ),
        SITE.but(share_roots={"*": "/srv/${node.unique.name}/%{if}/$${x}"}, region="eu"),
    ),
}


def golden(name: str) -> dict[str, Any]:
    return dict(json.loads((FOLDER / f"{name}.json").read_text()))


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for old in FOLDER.glob("*.json"):
        old.unlink()
    for name, case in CASES.items():
        (FOLDER / f"{name}.json").write_text(json.dumps(case.build(), indent=1) + "\n")


if __name__ == "__main__":
    main()
