"""What holds for all tests."""

from __future__ import annotations

from collections.abc import Generator

import pytest
from hypothesis import HealthCheck, settings

# A busy machine is no failure: no example has a deadline, and slow ones are not complained about.
settings.register_profile("winslow", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("winslow")

NEEDS_A_REGISTRY = "tests on a real registry skipped"
NEEDS_NOMAD = "Nomad tests skipped"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Those that are skipped for want of the same thing all name this place: one line of the summary."""
    report = yield
    if report.skipped and isinstance(report.longrepr, tuple):
        why = report.longrepr[2]
        if NEEDS_A_REGISTRY in why or NEEDS_NOMAD in why:
            report.longrepr = (__file__, 1, why)
    return report
