"""What the store knows and the share or a backup does not: who leaves writes it down, and what is said of it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.bootstrap.test_whole_installation import Later
from tests.core.world import pipeline
from winslow_nomad import bootstrap, config
from winslow_nomad.bootstrap import doctor, files
from winslow_nomad.bootstrap.client import LocalClient
from winslow_nomad.bootstrap.installation import Installation
from winslow_nomad.config import Settings
from winslow_nomad.core import messages as m
from winslow_nomad.core.pipeline import StageDefinition


@pytest.fixture
def installation(settings: Settings) -> Iterator[Installation]:
    """Nothing runs in it, and one project was made."""
    with closing(Installation(settings)) as made:
        with closing(LocalClient(made)) as client:
            one = pipeline(StageDefinition(id="a", command=("true",)))
            client.send("p", m.CreateProject(actor="ada", project="p", name="one", pipeline=one))
        yield made


def test_what_was_decided_last_is_on_the_share_before_the_process_for_files_ends(installation: Installation) -> None:
    installation.scribe  # noqa: B018 - the share is established by whoever writes there first
    lease = installation.lease("mirror of this test", "mirror")
    epoch = lease.hold()
    assert epoch is not None
    told = threading.Event()
    told.set()
    files.term(installation, told, lease, epoch)
    cache = json.loads((installation.settings.share / "projects/p/project.json").read_bytes())
    known = installation.store.load("p")
    assert known is not None and cache["version"] == known.version
    assert doctor.mirror(installation).text == "mirrored"


def test_doctor_says_who_brings_changes_to_the_share_where_nobody_does(installation: Installation) -> None:
    installation.clock = Later(days=1, clock=installation.clock)  # type: ignore[assignment]
    found = doctor.mirror(installation)
    assert (found.severity, found.text) == ("warning", "1 change is not on the share yet, the oldest for 86400 s")
    assert found.fix == "Nothing runs here that writes them: `winslow up` or the next `winslow run` does."


def test_doctor_looks_at_the_share_where_somebody_should_bring_changes_there(installation: Installation) -> None:
    assert installation.lease("mirror of this test", "mirror").hold() is not None
    installation.clock = Later(days=1, clock=installation.clock)  # type: ignore[assignment]
    assert doctor.mirror(installation).fix.startswith("The share does not take them")


def test_a_backup_says_whose_it_is_and_doubts_that_of_nobody(installation: Installation) -> None:
    folder = installation.settings.home.parent
    said = bootstrap.backup(installation.settings, folder / "one.zip")
    assert said[0].startswith("1 project written to ")
    assert said[-1] == f"It is a backup of {installation.settings.home}."
    elsewhere = config.load({"WINSLOW_HOME": str(folder / "other"), "HOME": str(folder), "USER": "ada"})
    said = bootstrap.backup(elsewhere, folder / "two.zip")
    assert said[0].startswith("0 projects") and said[-1].endswith("has no projects: is WINSLOW_HOME right?")
