"""One page about the study, whichever way it went."""

import sys

sys.dont_write_bytecode = True  # the pipeline folder is read-only

import csv  # noqa: E402
import html  # noqa: E402

import stage  # noqa: E402

# Only the branch that ran is there; the skipped one has no output.
published = (stage.STAGES / "publish" / "threshold.txt").is_file()
warning = stage.STAGES / "warn" / "warning.txt"
if published:
    verdict = (
        f"THRESHOLD={(stage.STAGES / 'publish' / 'threshold.txt').read_text(encoding='utf-8').strip()} is published."
    )
elif warning.is_file():
    verdict = warning.read_text(encoding="utf-8").strip()
else:
    stage.fail("neither publish nor warn left anything to report on.")
with open(stage.STAGES / "choose" / "table.csv", newline="", encoding="utf-8") as file:
    rows = list(csv.DictReader(file))

WIDTH, HEIGHT, EDGE = 640.0, 260.0, 40.0
low, high = float(rows[0]["threshold"]), float(rows[-1]["threshold"])
lines = []
for name, dash, colour in (("score", "", "#1f6feb"), ("precision", "6 4", "#b45309"), ("recall", "2 4", "#15803d")):
    points = [
        (
            EDGE + (WIDTH - 2 * EDGE - 60) * ((float(r["threshold"]) - low) / ((high - low) or 1)),
            HEIGHT - EDGE - (HEIGHT - 2 * EDGE) * float(r[name]),
        )
        for r in rows
    ]
    way = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    lines.append(f'<polyline points="{way}" fill="none" stroke="{colour}" stroke-width="2" stroke-dasharray="{dash}"/>')
    lines += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in points]
    row = {"score": 0, "precision": 1, "recall": 2}[name]
    lines.append(f'<text x="{WIDTH - 86:.0f}" y="{EDGE + 20 * row:.0f}" fill="{colour}">{name}</text>')
base = HEIGHT - EDGE
lines.append(f'<path d="M{EDGE} {EDGE}V{base}H{WIDTH - EDGE - 60}" fill="none" stroke="currentColor" opacity=".4"/>')
lines += [f'<text x="{EDGE - 8}" y="{y}" text-anchor="end">{v}</text>' for v, y in ((1, EDGE + 4), (0, base + 4))]
lines.append(f'<text x="{EDGE}" y="{base + 20}">{low:g}</text>')
lines.append(f'<text x="{WIDTH - EDGE - 60}" y="{base + 20}" text-anchor="end">{high:g}</text>')
table = "".join(
    f"<tr><td>{float(r['threshold']):g}</td><td>{r['score']}</td><td>{r['precision']}</td><td>{r['recall']}</td></tr>"
    for r in rows
)
style = (
    ":root{color-scheme:light dark}"
    "body{font:15px/1.5 system-ui,sans-serif;max-width:700px;margin:32px auto;padding:0 16px}"
    "td,th{text-align:right;padding:2px 18px 2px 0;font-variant-numeric:tabular-nums}th{font-weight:500}"
    "svg text{font:12px system-ui,sans-serif;fill:currentColor}"
)
page = (
    f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Threshold study</title><style>{style}</style>'
    f"<h1>Threshold study</h1><p>{html.escape(verdict)}</p>"
    f'<svg viewBox="0 0 {WIDTH:.0f} {HEIGHT:.0f}" role="img" aria-label="Score by threshold">{"".join(lines)}</svg>'
    f"<table><tr><th>threshold<th>score<th>precision<th>recall</tr>{table}</table></html>\n"
)
(stage.OUTPUT / "report.html").write_text(page, encoding="utf-8")
stage.result(published="true" if published else "false")
