"""Which points of the road a driver sees from each place.

A driver on a segment of lane sees a fixed number of lane points and road-edge points, dense
nearby and sparse far off, more ahead than behind. They are chosen once, when a map is
compiled, by weighted farthest-point selection: the next point is the one whose distance to
those already chosen is largest relative to the spacing wanted at its place.
"""

# pyright: reportGeneralTypeIssues=false, reportInvalidTypeForm=false, reportCallIssue=false
# pyright: reportOperatorIssue=false, reportReturnType=false, reportArgumentType=false
# pyright: reportAttributeAccessIssue=false, reportIndexIssue=false

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import warp as wp
from numpy.typing import NDArray

from gigalane.core.kernels import load_kernels
from gigalane.maps.arrays import RoadPoint, record_dtype


@dataclass(frozen=True)
class TokenSettings:
    """What a driver sees of the road. GIGAFLOW uses 80 + 80 points with a 200 m horizon.

    Attributes:
        lane_points: points of lane centrelines.
        edge_points: points of road edges.
        reach: how far ahead [m].
        lane_share_behind: distances behind count this many times.
        spacing_near: spacing wanted at the driver [m].
        spacing_growth: by how much it grows per metre of distance.
        nearest: take the nearest points of lanes and edges together, `count` in all, nearest
            first, however they are spread (for comparisons).
    """

    lane_points: int = 28
    edge_points: int = 20
    reach: float = 80.0
    lane_share_behind: float = 2.5
    spacing_near: float = 2.0
    spacing_growth: float = 0.15
    nearest: bool = False

    @property
    def count(self) -> int:
        """Tokens in all."""
        return self.lane_points + self.edge_points

    @classmethod
    def gigaflow(cls) -> Self:
        """GIGAFLOW's counts and horizon; observe with `ObservationSettings.gigaflow()`."""
        return cls(lane_points=80, edge_points=80, reach=200.0)

    @classmethod
    def peer(cls) -> Self:
        """PufferDrive's 200 road segments; observe with `ObservationSettings.peer()`."""
        return cls(lane_points=100, edge_points=100, lane_share_behind=1.0, nearest=True)


@wp.kernel(enable_backward=False)
def _choose(
    anchors: wp.array2d(dtype=float),  # (anchors, 4) x, y, cos, sin
    points: wp.array2d(dtype=float),  # (points, 2)
    bucket_offsets: wp.array(dtype=int),
    bucket_points: wp.array(dtype=int),
    columns: int,
    rows: int,
    bucket: float,
    low_x: float,
    low_y: float,
    reach: float,
    behind: float,
    spacing_near: float,
    spacing_growth: float,
    by_distance: bool,
    index_base: int,
    candidate: wp.array(dtype=int),  # scratch: CPU launches run their threads one by one
    wanted: wp.array(dtype=float),
    nearest: wp.array(dtype=float),
    tokens_out: wp.array2d(dtype=int),
):
    anchor = wp.tid()
    x, y = anchors[anchor, 0], anchors[anchor, 1]
    cos, sin = anchors[anchor, 2], anchors[anchor, 3]
    count = int(0)
    column_low = wp.clamp(int((x - reach - low_x) / bucket), 0, columns - 1)
    column_high = wp.clamp(int((x + reach - low_x) / bucket), 0, columns - 1)
    row_low = wp.clamp(int((y - reach - low_y) / bucket), 0, rows - 1)
    row_high = wp.clamp(int((y + reach - low_y) / bucket), 0, rows - 1)
    best = int(-1)
    best_distance = float(1.0e30)
    for row in range(row_low, row_high + 1):
        for column in range(column_low, column_high + 1):
            cell = row * columns + column
            for entry in range(bucket_offsets[cell], bucket_offsets[cell + 1]):
                point = bucket_points[entry]
                dx, dy = points[point, 0] - x, points[point, 1] - y
                ahead = dx * cos + dy * sin
                if ahead < 0.0:
                    ahead = ahead * behind
                side = dy * cos - dx * sin
                distance = wp.sqrt(ahead * ahead + side * side)
                if distance <= reach and count < candidate.shape[0]:
                    candidate[count] = point
                    wanted[count] = 1.0 / (spacing_near + spacing_growth * distance)
                    nearest[count] = float(1.0e30)
                    if distance < best_distance:
                        best_distance = distance
                        best = count
                    count += 1
    for token in range(tokens_out.shape[1]):
        tokens_out[anchor, token] = -1
    for token in range(wp.min(tokens_out.shape[1], count)):
        chosen = candidate[best]
        tokens_out[anchor, token] = index_base + chosen
        px, py = points[chosen, 0], points[chosen, 1]
        if by_distance:
            nearest[best] = -1.0  # taken
        best = int(-1)
        best_gain = float(-1.0)
        for k in range(count):
            dx, dy = points[candidate[k], 0] - px, points[candidate[k], 1] - py
            near = wp.min(nearest[k], wp.sqrt(dx * dx + dy * dy) * wanted[k])
            if by_distance:
                near = wp.where(nearest[k] < 0.0, -1.0, wanted[k])
            nearest[k] = near
            if near > best_gain:
                best_gain = near
                best = k


