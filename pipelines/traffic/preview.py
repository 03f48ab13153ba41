"""Stage inspect: a contact sheet of what detect saw, and what another MIN_AREA would change.

The file is not called inspect.py: beside the other scripts it would hide Python's own module `inspect`.
"""

import sys

sys.dont_write_bytecode = True  # the pipeline folder is read-only

import json  # noqa: E402
from collections import defaultdict  # noqa: E402
from typing import Any  # noqa: E402

import cv2  # noqa: E402
import numpy as np  # noqa: E402
from roadusers import contract, drawing, steady  # noqa: E402
from roadusers.video import Reader  # noqa: E402

PANELS = 6
CANDIDATES = (50, 100, 150, 200, 300, 500, 800, 1200, 2000, 3000, 5000, 8000, 12000, 20000)

Row = dict[str, str]


def choose_frames(video: dict[str, Any], blobs: dict[int, list[Row]], min_area: float) -> list[int]:
    """The frame with most in view, of six stretches: shots first, and the longest are split until there are six."""
    stretches = [(s["first"], s["last"]) for s in video["shots"] if not s["left_out"]]
    stretches = stretches or [(s["first"], s["last"]) for s in video["shots"]]
    while len(stretches) < PANELS:
        longest = max(stretches, key=lambda s: s[1] - s[0])
        if longest[1] - longest[0] < 2:
            break
        middle = (longest[0] + longest[1]) // 2
        stretches.remove(longest)
        stretches += [(longest[0], middle), (middle + 1, longest[1])]

    def interest(frame: int) -> float:
        kept = [float(b["area"]) for b in blobs.get(frame, []) if float(b["area"]) >= min_area]
        return len(kept) + min(0.9, sum(kept) / (video["width"] * video["height"]))

    best = [max(range(first, last + 1), key=lambda f: (interest(f), -f)) for first, last in stretches]
    return sorted(sorted(best, key=interest, reverse=True)[:PANELS])


def inspect() -> None:
    cv2.setNumThreads(1)
    progress = contract.Progress()
    video = json.loads(contract.from_workspace("video.json", "detect").read_text(encoding="utf-8"))
    min_area = float(video["min_area"])
    counted = [not shot["left_out"] for shot in video["shots"]]
    blobs: dict[int, list[Row]] = defaultdict(list)
    for row in contract.read_csv(contract.from_workspace("blobs.csv", "detect")):
        blobs[int(row["frame"])].append(row)
    places = {
        int(r["frame"]): np.array([[float(r[k]) for k in ("a", "b", "dx")], [float(r[k]) for k in ("c", "d", "dy")]])
        for r in contract.read_csv(contract.from_workspace("camera.csv", "detect"))
    }
    areas = np.array([float(b["area"]) for rows in blobs.values() for b in rows if counted[int(b["shot"])]])
    kept = int((areas >= min_area).sum())

    wanted = choose_frames(video, blobs, min_area)
    panels = []
    for frame in Reader(contract.input_file("VIDEO")).frames():
        progress(frame.index, max(wanted) + 1)
        if frame.index > wanted[-1]:
            break
        if frame.index not in wanted:
            continue
        scale = 560 / frame.image.shape[1]
        image = drawing.fit(frame.image, 560)
        back = cv2.invertAffineTransform(places[frame.index])
        plates: list[tuple[str, float, float]] = []
        here = sorted(blobs.get(frame.index, []), key=lambda b: float(b["area"]))
        for blob in here:
            x, y, width, height, area = (float(blob[k]) for k in ("x", "y", "width", "height", "area"))
            x, y = steady.apply(back, x, y)
            corners = (x * scale, y * scale, (x + width) * scale, (y + height) * scale)
            if area >= min_area:
                drawing.box(image, corners, drawing.ACCENT)
                plates.append((f"{area:.0f}", corners[0], corners[1] + 6))
            else:
                drawing.dashed(image, corners, drawing.PAPER)
        for plate in plates:
            drawing.label(image, *plate, drawing.ACCENT, 12)
        large = sum(float(b["area"]) >= min_area for b in here)
        panels.append((image, f"{frame.second:.2f} s: {large} kept, {len(here) - large} too small"))

    left_out = sum(not c for c in counted)
    note = f"{kept:,} detections kept (blue, with their area in pixels), {len(areas) - kept:,} too small (dashed)."
    if left_out:
        note += f" {left_out} of {len(counted)} shots left out."
    page = drawing.sheet(panels, 2, f"{video['name']} with MIN_AREA = {min_area:.0f}", note)
    out = contract.output()
    drawing.save_picture(str(out / "preview.jpg"), page)

    frames = sum(s["last"] - s["first"] + 1 for s, c in zip(video["shots"], counted, strict=True) if c)
    table = sorted({*CANDIDATES, round(min_area)})
    rows = [[a, int((areas >= a).sum()), round(float((areas >= a).sum()) / max(1, frames), 2)] for a in table]
    contract.write_csv(out / "min_area.csv", ["min_area", "detections", "per_frame"], rows)
    seconds: dict[int, list[int]] = defaultdict(lambda: [0, 0])
    for group in blobs.values():
        for blob in group:
            if counted[int(blob["shot"])]:
                seconds[int(float(blob["second"]))][float(blob["area"]) < min_area] += 1
    whole = range(int(video["seconds"] - 1e-6) + 1)
    contract.write_csv(out / "counts.csv", ["second", "kept", "too_small"], ([s, *seconds[s]] for s in whole))
    contract.write_csv(
        out / "shots.csv",
        ["shot", "from_s", "to_s", "counted", "reason"],
        (
            [n, f"{s['start']:.2f}", f"{s['end']:.2f}", "no" if s["left_out"] else "yes", s["left_out"]]
            for n, s in enumerate(video["shots"], 1)
        ),
    )
    contract.result(per_frame=round(kept / max(1, frames), 2), shots_counted=sum(counted))
    progress(1, 1)


if __name__ == "__main__":
    contract.run(inspect)
