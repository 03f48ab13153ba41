"""`winslow` with a made-up installation, as a program: `python -m tests.cli.at_terminal ROOT SPECIAL ARGS...`.

SPECIAL: stages that never end by themselves, as NAME, as NAME:PERCENT, or as NAME:FILE with what they write,
and `away` for a store that takes no pause. Commands that were accepted are in ROOT/sent. On SIGUSR1 somebody
else answers the open question."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from tests.cli import worlds
from tests.fakes.client import FakeClient, FakeDoors, Plan, World
from winslow_nomad.cli.main import main
from winslow_nomad.core.errors import StoreUnavailable
from winslow_nomad.core.messages import AnswerGate


def somebody_else(world: World) -> None:
    for project in list(world.projects.values()):
        for gate in project.gates:
            FakeClient(world).send(project.id, AnswerGate(actor="jonas", gate=gate.id))


root, special = Path(sys.argv[1]), sys.argv[2].split(",")
world = worlds.world(root / "share")
world.journal = root / "sent"
for name in special:
    if name == "away":
        world.refused["pause_project"] = StoreUnavailable("The store is away.")
    elif name:
        name, _, more = name.partition(":")
        out = (root / more).read_bytes() if more and not more.isdigit() else b"still at it\n"
        world.plans[name] = Plan(steps=None, out=out, percent=float(more) if more.isdigit() else None)
signal.signal(signal.SIGUSR1, lambda *_: somebody_else(world))
del sys.argv[1:3]
main(FakeDoors(world))
