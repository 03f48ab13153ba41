"""`winslow run --driver nomad`, as a person types it: stages in containers of a real cluster, results on the share."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster import images
from tests.cluster.nomad import Cluster
from tests.cluster.person import PIPELINE, Person, a_person
from tests.waiting import until

ROOT = Path(__file__).parents[2]


@pytest.fixture
def person(cluster: Cluster, tmp_path: Path) -> Iterator[Person]:
    with a_person(cluster, tmp_path) as made:
        yield made


def test_a_pipeline_runs_in_containers_and_its_results_are_on_the_share(person: Person, cluster: Cluster) -> None:
    words = ("--name", "x", "--input", "a file", "--set", "WORD=hello", "--secret", "KEY", "--driver", "nomad")
    code, said = person.gets("run", "hello", *words)
    assert code == 0, said
    (copy,) = person.outputs("copy")
    (second,) = person.outputs("second")
    assert copy.read_text() == second.read_text() == "some text\n"
    assert "size 10" in said and "the key has 25 letters" in said and "hello" in said
    jobs = json.dumps(cluster.api("GET", "/v1/jobs", meta="true"))
    jobs += json.dumps([cluster.api("GET", f"/v1/job/{j['ID']}") for j in cluster.api("GET", "/v1/jobs")])
    assert person.environment["KEY"] not in jobs
    assert all(j["Stop"] for j in cluster.api("GET", "/v1/jobs")), "what has ended is never run again"


def test_who_is_killed_while_stages_run_goes_on_where_they_are(person: Person, cluster: Cluster) -> None:
    words = ("--name", "x", "--input", "a file", "--secret", "KEY", "--driver", "nomad", "--env", "HOLD=4")
    pipeline = person.base / "hello/pipeline.yaml"
    pipeline.write_text(PIPELINE.replace('HOLD: "0"', 'HOLD: "4"'))
    first = person.types("run", "hello", *words[:-2], start_new_session=True)
    until(lambda: person.outputs("second") and person.outputs("second")[0].stat().st_size, 60.0)
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate()
    code, said = person.gets("run", "--resume", "x", "--driver", "nomad")
    assert code == 0, said
    assert len(person.outputs("copy")) == len(person.outputs("second")) == 1, "one attempt of each"


def test_a_nomad_that_is_not_there_is_said_at_once_and_waited_for(person: Person) -> None:
    person.environment["NOMAD_ADDR"] = "http://127.0.0.1:1"
    words = ("--name", "x", "--input", "a file", "--secret", "KEY", "--driver", "nomad")
    typed = person.types("run", "hello", *words)
    assert typed.stdout is not None
    said = ""
    while "Connection refused" not in said:
        line = typed.stdout.readline()
        assert line, said
        said += line
    assert "Nomad at http://127.0.0.1:1 cannot be reached" in said
    typed.terminate()
    typed.communicate(timeout=20)


@pytest.mark.chaos
def test_the_demo_runs_on_the_cluster_with_its_real_video(person: Person, cluster: Cluster) -> None:
    clip = person.base / "bikes.mp4"
    subprocess.run([sys.executable, ROOT / "pipelines/traffic/get_clip.py", clip], check=True)
    cluster.add_image(images.traffic())
    words = ("--name", "street", "--input", clip, "--driver", "nomad", "--yes")
    code, said = person.gets("run", ROOT / "pipelines/traffic", *words, seconds=400)
    assert code == 0, said
    for name in ("report.html", "heatmap.png", "annotated.mp4", "tracks.csv"):
        assert person.outputs(name)[0].stat().st_size > 100
