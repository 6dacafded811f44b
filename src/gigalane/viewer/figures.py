"""What road users look like from above, once, for the replay page and the film.

A figure is a list of parts, painted in order. Its points are shares of length and width, from
-0.5 to 0.5, x forward and y left, so that one figure fits every box of its kind. What a part's
fill means: "body" the driver's colour, "roof" a lighter and "shade" a darker body, "glass"
windows, "lamp" head lamps, "brake" brake lights (lit or not), "tyre" wheels.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gigalane.viewer.palette import Palette, mixed

Part = tuple[str, NDArray[np.float64]]
"""A fill and the polygon (N, 2) it covers, in shares of length and width."""

BRAKING = -0.7
"""Longitudinal acceleration below which brake lights are lit [m/s²]; chosen: rolling and gentle
engine braking stay above it. UN R13-H requires lights from -1.3 and allows none above -0.7."""


def rounded_box(x: float, y: float, length: float, width: float, radius: float, aspect: float,
         taper: float = 0.0) -> NDArray[np.float64]:  # fmt: skip
    """A rounded rectangle, in shares.

    Args:
        x: its middle along the length.
        y: its middle along the width.
        length: its extent along the length.
        width: its extent along the width.
        radius: of its corners, as a share of the figure's width.
        aspect: length of the whole figure divided by its width, so that corners stay round.
        taper: how much narrower its front is than its rear, as a share of the width.
    """
    angles = np.radians([0, 30, 60, 90])
    corners = []
    for quarter, (sx, sy) in enumerate([(1, 1), (-1, 1), (-1, -1), (1, -1)]):
        turn = angles + quarter * np.pi / 2
        half = width / 2 - (taper / 2 if sx > 0 else 0.0)
        px = x + sx * (length / 2 - radius / aspect) + radius / aspect * np.cos(turn)
        py = y + sy * (half - radius) + radius * np.sin(turn)
        corners.append(np.stack([px, py], axis=1))
    return np.concatenate(corners)


def _disc(x: float, y: float, radius: float, aspect: float, stretch: float = 1.0) -> NDArray:
    """An ellipse; radius is a share of the width, across; along it is stretched."""
    turn = np.linspace(0, 2 * np.pi, 16, endpoint=False)
    return np.stack([x + radius * stretch / aspect * np.cos(turn), y + radius * np.sin(turn)], 1)


def _car() -> list[Part]:
    aspect = 2.42
    screen = [[0.24, 0.36], [0.255, 0.0], [0.24, -0.36], [0.10, -0.30], [0.11, 0.0], [0.10, 0.30]]
    rear = [[-0.40, 0.34], [-0.41, 0.0], [-0.40, -0.34], [-0.30, -0.29], [-0.30, 0.29]]
    side = [[0.19, 0.41], [0.08, 0.335], [-0.27, 0.335], [-0.34, 0.40]]
    return [
        ("body", rounded_box(0, 0, 1.0, 1.0, 0.24, aspect, 0.06)),
        ("lamp", rounded_box(0.472, 0.265, 0.036, 0.2, 0.04, aspect)),
        ("lamp", rounded_box(0.472, -0.265, 0.036, 0.2, 0.04, aspect)),
        ("roof", rounded_box(-0.10, 0, 0.42, 0.64, 0.10, aspect)),
        ("glass", np.array(screen)),
        ("glass", np.array(rear)),
        ("glass", np.array(side)),
        ("glass", np.array(side)[::-1] * [1, -1]),
        ("brake", rounded_box(-0.474, 0.27, 0.04, 0.24, 0.04, aspect)),
        ("brake", rounded_box(-0.474, -0.27, 0.04, 0.24, 0.04, aspect)),
    ]


def _truck() -> list[Part]:
    aspect = 3.4
    screen = [[0.47, 0.38], [0.478, 0.0], [0.47, -0.38], [0.425, -0.34], [0.425, 0.34]]
    return [
        ("shade", rounded_box(0.24, 0, 0.12, 0.6, 0.02, aspect)),
        ("body", rounded_box(0.385, 0, 0.23, 0.96, 0.14, aspect, 0.06)),
        ("glass", np.array(screen)),
        ("lamp", rounded_box(0.488, 0.36, 0.02, 0.14, 0.03, aspect)),
        ("lamp", rounded_box(0.488, -0.36, 0.02, 0.14, 0.03, aspect)),
        ("body", rounded_box(-0.12, 0, 0.76, 1.0, 0.06, aspect)),
        ("roof", rounded_box(-0.12, 0, 0.71, 0.86, 0.05, aspect)),
        ("brake", rounded_box(-0.488, 0.36, 0.022, 0.2, 0.03, aspect)),
        ("brake", rounded_box(-0.488, -0.36, 0.022, 0.2, 0.03, aspect)),
    ]


def _cyclist() -> list[Part]:
    aspect = 2.6
    return [
        ("tyre", rounded_box(0.31, 0, 0.38, 0.10, 0.04, aspect)),
        ("tyre", rounded_box(-0.31, 0, 0.38, 0.10, 0.04, aspect)),
        ("tyre", rounded_box(0.19, 0, 0.035, 0.80, 0.03, aspect)),
        ("body", _disc(-0.04, 0, 0.40, aspect, 0.85)),
        ("roof", _disc(0.03, 0, 0.20, aspect)),
    ]


def _pedestrian() -> list[Part]:
    return [
        ("tyre", _disc(0.22, 0.17, 0.14, 1.0, 1.5)),
        ("tyre", _disc(-0.18, -0.17, 0.14, 1.0, 1.5)),
        ("body", _disc(0, 0, 0.46, 1.0, 0.56)),
        ("roof", _disc(0.03, 0, 0.23, 1.0)),
    ]


def _other() -> list[Part]:
    return [
        ("body", rounded_box(0, 0, 1.0, 1.0, 0.12, 2.0)),
        ("roof", np.array([[0.42, 0.0], [0.1, 0.3], [0.1, -0.3]])),
    ]


FIGURES: dict[str, list[Part]] = {
    "car": _car(),
    "truck": _truck(),
    "cyclist": _cyclist(),
    "pedestrian": _pedestrian(),
    "other": _other(),
}
"""By kind name; a kind that is not here looks like "other"."""

DART_PIXELS = 11
"""A vehicle whose length is fewer pixels is a dart of this length."""
SMALL = 2.5
"""Shorter road users are cyclists and pedestrians [m]: being thin, they need more pixels."""
SMALL_PIXELS = 18
"""A small road user whose length is fewer pixels is a dart …"""
SMALL_DART_PIXELS = 9
"""… of at least this length."""
RIM = 0.14
"""How much longer and wider than its body the dark rim around a figure is [m]."""

DART: NDArray[np.float64] = np.array([[0.55, 0.0], [-0.45, 0.5], [-0.28, 0.0], [-0.45, -0.5]])
"""The outline from so far away that a figure would be a speck; shares of its own length."""


def figure_of(kind_name: str) -> list[Part]:
    """The figure for a kind of road user."""
    return FIGURES.get(kind_name, FIGURES["other"])


def part_colors(palette: Palette, body: str) -> dict[str, str]:
    """The colour of every fill on a road user whose driver has some colour (#rrggbb)."""
    return {
        "body": body,
        "roof": mixed(body, "#ffffff", 0.26),
        "shade": mixed(body, "#000000", 0.4),
        "glass": palette.glass,
        "lamp": "#fff6d8",
        "tyre": "#20252c",
        "brake": mixed(body, "#5a0d0d", 0.65),
    }


def figure_seen(
    kind_name: str,
    size: tuple[float, float],
    scale: float,
    palette: Palette,
    body: str,
    is_braking: bool,
) -> list[Part]:
    """What to paint for a road user at some scale.

    Args:
        kind_name: its kind.
        size: its length and width [m].
        scale: pixels a metre.
        palette: colours.
        body: the colour of its driver, #rrggbb.
        is_braking: whether its brake lights are lit.

    Returns:
        Colours and polygons (N, 2) [m] around its middle, facing +x, in painting order.
    """
    length = size[0]
    least = (SMALL_PIXELS if length < SMALL else DART_PIXELS) / scale
    if length < least:
        length = max(length, SMALL_DART_PIXELS / scale) if length < SMALL else least
        rim = DART * np.array([1.25, 0.95]) * length
        return [(palette.map_colors["land"], rim), (body, DART * np.array([1.0, 0.7]) * length)]
    fills = part_colors(palette, body) | ({"brake": palette.brake} if is_braking else {})
    parts = figure_of(kind_name)
    rim = (mixed(palette.map_colors["road"], "#000000", 0.4), parts[0][1] * (np.array(size) + RIM))
    return [rim, *((fills[fill], points * np.array(size)) for fill, points in parts)]
