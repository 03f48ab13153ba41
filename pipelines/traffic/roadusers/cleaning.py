"""From raw tracks to road users: pieces joined, doubles absorbed, noise dropped, paths smoothed.

The order matters: fragments first (two boxes on one vehicle), then gaps (one vehicle seen twice), then what did not
travel, and smoothing last, on whole paths.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from roadusers.assignment import assign
from roadusers.tracks import Sample, Track, overlap

REASONS = ("too short", "does not travel", "does not move by itself")


@dataclass(frozen=True)
class Settings:
    gap: float = 1.0  # seconds over which two pieces may be joined
    shortest: float = 0.4  # seconds in view
    motion: float = 0.1  # share of the pixels that change from moment to moment, on average
    motion_drifting: float = 0.35  # where the camera wanders: what stands near slides before what stands far
    drift: float = 0.01  # of the picture's width: a camera that stays within this counts as still
    travel: float = 0.05  # of the picture's diagonal, between first and last place


def absorb(tracks: list[Track], together: float = 0.6) -> tuple[list[Track], int]:
    """Merge tracks that lie on each other for most of the shorter one's life: two blobs, but one vehicle."""
    left = sorted(tracks, key=lambda t: -len(t.samples))
    absorbed = 0
    index = 0
    while index < len(left):
        big = left[index]
        for small in left[index + 1 :]:
            if small.shot == big.shot and _same(big, small, together):
                big = Track(min(big.id, small.id), big.shot, _union(big.samples, small.samples))
                left[index] = big
                left.remove(small)
                absorbed += 1
        index += 1
    return sorted(left, key=lambda t: t.id), absorbed


def _same(big: Track, small: Track, together: float) -> bool:
    places = {s.frame: s for s in big.samples}
    common = [(places[s.frame], s) for s in small.samples if s.frame in places]
    if len(common) < max(3, 0.5 * len(small.samples)):
        return False
    inside = float(np.mean([overlap(a.box, b.box)[1] for a, b in common]))
    if inside > together:
        return True
    # Side by side, but stiff: a fence cuts one vehicle into pieces that keep their distance while both travel.
    apart = np.array([[a.x - b.x, a.y - b.y] for a, b in common])
    gap = np.mean([_gap(a, b) for a, b in common])
    size = np.mean([np.sqrt(a.width * a.height) for a, _ in common])
    travelled = float(np.hypot(common[-1][1].x - common[0][1].x, common[-1][1].y - common[0][1].y))
    return bool(
        gap < 0.1 * size and np.hypot(*apart.std(axis=0)) < 0.1 * size and travelled > 0.5 * size and inside > 0.15
    )


def _gap(a: Sample, b: Sample) -> float:
    across = max(a.box[0], b.box[0]) - min(a.box[2], b.box[2])
    down = max(a.box[1], b.box[1]) - min(a.box[3], b.box[3])
    return max(0.0, across, down)


def _union(one: list[Sample], other: list[Sample]) -> list[Sample]:
    places = {s.frame: s for s in one}
    first, last = one[0].frame, one[-1].frame
    for s in other:
        if s.frame not in places:
            if s.frame < first or s.frame > last:
                places[s.frame] = s
            continue
        a = places[s.frame]
        x0, y0 = min(a.box[0], s.box[0]), min(a.box[1], s.box[1])
        x1, y1 = max(a.box[2], s.box[2]), max(a.box[3], s.box[3])
        edges = "".join(sorted(set(a.edges + s.edges)))
        places[s.frame] = replace(a, x=(x0 + x1) / 2, y=(y0 + y1) / 2, width=x1 - x0, height=y1 - y0, edges=edges)
    return [places[frame] for frame in sorted(places)]


