"""What every policy of our own has in common: chunks, decisions, values.

A policy says what its network makes of a row (`parameters_and_value`) and which distribution
those numbers stand for (`distribution`); who acts, learns or measures needs no more.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from gigalane.networks.chunks import run_chunks
from gigalane.networks.distributions import Distribution
from gigalane.networks.layers import Precision
from gigalane.sim.control import ActionSpace
from gigalane.sim.layout import RowLayout

Layout = TypeVar("Layout", bound=RowLayout)
Settings = TypeVar("Settings")


class Decision(NamedTuple):
    """What a policy chose for a batch of rows, and what it thought of it.

    Attributes:
        action: as `Policy.act` returns it.
        log_prob: (rows,) float32, logarithm of the probability (density) of the action.
        value: (rows,) float32, the return expected from here on.
    """

    action: Tensor
    log_prob: Tensor
    value: Tensor


class Chunks(NamedTuple):
    """How a batch goes through a network.

    Attributes:
        rows: that go through it at once.
        pads: whether the last chunk is filled up: library products round by the number of rows,
            so there must always be as many.
    """

    rows: int
    pads: bool = True


class ActorCritic(nn.Module, ABC, Generic[Layout, Settings]):
    """A network that chooses actions and tells the value of what it sees.

    Attributes:
        layout: what a row of observations holds.
        action_space: what an action means.
        settings: sizes of the network.
        threads: threads that share the chunks of a batch on a CPU.
        value_head: the last layer before the value.
    """

    layout: Layout
    action_space: ActionSpace
    settings: Settings
    threads: int
    value_head: nn.Linear

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.value_head.weight.device

    @property
    @abstractmethod
    def gradient_rows(self) -> int:
        """Rows whose gradient is computed at once on this device."""

    @abstractmethod
    def set_precision(self, precision: Precision) -> None:
        """Chooses what wide products are computed in; the weights stay float32."""

    @abstractmethod
    def parameters_and_value(self, observation: Tensor) -> tuple[Tensor, Tensor]:
        """Runs the network on rows as they come, with gradient.

        Args:
            observation: (rows, layout.width).

        Returns:
            Numbers of the action distribution (rows, parameter_count), and values (rows,),
            float32.
        """

    @property
    @abstractmethod
    def parameter_count(self) -> int:
        """Numbers that the network gives for the distribution of a row."""

    @abstractmethod
    def distribution(self, parameters: Tensor) -> Distribution:
        """What the numbers (rows, parameter_count) stand for: one distribution a row."""

    @abstractmethod
    def chunks(self, observation: Tensor, threads: int) -> Chunks:
        """How this batch goes through the network on that many threads."""

    def forward(self, observation: Tensor) -> tuple[Distribution, Tensor]:
        """Distribution over actions and value of each row, with gradient."""
        parameters, value = self.parameters_and_value(observation)
        return self.distribution(parameters), value

    def evaluate(self, observation: Tensor) -> tuple[Distribution, Tensor]:
        """`forward` without gradient, in chunks: a row's result is the same in any batch."""
        shapes = ((self.parameter_count,), ())
        parameters, value = self.in_chunks(self.parameters_and_value, observation, shapes)
        return self.distribution(parameters), value

    @torch.no_grad()
    def in_chunks(
        self,
        network: Callable[[Tensor], Sequence[Tensor]],
        observation: Tensor,
        shapes: Sequence[tuple[int, ...]],
    ) -> list[Tensor]:
        """Runs a part of the network without gradient, as `evaluate` does.

        Args:
            network: of this policy; maps rows to some tensors that lead with the rows.
            observation: (rows, layout.width).
            shapes: of what each of the tensors holds of a row.

        Returns:
            The tensors, (rows, …) float32.
        """
        rows = len(observation)
        threads = self.threads if self.device.type == "cpu" else 1
        chunk_rows, pads = self.chunks(observation, threads)
        count = -(-rows // chunk_rows)
        padded = count * chunk_rows if pads else rows
        results = [torch.empty(padded, *shape, device=observation.device) for shape in shapes]

        def run(chunk: int) -> None:
            part = slice(chunk * chunk_rows, (chunk + 1) * chunk_rows)
            chunk_observation = observation[part]
            missing = chunk_rows - len(chunk_observation)
            if missing and pads:
                chunk_observation = nn.functional.pad(chunk_observation, (0, 0, 0, missing))
            with torch.no_grad():  # this setting belongs to each thread
                for result, values in zip(results, network(chunk_observation), strict=True):
                    result[part] = values

        run_chunks(run, count, threads)
        return [result[:rows] for result in results]

    def decide(
        self, observation: Tensor, generator: torch.Generator | None = None, greedy: bool = False
    ) -> Decision:
        """Chooses actions and tells their probability and the value of each row."""
        distribution, value = self.evaluate(observation)
        action = self.settle(distribution) if greedy else distribution.sample(generator)
        return Decision(action, distribution.log_prob(action), value)

    def act(
        self, observation: Tensor, generator: torch.Generator | None = None, greedy: bool = False
    ) -> Tensor:
        """Chooses actions; see `Policy.act`."""
        distribution, _ = self.evaluate(observation)
        return self.settle(distribution) if greedy else distribution.sample(generator)

    def settle(self, distribution: Distribution) -> Tensor:
        """The action of each row where none is drawn: the most likely."""
        return distribution.mode()


AnyPolicy = ActorCritic[Any, Any]
"""A policy of whichever kind."""
