"""Stage clean-up: broken tracks are joined, doubles and noise are dropped, paths are smoothed."""

import sys

sys.dont_write_bytecode = True  # the pipeline folder is read-only

import json  # noqa: E402
import math  # noqa: E402

from roadusers import cleaning, contract, tracks  # noqa: E402


def clean_up() -> None:
    settings = cleaning.Settings(
        gap=contract.number("JOIN_GAP", 1.0, 0.0, 60.0),
        shortest=contract.number("MIN_SECONDS", 0.4, 0.0, 60.0),
        travel=contract.number("MIN_TRAVEL", 0.05, 0.0, 1.0),
    )
    progress = contract.Progress()
    video = json.loads(contract.from_workspace("video.json", "detect").read_text(encoding="utf-8"))
    raw = tracks.load(contract.from_workspace("tracks_raw.csv", "track"))
    drifts = [shot["drift"] for shot in video["shots"]]
    diagonal = math.hypot(video["width"], video["height"])
    clean, done = cleaning.clean(raw, diagonal, drifts, settings, lambda n: progress(n, len(raw) + 1))
    tracks.save(contract.workspace() / "tracks.csv", clean)
    tracks.save(contract.output() / "paths.csv", clean)
    rows = [["tracks before", len(raw)], *sorted(done.items()), ["road users", len(clean)]]
    contract.write_csv(contract.output() / "clean_up.csv", ["what", "tracks"], rows)
    contract.write_json(contract.workspace() / "clean_up.json", dict(done))
    contract.result(
        road_users=len(clean),
        joined=done["joined"],
        absorbed=done["absorbed"],
        dropped=sum(done[why] for why in cleaning.REASONS),
    )
    progress(1, 1)


if __name__ == "__main__":
    contract.run(clean_up)