def join(tracks: list[Track], settings: Settings) -> tuple[list[Track], int]:
    """Join pieces of one path across a gap: where one ends and the other begins has to fit the movement of both."""
    joined = 0
    while True:
        cost = np.full((len(tracks), len(tracks)), np.inf)
        for i, a in enumerate(tracks):
            for j, b in enumerate(tracks):
                if i != j:
                    cost[i, j] = _joint(a, b, settings)
        pairs = assign(cost, 1.0)
        if not pairs:
            return sorted(tracks, key=lambda t: t.id), joined
        # Chains (a before b before c) are closed in the next rounds.
        used: set[int] = set()
        merged: list[Track] = []
        for i, j in sorted(pairs, key=lambda p: cost[p]):
            if i not in used and j not in used:
                used |= {i, j}
                a, b = tracks[i], tracks[j]
                samples = [s for s in a.samples if s.frame < b.samples[0].frame] + b.samples
                merged.append(Track(min(a.id, b.id), a.shot, samples))
                joined += 1
        tracks = merged + [t for k, t in enumerate(tracks) if k not in used]


def _joint(a: Track, b: Track, settings: Settings) -> float:
    gap = b.start - a.end
    if a.shot != b.shot or not -0.15 < gap <= settings.gap or b.end <= a.end or a.start >= b.start:
        return float("inf")
    if _leaving(a):
        return float("inf")  # it has left the picture; what comes in there is another one
    size = float(np.median([np.sqrt(s.width * s.height) for s in a.samples[-10:] + b.samples[:10]]))
    out, into = _velocity(a, last=True), _velocity(b, last=False)
    end = np.array([a.samples[-1].x, a.samples[-1].y])
    begin = np.array([b.samples[0].x, b.samples[0].y])
    forward = float(np.hypot(*(end + out * gap - begin)))
    backward = float(np.hypot(*(begin - into * gap - end)))
    reach = size * (0.8 + 0.8 * max(0.0, gap))
    fast = max(float(np.hypot(*out)), float(np.hypot(*into)))
    if fast > size and float(out @ into) < 0:  # turned round while hidden: not likely
        return float("inf")
    return min(forward, backward) / reach if max(forward, backward) < 2 * reach else float("inf")


def _leaving(track: Track) -> bool:
    """Ends at a border of the picture while moving towards it."""
    across, down = _velocity(track, last=True)
    edges = track.samples[-1].edges
    sideways = ("l" in edges and across < 0) or ("r" in edges and across > 0)
    # Who drives along the lower border touches it all the time: there it has to be the main direction.
    return bool(sideways or ("t" in edges and down < 0) or ("b" in edges and down > abs(across)))


def _velocity(track: Track, last: bool) -> NDArray[np.float64]:
    part = track.samples[-8:] if last else track.samples[:8]
    seconds = part[-1].second - part[0].second
    if seconds <= 0:
        return np.zeros(2)
    times = np.array([s.second for s in part])
    return np.array([np.polyfit(times - times[0], [getattr(s, axis) for s in part], 1)[0] for axis in ("x", "y")])


