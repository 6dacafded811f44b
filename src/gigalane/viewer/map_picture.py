"""Draws a road map as a picture: SVG or PNG, with a scale bar and a north arrow.

The SVG follows the reader's light or dark mode; its unit is the metre, so that it can be measured.
"""

from __future__ import annotations

import os
from itertools import groupby
from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from gigalane.core.files import replacing
from gigalane.maps.road import MapError, RoadMap
from gigalane.viewer.map_shapes import map_shapes
from gigalane.viewer.palette import DARK, LIGHT, Palette
from gigalane.viewer.raster import MIN_LINE, Window, line_strength, paint_shapes
from gigalane.viewer.shape import MapShape

MARGIN = 0.03
"""Free space around the roads, as a share of the longer side."""
FOOTER = 52
"""Height of the strip with the title and the scale bar, in pixels."""
ASPECT = (0.35, 2.0)
"""Least and largest height of the map, as a multiple of its width."""


def draw_map(
    road_map: RoadMap,
    path: str | os.PathLike[str],
    width_pixels: int = 1600,
    palette: Palette = LIGHT,
) -> None:
    """Writes a picture of a map.

    Args:
        road_map: the roads.
        path: where to; the name ends in .svg or .png.
        width_pixels: width of the picture; of an SVG its preferred size.
        palette: colours of a PNG; an SVG holds both modes.

    Raises:
        MapError: the map has no lanes, or the file name ends in neither.
        OSError: the file cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() not in (".svg", ".png"):
        raise MapError(os.fspath(path), "", "a map picture is .svg or .png; name it so")
    if not road_map.lanes:
        raise MapError(road_map.name, "lanes", "there are none to draw")
    shapes = map_shapes(road_map)
    window = _window(road_map, width_pixels)
    if path.suffix.lower() == ".svg":
        with replacing(path) as beside:
            beside.write_text(_svg(road_map, shapes, window), encoding="utf-8")
        return
    footer = Window(window.left, window.top, window.scale, window.width, window.height + FOOTER)
    image = paint_shapes(shapes, footer, palette)
    _png_footer(image, road_map, footer, palette)
    with replacing(path) as beside:
        image.save(beside, format="PNG", optimize=True)


def _window(road_map: RoadMap, width_pixels: int) -> Window:
    """All of the map with a margin, in a picture that is not too tall or too flat."""
    low, high = road_map.extent[:, :2]
    side = np.maximum(high - low, 1.0)
    free = MARGIN * side.max()
    width, height = side + 2 * free
    shown_height = float(np.clip(height, ASPECT[0] * width, ASPECT[1] * width))
    width = max(width, height / ASPECT[1])
    scale = width_pixels / width
    middle = (low + high) / 2
    return Window(float(middle[0] - width / 2), float(middle[1] + shown_height / 2), float(scale),
                  width_pixels, round(shown_height * scale))  # fmt: skip


def _scale_bar(window: Window) -> int:
    """A round length near a seventh of the picture [m]."""
    target = window.width / window.scale / 7
    power = 10 ** np.floor(np.log10(max(target, 1.0)))
    return int(max(step * power for step in (1, 2, 5) if step * power <= max(target, 1.0)))


def _caption(road_map: RoadMap) -> str:
    return f"{road_map.lane_kilometres:.1f} km of lanes"


def _png_footer(image: Image.Image, road_map: RoadMap, window: Window, palette: Palette) -> None:
    pen = ImageDraw.Draw(image)
    y = image.height - FOOTER + 10
    bold, plain = ImageFont.load_default(20), ImageFont.load_default(15)
    pen.text((24, y), road_map.name, font=bold, fill=palette.ink)
    title_width = pen.textlength(road_map.name, font=bold)
    pen.text((24 + title_width + 14, y + 4), _caption(road_map), font=plain, fill=palette.muted)

    x, tip = image.width - 34, y - 2
    pen.polygon([(x, tip), (x - 7, tip + 20), (x, tip + 15), (x + 7, tip + 20)], fill=palette.ink)
    pen.text((x, tip + 22), "N", font=plain, fill=palette.ink, anchor="ma")

    length = _scale_bar(window)
    right = x - 34
    left = right - length * window.scale
    pen.line([(left, y + 8), (left, y + 16), (right, y + 16), (right, y + 8)],
             fill=palette.ink, width=2)  # fmt: skip
    pen.text((left - 10, y + 16), f"{length} m", font=plain, fill=palette.ink, anchor="rm")


def _svg(road_map: RoadMap, shapes: tuple[MapShape, ...], window: Window) -> str:
    pixel = 1.0 / window.scale
    width, height = window.width * pixel, (window.height + FOOTER) * pixel
    top = -window.top
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{window.width}" '
        f'height="{window.height + FOOTER}" '
        f'viewBox="{window.left:.2f} {top:.2f} {width:.2f} {height:.2f}">',
        f"<title>{_escaped(road_map.name)}</title>",
        f"<style>{_svg_style(LIGHT)}@media(prefers-color-scheme:dark){{{_svg_style(DARK)}}}"
        "text{font-family:system-ui,sans-serif}</style>",
        f'<rect class="land" x="{window.left:.2f}" y="{top:.2f}" '
        f'width="{width:.2f}" height="{height:.2f}"/>',
    ]
    for look, group in groupby(shapes, key=lambda s: (s.role, s.is_area, s.width, s.dash)):
        lines.append(_svg_path(look, list(group), pixel))
    lines += [*_svg_footer(road_map, window, pixel), "</svg>", ""]
    return "\n".join(lines)


def _escaped(text: str) -> str:
    """Text for an XML document, which knows no control characters."""
    return escape("".join(sign if sign.isprintable() else " " for sign in text))


def _svg_style(palette: Palette) -> str:
    rules = [f".{role}{{fill:{color}}}.{role}-line{{stroke:{color}}}"
             for role, color in palette.map_colors.items()]  # fmt: skip
    rules.append(f".ink{{fill:{palette.ink}}}.ink-line{{stroke:{palette.ink}}}")
    rules.append(f".muted{{fill:{palette.muted}}}")
    return "".join(rules)


def _svg_path(look: tuple[str, bool, float, tuple[float, ...]], group: list[MapShape],
              pixel: float) -> str:  # fmt: skip
    role, is_area, width, dash = look
    data = "".join(_svg_ring(ring, is_area) for shape in group for ring in shape.rings)
    if is_area:
        return f'<path class="{role}" fill-rule="evenodd" d="{data}"/>'
    strength = line_strength(group[0], 1.0 / pixel)
    faint = f' stroke-opacity="{strength:.2g}"' if strength < 1.0 else ""
    pattern = f' stroke-dasharray="{" ".join(f"{d:g}" for d in dash)}"' if dash else ""
    width = max(width, MIN_LINE * pixel)
    return (
        f'<path class="{role}-line" fill="none" stroke-linejoin="round" '
        f'stroke-width="{width:.3g}"{pattern}{faint} d="{data}"/>'
    )


def _svg_ring(ring: np.ndarray, closed: bool) -> str:
    """Path data in centimetre steps; relative, so that the file stays small."""
    points = np.rint(ring[:, :2] * [100.0, -100.0]).astype(np.int64)
    steps = np.diff(points, axis=0) / 100.0
    first = points[0] / 100.0
    rest = " ".join(f"{x:g} {y:g}" for x, y in steps)
    return f"M{first[0]:g} {first[1]:g}l{rest}{'z' if closed else ''}"


def _svg_footer(road_map: RoadMap, window: Window, pixel: float) -> list[str]:
    left, y = window.left + 24 * pixel, -window.top + (window.height + 32) * pixel
    x = window.left + (window.width - 34) * pixel
    right = x - 34 * pixel
    length = _scale_bar(window)
    p = pixel
    return [
        f'<text class="ink" x="{left:.2f}" y="{y:.2f}" font-size="{20 * p:.3g}" '
        f'font-weight="600">{_escaped(road_map.name)}<tspan class="muted" dx="{12 * p:.3g}" '
        f'font-size="{15 * p:.3g}" font-weight="400">{_caption(road_map)}</tspan></text>',
        f'<path class="ink-line" fill="none" stroke-width="{2 * p:.3g}" '
        f'd="M{right - length:.2f} {y - 12 * p:.2f}v{8 * p:.2f}h{length}v{-8 * p:.2f}"/>',
        f'<text class="ink" x="{right - length - 10 * p:.2f}" y="{y:.2f}" '
        f'font-size="{15 * p:.3g}" text-anchor="end">{length} m</text>',
        f'<path class="ink" d="M{x:.2f} {y - 24 * p:.2f}l{-7 * p:.3g} {20 * p:.3g}'
        f'l{7 * p:.3g} {-5 * p:.3g}l{7 * p:.3g} {5 * p:.3g}z"/>',
        f'<text class="ink" x="{x:.2f}" y="{y + 12 * p:.2f}" font-size="{14 * p:.3g}" '
        'text-anchor="middle">N</text>',
    ]
