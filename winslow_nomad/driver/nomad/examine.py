"""What each node lacks for stages of Winslow, with what mends it; and a short job that tries the share on each.

For `winslow doctor --nomad`. Must never change a node; the jobs that it starts end by themselves within a minute, and
are stopped in any case."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

from winslow_nomad.core.client import Finding
from winslow_nomad.core.errors import DriverUnavailable
from winslow_nomad.driver.nomad import check, job
from winslow_nomad.driver.nomad.client import LEAST, WANTED, Agent, AlreadyThere, Client, parsed_version
from winslow_nomad.driver.nomad.faults import Answer, NoAnswer
from winslow_nomad.driver.nomad.nodes import NO_RUNTIME, NodeDetail
from winslow_nomad.driver.nomad.site import Site

Severity = Literal["ok", "note", "warning", "problem"]

TRIED_WITHIN = 90.0  # seconds for all nodes together: an image may have to be fetched
LOOK = 0.3
CHECKPOINT = 300.0  # seconds that a stage may reasonably want for its end
FIXES = (  # a part of what a node lacks -> what mends it
    ("docker does not work", "Start docker there; the agent sees it within a minute."),
    ("docker mounts nothing", "In the node's plugin block: volumes { enabled = true }, as in nomad/client.hcl."),
    ("does not offer the share", "Mount the share, add the host_volume of nomad/client.hcl, and restart the agent."),
    ("offers the share read-only", "In the node's host_volume block: read_only = false; restart the agent."),
    ("nobody said where the share is", "Add its pool to [nomad.share_roots] in Winslow's settings."),
    (NO_RUNTIME[:20], "Install NVIDIA's container toolkit, then restart docker and the agent."),
)


def nodes(found: Sequence[NodeDetail], client: Client) -> Iterator[Finding]:
    """At least one line for each node."""
    if not found:
        fix = "Start an agent on each, with nomad/client.hcl."
        yield _finding("problem", "nomad", "Nomad has no nodes that pipelines could ask for", fix)
    for node in found:
        lines = [*_node(node, client)]
        yield from lines
        if all(f.severity in ("ok", "note") for f in lines):
            cards = ", ".join(f"{g.count} {g.model}" for g in node.node.gpus) or "no GPU"
            text = f"Nomad {node.nomad}, docker {node.docker}, the share, {cards}"
            yield _finding("ok", node.node.name, text)


def _node(node: NodeDetail, client: Client) -> Iterator[Finding]:
    name = node.node.name
    if node.status != "ready":
        yield _finding("warning", name, f"it is {node.status or 'unknown'}", "Start its agent, or purge the node.")
        return
    if node.draining or not node.eligible:
        fix = f"The page of nodes, or: nomad node eligibility -enable {node.id}"
        yield _finding("note", name, f"it takes nothing new: {node.drained_for}", fix)
    if node.shares_name:
        text = f"others are called {node.shares_name}, too: none of them shows what runs there, and its tag means all"
        yield _finding("warning", name, text, "Give its agent a `name` of its own, and restart it; what runs goes on.")
    for lack in node.lacks:
        fix = next((fix for part, fix in FIXES if part in lack), "")
        yield _finding("problem", name, lack, fix)
    if "nvidia" in node.runtimes and not node.node.gpus:
        fix = "If it has GPUs: nomad-device-nvidia in plugin_dir, `nvidia-smi` works, then restart the agent."
        yield _finding("note", name, "docker has the runtime nvidia, and no GPU is offered", fix)
    version = parsed_version(node.nomad)
    if version and version < WANTED:
        severity: Severity = "problem" if version < LEAST else "warning"
        fix = f"Upgrade the agent to {check.shown(WANTED)} or later; running stages do not notice."
        yield _finding(severity, name, f"its agent is Nomad {node.nomad}", fix)
    agent = client.agent_at(node.agent) if node.agent else Agent(None, open=False)
    if agent.open and client.access.secret():
        text = "its agent asks nobody for a token: who reaches it reads, ends and enters what runs there"
        yield _finding("problem", name, text, "acl { enabled = true }, as in nomad/client.hcl; restart the agent.")
    told = agent.kill_timeout
    longest = seconds_of(told) if told is not None else None
    if longest is None:
        fix = 'Look yourself, or give the token `agent { policy = "read" }`.'
        yield _finding("note", name, "how long stages may take to end is not told (max_kill_timeout)", fix)
    elif longest < CHECKPOINT:
        text = f"a stage is killed {told} after it was told to stop, whatever its stop_grace (max_kill_timeout)"
        yield _finding("warning", name, text, 'In its client block: max_kill_timeout = "24h"; restart the agent.')


def seconds_of(duration: str) -> float | None:
    """Of what Go writes: 1h30m, 30s, 500ms."""
    units = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
    parts = re.findall(r"([0-9.]+)(ms|h|m|s)", duration)
    return sum(float(n) * units[unit] for n, unit in parts) if parts else None


def try_share(
    client: Client,
    site: Site,
    found: Sequence[NodeDetail],
    *,
    image: str,
    folder: str,
    script: str,
    monotonic: Callable[[], float] = time.monotonic,
) -> dict[str, str]:
    """Run `script` (sh) on each node that is ready and has the share; it finds `<share>/<folder>/<node's id>` at /probe
    and the runner at /winslow-run. By name of the node: what went wrong, or "". Raises DriverUnavailable."""
    token = secrets.token_hex(4)
    started: dict[str, str] = {}
    said: dict[str, str] = {}
    try:
        for node in found:
            if not node.node.ready:
                continue
            made = trial(node, site, image=image, folder=f"{folder}/{node.id}", script=script, token=token)
            started[node.node.name] = made["ID"]
            try:
                client.register(made)
            except (AlreadyThere, Answer, NoAnswer) as error:
                said[node.node.name] = f"the job of the trial was not taken: {str(error)[:300]}"
        deadline = monotonic() + TRIED_WITHIN
        while (open_ones := started.keys() - said.keys()) and monotonic() < deadline:
            for name in sorted(open_ones):
                end = _end_of(client, started[name])
                if end is not None:
                    said[name] = end
            time.sleep(LOOK)
    finally:
        for job_id in started.values():
            try:
                client.deregister(job_id)
            except DriverUnavailable:
                continue  # it ends by itself
    late = f"the trial did not end within {TRIED_WITHIN:g} s"
    return {name: said.get(name, late) for name in started}


def trial(node: NodeDetail, site: Site, *, image: str, folder: str, script: str, token: str) -> dict[str, Any]:
    root = site.share_root(node.node_pool)
    runner = f"{root}/bin/{site.runner_version}/{node.architecture}/winslow-run"
    mounts = [(f"{root}/{folder}", "/probe", False), (runner, job.RUNNER, True)]
    return {
        # not what the ids of attempts begin with, so that it is never taken for one
        "ID": f"doctor-{token}-{node.id}",
        "Name": f"winslow doctor on {node.node.name}",
        "Namespace": site.namespace,
        **({"Region": site.region} if site.region else {}),
        "Type": "batch",
        "Priority": 90,
        "Datacenters": list(site.datacenters),
        "NodePool": node.node_pool,
        "Constraints": [{"LTarget": "${node.unique.id}", "Operand": "=", "RTarget": node.id}],
        "TaskGroups": [
            {
                "Name": "doctor",
                "Count": 1,
                "RestartPolicy": {"Attempts": 0, "Mode": "fail", "Interval": 60 * job.SECOND, "Delay": job.SECOND},
                "ReschedulePolicy": {"Attempts": 0, "Unlimited": False},
                "EphemeralDisk": {"SizeMB": 10},
                "Volumes": {
                    "share": {"Name": "share", "Type": "host", "Source": site.share_volume, "ReadOnly": False},
                },
                "Tasks": [
                    {
                        "Name": "doctor",
                        "Driver": "docker",
                        "User": f"{site.uid}:{site.gid}",
                        "Config": {
                            "image": image,
                            "entrypoint": ["sh"],
                            "args": ["-c", job.literal(script)],
                            "mount": [
                                {"type": "bind", "source": job.literal(s), "target": t, "readonly": ro}
                                for s, t, ro in mounts
                            ],
                            "runtime": "runc",
                        },
                        "Env": {"NVIDIA_VISIBLE_DEVICES": "void"},
                        "Resources": {"CPU": 50, "MemoryMB": 64},
                        "LogConfig": {"MaxFiles": 2, "MaxFileSizeMB": 1},
                    }
                ],
            }
        ],
    }


def _end_of(client: Client, job_id: str) -> str | None:
    """None: it goes on; empty: it went well; else what Nomad says."""
    for allocation in client.allocations_of(job_id).items:
        if allocation.get("ClientStatus") == "complete":
            return ""
        if allocation.get("ClientStatus") in ("failed", "lost"):
            states = (allocation.get("TaskStates") or {}).values()
            events = [e for state in states for e in state.get("Events") or ()]
            wanted = [e for e in events if e.get("Type") in ("Driver Failure", "Setup Failure", "Failed Validation")]
            told = [str(e.get("DisplayMessage", "")) for e in wanted or events[-1:]]
            return "; ".join(told)[:500] or "it failed"
    return None


def _finding(severity: Severity, subject: str, text: str, fix: str = "") -> Finding:
    return Finding(severity=severity, subject=subject, text=text, fix=fix)
