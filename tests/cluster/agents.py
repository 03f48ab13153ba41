"""What the agents of a test cluster are told: as on a real one, but with times that a test can wait for.

The configurations for real clusters are in `nomad/` at the top of the project, and are tested as they are.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SHARE_VOLUME = "winslow-share"
PLUGIN = "nomad-device-nvidia"
# A node that is silent is noticed after 3 to 7 s instead of 20 to 30.
HEARTBEATS = {"heartbeat_grace": "2s", "min_heartbeat_ttl": "3s", "failover_heartbeat_ttl": "10s"}
# Asked over the network for what can only be found in a data centre, which takes seconds in vain.
NOT_HERE = "env_aws,env_azure,env_digitalocean,env_gce,consul,vault,cni,bridge"


@dataclass(frozen=True)
class Card:
    """A GPU as the stand-in for NVML shows it; memory in MiB."""

    uuid: str
    model: str
    memory: int
    broken: bool = False

    def line(self) -> str:
        return f"{self.uuid}|{self.model}|{self.memory}|512|7|3|55|250|41|{int(self.broken)}\n"


@dataclass(frozen=True)
class Node:
    """`share` False: a node that does not have the share's volume. `client`: merged over the client block. `also`:
    files that a node of the shipped configuration has beside those of its kind. `docker`: merged over the settings of
    Nomad's docker plugin; `daemon`: over docker's own."""

    name: str
    gpus: Sequence[Card] = ()
    meta: Mapping[str, str] = field(default_factory=dict)
    pool: str = "default"
    node_class: str = ""
    share: bool = True
    also: Sequence[str] = ()
    client: Mapping[str, Any] = field(default_factory=dict)
    docker: Mapping[str, Any] = field(default_factory=dict)
    daemon: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Certificates:
    """Made by `nomad tls`: the authority, and `<role>.pem` and `<role>-key.pem` for server, client and cli."""

    directory: Path

    @property
    def authority(self) -> Path:
        return self.directory / "nomad-agent-ca.pem"

    def of(self, role: str) -> tuple[Path, Path]:
        return self.directory / f"global-{role}-nomad.pem", self.directory / f"global-{role}-nomad-key.pem"

    def block(self, role: str) -> dict[str, Any]:
        certificate, key = self.of(role)
        return {
            "http": True,
            "rpc": True,
            "ca_file": str(self.authority),
            "cert_file": str(certificate),
            "key_file": str(key),
            "verify_server_hostname": True,
            "verify_https_client": True,
        }


def make_certificates(nomad: Path, directory: Path, addresses: Sequence[str]) -> Certificates:
    directory.mkdir()

    def tls(*arguments: str) -> None:
        subprocess.run([nomad, "tls", *arguments], cwd=directory, check=True, capture_output=True)

    tls("ca", "create")
    also = [f"-additional-ipaddress={address}" for address in addresses]
    for role in ("server", "client", "cli"):
        tls("cert", "create", f"-{role}", *(also if role != "cli" else []))
    return Certificates(directory)


def agent(name: str, address: str) -> dict[str, Any]:
    return {"name": name, "bind_addr": address, "disable_update_check": True}


def place(directory: Path, acl: bool, certificates: Mapping[str, Any]) -> dict[str, Any]:
    """What a shipped configuration says itself."""
    return {
        "data_dir": str(directory / "nomad"),
        "acl": {"enabled": acl},
        **({"tls": certificates} if certificates else {}),
    }


def copy_shipped(files: Sequence[Path], places: Mapping[str, Path], target: Path) -> list[Path]:
    """Configuration files as they are, but for their directories. A file must name at least one of them."""
    copies = []
    for file in files:
        text = file.read_text()
        if not any(f'"{path}' in text for path in places):
            raise AssertionError(f"{file} names none of {', '.join(places)}")
        for path, other in places.items():
            text = text.replace(f'"{path}', f'"{other}')
        copies.append(target / file.name)
        copies[-1].write_text(text)
    return copies


def server_address(addresses: Sequence[str]) -> dict[str, Any]:
    return {
        "bootstrap_expect": len(addresses),
        "raft_multiplier": 1,
        "server_join": {"retry_join": list(addresses), "retry_interval": "1s"},
    }


def server(addresses: Sequence[str], own: Mapping[str, Any]) -> dict[str, Any]:
    return {"enabled": True, **server_address(addresses), **HEARTBEATS, **own}


def client_address(servers: Sequence[str]) -> dict[str, Any]:
    return {
        "servers": [f"{address}:4647" for address in servers],
        "network_interface": "eth0",
        "options": {"fingerprint.denylist": NOT_HERE},
    }


def client(node: Node, servers: Sequence[str], share: Path, group: str, own: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "enabled": True,
        **client_address(servers),
        "options": {"fingerprint.denylist": NOT_HERE, "driver.allowlist": "docker"},
        "node_pool": node.pool,
        "node_class": node.node_class,
        "meta": dict(node.meta),
        "cgroup_parent": f"{group}.slice",
        # Many small attempts at once on a machine with few cores and some memory: only the books are larger.
        "cpu_total_compute": 100_000,
        "memory_total_mb": 256 * 1024,
        "reserved": {"cpu": 0, "memory": 0, "disk": 0},
        "max_kill_timeout": "30m",
        "gc_max_allocs": 5000,
        "gc_disk_usage_threshold": 99,
        "gc_inode_usage_threshold": 99,
        **({"host_volume": {SHARE_VOLUME: {"path": str(share), "read_only": False}}} if node.share else {}),
        **own,
        **node.client,
    }


def plugins(node: Node, docker: Path) -> list[dict[str, Any]]:
    settings: dict[str, Any] = {
        "endpoint": f"unix://{docker}",
        "volumes": {"enabled": True},  # also what allows docker's `mount` of a host path
        "allow_runtimes": ["runc", "nvidia"],
        "gc": {"image": False},
        **node.docker,
    }
    blocks: list[dict[str, Any]] = [{"docker": {"config": settings}}]
    if node.gpus:
        blocks.append({PLUGIN: {"config": {"enabled": True, "fingerprint_period": "1s"}}})
    return blocks
