"""From frames to blobs: cuts, an empty street per shot, background subtraction, and what moves in front of it.

Two passes over the video. The first finds the cuts and, for every shot, the empty street: the median of frames spread
over its first half minute. The second subtracts. A subtractor that starts on the first frame instead takes whatever
stands there for background and sees a ghost where it drove off; here no frame is lost to warming up, which matters in
short shots.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import cv2
import numpy as np

from roadusers import steady as steady_module
from roadusers.contract import Problem
from roadusers.tracks import overlap
from roadusers.video import Frame, Image

SMALL = (160, 90)  # size at which frames are compared to find cuts
CUT_CORRELATION, CUT_CHANGE = 0.35, 12.0
# A truck that drives by close to the camera correlates 0.5 and more from frame to frame, a cut 0.2 and less.
LEARN_SECONDS, LEARN_FRAMES = 30.0, 40
PAD = 0.1  # margin of the canvas, as a share of the width
EVERYTHING = 0.85  # more of the picture than this has changed: light or camera, not a road user
FLOOR = 20  # blobs smaller than this are noise at any setting
FILLED = 0.15  # of the picture moves even in the quietest quarter of the frames
SHORTEST = 0.5
LATELY = 0.2  # seconds back to the frame that tells what moves by itself from what merely differs
MOST = 60  # blobs kept per frame, largest first


@dataclass(frozen=True)
class Shot:
    """A stretch without a cut: frames `first` to `last`, both included, and its empty street.

    The empty street lies on a canvas at working size with a margin of `pad` pixels all round, so that what a drifting
    camera shows later has a place. `known` marks the pixels of the canvas that were seen often enough.
    """

    index: int
    first: int
    last: int
    start: float
    end: float
    background: Image
    known: Image
    pad: int
    places: list[steady_module.Matrix]  # of every frame, in order
    steady: float  # share of the frames whose place was found

    @property
    def drift(self) -> float:
        """How far the camera wandered, as a share of the picture's width."""
        height, width = self.background.shape[0] - 2 * self.pad, self.background.shape[1] - 2 * self.pad
        there = np.array([steady_module.apply(place, width / 2, height / 2) for place in self.places])
        return float(np.hypot(*np.ptp(there, axis=0))) / width


@dataclass
class Usable:
    """Whether a shot can be counted: a close-up never shows the empty street, so nothing stands out from it."""

    shares: list[float] = field(default_factory=list)

    def reason(self, shot: Shot) -> str:
        if shot.end - shot.start < SHORTEST:
            return f"shorter than {SHORTEST:g} s"
        if shot.steady < 0.5:
            return "the camera moves too much"
        if self.shares and float(np.quantile(self.shares, 0.25)) > FILLED:
            return "the street is never empty enough: a close-up, a moving camera or changing light"
        return ""


@dataclass(frozen=True)
class Blob:
    """A box in pixels of the full picture, in the place where the first frame of the shot shows it."""

    frame: int
    second: float
    shot: int
    x: float
    y: float
    width: float
    height: float
    area: float  # pixels that differ, not the area of the box
    edges: str  # borders of this frame that it touches: any of l, r, t, b
    motion: float  # share of its pixels that changed within the last moments; -1: not known yet


