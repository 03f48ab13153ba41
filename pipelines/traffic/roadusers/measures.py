"""From clean tracks to what a traffic engineer asks for: counts, ways, speeds, crossings, occupancy.

Every column names its unit: seconds of the video, pixels of the full picture, and km/h only where a scale was given.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from roadusers.contract import Problem
from roadusers.tracks import Sample, Track

SIDES = {"l": "left", "r": "right", "t": "top", "b": "bottom"}
HYSTERESIS = 0.01  # of the picture's diagonal: a track has to get this far beyond the line to be on the other side


@dataclass(frozen=True)
class Line:
    """A counting line between two points, in pixels."""

    ax: float
    ay: float
    bx: float
    by: float

    @classmethod
    def parse(cls, words: str, width: int, height: int) -> Line:
        try:
            values = [float(n) for pair in words.split() for n in pair.split(",")]
            if len(values) != 4 or min(values) < 0 or max(values) > 1 or values[:2] == values[2:]:
                raise ValueError
        except ValueError:
            raise Problem(
                f'LINE has to be two points in shares of the picture, such as "0.5,0 0.5,1", but it is {words!r}.'
            ) from None
        return cls(values[0] * width, values[1] * height, values[2] * width, values[3] * height)

    @property
    def upright(self) -> bool:
        return abs(self.by - self.ay) >= abs(self.bx - self.ax)

    def directions(self) -> tuple[str, str]:
        return ("to the right", "to the left") if self.upright else ("downwards", "upwards")

    def side(self, x: float, y: float) -> float:
        """Signed distance in pixels: positive is right of the line, or below it."""
        dx, dy = self.bx - self.ax, self.by - self.ay
        distance = (dx * (y - self.ay) - dy * (x - self.ax)) / float(np.hypot(dx, dy))
        positive = -dy if self.upright else dx  # which end the line was given first makes no difference
        return float(distance if positive > 0 else -distance)

    def within(self, x: float, y: float) -> bool:
        """Whether a point lies beside the line and not beyond its ends."""
        dx, dy = self.bx - self.ax, self.by - self.ay
        along = ((x - self.ax) * dx + (y - self.ay) * dy) / (dx * dx + dy * dy)
        return -0.02 <= along <= 1.02


@dataclass(frozen=True)
class Crossing:
    second: float
    direction: str


def crossing(track: Track, line: Line, diagonal: float) -> Crossing | None:
    """The one crossing of a track, or none: who wavers on the line, or comes back over it, is not counted twice."""
    margin = HYSTERESIS * diagonal
    first = side = 0
    at = 0.0
    before: Sample | None = None
    over: Crossing | None = None
    for sample in track.samples:
        distance = line.side(sample.x, sample.y)
        if before is not None and line.side(before.x, before.y) * distance <= 0 and line.within(sample.x, sample.y):
            at = sample.second
        before = sample
        now = 1 if distance > margin else -1 if distance < -margin else side
        if now == side:
            continue
        if side == 0:
            first = now
        elif at:
            over = Crossing(at, line.directions()[0 if now > 0 else 1]) if now != first else None
        side = now
    return over


@dataclass(frozen=True)
class Measured:
    """One road user, as a row of tracks.csv."""

    id: int
    shot: int
    first_s: float
    last_s: float
    entry: str
    exit: str
    direction: str
    path_px: float
    net_px: float
    speed_px_s: float
    speed_from: str  # "whole": measured while all of it was in view; "part": it never was for long
    width_px: float
    height_px: float
    hidden_s: float
    crossing: Crossing | None


def measure(track: Track, line: Line, diagonal: float, begins: float, ends: float, frame: float) -> Measured:
    """`begins` and `ends` are those of the shot, `frame` the duration of one picture, all in seconds."""
    points, seconds = track.points(), track.seconds()
    steps = np.hypot(*np.diff(points, axis=0).T) if len(points) > 1 else np.zeros(0)
    whole = np.array([not s.edges for s in track.samples])
    # Of what is cut by the border only a part is seen, and its centre moves more slowly than the road user.
    both = whole[1:] & whole[:-1]
    times = np.diff(seconds)
    enough = bool(times[both].sum() >= 0.2) if len(times) else False
    if enough:
        speed = float(steps[both].sum() / times[both].sum())
    else:
        speed = float(steps.sum() / times.sum()) if len(times) and times.sum() > 0 else 0.0
    across, down = points[-1] - points[0]
    hidden = float(sum(d for d, s in zip(times, track.samples[1:], strict=True) if not s.seen))
    return Measured(
        id=track.id,
        shot=track.shot + 1,
        first_s=track.start,
        last_s=track.end,
        entry="in view at start" if track.start - begins < 1.5 * frame else _side(track.samples[0]),
        exit="in view at end" if ends - track.end < 2.5 * frame else _side(track.samples[-1]),
        direction=heading(float(across), float(down)),
        path_px=float(steps.sum()),
        net_px=float(np.hypot(across, down)),
        speed_px_s=speed,
        speed_from="whole" if enough else "part",
        width_px=float(np.median([s.width for s in track.samples])),
        height_px=float(np.median([s.height for s in track.samples])),
        hidden_s=hidden,
        crossing=crossing(track, line, diagonal),
    )


def _side(sample: Sample) -> str:
    return SIDES[sample.edges[0]] if sample.edges else "within the picture"


def heading(across: float, down: float) -> str:
    if abs(across) >= abs(down):
        return "to the right" if across > 0 else "to the left"
    return "downwards" if down > 0 else "upwards"


@dataclass(frozen=True)
class Second:
    second: int
    active: int
    entered: int
    cumulative: int
    crossings: int


def per_second(tracks: Sequence[Track], measured: Sequence[Measured], length: float) -> list[Second]:
    """`active` are different road users in view at any moment of the second: never the same one twice."""
    rows, total = [], 0
    for second in range(max(1, int(np.ceil(length - 1e-6)))):
        active = sum(t.start < second + 1 and t.end >= second for t in tracks)
        entered = sum(second <= t.start < second + 1 for t in tracks)
        crossed = sum(m.crossing is not None and second <= m.crossing.second < second + 1 for m in measured)
        total += entered
        rows.append(Second(second, active, entered, total, crossed))
    return rows


def occupancy(tracks: Sequence[Track], width: int, height: int, frame: float, cell: float) -> NDArray[np.float64]:
    """Seconds that each cell was covered by a road user, on a grid of `cell` pixels; the ellipse in the box counts."""
    rows, columns = max(1, int(np.ceil(height / cell))), max(1, int(np.ceil(width / cell)))
    heat = np.zeros((rows, columns))
    for track in tracks:
        for s in track.samples:
            x0, x1 = _span(s.x, s.width, cell, columns)
            y0, y1 = _span(s.y, s.height, cell, rows)
            if x0 >= x1 or y0 >= y1:
                continue
            x = ((np.arange(x0, x1) + 0.5) * cell - s.x) / max(cell, s.width / 2)
            y = ((np.arange(y0, y1) + 0.5) * cell - s.y) / max(cell, s.height / 2)
            heat[y0:y1, x0:x1] += (x[None, :] ** 2 + y[:, None] ** 2 <= 1) * frame
    return heat


def _span(centre: float, size: float, cell: float, most: int) -> tuple[int, int]:
    return max(0, int((centre - size / 2) // cell)), min(most, int((centre + size / 2) // cell) + 1)
