"""Draws areas and lines in map coordinates onto an image, smooth-edged.

Pillow fills polygons without anti-aliasing, so everything is drawn several times too large and
averaged down.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from gigalane.maps.polyline import arc_lengths
from gigalane.viewer.palette import Palette, mixed
from gigalane.viewer.shape import MapShape, Points, offset

MAX_PIXELS = 90_000_000
"""Most pixels an oversized image may have: 270 MB of RGB."""
MIN_LINE = 0.7
"""Thinnest line that is drawn, in pixels of the final image."""


@dataclass(frozen=True)
class Window:
    """Which part of the map a picture shows; map north is up.

    Attributes:
        left: x of the left edge [m], map frame.
        top: y of the upper edge [m], map frame.
        scale: pixels a metre.
        width: picture width in pixels.
        height: picture height in pixels.
    """

    left: float
    top: float
    scale: float
    width: int
    height: int

    def to_pixels(self, points: Points) -> NDArray[np.float64]:
        """Map points (N, 2) [m] as pixels (N, 2), x to the right and y down."""
        return (points[:, :2] - [self.left, self.top]) * [self.scale, -self.scale]

    def sees(self, low: NDArray[np.float64], high: NDArray[np.float64]) -> bool:
        """Whether a box with these corners (2,) [m] may be in the picture."""
        right = self.left + self.width / self.scale
        bottom = self.top - self.height / self.scale
        return bool(
            high[0] > self.left and low[0] < right and high[1] > bottom and low[1] < self.top
        )


def paint_shapes(
    shapes: Iterable[MapShape], window: Window, palette: Palette, oversample: int = 3
) -> Image.Image:
    """Paints a map.

    Args:
        shapes: what to paint, in drawing order.
        window: which part of the map, and how large.
        palette: colours by role.
        oversample: how many times larger each side is before averaging.

    Returns:
        An RGB image of the window's size.
    """
    fits = int((MAX_PIXELS / max(window.width * window.height, 1)) ** 0.5)
    oversample = max(1, min(oversample, fits))
    large = Window(window.left, window.top, window.scale * oversample,
                   window.width * oversample, window.height * oversample)  # fmt: skip
    image = Image.new("RGB", (large.width, large.height), palette.map_colors["land"])
    pen = ImageDraw.Draw(image)
    for shape in shapes:
        points = np.concatenate(shape.rings)
        if not large.sees(points.min(axis=0) - 1.0, points.max(axis=0) + 1.0):
            continue
        color = palette.map_colors[shape.role]
        if shape.is_area:
            fill_area(image, pen, [large.to_pixels(ring) for ring in shape.rings], color)
        else:
            width = max(shape.width * large.scale, MIN_LINE * oversample) / large.scale
            strength = line_strength(shape, window.scale)
            color = mixed(palette.map_colors["road"], color, strength)
            for ring in shape.rings:
                for piece in dashes(ring, shape.dash):
                    pixels = large.to_pixels(stroke_outline(piece, width))
                    pen.polygon([tuple(p) for p in pixels.tolist()], fill=color)
    return image.reduce(oversample) if oversample > 1 else image


def line_strength(shape: MapShape, scale: float) -> float:
    """How strongly a line is painted, 0 to 1: paint thinner than `MIN_LINE` gets fainter.

    Edges keep their strength, so that from far away a road is still told from what is beside it.

    Args:
        shape: the line.
        scale: pixels a metre.
    """
    if not shape.role.startswith("mark"):
        return 1.0
    return float(np.clip((shape.width * scale / MIN_LINE) ** 0.5, 0.4, 1.0))


def fill_area(
    image: Image.Image, pen: ImageDraw.ImageDraw, rings: list[NDArray[np.float64]], color: str
) -> None:
    """Fills a polygon with holes; rings in pixels, the outline first."""
    outline = [tuple(point) for point in rings[0].tolist()]
    if len(rings) == 1:
        pen.polygon(outline, fill=color)
        return
    # Pillow has no holes: cut them out of a mask as large as the visible part of the outline.
    low = np.clip(np.floor(rings[0].min(axis=0)), 0, image.size).astype(int)
    high = np.clip(np.ceil(rings[0].max(axis=0)) + 1, 0, image.size).astype(int)
    if (high <= low).any():
        return
    mask = Image.new("L", (int(high[0] - low[0]), int(high[1] - low[1])), 0)
    mask_pen = ImageDraw.Draw(mask)
    for ring, value in zip(rings, [255] + [0] * (len(rings) - 1), strict=True):
        mask_pen.polygon([tuple(point) for point in (ring - low).tolist()], fill=value)
    image.paste(color, (int(low[0]), int(low[1])), mask)


def stroke_outline(points: Points, width: float) -> Points:
    """The area a line of some width covers, as a ring (2 N, 2) [m]."""
    plane = np.ascontiguousarray(points[:, :2], dtype=np.float64)
    return np.concatenate([offset(plane, width / 2), offset(plane, -width / 2)[::-1]])


def dashes(points: Points, pattern: tuple[float, ...]) -> list[Points]:
    """The painted pieces of a line; all of it where the pattern is empty."""
    if not pattern:
        return [points] if len(points) > 1 else []
    paint, gap = pattern
    along = arc_lengths(points)
    pieces = []
    for start in np.arange(0.0, along[-1], paint + gap):
        end = min(start + paint, along[-1])
        inside = points[(along > start) & (along < end)]
        ends = np.stack([np.interp([start, end], along, axis) for axis in points.T], axis=1)
        pieces.append(np.concatenate([ends[:1], inside, ends[1:]]))
    return pieces
