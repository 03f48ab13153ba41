"""Images from a real registry (docker-registry) on a real Nomad: what they run by themselves, pinned to a digest,
behind a log-in that Winslow and the nodes each have their own way to, and while the registry is gone."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.world import read_json
from tests.cluster import images
from tests.cluster.nomad import Cluster, Node
from tests.cluster.test_doctor import of
from tests.cluster.whole import SMALL, Whole, a_whole, when_said
from tests.images import docker_registry
from tests.images.docker_registry import ADA, DockerRegistry, registry
from tests.images.pushing import OCI, Pusher, layer
from winslow_nomad.bootstrap.nomad_doctor import examine_nomad
from winslow_nomad.core import messages as m
from winslow_nomad.core.pipeline import StageDefinition
from winslow_nomad.core.project import Project
from winslow_nomad.core.stage import EndedStage, Overrides, StageState

RUN = """\
#!/bin/sh
echo "$0 $* in $(pwd) at level $LEVEL" > "$WINSLOW_OUTPUT/said"
[ "$WINSLOW_ATTEMPT" = "${WINSLOW_ATTEMPT%/1}" ] && exit 0
[ "$1" != --waits ] || { while [ ! -e "$WINSLOW_WORKSPACE/go" ]; do sleep 0.1; done; exit 3; }
"""
CONFIG = {
    "Entrypoint": ["./run"],
    "Cmd": ["--fast", "$HOME"],
    "Env": ["PATH=/bin", "LEVEL=3"],
    "WorkingDir": "/opt/tool",
    "User": "1000:1000",
}


@pytest.fixture(autouse=True)
def installed(nomad_tools: object) -> None:
    docker_registry.need()


@pytest.fixture
def pushed_to(cluster: Cluster, tmp_path: Path) -> Iterator[DockerRegistry]:
    """A registry that every node reaches, without a log-in."""
    with registry(tmp_path / "registry", address=cluster.rack.gateway) as served:
        yield served


def push(pusher: Pusher, folder: Path, tag: str = "1", name: str = "tool", **config: Any) -> str:
    """A busybox with a program that says how it was started; its digest."""
    program = layer({"opt/tool/run": RUN.encode(), "etc/made-for": f"{tag} {config}".encode()})
    base = images.box(folder).tar.read_bytes()
    return pusher.image(f"team/{name}", tag, {**CONFIG, **config}, layers=[base, program], kinds=OCI)


def whole(cluster: Cluster, served: DockerRegistry, **settings: str) -> Any:
    return a_whole(cluster, **{"WINSLOW_REGISTRIES_INSECURE": served.host, **settings})


def imaged(served: DockerRegistry, name: str = "tool:1", **fields: Any) -> StageDefinition:
    known = {"id": "work", "image": f"{served.host}/team/{name}", "resources": SMALL, "retry": {"delay": 0}}
    return StageDefinition.model_validate({**known, **fields})


def said(world: Whole, project: str, attempt: int = 1) -> str:
    return (world.folder(project, attempt) / "output" / "said").read_text().strip()


def succeeded(world: Whole, project: str) -> dict[str, Any]:
    """When its one stage has; its record."""
    ended: EndedStage = world.finished(project, 90).ended[1]
    assert ended.state is StageState.SUCCEEDED, f"{ended.message}\n{world.last_words()}"
    record = read_json(world.folder(project).parents[1] / "stage.json")
    assert record is not None
    return record


def paused(world: Whole, project: str, code: str) -> Project:
    def now() -> Project | None:
        found = world.project(project)
        return found if found.pause is not None and found.pause.code == code else None

    found: Project = when_said(now, 30, lambda: f"{world.project(project)}\n{world.last_words()}")
    return found


def test_a_stage_without_a_command_runs_what_its_image_runs_by_itself(
    cluster: Cluster, pushed_to: DockerRegistry, tmp_path: Path
) -> None:
    with Pusher(pushed_to.url) as pusher:
        digest = push(pusher, tmp_path)
    with whole(cluster, pushed_to) as world:
        as_it_is = world.create(imaged(pushed_to))
        with_arguments = world.create(imaged(pushed_to, command=("--slow", "${WINSLOW_STAGE}")))
        as_its_user = world.create(imaged(pushed_to, run_as="image"))
        record = succeeded(world, as_it_is)
        assert said(world, as_it_is) == "./run --fast $HOME in /opt/tool at level 3"
        succeeded(world, with_arguments)
        assert said(world, with_arguments) == "/opt/tool/./run --slow work in /workspace at level 3"
        succeeded(world, as_its_user)
        assert (world.folder(as_its_user) / "output" / "said").stat().st_uid == 1000
        image = record["attempts"][0]["image"]
        assert (image["name"], image["digest"]) == (f"{pushed_to.host}/team/tool:1", digest)
        job = cluster.api("GET", f"/v1/job/{world.job(as_it_is)}")
        assert job["TaskGroups"][0]["Tasks"][0]["Config"]["image"] == f"{pushed_to.host}/team/tool@{digest}"


def test_a_retry_runs_the_image_of_before_though_its_tag_was_given_to_another(
    cluster: Cluster, pushed_to: DockerRegistry, tmp_path: Path
) -> None:
    with Pusher(pushed_to.url) as pusher, whole(cluster, pushed_to) as world:
        digest = push(pusher, tmp_path, Cmd=["--waits"])
        project = world.create(imaged(pushed_to, retry={"failed": 1, "delay": 0}))
        said_so = f"projects/{project}/stages/*/attempts/1/output/said"
        words = lambda: f"{world.project(project)}\n{world.last_words()}"  # noqa: E731
        when_said(lambda: list(world.share.glob(said_so)), 60, words)
        moved = push(pusher, tmp_path, Cmd=["--moved"])
        world.let_go(project)
        record = succeeded(world, project)
        assert [a["image"]["digest"] for a in record["attempts"]] == [digest, digest]
        assert said(world, project, 2) == "./run --waits in /opt/tool at level 3"
        world.send(project, m.RedoStage(stage=1))
        when_said(lambda: 2 in world.project(project).ended and not world.project(project).sealing, 60, words)
        redone = read_json(world.folder(project, 1, 2).parents[1] / "stage.json")
        assert redone is not None and redone["attempts"][0]["image"]["digest"] == moved


def test_an_image_that_is_not_there_pauses_the_project_until_somebody_names_another(
    cluster: Cluster, pushed_to: DockerRegistry, tmp_path: Path
) -> None:
    with Pusher(pushed_to.url) as pusher:
        push(pusher, tmp_path)
    with whole(cluster, pushed_to) as world:
        project = world.create(imaged(pushed_to, "tool:2"))
        pause = paused(world, project, "image.not_found").pause
        assert pause is not None and f"there is no image {pushed_to.host}/team/tool:2 at its registry" in pause.text
        assert not cluster.allocations(world.job(project)), "nothing was submitted"
        other = Overrides(image=f"{pushed_to.host}/team/tool:1")
        world.send(project, m.ChangeQueued(stage=1, overrides=other))
        succeeded(world, project)


def test_a_registry_that_is_gone_is_waited_for_and_whatever_needs_it_not_goes_on(
    cluster: Cluster, pushed_to: DockerRegistry, tmp_path: Path
) -> None:
    with Pusher(pushed_to.url) as pusher:
        push(pusher, tmp_path)
    pushed_to.stop()
    with whole(cluster, pushed_to) as world:
        local = world.create(StageDefinition(id="work", image="box:1", command=("true",), resources=SMALL))
        project = world.create(imaged(pushed_to))

        def waits() -> bool:
            stage = world.project(project).stages.get(1)
            return stage is not None and stage.reason is not None and stage.reason.kind == "registry"

        when_said(waits, 30, lambda: f"{world.project(project)}\n{world.last_words()}")
        reason = world.project(project).stages[1].reason
        assert reason is not None and f"The registry {pushed_to.host} cannot be reached" in reason.text
        assert world.finished(local).ended[1].state is StageState.SUCCEEDED, "others do not wait"
        pushed_to.restart()
        succeeded(world, project)


def test_a_private_image_needs_a_log_in_of_winslow_s_and_one_of_the_node_s(
    start_cluster: Callable[..., Cluster], tmp_path: Path
) -> None:
    file = tmp_path / "docker-auth.json"
    file.write_text("{}")
    knows = Node("n1", docker={"auth": {"config": str(file)}})
    cluster = start_cluster([knows, Node("n2")])
    with registry(tmp_path / "registry", address=cluster.rack.gateway, login=ADA) as served:
        with Pusher(served.url, ADA) as pusher:
            push(pusher, tmp_path)
        auth = base64.b64encode(":".join(ADA).encode()).decode()
        file.write_text(json.dumps({"auths": {served.host: {"auth": auth}}}))
        with whole(cluster, served) as world:
            project = world.create(imaged(served, placement={"require": ["node.n1"]}))
            pause = paused(world, project, "image.denied").pause
            assert pause is not None and f"winslow registries set {served.host}" in pause.text
            world.installation.registry_logins.put(served.host, *ADA, "ann")
            world.send(project, m.ResumeProject())
            succeeded(world, project)

            elsewhere = world.create(imaged(served, placement={"require": ["node.n2"]}))
            ended = world.finished(elsewhere, 60).ended[1]
            assert ended.state is StageState.FAILED
            assert "n2 may not fetch the image: that node has no log-in for its registry" in ended.message

            findings = [vars(f) for f in examine_nomad(world.settings, f"{served.host}/team/tool:1")]
            assert of(findings, "n1", "sees the share")["severity"] == "ok"
            assert "log-in" in of(findings, "n2", "the image could not be fetched there")["fix"]

            everything = json.dumps([cluster.api("GET", f"/v1/job/{j['ID']}") for j in cluster.api("GET", "/v1/jobs")])
            everything += json.dumps(cluster.api("GET", "/v1/allocations", task_states="true"))
            everything += "".join(world.words().values())
            everything += "".join(
                p.read_text(errors="replace") for p in world.share.rglob("*") if p.is_file() and "bin" not in p.parts
            )
            assert served.host in everything
            assert ADA[1] not in everything and auth not in everything
