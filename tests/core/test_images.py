"""What the names of images mean, and what a stage runs in one."""

from __future__ import annotations

import pytest

from winslow_nomad.core.images import Image, Reference, argv, host_of, is_host, nowhere, own_place, parse
from winslow_nomad.core.inventory import Inventory, Node

DIGEST = "sha256:" + "0" * 64


@pytest.mark.parametrize(
    ("name", "host"),
    [
        ("box:1", ""),
        ("box", ""),
        ("team/tool:1.2", ""),
        ("registry.example.org/team/tool:1.2", "registry.example.org"),
        ("node:5000/tool", "node:5000"),
        ("localhost/tool", "localhost"),
        ("docker.io/busybox", "docker.io"),
        ("[fd00::7]:5000/tool", "[fd00::7]:5000"),
        ("node:5000", ""),  # a tag
        ("", ""),
    ],
)
def test_a_registry_is_told_from_a_directory_as_docker_does(name: str, host: str) -> None:
    assert host_of(name) == host
    found = parse(name)
    assert (found.host if found is not None else "") == host


@pytest.mark.parametrize(
    ("name", "wanted", "repository"),
    [
        ("r.org/a/b", "latest", "a/b"),
        ("r.org/a/b:1.2-x_Y", "1.2-x_Y", "a/b"),
        (f"r.org/a@{DIGEST}", DIGEST, "a"),
        (f"r.org/a:1@{DIGEST}", DIGEST, "a"),
        ("docker.io/busybox:1", "1", "library/busybox"),
        ("docker.io/team/tool:1", "1", "team/tool"),
    ],
)
def test_what_a_registry_is_asked_for(name: str, wanted: str, repository: str) -> None:
    found = parse(name)
    assert isinstance(found, Reference) and (found.wanted, found.repository) == (wanted, repository)


@pytest.mark.parametrize(
    "name",
    ["r.org/", "r.org/A", "r.org/a:", "r.org/a@sha256:12", "r.org/a/../b", "r.org/a b", "r.org//a", "u@r.org/a",
     "r.org/a?x=1", "r.org/a#x", "http://r.org/a", "r.org/a:1:2", "-r.org/a", "r.org/" + "a" * 600, "r.o\\rg/a"],
)  # fmt: skip
def test_what_is_no_name_asks_nobody(name: str) -> None:
    assert parse(name) is None


def test_a_pinned_name_has_the_digest_and_no_tag() -> None:
    assert Image(name="r.org:5000/a/b:1", digest=DIGEST).pinned == f"r.org:5000/a/b@{DIGEST}"
    assert Image(name="docker.io/busybox", digest=DIGEST).pinned == f"docker.io/busybox@{DIGEST}"
    again = Image(name=f"r.org/a@{DIGEST}", digest=DIGEST)
    assert parse(again.pinned) == parse(again.name)


WHOLE = Image(name="r.org/a", digest=DIGEST, entrypoint=("/e", "-x"), command=("c", "d"), directory="/w")


@pytest.mark.parametrize(
    ("entrypoint", "command", "runs", "in_its_place"),
    [
        (None, None, ("/e", "-x", "c", "d"), True),
        (None, ("a",), ("/e", "-x", "a"), False),
        (None, (), ("/e", "-x"), False),
        (("p",), None, ("p",), False),  # its arguments were meant for another program
        (("p",), ("a",), ("p", "a"), False),
        ((), None, ("c", "d"), True),
        ((), ("a",), ("a",), False),
        ((), (), (), False),
    ],
)
def test_what_runs_is_put_together_as_compose_does(
    entrypoint: tuple[str, ...] | None, command: tuple[str, ...] | None, runs: tuple[str, ...], in_its_place: bool
) -> None:
    assert argv(entrypoint, command, WHOLE) == runs
    assert own_place(entrypoint, command) is in_its_place


def test_an_image_that_nobody_was_asked_about_brings_nothing() -> None:
    assert argv(None, None, None) == ()
    assert argv(("p",), ("a",), None) == ("p", "a")
    assert argv(None, ("a",), None) == ("a",)


@pytest.mark.parametrize(
    ("program", "directory", "runs"),
    [
        ("./run.sh", "/app", "/app/./run.sh"),
        ("bin/run", "/app/", "/app/bin/run"),
        ("run", "/app", "run"),  # found on PATH
        ("/bin/run", "/app", "/bin/run"),
        ("./run.sh", "", "./run.sh"),
    ],
)
def test_a_program_beside_the_image_s_directory_is_found_from_the_workspace(
    program: str, directory: str, runs: str
) -> None:
    image = Image(name="r.org/a", digest=DIGEST, entrypoint=(program,), directory=directory)
    assert argv(None, ("x",), image) == (runs, "x")
    assert argv(None, None, image) == (program,), "there it starts in that directory"


def test_nodes_that_no_variant_is_for_are_named() -> None:
    nodes = [Node(name="n", pool=pool, cpu=1, memory=1, tags=frozenset(tags)) for pool, tags in (
        ("default", ["arch.arm64", "fast"]), ("gpu", ["arch.amd64"]), ("bare", [])
    )]  # fmt: skip
    inventory = Inventory(driver="nomad", nodes=tuple(nodes))
    intel = WHOLE.but(architectures=("amd64",))
    assert nowhere(intel, inventory, "default") == "arm64"
    for pool in ("gpu", "bare", "empty"):
        assert nowhere(intel, inventory, pool) == ""
    assert nowhere(WHOLE.but(architectures=("amd64", "arm64")), inventory, "default") == ""
    assert (intel.only_on, WHOLE.but(architectures=("amd64", "arm64")).only_on) == ("arch.amd64", "")


@pytest.mark.parametrize(
    ("text", "good"),
    [("registry.example.org", True), ("10.0.0.7:5000", True), ("localhost", True), ("docker.io", True),
     ("[::1]:5000", True), ("registry", False), ("", False), ("https://registry.example.org", False),
     ("registry.example.org/team", False), ("a b.c", False), ("u@r.org", False), ("x." * 200, False)],
)  # fmt: skip
def test_what_a_registry_can_be_called(text: str, good: bool) -> None:
    assert is_host(text) is good
