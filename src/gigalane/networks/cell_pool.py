"""What is seen anywhere in an image, whichever cell it is in: a set of cells, pooled.

    a cell's features ─┐
    which cell it is ──┼─ + ─ ReLU ─ linear ─ ReLU ─┐
    what is told ──────┘                            ├─ greatest of all cells ─► numbers
                                 the other cells ───┘

Every cell is read by the same weights and knows where it looks, as each road user that the driver
is shown is read by the same weights and knows where it is (`gigalane.networks.sets`): what
is learned of a car on the left serves on the right.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from gigalane.networks.layers import RELU_GAIN, linear

_PLACE_SPREAD = 0.5
"""Spread of what a cell is known by at first (chosen): about that of its features."""


class CellPool(nn.Module):
    """Reads every cell alike and keeps the greatest of each number.

    Attributes:
        read: what is made of a cell's features, of which cell it is, and of what is told.
        out: what of that is pooled.
    """

    def __init__(self, cells: int, channels: int, conditions: int, numbers: int) -> None:
        """Makes weights from torch's global generator.

        Args:
            cells: of all images of a row.
            channels: features of a cell.
            conditions: numbers that all cells are told besides.
            numbers: that come out.
        """
        super().__init__()
        # Without a bias: which cell it is says as much.
        self.read = nn.Linear(channels + cells + conditions, numbers, bias=False)
        nn.init.orthogonal_(self.read.weight, RELU_GAIN)
        nn.init.normal_(self.read.weight[:, channels : channels + cells], std=_PLACE_SPREAD)
        self.out = linear(numbers, numbers)
        self.register_buffer("which", torch.eye(cells), persistent=False)

    def forward(self, cells: Tensor, conditions: Tensor) -> Tensor:
        """Pools cells.

        Args:
            cells: (rows, cells, channels).
            conditions: (rows, conditions).

        Returns:
            (rows, numbers), not negative.
        """
        rows, count, _ = cells.shape
        which = self.get_buffer("which").to(cells.dtype).expand(rows, -1, -1)
        told = conditions.to(cells.dtype).unsqueeze(1).expand(-1, count, -1)
        # Gradients of what is added to all cells are sums, which products do several times faster.
        hidden = functional.relu(self.read(torch.cat([cells, which, told], dim=2)))
        answers = functional.linear(hidden, self.out.weight)
        return functional.relu(answers.max(1).values + self.out.bias)
