"""A policy in the driver's seat of every road user."""

from __future__ import annotations

import torch
from torch import Tensor

from gigalane.policies.policy import Policy
from gigalane.worlds.world import World


class PolicyActor:
    """Lets one policy decide for every row of a world."""

    def __init__(self, policy: Policy, *, greedy: bool = True, seed: int = 0) -> None:
        """Takes the policy's most likely actions, or samples them.

        Args:
            policy: who decides.
            greedy: whether to take the most likely action.
            seed: of the sampling.
        """
        self.policy, self.greedy, self._seed = policy, greedy, seed
        self.generator: torch.Generator | None = None

    def act(self, world: World) -> Tensor:
        """Chooses an action for every row."""
        if self.generator is None:  # chance is drawn where the rows are
            self.generator = torch.Generator(world.observation.device).manual_seed(self._seed)
        return self.policy.act(world.observation, self.generator, self.greedy)


class IdleActor:
    """Asks for nothing; for worlds in which scripts drive."""

    def act(self, world: World) -> Tensor:
        """Zeros for every row."""
        device = world.observation.device
        if world.action_space.is_discrete:
            return torch.zeros(world.row_count, dtype=torch.int64, device=device)
        return torch.zeros(world.row_count, world.action_space.size, device=device)
