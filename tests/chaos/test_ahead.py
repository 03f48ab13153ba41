from __future__ import annotations

import pytest

from tests.builders import a_definition, a_project, a_stage
from winslow_nomad.core.stage import EnvironmentValue, Overrides, Source
from winslow_nomad.events.advance import may_come_first

PLAIN = EnvironmentValue(name="A", value="1", origin="project")
SECRET = EnvironmentValue(name="KEY", value="secret:s1", origin="project", secret=True)
EMPTY, COPY = Source(kind="empty"), Source(kind="stage", number=1)


@pytest.mark.parametrize(
    ("source", "environment", "may"),
    [(EMPTY, (PLAIN,), True), (EMPTY, (PLAIN, SECRET), False), (COPY, (PLAIN,), False), (None, (), False)],
)
def test_only_what_holds_no_secret_and_no_copy_is_made_before_its_admission_is_stored(
    source: Source | None, environment: tuple[EnvironmentValue, ...], may: bool
) -> None:
    stage = a_stage(1, source=source, environment=environment)
    assert may_come_first(a_project(), stage) is may


@pytest.mark.parametrize(
    ("driver", "image", "override", "may"),
    [
        ("nomad", "tool:1", None, True),
        ("nomad", "registry.example.org/tool:1", None, False),
        ("nomad", "${REGISTRY}/tool:1", None, False),
        ("nomad", "tool:1", "registry.example.org/tool:1", False),
        ("nomad", "registry.example.org/tool:1", "tool:1", True),
        ("local", "registry.example.org/tool:1", None, True),
    ],
)
def test_nobody_who_is_to_be_admitted_waits_for_a_registry(
    driver: str, image: str, override: str | None, may: bool
) -> None:
    stage = a_stage(1, definition=a_definition(image=image), overrides=Overrides(image=override), source=EMPTY)
    assert may_come_first(a_project(driver=driver), stage.but(environment=())) is may
