"""Images: what a name means, what of an image is remembered, and what a stage runs in it. Pure.

A name with a registry in it (`registry.example.org/team/tool:1.2`, `docker.io/library/busybox:1`) is looked up there
once for each stage, and stays what it was found to be. A name without one (`tool:1.2`) means whatever a node has by
that name, or gets: nobody is asked, so nothing is known of it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from winslow_nomad.core.errors import Invalid
from winslow_nomad.core.inventory import Inventory
from winslow_nomad.core.model import Record, Value

HUB = "docker.io"
ARCHITECTURES = ("amd64", "arm64")  # that there is a runner for; the first is preferred
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_HOST = re.compile(r"\[[0-9a-fA-F:.]+\](?::[0-9]{1,5})?|[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::[0-9]{1,5})?")
_PATH = re.compile(r"[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*)*")
_TAG = re.compile(r"\w[\w.-]{0,127}", re.ASCII)


class Reference(Value):
    """A name with a registry in it. `digest`: where the name itself has one, which then counts, not the tag."""

    host: str  # with the port, as the name has it
    path: str
    tag: str = ""
    digest: str = ""

    @property
    def repository(self) -> str:
        """Its path at the registry: the Hub keeps what has no owner below `library`."""
        return f"library/{self.path}" if self.host == HUB and "/" not in self.path else self.path

    @property
    def wanted(self) -> str:
        """What the registry is asked for: a digest or a tag."""
        return self.digest or self.tag or "latest"


def host_of(name: str) -> str:
    """The registry in a name; empty: it has none. As docker tells one from a directory: it has a dot or a port, or
    is `localhost`."""
    first, slash, _ = name.partition("/")
    return first if slash and ("." in first or ":" in first or first == "localhost") else ""


def parse(name: str) -> Reference | None:
    """None: it names no registry, or is no name of an image."""
    host = host_of(name)
    if not host or len(name) > 512 or not _HOST.fullmatch(host):
        return None
    path, at, digest = name.removeprefix(f"{host}/").partition("@")
    path, colon, tag = path.partition(":")
    if not _PATH.fullmatch(path) or (colon and not _TAG.fullmatch(tag)) or (at and not DIGEST.fullmatch(digest)):
        return None
    return Reference(host=host, path=path, tag=tag, digest=digest)


class Image(Record):
    """What a name stood for when its registry was asked. `digest`: of the image, or of the list of its variants for
    several architectures; `architectures`: those of ours that it is for, with the configuration that is told here."""

    name: str
    digest: str
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    directory: str = ""
    user: str = ""
    architectures: tuple[str, ...] = ()

    @property
    def pinned(self) -> str:
        """Its name by which it is the same for ever: `registry.example.org/team/tool@sha256:...`"""
        found = parse(self.name)
        return f"{found.host}/{found.path}@{self.digest}" if found is not None else self.name

    @property
    def only_on(self) -> str:
        """The tag that a node must have to run it; empty: any node can."""
        return f"arch.{self.architectures[0]}" if len(self.architectures) == 1 else ""


Words = tuple[str, ...] | None


def argv(entrypoint: Words, command: Words, image: Image | None) -> tuple[str, ...]:
    """What a stage runs, which may be nothing. As compose has it: the image's own entry point is kept unless the stage
    gives one, even an empty one; the image's own arguments only where the stage gives neither. Without `image`: the
    stage's own words alone."""
    if image is None:
        return (*(entrypoint or ()), *(command or ()))
    rest = command if command is not None else () if entrypoint else image.command
    if entrypoint is not None:
        return (*entrypoint, *rest)
    program = next(iter(image.entrypoint), "")
    if command is not None and image.directory and "/" in program and not program.startswith("/"):
        # relative to the image's working directory, which the stage does not work in
        return (f"{image.directory.rstrip('/')}/{program}", *image.entrypoint[1:], *rest)
    return (*image.entrypoint, *rest)


def own_place(entrypoint: Words, command: Words) -> bool:
    """Whether a stage starts in the image's working directory, because it says nothing of what is run."""
    return not entrypoint and command is None


def nowhere(image: Image, inventory: Inventory, pool: str) -> str:
    """Why no node of a pool can run it: what they are instead. Empty: one can, or none is known."""
    tags = {tag for node in inventory.nodes if node.pool == pool for tag in node.tags if tag.startswith("arch.")}
    if not tags or not image.architectures or any(f"arch.{a}" in tags for a in image.architectures):
        return ""
    return ", ".join(sorted(tag.removeprefix("arch.") for tag in tags))


class Images(Protocol):
    """What registries know."""

    def look(self, name: str) -> Image | None:
        """As it is now. None: the name has no registry, or one that is not to be asked. Raises ImageRefused
        (image.not_found, image.denied, image.architecture, image.unusable), RegistryUnavailable."""
        ...


class RegistryLogin(Value):
    """That there is a password for a registry; what it is stays where secrets are. `changed`: when, `by`: by whom."""

    host: str
    user: str
    changed: datetime
    by: str = ""


class RegistryBook(Protocol):
    """The log-ins for registries. Nothing here tells a password."""

    def all(self) -> Sequence[RegistryLogin]:
        """By host."""
        ...

    def put(self, host: str, user: str, password: str, by: str) -> RegistryLogin:
        """In place of the one that was there. Raises Invalid (registry.host, registry.user, registry.password),
        StoreUnavailable."""
        ...

    def remove(self, host: str) -> None:
        """Raises NotFound (registry.not_found)."""
        ...

    def check(self, host: str) -> None:
        """Ask the registry itself. Raises what is wrong: Invalid (registry.host), ImageRefused, RegistryUnavailable."""
        ...


def is_host(text: str) -> bool:
    """Whether a registry can be called that."""
    return len(text) <= 255 and host_of(f"{text}/x") == text and _HOST.fullmatch(text) is not None


def checked_host(host: str) -> str:
    """Raises Invalid."""
    if not is_host(host):
        raise Invalid(
            f"{host[:80]!r} is not the name of a registry; nothing was done.",
            hint="Write it as images do: registry.example.org, 10.0.0.7:5000, docker.io.",
            code="registry.host",
        )
    return host
