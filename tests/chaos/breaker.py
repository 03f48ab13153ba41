"""Breaks one thing after the other of Winslow and of the Nomad below it, and mends each after a while. It writes down
what died by its hand, so that nothing else can be blamed on it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random

from tests.cluster.whole import Whole

# How often each is chosen. "machine" is the power of a node, "net" and "server net" a cable that is pulled, "frozen" a
# process of Winslow that stands still and comes back believing what it believed, "stalled" the same of an agent.
WEIGHTS = {
    "controller": 4, "worker": 4, "operations": 1, "store": 2, "frozen": 2, "container": 5, "agent": 3, "stalled": 1,
    "docker": 2, "machine": 2, "server": 2, "server net": 1, "net": 4,
}  # fmt: skip
LONGEST = {"agent": 8.0, "stalled": 6.0, "docker": 4.0, "machine": 6.0, "server": 5.0, "server net": 6.0, "net": 9.0}
LONGEST_FROZEN = 8.0


@dataclass
class Death:
    """Whatever ran on a node may have died between these two times (Unix seconds)."""

    node: str
    began: float
    ended: float = float("inf")


@dataclass
class Breaker:
    """Never two faults of one part at once."""

    world: Whole
    random: Random
    done: Counter[str] = field(default_factory=Counter)
    killed: set[str] = field(default_factory=set)  # names of containers
    deaths: list[Death] = field(default_factory=list)
    _mend: dict[str, tuple[float, Callable[[], object]]] = field(default_factory=dict)

    def some_fault(self) -> None:
        cluster, random = self.world.cluster, self.random
        what = random.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
        node = random.choice(sorted(cluster.nodes))
        role = random.choice([r for r in self.world.roles if what in ("frozen", r.rstrip("12"))] or [what])
        if what in ("controller", "worker", "operations", "store"):
            self.done[what] += self.world.kill(role)
        elif what == "frozen":
            self.done[what] += self.world.freeze(role, random.uniform(0.1, LONGEST_FROZEN))
        elif what == "container":
            self.done[what] += any(self._kill_container(name) for name in (node, *sorted(cluster.nodes)))
        elif what == "server":
            self._break(what, "server", cluster.kill_server, lambda: cluster.restart_server(wait=False))
        elif what == "server net":
            self._break(what, "server", lambda: cluster.cut("s1"), lambda: cluster.rejoin("s1"))
        elif what == "net":
            self._break(what, f"net {node}", lambda: cluster.cut(node), lambda: cluster.rejoin(node))
        elif f"machine {node}" in self._mend:
            return  # nothing of it is left to be broken
        elif what == "agent":
            self._break(what, f"agent {node}", lambda: cluster.kill_agent(node), lambda: cluster.restart_agent(node))
        elif what == "stalled":
            self._break(what, f"agent {node}", lambda: cluster.freeze_agent(node), lambda: cluster.thaw_agent(node))
        elif what == "docker":
            takes_up = random.random() < 0.5
            self._break(what, f"docker {node}", lambda: cluster.kill_docker(node),
                        lambda: cluster.restart_docker(node, live_restore=takes_up), deadly=node)  # fmt: skip
        elif not {f"agent {node}", f"docker {node}"} & self._mend.keys():
            self._break(what, f"machine {node}", lambda: cluster.power_off(node),
                        lambda: cluster.power_on(node), deadly=node)  # fmt: skip

    def mend(self, everything: bool = False) -> None:
        now = time.monotonic()
        for what in [w for w, (due, _) in self._mend.items() if everything or due <= now]:
            self._mend.pop(what)[1]()

    def has_killed(self, container: str, node: str, claimed: float) -> bool:
        """One that claimed its attempt at that time, there. None of them works for longer than a few seconds."""
        near = (d for d in self.deaths if d.node == node)
        return container in self.killed or any(d.began - 10 <= claimed <= d.ended for d in near)

    def had_broken(self, began: float, ended: float) -> bool:
        """Something that keeps containers from starting, on some node, between these two times."""
        return any(d.began - 1 <= ended and began <= d.ended + 15 for d in self.deaths)

    def _kill_container(self, node: str) -> bool:
        """As the kernel does when memory is short: nobody in it has a last word."""
        cluster = self.world.cluster
        with suppress(AssertionError):  # it was quicker, or docker is away
            running = cluster.containers(node)
            if running:
                victim = self.random.choice(running)
                cluster.docker(node, "kill", victim)
                self.killed.add(victim)
                return True
        return False

    def _break(
        self, kind: str, what: str, fault: Callable[[], object], mend: Callable[[], object], deadly: str = ""
    ) -> None:
        if what in self._mend:
            return
        death = Death(deadly, time.time())
        if deadly:
            self.deaths.append(death)
        fault()

        def heal() -> None:
            mend()
            death.ended = time.time()

        self._mend[what] = (time.monotonic() + self.random.uniform(0.2, LONGEST[kind]), heal)
        self.done[kind] += 1
