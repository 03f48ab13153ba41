"""The good way: write the threshold where others would take it from."""

import sys

sys.dont_write_bytecode = True  # the pipeline folder is read-only

import json  # noqa: E402

import stage  # noqa: E402

best = json.loads((stage.STAGES / "choose" / "best.json").read_text(encoding="utf-8"))
(stage.OUTPUT / "threshold.txt").write_text(f"{best['best']:g}\n", encoding="utf-8")
print(f"THRESHOLD={best['best']:g} is published; its score is {best['best_score']:.3f}.")
