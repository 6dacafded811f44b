"""Distributions over actions, one interface for all families.

What learns from a policy (PPO, distillation, DAgger) calls only `Distribution`, so it never
knows which family is inside. Everything has one row an agent; batches are (rows, …).
Mixtures are in `gigalane.networks.mixtures`.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from gigalane.sim.control import ActionSpace

Bounds = float | Sequence[float]
"""One bound for every number of an action, or one each."""


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
        """Normalises `logits`, (rows, choices); -inf rules a choice out."""
        # The least finite number stands for log 0, so that 0 log 0 is 0.
        least = torch.finfo(torch.float32).min
        self.log_probabilities = functional.log_softmax(logits.float(), dim=-1).clamp(min=least)

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


class Beta(Distribution):
    """Independent Beta distributions, one for each number of an action between two bounds.

    Densities are over the action in its own units. Computed in float64: the logarithm of the
    Beta function is a small difference of large numbers where the parameters are large.

    Attributes:
        alpha: (rows, size) float64, above 0: how strongly the upper bound draws.
        beta: (rows, size) float64, above 0: how strongly the lower bound draws.
        low: (size,) float64, lower bounds of the action.
        span: (size,) float64, upper bounds minus lower ones.
    """

    EDGE = 1e-6
    """Actions this near to a bound, as a share of the span, count as this far from it: there a
    density may be infinite (chosen: about the spacing of float32 at 1, times eight)."""

    def __init__(self, alpha: Tensor, beta: Tensor, low: Bounds = -1.0, high: Bounds = 1.0) -> None:
        """Keeps the parameters.

        Args:
            alpha: (rows, size), above 0.
            beta: (rows, size), above 0.
            low: lower bound of every number, or one each.
            high: upper bound.
        """
        self.alpha, self.beta = alpha.double(), beta.double()
        self.low = torch.as_tensor(low, dtype=torch.float64, device=alpha.device)
        upper = torch.as_tensor(high, dtype=torch.float64, device=alpha.device)
        self.span = (upper - self.low).expand(alpha.shape[-1])

    @classmethod
    def from_parameters(
        cls, parameters: Tensor, low: Bounds = -1.0, high: Bounds = 1.0, offset: float = 1e-3
    ) -> Beta:
        """Builds the distribution that a network's numbers stand for.

        Args:
            parameters: (rows, 2 * size): first those of alpha, then those of beta.
            low: lower bound of every number, or one each.
            high: upper bound.
            offset: added to the softplus. Roach adds nothing; this little keeps both
                parameters above 0 in floating point (chosen). 1 makes every density unimodal.

        Returns:
            One distribution a row.
        """
        alpha, beta = (functional.softplus(parameters.double()) + offset).chunk(2, dim=-1)
        return cls(alpha, beta, low, high)

    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        """Draws an action for each row, (rows, size) float32."""
        # Of two gamma variates G the share G1 / (G1 + G2) is Beta. G of a small shape a is
        # G(a + 1) U^(1/a), which only its logarithm can hold.
        logs = []
        for shape in (self.alpha.detach(), self.beta.detach()):
            uniform = torch.rand(
                shape.shape, generator=generator, dtype=torch.float64, device=shape.device
            )
            # torch.distributions draws from the same function, but takes no generator.
            gamma = torch._standard_gamma(shape + 1.0, generator)  # pyright: ignore[reportPrivateImportUsage]
            logs.append(gamma.log() + uniform.clamp(min=1e-300).log() / shape)
        share = torch.sigmoid(logs[0] - logs[1]).clamp(self.EDGE, 1.0 - self.EDGE)
        return self._action(share)

    def mode(self) -> Tensor:
        """The action of greatest density, (rows, size) float32.

        Inside the bounds where both parameters exceed 1; at the bound that alone draws; and the
        mean where both bounds do or the density is flat (Roach, arXiv 2108.08265).
        """
        alpha, beta = self.alpha, self.beta
        inside = (alpha > 1.0) & (beta > 1.0)
        between = (alpha - 1.0) / torch.where(inside, alpha + beta - 2.0, 1.0)
        share = torch.where(inside, between, alpha / (alpha + beta))
        share = torch.where((alpha <= 1.0) & (beta > 1.0), 0.0, share)
        share = torch.where((beta <= 1.0) & (alpha > 1.0), 1.0, share)
        return self._action(share)

    def mean(self) -> Tensor:
        """The expected action, (rows, size) float32."""
        return self._action(self.alpha / (self.alpha + self.beta))

    def log_prob(self, action: Tensor) -> Tensor:
        """Log-density of `action`, (rows, size), summed over its numbers."""
        share = ((action.double() - self.low) / self.span).clamp(self.EDGE, 1.0 - self.EDGE)
        log_density = (
            (self.alpha - 1.0) * share.log()
            + (self.beta - 1.0) * torch.log1p(-share)
            - self._log_beta()
            - self.span.log()
        )
        return log_density.sum(-1).float()

    def entropy(self) -> Tensor:
        """Σ (log B(α, β) - (α - 1) ψ(α) - (β - 1) ψ(β) + (α + β - 2) ψ(α + β) + log span)."""
        alpha, beta = self.alpha, self.beta
        both = torch.digamma(alpha + beta)
        drawn = (alpha - 1.0) * (both - torch.digamma(alpha))
        drawn = drawn + (beta - 1.0) * (both - torch.digamma(beta))
        return (self._log_beta() + drawn + self.span.log()).sum(-1).float()

    def kl(self, other: Distribution) -> Tensor:
        """Σ over numbers, see `kl_of_each`."""
        return self.kl_of_each(other).sum(-1)

    def kl_of_each(self, other: Distribution) -> Tensor:
        """Divergence of each number of the action [nat], (rows, size).

        log B(α₂, β₂)/B(α₁, β₁) + (α₁ - α₂)(ψ(α₁) - ψ(α₁ + β₁)) + (β₁ - β₂)(ψ(β₁) - ψ(α₁ + β₁)).
        Roach weighs them apart: its event priors speak of one number only.
        """
        assert isinstance(other, Beta)
        both = torch.digamma(self.alpha + self.beta)
        drawn = (self.alpha - other.alpha) * (torch.digamma(self.alpha) - both)
        drawn = drawn + (self.beta - other.beta) * (torch.digamma(self.beta) - both)
        return (other._log_beta() - self._log_beta() + drawn).float()

    def _log_beta(self) -> Tensor:
        """Logarithm of the Beta function of the parameters, (rows, size)."""
        alpha, beta = self.alpha, self.beta
        return torch.lgamma(alpha) + torch.lgamma(beta) - torch.lgamma(alpha + beta)

    def _action(self, share: Tensor) -> Tensor:
        """Shares of the span as an action."""
        return (self.low + self.span * share).float()


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
