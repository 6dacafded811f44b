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

from gigalane.networks.distributions import Beta, Distribution


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


SILENT = -1000
"""In the place of an action, or of its first number: nothing is told."""
SURENESS = (20.0, 60.0)
"""How sure the script is of its acceleration and of its steering: α + β - 2 of the distribution
that stands for each, which are then about a fifth and an eighth of the span wide (chosen)."""


def divergence_from_advice(distribution: Distribution, advice: Tensor) -> Tensor:
    """How far each row's policy is from what it was told [nat].

    An index is one sure action: KL(advice || policy) is -log of its probability. A number between
    bounds stands for a Beta distribution with its mode there, and KL(policy || advice) is added
    up over numbers: a density at one point has no bound.

    Args:
        distribution: the policy's.
        advice: (rows,) indices of discrete actions, below 0 where nothing is told; or
            (rows, 2) accelerations and wheel angles, the first below -100 there.

    Returns:
        (rows,), 0 where nothing is told.
    """
    if advice.ndim == 1:
        told = advice >= 0
        return torch.where(told, -distribution.log_prob(advice.clamp(min=0)), 0.0)
    assert isinstance(distribution, Beta)
    told = advice[:, 0] > -100
    share = ((advice.double() - distribution.low) / distribution.span).clamp(0.0, 1.0)
    sure = share.new_tensor(SURENESS)
    meant = Beta(1.0 + sure * share, 1.0 + sure * (1.0 - share))
    return torch.where(told, distribution.kl(meant), 0.0)
