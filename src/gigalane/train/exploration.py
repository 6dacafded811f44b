"""The exploration loss: what led to an event is to be tried differently.

Before a collision a driver should have tried to stop, before standing for ever to go, before
leaving the road to steer another way. For some seconds before such an event the divergence of
the policy from a prior that says so is added to the loss (Roach: Zhang et al. 2021, arXiv
2108.08265). It needs no model of what would have been right: reward still decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from gigalane.networks.distributions import Beta, Distribution

STOP, GO, TURN = 1, 2, 4
"""Bits of a hint: stop or go is said of the acceleration, turn of the steering."""
HINTS = {
    "collided": STOP,
    "hit_pedestrian": STOP,
    "ran_red": STOP,
    "ran_stop": STOP,
    "out_of_turn": STOP,
    "timed_out": GO,
    "off_road": TURN,
}
"""What each event hints at (Roach). Its "blocked" is `timed_out` here: nobody is ended for
standing, and a goal 300 m away takes 60 s at 5 m/s, so who runs out of time has stood. Its route
deviation is `off_road`. Lines that are run over do not end an episode here, and hint all the
same."""
PRIORS = {STOP: (0, 1.0, 2.5), GO: (0, 2.5, 1.0), TURN: (1, 1.0, 1.0)}
"""For each hint the number of the action that it is about, and alpha and beta (Roach)."""


@dataclass(frozen=True)
class ExplorationSettings:
    """How much events are heeded; for policies of Beta distributions.

    Attributes:
        weight: of the divergence from the priors in the loss (Roach: 0.05). 0 is off.
        seconds: how long before an event its hint holds [s] (Roach: 100 steps of 0.1 s). Only
            steps of the same roll-out are told: what was learned from is gone.
    """

    weight: float = 0.0
    seconds: float = 10.0

    def __post_init__(self) -> None:
        """Refuses what cannot be."""
        if self.weight < 0 or self.seconds <= 0:
            raise ValueError("exploration: weight must be 0 or more, seconds above 0")


def hints_before_events(
    events: Tensor,
    event_names: Sequence[str],
    ended: Tensor,
    active: Tensor,
    dt: Tensor,
    seconds: float,
) -> Tensor:
    """What the next event of each transition's episode hints at, where it is near.

    Args:
        events: (steps, rows) int32 bit masks: what each transition brought.
        event_names: of the bits.
        ended: (steps, rows) bool: an episode ended there.
        active: (steps, rows) bool: the transition happened.
        dt: (steps, rows) [s].
        seconds: how long before an event its hint holds [s].

    Returns:
        (steps, rows) int8 masks of STOP, GO and TURN, 0 where nothing is hinted at. The
        transition that brought the event is the last one told.
    """
    hinted = torch.zeros_like(events, dtype=torch.int8)
    for bit, name in enumerate(event_names):
        hinted |= (((events >> bit) & 1) * HINTS.get(name, 0)).to(torch.int8)
    hints = torch.zeros_like(hinted)
    hint = torch.zeros_like(hinted[0])
    left = torch.zeros_like(dt[0])
    for step in range(len(events) - 1, -1, -1):
        # What comes after the end of an episode, or in an empty row, is not this episode's.
        hint = torch.where(ended[step] | ~active[step], 0, hint)
        happens = (hinted[step] != 0) & active[step]
        hint = torch.where(happens, hinted[step], hint)
        left = torch.where(happens, seconds, left)
        # Half a step of leeway, so that rounding does not decide whether a step is told.
        hints[step] = torch.where(active[step] & (left > 0.5 * dt[step]), hint, 0)
        left = left - dt[step]
    return hints


def divergence_from_hints(distribution: Distribution, hints: Tensor) -> Tensor:
    """KL(policy || prior) of the numbers that a hint is about, as a share of all numbers [nat].

    Numbers that no hint is about would be compared with themselves and count as 0 (Roach), so
    the mean is over all numbers of the action.

    Args:
        distribution: the policy's.
        hints: (rows,) masks as `hints_before_events` gives them.

    Returns:
        (rows,), 0 where nothing is hinted at.
    """
    assert isinstance(distribution, Beta)
    total = torch.zeros_like(hints, dtype=torch.float32)
    for bit, (number, alpha, beta) in PRIORS.items():
        column = slice(number, number + 1)  # divergences do not depend on the bounds
        own = Beta(distribution.alpha[:, column], distribution.beta[:, column])
        prior = Beta(torch.full_like(own.alpha, alpha), torch.full_like(own.beta, beta))
        apart = own.kl(prior)
        total = total + torch.where((hints & bit) != 0, apart, 0.0)
    return total / distribution.alpha.shape[-1]
