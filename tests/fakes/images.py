"""core.images.Images in memory."""

from __future__ import annotations

from winslow_nomad.core.errors import ImageRefused, RegistryUnavailable
from winslow_nomad.core.images import Image, host_of, parse


class MemoryImages:
    """`known`: by name; `denied`: nobody is let in any more; `away`: nobody answers."""

    def __init__(self, *known: Image) -> None:
        self.known = {image.name: image for image in known}
        self.denied = False
        self.away = False
        self.asked: list[str] = []

    def look(self, name: str) -> Image | None:
        reference = parse(name)
        if reference is None:
            return None
        self.asked.append(name)
        if self.away:
            raise RegistryUnavailable(f"The registry {host_of(name)} cannot be reached.")
        if self.denied:
            raise ImageRefused(f"the registry {host_of(name)} does not show {name}.", code="image.denied")
        if reference.digest:
            found = next((i for i in self.known.values() if i.digest == reference.digest), None)
            image = found.but(name=name) if found is not None else None
        else:
            image = self.known.get(name)
        if image is None:
            raise ImageRefused(f"there is no image {name} at its registry.", code="image.not_found")
        return image
