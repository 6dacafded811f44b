"""Colours of finished pictures, pushed about: who learns from them must not trust in a shade.

A picture keeps what is where; its colours are made a little paler, then get another contrast and
brightness, by a part of it for red, green and blue apart. Cheaper than drawing the scene in
another light, and it reaches shades that no light gives.
"""

# pyright: reportGeneralTypeIssues=false, reportInvalidTypeForm=false, reportCallIssue=false
# pyright: reportOperatorIssue=false, reportArgumentType=false, reportIndexIssue=false

from __future__ import annotations

import torch
import warp as wp
from torch import Tensor

from gigalane.core.kernels import load_kernels

TINT = 0.25
"""Share of the strength that red, green and blue get apart (chosen): red lights must stay red."""
PALER = 0.5
"""How much paler colours may get, of the strength (chosen)."""
BRIGHTER = 80.0
"""How much brighter or darker pictures may get, of the strength [shades of 255] (chosen)."""
_MIDDLE = wp.constant(127.5)


def draw_tints(count: int, strength: float, generator: torch.Generator) -> Tensor:
    """Draws how pictures are recoloured.

    Args:
        count: of pictures.
        strength: how far colours are pushed, a share; 0.3 is a lot.
        generator: where chance comes from.

    Returns:
        (count, 7) float32: the share of grey, then contrast of red, green and blue, a factor,
        then their brightness [shades of 255].
    """
    drawn = 2.0 * torch.rand(count, 9, generator=generator) - 1.0
    grey = 0.5 * PALER * strength * (drawn[:, :1] + 1.0)
    each = strength * TINT * drawn[:, 3:]
    contrast = (1.0 + strength * drawn[:, 1:2]) * (1.0 + each[:, :3])
    brightness = BRIGHTER * (strength * drawn[:, 2:3] + each[:, 3:])
    return torch.cat([grey, contrast, brightness], dim=1)


def recolour(rows: Tensor, image_bytes: int, tints: Tensor) -> None:
    """Recolours pictures where they are.

    Args:
        rows: (count, width) uint8 on the CPU, written: each begins with pixels of red, green and
            blue, and all pictures in a row are recoloured alike.
        image_bytes: of the pictures of a row.
        tints: see `draw_tints`.
    """
    load_kernels(_recolour)
    wp.launch(
        _recolour,
        dim=len(rows),
        inputs=[wp.from_torch(tints.contiguous()), image_bytes // 3],
        outputs=[wp.from_torch(rows)],
        device="cpu",
        record_tape=False,
    )


@wp.kernel(enable_backward=False)
def _recolour(
    # how
    tints: wp.array2d(dtype=float),
    pixels: int,
    # out
    rows: wp.array2d(dtype=wp.uint8),
):
    """Recolours the pictures of a row."""
    row = wp.tid()
    tint = tints[row]
    keep = 1.0 - tint[0]
    share = tint[0] / 3.0
    contrast = wp.vec3(tint[1], tint[2], tint[3])
    shift = wp.vec3(tint[4], tint[5], tint[6]) + (wp.vec3(1.0, 1.0, 1.0) - contrast) * _MIDDLE
    shades = rows[row]
    for pixel in range(pixels):
        at = 3 * pixel
        color = wp.vec3(float(shades[at]), float(shades[at + 1]), float(shades[at + 2]))
        grey = share * (color[0] + color[1] + color[2])
        for c in range(3):
            shade = (keep * color[c] + grey) * contrast[c] + shift[c]
            shades[at + c] = wp.uint8(int(wp.clamp(shade, 0.0, 255.0) + 0.5))
