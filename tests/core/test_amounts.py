"""How much a project may be given: what is of use is taken, and what would slow everybody down is refused at once,
with nothing changed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.builders import a_pipeline
from winslow_nomad.core import messages as m
from winslow_nomad.core.amounts import LARGEST_VALUES, LONGEST_TEXT, MOST_PARTICIPANTS, MOST_TAGS
from winslow_nomad.core.decide import decide
from winslow_nomad.core.errors import Invalid
from winslow_nomad.core.project import Member, Project
from winslow_nomad.core.stage import Overrides

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
MUCH = "x" * (LARGEST_VALUES + 1)
MANY = tuple(Member(user=f"u{n}") for n in range(MOST_PARTICIPANTS + 1))


def made(**fields: Any) -> Project:
    command = m.CreateProject(project="p", pipeline=a_pipeline("a"), **{"name": "street", **fields})
    return decide(None, command, NOW).project


def after(project: Project, command: m.Command) -> Project:
    return decide(project, command, NOW).project


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (m.SetValues(values={"A": MUCH}), "value.too_large"),
        (m.EnqueueStage(id="a", overrides=Overrides(environment={"A": MUCH})), "value.too_large"),
        (m.EnqueueStage(id="a", overrides=Overrides(values={"A": MUCH})), "value.too_large"),
        (m.EnqueueStage(id="a", overrides=Overrides(command=("sh", "-c", MUCH))), "value.too_large"),
        (m.EnqueueStage(id="a", overrides=Overrides(image=MUCH)), "value.too_large"),
        (m.EnqueueStage(id="a", sweep={"A": ("1",)}, overrides=Overrides(image=MUCH)), "value.too_large"),
        (m.EnqueueStage(id="a", sweep={"A": (MUCH * 9, "1")}), "sweep.too_large"),
        (m.EnqueueStage(id="a", comment="x" * (LONGEST_TEXT + 1)), "comment.too_long"),
        (m.AddComment(text="x" * (LONGEST_TEXT + 1)), "comment.too_long"),
        (m.PauseProject(text="x" * (LONGEST_TEXT + 1)), "comment.too_long"),
        (m.Describe(tags=tuple(f"t{n}" for n in range(MOST_TAGS + 1))), "project.too_many"),
        (m.Describe(participants=MANY), "project.too_many"),
        (m.Describe(name="street\r\nBcc: all@example.org"), "project.name"),
        (m.Describe(name="street\x1b[2J"), "project.name"),
        (m.Describe(name="street \u202egpj.exe"), "project.name"),
        (m.Describe(tags=("a\nb",)), "project.tag"),
    ],
)  # fmt: skip
def test_what_is_too_much_or_no_name_is_refused(command: m.Command, code: str) -> None:
    with pytest.raises(Invalid) as refused:
        after(made(), command)
    assert refused.value.code == code and refused.value.hint


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"values": {"A": MUCH}}, "value.too_large"),
        ({"name": "a\0b"}, "project.name"),
        ({"tags": ("\u2028",)}, "project.tag"),
        ({"sweeps": {"a": {"A": (MUCH * 9, "1")}}}, "sweep.too_large"),
    ],
)
def test_a_project_is_not_made_with_too_much(fields: dict[str, Any], code: str) -> None:
    with pytest.raises(Invalid) as refused:
        made(**fields)
    assert refused.value.code == code


def test_many_small_steps_add_up_to_no_more_than_one_large_one() -> None:
    project, taken = made(), 0
    with pytest.raises(Invalid):
        for number in range(100):
            project = after(project, m.SetValues(values={f"V{number}": "x" * 1000}))
            taken += 1
    assert 60 < taken < 70
    assert after(project, m.SetValues(values={"V0": None})), "taking something away is always possible"


def test_doing_a_stage_again_and_again_with_more_each_time_ends_at_the_same_limit() -> None:
    project = after(made(), m.EnqueueStage(id="a", overrides=Overrides(environment={"E": "x" * 40_000})))
    project = after(project, m.StopStage(stage=1))
    with pytest.raises(Invalid):
        after(project, m.RedoStage(stage=1, overrides=Overrides(environment={"F": "x" * 40_000})))


def test_names_in_all_languages_are_taken() -> None:
    for name in ("Straße am Neckartor", "街頭影片", "فيديو الشارع", "улица 17:30", "👩\u200d🔬 lab"):
        assert after(made(), m.Describe(name=name)).name == name


def test_what_was_taken_by_an_older_winslow_is_let_be() -> None:
    old = made().but(tags=tuple(f"t{n}" for n in range(500)), name="a\nb", values={"A": MUCH})
    assert after(old, m.Describe(priority=70)).priority == 70
    assert len(after(old, m.Describe(tags=old.tags[:400])).tags) == 400
