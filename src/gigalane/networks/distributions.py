"""Distributions over actions, one interface for all families.

What learns from a policy (PPO, distillation, DAgger) calls only `Distribution`, so it never
knows which family is inside. Everything has one row an agent; batches are (rows, …).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor
from torch.nn import functional

from gigalane.sim.control import ActionSpace


class Distribution(ABC):
    """A probability distribution over actions, one for each row."""

    @abstractmethod
    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        """Draws an action for each row, without gradient."""

    @abstractmethod
    def mode(self) -> Tensor:
        """The most likely action of each row: what a greedy actor does."""

    @abstractmethod
    def log_prob(self, action: Tensor) -> Tensor:
        """Natural logarithm of the probability (density) of `action`, (rows,)."""

    @abstractmethod
    def entropy(self) -> Tensor:
        """Entropy [nat], (rows,)."""

    @abstractmethod
    def kl(self, other: Distribution) -> Tensor:
        """Kullback-Leibler divergence from this distribution to `other` [nat], (rows,).

        Both must be of one family.
        """


class Categorical(Distribution):
    """A choice among finitely many actions.

    Attributes:
        log_probabilities: (rows, choices) float32.
    """

    def __init__(self, logits: Tensor) -> None:
        """Normalises `logits`, (rows, choices)."""
        self.log_probabilities = functional.log_softmax(logits.float(), dim=-1)

    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        """Draws an index for each row, (rows,) int64, by inverting the cumulative sum."""
        cumulative = self.log_probabilities.detach().exp().cumsum(-1)
        threshold = torch.rand(
            (*cumulative.shape[:-1], 1), generator=generator, device=cumulative.device
        )
        # The last sum may round below 1; scaling by it keeps the index inside.
        index = (cumulative <= threshold * cumulative[..., -1:]).sum(-1)
        return index.clamp_(max=cumulative.shape[-1] - 1)

    def mode(self) -> Tensor:
        """The index of the most likely action, (rows,) int64."""
        return self.log_probabilities.argmax(-1)

    def log_prob(self, action: Tensor) -> Tensor:
        """Log-probability of the indices `action`, (rows,) int64."""
        return self.log_probabilities.gather(-1, action.long().unsqueeze(-1)).squeeze(-1)

    def entropy(self) -> Tensor:
        """-Σ p log p."""
        return -(self.log_probabilities.exp() * self.log_probabilities).sum(-1)

    def kl(self, other: Distribution) -> Tensor:
        """Σ p (log p - log q)."""
        assert isinstance(other, Categorical)
        difference = self.log_probabilities - other.log_probabilities
        return (self.log_probabilities.exp() * difference).sum(-1)


class Gaussian(Distribution):
    """Independent normal distributions, one for each number of a continuous action.

    Actions are not squashed: the world clips what it cannot execute.

    Attributes:
        mean: (rows, size) float32.
        log_std: (rows, size) or (size,) float32, natural logarithm of the standard deviation.
    """

    def __init__(self, mean: Tensor, log_std: Tensor) -> None:
        """Keeps the parameters in float32."""
        self.mean = mean.float()
        self.log_std = log_std.float().expand_as(self.mean)

    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        """Draws an action for each row, (rows, size) float32."""
        noise = torch.randn(self.mean.shape, generator=generator, device=self.mean.device)
        return self.mean.detach() + self.log_std.detach().exp() * noise

    def mode(self) -> Tensor:
        """The mean, (rows, size)."""
        return self.mean

    def log_prob(self, action: Tensor) -> Tensor:
        """Log-density of `action`, (rows, size), summed over its numbers."""
        scaled = (action - self.mean) * torch.exp(-self.log_std)
        return -(0.5 * scaled.square() + self.log_std + 0.5 * math.log(2 * math.pi)).sum(-1)

    def entropy(self) -> Tensor:
        """Σ (log σ + ½ log 2πe)."""
        return (self.log_std + 0.5 * math.log(2 * math.pi * math.e)).sum(-1)

    def kl(self, other: Distribution) -> Tensor:
        """Σ (log σ₂/σ₁ + (σ₁² + (μ₁ - μ₂)²) / 2σ₂² - ½)."""
        assert isinstance(other, Gaussian)
        variance = torch.exp(2 * (self.log_std - other.log_std))
        shift = ((self.mean - other.mean) * torch.exp(-other.log_std)).square()
        return (other.log_std - self.log_std + 0.5 * (variance + shift - 1)).sum(-1)


def parameter_count(action_space: ActionSpace) -> int:
    """Numbers a network must give for the distribution over `action_space`."""
    return action_space.choices if action_space.is_discrete else 2 * action_space.size


def from_parameters(action_space: ActionSpace, parameters: Tensor) -> Distribution:
    """Builds the distribution that a network's numbers stand for.

    Args:
        action_space: discrete gives a `Categorical`, continuous a `Gaussian` whose numbers are
            in units of `action_space.scale`.
        parameters: (rows, parameter_count(action_space)).

    Returns:
        One distribution a row.
    """
    if action_space.is_discrete:
        return Categorical(parameters)
    mean, log_std = parameters.chunk(2, dim=-1)
    # Bounds keep exp() finite early in training; [-5, 1] spans 0.007 to 2.7 times the scale.
    log_std = log_std.clamp(-5.0, 1.0)
    if action_space.scale:
        scale = mean.new_tensor(action_space.scale)
        mean, log_std = mean * scale, log_std + scale.log()
    return Gaussian(mean, log_std)
