"""The simulator as a `World`: zero-copy torch views on its arrays."""

from __future__ import annotations

import torch
import warp as wp
from torch import Tensor

from gigalane.sim.simulator import Simulator


class VectorWorld:
    """Rows are the simulator's (world, agent) slots, flattened; see `World` for the protocol."""

    def __init__(self, simulator: Simulator) -> None:
        """Lays torch views over the simulator's memory."""
        self.simulator = simulator
        self.layout = simulator.layout
        self.action_space = simulator.action_space
        self.reward_names = simulator.reward_names
        self.event_names = simulator.event_names
        worlds, agents = simulator.shape
        self.row_count = worlds * agents
        scene = simulator.scene
        self.observation = self._rows(scene.observation)
        self.active = self._rows(scene.active).view(torch.bool)
        self.learn = self._rows(scene.learn).view(torch.bool)
        self.dt = self._rows(scene.row_dt)
        self.reward = self._rows(scene.reward)
        self.terminated = self._rows(scene.terminated).view(torch.bool)
        self.truncated = self._rows(scene.truncated).view(torch.bool)
        self.reward_terms = self._rows(scene.reward_terms)
        self.events = self._rows(scene.events)
        self._action = self._rows(scene.action)

    def reset(self, seed: int) -> None:
        """Starts every world anew."""
        self.simulator.reset(seed)

    def step(self, actions: Tensor) -> None:
        """Moves all rows by one time step."""
        if self.action_space.is_discrete:
            self._action[:, 0].copy_(actions)
        else:
            self._action[:, : self.action_space.size].copy_(actions)
        self.simulator.step()

    def _rows(self, array: wp.array) -> Tensor:
        """A view with one row a slot."""
        tensor = wp.to_torch(array)
        return tensor.view(self.row_count, *tensor.shape[2:])
