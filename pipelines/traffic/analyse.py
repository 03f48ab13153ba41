"""Stage analyse: counts, speeds, crossings, a heat map, the video with its tracks drawn in, and a one-page report."""

import sys

sys.dont_write_bytecode = True  # the pipeline folder is read-only

import json  # noqa: E402
import math  # noqa: E402
from collections import Counter, deque  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

import cv2  # noqa: E402
import numpy as np  # noqa: E402
from roadusers import contract, drawing, measures, report, steady, tracks  # noqa: E402
from roadusers.video import Image, Reader, Writer  # noqa: E402

WIDEST = 1280  # of the annotated video
TRAIL = 1.5  # seconds of way drawn behind a road user


def analyse() -> None:
    cv2.setNumThreads(1)
    progress, out = contract.Progress(), contract.output()
    scale = contract.number("METRES_PER_PIXEL", 0.0, 0.0, 100.0)
    video = json.loads(contract.from_workspace("video.json", "detect").read_text(encoding="utf-8"))
    done = json.loads(contract.from_workspace("clean_up.json", "clean_up").read_text(encoding="utf-8"))
    users = tracks.load(contract.from_workspace("tracks.csv", "clean_up"))
    path = contract.input_file("VIDEO")
    width, height, frame = video["width"], video["height"], 1 / video["rate"]
    line = measures.Line.parse(contract.text("LINE") or "0.5,0 0.5,1", width, height)
    shots = video["shots"]
    measured = [
        measures.measure(
            t, line, math.hypot(width, height), shots[t.shot]["start"], shots[t.shot]["end"] - frame, frame
        )
        for t in users
    ]
    seconds = measures.per_second(users, measured, video["seconds"])
    counted = sum(shot["end"] - shot["start"] for shot in shots if not shot["left_out"])

    write_tables(out, measured, seconds, scale)
    heat_map(out / "heatmap.png", video, users, frame)
    annotate(out, path, video, users, measured, line, progress)

    speeds = [m.speed_px_s for m in measured if m.speed_from == "whole"]
    crossings = Counter(m.crossing.direction for m in measured if m.crossing)
    results: dict[str, object] = {
        "road_users": len(users),
        "crossings": sum(crossings.values()),
        "per_minute": round(60 * len(users) / counted, 1) if counted else 0,
        "busiest_second": max(seconds, key=lambda s: (s.active, -s.second)).second,
    }
    if speeds:
        results["median_speed_px_s"] = round(float(np.median(speeds)), 1)
        if scale:
            results["median_speed_km_h"] = round(float(np.median(speeds)) * scale * 3.6, 1)
    page = write_report(out, video, measured, seconds, results, crossings, done, scale, counted)
    (out / "report.html").write_text(page, encoding="utf-8")
    contract.result(**results)
    progress(1, 1)


def write_tables(out: Path, measured: list[measures.Measured], seconds: list[measures.Second], scale: float) -> None:
    contract.write_csv(
        out / "tracks.csv",
        [
            "id",
            "shot",
            "first_s",
            "last_s",
            "duration_s",
            "entry",
            "exit",
            "direction",
            "path_px",
            "net_px",
            "speed_px_s",
            "speed_km_h",
            "speed_from",
            "width_px",
            "height_px",
            "hidden_s",
            "crossing_s",
            "crossing_direction",
        ],
        (
            [m.id, m.shot, f"{m.first_s:.2f}", f"{m.last_s:.2f}", f"{m.last_s - m.first_s:.2f}", m.entry, m.exit]
            + [m.direction, f"{m.path_px:.0f}", f"{m.net_px:.0f}", f"{m.speed_px_s:.1f}"]
            + [f"{m.speed_px_s * scale * 3.6:.1f}" if scale else "", m.speed_from]
            + [f"{m.width_px:.0f}", f"{m.height_px:.0f}", f"{m.hidden_s:.2f}"]
            + ([f"{m.crossing.second:.2f}", m.crossing.direction] if m.crossing else ["", ""])
            for m in measured
        ),
    )
    contract.write_csv(
        out / "counts.csv",
        ["second", "active", "entered", "cumulative", "crossings"],
        ([s.second, s.active, s.entered, s.cumulative, s.crossings] for s in seconds),
    )
    ways = Counter(m.direction for m in measured)
    over = Counter(m.crossing.direction for m in measured if m.crossing)
    names = ["to the right", "to the left", "downwards", "upwards"]
    contract.write_csv(
        out / "directions.csv", ["direction", "road_users", "line_crossings"], ([n, ways[n], over[n]] for n in names)
    )


