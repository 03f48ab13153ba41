"""What a track is, and how tracks are kept in files between the stages."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from roadusers import contract

HEADER = ["id", "shot", "frame", "second", "x", "y", "width", "height", "edges", "seen", "motion"]


@dataclass(frozen=True)
class Sample:
    """Where a road user is in one frame; not `seen`: in between, where it was hidden."""

    frame: int
    second: float
    x: float  # centre
    y: float
    width: float
    height: float
    edges: str = ""
    seen: bool = True
    motion: float = -1.0  # share of its pixels that changed lately; -1: not known

    @property
    def box(self) -> tuple[float, float, float, float]:
        return (
            self.x - self.width / 2,
            self.y - self.height / 2,
            self.x + self.width / 2,
            self.y + self.height / 2,
        )


@dataclass
class Track:
    id: int
    shot: int
    samples: list[Sample] = field(default_factory=list)

    @property
    def start(self) -> float:
        return self.samples[0].second

    @property
    def end(self) -> float:
        return self.samples[-1].second

    def points(self) -> NDArray[np.float64]:
        return np.array([[s.x, s.y] for s in self.samples])

    def seconds(self) -> NDArray[np.float64]:
        return np.array([s.second for s in self.samples])


def save(path: Path, tracks: list[Track]) -> None:
    rows = (
        [t.id, t.shot, s.frame, f"{s.second:.4f}"]
        + [f"{v:.2f}" for v in (s.x, s.y, s.width, s.height)]
        + [s.edges, int(s.seen), f"{s.motion:.3f}"]
        for t in tracks
        for s in t.samples
    )
    contract.write_csv(path, HEADER, rows)


def load(path: Path) -> list[Track]:
    tracks: dict[int, Track] = {}
    for row in contract.read_csv(path):
        track = tracks.setdefault(int(row["id"]), Track(int(row["id"]), int(row["shot"])))
        x, y, width, height = (float(row[k]) for k in ("x", "y", "width", "height"))
        seen = row["seen"] == "1"
        frame, second, motion = int(row["frame"]), float(row["second"]), float(row["motion"])
        track.samples.append(Sample(frame, second, x, y, width, height, row["edges"], seen, motion))
    return list(tracks.values())


def overlap(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> tuple[float, float]:
    """(intersection over union, intersection over the smaller box)"""
    across = min(a[2], b[2]) - max(a[0], b[0])
    down = min(a[3], b[3]) - max(a[1], b[1])
    if across <= 0 or down <= 0:
        return 0.0, 0.0
    both = across * down
    one, other = (a[2] - a[0]) * (a[3] - a[1]), (b[2] - b[0]) * (b[3] - b[1])
    return both / (one + other - both), both / max(1e-9, min(one, other))
