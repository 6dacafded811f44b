"""Rows of a camera world: the bytes of every camera's images, then those of the `given` slot.

What a driver sees and what it is given are one row of bytes, as in `gigalane.networks.birdview`.
Nothing else of the state is in it: who drives by such rows has no other way to know of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from gigalane.render.camera import Rig
from gigalane.sim.layout import LANE_NUMBERS

FRAMES = 2
"""Images of each camera: of now, and of half a second before. Motion cannot be seen in one."""


@dataclass(frozen=True)
class CameraLayout:
    """Where the two parts of a row lie.

    Attributes:
        rig: the cameras.
        given: numbers of the `given` slot, as `gigalane.sim.observe` lists them; float16.
        tells_lane: whether `given` holds the five numbers that need a map and a place on it
            (`LANE_NUMBERS`); otherwise zeros are in their place.
    """

    rig: Rig
    given: int
    tells_lane: bool = False

    @property
    def image_shape(self) -> tuple[int, int, int, int]:
        """(cameras, height, width, channels): red, green and blue of now, then of before."""
        width, height = self.rig.size
        return len(self.rig.cameras), height, width, 3 * FRAMES

    @property
    def image_bytes(self) -> int:
        """Bytes of the images: the first part of a row."""
        cameras, height, width, channels = self.image_shape
        return cameras * height * width * channels

    @property
    def width(self) -> int:
        """Bytes of a row."""
        return self.image_bytes + 2 * self.given

    def images_of(self, rows: Tensor) -> Tensor:
        """The images of rows (n, width) uint8: a view (n, cameras, height, width, channels)."""
        return rows[:, : self.image_bytes].unflatten(1, self.image_shape)

    def given_of(self, rows: Tensor) -> Tensor:
        """The `given` slot of rows (n, width) uint8: (n, given) float32."""
        return rows[:, self.image_bytes :].contiguous().view(torch.float16).float()

    def put_given(self, given: Tensor, rows: Tensor) -> None:
        """Writes the `given` slot.

        Args:
            given: (n, given) float16, as the simulator shows it.
            rows: (n, width) uint8, written.
        """
        told = given.contiguous() if self.tells_lane else given.clone()
        if not self.tells_lane:
            told[:, LANE_NUMBERS] = 0
        rows[:, self.image_bytes :] = told.view(torch.uint8)
