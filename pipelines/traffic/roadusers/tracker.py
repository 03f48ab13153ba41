"""From blobs to tracks: a Kalman filter per road user, and an exact assignment per frame.

A filter predicts where each road user is now; blobs are given to the predictions at the least total cost; a track is
believed after some hits, carries on through short gaps, and dies after longer ones. Times are seconds, so a variable
frame rate does no harm.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from roadusers.assignment import assign
from roadusers.tracks import Sample, Track, overlap

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Settings:
    hits: int = 3  # sightings before a track is believed
    gap: float = 0.6  # seconds without a sighting before it ends
    gate: float = 1.0  # how far from the prediction a blob may lie, in sizes of the road user
    agility: float = 3.0  # how much a road user may accelerate, in its sizes per second squared


class Kalman:
    """Position and velocity of one point, each axis for itself: constant velocity, disturbed by acceleration."""

    def __init__(self, x: float, y: float, size: float) -> None:
        self.position = np.array([x, y])
        self.velocity = np.zeros(2)
        self.noise = (0.08 * size) ** 2 + 1.0  # of a sighting: the box of a blob breathes with its size
        # One 2 x 2 covariance serves both axes: their noises are the same.
        self.covariance = np.array([[self.noise, 0.0], [0.0, (3.0 * size) ** 2]])

    def predict(self, seconds: float, acceleration: float) -> None:
        step = np.array([[1.0, seconds], [0.0, 1.0]])
        push = np.array([seconds**2 / 2, seconds])
        self.position = self.position + self.velocity * seconds
        self.covariance = step @ self.covariance @ step.T + np.outer(push, push) * acceleration**2

    def update(self, x: float, y: float) -> None:
        gain = self.covariance[:, 0] / (self.covariance[0, 0] + self.noise)
        off = np.array([x, y]) - self.position
        self.position = self.position + gain[0] * off
        self.velocity = self.velocity + gain[1] * off
        self.covariance = self.covariance - np.outer(gain, self.covariance[0])

    def spread(self) -> float:
        return float(np.sqrt(self.covariance[0, 0] + self.noise))


@dataclass
class _Live:
    filter: Kalman
    width: float
    height: float
    samples: list[Sample] = field(default_factory=list)
    id: int = 0  # 0: not believed yet
    now: float = 0.0

    @property
    def size(self) -> float:
        return float(np.sqrt(self.width * self.height))

    @property
    def box(self) -> tuple[float, float, float, float]:
        x, y = self.filter.position
        return (x - self.width / 2, y - self.height / 2, x + self.width / 2, y + self.height / 2)

    def take(self, seen: Sample) -> None:
        self.filter.update(seen.x, seen.y)
        self.width += 0.4 * (seen.width - self.width)
        self.height += 0.4 * (seen.height - self.height)
        self.samples.append(seen)


class Tracker:
    """Feed it the sightings of every frame of one shot in order, also of frames without any."""

    def __init__(self, shot: int, settings: Settings = Settings(), first_id: int = 1) -> None:
        self._shot, self._settings, self.next_id = shot, settings, first_id
        self._live: list[_Live] = []
        self._ended: list[_Live] = []

    def step(self, second: float, sightings: Sequence[Sample]) -> None:
        settings = self._settings
        for live in self._live:
            live.filter.predict(second - live.now, settings.agility * live.size)
            live.now = second
        taken: set[int] = set()
        # Tracks that are believed choose first, so that a flicker never takes a blob from an old acquaintance.
        for group in ([t for t in self._live if t.id], [t for t in self._live if not t.id]):
            rest = [i for i in range(len(sightings)) if i not in taken]
            if not group or not rest:
                continue
            cost = np.array([[self._cost(t, sightings[i]) for i in rest] for t in group])
            for row, column in assign(cost, 2.0):
                live = group[row]
                live.take(sightings[rest[column]])
                taken.add(rest[column])
                if not live.id and len(live.samples) >= settings.hits:
                    live.id, self.next_id = self.next_id, self.next_id + 1
        staying = []
        for live in self._live:
            patience = settings.gap if live.id else settings.gap / 2
            if second - live.samples[-1].second > patience:
                self._ended.append(live)
            else:
                staying.append(live)
        self._live = staying
        for index, seen in enumerate(sightings):
            if index not in taken:
                born = _Live(Kalman(seen.x, seen.y, float(np.hypot(seen.width, seen.height))), seen.width, seen.height)
                born.samples.append(seen)
                born.now = second
                self._live.append(born)

    def _cost(self, live: _Live, seen: Sample) -> float:
        """0 is a perfect match; above 2 it cannot be the same one."""
        x, y = live.filter.position
        distance = float(np.hypot(seen.x - x, seen.y - y))
        reach = self._settings.gate * max(live.size, float(np.sqrt(seen.width * seen.height)))
        share, _ = overlap(live.box, seen.box)
        if distance > min(reach, 4 * live.filter.spread() + 0.25 * reach) and share < 0.2:
            return float("inf")
        likeness = abs(float(np.log((seen.width * seen.height + 1) / (live.width * live.height + 1))))
        return min(1.0, distance / max(1.0, reach)) + 0.7 * (1 - share) + min(0.25, 0.1 * likeness)

    def finish(self) -> list[Track]:
        """All believed tracks, in the order of their ids."""
        everyone = sorted((t for t in self._ended + self._live if t.id), key=lambda t: t.id)
        self._ended, self._live = [], []
        return [Track(t.id, self._shot, t.samples) for t in everyone]


def track_shot(
    shot: int,
    frames: Iterable[tuple[float, Sequence[Sample]]],
    settings: Settings = Settings(),
    first_id: int = 1,
) -> tuple[list[Track], int]:
    """The tracks of one shot, and the id that the next shot starts with."""
    tracker = Tracker(shot, settings, first_id)
    for second, sightings in frames:
        tracker.step(second, sightings)
    return tracker.finish(), tracker.next_id
