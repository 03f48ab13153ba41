"""The demo pipelines as their stages run them: plain scripts beside plain modules, outside the package."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

for library in ("numpy", "cv2", "av"):
    pytest.importorskip(library, reason="the demo's libraries are not installed (extra `demo`)")

sys.path.insert(0, str(Path(__file__).parents[2] / "pipelines" / "traffic"))
