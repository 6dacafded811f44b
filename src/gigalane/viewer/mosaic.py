"""How the pictures of a rig lie side by side, and where its cameras look on the map."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gigalane.render.camera import Camera, Rig

GAP = 4
"""Pixels between the pictures of a mosaic."""
GAP_SHADE = 13
"""Grey of what lies between them."""
STRIP_RATIO = 2.2
"""A mosaic this many times as wide as high goes above or below a map, others go beside it."""


@dataclass(frozen=True)
class Mosaic:
    """The pictures of a rig as one picture.

    Attributes:
        rows: indices of cameras, from left to right, row by row.
        tile: width and height of one camera's picture [pixels].
    """

    rows: tuple[tuple[int, ...], ...]
    tile: tuple[int, int]

    @staticmethod
    def of(rig: Rig) -> Mosaic:
        """What lies ahead above, what lies behind below, left on the left in both rows.

        Rigs of up to three cameras, and those that see too little behind to fill a row, have one
        row.
        """
        yaws = [yaw_of(camera) for camera in rig.cameras]
        order = range(len(yaws))
        ahead = sorted((k for k in order if abs(yaws[k]) <= math.pi / 2), key=lambda k: -yaws[k])
        # From the back left over the back to the back right: as in a mirror.
        behind = sorted((k for k in order if k not in ahead), key=lambda k: yaws[k] % math.tau)
        if len(yaws) > 3 and abs(len(ahead) - len(behind)) <= 1:
            return Mosaic((tuple(ahead), tuple(behind)), rig.size)
        return Mosaic((tuple(ahead + behind),), rig.size)

    @property
    def columns(self) -> int:
        """Pictures in the longest row."""
        return max(len(row) for row in self.rows)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the whole [pixels]."""
        columns, rows = self.columns, len(self.rows)
        width = columns * self.tile[0] + (columns - 1) * GAP
        return width, rows * self.tile[1] + (rows - 1) * GAP

    @property
    def is_strip(self) -> bool:
        """Whether it is so wide that it goes above or below a map."""
        return self.size[0] >= STRIP_RATIO * self.size[1]

    def places(self) -> dict[int, tuple[int, int]]:
        """Left and upper edge of each camera's picture [pixels]."""
        across, down = self.tile[0] + GAP, self.tile[1] + GAP
        found = {}
        for row, cameras in enumerate(self.rows):
            indent = (self.size[0] + GAP - len(cameras) * across) // 2
            found |= {k: (indent + column * across, row * down) for column, k in enumerate(cameras)}
        return found

    def joined(self, pictures: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """One picture.

        Args:
            pictures: of the cameras, (cameras, height, width, 3).

        Returns:
            (height, width, 3) of the mosaic's size.
        """
        width, height = self.size
        whole = np.full((height, width, 3), GAP_SHADE, np.uint8)
        for camera, (left, top) in self.places().items():
            whole[top : top + self.tile[1], left : left + self.tile[0]] = pictures[camera]
        return whole

    def fitting(self, width: float, height: float, multiple: int = 1) -> tuple[int, int]:
        """The largest tile with which the whole fits into some pixels, its shape kept.

        Args:
            width: of the room [pixels].
            height: of the room [pixels].
            multiple: the tile's sides are multiples of this.
        """
        across = (width - (self.columns - 1) * GAP) / self.columns
        down = (height - (len(self.rows) - 1) * GAP) / len(self.rows)
        scale = min(across / self.tile[0], down / self.tile[1])
        sides = [max(1, int(scale * side / multiple + 1e-6)) * multiple for side in self.tile]
        return sides[0], sides[1]


def yaw_of(camera: Camera) -> float:
    """Where a camera looks from above, to the left of straight ahead [rad], -pi to pi."""
    axis = camera.ego_from_camera[:, 2]
    return math.atan2(axis[1], axis[0])


def span_of(camera: Camera) -> float:
    """How wide a camera looks from side to side [rad], at most a full turn."""
    left, right = camera.cx / camera.fx, (camera.width - camera.cx) / camera.fx
    if camera.model == "pinhole":
        return math.atan(left) + math.atan(right)
    return min(left + right, math.tau)  # angles grow with pixels, for a fisheye nearly so
