"""A dueling, distributional Q-learner whose policy is the softmax of the advantage.

    observation ──► body of EntityPolicy ─┬─► quantiles of V(s)
                                          └─► quantiles of A(s, a), 12 actions

The value of an action is Q(s, a) = V(s) + dt/0.3 s · (A(s, a) - Σ π(a') A(s, a')): the shorter
the step, the less one action can change, so the network learns what an action does for 0.3 s and
the world's step scales it (Tallec et al. 2019, "deep advantage updating"). The policy is
π = softmax(A / τ) or, with `exploration="epsilon"`, the greedy one, for which V = max Q. Either way
V of the target network is what follows a span, one forward pass a transition.

Quantile regression: Dabney et al. 2018 (QR-DQN). Because the mean over quantiles of linear heads is
a linear head, the policy can be saved and driven as an ordinary `EntityPolicy`.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, field
from typing import Literal

import torch
from replay import Draw, Replay
from torch import Tensor, nn

from gigalane.networks.layers import has_fast_bf16, linear
from gigalane.policies.entity import EntityPolicy, EntitySettings
from gigalane.train.advantage import REFERENCE_STEP
from gigalane.worlds.world import World

CHUNK_ROWS = 1024
"""Rows whose gradient is computed at once."""


@dataclass(frozen=True)
class OffPolicySettings:
    """How it learns; chosen unless a source is named.

    Attributes:
        discount: γ of a 0.3 s step; that of the PPO base.
        span_s: time over which rewards are added up before the value takes over [s].
        capacity: steps of all worlds that are kept.
        reuse: transitions learned from for each one that is simulated.
        batch: transitions of an optimiser step.
        learning_rate: of Adam.
        target_rate: share of the way that the target network goes at each optimiser step.
        quantiles: numbers that stand for the distribution of a return.
        exploration: "soft" draws from softmax(A / τ), "epsilon" takes the best action but for a
            share of steps, which differs from row to row (Horgan et al. 2018, "Ape-X").
        entropy: entropy of the soft policy [nat] at the start and from `entropy_samples` on;
            τ follows. A uniform choice among 12 has 2.48.
        entropy_samples: transitions over which the entropy falls.
        epsilon: largest share of random actions over the rows; the smallest is its 8th power.
        priority: exponent of the error by which transitions are drawn.
        compensation: exponent of the weight that makes up for that.
        gradient_norm: longest gradient.
        policy: sizes of the network.
    """

    discount: float = 0.99
    span_s: float = 1.5
    capacity: int = 128
    reuse: float = 1.0
    batch: int = 1024
    learning_rate: float = 5e-4
    target_rate: float = 0.02
    quantiles: int = 8
    exploration: Literal["soft", "epsilon"] = "soft"
    entropy: tuple[float, float] = (2.2, 1.2)
    entropy_samples: int = 1_000_000
    epsilon: float = 0.4
    priority: float = 0.6
    compensation: float = 0.4
    gradient_norm: float = 1.0
    policy: EntitySettings = field(default_factory=EntitySettings)


class QuantileNetwork(nn.Module):
    """Quantiles of V and A over the body of a policy."""

    def __init__(self, policy: EntityPolicy, quantiles: int) -> None:
        """Puts heads on the policy's own body, whose weights are shared and not copied."""
        super().__init__()
        width = policy.settings.trunk[-1]
        self.body, self.quantiles = policy.actor, quantiles
        self.choices = policy.action_space.choices
        self.value = linear(width, quantiles, gain=0.1)
        self.advantage = linear(width, self.choices * quantiles, gain=0.01)

    def value_of(self, observation: Tensor) -> Tensor:
        """Quantiles of the value of each row, (rows, quantiles)."""
        return self.body(observation, self.value)

    def forward(self, observation: Tensor) -> tuple[Tensor, Tensor]:
        """Quantiles of V, (rows, quantiles), and of A, (rows, choices, quantiles)."""
        numbers = self.body(observation, self.value, self.advantage)
        value, advantage = numbers[:, : self.quantiles], numbers[:, self.quantiles :]
        return value, advantage.unflatten(1, (self.choices, self.quantiles))


def choice_weights(advantage: Tensor, temperature: float | None) -> Tensor:
    """Probability of each action under the policy that V belongs to.

    Args:
        advantage: (rows, choices).
        temperature: τ of softmax(A / τ); None is the greedy policy.
    """
    if temperature is None:
        return nn.functional.one_hot(advantage.argmax(-1), advantage.shape[-1]).float()
    return torch.softmax(advantage / temperature, -1)


def quantile_loss(predicted: Tensor, target: Tensor) -> Tensor:
    """Quantile Huber loss of each row (Dabney et al. 2018, eq. 10, κ = 1).

    Args:
        predicted: (rows, quantiles), θ at the midpoints (i + ½) / quantiles.
        target: (rows, targets), samples of what should have been predicted.
    """
    count = predicted.shape[1]
    midpoint = (torch.arange(count) + 0.5) / count
    error = target.unsqueeze(1) - predicted.unsqueeze(2)
    size = error.abs()
    huber = torch.where(size < 1, 0.5 * error.square(), size - 0.5)
    below = (error.detach() < 0).float()
    return ((midpoint.unsqueeze(-1) - below).abs() * huber).mean(2).sum(1)


