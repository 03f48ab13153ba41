"""core.monitoring.Monitoring of an installation."""

from __future__ import annotations

import ipaddress
import threading
import time
from collections.abc import Iterator, Sequence

from winslow_nomad.bootstrap.installation import Installation
from winslow_nomad.core.errors import ShareUnavailable, StoreUnavailable
from winslow_nomad.core.monitoring import Condition, Figures
from winslow_nomad.resources.layout import MARK
from winslow_nomad.resources.reader import Reader
from winslow_nomad.store.monitoring import StoreFigures

FRESH = 1.0  # seconds that an answer is good for, however often it is asked
PATIENCE = 1.0  # seconds for the share
LATE = 60.0  # seconds of something outstanding after which somebody should look
BEHIND = 30.0  # seconds of the mirror


class InstalledMonitoring:
    """With connections and threads of its own: what all others wait for must not keep this from saying so."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self._networks = [ipaddress.ip_network(n, strict=False) for n in installation.settings.metrics_from]
        self._lock = threading.Lock()
        self._known: tuple[float, Sequence[Condition]] | None = None
        self._reader = Reader(installation.settings.share, deadline=PATIENCE, threads=1)
        self._figures: StoreFigures | None = None

    def figures(self) -> Figures:
        if self._figures is None:
            given = self._installation
            self._figures = StoreFigures(given.probe_client(), given.clock, given.keys)
        return self._figures.read()

    def conditions(self) -> Sequence[Condition]:
        with self._lock:
            if self._known is None or time.monotonic() - self._known[0] > FRESH:
                self._known = (time.monotonic(), tuple(self._look()))
            return self._known[1]

    def knows(self, address: str) -> bool:
        try:
            asking = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            return False
        mapped = getattr(asking, "ipv4_mapped", None)
        return any((mapped or asking) in network for network in self._networks)

    def _look(self) -> Iterator[Condition]:
        try:
            found = self.figures()
        except StoreUnavailable as error:
            yield Condition(name="store", ok=False, needed=True, text=error.message)
            yield self._share()
            return
        yield Condition(name="store", ok=True, needed=True, text="answers")
        yield self._share()
        yield _held(found, "controller", "stages are moved", "nobody moves stages: what is asked for waits")
        yield _held(found, "notices", "notifications are sent", "nobody sends notifications")
        late = found.oldest_dirty > LATE
        text = f"{found.queue} doorbells, {found.dirty} projects with something to be carried out"
        yield Condition(name="queue", ok=not late, text=f"{text}, for {found.oldest_dirty:.0f} s" if late else text)
        behind = found.mirror_lag > BEHIND
        text = f"{found.mirror_lines} changes are not on the share yet, for {found.mirror_lag:.0f} s"
        yield Condition(name="mirror", ok=not behind, text=text if found.mirror_lines else "up to date")

    def _share(self) -> Condition:
        try:
            there = self._reader.read(MARK) is not None
        except ShareUnavailable as error:
            return Condition(name="share", ok=False, text=error.message)
        except OSError as error:
            return Condition(name="share", ok=False, text=error.strerror or "cannot be read")
        return Condition(name="share", ok=there, text="answers" if there else f"{MARK} is missing")


def _held(found: Figures, work: str, well: str, wrong: str) -> Condition:
    holder = found.leases[work]
    return Condition(name=work, ok=bool(holder), text=well if holder else wrong, who=holder)
