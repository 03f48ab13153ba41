"""Gather what all members of the sweep measured, and choose the best threshold."""

import sys

sys.dont_write_bytecode = True  # the pipeline folder is read-only

import csv  # noqa: E402
import json  # noqa: E402

import stage  # noqa: E402

folder = stage.STAGES / "measure"
index = folder / "index.json"
if index.is_file():
    members = json.loads(index.read_text(encoding="utf-8"))
else:  # measure ran once, without a sweep
    members = [{"stage": 0, "state": "succeeded", "output": "."}]
rows, failed = [], []
for member in members:
    scores = folder / (member.get("output") or "") / "score.json"
    if member["state"] == "succeeded" and scores.is_file():
        rows.append({"stage": member["stage"], **json.loads(scores.read_text(encoding="utf-8"))})
    else:
        failed.append(member["stage"])
if not rows:
    stage.fail("no member of the sweep succeeded, so there is nothing to choose from.")
rows.sort(key=lambda row: row["threshold"])
# Among equals the middle one: a threshold with good ones on both sides forgives more than one at the brink.
top = max(row["score"] for row in rows)
equals = [row for row in rows if row["score"] >= top - 0.005]
best = equals[len(equals) // 2]
with open(stage.OUTPUT / "table.csv", "w", newline="", encoding="utf-8") as file:
    writer = csv.DictWriter(file, ["threshold", "score", "precision", "recall", "stage"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
answer = {"best": best["threshold"], "best_score": best["score"], "members": len(rows), "failed": failed}
(stage.OUTPUT / "best.json").write_text(json.dumps(answer), encoding="utf-8")
stage.result(best=f"{best['threshold']:g}", best_score=best["score"], members=len(rows))