class OffPolicyLearner:
    """The network, its slow copy, the replay, and one step of the world with what is learned.

    Attributes:
        policy: an ordinary policy whose heads are kept equal to the means of the quantiles; its
            logits are A / τ.
        temperature: τ.
        figures: what the last optimiser steps measured.
    """

    def __init__(self, world: World, settings: OffPolicySettings, seed: int) -> None:
        """Makes weights from `seed`."""
        self.world, self.settings = world, settings
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.policy = EntityPolicy(world.layout, world.action_space, settings.policy)
            self.network = QuantileNetwork(self.policy, settings.quantiles)
        self.policy.threads = 1
        self.policy.set_precision("bf16" if has_fast_bf16(torch.device("cpu")) else "fp32")
        self.target = copy.deepcopy(self.network).requires_grad_(False)
        self.parameters = list(self.network.parameters())
        self.optimizer = torch.optim.Adam(
            self.parameters, settings.learning_rate, eps=1e-5, fused=True
        )
        self.generator = torch.Generator().manual_seed(seed)
        self.replay = Replay(
            world, settings.capacity, settings.span_s, settings.discount, settings.priority
        )
        shares = torch.linspace(1, 8, world.row_count)
        self.epsilon = settings.epsilon ** shares[torch.randperm(world.row_count)]
        self.temperature, self.samples, self.optimiser_steps = 0.01, 0, 0
        self._owed = 0.0
        self.figures: dict[str, Tensor | float] = {}
        self._write_heads()

    @torch.no_grad()
    def drive(self) -> Tensor:
        """Chooses an action for every row and keeps it in the replay."""
        world = self.world
        distribution, value = self.policy.evaluate(world.observation)
        log = distribution.log_probabilities  # pyright: ignore[reportAttributeAccessIssue]
        entropy = distribution.entropy()
        advantage = self.temperature * log
        if self.settings.exploration == "soft":
            action = distribution.sample(self.generator)
            centre = -self.temperature * entropy  # Σ π τ log π
        else:
            random = torch.rand(len(value), generator=self.generator) < self.epsilon
            anything = torch.randint(0, log.shape[1], (len(value),), generator=self.generator)
            action = torch.where(random, anything, log.argmax(-1))
            centre = advantage.max(-1).values
        chosen = advantage.gather(1, action.unsqueeze(1)).squeeze(1) - centre
        action_value = value + world.dt / REFERENCE_STEP * chosen
        self.replay.before(world, action, value, action_value)
        learning = world.active & world.learn
        self.samples += int(learning.sum())
        self.figures["entropy"] = entropy[learning].mean()
        self.figures["action_spread"] = advantage[learning].std(-1).mean()
        self.figures["value_spread"] = value[learning].std()
        if self.settings.exploration == "soft":
            self._steer_temperature(float(self.figures["entropy"]))
        return action

    def _steer_temperature(self, entropy: float) -> None:
        """Moves τ so that the entropy goes where the schedule has it."""
        start, end = self.settings.entropy
        done = min(1.0, self.samples / self.settings.entropy_samples)
        wanted = start + (end - start) * done
        self.temperature *= math.exp(0.1 * (wanted - entropy))
        self.temperature = min(max(self.temperature, 1e-4), 10.0)

    def learn(self) -> None:
        """Takes the optimiser steps that one step of the world allows."""
        settings = self.settings
        if self.replay.head <= self.replay.reach + 4:
            return
        self._owed += settings.reuse * int(self.replay.learn[self._newest].sum())
        while self._owed >= settings.batch:
            self._owed -= settings.batch
            self._improve(self.replay.draw(settings.batch, settings.compensation, self.generator))
        self._write_heads()

    @property
    def _newest(self) -> int:
        return (self.replay.head - 1) % self.replay.capacity

    def _improve(self, draw: Draw) -> None:
        """One optimiser step."""
        self.optimizer.zero_grad()
        errors, losses = [], []
        for start in range(0, len(draw.place), CHUNK_ROWS):
            part = Draw(*(tensor[start : start + CHUNK_ROWS] for tensor in draw))
            loss, error = self.loss(part)
            (loss.sum() / len(draw.place)).backward()
            losses.append(loss.detach())
            errors.append(error)
        norm = nn.utils.clip_grad_norm_(self.parameters, self.settings.gradient_norm)
        self.optimizer.step()
        with torch.no_grad():
            slow, quick = list(self.target.parameters()), self.parameters
            torch._foreach_lerp_(slow, quick, self.settings.target_rate)  # pyright: ignore
        error = torch.cat(errors)
        self.replay.reweigh(draw.place, error)
        self.optimiser_steps += 1
        self.figures |= {
            "loss": torch.cat(losses).mean(),
            "error": error.abs().mean(),
            "gradient_norm": norm,
        }

    def loss(self, draw: Draw) -> tuple[Tensor, Tensor]:
        """Loss of each transition, weighed, and by how much its mean was off."""
        with torch.no_grad():
            following = self.target.value_of(draw.following)
            target = draw.gained.unsqueeze(1) + draw.carried.unsqueeze(1) * following
        value, advantage = self.network(draw.observation)
        temperature = self.temperature if self.settings.exploration == "soft" else None
        weights = choice_weights(advantage.detach().mean(-1), temperature).unsqueeze(-1)
        rows = torch.arange(len(draw.action))
        chosen = advantage[rows, draw.action] - (weights * advantage).sum(1)
        predicted = value + (draw.dt / REFERENCE_STEP).unsqueeze(1) * chosen
        error = target.mean(1) - predicted.detach().mean(1)
        return quantile_loss(predicted, target) * draw.weight, error

    @torch.no_grad()
    def _write_heads(self) -> None:
        """Makes the policy's heads the means of the quantiles, its logits A / τ."""
        network, choices, count = self.network, self.network.choices, self.settings.quantiles
        heads = ((self.policy.action_head, network.advantage, self.temperature, choices),)
        for head, source, scale, outputs in (*heads, (self.policy.value_head, network.value, 1, 1)):
            head.weight.copy_(source.weight.view(outputs, count, -1).mean(1) / scale)
            head.bias.copy_(source.bias.view(outputs, count).mean(1) / scale)
