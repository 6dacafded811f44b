"""Fields of the scene's records as torch views, without a copy, on whatever device they lie."""

from __future__ import annotations

from typing import Any

import torch
import warp as wp
from torch import Tensor

WORD_BYTES = 4
"""Every scalar of a record is a 32-bit number, so a record is a row of words."""


def field_rows(records: Any, name: str, *, integer: bool = False) -> Tensor:  # noqa: ANN401
    """One field of an array of records.

    Args:
        records: (worlds, agents) Warp array of a struct whose scalars are all 32 bits wide, such
            as `SceneArrays.body`; it must outlive the view.
        name: of the field.
        integer: whether the field is an integer rather than a floating-point number.

    Returns:
        (worlds * agents,) float32 or int32, a view that changes with the array.
    """
    fields = records.dtype.numpy_dtype()
    offset = fields["offsets"][fields["names"].index(name)]
    words = wp.array(
        ptr=records.ptr,
        dtype=wp.float32,
        shape=(records.size, records.strides[-1] // WORD_BYTES),
        device=records.device,
        copy=False,
    )
    column = wp.to_torch(words)[:, offset // WORD_BYTES]
    return column.view(torch.int32) if integer else column
