"""Being told: the scripted driver's opinion of every decision, early in training.

A driver that learns from reward alone spends most of its first samples off the road. One that
is also told, at each state that it gets itself into, what the scripted driver would do there
drives sensibly from the first minutes, and leaves its teacher behind when the telling fades
(kickstarting: Schmitt et al. 2018, arXiv 1803.03835; the states are the learner's own, as in
DAgger: Ross et al. 2011).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from gigalane.networks.distributions import Distribution


@dataclass(frozen=True)
class GuidanceSettings:
    """How much a learner is told, and for how long.

    Attributes:
        weight: of the divergence from the script's choice in the loss, at the first sample.
        samples: transitions after which nothing is told any more; the weight falls to 0 along
            a straight line. 0 is no guidance.
    """

    weight: float = 1.0
    samples: int = 0

    def __post_init__(self) -> None:
        """Refuses negative numbers."""
        if self.weight < 0 or self.samples < 0:
            raise ValueError("guidance: weight and samples must be 0 or more")

    def weight_at(self, samples: int) -> float:
        """The weight once so many transitions have been seen."""
        if samples >= self.samples:
            return 0.0
        return self.weight * (1.0 - samples / self.samples)


def divergence_from_advice(distribution: Distribution, advice: Tensor) -> Tensor:
    """KL(advice || policy) of each row: the advice is one sure action, so -log of its probability.

    Args:
        distribution: the policy's, over discrete actions.
        advice: (rows,) indices of actions; below 0 where nothing is told.

    Returns:
        (rows,), 0 where nothing is told.
    """
    told = advice >= 0
    return torch.where(told, -distribution.log_prob(advice.clamp(min=0)), 0.0)
