"""Stage detect: what moves in front of the empty street, frame by frame."""

import sys

sys.dont_write_bytecode = True  # the pipeline folder is read-only

from collections import Counter  # noqa: E402

import cv2  # noqa: E402
from roadusers import background, contract  # noqa: E402
from roadusers.video import Facts, Frame, Reader  # noqa: E402


def detect() -> None:
    cv2.setNumThreads(1)  # as many as the stage asks for
    path = contract.input_file("VIDEO")
    min_area = contract.integer("MIN_AREA", 300, background.FLOOR, 1_000_000)
    method = contract.choice("METHOD", ["mog2", "knn"])
    sensitivity = contract.number("SENSITIVITY", 1.0, 0.2, 5.0)
    merge = contract.number("MERGE_GAP", 0.02, 0.0, 0.2)
    work_width = contract.integer("WORK_WIDTH", 640, 80, 4096)
    progress, reader = contract.Progress(), Reader(path)

    steady = contract.boolean("STEADY", True)
    size = [0, 0]

    def seen(frame: Frame) -> None:
        now = [frame.image.shape[1], frame.image.shape[0]]
        if frame.index and now != size:
            raise contract.Problem(f"{path.name} changes its picture size at {frame.second:.1f} s.")
        size[:] = now
        progress(frame.index, reader.expected, (0, 35))

    shots = background.find_shots(
        reader.frames(), reader.rate, work_width, contract.boolean("CUTS", True), steady, seen
    )
    facts = Facts(path.name, size[0], size[1], reader.rate, shots[-1].last + 1, shots[-1].end)
    print(
        f"{facts.name}: {facts.width} x {facts.height}, {facts.frames} frames, {facts.seconds:.1f} s, "
        f"{len(shots)} shots"
    )

    inner = shots[0].background.shape
    pad = shots[0].pad
    region = background.region_mask(contract.text("REGION"), inner[1] - 2 * pad, inner[0] - 2 * pad)
    scale = size[0] / (inner[1] - 2 * pad)
    blobs: list[background.Blob] = []
    camera: list[list[object]] = []
    models: list[background.Subtractor] = []
    for frame in reader.frames():
        if not models or frame.index > shots[len(models) - 1].last:
            models.append(background.Subtractor(shots[len(models)], method, sensitivity, region, merge))
        blobs.extend(models[-1].blobs(frame))
        m = models[-1].matrix
        places = (m[0, 0], m[0, 1], m[0, 2] * scale, m[1, 0], m[1, 1], m[1, 2] * scale)
        camera.append([frame.index, f"{frame.second:.4f}", *(f"{v:.5f}" for v in places)])
        progress(frame.index, facts.frames, (35, 100))

    folder = contract.workspace()
    left_out = [model.usable.reason(shot) for shot, model in zip(shots, models, strict=True)]
    for shot in shots:
        print(
            f"shot {shot.index + 1}: {shot.start:.2f} to {shot.end:.2f} s, "
            + (f"left out: {left_out[shot.index]}" if left_out[shot.index] else "counted")
        )
        core = shot.background[pad : shot.background.shape[0] - pad, pad : shot.background.shape[1] - pad]
        cv2.imwrite(str(folder / f"background-{shot.index}.png"), core)
    contract.write_csv(folder / "camera.csv", ["frame", "second", "a", "b", "dx", "c", "d", "dy"], camera)
    contract.write_json(
        folder / "video.json",
        facts.as_dict()
        | {
            "min_area": min_area,
            "shots": [
                {
                    "first": s.first,
                    "last": s.last,
                    "start": s.start,
                    "end": s.end,
                    "drift": s.drift,
                    "left_out": left_out[s.index],
                }
                for s in shots
            ],
        },
    )
    rows = [
        [
            b.frame,
            f"{b.second:.4f}",
            b.shot,
            *(f"{v:.1f}" for v in (b.x, b.y, b.width, b.height)),
            f"{b.area:.0f}",
            b.edges,
            f"{b.motion:.3f}",
        ]
        for b in blobs
    ]
    header = ["frame", "second", "shot", "x", "y", "width", "height", "area", "edges", "motion"]
    contract.write_csv(folder / "blobs.csv", header, rows)

    kept = [blob for blob in blobs if blob.area >= min_area and not left_out[blob.shot]]
    chosen = set(kept)
    out = contract.output()
    contract.write_csv(out / "detections.csv", header, (r for r, b in zip(rows, blobs, strict=True) if b in chosen))
    per_second = Counter(int(blob.second) for blob in kept)
    frames_with = Counter(int(second) for _, second in {(b.frame, b.second) for b in kept})
    contract.write_csv(
        out / "counts.csv",
        ["second", "detections", "frames_with_movement"],
        ([s, per_second[s], frames_with[s]] for s in range(int(facts.seconds - 1e-6) + 1)),
    )
    contract.result(
        frames=facts.frames,
        seconds=round(facts.seconds, 2),
        shots=len(shots),
        shots_left_out=sum(map(bool, left_out)),
        detections=len(kept),
        too_small=sum(blob.area < min_area and not left_out[blob.shot] for blob in blobs),
        busiest_second=max(per_second, key=lambda s: (per_second[s], -s), default=0),
    )
    progress(1, 1)


if __name__ == "__main__":
    contract.run(detect)
