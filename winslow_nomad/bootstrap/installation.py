"""Wires the parts of one installation together, from settings. The only place that sees all of them.

Parts are made when they are first asked for: a command that only lists projects starts no scribe."""

from __future__ import annotations

import logging
import os
import secrets
import sys
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Generic, Self, TypeVar, overload

from redis import Redis

from winslow_nomad import __version__, runner
from winslow_nomad.bootstrap.choices import Choices
from winslow_nomad.bootstrap.housekeeping import Housekeeping, largest
from winslow_nomad.bootstrap.limits import Limits
from winslow_nomad.bootstrap.nomad import nomad_driver
from winslow_nomad.bootstrap.owners import gone
from winslow_nomad.config import Settings
from winslow_nomad.core.errors import DriverUnavailable, Refused, StoreUnavailable
from winslow_nomad.core.messages import FilesGiven
from winslow_nomad.core.nodes import Loads
from winslow_nomad.core.operations import OperationKind
from winslow_nomad.core.ports import Driver
from winslow_nomad.core.stage import EnvironmentValue
from winslow_nomad.driver.local import machine
from winslow_nomad.driver.local.driver import LocalDriver
from winslow_nomad.driver.local.load import LocalLoads
from winslow_nomad.driver.nomad.driver import NomadDriver
from winslow_nomad.events.admission import Admission
from winslow_nomad.events.advance import Advance, Sender
from winslow_nomad.events.contact import Heartbeats
from winslow_nomad.events.perform import Performer
from winslow_nomad.events.pinning import Pinning
from winslow_nomad.events.sweep import Sweep
from winslow_nomad.images.registries import Login, Registries, Site
from winslow_nomad.resources import scribe
from winslow_nomad.resources.apart import Apart
from winslow_nomad.resources.attempts import ShareAttempts, install_runner
from winslow_nomad.resources.operate import Handler
from winslow_nomad.resources.pool import Pool
from winslow_nomad.resources.porter import Porters
from winslow_nomad.resources.probe import can_reflink
from winslow_nomad.resources.reader import Reader
from winslow_nomad.resources.scribe import Scribe
from winslow_nomad.resources.share_files import ShareFiles
from winslow_nomad.resources.trash import Trash
from winslow_nomad.resources.tree import Tree
from winslow_nomad.resources.workspaces import CopyWorkspace
from winslow_nomad.store.breaker import Breakers
from winslow_nomad.store.check import check_server
from winslow_nomad.store.client import Address, probe_client, reader_client, state_client, worker_client
from winslow_nomad.store.embedded import Embedded
from winslow_nomad.store.journal import JournalFeed
from winslow_nomad.store.keys import Keys
from winslow_nomad.store.lease import Lease
from winslow_nomad.store.live import Live
from winslow_nomad.store.operations import RedisOperations
from winslow_nomad.store.redis import RedisStore
from winslow_nomad.store.registries import RedisRegistries
from winslow_nomad.store.schema import open_schema
from winslow_nomad.store.secrets import Secrets

log = logging.getLogger(__name__)
T = TypeVar("T")


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)


def new_id(prefix: str) -> str:
    """Twelve letters and digits, not to be guessed and without upper case (file systems differ)."""
    alphabet = "abcdefghjkmnpqrstuvwxyz23456789"
    return prefix + "".join(secrets.choice(alphabet) for _ in range(12))


class DriverFiles:
    """driver.local.files.Files with deadlines."""

    def __init__(self, writer: Scribe, reader: Reader) -> None:
        self._write, self._read = writer, reader

    def read(self, path: Path) -> bytes | None:
        return self._read.read(self._name(path))

    def look(self, work: Callable[[], T]) -> T:
        return self._read.call(work, "a directory")

    def put(self, path: Path, data: bytes | None, empty: Sequence[Path]) -> None:
        steps = [scribe.create(self._name(p), "") for p in empty]
        if data is not None:
            text = data.decode("utf-8", "surrogateescape")
            steps.append(scribe.write(self._name(path), text, mode=0o600, sync=False))
        if steps:
            self._write.perform(steps, f"{self._name(path)} was not written")

    def _name(self, path: Path) -> str:
        return str(path.relative_to(self._write.root))


class Drivers(dict[str, Driver]):
    """By name. What is begun with a driver that is not set here waits for a process that has it."""

    def __missing__(self, name: str) -> Driver:
        raise DriverUnavailable(
            f"The driver {name} is not set in this process; nothing was started or stopped.",
            hint=f"Set WINSLOW_DRIVER={name}, and start Winslow anew.",
            code="driver.not_set",
        )


