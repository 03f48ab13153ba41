from __future__ import annotations

from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.resources import some
from winslow_nomad.core.errors import Invalid
from winslow_nomad.core.lineage import point_name
from winslow_nomad.core.stage import Source
from winslow_nomad.resources import layout

HOSTILE = [
    "",
    ".",
    "..",
    "../x",
    "a/b",
    "/etc",
    "a\n",
    "\n",
    "a\0",
    "-rf",
    ".hidden",
    "x" * 300,
    "🎥",
    "a b",
    "a\u202eb",
]


def test_an_attempt_lies_below_its_stage_and_project():
    folder = layout.attempt_folder(layout.stage_folder("p1", 1, "detect"), 2)
    assert folder == "projects/p1/stages/0001-detect/attempts/2"


@pytest.mark.parametrize("name", HOSTILE)
def test_no_hostile_text_becomes_a_path(name):
    for make in (
        layout.project_folder,
        layout.pipeline_folder,
        lambda n: layout.stage_folder("p1", 1, n),
        lambda n: layout.runner_file(n, "amd64"),
        lambda n: layout.runner_file("1.0", n),
    ):
        with pytest.raises(Invalid) as caught:
            make(name)
        assert caught.value.code == "layout.name"


@given(st.text(), st.integers(), st.text(), st.integers())
def test_whatever_passes_stays_where_it_belongs(project, number, stage_id, attempt):
    try:
        path = layout.attempt_folder(layout.stage_folder(project, number, stage_id), attempt)
    except Invalid:
        return
    parts = PurePosixPath(path).parts
    assert len(parts) == 6 and ".." not in parts and path.isprintable() and path.isascii()
    assert parts[0] == "projects" and parts[1] == project and layout.parse_stage(parts[3]) == (number, stage_id)


@given(st.dictionaries(st.text(), st.text(), max_size=3))
def test_a_point_of_a_nested_sweep_is_one_directory_or_refused(point):
    nested = some.stage(1, source=Source(kind="sweep_nested", number=1, point=point_name(point)))
    try:
        path = layout.workspace_folder(some.project(nested), nested, 1)
    except Invalid:
        return
    assert PurePosixPath(path).parts[:4] == ("projects", "p1", "sweeps", "1") and len(PurePosixPath(path).parts) == 6


@given(st.lists(st.sampled_from("abc"), min_size=1), st.lists(st.sampled_from("abc"), min_size=1))
def test_a_relative_link_leads_from_its_folder_to_its_target(here, there):
    link = layout.link_from("/".join(here), "/".join(there))
    walked = list(here)
    for part in link.split("/"):
        if part == "..":
            walked.pop()
        elif part:
            walked.append(part)
    assert walked == there


def test_a_retry_in_a_shared_sweep_works_in_the_workspace_of_the_sweep():
    again = some.stage(1, sweep=3, source=Source(kind="attempt", number=1))
    made = some.project(again, sweeps={3: some.sweep(3, workspace="shared")})
    assert layout.workspace_folder(made, again, 2) == "projects/p1/sweeps/3/workspace"
