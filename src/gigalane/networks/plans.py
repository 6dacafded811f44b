"""Plans: several trajectories a network proposes, and a score for each of them.

A plan is eight poses at 2 Hz, four seconds, of the middle of the rear axle in its own frame at
the start (Gigapixel, arXiv 2606.19641). Several are proposed because the future may go several
ways; only the nearest to what the teacher did is pulled towards it (winner takes all), and a
scorer learns which one that will be. The scorer reads the proposals without sending gradient
into them, so neither spoils the other (DrivoR, arXiv 2601.05083).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from gigalane.networks.layers import linear

PLAN_POSES = 8
"""Poses of a plan (Gigapixel)."""
PLAN_INTERVAL_S = 0.5
"""Time from one pose to the next [s] (Gigapixel: 2 Hz)."""
TURN_WEIGHT = 5.0
"""Weight of a future that turns over one that does not (Gigapixel)."""
TURN_YAW = 0.35
"""A future turns where its heading leaves the first one by more than this [rad] (chosen)."""
NEARNESS = 0.5
"""Distance to the teacher's future over which a proposal's share falls to 1/e [m] (chosen)."""
LOSER_SHARE = 0.05
"""Share of the loss that all proposals have in common (chosen), as in relaxed winner-takes-all
(Rupprecht et al. 2017): one that never wins would otherwise stay where it began."""

_SPREAD = (1.0, 1.0, 0.25)
"""What an output of 1 means: x and y of a constant 2 m/s², and yaw of 0.25 rad/s (chosen)."""


class Plans(NamedTuple):
    """What a head makes of a batch of rows.

    Attributes:
        proposals: (rows, proposals, PLAN_POSES, 3) float32: x [m], y [m], yaw [rad].
        scores: (rows, proposals) float32, logarithm of how likely each is the nearest, not
            normalised.
    """

    proposals: Tensor
    scores: Tensor

    def best(self) -> Tensor:
        """The plan to execute: that of the highest score, (rows, PLAN_POSES, 3)."""
        return self.proposals[
            torch.arange(len(self.scores), device=self.scores.device), self.scores.argmax(-1)
        ]


class PlanHead(nn.Module):
    """Features to proposals and scores.

    A proposal is what the network adds to going straight on at the present speed: a new head
    therefore keeps its speed, and numbers near 1 are the accelerations of usual driving.

    Attributes:
        proposals: how many trajectories it proposes.
    """

    spread: Tensor
    time: Tensor

    def __init__(self, features: int, proposals: int = 16, width: int = 256) -> None:
        """Makes a head with weights from torch's global generator.

        Args:
            features: numbers of a row.
            proposals: how many trajectories; 1 needs no scorer and then has none to learn.
            width: of the hidden layers.

        Raises:
            ValueError: if a size is below 1.
        """
        super().__init__()
        if min(features, proposals, width) < 1:
            raise ValueError("plans: features, proposals and width must be at least 1")
        self.proposals = proposals
        numbers = PLAN_POSES * 3
        self.hidden = linear(features, width)
        self.planner = linear(width, proposals * numbers, gain=0.1)
        self.of_features = linear(features, width)
        self.of_proposal = linear(numbers, width)
        self.scorer = linear(width, 1, gain=0.1)
        time = PLAN_INTERVAL_S * torch.arange(1, PLAN_POSES + 1)
        powers = torch.stack((time**2, time**2, time), -1)
        self.register_buffer("spread", powers * torch.tensor(_SPREAD), persistent=False)
        self.register_buffer("time", time, persistent=False)

    def forward(self, features: Tensor, speed: Tensor) -> Plans:
        """Proposes plans.

        Args:
            features: (rows, features) float32.
            speed: (rows,) along the heading [m/s].

        Returns:
            Proposals and their scores, with gradient.
        """
        rows = len(features)
        numbers = self.planner(torch.relu(self.hidden(features)))
        numbers = numbers.view(rows, self.proposals, PLAN_POSES, 3)
        straight = functional.pad((speed[:, None] * self.time)[..., None], (0, 2))
        proposals = straight[:, None] + self.spread * numbers
        shown = self.of_proposal(numbers.detach().flatten(2))
        scores = self.scorer(torch.relu(self.of_features(features)[:, None] + shown))
        return Plans(proposals, scores.squeeze(-1))


def turns(poses: Tensor) -> Tensor:
    """Whether a future turns: (…, poses, 3) to (…,) bool."""
    return (poses[..., 2].abs() > TURN_YAW).any(-1)


def row_weights(valid: Tensor, is_turn: Tensor, turn_weight: float = TURN_WEIGHT) -> Tensor:
    """Weight of each row in a loss, (rows,) float32; they sum to 1 unless no row is valid.

    Args:
        valid: (rows,) bool, rows that have a target.
        is_turn: (rows,) bool.
        turn_weight: of a row that turns.
    """
    weight = torch.where(is_turn, turn_weight, 1.0) * valid
    return weight / weight.sum().clamp(min=1e-6)


def distances(proposals: Tensor, future: Tensor) -> Tensor:
    """Mean absolute difference of poses between proposals and a future.

    Args:
        proposals: (rows, proposals, PLAN_POSES, 3).
        future: (rows, PLAN_POSES, 3).

    Returns:
        (rows, proposals) float32; metres and radians count alike (Gigapixel).
    """
    gap = proposals - future[:, None]
    yaw = torch.remainder(gap[..., 2] + torch.pi, 2 * torch.pi) - torch.pi
    return torch.cat((gap[..., :2], yaw[..., None]), -1).abs().mean((-2, -1))


def winner_takes_all_loss(
    proposals: Tensor, future: Tensor, weight: Tensor, loser_share: float = LOSER_SHARE
) -> Tensor:
    """Distance of the nearest proposal to the teacher's future.

    Args:
        proposals: (rows, proposals, PLAN_POSES, 3), with gradient.
        future: (rows, PLAN_POSES, 3), finite also where it is not valid.
        weight: (rows,), see `row_weights`.
        loser_share: share of the mean over all proposals; 0 is the plain loss.

    Returns:
        The weighted sum, a scalar.
    """
    gaps = distances(proposals, future)
    each = (1.0 - loser_share) * gaps.min(-1).values + loser_share * gaps.mean(-1)
    return (each * weight).sum()


def scorer_loss(plans: Plans, future: Tensor, weight: Tensor, nearness: float = NEARNESS) -> Tensor:
    """Cross entropy between the scores and how near each proposal came to the teacher's future.

    A proposal's share is proportional to exp(-distance / nearness): proposals about as good as
    the nearest share its credit, so that nothing depends on a hair's breadth. Gigapixel labels
    its scorer with the score of a benchmark's simulation of each proposal, which takes as many
    roll-outs as proposals; this takes none.

    Args:
        plans: proposals, of which no gradient is taken, and scores, with gradient.
        future: (rows, PLAN_POSES, 3).
        weight: (rows,), see `row_weights`.
        nearness: [m].

    Returns:
        The weighted sum, a scalar.
    """
    gaps = distances(plans.proposals.detach(), future)
    shares = functional.softmax(-gaps / nearness, dim=-1)
    each = -(shares * functional.log_softmax(plans.scores, dim=-1)).sum(-1)
    return (each * weight).sum()
