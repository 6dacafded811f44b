"""Brute-force geometry of roads: shapely polygons and loops over everything."""

from __future__ import annotations

import numpy as np
import shapely

from gigalane.maps.arrays import BIDIRECTIONAL, ROUTABLE, WALKABLE
from gigalane.sim.scene import PEDESTRIAN

LEVEL = 3.0


def lane_surface(lane, origin=(0.0, 0.0, 0.0)):
    """Polygon of a lane of a `RoadMap`, from its boundaries alone."""
    left = lane.left_boundary[:, :2] - np.asarray(origin)[:2]
    right = lane.right_boundary[:, :2] - np.asarray(origin)[:2]
    quads = np.stack([right[:-1], right[1:], left[1:], left[:-1]], axis=1)
    return shapely.union_all(shapely.make_valid(shapely.polygons(quads)))


def drivable_surface(road_map, origin=(0.0, 0.0, 0.0)):
    """Union of all lanes that wheels may be on; slits below 2 mm are closed."""
    union = shapely.union_all(
        [lane_surface(lane, origin) for lane in road_map.lanes if lane.is_drivable]
    )
    return union.buffer(1e-3, join_style="mitre").buffer(-1e-3, join_style="mitre")


EDGES = ("back", "right", "front", "left")


def quads(segments) -> np.ndarray:
    """Corners (N, 4, 2) of compiled segments whose four edges all have length."""

    def meet(one, other):
        a = np.stack([segments[f"{one}_x"], segments[f"{one}_y"]], -1).astype(float)
        b = np.stack([segments[f"{other}_x"], segments[f"{other}_y"]], -1).astype(float)
        bounds = np.stack([segments[f"{one}_bound"], segments[f"{other}_bound"]], -1)
        return np.linalg.solve(np.stack([a, b], axis=1), bounds.astype(float)[..., None])[..., 0]

    return np.stack([meet(EDGES[k], EDGES[(k + 1) % 4]) for k in range(4)], axis=1)


def clipped(segment, half=30.0):
    """Polygon of one compiled segment: a box cut by each of its half-planes in turn."""
    ring = [
        np.array([segment["x"] + a * half, segment["y"] + b * half], float)
        for a, b in ((-1, -1), (1, -1), (1, 1), (-1, 1))
    ]
    for edge in EDGES:
        normal = np.array([segment[f"{edge}_x"], segment[f"{edge}_y"]], float)
        over = [normal @ point - float(segment[f"{edge}_bound"]) for point in ring]
        cut = []
        for k, point in enumerate(ring):
            following, here, there = ring[(k + 1) % len(ring)], over[k], over[(k + 1) % len(ring)]
            if here <= 0:
                cut.append(point)
            if here * there < 0:
                cut.append(point + (following - point) * here / (here - there))
        ring = cut
        if len(ring) < 3:
            return shapely.Polygon()
    return shapely.Polygon(ring)


class BruteForce:
    """Where a point is on a compiled map, by asking every lane."""

    def __init__(self, compiled) -> None:
        self.map = compiled
        segments = compiled.segments[compiled.segments["lane"] >= 0]
        self.segments = segments
        whole = np.all([np.hypot(segments[f"{e}_x"], segments[f"{e}_y"]) > 0.5 for e in EDGES], 0)
        self.polygons = np.empty(len(segments), object)
        self.polygons[whole] = shapely.polygons(quads(segments[whole]))
        self.polygons[~whole] = [clipped(one) for one in segments[~whole]]
        self.tree = shapely.STRtree(self.polygons)

    def candidates(self, x, y, z, flags) -> np.ndarray:
        """Segments whose polygon holds a point on this level."""
        point = shapely.Point(x, y)
        at = self.tree.query(point, predicate="dwithin", distance=1e-9)
        piece = self.segments[at]
        along = (x - piece["x"]) * piece["cos"] + (y - piece["y"]) * piece["sin"]
        height = piece["z"] + piece["slope"] * along
        return at[((piece["flags"] & flags) != 0) & (np.abs(height - z) < LEVEL)]

    def is_near_an_edge(self, x, y, distance=3e-3) -> bool:
        """Whether rounding could decide which polygons hold a point."""
        point = shapely.Point(x, y)
        near = self.tree.query(point, predicate="dwithin", distance=distance)
        return bool(
            (shapely.distance(shapely.boundary(self.polygons[near]), point) < distance).any()
        )

    def lane(self, body, before_lane, route_lanes, kind) -> tuple[int, bool]:
        """(lane, whether another choice was nearly as good); -1 where no lane is there.

        Route first, then the last lane and the heading, then the distance to the centreline.
        """
        flags = WALKABLE if kind == PEDESTRIAN else ROUTABLE
        best: dict[int, float] = {}
        for at in self.candidates(body["x"], body["y"], body["z"], flags):
            piece = self.segments[at]
            aligned = body["cos"] * piece["cos"] + body["sin"] * piece["sin"]
            if piece["flags"] & BIDIRECTIONAL:
                aligned = abs(aligned)
            dx, dy = body["x"] - piece["x"], body["y"] - piece["y"]
            offset = dy * piece["cos"] - dx * piece["sin"]
            score = aligned - 0.1 * abs(offset) + 0.5 * (piece["lane"] == before_lane)
            score += 4.0 * (piece["lane"] in route_lanes)
            lane = int(piece["lane"])
            best[lane] = max(best.get(lane, -np.inf), float(score))
        if not best:
            return -1, False
        order = sorted(best, key=lambda lane: -best[lane])
        close = len(order) > 1 and best[order[0]] - best[order[1]] < 1e-3
        return order[0], close


def corners_of(x, y, heading, length, width) -> np.ndarray:
    """Corners (4, 2) of a box, counter-clockwise."""
    cos, sin = np.cos(heading), np.sin(heading)
    local = 0.5 * np.array([[length, width], [-length, width], [-length, -width], [length, -width]])
    return local @ np.array([[cos, sin], [-sin, cos]]) + [x, y]