def heat_map(path: Path, video: dict[str, Any], users: list[tracks.Track], frame: float) -> None:
    """Where road users spent time. Every shot shows another place, so every shot has a picture of its own."""
    cell = max(1.0, video["width"] / 320)
    places = [n for n, shot in enumerate(video["shots"]) if not shot["left_out"]]
    busy = Counter(t.shot for t in users)
    places = sorted(sorted(places, key=lambda n: -busy[n])[:9]) or [0]
    heats = [
        measures.occupancy([t for t in users if t.shot == n], video["width"], video["height"], frame, cell)
        for n in places
    ]
    limits = drawing.steps(max(float(h.max()) for h in heats))
    panels = []
    size = 1120 if len(places) == 1 else 560
    for n, heat in zip(places, heats, strict=True):
        ground = cv2.imread(str(contract.from_workspace(f"background-{n}.png", "detect")))
        assert ground is not None
        ground = drawing.fit(drawing.faded(np.asarray(ground, dtype=np.uint8)), size)
        smooth = cv2.GaussianBlur(heat, (0, 0), 1.2)
        large = cv2.resize(smooth, (ground.shape[1], ground.shape[0]), interpolation=cv2.INTER_LINEAR)
        shot = video["shots"][n]
        words = f"Shot {n + 1}, {shot['start']:.1f} to {shot['end']:.1f} s: {busy[n]} road user{'s' * (busy[n] != 1)}"
        panels.append((drawing.heat_over(ground, np.asarray(large, dtype=np.float64), limits), words))
    page = drawing.sheet(panels, 1 if len(panels) == 1 else 2, "Where road users spent time", video["name"], size)
    drawing.save_picture(str(path), drawing.legend(page, limits, "Seconds covered"))


def annotate(
    out: Path,
    path: Path,
    video: dict[str, Any],
    users: list[tracks.Track],
    measured: list[measures.Measured],
    line: measures.Line,
    progress: contract.Progress,
) -> None:
    """annotated.mp4 and thumbnail.jpg."""
    camera = {
        int(r["frame"]): np.array([[float(r[k]) for k in ("a", "b", "dx")], [float(r[k]) for k in ("c", "d", "dy")]])
        for r in contract.read_csv(contract.from_workspace("camera.csv", "detect"))
    }
    by_frame: dict[int, list[tuple[tracks.Track, tracks.Sample]]] = {}
    for track in users:
        for sample in track.samples:
            by_frame.setdefault(sample.frame, []).append((track, sample))
    speeds = {m.id: m for m in measured}
    fullest = max(by_frame, key=lambda f: (len(by_frame[f]), -f), default=0)
    size = min(WIDEST, max(640, video["width"]))
    zoom = size / video["width"]
    even = size - size % 2
    tall = round(video["height"] * zoom)
    trails: dict[int, deque[tuple[float, float, float]]] = {}
    shot = 0
    with Writer(out / "annotated.mp4", even, tall, video["rate"]) as writer:
        for frame in Reader(path).frames():
            while shot + 1 < len(video["shots"]) and frame.index > video["shots"][shot]["last"]:
                shot += 1
                trails.clear()
            image = drawing.fit(frame.image, even)
            back = cv2.invertAffineTransform(camera[frame.index])
            left_out = video["shots"][shot]["left_out"]
            if not left_out:
                ends = [steady.apply(back, line.ax, line.ay), steady.apply(back, line.bx, line.by)]
                draw_line(image, [(round(x * zoom), round(y * zoom)) for x, y in ends])
            plates = []
            for track, sample in by_frame.get(frame.index, []):
                colour = drawing.colour_of(track.id)
                x0, y0 = steady.apply(back, sample.box[0], sample.box[1])
                corners = (x0 * zoom, y0 * zoom, (x0 + sample.width) * zoom, (y0 + sample.height) * zoom)
                trail = trails.setdefault(track.id, deque())
                trail.append((frame.second, sample.x, sample.y))
                while trail and trail[0][0] < frame.second - TRAIL:
                    trail.popleft()
                way = [steady.apply(back, x, y) for _, x, y in trail]
                points = np.array([[round(x * zoom), round(y * zoom)] for x, y in way], dtype=np.int32)
                cv2.polylines(image, [points], False, colour, 2, cv2.LINE_AA)
                if sample.seen:
                    drawing.box(image, corners, colour)
                else:
                    drawing.dashed(image, corners, colour)
                plates.append((f"{track.id}  {speeds[track.id].speed_px_s:.0f} px/s", corners[0], corners[1], colour))
            for plate in plates:
                drawing.label(image, *plate)
            crossed = sum(m.crossing is not None and m.crossing.second <= frame.second for m in measured)
            so_far = sum(t.start <= frame.second for t in users)
            status(image, f"{frame.second:5.1f} s   {so_far} road users   {crossed} over the line", left_out)
            writer.write(image, frame.second)
            if frame.index == fullest:
                drawing.save_picture(str(out / "thumbnail.jpg"), drawing.fit(image, 480))
            progress(frame.index, video["frames"], (10, 95))


def draw_line(image: Image, ends: list[tuple[int, int]]) -> None:
    cv2.line(image, ends[0], ends[1], drawing.INK, 4, cv2.LINE_AA)
    cv2.line(image, ends[0], ends[1], drawing.PAPER, 2, cv2.LINE_AA)


