"""The job of an attempt, as the body of `PUT /v1/jobs`: a pure function of attempt, installation and nodes.

The job holds where the attempt's directories are, what it needs and when it must stop; never the command and
never a secret: those are in files on the share that only the runner reads. Everything that people write and
that has to go in (image, tags, GPU model, pool) is checked, and escaped where Nomad would interpolate it.

Nomad ignores keys that it does not know without a word, and takes durations as integers of nanoseconds only."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from math import ceil
from typing import Any, NamedTuple

from pydantic import ValidationError

from winslow_nomad.core.admit import fits, least_memory, memory_of, suits
from winslow_nomad.core.errors import DriverRejected
from winslow_nomad.core.pipeline import HEARTBEAT, MIB, Gpu, Placement, Resources
from winslow_nomad.core.ports import AttemptRef, AttemptSpec
from winslow_nomad.driver.nomad import gpu_model
from winslow_nomad.driver.nomad.nodes import DEFAULT_MHZ, NodeDetail
from winslow_nomad.driver.nomad.site import Site, constraint_of

Json = dict[str, Any]

GROUP = "attempt"
TASK = "winslow"
SPOOL = "winslow"  # below the allocation's `alloc` directory
SPOOL_BYTES = 256 * MIB  # how far a stage may write ahead of a share that stands still
DISK_MB = 300
RUNNER = "/winslow-run"
ATTEMPT = "/winslow"
WORKSPACE = "/workspace"

SECOND = 1_000_000_000
DAY = 86_400 * SECOND
LOST_AFTER = 30 * DAY  # after this Nomad runs it again elsewhere: far beyond any patience of ours
SETTLING = 20  # seconds beyond the stage's own grace, for the runner to bring log and end to the share

REF, FINGERPRINT, INSTALLATION, ASKS = "winslow_ref", "winslow_fingerprint", "winslow_installation", "winslow_asks"
MAX_ID, MAX_PREFIX = 128, 60
AFFINITY = 50
MAX_AFFINITIES = 8

_IMAGE = re.compile(
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::[0-9]{1,5})?/)?"  # registry
    r"[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*)*"
    r"(?::\w[\w.-]{0,127})?(?:@[a-z0-9]+:[0-9a-f]{32,128})?",
    re.ASCII,
)
_POOL = re.compile(r"[A-Za-z0-9_-]{1,128}")
_UNSAFE = re.compile(r"[^A-Za-z0-9_.-]+")


class Asks(NamedTuple):
    """What a job asks for, as its meta tells: enough to say why it waits, without reading the job itself."""

    resources: Resources
    placement: Placement


def prefix(installation: str) -> str:
    """What the ids of all its jobs begin with (and perhaps some of others)."""
    return f"{_UNSAFE.sub('_', installation)[:MAX_PREFIX]}-"


def job_id(installation: str, ref: AttemptRef) -> str:
    """The same for every process and for ever; never used by another attempt."""
    digest = hashlib.sha256(f"{installation} {ref}".encode()).hexdigest()[:6]
    tail = f"{ref.stage:04d}-{ref.attempt}-{digest}"
    head = prefix(installation) + _UNSAFE.sub("_", ref.project)
    return f"{head[: MAX_ID - len(tail) - 1]}-{tail}"


def ref_of(job: str, meta: Mapping[str, str] | None, installation: str) -> AttemptRef | None:
    """The attempt of a job; None: it is none of this installation's. Without meta (events of allocations have
    none) it is read from the id, which tells all but names too long for it."""
    text = meta.get(REF, "") if meta else "/".join(job.removeprefix(prefix(installation)).rsplit("-", 3)[:3])
    try:
        ref = AttemptRef.parse(text)
    except ValueError:
        return None
    return ref if job_id(installation, ref) == job else None


def asks_of(meta: Mapping[str, str]) -> Asks | None:
    """What a job asked for; None: it was made by another version, or by somebody else."""
    return _asks(meta.get(ASKS, ""))


@lru_cache(maxsize=4096)
def _asks(text: str) -> Asks | None:
    try:
        found = json.loads(text)
        return Asks(Resources.model_validate(found["resources"]), Placement.model_validate(found["placement"]))
    except (ValueError, ValidationError, KeyError, TypeError):
        return None


def build(spec: AttemptSpec, site: Site, nodes: Sequence[NodeDetail]) -> Json:
    """The value of `Job`. `nodes`: for what one core is worth, and for choosing the smallest GPU that will do.
    Raises DriverRejected for what could never run."""
    node_pool = site.node_pool(spec.placement.pool)
    if not _POOL.fullmatch(node_pool) or node_pool == "all":
        raise _refused(spec, f"{node_pool[:80]!r} cannot be the name of a pool", "Choose a pool that Nomad has.")
    return {
        "ID": job_id(spec.installation, spec.ref),
        "Name": f"{spec.stage_id} {spec.ref}",
        "Namespace": site.namespace,
        **({"Region": site.region} if site.region else {}),
        "Type": "batch",
        "Priority": min(100, max(1, spec.priority)),
        "Datacenters": list(site.datacenters),
        "NodePool": node_pool,
        "Constraints": _constraints(spec),
        "Affinities": _affinities(spec),
        "Meta": _meta(spec),
        "TaskGroups": [
            {
                "Name": GROUP,
                "Count": 1,
                "RestartPolicy": {"Attempts": 0, "Mode": "fail", "Interval": 60 * SECOND, "Delay": SECOND},
                "ReschedulePolicy": {"Attempts": 0, "Unlimited": False},
                "Disconnect": {"LostAfter": LOST_AFTER, "Replace": False},
                "EphemeralDisk": {"SizeMB": DISK_MB},
                "Volumes": {
                    "share": {"Name": "share", "Type": "host", "Source": site.share_volume, "ReadOnly": False},
                },
                "Tasks": [_task(spec, site, nodes, node_pool)],
            }
        ],
    }


def _task(spec: AttemptSpec, site: Site, nodes: Sequence[NodeDetail], node_pool: str) -> Json:
    """Without KillSignal, which makes Nomad send a signal instead of asking docker for a stop: to a container that had
    ended while the agent was away it does so in vain for minutes, and holds its place, GPUs included."""
    gpu = spec.resources.gpu
    return {
        "Name": TASK,
        "Driver": "docker",
        "User": f"{site.uid}:{site.gid}" if spec.run_as == "winslow" else "",
        "Config": _config(spec, site, node_pool),
        "Env": {} if gpu else {"NVIDIA_VISIBLE_DEVICES": "void"},
        "Resources": _resources(spec, site, nodes),
        "KillTimeout": ceil(spec.stop_grace + SETTLING) * SECOND,
        "LogConfig": {"MaxFiles": 2, "MaxFileSizeMB": 2},
    }


def _config(spec: AttemptSpec, site: Site, node_pool: str) -> Json:
    root = site.share_root(node_pool)
    if root is None:
        raise _refused(
            spec, f"nobody said where the share is on nodes of the pool {node_pool}", "Set a share root for it."
        )
    config: Json = {
        "image": _image(spec),
        "entrypoint": [RUNNER],
        "args": _arguments(spec),
        "mount": [*_mounts(spec, site, root)],
        "shm_size": spec.resources.shm,
        "image_pull_timeout": "4h",
        "labels": [{"winslow.attempt": str(spec.ref), "winslow.installation": literal(spec.installation)}],
    }
    if spec.resources.gpu is None:
        config["runtime"] = "runc"
    if spec.run_as == "winslow":
        config["security_opt"] = ["no-new-privileges"]
    if site.network:
        config["network_mode"] = site.network
    return config


def _arguments(spec: AttemptSpec) -> list[str]:
    arguments = ["--attempt", ATTEMPT, "--spool", f"${{NOMAD_ALLOC_DIR}}/{SPOOL}", "--spool-limit", str(SPOOL_BYTES)]
    arguments += ["--owner", "${NOMAD_ALLOC_ID}", "--inherit", "--workdir", literal(spec.starts_in or WORKSPACE)]
    arguments += ["--grace", _seconds(spec.stop_grace)]
    if spec.heartbeat != HEARTBEAT:
        arguments += ["--heartbeat", _seconds(spec.heartbeat)]
    return arguments + (["--timeout", _seconds(spec.timeout)] if spec.timeout is not None else [])


def _mounts(spec: AttemptSpec, site: Site, root: str) -> list[Json]:
    """Docker mounts the outer before the inner, whatever their order here. The inner ones need a directory to
    be mounted on: those below /stages are made together with the attempt."""

    def bind(source: str, target: str, readonly: bool) -> Json:
        return {"type": "bind", "source": source, "target": literal(target), "readonly": readonly}

    def shared(path: str, target: str, readonly: bool = True) -> Json:
        return bind(literal(f"{root}/{path}"), target, readonly)

    runner = f"{root}/bin/{site.runner_version}/"
    mounts = [
        bind(f"{literal(runner)}${{attr.cpu.arch}}/winslow-run", RUNNER, True),
        shared(spec.directory, ATTEMPT, readonly=False),
        shared(spec.workspace, WORKSPACE, readonly=False),
        shared(f"{spec.directory}/output", "/output", readonly=False),
        shared("inputs", "/input"),
        shared(f"{spec.directory}/stages", "/stages"),
    ]
    mounts += [bind(literal(path), f"/input/{name}", True) for name, path in sorted(site.mapped.items())]
    if spec.pipeline_folder is not None:
        mounts.append(shared(spec.pipeline_folder, "/pipeline"))
    return mounts + [shared(path, f"/stages/{name}") for name, path in sorted(spec.stages.items())]


def _resources(spec: AttemptSpec, site: Site, nodes: Sequence[NodeDetail]) -> Json:
    wanted = spec.resources
    resources: Json = {"MemoryMB": max(10, ceil(memory_of(wanted) / MIB))}
    if site.oversubscription and wanted.memory_max is not None and wanted.memory_max > wanted.memory:
        resources = {"MemoryMB": max(10, ceil(wanted.memory / MIB)), "MemoryMaxMB": ceil(wanted.memory_max / MIB)}
    if site.whole_cores and wanted.cpu >= 1 and wanted.cpu.is_integer():
        resources["Cores"] = int(wanted.cpu)
    else:
        resources["CPU"] = max(1, int(wanted.cpu * core_mhz(wanted, spec.placement, nodes)))
    if wanted.gpu is not None:
        resources["Devices"] = [_device(spec, wanted.gpu, nodes)]
    return resources


def core_mhz(resources: Resources, placement: Placement, nodes: Sequence[NodeDetail]) -> float:
    """What one core counts for, in MHz: that of the slowest node that could hold it, so that whatever fits a node
    by the number of its cores fits it in Nomad's eyes too."""
    known = [n for n in nodes if n.node.pool == placement.pool]
    able = [n for n in known if fits(resources, placement, n.node)]
    return min((n.core_mhz for n in able or known or nodes), default=DEFAULT_MHZ)


