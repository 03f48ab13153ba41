"""A real Nomad cluster for tests: servers and nodes, each a machine of its own with its own docker.

    cluster = Cluster.start(nodes=2, gpus={"n2": [Card("GPU-1", "NVIDIA GeForce RTX 4070", 12282)]})
    cluster.submit(box("hello", "echo hello"))
    cluster.cut("n1"); cluster.rejoin("n1"); cluster.kill_agent("n1"); cluster.restart_agent("n1")
    cluster.stop()

Servers are s1, s2 ..., nodes n1, n2 ... Whatever was started ends with this process, also when it is killed. Several
clusters live side by side.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import ssl
import subprocess
import sys
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx

from tests.cluster import agents, images
from tests.cluster.agents import SHARE_VOLUME, Card, Certificates, Node
from tests.cluster.machines import Machine, Process, Rack, tail
from tests.cluster.tools import Tools, find
from tests.waiting import until

__all__ = ["NAMESPACE", "SHARE_VOLUME", "Card", "Cluster", "Node", "box"]

NAMESPACE = "winslow"
OWNER = 1000  # whom the shipped files take for the user of Winslow
START_SECONDS = 90.0
FIRST_SERVER, FIRST_NODE = 11, 101
LOST = "alloc is lost"


class Cluster:
    """`share` is a directory that every node sees under the same path. `token` has all rights, if there are any."""

    def __init__(
        self,
        tools: Tools,
        servers: int,
        acl: bool,
        tls: bool,
        settings: Mapping[str, Mapping[str, Any]],
        shipped: Path | None,
    ) -> None:
        self.tools = tools
        self.shipped = shipped
        self.settings = settings
        self.rack = Rack()
        self.directory = self.rack.directory
        self.share = self.directory / "share"
        self.share.mkdir()
        self.nodes: dict[str, Node] = {}
        self.agents: dict[str, Process] = {}
        self.dockers: dict[str, Process] = {}
        self.server_names = [f"s{number}" for number in range(1, servers + 1)]
        self.acl = acl
        self.token = str(uuid.uuid4()) if acl else ""
        for number, name in enumerate(self.server_names):
            self._machine(name, FIRST_SERVER + number)
        self.certificates = self._certificates() if tls else None
        self.http = self.client(self.token)

    @classmethod
    def start(
        cls,
        nodes: int | Sequence[Node] = 2,
        *,
        gpus: Mapping[str, Sequence[Card]] | None = None,
        servers: int = 1,
        acl: bool = False,
        tls: bool = False,
        server: Mapping[str, Any] | None = None,
        client: Mapping[str, Any] | None = None,
        shipped: Path | None = None,
    ) -> Cluster:
        """Comes back when every node is ready, with docker, the share and its GPUs. `server` and `client` are merged
        over these blocks of every agent. `shipped`: a directory with the configuration of real clusters, which is then
        used instead; it wants `acl`, and its tls.hcl is used with `tls`."""
        tools = find()
        if isinstance(tools, str):
            raise AssertionError(f"no Nomad cluster can run here: {tools}")
        wanted = [Node(f"n{i}") for i in range(1, nodes + 1)] if isinstance(nodes, int) else list(nodes)
        wanted = [replace(node, gpus=(gpus or {}).get(node.name, node.gpus)) for node in wanted]
        cluster = cls(tools, servers, acl, tls, {"server": server or {}, "client": client or {}}, shipped)
        try:
            for name in cluster.server_names:
                cluster.restart_server(name, wait=False)
            for node in wanted:
                cluster._prepare(node)
            cluster.wait_for_leader(START_SECONDS)
            if acl:
                cluster.api("POST", "/v1/acl/bootstrap", {"BootstrapSecret": cluster.token})
            cluster.api("PUT", f"/v1/namespace/{NAMESPACE}", {"Name": NAMESPACE})
            for node in wanted:
                cluster._equip(node)
            for node in wanted:
                cluster.wait_ready(node.name, START_SECONDS)
        except BaseException:
            cluster.stop()
            raise
        return cluster

    def stop(self) -> None:
        """Ends everything and removes the directory, the share in it included."""
        self.http.close()
        self.rack.stop()
        for process in (*self.agents.values(), *self.dockers.values()):
            process.outside.wait(30)

    # -- asking --------------------------------------------------------------------------------------------------------

    @property
    def address(self) -> str:
        return self.address_of("s1")

    def address_of(self, name: str) -> str:
        """Of a server or node: both answer."""
        scheme = "https" if self.certificates else "http"
        return f"{scheme}://{self.rack.machines[name].address}:4646"

    @property
    def environment(self) -> dict[str, str]:
        """What Nomad's own command line, and whatever follows its customs, finds the cluster by."""
        found = {"NOMAD_ADDR": self.address, "NOMAD_NAMESPACE": NAMESPACE}
        if self.token:
            found["NOMAD_TOKEN"] = self.token
        if self.certificates:
            certificate, key = self.certificates.of("cli")
            found |= {"NOMAD_CACERT": str(self.certificates.authority)}
            found |= {"NOMAD_CLIENT_CERT": str(certificate), "NOMAD_CLIENT_KEY": str(key)}
        return found

    def client(self, token: str = "", at: str = "s1") -> httpx.Client:
        """A connection to one server or node, with a token."""
        verify: ssl.SSLContext | bool = False
        if self.certificates:
            verify = ssl.create_default_context(cafile=str(self.certificates.authority))
            verify.load_cert_chain(*self.certificates.of("cli"))
        headers = {"X-Nomad-Token": token} if token else {}
        base = self.address_of(at)
        return httpx.Client(base_url=base, headers=headers, verify=verify, timeout=15, trust_env=False)

    def api(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        """One request; fails with Nomad's own words. `namespace` is Winslow's unless the query names one."""
        answer = self.http.request(method, path, json=body, params={"namespace": NAMESPACE, **query})
        if answer.is_error:
            raise AssertionError(f"{method} {path}: {answer.status_code} {answer.text}")
        return answer.json() if answer.text else None

    def command(self, *arguments: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Nomad's command line."""
        environment = {**os.environ, **self.environment}
        called = [self.tools.nomad, *arguments]
        done = subprocess.run(called, capture_output=True, text=True, check=False, env=environment)
        if check and done.returncode:
            raise AssertionError(f"nomad {' '.join(map(str, arguments))}: {done.stderr}{done.stdout}")
        return done

    def submit(self, job: Mapping[str, Any]) -> None:
        self.api("POST", "/v1/jobs", {"Job": job})

    def allocations(self, job: str) -> list[dict[str, Any]]:
        """Newest first."""
        found: list[dict[str, Any]] = self.api("GET", f"/v1/job/{job}/allocations")
        return sorted(found, key=lambda allocation: -int(allocation["CreateIndex"]))

    def status(self, job: str) -> str:
        """The newest allocation's; "" when there is none."""
        found = self.allocations(job)
        return str(found[0]["ClientStatus"]) if found else ""

    def node(self, name: str) -> dict[str, Any]:
        """The whole record of a node; of the newest, where one came back under another id."""
        found: dict[str, Any] = self.api("GET", f"/v1/node/{self.node_id(name)}")
        return found

    def node_id(self, name: str) -> str:
        known = [stub for stub in self.api("GET", "/v1/nodes") if stub["Name"] == name]
        if not known:
            raise AssertionError(f"no node {name}")
        return str(max(known, key=lambda stub: int(stub["CreateIndex"]))["ID"])

    def node_status(self, name: str) -> str:
        return str(self.node(name)["Status"])

    def log(self, name: str, program: str = "nomad", lines: int = 40) -> str:
        """The end of what an agent (`nomad`) or `dockerd` has to say."""
        return tail(self.directory / name / f"{program}.log", lines)

    def wait_for_leader(self, seconds: float = 30.0) -> None:
        until(lambda: self._answers("/v1/status/leader"), seconds, every=0.1)

    def wait_ready(self, name: str, seconds: float = 30.0) -> None:
        until(lambda: self._ready(name), seconds, every=0.1)

    # -- nodes ---------------------------------------------------------------------------------------------------------

    def add_node(self, node: Node) -> None:
        self._prepare(node)
        self._equip(node)
        self.wait_ready(node.name, START_SECONDS)

    def cut(self, name: str) -> None:
        """A node (or server) that nothing reaches and that reaches nothing; what it runs goes on."""
        self.rack.cut(name)

    def rejoin(self, name: str) -> None:
        self.rack.join(name)

    def kill_agent(self, name: str, number: int = signal.SIGKILL) -> None:
        """Containers, and Nomad's collectors of their logs, run on."""
        self.agents[name].kill(number)

    def restart_agent(self, name: str) -> None:
        """Starts it again; kills it first where it runs. Does not wait until the node is ready."""
        if self.agents[name].running:
            self.kill_agent(name)
        self._start_client(self.nodes[name])

    def freeze_agent(self, name: str) -> None:
        """It stands still, as on a machine that has no time for it; what it is sent waits."""
        self.agents[name].kill(signal.SIGSTOP, wait=False)

    def thaw_agent(self, name: str) -> None:
        go_on(self.agents[name])

    def freeze_docker(self, name: str) -> None:
        """As freeze_agent; containers run on."""
        self.dockers[name].kill(signal.SIGSTOP, wait=False)

    def thaw_docker(self, name: str) -> None:
        go_on(self.dockers[name])

    def wipe_client_state(self, name: str) -> None:
        """The agent must be dead. The node will come back as another."""
        if self.agents[name].running:
            raise AssertionError(f"the agent of {name} runs")
        machine, data = self.rack.machines[name], self.directory / name / "nomad"
        for line in reversed(machine.run("cat", "/proc/self/mounts").splitlines()):
            if (point := line.split()[1]).startswith(f"{data}/"):
                machine.run("umount", "--lazy", point)
        shutil.rmtree(data)

    def kill_docker(self, name: str, number: int = signal.SIGKILL) -> None:
        """After SIGKILL containers run on; SIGTERM ends them, unless docker runs with live-restore."""
        self.dockers[name].kill(number)

    def restart_docker(self, name: str, live_restore: bool = False) -> None:
        """Containers that are left over are taken up with live-restore, and killed without."""
        if self.dockers[name].running:
            self.kill_docker(name)
        self._start_docker(name, live_restore)
        self._wait_for_docker(name)

    def power_off(self, name: str) -> None:
        """Everything on the node is dead at once. Its disk stays."""
        self.rack.power_off(name)
        for program in (self.agents[name], self.dockers[name]):
            program.outside.wait(30)

    def power_on(self, name: str) -> None:
        self.rack.power_on(name)
        self._start_docker(name, live_restore=False)
        self._wait_for_docker(name)
        self._start_client(self.nodes[name])

    def lose_share(self, name: str) -> None:
        """An empty directory where the share was, as when it is not mounted; containers that run keep theirs."""
        self.rack.machines[name].run("mount", "-t", "tmpfs", "empty", self.share)

    def regain_share(self, name: str) -> None:
        self.rack.machines[name].run("umount", self.share)

    def set_gpus(self, name: str, cards: Sequence[Card]) -> None:
        """What the node's driver shows from now on; Nomad's plugin looks every second. Only for a node that was started
        with GPUs."""
        write_cards(self.directory / name / "cards", cards)

    def drain(self, name: str, deadline: float = -1) -> None:
        """`deadline` in seconds; -1 stops what runs at once, 0 waits for it without end."""
        spec = {"Deadline": int(deadline * 1e9) if deadline > 0 else int(deadline), "IgnoreSystemJobs": False}
        self.api("PUT", f"/v1/node/{self.node_id(name)}/drain", {"DrainSpec": spec})

    def undrain(self, name: str) -> None:
        self.api("PUT", f"/v1/node/{self.node_id(name)}/drain", {"DrainSpec": None, "MarkEligible": True})

    def set_eligible(self, name: str, eligible: bool) -> None:
        word = "eligible" if eligible else "ineligible"
        self.api("PUT", f"/v1/node/{self.node_id(name)}/eligibility", {"Eligibility": word})

    def purge(self, name: str) -> None:
        """Nomad forgets the node. An agent that runs registers it again."""
        self.api("PUT", f"/v1/node/{self.node_id(name)}/purge")

    def containers(self, name: str) -> list[str]:
        """The names of those that run (`<task>-<allocation>`)."""
        return sorted(self.docker(name, "ps", "--format", "{{.Names}}").split())

    def docker(self, name: str, *arguments: str | Path) -> str:
        """Docker's command line against the node's own daemon."""
        called = ["docker", "--host", f"unix://{self._socket(name)}", *arguments]
        done = subprocess.run(called, capture_output=True, text=True, check=False)
        if done.returncode:
            said = (done.stdout + done.stderr)[-3000:]
            raise AssertionError(f"docker {' '.join(map(str, arguments))} on {name}: {said}")
        return done.stdout

    def add_image(self, image: images.Image, names: Sequence[str] | None = None) -> None:
        """There are no registries here: every node is given the image, unless it has it."""
        for name in names if names is not None else list(self.nodes):
            if self.docker(name, "images", "--quiet", image.reference).strip():
                continue
            changes = [part for line in image.changes for part in ("--change", line)]
            self.docker(name, "import", *changes, image.tar, image.reference)

    def heal(self) -> None:
        """As it was started: whatever a test did is undone, its jobs are gone, and the nodes are ready."""
        for name in self.server_names:
            self.rejoin(name)
            if not self.agents[name].running:
                self.restart_server(name, wait=False)
        self.wait_for_leader()
        for job in self.api("GET", "/v1/jobs"):
            self.api("DELETE", f"/v1/job/{job['ID']}", purge=True)
        for name in self.nodes:
            self._heal_node(name)
        for name in self.nodes:
            self.wait_ready(name)
            if (node := self.node(name))["SchedulingEligibility"] != "eligible" or node["DrainStrategy"]:
                self.undrain(name)

    # -- servers -------------------------------------------------------------------------------------------------------

    def kill_server(self, name: str = "s1", number: int = signal.SIGKILL) -> None:
        self.agents[name].kill(number)

    def restart_server(self, name: str = "s1", wait: bool = True) -> None:
        if name in self.agents and self.agents[name].running:
            self.kill_server(name)
        addresses = [self.rack.machines[server].address for server in self.server_names]
        block = agents.server_address(addresses) if self.shipped else agents.server(addresses, self.settings["server"])
        self.agents[name] = self._start_agent(name, "server", {"server": block}, {})
        if wait:
            self.wait_for_leader()

    def configure_scheduler(self, **changes: Any) -> None:
        """For example MemoryOversubscriptionEnabled=True, PreemptionConfig={"BatchSchedulerEnabled": True}."""
        now = self.api("GET", "/v1/operator/scheduler/configuration")["SchedulerConfig"]
        self.api("PUT", "/v1/operator/scheduler/configuration", {**now, **changes})

    # -- inside --------------------------------------------------------------------------------------------------------

    def _heal_node(self, name: str) -> None:
        self.rejoin(name)
        if not self.rack.machines[name].first:
            self.power_on(name)
        if f" {self.share} tmpfs " in self.rack.machines[name].run("cat", "/proc/self/mounts"):
            self.regain_share(name)
        if not self.dockers[name].running:
            self.restart_docker(name)
        if running := self.docker(name, "ps", "--quiet").split():
            with contextlib.suppress(AssertionError):  # it ended by itself meanwhile
                self.docker(name, "kill", *running)
        if self.nodes[name].gpus:
            self.set_gpus(name, self.nodes[name].gpus)
        if not self.agents[name].running:
            self.restart_agent(name)

    def _machine(self, name: str, host: int) -> Machine:
        (self.directory / name).mkdir()
        return self.rack.add(name, host)

    def _certificates(self) -> Certificates:
        hosts = [*range(FIRST_SERVER, FIRST_SERVER + 9), *range(FIRST_NODE, FIRST_NODE + 20)]
        addresses = [self.rack.address(host) for host in hosts]
        return agents.make_certificates(self.tools.nomad, self.directory / "tls", addresses)

    def _prepare(self, node: Node) -> None:
        if node.gpus and self.tools.plugins is None:
            raise AssertionError(f"GPUs on {node.name} need Nomad's nvidia plugin, which was not found")
        self._machine(node.name, FIRST_NODE + len(self.nodes))
        self.nodes[node.name] = node
        self._start_docker(node.name, live_restore=False)

    def _equip(self, node: Node) -> None:
        self._wait_for_docker(node.name)
        self.add_image(images.box(self.directory), [node.name])
        if node.gpus:
            self.set_gpus(node.name, node.gpus)
        self._start_client(node)

    def _start_client(self, node: Node) -> None:
        servers = [self.rack.machines[name].address for name in self.server_names]
        blocks: dict[str, Any]
        environment = {}
        if self.shipped:
            blocks = {"client": agents.client_address(servers)}
            # not in a plugin block: a second one replaces the first
            environment["DOCKER_HOST"] = f"unix://{self._socket(node.name)}"
        else:
            group = self.rack.machines[node.name].namespace
            blocks = {
                "client": agents.client(node, servers, self.share, group, self.settings["client"]),
                "plugin": agents.plugins(node, self._socket(node.name)),
                **({"plugin_dir": str(self.tools.plugins)} if node.gpus else {}),
            }
        if node.gpus:
            environment["LD_LIBRARY_PATH"] = str(stand_in_for_nvml(self.directory / "nvml"))
            environment["FAKE_NVML"] = str(self.directory / node.name / "cards")
        self.agents[node.name] = self._start_agent(node.name, "client", blocks, environment)

    def _start_agent(self, name: str, role: str, blocks: Mapping[str, Any], environment: Mapping[str, str]) -> Process:
        machine, directory = self.rack.machines[name], self.directory / name
        configuration = agents.agent(name, machine.address) | dict(blocks)
        if not self.shipped:
            certificates = self.certificates.block(role) if self.certificates else {}
            configuration |= agents.place(directory, self.acl, certificates)
        own = directory / "agent.json"
        own.write_text(json.dumps(configuration, indent=1))
        files = [f"-config={file}" for file in [*self._shipped_files(name, role), own]]
        log = directory / "nomad.log"
        return machine.start(self.tools.nomad, "agent", *files, log=log, environment=environment)

    def _shipped_files(self, name: str, role: str) -> list[Path]:
        """Copies of them; the machine's own configuration comes after and adds addresses."""
        if not self.shipped:
            return []
        directory = self.directory / name
        places = {"/opt/nomad/data": directory / "nomad", "/srv/winslow": self.share, "/etc/nomad.d/tls": directory}
        names = [f"{role}.hcl"]
        if role == "client":
            names += self.nodes[name].also
            places["/var/lib"] = directory
            for own in ("winslow", "winslow-registry"):
                (directory / own).mkdir(mode=0o700, exist_ok=True)
                os.chown(directory / own, OWNER, OWNER)
        if role == "client" and self.nodes[name].gpus and self.tools.plugins:
            places["/opt/nomad/plugins"] = self.tools.plugins
            names.append("gpu.hcl")
        if self.certificates:
            names.append("tls.hcl")
            certificate, key = self.certificates.of(role)
            shutil.copy(self.certificates.authority, directory / "ca.pem")
            shutil.copy(certificate, directory / "agent.pem")
            shutil.copy(key, directory / "agent-key.pem")
        return agents.copy_shipped([self.shipped / file for file in names], places, directory)

    def _socket(self, name: str) -> Path:
        return self.directory / name / "docker.sock"

    def _start_docker(self, name: str, live_restore: bool) -> None:
        machine, directory = self.rack.machines[name], self.directory / name
        options = {
            "data-root": directory / "docker",
            "exec-root": "/run/docker",  # the machine's own /run: gone when it loses power
            "pidfile": "/run/docker.pid",
            "host": f"unix://{self._socket(name)}",
            "bip": "172.30.0.1/24",
            "cgroup-parent": f"/{machine.namespace}",
            "exec-opt": "native.cgroupdriver=cgroupfs",
            "add-runtime": f"nvidia={shutil.which('runc')}",  # what a GPU task asks for; there is no GPU to pass on
            "insecure-registry": self.rack.subnet,
            "live-restore": str(live_restore).lower(),
            **self.nodes[name].daemon,
        }
        arguments = [f"--{key}={value}" for key, value in options.items()]
        self.dockers[name] = machine.start("dockerd", *arguments, log=directory / "dockerd.log")

    def _wait_for_docker(self, name: str) -> None:
        def answers() -> bool:
            if not self.dockers[name].running:
                raise AssertionError(f"docker on {name} ended:\n{self.log(name, 'dockerd')}")
            try:
                with httpx.Client(transport=httpx.HTTPTransport(uds=str(self._socket(name)))) as docker:
                    return docker.get("http://docker/_ping").is_success
            except httpx.HTTPError:
                return False

        until(answers, START_SECONDS, every=0.05)

    def _answers(self, path: str) -> Any:
        for name in self.server_names:
            if not self.agents[name].running:
                raise AssertionError(f"server {name} ended:\n{self.log(name)}")
        try:
            answer = self.http.get(path)
        except httpx.HTTPError:
            return None
        return answer.json() if answer.is_success else None

    def _ready(self, name: str) -> bool:
        if not self.agents[name].running:
            raise AssertionError(f"the agent of {name} ended:\n{self.log(name)}")
        stubs = self._answers("/v1/nodes")
        if not any(stub["Name"] == name and stub["Status"] == "ready" for stub in stubs or []):
            return False
        found, node = self.node(name), self.nodes[name]
        cards = sum(len(group["Instances"]) for group in found["NodeResources"]["Devices"] or [])
        expected = len([card for card in node.gpus if not card.broken])
        docker = (found["Drivers"].get("docker") or {}).get("Healthy", False)
        return bool(found["Status"] == "ready" and docker and cards >= expected)


def go_on(frozen: Process) -> None:
    frozen.kill(signal.SIGCONT, wait=False)
    frozen.outside.send_signal(signal.SIGCONT)  # nsenter stops together with what it has started


def write_cards(file: Path, cards: Sequence[Card]) -> None:
    """In one step: the plugin reads it at any time."""
    part = file.with_suffix(".part")
    part.write_text("".join(card.line() for card in cards))
    part.replace(file)


def stand_in_for_nvml(directory: Path) -> Path:
    """A directory with a libnvidia-ml.so.1 that shows the cards of $FAKE_NVML."""
    library = directory / "libnvidia-ml.so.1"
    if not library.exists():
        directory.mkdir(exist_ok=True)
        source = Path(__file__).parents[1] / "driver" / "fake_nvml.c"
        compiler = [found] if (found := shutil.which("cc")) else [sys.executable, "-m", "ziglang", "cc"]
        subprocess.run([*compiler, "-shared", "-fPIC", "-o", library, source], check=True)
    return directory


def box(job: str, script: str, **task: Any) -> dict[str, Any]:
    """A batch job of one task that runs a shell script in the small image. `task` is merged over the task."""
    config = {"image": images.BOX, "entrypoint": ["/bin/sh", "-c"], "command": script}
    config |= task.pop("Config", {})
    one = {
        "Name": "main",
        "Driver": "docker",
        "Config": config,
        "Resources": {"CPU": 50, "MemoryMB": 32},
        "RestartPolicy": {"Attempts": 0, "Mode": "fail"},
        **task,
    }
    group = {
        "Name": "main",
        "Tasks": [one],
        "RestartPolicy": {"Attempts": 0, "Mode": "fail"},
        "ReschedulePolicy": {"Attempts": 0, "Unlimited": False},
        "Disconnect": {"LostAfter": 3600 * 10**9, "Replace": False},
        "EphemeralDisk": {"SizeMB": 30},
    }
    one["LogConfig"] = {"MaxFiles": 2, "MaxFileSizeMB": 5}
    return {"ID": job, "Name": job, "Namespace": NAMESPACE, "Type": "batch", "TaskGroups": [group]}


def was_given_up(allocation: dict[str, Any]) -> bool:
    """Nomad has taken it for lost and replaced it. What its node has started all the same ends when that returns."""
    return allocation["DesiredStatus"] == "stop" and LOST in allocation["DesiredDescription"]


def when(condition: Callable[[], Any], seconds: float = 30.0) -> Any:
    """`until`, at a pace that suits a cluster."""
    return until(condition, seconds, every=0.1)
