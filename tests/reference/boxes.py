"""Whether two boxes touch while both move: swept polygons in small steps."""

from __future__ import annotations

import numpy as np
import shapely

from reference.road import corners_of


def relative_corners(box, mover, steps):
    """Corner paths of `mover` in the frame of `box`, (steps + 1, 4, 2).

    Each is ((x, y, heading), (x, y, heading), length, width): poses before and after, between
    which centre and heading move evenly.
    """
    paths = []
    for t in np.linspace(0.0, 1.0, steps + 1):
        pose, other = ((1 - t) * np.array(one[0]) + t * np.array(one[1]) for one in (box, mover))
        corners = corners_of(*other, mover[2], mover[3]) - pose[:2]
        cos, sin = np.cos(pose[2]), np.sin(pose[2])
        paths.append(corners @ np.array([[cos, -sin], [sin, cos]]))
    return np.array(paths)


def bend(path) -> float:
    """How far corner paths leave the straight line that covers them evenly [m]."""
    even = np.linspace(0.0, 1.0, len(path))[:, None, None]
    straight = path[0] + even * (path[-1] - path[0])
    return float(np.linalg.norm(path - straight, axis=-1).max())


def swept(path):
    """Region that the mover passes over in the frame of the box."""
    hulls = [
        shapely.MultiPoint(np.concatenate([path[k], path[k + 1]])).convex_hull
        for k in range(len(path) - 1)
    ]
    return shapely.union_all(hulls)


def touch(one, other, steps=24) -> tuple[bool | None, bool]:
    """(whether they touch, whether they already did at the start).

    None where the answer hangs on less than a millimetre and the bend of the corners' paths.
    """
    path = relative_corners(one, other, steps)
    slack = 1e-3 + max(bend(path), bend(relative_corners(other, one, steps)))
    region = swept(path)
    box = shapely.box(-0.5 * one[2], -0.5 * one[3], 0.5 * one[2], 0.5 * one[3])
    began = shapely.Polygon(path[0]).intersects(box)
    if region.distance(box) > slack:
        return False, began
    if region.intersects(box.buffer(-slack)):
        return True, began
    return None, began
