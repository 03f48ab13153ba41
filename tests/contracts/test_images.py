"""What everybody promises who tells what the name of an image stands for: the registry in memory that other tests use,
a registry's recorded answers, and a real registry (where docker-registry is installed)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.images import MemoryImages
from tests.images import docker_registry
from tests.images.docker_registry import ADA, registry
from tests.images.pushing import Pusher
from tests.images.serving import Recorded, Serving
from tests.images.world import CONFIG, OTHER, Kind, many
from winslow_nomad.core.errors import ImageRefused, RegistryUnavailable
from winslow_nomad.core.images import Image
from winslow_nomad.images.registries import FRESH, Login, Registries, Site

KINDS = ["memory", "recorded", "real"]


@dataclass
class Asking:
    """Asks over HTTP, by a clock that tests advance, with a log-in that they change."""

    now: float = 0.0
    login: Login = field(default_factory=lambda: Login(*ADA))

    def images(self) -> Registries:
        return Registries(Site(), lambda _: self.login, monotonic=lambda: self.now, pause=lambda _: None)

    def later(self) -> None:
        self.now += FRESH

    def forget(self) -> None:
        self.login = Login("ada", "something else")


def image(name: str, config: dict[str, Any], digest: str, *architectures: str) -> Image:
    words = {"entrypoint": config.get("Entrypoint", ()), "command": config["Cmd"]}
    rest = {"directory": config.get("WorkingDir", ""), "user": config.get("User", ""), "architectures": architectures}
    return Image(name=name, digest=f"sha256:{digest * 64}", **{k: tuple(v) for k, v in words.items()}, **rest)


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Kind]:
    if request.param == "memory":
        yield in_memory()
        return
    asking = Asking()
    images = asking.images()
    if request.param == "recorded":
        recorded = Recorded()
        with Serving(recorded) as serving:
            recorded.login = ADA
            move = lambda: setattr(recorded, "moved", True)  # noqa: E731
            yield Kind(images, serving.host, move, asking.forget, serving.stop, asking.later)
    else:
        docker_registry.need()
        with registry(tmp_path, login=ADA) as real:
            pusher = Pusher(real.url, ADA)
            pusher.image("team/tool", "1", CONFIG)
            many(pusher)
            move = lambda: pusher.image("team/tool", "1", OTHER)  # noqa: E731
            yield Kind(images, real.host, move, asking.forget, real.stop, asking.later)  # type: ignore[arg-type]
            pusher.close()
    images.close()


def in_memory() -> Kind:
    host = "registry.example.org"
    tool, other = image(f"{host}/team/tool:1", CONFIG, "1", "amd64"), image(f"{host}/team/tool:1", OTHER, "2", "amd64")
    fake = MemoryImages(tool, image(f"{host}/team/many:1", CONFIG, "3", "amd64", "arm64"))
    return Kind(
        fake,
        host,
        lambda: fake.known.update({tool.name: other}),
        lambda: setattr(fake, "denied", True),
        lambda: setattr(fake, "away", True),
        lambda: None,
    )


def test_a_name_stands_for_a_digest_and_what_the_image_runs_by_itself(kind: Kind) -> None:
    name = f"{kind.host}/team/tool:1"
    found = kind.images.look(name)
    assert found is not None and found.name == name
    assert found.pinned == f"{kind.host}/team/tool@{found.digest}"
    assert (found.entrypoint, found.command) == (("/opt/tool/run",), ("--fast", "$HOME"))
    assert (found.directory, found.user, found.architectures) == ("/opt/tool", "1000:1000", ("amd64",))


def test_an_image_for_several_architectures_is_one_image_that_runs_on_all_of_them(kind: Kind) -> None:
    found = kind.images.look(f"{kind.host}/team/many:1")
    assert found is not None and found.architectures == ("amd64", "arm64")
    assert found.entrypoint == ("/opt/tool/run",)


def test_a_tag_that_was_given_to_another_image_stands_for_that_one_and_a_digest_for_what_it_always_did(
    kind: Kind,
) -> None:
    before = kind.images.look(f"{kind.host}/team/tool:1")
    assert before is not None
    kind.move()
    kind.later()
    after = kind.images.look(f"{kind.host}/team/tool:1")
    assert after is not None and after.digest != before.digest
    assert (after.entrypoint, after.command, after.directory) == ((), ("/bin/other",), "")
    if isinstance(kind.images, MemoryImages):
        return  # it forgets what it was
    again = kind.images.look(before.pinned)
    assert again == before.but(name=before.pinned)


def test_a_tag_that_is_not_there_and_a_repository_that_is_not_there_are_refused_by_name(kind: Kind) -> None:
    for name in ("team/tool:2", "nobody/nothing"):
        with pytest.raises(ImageRefused) as refused:
            kind.images.look(f"{kind.host}/{name}")
        assert refused.value.code == "image.not_found" and f"{kind.host}/{name}" in refused.value.message


def test_a_log_in_that_is_not_good_is_a_denial_and_says_nothing_of_the_password(kind: Kind) -> None:
    kind.lock()
    with pytest.raises(ImageRefused) as refused:
        kind.images.look(f"{kind.host}/team/tool:1")
    assert refused.value.code == "image.denied"
    assert "something else" not in str(refused.value)


def test_a_registry_that_is_gone_is_waited_for(kind: Kind) -> None:
    kind.leave()
    with pytest.raises(RegistryUnavailable) as away:
        kind.images.look(f"{kind.host}/team/tool:1")
    assert kind.host in away.value.message


def test_a_name_without_a_registry_is_nobody_s_to_tell(kind: Kind) -> None:
    kind.leave()  # nobody is asked
    for name in ("box:1", "team/tool:1", "", "Registry.example.org/Upper:1", "a b.c/d"):
        assert kind.images.look(name) is None
