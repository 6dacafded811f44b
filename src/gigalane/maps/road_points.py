"""The road as a driver sees it: points along its lanes and along its edges."""

from __future__ import annotations

import numpy as np
import shapely
from numpy.typing import NDArray

from gigalane.maps.arrays import DRIVABLE, ROUTABLE, RoadPoint, record_dtype
from gigalane.maps.compile_settings import CompileSettings
from gigalane.maps.surface import corners_of, surfaces_of

Records = NDArray[np.void]


def road_edges(segments: Records, settings: CompileSettings) -> Records:
    """Points where the drivable surface ends, each with the road on its left.

    A side of a quadrilateral is a road edge where a point 0.25 m beyond it lies on no other
    drivable surface of the same level.
    """
    drivable = segments[(segments["flags"] & DRIVABLE) > 0]
    corners = corners_of(drivable)
    sides = {"right": (0, 1), "left": (2, 3)}
    points, directions, heights, lengths = [], [], [], []
    for edge, (start, end) in sides.items():
        lane = drivable["lane"] >= 0
        middle = 0.5 * (corners[:, start] + corners[:, end])
        normal = np.stack([drivable[f"{edge}_x"], drivable[f"{edge}_y"]], axis=1)
        step = corners[:, end] - corners[:, start]
        length = np.linalg.norm(step, axis=1)
        keep = lane & (length > 0.05)
        points.append((middle + 0.25 * normal)[keep])
        directions.append((step / np.maximum(length, 1e-6)[:, None])[keep])
        lengths.append(length[keep])
        heights.append((drivable["z"] + 0.5 * drivable["length"] * drivable["slope"])[keep])
    point, direction = np.concatenate(points), np.concatenate(directions)
    height, length = np.concatenate(heights), np.concatenate(lengths)
    tree = shapely.STRtree(surfaces_of(corners))
    asked, found = tree.query(shapely.points(point), predicate="intersects")
    level = np.abs(drivable["z"][found] - height[asked]) < settings.level_height
    paved = np.bincount(asked[level], minlength=len(point)) > 0
    edges = np.zeros(int((~paved).sum()), dtype=record_dtype(RoadPoint))
    edges["x"], edges["y"] = (
        point[~paved] - 0.25 * np.stack([direction[~paved][:, 1], -direction[~paved][:, 0]], axis=1)
    ).T
    edges["cos"], edges["sin"] = direction[~paved].T
    edges["kind"], edges["length"] = -1.0, length[~paved]
    return edges


def lane_points(segments: Records) -> Records:
    """The middle of every routable segment."""
    routable = segments[(segments["flags"] & ROUTABLE) > 0]
    points = np.zeros(len(routable), dtype=record_dtype(RoadPoint))
    points["x"] = routable["x"] + 0.5 * routable["length"] * routable["cos"]
    points["y"] = routable["y"] + 0.5 * routable["length"] * routable["sin"]
    points["cos"], points["sin"] = routable["cos"], routable["sin"]
    points["half_width"] = 0.5 * (routable["half_width_start"] + routable["half_width_end"])
    points["kind"], points["length"] = 1.0, routable["length"]
    return points
