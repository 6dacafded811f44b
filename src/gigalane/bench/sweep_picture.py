"""A sweep as a picture: cost of an agent-step against road users in the batch, a line a curve."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from gigalane.bench.sweep import Point
from gigalane.core.files import replacing

_SIZE = (1200, 760)
_LEFT, _TOP, _RIGHT, _BOTTOM = 110, 90, 900, 660
_BACKGROUND, _INK, _FAINT, _GRID = "#ffffff", "#1b1f24", "#5c6670", "#e3e7eb"
_COLOURS = ("#0b6bcb", "#d9480f", "#2b8a3e", "#862e9c", "#c2255c", "#5f3dc4", "#087f5b", "#a66300")
_MANY = ("", "k", "M")


def draw_sweep(points: Sequence[Point], path: str | os.PathLike[str], title: str) -> None:
    """Draws the points of a sweep as a PNG.

    Args:
        points: of the sweep, at least one.
        path: the file.
        title: one line above.

    Raises:
        OSError: if the file cannot be written.
    """
    image = Image.new("RGB", _SIZE, _BACKGROUND)
    draw = ImageDraw.Draw(image)
    totals = [point.total for point in points]
    first, last = math.log10(min(totals)), math.log10(max(totals))
    margin = 0.06 * max(last - first, 1.0)
    first, last = first - margin, last + margin
    step = _round_step(max(point.cost.high for point in points) * 1.1 / 6)
    top = step * math.ceil(max(point.cost.high for point in points) * 1.05 / step)

    def across(total: float) -> float:
        return _LEFT + (math.log10(total) - first) / (last - first) * (_RIGHT - _LEFT)

    def up(cost: float) -> float:
        return _BOTTOM - cost / top * (_BOTTOM - _TOP)

    _draw_axes(draw, title, (first, last), (top, step))
    curves: dict[tuple[int, int], list[Point]] = {}
    for point in points:
        curves.setdefault((point.agents, point.maps), []).append(point)
    for number, ((agents, maps), curve) in enumerate(curves.items()):
        colour = _COLOURS[number % len(_COLOURS)]
        places = [(across(point.total), up(point.cost.value)) for point in curve]
        draw.line(places, fill=colour, width=3, joint="curve")
        for point, (x, y) in zip(curve, places, strict=True):
            draw.line([(x, up(point.cost.low)), (x, up(point.cost.high))], fill=colour, width=2)
            draw.ellipse([x - 5, y - 5, x + 5, y + 5], fill=colour)
        y = _TOP + 12 + 30 * number
        draw.line([(_RIGHT + 24, y), (_RIGHT + 56, y)], fill=colour, width=3)
        draw.ellipse([_RIGHT + 35, y - 5, _RIGHT + 45, y + 5], fill=colour)
        label = f"{agents} a world, {maps} map{'s' if maps > 1 else ''}"
        draw.text((_RIGHT + 66, y), label, _INK, _font(17), "lm")
    with replacing(Path(path)) as beside:
        image.save(beside, "PNG")


def _draw_axes(
    draw: ImageDraw.ImageDraw,
    title: str,
    decades: tuple[float, float],
    costs: tuple[float, float],
) -> None:
    """Grid, numbers and words; `decades` are logarithms, `costs` the top and the step."""
    first, last = decades
    unit = "CPU ns per agent-step (bars: lowest and highest)"
    draw.text((_LEFT, 38), title, _INK, _font(24), "lm")
    draw.text((_LEFT, 68), unit, _FAINT, _font(17), "lm")
    for decade in range(math.floor(first), math.ceil(last) + 1):
        for digit in (1, 2, 5):
            value = digit * 10.0**decade
            if not first <= math.log10(value) <= last:
                continue
            x = _LEFT + (math.log10(value) - first) / (last - first) * (_RIGHT - _LEFT)
            draw.line([(x, _TOP), (x, _BOTTOM)], fill=_GRID)
            draw.text((x, _BOTTOM + 10), _count(value), _FAINT, _font(16), "ma")
    top, step = costs
    for line in range(round(top / step) + 1):
        y = _BOTTOM - line * step / top * (_BOTTOM - _TOP)
        draw.line([(_LEFT, y), (_RIGHT, y)], fill=_GRID if line else _INK)
        draw.text((_LEFT - 12, y), f"{line * step:,g}", _FAINT, _font(16), "rm")
    middle = (_LEFT + _RIGHT) / 2
    draw.text((middle, _BOTTOM + 44), "road users in the batch", _INK, _font(18), "ma")


def _round_step(wanted: float) -> float:
    """The next of 1, 2, 2.5, 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(wanted))
    return next(digit * power for digit in (1, 2, 2.5, 5, 10) if digit * power >= wanted)


def _count(value: float) -> str:
    """1000 as 1k."""
    power = min(2, int(math.log10(value) + 1e-9) // 3)
    return f"{value / 1000**power:g}{_MANY[power]}"


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Pillow's own font, which is everywhere."""
    return ImageFont.load_default(size)
