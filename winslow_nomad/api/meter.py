"""What this process counts of its own work, and how all figures are written for Prometheus. Never a secret, and never
the name of a project, person or file: figures may be read by who may read nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from winslow_nomad import __version__
from winslow_nomad.core.errors import Unavailable
from winslow_nomad.core.monitoring import LAGS, Figures

Family = CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily
UNKNOWN = "unknown"  # a path that no route has
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
COUNTED = {
    "transitions": ("winslow_transitions", "Entries written into the history of projects", "what"),
    "submissions": ("winslow_submissions", "Attempts that a driver has taken", "driver"),
    "notifications_sent": ("winslow_notifications_sent", "Messages that were taken by whom they were for", "way"),
    "notifications_failed": ("winslow_notifications_failed", "Tries of a message that were not taken", "way"),
    "notifications_given_up": ("winslow_notifications_given_up", "Messages that nobody tries any more", "way"),
}


WAYS = ("chat", "mail", "webhook")  # told from the beginning: a counter that appears with 1 has not grown


class Meter:
    """`figures`: those of the store, read whenever somebody asks; they are the same in every process. `sockets`: how
    many clients follow live at this process."""

    def __init__(self, figures: Callable[[], Figures], sockets: Callable[[], int]) -> None:
        self._registry = CollectorRegistry()
        labels = ("method", "route", "status")
        self._requests = Counter("winslow_requests", "Requests", labels, registry=self._registry)
        self._seconds = Histogram(
            "winslow_request_seconds", "From a request to the beginning of its answer", labels[:2],
            buckets=SECONDS, registry=self._registry,
        )  # fmt: skip
        self._uploaded = Counter("winslow_upload_bytes", "Bytes of uploads that were written", registry=self._registry)
        sockets_now = Gauge("winslow_live_clients", "Clients that follow live", registry=self._registry)
        sockets_now.set_function(lambda: float(sockets()))
        about = Gauge("winslow_info", "The version of this process", ("version",), registry=self._registry)
        about.labels(__version__).set(1)
        ProcessCollector(registry=self._registry)
        self._registry.register(OfTheStore(figures))

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        self._requests.labels(method, route or UNKNOWN, str(status)).inc()
        self._seconds.labels(method, route or UNKNOWN).observe(seconds)

    def uploaded(self, count: int) -> None:
        self._uploaded.inc(count)

    def text(self) -> bytes:
        """For a scraper: the text format of Prometheus."""
        return generate_latest(self._registry)


class OfTheStore(Collector):
    def __init__(self, figures: Callable[[], Figures]) -> None:
        self._figures = figures

    def describe(self) -> Iterable[Family]:
        """Nothing beforehand: the names are known only with the figures."""
        return ()

    def collect(self) -> Iterable[Family]:
        try:
            found = self._figures()
        except Unavailable:
            yield GaugeMetricFamily("winslow_store_up", "Whether the store answers", value=0)
            return
        yield GaugeMetricFamily("winslow_store_up", "Whether the store answers", value=1)
        yield from _gauges(found)
        yield from _counters(found)
        yield from _lags(found)


def _gauges(found: Figures) -> Iterable[Family]:
    for name, help_, value in (
        ("winslow_queue_length", "Doorbells that nobody has answered yet", found.queue),
        ("winslow_dirty_projects", "Projects with something to be carried out", found.dirty),
        ("winslow_oldest_dirty_seconds", "Since when the longest of them waits for it", found.oldest_dirty),
        ("winslow_open_projects", "Projects that the sweep looks at", found.open_projects),
        ("winslow_stages_waiting", "Stages that wait to be given to a driver", found.waiting),
        ("winslow_stages_at_driver", "Stages that a driver has", found.at_driver),
        ("winslow_mirror_lag_lines", "Changes that are not on the share yet", found.mirror_lines),
        ("winslow_mirror_lag_seconds", "Since when the oldest of them waits", found.mirror_lag),
        ("winslow_notifications_waiting", "Messages on their way", found.notifications),
        ("winslow_operations_open", "Copies, deletions and other long work on files", found.operations),
    ):
        yield GaugeMetricFamily(name, help_, value=value)
    projects = GaugeMetricFamily("winslow_projects", "Projects by state", labels=["state"])
    for state, count in sorted(found.projects.items()):
        projects.add_metric([state], count)
    yield projects
    leases = GaugeMetricFamily("winslow_lease_held", "Whether some process does this work", labels=["work"])
    for work, holder in sorted(found.leases.items()):
        leases.add_metric([work], 1 if holder else 0)
    yield leases


def _counters(found: Figures) -> Iterable[Family]:
    families = {key: CounterMetricFamily(name, help_, labels=[label]) for key, (name, help_, label) in COUNTED.items()}
    sent = [key for key in COUNTED if key.startswith("notifications_")]
    begun = {f"{key}|{way}": 0 for key in sent for way in WAYS}
    for place, value in sorted({**begun, **found.totals}.items()):
        what, _, label = place.partition("|")
        if what in families:
            families[what].add_metric([label], value)
    yield from families.values()


def _lags(found: Figures) -> Iterable[Family]:
    family = HistogramMetricFamily(
        "winslow_event_lag_seconds", "From the end of an attempt to the commit that knows of it", labels=["driver"]
    )
    steps = [*(str(s) for s in LAGS), "+Inf"]
    for driver in sorted(p.split("|")[1] for p in found.totals if p.startswith("lag_ms|")):
        counts = [found.totals.get(f"lag|{driver}|{step}", 0) for step in range(len(steps))]
        grown = [sum(counts[: n + 1]) for n in range(len(counts))]
        total = found.totals[f"lag_ms|{driver}"] / 1000
        family.add_metric([driver], buckets=list(zip(steps, grown, strict=True)), sum_value=total)
    yield family
