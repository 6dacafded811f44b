"""Learning curves as a picture."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

COLORS = ("#222222", "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c6d31")
"""Told apart by most people who see colours differently (Okabe and Ito 2008, and two more)."""
DASH = (9.0, 6.0)
"""Pixels drawn and left out of lines whose colour another line has already."""
PANEL = (620, 420)
"""Width and height of the area between the axes, in pixels."""
MARGIN = (90, 76, 40, 70)
"""Left, top, right, bottom, in pixels."""
ROW = 26
"""Height of a line of the legend, in pixels."""
SHARPER = 2
"""Drawn so many times too large and averaged down: lines get smooth edges."""


@dataclass(frozen=True)
class Curve:
    """A line with a band.

    Attributes:
        name: in the legend.
        points: (x, y, lowest y, highest y) in rising x.
    """

    name: str
    points: tuple[tuple[float, float, float, float], ...]


def draw_curves(
    panels: Sequence[tuple[str, float, Sequence[Curve]]], ordinate: str, title: str, path: Path
) -> None:
    """Draws panels beside each other over one legend.

    Args:
        panels: (name of the abscissa, factor from a point's x to its unit, curves); the curves
            of all panels have the same names in the same order.
        ordinate: name of the y axis, which begins at 0.
        title: over the picture.
        path: a PNG.
    """
    left, top, right, bottom = MARGIN
    columns = 3
    names = [curve.name for curve in panels[0][2]]
    legend = ROW * math.ceil(len(names) / columns) + 16
    width = len(panels) * (left + PANEL[0] + right)
    height = top + PANEL[1] + bottom + legend
    image = Image.new("RGB", (width * SHARPER, height * SHARPER), "white")
    pen = _Pen(image)
    pen.text(left, 14, title, 20)
    highest = max((p[3] for _, _, curves in panels for c in curves for p in c.points), default=1.0)
    ceiling = _round_up(max(highest, 1e-3))
    for number, (abscissa, factor, curves) in enumerate(panels):
        origin = (number * (left + PANEL[0] + right) + left, top + PANEL[1])
        furthest = max((p[0] * factor for c in curves for p in c.points), default=1.0)
        limits = (_round_up(max(furthest, 1e-9)), ceiling)
        pen.axes(origin, limits, abscissa, ordinate)
        for k, curve in enumerate(curves):
            pen.curve(origin, limits, factor, curve, k)
    for k, name in enumerate(names):
        x = left + (k % columns) * (width - left) // columns
        y = top + PANEL[1] + bottom + ROW * (k // columns)
        pen.trace([(x, y + 9), (x + 34, y + 9)], k)
        pen.text(x + 44, y, name, 16)
    image.resize((width, height), Image.Resampling.LANCZOS).save(path)


class _Pen:
    """Draws in pixels of the final picture."""

    def __init__(self, image: Image.Image) -> None:
        self.image, self.draw = image, ImageDraw.Draw(image)

    def line(self, points: Sequence[tuple[float, float]], color: str, width: float) -> None:
        scaled = [(x * SHARPER, y * SHARPER) for x, y in points]
        self.draw.line(scaled, color, round(width * SHARPER), joint="curve")

    def trace(self, points: Sequence[tuple[float, float]], number: int) -> None:
        """A line in the style of the curve of that number: each colour once whole, then dashed."""
        color = COLORS[number % len(COLORS)]
        for part in [points] if number < len(COLORS) else _dashes(points):
            self.line(part, color, 2.5)

    def text(self, x: float, y: float, words: str, size: int, anchor: str = "la") -> None:
        font = ImageFont.load_default(size * SHARPER)
        self.draw.text((x * SHARPER, y * SHARPER), words, "#222222", font, anchor)

    def axes(
        self,
        origin: tuple[int, int],
        limits: tuple[float, float],
        abscissa: str,
        ordinate: str,
    ) -> None:
        x, y = origin
        for k in range(6):
            level, across = y - PANEL[1] * k / 5, x + PANEL[0] * k / 5
            self.line([(x, level), (x + PANEL[0], level)], "#dddddd" if k else "#222222", 1)
            self.text(x - 10, level, f"{limits[1] * k / 5:.3g}", 15, "rm")
            self.text(across, y + 10, f"{limits[0] * k / 5:.3g}", 15, "ma")
        self.line([(x, y), (x, y - PANEL[1])], "#222222", 1)
        self.text(x + PANEL[0] / 2, y + 36, abscissa, 16, "ma")
        self.text(x - 70, y - PANEL[1] - 14, ordinate, 16, "ls")

    def curve(
        self,
        origin: tuple[int, int],
        limits: tuple[float, float],
        factor: float,
        curve: Curve,
        number: int,
    ) -> None:
        def place(x: float, y: float) -> tuple[float, float]:
            return (
                origin[0] + PANEL[0] * x * factor / limits[0],
                origin[1] - PANEL[1] * y / limits[1],
            )

        if not curve.points:
            return
        color = COLORS[number % len(COLORS)]
        low = [place(p[0], p[2]) for p in curve.points]
        high = [place(p[0], p[3]) for p in curve.points]
        if len(curve.points) > 1:
            self._shade([*high, *reversed(low)], color)
            self.trace([place(p[0], p[1]) for p in curve.points], number)
        for point in curve.points:
            x, y = place(point[0], point[1])
            box = [(x - 4) * SHARPER, (y - 4) * SHARPER, (x + 4) * SHARPER, (y + 4) * SHARPER]
            inside = color if number < len(COLORS) else "white"
            self.draw.ellipse(box, inside, color, 2 * SHARPER)

    def _shade(self, outline: Sequence[tuple[float, float]], color: str) -> None:
        """Fills an area so thinly that what lies below stays visible."""
        xs, ys = zip(*outline, strict=True)
        left, top = math.floor(min(xs) * SHARPER), math.floor(min(ys) * SHARPER)
        right, bottom = math.ceil(max(xs) * SHARPER), math.ceil(max(ys) * SHARPER)
        mask = Image.new("L", (right - left + 1, bottom - top + 1), 0)
        scaled = [(x * SHARPER - left, y * SHARPER - top) for x, y in outline]
        ImageDraw.Draw(mask).polygon(scaled, fill=36)
        self.image.paste(color, (left, top), mask)


def _dashes(points: Sequence[tuple[float, float]]) -> Iterator[list[tuple[float, float]]]:
    """The drawn parts of a line of which parts are left out."""
    period = sum(DASH)
    along = 0.0
    for (x, y), (to_x, to_y) in pairwise(points):
        length = math.hypot(to_x - x, to_y - y)
        start = -(along % period)
        while start < length:
            ends = max(start, 0.0), min(start + DASH[0], length)
            if ends[0] < ends[1]:
                shares = (end / length for end in ends)
                yield [(x + (to_x - x) * share, y + (to_y - y) * share) for share in shares]
            start += period
        along += length


def _round_up(value: float) -> float:
    """The next of 1, 2, 2.5, 3, 4, 5, 6, 8 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(value))
    steps = (1.0, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)
    return next(step * power for step in steps if step * power >= value * (1 - 1e-9))
