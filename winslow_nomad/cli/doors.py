"""The way from the command line to an installation: the data directory of this machine, or a server.

Everything that a command needs from outside comes through `Doors`, so that either can stand behind the same
commands. Nothing is opened before a command asks for it, and settings are read once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from winslow_nomad.client.contexts import Chosen
    from winslow_nomad.config import Settings
    from winslow_nomad.core.accounts import Accounts
    from winslow_nomad.core.client import Client, Finding
    from winslow_nomad.core.images import RegistryBook
    from winslow_nomad.core.pipeline import Pipeline


class Engine(Protocol):
    """What runs stages while it is open; joins what another process already runs."""

    @property
    def client(self) -> Client: ...


class Front(Protocol):
    """Serves the API while it is open."""

    address: str

    def keep(self) -> None:
        """Start it, or start it again when it has ended. Never waits."""
        ...


class Doors(Protocol):
    @property
    def server(self) -> str:
        """Its address; empty: the data directory of this machine."""
        ...

    @property
    def user(self) -> str:
        """Who acts on this machine; a server knows by itself."""
        ...

    @property
    def home(self) -> Path: ...

    @property
    def driver(self) -> str:
        """Of new projects on this machine."""
        ...

    def client(self) -> AbstractContextManager[Client]: ...

    def accounts(self) -> AbstractContextManager[Accounts]: ...

    def registries(self) -> AbstractContextManager[RegistryBook]: ...

    def engine(self, driver: str) -> AbstractContextManager[Engine]: ...

    def read_pipeline(self, path: Path) -> Pipeline:
        """Read and check, store nothing. InvalidPipeline."""
        ...

    def schema(self) -> dict[str, Any]: ...

    def examine_nomad(self, image: str) -> Sequence[Finding]:
        """The nodes of the cluster, from this machine; with an image, a trial of the share on each."""
        ...

    def rebuild(self) -> Sequence[str]:
        """Restore the store from the share; what was found, in sentences."""
        ...

    def backup(self, target: Path) -> Sequence[str]: ...

    def restore_backup(self, file: Path) -> Sequence[str]: ...

    def serve(self, what: str) -> None:
        """Run the controller, the worker or the worker of operations until told to end."""
        ...

    def serve_api(self, host: str, port: int, insecure: bool) -> None:
        """Serve the REST API until told to end."""
        ...

    def front(self, host: str, port: int | None, insecure: bool) -> AbstractContextManager[Front]:
        """The REST API in a process of its own; `port` None: the usual one, or a free one."""
        ...


class Installation:
    """The real thing. `context`: the server that was named on the command line, or `local`."""

    def __init__(self, context: str = "") -> None:
        self._context = context

    @cached_property
    def chosen(self) -> Chosen | None:
        from winslow_nomad.client import contexts

        return contexts.choose(self._context)

    @property
    def server(self) -> str:
        return self.chosen.url if self.chosen is not None else ""

    @cached_property
    def settings(self) -> Settings:
        from winslow_nomad import config

        return config.load()

    @property
    def user(self) -> str:
        return self.settings.user

    @property
    def home(self) -> Path:
        return self.settings.home

    @property
    def driver(self) -> str:
        return self.settings.driver

    def client(self) -> AbstractContextManager[Client]:
        from contextlib import closing

        if self.chosen is not None:
            from winslow_nomad.client import open_client

            return open_client(self.chosen)

        from winslow_nomad import bootstrap

        return closing(bootstrap.open_client(self.settings))

    def accounts(self) -> AbstractContextManager[Accounts]:
        if self.chosen is not None:
            from winslow_nomad.client import open_accounts

            return open_accounts(self.chosen)

        from winslow_nomad.bootstrap.accounts import open_accounts as open_here

        return open_here(self.settings)

    def registries(self) -> AbstractContextManager[RegistryBook]:
        if self.chosen is not None:
            from winslow_nomad.client import open_registries

            return open_registries(self.chosen)

        from winslow_nomad.bootstrap.registries import open_registries as open_here

        return open_here(self.settings)

    def engine(self, driver: str) -> AbstractContextManager[Engine]:
        from winslow_nomad import bootstrap

        return bootstrap.open_engine(replace(self.settings, driver=driver))

    def read_pipeline(self, path: Path) -> Pipeline:
        from winslow_nomad import bootstrap

        return bootstrap.read_pipeline(path)

    def schema(self) -> dict[str, Any]:
        from winslow_nomad import bootstrap

        return bootstrap.pipeline_schema()

    def examine_nomad(self, image: str) -> Sequence[Finding]:
        from winslow_nomad.bootstrap.nomad_doctor import examine_nomad

        return examine_nomad(self.settings, image)

    def rebuild(self) -> Sequence[str]:
        from winslow_nomad import bootstrap

        return bootstrap.rebuild(self.settings)

    def backup(self, target: Path) -> Sequence[str]:
        from winslow_nomad import bootstrap

        return bootstrap.backup(self.settings, target)

    def restore_backup(self, file: Path) -> Sequence[str]:
        from winslow_nomad import bootstrap

        return bootstrap.restore_backup(self.settings, file)

    def serve(self, what: str) -> None:
        from winslow_nomad.bootstrap import engine

        serve: dict[str, Callable[[Settings], None]] = {
            "controller": engine.run_controller,
            "worker": engine.run_worker,
            "operations": engine.run_operations,
        }
        serve[what](self.settings)

    def serve_api(self, host: str, port: int, insecure: bool) -> None:
        from winslow_nomad.bootstrap.serve import run_serve

        run_serve(self.settings, host=host, port=port, insecure=insecure)

    def front(self, host: str, port: int | None, insecure: bool) -> AbstractContextManager[Front]:
        from winslow_nomad.bootstrap.front import open_front

        return open_front(self.settings, host, port, insecure=insecure)


def of(context: Any) -> Doors:
    """The doors of this call: given by who embeds the command line, or those of this machine."""
    if context.obj is None:
        context.find_root().obj = context.obj = Installation()
    doors: Doors = context.obj
    return doors