class part(Generic[T]):  # noqa: N801 - used as a decorator
    """What is made when it is first asked for, and once: threads that ask at the same time wait for the one that makes
    it (functools.cached_property lets them make several of it, since Python 3.12)."""

    def __init__(self, make: Callable[[Any], T]) -> None:
        self._make = make
        self._lock = threading.RLock()

    def __set_name__(self, _: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, owner: None, _: type) -> Self: ...

    @overload
    def __get__(self, owner: object, _: type) -> T: ...

    def __get__(self, owner: object | None, _: type) -> Self | T:
        if owner is None:
            return self
        made = vars(owner)
        with self._lock:
            if self._name not in made:
                made[self._name] = self._make(owner)
        found: T = made[self._name]
        return found


class Installation:
    """`close` lets go of everything; stages run on."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.clock = SystemClock()
        self.keys = Keys(prefix=settings.installation)
        self._closing: list[Callable[[], object]] = []

    def close(self) -> None:
        while self._closing:
            self._closing.pop()()

    # --- the store

    @part
    def server(self) -> Embedded | None:
        """The embedded server, joined or started; None when another one is named."""
        if self.settings.redis_url:
            return None
        home = self.settings.home
        try:
            home.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            why = "it is a file" if isinstance(error, FileExistsError) else error.strerror
            raise StoreUnavailable(
                f"The data directory {home} cannot be made: {why}. Nothing was changed.",
                hint="Set WINSLOW_HOME to a directory that you may write to.",
                code="store.directory",
            ) from error
        server = Embedded(self.settings.home / "store")
        server.start()
        self._closing.append(server.stop)
        return server

    @part
    def address(self) -> Address:
        return Address(url=self.settings.redis_url) if self.server is None else self.server.address

    def _client(self, make: Callable[[Address], Redis]) -> Redis:
        client = make(self.address)
        self._closing.append(client.close)
        return client

    @part
    def state(self) -> Redis:
        """Refused where the server would lose what was acknowledged, or is newer than this Winslow."""
        client = self._client(state_client)
        if self.server is None:
            refused = [f for f in check_server(client) if f.severity == "refuse"]
            if refused:
                raise StoreUnavailable(refused[0].text, hint=refused[0].fix, code="store.unsafe")
        open_schema(client, self.keys)
        return client

    @part
    def store(self) -> RedisStore:
        return RedisStore(self.state, keys=self.keys, clock=self.clock)

    @part
    def breakers(self) -> Breakers:
        return Breakers(self.state, self.clock, self.keys)

    @part
    def operations(self) -> RedisOperations:
        return RedisOperations(self.state, self._client(reader_client), self.clock, self.keys, gone)

    @part
    def live(self) -> Live:
        return Live(self._client(reader_client), self.keys)

    @part
    def journal(self) -> JournalFeed:
        return JournalFeed(self.state, self.clock, self.keys)

    @part
    def secrets(self) -> Secrets:
        return Secrets(self.state, self.settings.home / "secret.key", self.clock, self.keys)

    def lease(self, owner: str, name: str = "controller") -> Lease:
        return Lease(self.state, owner, name=name, keys=self.keys, gone=gone)

    def worker_client(self) -> Redis:
        return self._client(worker_client)

    def probe_client(self) -> Redis:
        return self._client(probe_client)

    # --- the share

    @part
    def scribe(self) -> Scribe:
        writer = Scribe(self.settings.share)
        self._closing.append(writer.close)
        writer.establish(self.settings.installation)
        return writer

    @part
    def reader(self) -> Reader:
        return Reader(self.settings.share)

    @part
    def attempts(self) -> ShareAttempts:
        here = str(Path(sys.executable).parent)
        path = f"{here}:{os.environ.get('PATH', '/usr/local/bin:/usr/bin:/bin')}"
        return ShareAttempts(
            self.scribe,
            self.reader,
            self.operations,
            self.clock,
            reveal=self.secrets.reveal,
            installation=self.settings.installation,
            driver_places={"local": "local", "nomad": "container"},
            base={"local": {"PATH": path, "LANG": os.environ.get("LANG", "C.UTF-8")}},
            largest=lambda: largest(self),
        )

    @part
    def handlers(self) -> dict[OperationKind, Handler]:
        """What the process for files can do."""
        copies = CopyWorkspace(
            self.scribe, self.reader, lambda: can_reflink(self.scribe, self.reader), lambda: largest(self)
        )
        apart = Apart(self.settings.share, self.mapped)
        return {
            "workspace": copies, "import": apart, "checksum": apart, "delete": apart, "unpack": apart,
            "clean": self.housekeeping.clean, "take_back": self.housekeeping.take_back,
        }  # fmt: skip

    @part
    def housekeeping(self) -> Housekeeping:
        return Housekeeping(self)

    @part
    def mapped(self) -> dict[str, Path]:
        return {name: Path(path) for name, path in self.settings.roots.items()}

    @part
    def trash(self) -> Trash:
        return Trash(self.settings.share)

    @part
    def pool(self) -> Pool:
        return Pool(self.settings.share, self.mapped, lambda: new_id("o"), self.clock.now)

    @part
    def files(self) -> ShareFiles:
        """What people see as files, and change by processes of their own."""
        porters = Porters(self.settings.share, establish=lambda: self.scribe)
        self._closing.append(porters.close)
        return ShareFiles(
            Tree(self.settings.share, self.mapped),
            porters,
            self.operations,
            self.clock,
            new_id=new_id,
            give=lambda project: self.sender.facts(project, [FilesGiven()]),
            sizes=self.settings.home / "usage.json",
        )

    def install_runner(self) -> Path:
        """The runner of this version, on the share; the one for this machine."""
        install_runner(self.scribe, __version__, runner.binary)
        return runner.binary()

    # --- drivers and what moves projects

    @part
    def drivers(self) -> dict[str, Driver]:
        """The one that is set, and always `local`: projects that were begun with it go on."""
        name = self.settings.driver
        if name not in ("local", "nomad"):
            raise Refused(
                f"There is no driver {name!r} in this installation.",
                hint="The drivers are `local` and `nomad`.",
                code="driver.unknown",
            )
        here = machine.this_machine(cpu=self.settings.cpu or None, memory=self.settings.memory or None)
        local = LocalDriver(
            share=self.settings.share,
            home=self.settings.home,
            attempts=self.attempts,
            runner=self.install_runner(),
            clock=self.clock,
            machine=here,
            files=DriverFiles(self.scribe, self.reader),
        )
        made = Drivers(local=local)
        if name == "nomad":
            made["nomad"] = self.nomad
        return made

    @part
    def nomad(self) -> NomadDriver:
        """What containers mount has to be there before: docker makes no directory on the share."""
        self.install_runner()
        folders = ["inputs", *(f"inputs/{name}" for name in self.settings.roots)]
        self.scribe.perform([scribe.mkdir(folder) for folder in folders], "the input pool was not made")
        made = nomad_driver(self.settings, self.attempts, self.clock)
        self._closing.append(made.close)
        return made

    @part
    def loads(self) -> dict[str, Loads]:
        """What drivers can say of how busy their nodes are."""
        here = machine.this_machine(cpu=self.settings.cpu or None, memory=self.settings.memory or None)
        local = LocalLoads(machine=here, home=self.settings.home, disk=self.settings.home, clock=self.clock)
        found: dict[str, Loads] = {"local": local} if "local" in self.drivers else {}
        return {**found, "nomad": self.nomad.loads} if "nomad" in self.drivers else found

    @part
    def sender(self) -> Sender:
        return Sender(self.store, self.clock)

    @part
    def choices(self) -> Choices:
        """Settings as they are now; `settings` are those of the start."""
        return Choices(self)

    def variables(self) -> tuple[EnvironmentValue, ...]:
        """The layer `installation` of every stage's environment, as it is now."""
        items = self.choices.now().environment.items()
        return tuple(EnvironmentValue(name=k, value=v, origin="installation") for k, v in items)

    @part
    def limits(self) -> Limits:
        return Limits(self)

    @part
    def admission(self) -> Admission:
        return Admission(self.drivers, self.store, self.clock, self.sender, self.variables, self.limits)

    @part
    def registry_logins(self) -> RedisRegistries:
        return RedisRegistries(self.state, self.secrets, self.clock, self.keys)

    @part
    def registries(self) -> Registries:
        found = self.settings.registries
        site = Site(insecure=found.insecure, unasked=found.unasked, authority=found.ca_cert)

        def login(host: str) -> Login | None:
            stored = self.registry_logins.reveal(host)
            return Login(*stored) if stored is not None else None

        made = Registries(site, login)
        self._closing.append(made.close)
        return made

    @part
    def pinning(self) -> Pinning:
        """Who is asked what the names of images stand for. Of drivers, `nomad` alone has images."""
        return Pinning(self.attempts, {"nomad": self.registries}, self.admission.inventory, time.monotonic)

    @part
    def advance(self) -> Advance:
        performer = Performer(self.drivers, self.attempts, self.operations, self.pinning)
        return Advance(self.store, self.sender, performer, self.admission, self.breakers)

    @part
    def sweep(self) -> Sweep:
        heartbeats = Heartbeats(self.attempts, time.monotonic)
        return Sweep(
            self.store,
            self.store,
            self.drivers,
            self.attempts,
            self.operations,
            heartbeats,
            self.admission.inventory,
            self.pinning,
            self.sender.facts,
            self.limits,
        )
