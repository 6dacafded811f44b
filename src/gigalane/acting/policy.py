"""A policy at the wheel."""

from __future__ import annotations

import torch
from torch import Tensor

from gigalane.policies.policy import Policy
from gigalane.worlds.world import World


class PolicyActor:
    """Lets a policy drive every row of a world.

    Attributes:
        policy: who decides.
        generator: where chance comes from; None takes torch's global generator.
        greedy: take the most likely action instead of drawing one.
    """

    def __init__(
        self, policy: Policy, generator: torch.Generator | None = None, greedy: bool = False
    ) -> None:
        """Puts `policy` at the wheel."""
        self.policy, self.generator, self.greedy = policy, generator, greedy

    def act(self, world: World) -> Tensor:
        """Chooses an action for every row."""
        return self.policy.act(world.observation, self.generator, self.greedy)
