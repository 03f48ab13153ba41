from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contracts.driver_cases import LocalCase, local_case


@pytest.fixture
def case() -> Iterator[LocalCase]:
    made = local_case()
    try:
        yield made
    finally:
        made.close()
