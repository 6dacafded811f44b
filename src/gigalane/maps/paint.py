"""What paint on a road looks like: measures, patterns and zebra bars, for whoever draws it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import shapely

from gigalane.maps.polyline import Points
from gigalane.maps.road import MarkType

DASH = (3.0, 6.0)
"""Paint and gap of a broken line [m]; German RMS-1 for roads in towns."""
SHORT_DASH = (0.5, 0.5)
"""Paint and gap of a yield line [m]; chosen, teeth are half a metre in most countries."""
BAR = 0.5
"""Width of a zebra bar and of the gap beside it [m]."""
STOP_LINE_WIDTH = 0.5
"""[m]; German RMS-1."""

LINES: dict[MarkType, tuple[bool, ...]] = {
    MarkType.SOLID: (False,),
    MarkType.OTHER: (False,),
    MarkType.BROKEN: (True,),
    MarkType.SOLID_SOLID: (False, False),
    MarkType.SOLID_BROKEN: (False, True),
    MarkType.BROKEN_SOLID: (True, False),
    MarkType.BROKEN_BROKEN: (True, True),
}
"""For each pattern that is painted its lines from left to right, and whether each is broken."""


def zebra_bars(outline: Points) -> Iterator[shapely.Geometry]:
    """Bars of a crossing: across the walking direction, which is its longer side.

    Args:
        outline: (N, 2) [m], of the crossing.

    Yields:
        What of each bar lies inside the outline.
    """
    area = shapely.make_valid(shapely.Polygon(outline))
    frame = shapely.minimum_rotated_rectangle(area)
    if area.area < 0.1 or not isinstance(frame, shapely.Polygon):
        return
    corners = shapely.get_coordinates(frame)[:4]
    if np.linalg.norm(corners[1] - corners[0]) < np.linalg.norm(corners[2] - corners[1]):
        corners = np.roll(corners, -1, axis=0)
    first, walk, deep = corners[0], corners[1] - corners[0], corners[3] - corners[0]
    count = max(int(np.linalg.norm(walk) / (2 * BAR)), 1)
    for start in (np.arange(count) + 0.25) / count:
        left, right = first + start * walk, first + (start + 0.5 / count) * walk
        yield shapely.intersection(shapely.Polygon([left, right, right + deep, left + deep]), area)