def drop(
    tracks: list[Track], diagonal: float, drifts: Sequence[float], settings: Settings
) -> tuple[list[Track], Counter[str]]:
    """Leave out what is no road user on its way; the counter says why."""
    kept, reasons = [], Counter[str]()
    for track in tracks:
        points = track.points()
        spot = max(1, len(points) // 8)
        moved = np.hypot(*(np.median(points[-spot:], axis=0) - np.median(points[:spot], axis=0)))
        edges = _edge_travel(track)
        if track.end - track.start < settings.shortest:
            reasons["too short"] += 1
        elif max(moved, edges) < settings.travel * diagonal:
            reasons["does not travel"] += 1
        elif _motion(track) < (settings.motion_drifting if drifts[track.shot] > settings.drift else settings.motion):
            reasons["does not move by itself"] += 1
        else:
            kept.append(track)
    return kept, reasons


def _motion(track: Track) -> float:
    """How much of it changes lately. A ghost, or a post that a drifting camera passes, hardly does."""
    known = [s.motion for s in track.samples if s.motion >= 0]
    return float(np.mean(known)) if known else 1.0


def _edge_travel(track: Track) -> float:
    """How far the front of a box went: of one that only enters, the centre moves by half as much."""
    boxes = np.array([s.box for s in track.samples])
    spot = max(1, len(boxes) // 8)
    step = np.median(boxes[-spot:], axis=0) - np.median(boxes[:spot], axis=0)
    # The same direction for both sides, or one side held by the border: else the box only breathes.
    result = 0.0
    for low, high, near, far in ((0, 2, "l", "r"), (1, 3, "t", "b")):
        held = {edge for s in (track.samples[0], track.samples[-1]) for edge in s.edges}
        if near in held or far in held:
            result = max(result, 0.7 * float(np.max(np.abs(step[[low, high]]))))
    return result


def smooth(track: Track) -> Track:
    """Fill gaps and calm the path: a Rauch-Tung-Striebel smoother over every frame from first to last sighting."""
    by_frame = {s.frame: s for s in track.samples}
    first, last = track.samples[0].frame, track.samples[-1].frame
    frames = np.arange(first, last + 1)
    known = np.array([f in by_frame for f in frames])
    given = [s.frame for s in track.samples]
    times = np.interp(frames, given, [s.second for s in track.samples])
    widths = _calm(np.interp(frames, given, [s.width for s in track.samples]))
    heights = _calm(np.interp(frames, given, [s.height for s in track.samples]))
    size = float(np.median(np.sqrt(widths * heights)))
    axes = [
        _rts(times, np.interp(frames, given, [getattr(s, axis) for s in track.samples]), known, size)
        for axis in ("x", "y")
    ]
    samples = []
    for k, frame in enumerate(frames):
        old = by_frame.get(int(frame))
        samples.append(
            Sample(
                int(frame), float(times[k]), float(axes[0][k]), float(axes[1][k]), float(widths[k]), float(heights[k]),
                old.edges if old else "", old.seen if old else False,
            )
        )  # fmt: skip
    return Track(track.id, track.shot, samples)


def _calm(values: NDArray[np.float64], reach: int = 4) -> NDArray[np.float64]:
    padded = np.pad(values, reach, mode="edge")
    return np.median(np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1), axis=1)


def _rts(
    times: NDArray[np.float64], values: NDArray[np.float64], known: NDArray[np.bool_], size: float
) -> NDArray[np.float64]:
    noise, push = (0.06 * size) ** 2 + 0.5, (2.0 * size) ** 2
    state, spread = np.array([values[0], 0.0]), np.diag([noise, (4 * size) ** 2])
    states, spreads, ahead, ahead_spreads, steps = [], [], [], [], []
    for k, value in enumerate(values):
        dt = float(times[k] - times[k - 1]) if k else 0.0
        step = np.array([[1.0, dt], [0.0, 1.0]])
        bump = np.array([dt**2 / 2, dt])
        state, spread = step @ state, step @ spread @ step.T + np.outer(bump, bump) * push
        ahead.append(state)
        ahead_spreads.append(spread)
        steps.append(step)
        if known[k]:
            gain = spread[:, 0] / (spread[0, 0] + noise)
            state = state + gain * (value - state[0])
            spread = spread - np.outer(gain, spread[0])
        states.append(state)
        spreads.append(spread)
    result = [states[-1]]
    for k in range(len(values) - 2, -1, -1):
        back = spreads[k] @ steps[k + 1].T @ np.linalg.pinv(ahead_spreads[k + 1])
        result.append(states[k] + back @ (result[-1] - ahead[k + 1]))
    return np.array([s[0] for s in reversed(result)])


def clean(
    tracks: list[Track],
    diagonal: float,
    drifts: Sequence[float],
    settings: Settings,
    tick: Callable[[int], None] = lambda _: None,
) -> tuple[list[Track], Counter[str]]:
    """Clean tracks, numbered anew from 1 in the order of their appearance, and what was done to how many."""
    whole, absorbed = absorb(tracks)
    whole, joined = join(whole, settings)
    whole, again = absorb(whole)
    kept, reasons = drop(whole, diagonal, drifts, settings)
    done = Counter[str]({"absorbed": absorbed + again, "joined": joined}) + reasons
    kept.sort(key=lambda t: (t.start, t.id))
    answer = []
    for number, track in enumerate(kept, 1):
        answer.append(smooth(Track(number, track.shot, track.samples)))
        tick(number)
    return answer, done
