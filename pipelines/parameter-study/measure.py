"""Find the spots with one threshold, and score what was found against the truth."""

import sys

sys.dont_write_bytecode = True  # the pipeline folder is read-only

import json  # noqa: E402

import numpy as np  # noqa: E402
import stage  # noqa: E402

NEAR, SMALLEST = 4.0, 4


def centres(mask: np.ndarray) -> list[tuple[float, float]]:
    """The middle of every patch of touching pixels: a flood fill, which is quick enough for pictures this small."""
    left, found = {(int(y), int(x)) for y, x in np.argwhere(mask)}, []
    while left:
        line = [left.pop()]
        patch = []
        while line:
            y, x = line.pop()
            patch.append((x, y))
            for near in ((y + 1, x), (y - 1, x), (y, x + 1), (y, x - 1)):
                if near in left:
                    left.remove(near)
                    line.append(near)
        if len(patch) >= SMALLEST:
            found.append(tuple(np.mean(patch, axis=0)))
    return found


threshold = stage.number("THRESHOLD", 40)
if threshold < 0:
    stage.fail(f"THRESHOLD has to be 0 or more, but it is {threshold:g}: a difference is never below zero.")
with np.load(stage.WORKSPACE / "film.npz") as saved:
    film, truth = saved["film"].astype(float), saved["truth"]
ground = np.median(film, axis=0)
hits = claims = 0
for k, (picture, places) in enumerate(zip(film, truth, strict=True)):
    found = centres(np.abs(picture - ground) > threshold)
    free = list(places)
    claims += len(found)
    for point in found:
        distance = [float(np.hypot(*(np.array(point) - place))) for place in free]
        if distance and min(distance) <= NEAR:
            free.pop(int(np.argmin(distance)))
            hits += 1
    stage.progress(100 * (k + 1) / len(film))
precision, recall = hits / max(1, claims), hits / (truth.shape[0] * truth.shape[1])
score = 2 * precision * recall / (precision + recall) if hits else 0.0
values = {"score": round(score, 4), "precision": round(precision, 4), "recall": round(recall, 4)}
(stage.OUTPUT / "score.json").write_text(json.dumps({"threshold": threshold, **values}), encoding="utf-8")
stage.result(**values)
