"""The same registry three times: in memory, recorded, and real. What is in it, and what can befall it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.images.pushing import DOCKER, OCI, Pusher, layer
from winslow_nomad.core.images import Images

CONFIG = {
    "Entrypoint": ["/opt/tool/run"],
    "Cmd": ["--fast", "$HOME"],
    "Env": ["PATH=/opt/tool:/bin", "LEVEL=3"],
    "WorkingDir": "/opt/tool",
    "User": "1000:1000",
}
OTHER = {"Cmd": ["/bin/other"]}
ARM = {**CONFIG, "Env": ["PATH=/opt/tool:/bin"]}


@dataclass
class Kind:
    """A registry at `host` with `team/tool:1` (CONFIG) and `team/many:1` (for two architectures)."""

    images: Images
    host: str
    move: Callable[[], None]  # `team/tool:1` is OTHER from now on
    lock: Callable[[], None]  # our log-in is not good any more
    leave: Callable[[], None]  # nobody answers any more
    later: Callable[[], None]  # what was remembered is too old


def many(pusher: Pusher) -> str:
    """One image for two architectures, with what builders add about how it was made; as buildx pushes it."""
    amd64 = pusher.image("team/many", "amd64", CONFIG, kinds=OCI)
    arm64 = pusher.image("team/many", "arm64", ARM, kinds=OCI, architecture="arm64", layers=[layer({"x": b"arm"})])
    about = pusher.image("team/many", "about", {}, kinds=DOCKER, architecture="unknown", os="unknown")
    variants = [("unknown", about), ("arm64", arm64), ("amd64", amd64)]
    return pusher.index("team/many", "1", variants)
