"""What holds for all tests."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# A busy machine is no failure: no example has a deadline, and slow ones are not complained about.
settings.register_profile("winslow", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("winslow")
