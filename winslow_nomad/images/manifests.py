"""The documents of a registry: indexes, manifests and configurations of images, of docker (schema 2) and of OCI. Pure.

Everything raises ValueError, with what is wrong in words, for a document that is not what it should be. Sources:
opencontainers/image-spec (image-index.md, manifest.md, config.md) and distribution's manifest-v2-2.md."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from winslow_nomad.core.images import ARCHITECTURES, DIGEST

INDEXES = frozenset(
    {"application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json"}
)
MANIFESTS = frozenset(
    {"application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json"}
)
CONFIGURATIONS = frozenset(
    {"application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json"}
)
ACCEPT = ", ".join(sorted(INDEXES | MANIFESTS))
LONGEST = 8192  # characters of an entry point and a command: they are kept with every attempt

Document = Mapping[str, Any]


class Configuration(NamedTuple):
    """What of an image's configuration concerns who runs it."""

    architecture: str
    entrypoint: tuple[str, ...]
    command: tuple[str, ...]
    directory: str
    user: str

    def like(self, other: Configuration) -> bool:
        """The same but for the architecture."""
        return self[1:] == other[1:]


def read(body: bytes) -> Document:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        raise ValueError("it is not JSON") from None
    if not isinstance(found, dict):
        raise ValueError("it is not a JSON object")
    return found


def is_index(document: Document, content_type: str) -> bool:
    """Whether it lists variants, rather than being an image. `content_type`: as the answer says it, which counts where
    the document says nothing."""
    kind = document.get("mediaType") or content_type.partition(";")[0].strip().lower()
    if kind in INDEXES:
        return True
    if kind in MANIFESTS:
        return False
    if document.get("schemaVersion") == 1:
        raise ValueError("it has docker's old format (schema 1), which docker itself does not fetch any more")
    raise ValueError(f"it is no image, but {str(kind)[:100]!r}")


def variants(index: Document) -> dict[str, str]:
    """Architecture -> digest of the manifest, of those for Linux that we have a runner for. The first of several for
    one architecture, as docker takes it."""
    found: dict[str, str] = {}
    for entry in _list(index.get("manifests"), "manifests"):
        platform = entry.get("platform") or {}
        if platform.get("os") == "linux" and platform.get("architecture") in ARCHITECTURES:
            found.setdefault(platform["architecture"], _digest(entry))
    return found


def configuration_of(manifest: Document) -> str:
    """The digest of the configuration."""
    config = manifest.get("config")
    if not isinstance(config, dict):
        raise ValueError("it names no configuration")
    if config.get("mediaType") not in CONFIGURATIONS:
        raise ValueError(f"it is no container image, but holds {str(config.get('mediaType'))[:100]!r}")
    return _digest(config)


def configuration(document: Document) -> Configuration:
    if document.get("os") != "linux":
        raise ValueError(f"it is for {str(document.get('os'))[:40]!r}, not for Linux")
    config = document.get("config") or {}
    if not isinstance(config, dict):
        raise ValueError("its configuration is none")
    found = Configuration(
        architecture=_text(document.get("architecture")),
        entrypoint=_words(config.get("Entrypoint")),
        command=_words(config.get("Cmd")),
        directory=_text(config.get("WorkingDir")),
        user=_text(config.get("User")),
    )
    if sum(map(len, (*found.entrypoint, *found.command, found.directory, found.user))) > LONGEST:
        raise ValueError(f"its entry point and command have more than {LONGEST} characters")
    directory = found.directory
    return found if directory.startswith("/") or not directory else found._replace(directory=f"/{directory}")


def _list(found: Any, name: str) -> list[Document]:
    if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
        raise ValueError(f"its {name} are no list of objects")
    return found


def _digest(entry: Document) -> str:
    found = entry.get("digest")
    if not isinstance(found, str) or not DIGEST.fullmatch(found):
        raise ValueError(f"{str(found)[:80]!r} is no sha256 digest")
    return found


def _words(found: Any) -> tuple[str, ...]:
    if found is None:
        return ()
    if not isinstance(found, list):
        raise ValueError("its entry point or command is no list")
    return tuple(_text(word) for word in found)


def _text(found: Any) -> str:
    if found is None:
        return ""
    if not isinstance(found, str) or "\0" in found:
        raise ValueError("its configuration holds something that is no text")
    return found
