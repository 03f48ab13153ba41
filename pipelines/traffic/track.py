"""Stage track: which blob is which road user, from frame to frame."""

import sys

sys.dont_write_bytecode = True  # the pipeline folder is read-only

import json  # noqa: E402
from collections import defaultdict  # noqa: E402

from roadusers import contract, tracker, tracks  # noqa: E402


def track() -> None:
    settings = tracker.Settings(
        hits=contract.integer("CONFIRM_HITS", 3, 1, 100), gap=contract.number("MAX_GAP", 0.6, 0.0, 60.0)
    )
    progress = contract.Progress()
    video = json.loads(contract.from_workspace("video.json", "detect").read_text(encoding="utf-8"))
    seconds = {
        int(r["frame"]): float(r["second"]) for r in contract.read_csv(contract.from_workspace("camera.csv", "detect"))
    }
    sightings: dict[int, list[tracks.Sample]] = defaultdict(list)
    for row in contract.read_csv(contract.from_workspace("blobs.csv", "detect")):
        if float(row["area"]) < video["min_area"]:
            continue
        x, y, width, height = (float(row[k]) for k in ("x", "y", "width", "height"))
        sample = tracks.Sample(
            int(row["frame"]),
            float(row["second"]),
            x + width / 2,
            y + height / 2,
            width,
            height,
            row["edges"],
            motion=float(row["motion"]),
        )
        sightings[sample.frame].append(sample)

    found: list[tracks.Track] = []
    next_id = 1
    for number, shot in enumerate(video["shots"]):
        if shot["left_out"]:
            continue
        follower = tracker.Tracker(number, settings, next_id)
        for frame in range(shot["first"], shot["last"] + 1):
            follower.step(seconds[frame], sightings.get(frame, []))
            progress(frame, video["frames"])
        found.extend(follower.finish())
        next_id = follower.next_id

    tracks.save(contract.workspace() / "tracks_raw.csv", found)
    tracks.save(contract.output() / "tracks_raw.csv", found)
    lengths = [t.end - t.start for t in found]
    contract.result(tracks=len(found), longest_s=round(max(lengths, default=0.0), 2))
    progress(1, 1)


if __name__ == "__main__":
    contract.run(track)
