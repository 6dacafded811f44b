"""The simulator as a `World`: zero-copy torch views on its arrays."""

from __future__ import annotations

import zlib
from collections.abc import Mapping

import numpy as np
import torch
import warp as wp
from numpy.typing import NDArray
from torch import Tensor

from gigalane.core.settings import SettingsError
from gigalane.sim.advice import Advisor
from gigalane.sim.guard import Guard
from gigalane.sim.simulator import Simulator, Snapshot


class VectorWorld:
    """Rows are the simulator's (world, agent) slots, flattened; see `World` for the protocol."""

    def __init__(self, simulator: Simulator, guard: Guard | None = None) -> None:
        """Lays torch views over the simulator's memory.

        Args:
            simulator: the worlds.
            guard: looks at every step, where there is one.

        Raises:
            SettingsError: the worlds are on a GPU that this build of torch cannot use.
        """
        self.simulator, self.guard = simulator, guard
        follow_torch(simulator.device)
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
        self._advisor: Advisor | None = None

    def reset(self, seed: int) -> None:
        """Starts every world anew."""
        follow_torch(self.simulator.device)
        self.simulator.reset(seed)
        if self.guard:
            self.guard.begin()

    def step(self, actions: Tensor) -> None:
        """Moves all rows by one time step, in torch's current stream, without waiting for it."""
        follow_torch(self.simulator.device)
        if self.action_space.is_discrete:
            self._action[:, 0].copy_(actions)
        else:
            self._action[:, : self.action_space.size].copy_(actions)
        self.simulator.step()
        if self.guard:
            self.guard.note()

    def check(self) -> None:
        """Reads what the guard noted of the steps so far; waits for the device.

        Raises:
            SimulationError: if a number left all bounds.
        """
        if self.guard:
            follow_torch(self.simulator.device)
            self.guard.check()

    def advise(self) -> Tensor:
        """What the scripted driver would do in each learner's place; see `AdvisedWorld`.

        Raises:
            SettingsError: if actions are neither discrete jerks nor accelerations and steering.
        """
        follow_torch(self.simulator.device)
        if self._advisor is None:
            self._advisor = Advisor(self.simulator)
        self._advisor.look()
        return self._rows(self._advisor.advice)

    def state_dict(self) -> dict[str, Tensor]:
        """Everything that changes from step to step, as bytes by name."""
        follow_torch(self.simulator.device)
        arrays = self.simulator.snapshot().arrays
        arrays["maps"] = self._map_checksums()
        return {
            name: torch.from_numpy(np.frombuffer(values.tobytes(), np.uint8).copy())
            for name, values in arrays.items()
        }

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Goes back to where `state_dict` was taken.

        Raises:
            ValueError: if the state is of a simulator of another shape or on other maps.
        """
        if state["maps"].numpy().tobytes() != self._map_checksums().tobytes():
            raise ValueError("world/maps: the state was saved on other maps")
        follow_torch(self.simulator.device)
        arrays = {}
        for name, like in self.simulator.snapshot().arrays.items():
            values = state[name].numpy().tobytes()
            if len(values) != like.nbytes:
                raise ValueError(f"world/{name}: {len(values)} bytes saved, {like.nbytes} needed")
            arrays[name] = np.frombuffer(values, like.dtype).reshape(like.shape)
        self.simulator.restore(Snapshot(arrays))
        if self.guard:
            self.guard.begin()

    def _map_checksums(self) -> NDArray[np.uint32]:
        """One number a map: places in a saved state are rows of exactly these maps."""
        return np.array([zlib.crc32(m.segments.tobytes()) for m in self.simulator.maps], np.uint32)

    def _rows(self, array: wp.array) -> Tensor:
        """A view with one row a slot."""
        tensor = wp.to_torch(array)
        return tensor.view(self.row_count, *tensor.shape[2:])


def follow_torch(device: str) -> None:
    """Has Warp work in torch's current stream, so that neither needs to wait for the other.

    Work of one stream is done in the order it was asked for: what torch computes is there when
    a kernel of the simulator reads it, and the other way round. On a CPU nothing is to be done.

    Args:
        device: Warp's name of it.

    Raises:
        SettingsError: this build of torch has no such device.
    """
    warp_device = wp.get_device(device)
    if warp_device.is_cpu:
        return
    if not torch.cuda.is_available():
        raise SettingsError(f"device {device!r}: this build of torch cannot use it; install CUDA's")
    torch_stream = torch.cuda.current_stream(warp_device.ordinal)
    if (warp_device.stream.cuda_stream or 0) != torch_stream.cuda_stream:
        wp.set_stream(wp.stream_from_torch(torch_stream), warp_device, sync=True)
