"""Who knows the state and can say what to do: what students learn from.

| teacher | what it looks at | what it tells |
|---|---|---|
| `DriverTeacher` | sets of entities | distribution, value, features, slots |
| `CoachTeacher` | a picture from above | distribution, value, features |
| `Autopilot` | the simulator itself, by rules | one action |
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from gigalane.core.settings import SettingsError
from gigalane.networks.distributions import Distribution
from gigalane.policies.camera import Sight, shown_to
from gigalane.policies.coach import CoachPolicy
from gigalane.policies.entity import EntityPolicy
from gigalane.sim.control import ActionSpace
from gigalane.worlds.camera import CameraWorld

NO_OPINION = -100.0
"""An action whose first number is below this says that the autopilot has no opinion; an index
is -1 then."""


@dataclass(frozen=True)
class Lesson:
    """What a teacher says of some rows.

    Attributes:
        action: (rows,) int64 or (rows, size) float32, what it would do.
        counts: (rows,) bool, where it has an opinion.
        distribution: all that it might do, where it knows.
        value: (rows,) float32, the return it expects.
        features: (rows, width) float32, what it made of a row before it decided.
        slots: what it made of what it was shown.
    """

    action: Tensor
    counts: Tensor
    distribution: Distribution | None = None
    value: Tensor | None = None
    features: Tensor | None = None
    slots: Sight | None = None


class Teacher(Protocol):
    """Drives by the state, and explains itself."""

    name: str
    action_space: ActionSpace

    def look(self, world: CameraWorld) -> Tensor:
        """What it must be shown of every row to be asked later: (row_count, width)."""
        ...

    def act(self, shown: Tensor) -> Tensor:
        """What it would do, for rows of what `look` returned, as `World.step` takes it."""
        ...

    def explain(self, shown: Tensor) -> Lesson:
        """All that it can say of rows of what `look` returned, without gradient."""
        ...


class DriverTeacher:
    """The self-taught driver."""

    name = "driver"

    def __init__(self, policy: EntityPolicy) -> None:
        """Takes the policy as it is.

        Raises:
            SettingsError: it does not choose among actions.
        """
        if not policy.action_space.is_discrete:
            raise SettingsError(
                f"teacher: it acts in {policy.action_space.name}; give a driver of jerk12, or a "
                "coach, whose students act in accelerations and wheel angles"
            )
        self.policy, self.action_space = policy, policy.action_space

    def look(self, world: CameraWorld) -> Tensor:
        """Its observations."""
        return world.vector.observation

    def act(self, shown: Tensor) -> Tensor:
        """Its most likely actions."""
        return self.policy.act(shown, greedy=True)

    @torch.no_grad()
    def explain(self, shown: Tensor) -> Lesson:
        """Distribution, value, features and slots."""
        policy, body = self.policy, self.policy.actor
        slots = shown_to(policy, shown)
        features = body.decide(shown[:, : policy.layout.given].float(), slots[:3])
        numbers, value = policy.parameters_and_value(shown)
        distribution = policy.distribution(numbers)
        action = distribution.mode()
        counts = torch.ones(len(shown), dtype=torch.bool)
        return Lesson(action, counts, distribution, value, features, slots)


class CoachTeacher:
    """The coach that looks from above; its world is a `BirdviewWorld`."""

    name = "coach"

    def __init__(self, policy: CoachPolicy) -> None:
        """Takes the policy as it is."""
        self.policy, self.action_space = policy, policy.action_space

    def look(self, world: CameraWorld) -> Tensor:
        """Its pictures."""
        return world.inner.observation

    def act(self, shown: Tensor) -> Tensor:
        """Its most likely actions."""
        return self.policy.act(shown, greedy=True)

    @torch.no_grad()
    def explain(self, shown: Tensor) -> Lesson:
        """Distribution, value and features."""
        features = self.policy.features(shown)
        numbers, value = self.policy.respond(features)
        distribution = self.policy.distribution(numbers)
        counts = torch.ones(len(shown), dtype=torch.bool)
        return Lesson(distribution.mode(), counts, distribution, value, features)


class Autopilot:
    """The scripted driver (`gigalane.sim.advice`): a weaker teacher that only knows what to do."""

    name = "autopilot"

    def __init__(self, action_space: ActionSpace) -> None:
        """Speaks in the actions of `action_space`."""
        self.action_space = action_space

    def look(self, world: CameraWorld) -> Tensor:
        """Its advice: (row_count, 1 or size) float32."""
        advice = world.advise().float()
        return advice.unsqueeze(1) if self.action_space.is_discrete else advice

    def act(self, shown: Tensor) -> Tensor:
        """Its advice; where it has none, to do nothing."""
        if self.action_space.is_discrete:
            return shown[:, 0].clamp(min=0).long()
        return torch.where(shown[:, :1] < NO_OPINION, 0.0, shown)

    def explain(self, shown: Tensor) -> Lesson:
        """One action."""
        floor = 0.0 if self.action_space.is_discrete else NO_OPINION
        return Lesson(self.act(shown), shown[:, 0] >= floor)
