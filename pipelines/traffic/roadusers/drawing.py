"""Pictures that people look at: boxes, labels, the contact sheet, the heat map. Sizes follow the picture's size."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from roadusers.video import Image

Colour = tuple[int, int, int]  # blue, green, red
INK: Colour = (38, 30, 24)
PAPER: Colour = (252, 251, 250)
GREY: Colour = (140, 132, 124)
ACCENT: Colour = (235, 120, 37)
# Told apart by people with colour-blind eyes too, bright enough on a street (after Okabe and Ito).
IDENTITIES: tuple[Colour, ...] = (
    (0, 159, 230), (233, 180, 86), (115, 158, 0), (66, 228, 240), (178, 114, 0), (0, 94, 213), (167, 121, 204),
)  # fmt: skip
# One hue in six steps, from little to much.
HEAT: tuple[Colour, ...] = (
    (173, 222, 253), (120, 190, 253), (71, 153, 248), (33, 111, 230), (10, 72, 190), (4, 39, 127),
)  # fmt: skip
_FONT = cv2.FontFace("sans")


def colour_of(identity: int) -> Colour:
    return IDENTITIES[(identity - 1) % len(IDENTITIES)]


def width_of(words: str, size: int, weight: int = 400) -> int:
    return int(cv2.getTextSize((4096, 256), words, (0, 0), _FONT, size, weight)[2])


def write(
    image: Image, words: str, x: float, y: float, size: int = 14, colour: Colour = INK, weight: int = 400
) -> None:
    """Words with their base line at y."""
    cv2.putText(image, words, (int(x), int(y)), colour, _FONT, size, weight)


def label(image: Image, words: str, x: float, y: float, colour: Colour, size: int = 13) -> None:
    """Words on a plate of the given colour whose lower left corner is at (x, y), kept inside the picture."""
    width, height = width_of(words, size, 600) + 8, size + 7
    left = int(min(max(0, x), image.shape[1] - width))
    bottom = int(min(max(height, y), image.shape[0]))
    cv2.rectangle(image, (left, bottom - height), (left + width, bottom), colour, cv2.FILLED)
    dark = 0.114 * colour[0] + 0.587 * colour[1] + 0.299 * colour[2] < 140
    write(image, words, left + 4, bottom - 5, size, PAPER if dark else INK, 600)


def box(image: Image, corners: tuple[float, float, float, float], colour: Colour, thick: int = 2) -> None:
    x0, y0, x1, y1 = (round(v) for v in corners)
    if thick > 1:  # a dark rim, so that the box is seen on any ground
        cv2.rectangle(image, (x0, y0), (x1, y1), INK, thick + 2, cv2.LINE_AA)
    cv2.rectangle(image, (x0, y0), (x1, y1), colour, thick, cv2.LINE_AA)


def dashed(image: Image, corners: tuple[float, float, float, float], colour: Colour) -> None:
    x0, y0, x1, y1 = (round(v) for v in corners)
    for a, b in (((x0, y0), (x1, y0)), ((x1, y0), (x1, y1)), ((x1, y1), (x0, y1)), ((x0, y1), (x0, y0))):
        length = max(1, int(np.hypot(b[0] - a[0], b[1] - a[1])))
        for start in range(0, length, 8):
            p, q = start / length, min(length, start + 4) / length
            one = (round(a[0] + (b[0] - a[0]) * p), round(a[1] + (b[1] - a[1]) * p))
            two = (round(a[0] + (b[0] - a[0]) * q), round(a[1] + (b[1] - a[1]) * q))
            cv2.line(image, one, two, colour, 1, cv2.LINE_AA)


def fit(image: Image, width: int) -> Image:
    height = max(2, round(image.shape[0] * width / image.shape[1]))
    how = cv2.INTER_AREA if width < image.shape[1] else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image, (width, height), interpolation=how), dtype=np.uint8)


def sheet(panels: Sequence[tuple[Image, str]], columns: int, title: str, note: str, width: int = 560) -> Image:
    """Panels with captions in a grid on paper, under a heading."""
    gap, caption, head = 16, 26, 78
    pictures = [(fit(image, width), words) for image, words in panels]
    tallest = max(p.shape[0] for p, _ in pictures)
    columns = min(columns, len(pictures))
    rows = -(-len(pictures) // columns)
    page = np.full((head + rows * (tallest + caption + gap), gap + columns * (width + gap), 3), PAPER, dtype=np.uint8)
    write(page, title, gap, 36, 22, INK, 600)
    write(page, note, gap, 62, 15, (90, 82, 74))
    for index, (picture, words) in enumerate(pictures):
        x = gap + (index % columns) * (width + gap)
        y = head + (index // columns) * (tallest + caption + gap)
        page[y : y + picture.shape[0], x : x + width] = picture
        write(page, words, x, y + picture.shape[0] + 18, 14, INK)
    return page


def faded(image: Image) -> Image:
    """The street in pale grey, as a ground to draw on."""
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY).astype(np.float32)
    return np.repeat((255 - (255 - grey) * 0.55)[:, :, None], 3, axis=2).astype(np.uint8)


def steps(most: float) -> list[float]:
    """Upper limits of the six steps of the heat map: a round width, so that the legend can be read."""
    if most <= 0:
        return [0.1 * k for k in range(1, 7)]
    raw = most / 6
    power = 10.0 ** np.floor(np.log10(raw))
    width = next(n * power for n in (1, 1.5, 2, 2.5, 3, 4, 5, 7.5, 10) if n * power >= raw * 0.999)
    return [width * k for k in range(1, 7)]


def heat_over(ground: Image, seconds: NDArray[np.float64], limits: Sequence[float]) -> Image:
    """Colour by step over the ground; below a third of the first step the street stays as it is."""
    image = ground.copy()
    step = np.searchsorted(np.asarray(limits), seconds).clip(0, 5)
    colours = np.asarray(HEAT, dtype=np.float32)[step]
    shown = seconds > limits[0] / 3
    mixed = ground.astype(np.float32) * 0.3 + colours * 0.7
    image[shown] = mixed[shown].astype(np.uint8)
    return image


def legend(page: Image, limits: Sequence[float], unit: str) -> Image:
    """The page with a scale under it."""
    strip = np.full((64, page.shape[1], 3), PAPER, dtype=np.uint8)
    write(strip, unit, 16, 28, 14, INK, 600)
    left, each = 16 + width_of(unit, 14, 600) + 24, 68
    for index, (limit, colour) in enumerate(zip(limits, HEAT, strict=True)):
        x = left + index * each
        cv2.rectangle(strip, (x, 14), (x + each - 2, 34), colour, cv2.FILLED)
        words = f"{limit:.3g}"
        write(strip, words, x + each - 1 - width_of(words, 13) / 2, 52, 13, INK)
    write(strip, "0", left - 4, 52, 13, INK)
    return np.vstack([page, strip])


def save_picture(path: str, image: Image, quality: int = 88) -> None:
    ok = cv2.imwrite(path, image, [cv2.IMWRITE_JPEG_QUALITY, quality] if path.endswith(".jpg") else [])
    if not ok:
        raise OSError(f"{path} could not be written")
