"""Rows of a bird's-eye world: the bytes of a packed raster, then those of the `given` slot.

One row of bytes a road user is what roll-outs keep, so that a transition costs a bit a pixel and
channel. Networks take rows apart where they are, on a CPU or on a GPU.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from gigalane.render.birdview import BirdviewSettings


@dataclass(frozen=True)
class BirdviewLayout:
    """Where the two parts of a row lie.

    Attributes:
        birdview: what the raster shows.
        given: numbers of the `given` slot, as `gigalane.sim.observe` lists them; float16.
    """

    birdview: BirdviewSettings
    given: int

    @property
    def raster_bytes(self) -> int:
        """Bytes of a raster: the first part of a row."""
        return self.birdview.pixels**2 * self.birdview.bits // 8

    @property
    def width(self) -> int:
        """Bytes of a row."""
        return self.raster_bytes + 2 * self.given

    def pack(self, rasters: Tensor, given: Tensor, rows: Tensor) -> None:
        """Writes rows.

        Args:
            rasters: (n, pixels, pixels) int16 or int32, as `BirdviewRenderer.render` draws them.
            given: (n, given) float16.
            rows: (n, width) uint8, written.
        """
        rows[:, : self.raster_bytes] = rasters.flatten(1).view(torch.uint8)
        rows[:, self.raster_bytes :] = given.contiguous().view(torch.uint8)

    def planes(self, rows: Tensor, dtype: torch.dtype) -> Tensor:
        """The bits of the rasters as images, one for every bit of a pixel's integer.

        Greys are no concern here: a first convolution gives each bit a weight of its own, and a
        grey is a sum of weighted bits.

        Args:
            rows: (n, width) uint8.
            dtype: of the result, whose numbers are 0 and 1.

        Returns:
            (n, bits, pixels, pixels) with the bits side by side in memory (channels last).
        """
        pixels, bits = self.birdview.pixels, self.birdview.bits
        # The low byte comes first in memory, on every machine that Warp or torch run on.
        numbers = torch.arange(256, device=rows.device).unsqueeze(1)
        bits_of_byte = ((numbers >> torch.arange(8, device=rows.device)) & 1).to(dtype)
        images = functional.embedding(rows[:, : self.raster_bytes].int(), bits_of_byte)
        return images.view(len(rows), pixels, pixels, bits).permute(0, 3, 1, 2)

    def given_of(self, rows: Tensor) -> Tensor:
        """The `given` slot, (n, given) float32."""
        return rows[:, self.raster_bytes :].contiguous().view(torch.float16).float()