def _device(spec: AttemptSpec, gpu: Gpu, nodes: Sequence[NodeDetail]) -> Json:
    constraints = []
    if gpu.memory:
        least = f"{ceil(least_memory(gpu) / MIB)} MiB"
        constraints.append({"LTarget": "${device.attr.memory}", "Operand": ">=", "RTarget": least})
    if gpu.model:
        try:
            pattern = gpu_model.pattern(gpu.model)
        except ValueError as error:
            raise _refused(spec, str(error), "Write it like RTX*.") from error
        constraints.append({"LTarget": "${device.model}", "Operand": "regexp", "RTarget": pattern})
    return {
        "Name": "nvidia/gpu",
        "Count": gpu.count,
        "Constraints": constraints,
        "Affinities": _smallest_that_will_do(gpu, [n for n in nodes if n.node.pool == spec.placement.pool]),
    }


def _smallest_that_will_do(gpu: Gpu, nodes: Sequence[NodeDetail]) -> list[Json]:
    """One preference for each size there is, from the smallest on: the smaller a card, the more of them it
    meets. Nomad by itself gives "any GPU" the biggest one and lets the stage that needs it wait."""
    sizes = sorted({g.memory // MIB for n in nodes for g in n.node.gpus if suits(gpu, g) and g.count >= gpu.count})
    return [
        {"LTarget": "${device.attr.memory}", "Operand": "<=", "RTarget": f"{size} MiB", "Weight": AFFINITY}
        for size in sizes[:MAX_AFFINITIES]
    ]


def _constraints(spec: AttemptSpec) -> list[Json]:
    constraints = [{"LTarget": "${attr.driver.docker.volumes.enabled}", "Operand": "=", "RTarget": "true"}]
    if spec.resources.gpu is not None:
        runtimes = "${attr.driver.docker.runtimes}"
        constraints.append({"LTarget": runtimes, "Operand": "set_contains", "RTarget": "nvidia"})
    try:
        return constraints + [constraint_of(tag) for tag in spec.placement.require]
    except ValueError as error:
        raise _refused(spec, str(error), "Use letters, digits, . _ -") from error


def _affinities(spec: AttemptSpec) -> list[Json]:
    """Where the workspace was last written, its files may still be in the node's memory; where an attempt of it was
    lost, the next one may be, too."""
    wanted = {name: -100 for name in spec.avoid}
    if spec.placement.prefer == "previous_node" and spec.previous_node:
        wanted.setdefault(spec.previous_node, AFFINITY)
    return [
        {"LTarget": "${node.unique.name}", "Operand": "=", "RTarget": name, "Weight": weight}
        for name, weight in wanted.items()
        if not name.startswith("${")
    ]


def _meta(spec: AttemptSpec) -> dict[str, str]:
    asks = {
        "resources": spec.resources.model_dump(mode="json", exclude_defaults=True),
        "placement": spec.placement.model_dump(mode="json", exclude_defaults=True),
    }
    return {
        REF: str(spec.ref),
        FINGERPRINT: spec.fingerprint,
        INSTALLATION: spec.installation,
        ASKS: json.dumps(asks, separators=(",", ":"), sort_keys=True),
    }


def _image(spec: AttemptSpec) -> str:
    image = spec.image
    if not image:
        raise _refused(spec, "its stage names no image", "Set `image` in the pipeline.")
    if len(image) > 512 or not _IMAGE.fullmatch(image):
        raise _refused(
            spec, f"{image[:80]!r} is not the name of an image", "Write it like registry.example.org/team/tool:1.2."
        )
    return image


def literal(text: str) -> str:
    """As it is, in a place where Nomad would interpolate."""
    return text.replace("${", "$${").replace("%{", "%%{")


def _seconds(value: float) -> str:
    return f"{value:.3f}".rstrip("0").rstrip(".")


def _refused(spec: AttemptSpec, why: str, hint: str) -> DriverRejected:
    return DriverRejected(f"Attempt {spec.ref} cannot be run by Nomad: {why}. No job was made.", hint=hint)
