from __future__ import annotations

import pytest

from tests.builders import a_stage
from winslow_nomad.core.stage import EnvironmentValue, Source
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
    assert may_come_first(a_stage(1, source=source, environment=environment)) is may
