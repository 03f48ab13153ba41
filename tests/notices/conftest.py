"""An installation whose notifications go to servers of this test."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests import builders
from tests.notices.servers import HookServer, MailServer
from tests.valkey import Server, directory, running_server, server
from winslow_nomad import config
from winslow_nomad.bootstrap.installation import Installation
from winslow_nomad.bootstrap.notices import InstalledNotices, telling
from winslow_nomad.core import messages as m
from winslow_nomad.core.access import Role
from winslow_nomad.core.notices import Fresh
from winslow_nomad.core.people import Person
from winslow_nomad.core.pipeline import Confirm
from winslow_nomad.core.project import Member, Project
from winslow_nomad.notices.sending import Pace, Sending
from winslow_nomad.store.client import Address
from winslow_nomad.store.people import RedisPeople

__all__ = ["directory", "running_server", "server"]
QUICK = Pace(quiet=0.2, longest=2.0, between=0.2, again=0.3, most=1.0, enough=60.0)


@dataclass
class Telling:
    """`mem` is the author of what is made here and has a mail address; `ann` administers; `vic` sees nothing of it."""

    home: Path
    environ: dict[str, str]
    installation: Installation
    mail: MailServer
    hook: HookServer
    notices: InstalledNotices
    people: RedisPeople
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def sending(self, pace: Pace = QUICK, owner: str = "this test") -> Sending:
        return telling(self.installation, owner, pace)

    def project(
        self, name: str = "p1", gates: int = 1, *, actor: str = "", members: tuple[Member, ...] = ()
    ) -> Project:
        """It asks `gates` questions at once, which is what the notices are about. `actor`: who starts it."""
        asking = Confirm(ask="always")
        stages = tuple(builders.a_definition(f"s{n}", confirm=asking, image="x:1") for n in range(gates))
        pipeline = builders.a_pipeline().but(stages=stages) if gates else builders.a_pipeline()
        send = self.installation.sender
        made = m.CreateProject(project=name, name=f"Night {name}", pipeline=pipeline, actor="mem", participants=members)
        send(name, [made], actor="mem")
        return send(name, [m.StartProject(actor=actor)], actor=actor)

    def webhook(self, user: str = "ann", **changes: object) -> Fresh:
        fresh = self.notices.add_channel(user, "webhook", "a test", self.hook.url, None)
        if changes:
            self.notices.change_channel(user, fresh.channel.id, changes)
        return fresh

    def sender(self) -> subprocess.Popen[bytes]:
        """A process that sends, as the controller does."""
        root = Path(__file__).parents[2]
        made = subprocess.Popen(
            [sys.executable, "-m", "tests.notices.sender"],
            env={**self.environ, "PATH": "/usr/bin:/bin", "PYTHONPATH": str(root)},
            cwd=root,
        )
        self.processes.append(made)
        return made

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        process.send_signal(signal.SIGKILL)
        process.wait(10)


@pytest.fixture
def world(server: Server) -> Iterator[Telling]:
    folder = Path(tempfile.mkdtemp(prefix="notices-", dir="/tmp"))
    mail, hook = MailServer().start(), HookServer().start()
    environ = {
        "WINSLOW_HOME": str(folder / "h"),
        "HOME": str(folder),
        "USER": "ann",
        "REDIS_URL": url_of(server.address),
        "WINSLOW_INSTALLATION": server.keys.prefix,
        "WINSLOW_SMTP_URL": mail.url,
        "WINSLOW_MAIL_FROM": "winslow@example.org",
        "WINSLOW_PUBLIC_URL": "https://winslow.example.org/",
    }
    installation = Installation(config.load(environ))
    people = RedisPeople(installation.state, installation.clock, installation.keys)
    for name, role in {"vic": Role.VIEWER, "mem": Role.MEMBER, "mat": Role.MAINTAINER, "ann": Role.ADMIN}.items():
        address = "mem@example.org" if name == "mem" else ""
        people.add(Person(name=name, role=role, email=address, made=installation.clock.now()))
    made = Telling(folder, environ, installation, mail, hook, InstalledNotices(installation), people)
    yield made
    for process in made.processes:
        made.kill(process)
    installation.close()
    for each in (mail, hook):
        each.stop()
    shutil.rmtree(folder, ignore_errors=True)


def url_of(address: Address) -> str:
    return f"unix://:{address.password}@{address.socket}"
