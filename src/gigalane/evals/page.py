"""Writes evaluations as one page: the table, the learning curve, links to the replay."""

from __future__ import annotations

import html
import json
import math
from collections.abc import Sequence
from pathlib import Path

from gigalane.core.files import replacing
from gigalane.evals.evaluate import Evaluation
from gigalane.evals.report import COLUMNS, in_words, traffic_in_words

_STYLE = """
:root { color-scheme: light dark; --ink: #1a1c20; --paper: #fbfaf7; --rule: #d9d7d0;
        --soft: #6b6f76; --mark: #0b57e3; --second: #b3352b; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8e6e1; --paper: #17181b; --rule: #383a40; --soft: #a0a4ab;
          --mark: #7ea8ff; --second: #ff8b7e; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
       margin: 3rem auto; max-width: 62rem; padding: 0 1.5rem; }
h1 { font-size: 1.6rem; margin: 0 0 .25rem; } h2 { font-size: 1.05rem; margin: 2.2rem 0 .6rem; }
p { margin: .3rem 0; } .soft { color: var(--soft); } a { color: var(--mark); }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: .4rem .5rem; border-bottom: 1px solid var(--rule);
         vertical-align: top; }
th:first-child, td:first-child { text-align: left; font-weight: 600; }
th { font-weight: 500; color: var(--soft); } td small { display: block; color: var(--soft);
           white-space: nowrap; }
img { max-width: 100%; border: 1px solid var(--rule); border-radius: 6px; }
svg text { fill: var(--soft); font: 12px system-ui, sans-serif; }
.wide { overflow-x: auto; }
"""


def write_report(
    evaluations: Sequence[Evaluation],
    path: Path,
    *,
    title: str,
    picture: str | None = None,
    replay: str | None = None,
    curve: Path | None = None,
) -> None:
    """Writes the report page.

    Args:
        evaluations: one a driver, the first the one that matters.
        path: the .html file.
        title: its heading.
        picture: of the map, as a link from the page.
        replay: page, as a link from the page.
        curve: metrics.jsonl of the training run to draw.
    """
    first = evaluations[0]
    where, traffic = ", ".join(first.maps), traffic_in_words(first.settings)
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8>",
        "<meta name=viewport content='width=device-width'>",
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style>",
        f"<h1>{html.escape(title)}</h1>",
        f"<p class=soft>{html.escape(where)} · {traffic} · {first.settings.seconds:g} s episodes · "
        f"dt {first.settings.dt:g} s · seed {first.settings.seed} · 95 % intervals resample "
        "worlds</p>",
    ]
    if replay:
        parts.append(f"<p><a href='{html.escape(replay)}'>Watch the replay</a></p>")
    parts += ["<h2>Who drives how well</h2><div class=wide>", _table(evaluations), "</div>"]
    if curve and curve.is_file():
        parts += ["<h2>Learning</h2>", _curve(curve)]
    if picture:
        parts.append(f"<h2>The town</h2><img alt='map' src='{html.escape(picture)}'>")
    with replacing(path) as beside:
        beside.write_text("\n".join(parts) + "\n</html>\n", encoding="utf-8")


def _table(evaluations: Sequence[Evaluation]) -> str:
    head = "".join(f"<th>{title}" for _, title in COLUMNS)
    rows = []
    for found in evaluations:
        cells = []
        for name, _ in COLUMNS:
            value, _, interval = in_words(name, found.figures[name]).partition(" (")
            cells.append(f"<td>{value}<small>{interval.rstrip(')')}</small>")
        rows.append(f"<tr><td>{html.escape(found.name)}{''.join(cells)}<td>{len(found.episodes)}")
    return f"<table><tr><th>driver{head}<th>episodes{''.join(rows)}</table>"


def _curve(metrics: Path) -> str:
    """Goal and incident rates of the training episodes over samples, as an SVG."""
    rows = [json.loads(line) for line in metrics.read_text(encoding="utf-8").splitlines()]
    lines = {
        "reached its goal": ("var(--mark)", ("rate/reached_goal",)),
        "collided or left the road": ("var(--second)", ("rate/collided", "rate/off_road")),
    }
    width, height, left, top, bottom = 760.0, 250.0, 44.0, 34.0, 26.0
    most = max((row["samples"] for row in rows), default=1) or 1

    def level(share: float) -> float:
        return top + (height - bottom - top) * (1.0 - min(1.0, share))

    svg = [f"<svg viewBox='0 0 {width:g} {height:g}' role=img aria-label='learning curve'>"]
    for share in (0.0, 0.5, 1.0):
        y = level(share)
        svg.append(
            f"<line x1={left} x2={width} y1={y:.1f} y2={y:.1f} stroke='var(--rule)'/>"
            f"<text x={left - 8} y={y + 4:.1f} text-anchor=end>{share:.0%}</text>"
        )
    for k, (label, (color, names)) in enumerate(lines.items()):
        points = []
        for row in rows:
            values = [row.get(name) for name in names]
            if all(isinstance(v, int | float) and math.isfinite(v) for v in values):
                x = left + (width - left) * row["samples"] / most
                points.append(f"{x:.1f},{level(sum(v for v in values if v is not None)):.1f}")
        svg.append(
            f"<polyline fill=none stroke='{color}' stroke-width=2 points='{' '.join(points)}'/>"
            f"<text x={left + 150 * k} y=14 style='fill:{color}'>{label}</text>"
        )
    svg.append(
        f"<text x={width} y={height - 6} text-anchor=end>{most / 1e6:.1f} M samples</text></svg>"
    )
    return "".join(svg)
