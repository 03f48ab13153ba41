"""Winslow on a cluster that is guarded as docs/cluster.md says: TLS on both sides, access control, the shipped
configuration, and a token with the rights of policy-winslow.hcl and no more."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster import images
from tests.cluster.conftest import token
from tests.cluster.late import TALKS, delays, late_share, logs_over, until_it_runs
from tests.cluster.nomad import Cluster
from tests.cluster.person import PIPELINE, ROOT, Person, a_person
from tests.cluster.test_doctor import doctor, of
from tests.cluster.whole import a_whole, stage
from tests.waiting import until

RUN = ("--name", "x", "--input", "a file", "--secret", "KEY", "--driver", "nomad")


@pytest.fixture
def person(prepared: Cluster, tmp_path: Path) -> Iterator[Person]:
    with a_person(prepared, tmp_path, NOMAD_TOKEN=token(prepared, "winslow")) as made:
        yield made


def test_a_project_runs_to_its_end(person: Person) -> None:
    code, said = person.gets("run", "hello", *RUN)
    assert code == 0, said
    (copy,) = person.outputs("copy")
    (second,) = person.outputs("second")
    assert copy.read_text() == second.read_text() == "some text\n"


def test_who_is_killed_goes_on_with_another_token_when_the_first_is_taken_back(
    person: Person, prepared: Cluster
) -> None:
    """The token lies in a file, which is replaced while a stage runs."""
    file = person.base / "token"
    first = prepared.api("POST", "/v1/acl/token", {"Name": "1", "Type": "client", "Policies": ["winslow"]})
    file.write_text(first["SecretID"])
    person.environment |= {"NOMAD_TOKEN_FILE": str(file)}
    person.environment.pop("NOMAD_TOKEN")
    (person.base / "hello/pipeline.yaml").write_text(PIPELINE.replace('HOLD: "0"', 'HOLD: "15"'))
    typed = person.types("run", "hello", *RUN, start_new_session=True)
    until(lambda: person.outputs("second") and person.outputs("second")[0].stat().st_size, 60)
    file.write_text(token(prepared, "winslow"))
    prepared.api("DELETE", f"/v1/acl/token/{first['AccessorID']}")
    os.killpg(typed.pid, signal.SIGKILL)
    typed.communicate()
    code, said = person.gets("run", "--resume", "x", "--driver", "nomad")
    assert code == 0, said
    assert len(person.outputs("copy")) == len(person.outputs("second")) == 1, "one attempt of each"


def test_a_token_that_is_taken_back_is_said_and_what_runs_ends_all_the_same(person: Person, prepared: Cluster) -> None:
    made = prepared.api("POST", "/v1/acl/token", {"Name": "1", "Type": "client", "Policies": ["winslow"]})
    person.environment["NOMAD_TOKEN"] = made["SecretID"]
    (person.base / "hello/pipeline.yaml").write_text(PIPELINE.replace('HOLD: "0"', 'HOLD: "5"'))
    typed = person.types("run", "hello", *RUN)
    until(lambda: person.outputs("second") and person.outputs("second")[0].stat().st_size, 60)
    prepared.api("DELETE", f"/v1/acl/token/{made['AccessorID']}")
    said, _ = typed.communicate(timeout=120)
    assert typed.returncode == 0, said
    assert "Nomad does not know Winslow's token" in said and "nomad acl token create" in said


def test_a_log_is_seen_live_from_its_node(prepared: Cluster, tmp_path: Path) -> None:
    with (
        a_whole(prepared, NOMAD_TOKEN=token(prepared, "winslow")) as world,
        late_share(world.share, 3.0) as root,
    ):
        project = world.create(stage(TALKS.format(count=60)))
        until_it_runs(world.installation, project)
        logs = logs_over(world.installation, root, tmp_path / "cache")
        took = delays(world.installation, logs, project, 60, 60)
        assert min(took[40:]) < 1000, took


def test_the_doctor_finds_nothing_to_mend(prepared: Cluster, tmp_path: Path) -> None:
    code, findings = doctor(prepared, tmp_path, "--image", "box:1", NOMAD_TOKEN=token(prepared, "winslow"))
    assert code == 0, findings
    assert of(findings, "n1", "sees the share (")["severity"] == "ok"


@pytest.mark.chaos
def test_the_demo_runs_with_its_real_video(person: Person, prepared: Cluster) -> None:
    clip = person.base / "bikes.mp4"
    subprocess.run([sys.executable, ROOT / "pipelines/traffic/get_clip.py", clip], check=True)
    prepared.add_image(images.traffic())
    words = ("--name", "street", "--input", clip, "--driver", "nomad", "--yes")
    code, said = person.gets("run", ROOT / "pipelines/traffic", *words, seconds=400)
    assert code == 0, said
    for name in ("report.html", "heatmap.png", "annotated.mp4", "tracks.csv"):
        assert person.outputs(name)[0].stat().st_size > 100
