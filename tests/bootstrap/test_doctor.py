"""What the doctor says where nearly nothing can be used."""

from __future__ import annotations

import os
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from winslow_nomad.bootstrap.doctor import examine
from winslow_nomad.bootstrap.installation import Installation
from winslow_nomad.config import Settings


def test_what_several_checks_stumble_over_is_said_once_with_its_remedy_once(settings: Settings) -> None:
    nowhere = replace(settings, home=Path("/proc/nowhere"), share=Path("/proc/nowhere/share"))
    with closing(Installation(nowhere)) as installation:
        found = examine(installation)
    problems = [f.text for f in found if f.severity == "problem"]
    assert len(problems) == len(set(problems)) == 2, "the store, and the share"
    assert not [f for f in found if f.fix and f.fix in f.text]


def test_in_the_home_of_another_user_the_doctor_leaves_nothing(settings: Settings) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a folder to somebody else")
    settings.home.mkdir()
    os.chown(settings.home, 65534, 65534)
    with closing(Installation(settings)) as installation:
        found = examine(installation)
    assert [f.text for f in found if f.severity == "problem"] == [
        f"The data directory {settings.home} belongs to nobody, and this is root. Nothing was changed."
    ]
    assert not list(settings.home.iterdir())
