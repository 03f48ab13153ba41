"""How long stages usually take, for many who ask at once: of each pipeline read again every two seconds."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Mapping

from winslow_nomad.bootstrap.installation import Installation
from winslow_nomad.core.durations import Typical
from winslow_nomad.store.statistics import Statistics

FRESH = 2.0  # seconds
KEPT = 500  # pipelines


class CachedDurations:
    """core.durations.Durations."""

    def __init__(self, installation: Installation) -> None:
        self._statistics = Statistics(installation.state, installation.keys)
        self._lock = threading.Lock()
        self._known: OrderedDict[str, tuple[float, Mapping[str, Typical]]] = OrderedDict()

    def typical(self, pipeline: str) -> Mapping[str, Typical]:
        with self._lock:
            known = self._known.get(pipeline)
        if known is not None and time.monotonic() - known[0] < FRESH:
            return known[1]
        found = self._statistics.typical(pipeline)
        with self._lock:
            self._known[pipeline] = (time.monotonic(), found)
            self._known.move_to_end(pipeline)
            while len(self._known) > KEPT:
                self._known.popitem(last=False)
        return found
