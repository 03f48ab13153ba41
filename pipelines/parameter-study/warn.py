"""The other way: say what is wrong, and what to try."""

import sys

sys.dont_write_bytecode = True  # the pipeline folder is read-only

import json  # noqa: E402

import stage  # noqa: E402

best = json.loads((stage.STAGES / "choose" / "best.json").read_text(encoding="utf-8"))
sentence = (
    f"No threshold is good: the best, {best['best']:g}, scores {best['best_score']:.3f} and 0.8 is wanted. "
    "Sweep other values, or start from a film with less NOISE."
)
(stage.OUTPUT / "warning.txt").write_text(sentence + "\n", encoding="utf-8")
print(f"warning: {sentence}")