def status(image: Image, words: str, left_out: str) -> None:
    """A strip at the lower border: time and counts, or why this shot is not counted."""
    high = 24
    strip = image[-high:]
    strip[:] = (strip.astype(np.float32) * 0.35).astype(np.uint8)
    drawing.write(image, words, 10, image.shape[0] - 8, 13, drawing.PAPER, 500)
    if left_out:
        words = f"not counted: {left_out.split(':')[0]}"
        drawing.write(
            image,
            words,
            image.shape[1] - 10 - drawing.width_of(words, 13, 500),
            image.shape[0] - 8,
            13,
            (130, 200, 255),
            500,
        )


def write_report(
    out: Path,
    video: dict[str, Any],
    measured: list[measures.Measured],
    seconds: list[measures.Second],
    results: dict[str, object],
    crossings: Counter[str],
    done: dict[str, int],
    scale: float,
    counted: float,
) -> str:
    speed = results.get("median_speed_px_s")
    keys = [
        ("road users", str(results["road_users"])),
        ("over the counting line", str(results["crossings"])),
        ("per minute", str(results["per_minute"])),
        ("median speed", "none" if speed is None else f"{speed} px/s"),
        ("counted", f"{counted:.1f} of {video['seconds']:.1f} s"),
    ]
    if "median_speed_km_h" in results:
        keys[3] = ("median speed", f"{results['median_speed_km_h']} km/h")
    header = ["id", "shot", "from", "to", "entry", "exit", "direction", "way", "speed", "crossed line at"]
    rows = [
        [
            m.id,
            m.shot,
            f"{m.first_s:.2f} s",
            f"{m.last_s:.2f} s",
            m.entry,
            m.exit,
            m.direction,
            f"{m.path_px:.0f} px",
            f"{m.speed_px_s * scale * 3.6:.1f} km/h" if scale else f"{m.speed_px_s:.0f} px/s",
            f"{m.crossing.second:.2f} s, {m.crossing.direction}" if m.crossing else "",
        ]
        for m in measured[:500]
    ]
    cut = f'<p class="soft">The first 500 of {len(measured)}; all are in tracks.csv.</p>' if len(measured) > 500 else ""
    ways = Counter(m.direction for m in measured)
    shots = [
        [n, f"{s['start']:.2f} s", f"{s['end']:.2f} s", sum(m.shot == n for m in measured), s["left_out"] or "counted"]
        for n, s in enumerate(video["shots"], 1)
    ]
    part = sum(m.speed_from == "part" for m in measured)
    notes = [
        "A road user is whatever moves in front of the empty street and travels: vehicles, riders, people on foot. "
        "Background subtraction sees movement, not kinds, so no classes are given.",
        "The empty street is the median of each shot. Shadows, noise below MIN_AREA and flicker are left out. "
        "Each road user has one id within its shot; across a cut nobody can be recognised again.",
        f"Clean-up joined {done.get('joined', 0)} broken paths, absorbed {done.get('absorbed', 0)} doubles and dropped "
        f"{sum(v for k, v in done.items() if k not in ('joined', 'absorbed'))} tracks too short or not moving.",
        f"Speeds are means along the smoothed path while all of the road user was in view; for {part} it never was "
        "for 0.2 s, and theirs (speed_from = part in tracks.csv) are too low and not part of the median.",
        f"Speeds in km/h hold {scale:g} m per pixel for all of the picture, which is right only where the street is "
        "equally far away."
        if scale
        else "Speeds are in pixels per second: without METRES_PER_PIXEL no honest km/h can be given, "
        "and speeds of different shots cannot be compared.",
        "Two road users that move as one, side by side or one hiding the other, are counted as one; a large "
        "smooth surface, such as the roof of a bus, is seen only by what stands out on it.",
    ]
    sections = [
        (
            "Video",
            '<video controls muted preload="metadata" poster="" src="annotated.mp4"></video>'.replace(' poster=""', ""),
        ),
        ("Over time", report.chart(seconds)),
        ("Where", report.picture(out / "heatmap.png", "Heat map: seconds that each place was covered by road users")),
        (
            "Directions",
            report.table(
                ["direction", "road users", "over the line"],
                [[n, ways[n], crossings[n]] for n in ("to the right", "to the left", "downwards", "upwards")],
                (1, 2),
            ),
        ),
        ("Road users", report.table(header, rows, (0, 1, 2, 3, 7, 8)) + cut),
        ("Shots", report.table(["shot", "from", "to", "road users", "state"], shots, (0, 1, 2, 3))),
        ("How it was counted", "".join(f"<p>{note}</p>" for note in notes)),
    ]
    subtitle = (
        f"{video['name']}: {video['width']} x {video['height']}, {video['rate']:.5g} pictures per second, "
        f"{video['seconds']:.1f} s. Smallest blob {video['min_area']} px."
    )
    return report.page("Road users in a street video", subtitle, keys, sections)


if __name__ == "__main__":
    contract.run(analyse)
