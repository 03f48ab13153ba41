"""The job of an attempt: as it was reviewed by eye, and what must never be in it."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tests.driver.nomad import jobs
from tests.driver.nomad.documents import RTX_4070, RTX_A6000, gpu_device, node
from tests.driver.nomad.jobs import SITE, spec
from winslow_nomad.core.admit import fits
from winslow_nomad.core.errors import DriverRejected
from winslow_nomad.core.pipeline import GIB, MIB, Gpu, Placement, Resources, StageDefinition
from winslow_nomad.core.ports import AttemptRef, AttemptSpec
from winslow_nomad.driver.nomad.job import Asks, asks_of, build, job_id, literal, prefix, ref_of
from winslow_nomad.driver.nomad.nodes import read_nodes
from winslow_nomad.driver.nomad.site import Site, constraint_of, tags_of

ids = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}", fullmatch=True)
refs = st.builds(AttemptRef, project=ids, stage=st.integers(1, 10**8), attempt=st.integers(1, 10**4))
installations = st.text(max_size=80)


def task_of(built: dict[str, Any]) -> dict[str, Any]:
    return dict(built["TaskGroups"][0]["Tasks"][0])


def built(found: AttemptSpec, site: Site = SITE) -> dict[str, Any]:
    return task_of(build(found, site, read_nodes(jobs.NODES, [], site)))


@pytest.mark.parametrize("name", sorted(jobs.CASES))
def test_the_job_is_the_one_that_was_reviewed(name: str) -> None:
    assert jobs.CASES[name].build() == jobs.golden(name)


def test_every_reviewed_job_is_still_built() -> None:
    assert {p.stem for p in jobs.FOLDER.iterdir()} == set(jobs.CASES)


# --- names


@given(refs, installations)
def test_a_job_s_id_is_one_that_nomad_can_route_and_no_other_attempt_has(ref: AttemptRef, installation: str) -> None:
    found = job_id(installation, ref)
    assert re.fullmatch(r"[A-Za-z0-9_.-]{1,128}", found)
    assert found == job_id(installation, ref)
    others = [ref.but(attempt=ref.attempt + 1), ref.but(stage=ref.stage + 1), ref.but(project=ref.project + "x")]
    assert found not in {job_id(installation, other) for other in others} | {job_id(installation + "x", ref)}


@given(refs, installations)
def test_a_job_is_told_to_be_the_attempt_s_by_its_meta_and_to_be_no_other_s(ref: AttemptRef, installation: str) -> None:
    found, meta = job_id(installation, ref), {"winslow_ref": str(ref)}
    assert ref_of(found, meta, installation) == ref
    assert ref_of(found, meta, installation + "x") is None
    assert ref_of(found + "x", meta, installation) is None
    assert ref_of(found, {"winslow_ref": str(ref.but(attempt=ref.attempt + 1))}, installation) is None


@given(refs.filter(lambda r: len(r.project) < 40), installations)
def test_events_that_carry_nothing_but_the_id_are_told_to_be_the_attempt_s(ref: AttemptRef, installation: str) -> None:
    assert job_id(installation, ref).startswith(prefix(installation))
    assert ref_of(job_id(installation, ref), None, installation) == ref
    assert ref_of(job_id("team-2", ref), None, "team-1") is None


@given(st.text(max_size=60), st.none() | st.dictionaries(st.sampled_from(["winslow_ref"]), st.text(max_size=20)))
def test_jobs_of_others_are_nobody_s_attempt(job: str, meta: dict[str, str] | None) -> None:
    assert ref_of(job, meta, "winslow") is None


def test_a_job_tells_by_itself_what_it_asked_for() -> None:
    wanted = Asks(
        Resources(cpu=2.5, memory=3 * GIB, gpu=Gpu(count=2, model="RTX*")), Placement(pool="big", require=("x", "y"))
    )
    meta = build(spec(resources=wanted.resources, placement=wanted.placement), SITE, ())["Meta"]
    assert asks_of(meta) == wanted
    for other in ({}, {"winslow_asks": "{"}, {"winslow_asks": "[1]"}, {"winslow_asks": '{"resources":{"cpu":"x"}}'}):
        assert asks_of(other) is None


# --- what people write


def test_the_command_and_what_it_expands_to_are_not_in_the_job() -> None:
    text = json.dumps(jobs.CASES["a_cpu_stage"].build())
    assert "detect.py" not in text
    assert "SECRET" not in text


@given(st.text(alphabet="$%{}ab ", max_size=30))
def test_nothing_in_a_literal_is_interpolated(text: str) -> None:
    """As HCL reads it: `$${` and `%%{` are literal, `${` and `%{` begin something."""
    escaped = literal(text)
    assert re.search(r"(?<!\$)\$\{|(?<!%)%\{", escaped) is None
    assert escaped.replace("$${", "${").replace("%%{", "%{") == text


@pytest.mark.parametrize(
    "image",
    [
        "",
        "team/UPPER",
        "a b",
        "x:1\n",
        "${meta.x}",
        "%{if}",
        "docker://x",
        "x@sha256:1",
        "-x",
        "../x",
        "x" * 600,
        "x:" + "1" * 129,
    ],
)
def test_what_is_no_name_of_an_image_is_refused(image: str) -> None:
    with pytest.raises(DriverRejected, match="No job was made"):
        built(spec(image=image))


@pytest.mark.parametrize(
    "image",
    [
        "busybox",
        "traffic:1.2",
        "localhost:5000/a/b-c__d.e:V1_x-y",
        "nvcr.io/nvidia/pytorch:25.01-py3",
        "registry:5000/x@sha256:" + "a" * 64,
    ],
)
def test_names_of_images_are_taken_as_they_are(image: str) -> None:
    assert built(spec(image=image))["Config"]["image"] == image


@pytest.mark.parametrize(
    "more",
    [
        {"placement": Placement(pool="a b")},
        {"placement": Placement(pool="all")},
        {"placement": Placement(require=("${node.class}",))},
        {"placement": Placement(require=("a,b",))},
        {"resources": Resources(gpu=Gpu(model="RTX\n"))},
        {"resources": Resources(gpu=Gpu(model="é"))},
    ],
)
def test_what_nomad_would_read_as_something_else_is_refused(more: dict[str, Any]) -> None:
    with pytest.raises(DriverRejected, match="No job was made"):
        built(spec(**more))


def test_a_pool_without_a_share_is_refused() -> None:
    with pytest.raises(DriverRejected, match="where the share is"):
        built(spec(), SITE.but(share_roots={"other": "/mnt"}))


@pytest.mark.parametrize(
    "wrong",
    [
        {"share_roots": {"*": "relative"}},
        {"share_roots": {"*": "/a/../b"}},
        {"mapped": {"x": "y"}},
        {"network": "host"},
        {"network": "container:x"},
        {"pools": {"a": "x", "b": "x"}},
        {"pools": {"a": "all"}},
        {"uid": -1},
    ],
)
def test_a_site_that_would_let_stages_out_or_count_nodes_twice_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Site(runner_version="1", **wrong)


# --- what it needs


@given(
    st.floats(0.1, 16),
    st.integers(1, 64 * 1024).map(lambda m: m * MIB // 2),
    st.lists(st.tuples(st.integers(1, 32), st.integers(900, 5001)), min_size=1, max_size=4),
)
def test_what_fits_a_node_by_its_cores_and_memory_fits_it_in_nomad_s_units(
    cpu: float, memory: int, machines: list[tuple[int, int]]
) -> None:
    documents = [node(f"n{i}", cores=cores, mhz=mhz) for i, (cores, mhz) in enumerate(machines)]
    details = read_nodes(documents, [], SITE)
    wanted = spec(resources=Resources(cpu=cpu, memory=memory))
    asked = task_of(build(wanted, SITE, details))["Resources"]
    for detail, document in zip(details, documents, strict=True):
        if fits(wanted.resources, wanted.placement, detail.node):
            assert asked["CPU"] <= document["NodeResources"]["Cpu"]["CpuShares"]
            assert asked["MemoryMB"] <= document["NodeResources"]["Memory"]["MemoryMB"]
            assert asked["MemoryMB"] * MIB >= memory


def test_a_stage_without_a_gpu_sees_none_and_is_not_given_to_nvidia_s_runtime() -> None:
    without, with_one = built(spec()), built(spec(resources=Resources(gpu=Gpu())))
    assert without["Env"] == {"NVIDIA_VISIBLE_DEVICES": "void"}
    assert (without["Config"]["runtime"], "Devices" in without["Resources"]) == ("runc", False)
    assert with_one["Env"] == {}
    assert "runtime" not in with_one["Config"]


def test_the_smaller_a_card_the_more_preferences_it_meets_and_too_small_ones_are_not_asked_for() -> None:
    devices = built(spec(resources=Resources(gpu=Gpu(memory=10 * GIB))))["Resources"]["Devices"][0]
    sizes = [a["RTarget"] for a in devices["Affinities"]]
    assert sizes == ["12282 MiB", "49140 MiB"]
    assert built(spec(resources=Resources(gpu=Gpu(memory=20 * GIB))))["Resources"]["Devices"][0]["Affinities"] == [
        {"LTarget": "${device.attr.memory}", "Operand": "<=", "RTarget": "49140 MiB", "Weight": 50}
    ]


def test_cards_of_other_pools_and_groups_that_are_too_few_make_no_preference() -> None:
    other = gpu_device("NVIDIA GeForce RTX 3090", 24576, ("a", "b"))
    elsewhere = [node("birch", [RTX_4070, RTX_A6000]), node("cedar", [other], NodePool="other")]
    details = read_nodes(elsewhere, [], SITE)
    two = spec(resources=Resources(gpu=Gpu(count=2)))
    affinities = task_of(build(two, SITE, details))["Resources"]["Devices"][0]["Affinities"]
    assert [a["RTarget"] for a in affinities] == ["12282 MiB"]


def test_the_kill_comes_after_the_stage_s_own_grace_and_time_to_write_the_end() -> None:
    assert built(spec(stop_grace=120.5))["KillTimeout"] == 141 * 10**9
    assert built(spec(stop_grace=0.2))["KillTimeout"] == 21 * 10**9


def test_who_has_little_patience_with_a_node_hears_its_heart_more_often() -> None:
    usual, hurried = (StageDefinition(id="a", patience=p).heartbeat for p in (900.0, 6.0))
    assert "--heartbeat" not in built(spec(heartbeat=usual))["Config"]["args"]
    arguments = built(spec(heartbeat=hurried))["Config"]["args"]
    assert float(arguments[arguments.index("--heartbeat") + 1]) * 3 < 6.0


# --- tags


TAGS = ["fast-disk", "hall-2", "class.lab", "class.x.y", "node.alder", "datacenter.dc1", "arch.amd64", "arch."]
NAMES = st.sampled_from(["alder", "b", "node.b"])


@given(st.lists(st.sampled_from(TAGS)), st.sampled_from(["", "lab", "x.y"]), NAMES)
def test_a_tag_a_node_has_is_one_that_nomad_finds_there_and_no_other(listed: list[str], kind: str, name: str) -> None:
    document = node(name, NodeClass=kind, Meta={"winslow_tags": ", ".join(listed)})
    has = tags_of(document)
    for tag in TAGS:
        assert (tag in has) == found_by_nomad(constraint_of(tag), document), tag


def found_by_nomad(constraint: dict[str, str], document: dict[str, Any]) -> bool:
    """As its scheduler resolves and compares (checkConstraint, checkSetContainsAll)."""
    values = {
        "${node.unique.name}": document["Name"],
        "${node.class}": document["NodeClass"],
        "${node.datacenter}": document["Datacenter"],
        "${attr.cpu.arch}": document["Attributes"]["cpu.arch"],
        "${meta.winslow_tags}": document["Meta"]["winslow_tags"],
    }
    value = values[constraint["LTarget"]]
    if constraint["Operand"] == "set_contains":
        return constraint["RTarget"] in {part.strip() for part in value.split(",")}
    return bool(value == constraint["RTarget"])
