"""A driver that is disturbed now and then, so that it is seen where it would not go by itself.

Frames of a driver that never errs show no way back (Bojarski et al. 2016; ChauffeurNet, arXiv
1812.03079). Here the actions of some rows are taken over by chance for a few steps; then the
driver finds its way back.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from gigalane.core.settings import SettingsError
from gigalane.policies.policy import Policy
from gigalane.worlds.camera import CameraWorld
from gigalane.worlds.world import World


@dataclass(frozen=True)
class Perturbation:
    """How often and how long.

    Attributes:
        share: of the steps that chance drives.
        steps: shortest and longest stretch [steps]; one action is held meanwhile.
    """

    share: float = 0.1
    steps: tuple[int, int] = (2, 5)

    def __post_init__(self) -> None:
        """Refuses what leaves no stretch or no driving."""
        if not 0.0 <= self.share < 1.0 or not 1 <= self.steps[0] <= self.steps[1]:
            raise SettingsError(
                "perturbation: share must be 0 to below 1, and steps at least 1, shortest first"
            )

    @property
    def chance(self) -> float:
        """Of a stretch to begin at a step that the driver drives."""
        mean = 0.5 * sum(self.steps)
        return self.share / (mean * (1.0 - self.share))


class PerturbedActor:
    """A driver that looks at the state, and chance, at the wheels of one world.

    Attributes:
        driver: the policy, shown the simulator's observation, also in a camera world.
        perturbation: how often chance takes over.
        left: (rows,) steps that chance still drives.
    """

    def __init__(self, driver: Policy, rows: int, perturbation: Perturbation, seed: int) -> None:
        """Seats both; at first the driver drives everything."""
        self.driver, self.perturbation = driver, perturbation
        self.generator = torch.Generator().manual_seed(seed)
        self.left = torch.zeros(rows, dtype=torch.int64)
        self._held: Tensor | None = None

    def act(self, world: World) -> Tensor:
        """The driver's most likely action, or the held one of a disturbed row."""
        vector = world.vector if isinstance(world, CameraWorld) else world
        actions = self.driver.act(vector.observation, greedy=True)
        least, most = self.perturbation.steps
        begins = torch.rand(len(self.left), generator=self.generator) < self.perturbation.chance
        begins &= self.left == 0
        lengths = torch.randint(least, most + 1, self.left.shape, generator=self.generator)
        self.left = torch.where(begins, lengths, (self.left - 1).clamp(min=0))
        space = world.action_space
        if space.is_discrete:
            drawn = torch.randint(space.choices, actions.shape, generator=self.generator)
        else:
            unit = 2.0 * torch.rand(actions.shape, generator=self.generator) - 1.0
            drawn = unit * torch.tensor(space.scale)
        is_new = begins if space.is_discrete else begins.unsqueeze(1)
        self._held = drawn if self._held is None else torch.where(is_new, drawn, self._held)
        is_held = self.left > 0
        return torch.where(is_held if space.is_discrete else is_held.unsqueeze(1),
                           self._held, actions)  # fmt: skip
