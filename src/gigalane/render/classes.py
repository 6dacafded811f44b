"""What there is to see: the class ids of pixels, and the materials that surfaces are made of.

A class is what a thing means to a driver and is written into class images. A material is what
it looks like and decides its colour; several materials may share a class (car paints, house
fronts), and a class may change its colour by seed (see `gigalane.render.appearance`).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

CLASS_NAMES = (
    "void",  # nobody is there to look
    "sky",
    "ground",
    "road",
    "shoulder",  # and parking, bicycle and bus lanes
    "sidewalk",
    "median",
    "mark_solid",
    "mark_broken",
    "mark_yellow_solid",
    "mark_yellow_broken",
    "mark_other",
    "crossing",
    "stop_line",
    "kerb",
    "barrier",
    "pole",
    "light_off",
    "light_green",
    "light_yellow",
    "light_red",
    "sign_stop",
    "sign_yield",
    "sign_speed",
    "building",
    "tree",
    "car",
    "truck",
    "cyclist",
    "pedestrian",
    "lamp_front",
    "lamp_rear",
    "lamp_brake",
)
"""Name of every class id, in order."""

CLASS = {name: index for index, name in enumerate(CLASS_NAMES)}
"""Class id by name."""

_SOLID: dict[str, tuple[str, ...]] = {
    "void": ("#000000",),
    "sky": ("#a9c4de",),
    "ground": ("#7f9362",),
    "road": ("#62656b",),
    "shoulder": ("#70716f",),
    "sidewalk": ("#a5a29b",),
    "median": ("#87976d",),
    "mark_solid": ("#e4e4df",),
    "mark_broken": ("#e4e4df",),
    "mark_yellow_solid": ("#d9ac3a",),
    "mark_yellow_broken": ("#d9ac3a",),
    "mark_other": ("#5d8cc8",),
    "crossing": ("#dededa",),
    "stop_line": ("#e9e9e4",),
    "kerb": ("#8f8c86",),
    "barrier": ("#9ba0a6",),
    "pole": ("#4b4f54",),
    "sign_stop": ("#b3262a",),
    "sign_yield": ("#e9d8cf",),
    "sign_speed": ("#e8e8e8",),
    "building": ("#b99b82", "#a7675a", "#c9c1b0", "#8d949c", "#d4b88a", "#7c8a80"),
    "tree": ("#4f7a3c", "#64853f", "#3f6a46", "#6b5238"),
    "car": ("#c8ccd1", "#2b2f36", "#7d8791", "#a52a2a", "#2b5b9e", "#e9e9e6", "#3f6b4f", "#b98a3d"),
    "truck": ("#dcdcd6", "#44658f", "#9a4a38", "#8e9499"),
    "cyclist": ("#c2474f", "#3d7fb0", "#d8a23e", "#5a5a62"),
    "pedestrian": ("#40506e", "#84514e", "#64713f", "#c9a489"),
}
_LIT: dict[str, tuple[str, ...]] = {
    "light_off": ("#2a2d31",),
    "light_green": ("#2fdc7a",),
    "light_yellow": ("#ffc22e",),
    "light_red": ("#ff3b2f",),
    "lamp_front": ("#fff3cf",),
    "lamp_rear": ("#7c1f1f",),
    "lamp_brake": ("#ff2a1e",),
}
"""Materials that shine by themselves."""
_FURTHER: dict[str, tuple[str, ...]] = {
    "glass": ("#27313d",),
    "tyre": ("#24262a",),
    "skin": ("#c9a489",),
    "roof": ("#6d5a52", "#5c5f64", "#7f6e5f"),
    "trunk": ("#6b5238",),
    "housing": ("#23262a",),
}


def _materials() -> tuple[dict[str, int], dict[str, int], NDArray[np.float32], int]:
    first: dict[str, int] = {}
    count: dict[str, int] = {}
    colors: list[list[float]] = []
    lit = 0
    for group in (_SOLID | _FURTHER, _LIT):
        lit = len(colors)
        for name, variants in group.items():
            first[name], count[name] = len(colors), len(variants)
            colors += [[int(c[k : k + 2], 16) / 255.0 for k in (1, 3, 5)] for c in variants]
    return first, count, np.array(colors, np.float32), lit


MATERIAL, VARIANTS, BASE_COLORS, FIRST_LIT = _materials()
"""First material by name; how many variants follow it; (materials, 3) colours, shares of full
brightness; the first of the materials that shine by themselves."""


ONE_SIDED = 1 << 30
"""Added to the look of faces that are only seen from outside, where their corners run counter-
clockwise."""
INSTANCE = 1 << 16
"""A look is class id + 256 * material + INSTANCE * instance id, instance ids below 2¹⁴."""


def look_of(class_name: str, material_name: str | None = None, variant: int = 0) -> int:
    """A class and a material in one number, as surfaces carry them.

    Args:
        class_name: one of `CLASS_NAMES`.
        material_name: a key of `MATERIAL`; the class's own by default.
        variant: which of the material's colours; counted round.

    Returns:
        class id + 256 * material.
    """
    name = material_name or class_name
    return CLASS[class_name] + 256 * (MATERIAL[name] + variant % VARIANTS[name])