def choose_tokens(
    anchors: NDArray[np.void], points: NDArray[np.void], settings: TokenSettings
) -> NDArray[np.int32]:
    """Chooses the road points that are seen from each anchor.

    Args:
        anchors: `Segment` records to look from.
        points: `RoadPoint` records: lane points first, then edges.
        settings: how many and how far.

    Returns:
        (len(anchors), settings.count) indices into `points`, -1 where there are too few.
    """
    assert points.dtype == record_dtype(RoadPoint)
    lanes = int((points["kind"] > 0).sum())
    look_from = np.stack(
        [
            anchors["x"] + 0.5 * anchors["length"] * anchors["cos"],
            anchors["y"] + 0.5 * anchors["length"] * anchors["sin"],
            anchors["cos"],
            anchors["sin"],
        ],
        axis=1,
    ).astype(np.float32)
    if settings.nearest:
        return _choose_among(look_from, points, 0, settings.count, settings)
    halves = [
        _choose_among(look_from, points[:lanes], 0, settings.lane_points, settings),
        _choose_among(look_from, points[lanes:], lanes, settings.edge_points, settings),
    ]
    return np.concatenate(halves, axis=1)


def _choose_among(
    look_from: NDArray[np.float32],
    points: NDArray[np.void],
    index_base: int,
    count: int,
    settings: TokenSettings,
) -> NDArray[np.int32]:
    tokens = np.full((len(look_from), count), -1, np.int32)
    if not len(points) or not count:
        return tokens
    xy = np.stack([points["x"], points["y"]], axis=1).astype(np.float32)
    bucket, low = 20.0, xy.min(axis=0)
    cell = ((xy - low) / bucket).astype(np.int64)
    columns, rows = cell.max(axis=0) + 1
    flat = cell[:, 1] * columns + cell[:, 0]
    offsets = np.concatenate([[0], np.cumsum(np.bincount(flat, minlength=columns * rows))])
    order = np.argsort(flat, kind="stable")
    load_kernels(_choose)
    on_cpu = {"device": "cpu"}
    out = wp.array(tokens, dtype=int, copy=False, **on_cpu)
    wp.launch(
        _choose,
        dim=len(look_from),
        inputs=[
            wp.array(look_from, dtype=float, **on_cpu),
            wp.array(xy, dtype=float, **on_cpu),
            wp.array(offsets.astype(np.int32), dtype=int, **on_cpu),
            wp.array(order.astype(np.int32), dtype=int, **on_cpu),
            int(columns),
            int(rows),
            bucket,
            float(low[0]),
            float(low[1]),
            settings.reach,
            settings.lane_share_behind,
            settings.spacing_near,
            settings.spacing_growth,
            settings.nearest,
            index_base,
            wp.empty(len(xy), dtype=int, **on_cpu),
            wp.empty(len(xy), dtype=float, **on_cpu),
            wp.empty(len(xy), dtype=float, **on_cpu),
        ],
        outputs=[out],
        **on_cpu,
    )
    return tokens
