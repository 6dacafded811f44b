"""What a policy is: something that looks at observations and chooses actions."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from gigalane.sim.control import ActionSpace
from gigalane.sim.layout import RowLayout


class PolicyError(ValueError):
    """A policy or training state that cannot be used; one line with file, place and cure.

    Attributes:
        file: the file, as the caller named it.
        place: where in the file, or an empty string.
        reason: what is wrong there and the cure.
    """

    def __init__(self, file: str, place: str, reason: str) -> None:
        """Keeps the three parts and joins them into one line."""
        super().__init__(": ".join(part for part in (file, place, reason) if part))
        self.file, self.place, self.reason = file, place, reason


class Policy(Protocol):
    """Chooses an action for each row of an observation.

    Attributes:
        action_space: what an action means.
    """

    action_space: ActionSpace

    @property
    def layout(self) -> RowLayout:
        """What a row of observations holds."""
        ...

    def act(
        self, observation: Tensor, generator: torch.Generator | None = None, greedy: bool = False
    ) -> Tensor:
        """Chooses actions.

        Args:
            observation: (rows, layout.width), as the world gives it.
            generator: where chance comes from; None takes torch's global generator.
            greedy: take the most likely action instead of drawing one.

        Returns:
            (rows,) int64 for a discrete action space, else (rows, action_space.size) float32.
        """
        ...
