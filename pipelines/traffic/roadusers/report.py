"""The one-page report: everything inlined but the video, readable in light and dark and on paper."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence
from pathlib import Path

from roadusers.measures import Second

STYLE = """
:root { color-scheme: light dark;
  --ink:#1a1f26; --soft:#5b6570; --line:#d9dee4; --paper:#fff; --mark:#1f6feb; --bar:#9cc3f5 }
@media (prefers-color-scheme: dark) {
  :root { --ink:#e6e9ed; --soft:#9aa5b1; --line:#333b45; --paper:#14181d; --mark:#6cb0ff; --bar:#2f5f99 } }
* { box-sizing: border-box }
body { margin: 0 auto; max-width: 960px; padding: 32px 20px 64px; background: var(--paper); color: var(--ink);
  font: 15px/1.5 Inter, system-ui, sans-serif; font-variant-numeric: tabular-nums }
h1 { font-size: 26px; line-height: 1.2; margin: 0 0 4px } h2 { font-size: 18px; margin: 36px 0 10px }
p { margin: 8px 0; max-width: 72ch } .soft { color: var(--soft) }
.key { display: grid; grid-template-columns: repeat(auto-fit, minmax(130px, 1fr)); gap: 0; margin: 22px 0;
  border: 1px solid var(--line); border-radius: 10px; overflow: hidden }
.key div { padding: 12px 14px; border-right: 1px solid var(--line) } .key div:last-child { border-right: 0 }
.key b { display: block; font-size: 24px; font-weight: 600; line-height: 1.2 }
.key span { color: var(--soft); font-size: 13px }
video, img { width: 100%; display: block; border-radius: 8px; border: 1px solid var(--line); background: #000 }
.wide { overflow-x: auto } table { border-collapse: collapse; width: 100%; font-size: 13px }
th, td { text-align: left; padding: 5px 10px 5px 0; border-bottom: 1px solid var(--line); white-space: nowrap }
th { color: var(--soft); font-weight: 500 } .n { text-align: right; padding-right: 18px }
svg text { fill: var(--soft); font: 11px Inter, system-ui, sans-serif }
@media print { body { max-width: none; padding: 0; font-size: 11px } video { display: none } h2 { break-after: avoid }
  tr, img, svg { break-inside: avoid } :root { --ink:#000; --soft:#444; --line:#bbb; --paper:#fff } }
"""


def picture(path: Path, words: str) -> str:
    kind = "jpeg" if path.suffix == ".jpg" else "png"
    content = base64.b64encode(path.read_bytes()).decode()
    return f'<img alt="{html.escape(words)}" src="data:image/{kind};base64,{content}">'


def table(header: Sequence[str], rows: Sequence[Sequence[object]], numbers: Sequence[int] = ()) -> str:
    def cells(values: Sequence[object], tag: str) -> str:
        mark = (' class="n"' if k in numbers else "" for k in range(len(values)))
        return "".join(f"<{tag}{m}>{html.escape(str(v))}</{tag}>" for m, v in zip(mark, values, strict=True))

    body = "".join(f"<tr>{cells(row, 'td')}</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{cells(header, "th")}</tr></thead><tbody>{body}</tbody></table></div>'


def chart(seconds: Sequence[Second]) -> str:
    """Bars: road users in view per second (per stretch of seconds in a long video); line: how many have come so far."""
    group = max(1, -(-len(seconds) // 120))
    bars = [
        (part[0].second, max(s.active for s in part), part[-1].cumulative)
        for part in (seconds[k : k + group] for k in range(0, len(seconds), group))
    ]
    width, height, left, bottom = 920.0, 200.0, 34.0, 22.0
    most = max(1, *(active for _, active, _ in bars))
    total = max(1, bars[-1][2])
    each = (width - 2 * left) / len(bars)
    shapes, way = [], []
    for k, (second, active, so_far) in enumerate(bars):
        x, tall = left + k * each, (height - bottom - 12) * active / most
        shapes.append(
            f'<rect x="{x + each * 0.1:.1f}" y="{height - bottom - tall:.1f}" width="{each * 0.8:.1f}"'
            f' height="{tall:.1f}"'
            f' fill="var(--bar)"><title>second {second}: {active} in view, {so_far} so far</title></rect>'
        )
        way.append(f"{x + each / 2:.1f},{height - bottom - (height - bottom - 12) * so_far / total:.1f}")
    every = max(1, len(bars) // 10)
    marks = [
        f'<text x="{left + (k + 0.5) * each:.1f}" y="{height - 6}" text-anchor="middle">{second}</text>'
        for k, (second, _, _) in enumerate(bars)
        if k % every == 0
    ]
    return (
        f'<svg viewBox="0 0 {width:.0f} {height:.0f}" role="img" aria-label="Road users per second">'
        f'<line x1="{left}" x2="{width - left}" y1="{height - bottom}" y2="{height - bottom}" stroke="var(--line)"/>'
        + "".join(shapes)
        + f'<polyline points="{" ".join(way)}" fill="none" stroke="var(--mark)" stroke-width="2"/>'
        + f'<text x="{left - 6}" y="16" text-anchor="end">{most}</text>'
        + f'<text x="{width - left + 6}" y="16">{total}</text>'
        + "".join(marks)
        + "</svg>"
        + '<p class="soft">Bars, left scale: in view per second. Line, right scale: arrived so far.</p>'
    )


def page(title: str, subtitle: str, keys: Sequence[tuple[str, str]], sections: Sequence[tuple[str, str]]) -> str:
    cells = "".join(f"<div><b>{html.escape(v)}</b><span>{html.escape(k)}</span></div>" for k, v in keys)
    body = "".join(f"<section><h2>{html.escape(head)}</h2>{content}</section>" for head, content in sections)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{STYLE}</style></head><body>"
        f'<h1>{html.escape(title)}</h1><p class="soft">{html.escape(subtitle)}</p>'
        f'<div class="key">{cells}</div>{body}</body></html>\n'
    )