def shrink(image: Image, width: int) -> Image:
    height, full = image.shape[:2]
    if full <= width:
        return image
    size = (width, max(2, round(height * width / full)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def region_mask(region: str, width: int, height: int) -> Image | None:
    """A polygon "x,y x,y x,y ..." in shares of the picture (0 to 1) as a mask; None for all of the picture."""
    if not region.strip():
        return None
    try:
        points = np.array([[float(n) for n in pair.split(",")] for pair in region.split()])
        if points.ndim != 2 or points.shape[0] < 3 or points.shape[1] != 2 or points.min() < 0 or points.max() > 1:
            raise ValueError
    except ValueError:
        raise Problem(
            "REGION has to be three or more corners in shares of the picture, such as "
            f'"0,0.4 1,0.4 1,1 0,1", but it is {region!r}.'
        ) from None
    mask = np.zeros((height, width), np.uint8)
    cv2.fillPoly(mask, [np.rint(points * (width - 1, height - 1)).astype(np.int32)], 255)
    if not mask.any():
        raise Problem(f"REGION {region!r} encloses nothing.")
    return mask


def is_cut(before: Image, after: Image) -> bool:
    a, b = before.astype(np.float32), after.astype(np.float32)
    if float(np.abs(a - b).mean()) < CUT_CHANGE:
        return False
    a -= a.mean()
    b -= b.mean()
    scale = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return scale == 0 or float((a * b).sum()) / scale < CUT_CORRELATION


def find_shots(
    frames: Iterable[Frame],
    rate: float,
    work_width: int,
    cuts: bool = True,
    steady: bool = True,
    seen: Callable[[Frame], None] = lambda _: None,
) -> list[Shot]:
    shots: list[Shot] = []
    learner: _Learner | None = None
    previous: Frame | None = None
    small_before: Image = np.zeros(SMALL[::-1], np.uint8)
    for frame in frames:
        seen(frame)
        work = shrink(frame.image, work_width)
        grey = np.asarray(cv2.cvtColor(work, cv2.COLOR_BGR2GRAY), dtype=np.uint8)
        small = np.asarray(cv2.resize(grey, SMALL, interpolation=cv2.INTER_AREA), dtype=np.uint8)
        if learner is not None and previous is not None and cuts and is_cut(small_before, small):
            shots.append(learner.close(len(shots), previous, rate))
            learner = None
        if learner is None:
            learner = _Learner(frame, steady)
        learner.add(frame, work, grey)
        previous, small_before = frame, small
    if learner is not None and previous is not None:
        shots.append(learner.close(len(shots), previous, rate))
    return shots


class _Learner:
    """Collects the samples of one shot, and how well its frames could be held still."""

    def __init__(self, start: Frame, steady: bool) -> None:
        self._start, self._every = start, 1
        self._samples: list[tuple[Image, steady_module.Matrix]] = []
        self._steady, self._moving = steady_module.Steady(steady), steady
        self._places: list[steady_module.Matrix] = []

    def add(self, frame: Frame, work: Image, grey: Image) -> None:
        matrix = self._steady.place(grey)
        self._places.append(matrix)
        if frame.second - self._start.second > LEARN_SECONDS:
            return
        if (frame.index - self._start.index) % self._every == 0:
            self._samples.append((work, matrix))
            if len(self._samples) > LEARN_FRAMES:  # thin out: they stay spread over all that was seen of the shot
                self._samples, self._every = self._samples[::2], self._every * 2

    def close(self, index: int, last: Frame, rate: float) -> Shot:
        width = self._samples[0][0].shape[1]
        pad = round(PAD * width) if self._moving else 0
        placed = [_on_canvas(image, matrix, pad) for image, matrix in self._samples]
        colours = np.stack([colour for colour, _ in placed])
        masks = np.stack([mask for _, mask in placed]) > 0
        colours[~masks] = 255  # sorted to the end, behind the `seen` values that count
        colours.sort(axis=0)
        seen = masks.sum(axis=0)
        middle = np.maximum(0, seen - 1)[None, :, :, None] // 2
        background = np.take_along_axis(colours, middle, axis=0)[0]
        known = np.where(seen >= max(1, len(placed) // 4), 255, 0).astype(np.uint8)
        share = 1 - self._steady.lost / max(1, self._steady.frames)
        start = self._start
        end = last.second + 1 / rate
        return Shot(index, start.index, last.index, start.second, end, background, known, pad, self._places, share)


def _on_canvas(image: Image, matrix: steady_module.Matrix, pad: int) -> tuple[Image, Image]:
    height, width = image.shape[:2]
    size = (width + 2 * pad, height + 2 * pad)
    shifted = matrix + np.array([[0, 0, pad], [0, 0, pad]])
    colour = cv2.warpAffine(image, shifted, size, flags=cv2.INTER_LINEAR)
    mask = cv2.warpAffine(np.full((height, width), 255, np.uint8), shifted, size, flags=cv2.INTER_NEAREST)
    return np.asarray(colour, dtype=np.uint8), np.asarray(cv2.erode(mask, np.ones((3, 3), np.uint8)), dtype=np.uint8)


@dataclass(frozen=True)
class Piece:
    box: tuple[int, int, int, int]
    pixels: int
    moved: int


def merge_pieces(pieces: list[Piece], shared: float = 0.3) -> list[Piece]:
    """Join pieces whose boxes share much of the smaller one: a wheel in front of its car, a window in its door."""
    left = sorted(pieces, key=lambda p: -p.pixels)
    done: list[Piece] = []
    while left:
        big = left.pop(0)
        again = True
        while again:
            again = False
            for small in left:
                if overlap(big.box, small.box)[1] > shared:
                    box = (
                        min(big.box[0], small.box[0]),
                        min(big.box[1], small.box[1]),
                        max(big.box[2], small.box[2]),
                        max(big.box[3], small.box[3]),
                    )
                    big = Piece(box, big.pixels + small.pixels, big.moved + small.moved)
                    left.remove(small)
                    again = True
                    break
        done.append(big)
    return done


class Subtractor:
    """Foreground blobs of the frames of one shot, which have to come in order."""

    def __init__(self, shot: Shot, method: str, sensitivity: float, region: Image | None, merge: float) -> None:
        self._shot, self._region = shot, region
        self.usable = Usable()
        self.matrix = steady_module.STILL
        self._width = shot.background.shape[1] - 2 * shot.pad
        contrast = 24.0 / sensitivity
        if method == "knn":
            self._model = cv2.createBackgroundSubtractorKNN(500, contrast**2, True)
        else:
            self._model = cv2.createBackgroundSubtractorMOG2(500, 16.0, True)
            self._model.setVarMin((contrast / 4) ** 2)  # 4 sigma: grain and compression stay below it
            self._model.setVarInit((contrast / 4) ** 2)
        rng = np.random.default_rng(shot.index)
        for step in range(20 if method == "knn" else 6):
            # With a little noise: a model that has only ever seen one exact value takes grain in the film for movement.
            noise = rng.normal(0, 2.5, shot.background.shape)
            learned = np.clip(shot.background + noise, 0, 255).astype(np.uint8)
            self._model.apply(learned, learningRate=1.0 if step == 0 else 1.0 / (step + 1))
        # What the camera's remaining shake can bring to a pixel: all that the empty street shows within a few pixels.
        reach = max(1, round(self._width / 200)) * 2 + 1
        near = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach))
        self._darkest = cv2.erode(shot.background, near)
        self._brightest = cv2.dilate(shot.background, near)
        self._contrast = contrast / 2
        self._near = near
        self._past: deque[tuple[float, Image]] = deque()
        self._open = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (3, 3))
        side = max(3, round(self._width / 90) | 1)
        self._close = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
        reach = max(1, round(self._width * merge)) * 2 + 1
        self._merge = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach))

    def mask(self, frame: Frame) -> Image:
        """What moves, on the canvas."""
        work = shrink(frame.image, self._width)
        self.matrix = self._shot.places[frame.index - self._shot.first]
        colour, here = _on_canvas(work, self.matrix, self._shot.pad)
        self._here = here
        self._changed = self._lately(frame.second, colour) & here
        colour = cv2.copyTo(colour, here, self._shot.background.copy())
        colour = cv2.GaussianBlur(colour, (3, 3), 0)
        raw = self._model.apply(colour, learningRate=0.002)
        beyond = cv2.max(cv2.subtract(colour, self._brightest), cv2.subtract(self._darkest, colour))
        blue, green, red = cv2.split(cv2.compare(beyond, (self._contrast,) * 4, cv2.CMP_GT))
        mask = cv2.compare(raw, 200, cv2.CMP_GT)  # 127 marks shadow: no road user
        mask &= (blue | green | red) & here & self._shot.known
        if self._region is not None:
            inner = slice(self._shot.pad, self._shot.pad + self._region.shape[0])
            across = slice(self._shot.pad, self._shot.pad + self._region.shape[1])
            part = mask[inner, across] & self._region
            mask[:] = 0
            mask[inner, across] = part
        mask = cv2.morphologyEx(mask, cv2.MORPH_OPEN, self._open)
        return np.asarray(cv2.morphologyEx(mask, cv2.MORPH_CLOSE, self._close), dtype=np.uint8)

    def _lately(self, second: float, colour: Image) -> Image:
        """Pixels that are not within reach of what was there a moment ago; none as long as there is no such moment."""
        self._past.append((second, colour))
        while len(self._past) > 1 and self._past[1][0] <= second - LATELY:
            self._past.popleft()
        then, old = self._past[0]
        self._compared = then <= second - LATELY
        if not self._compared:
            return np.zeros(colour.shape[:2], np.uint8)
        beyond = cv2.max(
            cv2.subtract(colour, cv2.dilate(old, self._near)), cv2.subtract(cv2.erode(old, self._near), colour)
        )
        blue, green, red = cv2.split(cv2.compare(beyond, (self._contrast,) * 4, cv2.CMP_GT))
        return np.asarray(blue | green | red, dtype=np.uint8)

    def blobs(self, frame: Frame) -> list[Blob]:
        mask = self.mask(frame)
        share = np.count_nonzero(mask) / max(1, np.count_nonzero(self._here))
        self.usable.shares.append(share)
        if share > EVERYTHING:
            return []
        full_height, full_width = frame.image.shape[:2]
        scale, pad = full_width / self._width, self._shot.pad
        to_frame = cv2.invertAffineTransform(self.matrix)
        # Pieces of one road user behind a fence lie close together: label them grown, measure them as they are.
        count, labels, stats, _ = cv2.connectedComponentsWithStats(cv2.dilate(mask, self._merge))
        labels[mask == 0] = 0
        pixels = np.bincount(labels.ravel(), minlength=count)
        moved = np.bincount(labels[self._changed > 0].ravel(), minlength=count)
        pieces = []
        for label in range(1, count):
            left, top, width, height = (int(n) for n in stats[label][:4])
            x, y, w, h = cv2.boundingRect(
                cv2.compare(labels[top : top + height, left : left + width], label, cv2.CMP_EQ)
            )
            if pixels[label]:
                box = (left + x, top + y, left + x + w, top + y + h)
                pieces.append(Piece(box, int(pixels[label]), int(moved[label])))
        found: list[Blob] = []
        near = 3 + self._width // 160
        for piece in merge_pieces(pieces):
            area = piece.pixels * scale * scale
            if area < FLOOR:
                continue
            x0, y0, x1, y1 = (n - pad for n in piece.box)
            left, top = steady_module.apply(to_frame, x0, y0)
            right, bottom = steady_module.apply(to_frame, x1, y1)
            edges = ("l" if left < near else "") + ("r" if right > self._width - near else "")
            edges += ("t" if top < near else "") + ("b" if bottom > full_height / scale - near else "")
            found.append(
                Blob(
                    frame.index,
                    frame.second,
                    self._shot.index,
                    x0 * scale,
                    y0 * scale,
                    (x1 - x0) * scale,
                    (y1 - y0) * scale,
                    area,
                    edges,
                    piece.moved / piece.pixels if self._compared else -1.0,
                )
            )
        return sorted(found, key=lambda blob: -blob.area)[:MOST]
