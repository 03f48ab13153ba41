"""Finds out what the name of a stage's image stands for, once for each stage, before anything is made for its attempt.

Asks registries through core.images.Images, and remembers nothing that matters: what was found is in the attempt's
record once it is committed. A driver without images (`local`) has nobody to ask."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from winslow_nomad.core.errors import ImageRefused, Refused, RegistryUnavailable
from winslow_nomad.core.images import Image, Images, argv, host_of, nowhere
from winslow_nomad.core.inventory import Inventory
from winslow_nomad.core.ports import Attempts
from winslow_nomad.core.project import Project
from winslow_nomad.core.stage import Stage

AGAIN = 60.0  # seconds between two looks for an image that could not be had


class Pinning:
    """`images`: by driver. `inventory`: of a driver, for the architectures of its nodes."""

    def __init__(
        self,
        attempts: Attempts,
        images: Mapping[str, Images],
        inventory: Callable[[str], Inventory],
        monotonic: Callable[[], float],
    ) -> None:
        self._attempts = attempts
        self._images = images
        self._inventory = inventory
        self._monotonic = monotonic
        self._refused: dict[tuple[str, int], tuple[str, float]] = {}  # what could not be had, and when it was tried

    def registry(self, project: Project, stage: int) -> str:
        """What has to be asked; empty: nothing."""
        if project.driver not in self._images:
            return ""
        try:
            name = self._attempts.image(project, stage)
        except Refused:
            return ""
        return "" if _known(project.stages[stage], name) is not None else host_of(name)

    def __call__(self, project: Project, stage: int) -> Image | None:
        """None: its name is used as it is. Raises ImageRefused, RegistryUnavailable, Refused."""
        if project.driver not in self._images:
            return None
        found = project.stages[stage]
        name = self._attempts.image(project, stage)
        try:
            image = _known(found, name) or self._look(project, found, name)
            _runs_something(found, name, image)
        except ImageRefused:
            self._refused[project.id, stage] = name, self._monotonic()
            raise
        self._refused.pop((project.id, stage), None)
        return image

    def possible(self, project: Project, stage: int) -> bool:
        """Whether a stage that could not have its image may be tried again: it can have one now, or it is not known
        that it cannot. Asks once a minute, and at once where the name has changed."""
        name, at = self._refused.get((project.id, stage), ("", 0.0))
        try:
            if name and self._attempts.image(project, stage) == name and self._monotonic() < at + AGAIN:
                return False
            self(project, stage)
        except ImageRefused:
            return False
        except RegistryUnavailable:
            self._refused[project.id, stage] = self._attempts.image(project, stage), self._monotonic()
            return False
        except Refused:
            return True
        return True

    def _look(self, project: Project, stage: Stage, name: str) -> Image | None:
        image = self._images[project.driver].look(name)
        pool = stage.definition.placement.pool
        others = nowhere(image, self._inventory(project.driver), pool) if image is not None else ""
        if image is None or not others:
            return image
        kinds = " and ".join(image.architectures)
        raise ImageRefused(
            f"the image {name} is for {kinds}, and the nodes of the pool {pool} are {others}.",
            hint="Build it for them as well (docker buildx build --platform), or add a node.",
            code="image.architecture",
        )


def _known(stage: Stage, name: str) -> Image | None:
    """What this stage's attempts have found before; a person may have named another image since."""
    image = stage.attempt.image if stage.attempt is not None else None
    return image if image is not None and image.name == name else None


def _runs_something(stage: Stage, name: str, image: Image | None) -> None:
    chosen, defined = stage.overrides, stage.definition
    entrypoint = chosen.entrypoint if chosen.entrypoint is not None else defined.entrypoint
    command = chosen.command if chosen.command is not None else defined.command
    if argv(entrypoint, command, image):
        return
    if image is not None:
        raise ImageRefused(
            f"neither the stage nor its image {name} says what is to be run.",
            hint="Give the stage a command.",
            code="image.no_command",
        )
    known = f"no registry is asked for the image {name}, so nobody knows what it runs by itself"
    raise ImageRefused(
        f"the stage gives no command, and {known if name else 'it has no image'}.",
        hint="Give the stage a command, or write the image with its registry: registry.example.org/team/tool:1.2, "
        "docker.io/library/busybox:1.",
        code="image.no_command",
    )
