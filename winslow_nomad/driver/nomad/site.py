"""One installation's place on a Nomad cluster: what of it jobs and the inventory have to know, as a value.

Also the one scheme of tags, used by `job` for constraints and by `nodes` for what nodes have, so that both
mean the same. A tag of a pipeline (`placement: {require: [fast-disk]}`) is one of

| tag | a node has it when |
|---|---|
| `node.<name>` | that is its name |
| `class.<class>` | that is its node class |
| `datacenter.<datacenter>` | it is in that datacentre |
| `arch.<architecture>` | its processors are of that kind: `amd64`, `arm64` |
| any other | its meta `winslow_tags` lists it: `winslow_tags = "fast-disk, hall-2"` |

Holds no address, no token, nothing secret: jobs are readable by everybody who may read the namespace."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Self

from pydantic import Field, field_validator, model_validator

from winslow_nomad.core.model import Value

TAGS_META = "winslow_tags"
TAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}\Z")
ATTRIBUTES = {  # prefix of a tag -> what a constraint compares
    "node.": "${node.unique.name}",
    "class.": "${node.class}",
    "datacenter.": "${node.datacenter}",
    "arch.": "${attr.cpu.arch}",
}


class Site(Value):
    """`uid`, `gid`: of containers that run as Winslow. `share_volume`: the host volume that nodes with the share
    advertise; it places jobs and is not mounted. `share_roots`: Nomad's node pool -> where the share is on its
    nodes, `*` for all others. `mapped`: name in the input pool -> folder on the nodes, mounted read-only below
    /input. `pools`: a pipeline's pool -> Nomad's node pool, where the names differ. `whole_cores`: a stage that
    asks for a whole number of cores gets them for itself. `oversubscription`: the cluster lets a task use more
    memory than is reserved for it. `network`: of containers: docker's bridge, `none`, or a network that exists
    on every node."""

    installation: str = "winslow"
    namespace: str = "winslow"
    region: str = ""  # empty: that of the agent that is asked
    datacenters: tuple[str, ...] = ("*",)
    share_volume: str = "winslow-share"
    share_roots: dict[str, str] = {"*": "/srv/winslow"}
    mapped: dict[str, str] = {}
    uid: int = Field(default=1000, ge=0)
    gid: int = Field(default=1000, ge=0)
    runner_version: str
    pools: dict[str, str] = {}
    whole_cores: bool = False
    oversubscription: bool = False
    network: str = ""

    @field_validator("share_roots", "mapped")
    @classmethod
    def _absolute(cls, roots: dict[str, str]) -> dict[str, str]:
        for name, path in roots.items():
            if not path.startswith("/") or "\0" in path or ".." in path.split("/"):
                raise ValueError(f"{name}: {path!r} is not an absolute path")
        return {name: path.rstrip("/") for name, path in roots.items()}

    @field_validator("network")
    @classmethod
    def _own(cls, network: str) -> str:
        if network == "host" or not re.fullmatch(r"(?:[A-Za-z0-9][A-Za-z0-9_.-]*)?", network):
            raise ValueError(f"{network!r} cannot be the network of stages")
        return network

    @model_validator(mode="after")
    def _one_to_one(self) -> Self:
        if len(set(self.pools.values())) < len(self.pools) or "all" in self.pools.values():
            raise ValueError("pools: each needs a node pool of its own, and `all` is none")
        return self

    def node_pool(self, pool: str) -> str:
        """Nomad's name of a pipeline's pool."""
        return self.pools.get(pool, pool)

    def pool(self, node_pool: str) -> str | None:
        """A pipeline's name of Nomad's node pool; None: no pipeline can ask for it."""
        for ours, theirs in self.pools.items():
            if theirs == node_pool:
                return ours
        return None if node_pool in self.pools else node_pool

    def share_root(self, node_pool: str) -> str | None:
        return self.share_roots.get(node_pool, self.share_roots.get("*"))


def constraint_of(tag: str) -> dict[str, str]:
    """The constraint on nodes that a required tag means. Raises ValueError for what cannot be a tag."""
    if not TAG.match(tag):
        raise ValueError(f"{tag[:80]!r} cannot be a tag")
    for prefix, target in ATTRIBUTES.items():
        if tag.startswith(prefix):
            return {"LTarget": target, "Operand": "=", "RTarget": tag.removeprefix(prefix)}
    return {"LTarget": f"${{meta.{TAGS_META}}}", "Operand": "set_contains", "RTarget": tag}


def tags_of(node: Mapping[str, Any]) -> frozenset[str]:
    """The tags of a node, from its document."""
    listed = str((node.get("Meta") or {}).get(TAGS_META, "")).split(",")
    attributes = {
        "node.": node.get("Name"),
        "class.": node.get("NodeClass"),
        "datacenter.": node.get("Datacenter"),
        "arch.": (node.get("Attributes") or {}).get("cpu.arch"),
    }
    named = (f"{prefix}{value}" for prefix, value in attributes.items() if value)
    plain = (tag.strip() for tag in listed if not tag.strip().startswith(tuple(ATTRIBUTES)))
    return frozenset(tag for tag in (*named, *plain) if TAG.match(tag))
