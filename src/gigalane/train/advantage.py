"""How much better an action was than expected, and which transitions are worth learning from.

`generalized_advantages` is GAE (Schulman et al. 2016, eq. 16) with two additions: the discount
belongs to a second, not to a step, because time steps differ between rows; and transitions
that never happened (inactive rows) neither count nor carry anything back.
`AdvantageFilter` drops transitions that taught nothing (GIGAFLOW, arXiv 2502.03349).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from gigalane.train.ranks import ALONE, Ranks

REFERENCE_STEP = 0.3
"""Time step that discount and trace are stated for [s]; GIGAFLOW's."""


def per_step(factor: float, dt: Tensor) -> Tensor:
    """Turns a factor stated for 0.3 s into the factor of each time step.

    Args:
        factor: discount or trace of a 0.3 s step.
        dt: time steps [s], any shape.

    Returns:
        factor ** (dt / 0.3), in the shape of `dt`.
    """
    return torch.exp(dt * (math.log(factor) / REFERENCE_STEP))


def generalized_advantages(
    reward: Tensor,
    value: Tensor,
    terminated: Tensor,
    truncated: Tensor,
    active: Tensor,
    discount: Tensor,
    trace: Tensor,
) -> Tensor:
    """Advantage of each transition.

    Args:
        reward: (steps, rows), what each transition brought.
        value: (steps + 1, rows), expected return at each observation. After a truncation the
            next one is of the state the episode ended in, as the world's protocol has it.
        terminated: (steps, rows) bool, the transition ended the episode; nothing follows.
        truncated: (steps, rows) bool, the transition was the last one of a cut episode.
        active: (steps, rows) bool, the transition happened.
        discount: (steps, rows), γ of the row's time step.
        trace: (steps, rows), λ of the row's time step.

    Returns:
        (steps, rows); 0 where the row was inactive. Add `value[:-1]` for the return.
    """
    bootstrap = value[1:] * ~terminated
    surprise = reward + discount * bootstrap - value[:-1]  # δ = r + γ V' - V
    surprise = torch.where(active, surprise, 0.0)
    carried = discount * trace * (active & ~(terminated | truncated))
    advantage = torch.empty_like(surprise)
    following = torch.zeros_like(surprise[0])
    for step in range(len(surprise) - 1, -1, -1):
        # An inactive step has no surprise and carries nothing, so it cuts the sum by itself.
        following = surprise[step] + carried[step] * following  # A = δ + γλ A'
        advantage[step] = following
    return advantage


@dataclass(frozen=True)
class FilterSettings:
    """Which transitions are learned from.

    Attributes:
        threshold: share of the running largest advantage below which a transition is dropped;
            0 keeps all (GIGAFLOW).
        momentum: weight of the newest largest advantage in the running one (GIGAFLOW).
        keep_share: share of transitions that is kept at least, the largest advantages first;
            chosen.
        keep_minimum: number of transitions that is kept at least, if there are so many.
    """

    threshold: float = 0.01
    momentum: float = 0.25
    keep_share: float = 0.2
    keep_minimum: int = 8192

    def __post_init__(self) -> None:
        """Refuses shares outside 0 to 1."""
        for name in ("threshold", "momentum", "keep_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"filter: {name} must lie between 0 and 1")


class AdvantageFilter:
    """Drops transitions whose advantage is small beside the largest seen lately.

    Attributes:
        settings: thresholds and guards.
        ranks: with whom the largest advantage is shared.
        running_max: running largest |advantage|; None before the first selection.
    """

    def __init__(self, settings: FilterSettings, ranks: Ranks = ALONE) -> None:
        """Starts without a history."""
        self.settings, self.ranks = settings, ranks
        self.running_max: float | None = None

    def select(self, advantage: Tensor, learn: Tensor) -> Tensor:
        """Chooses transitions to learn from and moves the running maximum on.

        Args:
            advantage: (n,).
            learn: (n,) bool, which transitions may be learned from at all.

        Returns:
            Indices of the chosen ones in rising order, (k,) int64.
        """
        candidates = learn.nonzero().squeeze(-1)
        size = advantage[candidates].abs()
        largest, momentum = float(size.max()) if len(size) else -1.0, self.settings.momentum
        largest = float(self.ranks.gather(largest).max())
        if largest < 0:  # nobody has a candidate
            return candidates
        if self.running_max is None:
            self.running_max = largest
        self.running_max = momentum * largest + (1 - momentum) * self.running_max
        kept = size >= self.settings.threshold * self.running_max
        minimum = -(-self.settings.keep_minimum // self.ranks.count)
        least = max(minimum, math.ceil(self.settings.keep_share * len(size)))
        least = min(least, len(size))
        if int(kept.sum()) >= least:
            return candidates[kept]
        return candidates[size.topk(least).indices.sort().values]
