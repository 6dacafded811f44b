"""A world whose rows are pictures from above.

Its observation is one row of bytes a road user (`gigalane.networks.birdview`), so that roll-outs,
learners and saved states treat it as any other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
import warp as wp
from torch import Tensor

from gigalane.maps.road import RoadMap
from gigalane.networks.birdview import BirdviewLayout
from gigalane.render.birdview import BirdviewRenderer, BirdviewSettings, BirdviewSnapshot
from gigalane.worlds.around import WorldAround
from gigalane.worlds.vector import VectorWorld, follow_torch

OTHERS = ("vehicles", "walkers")
"""Groups of channels that show other road users."""
PREFIX = "birdview."
"""Of what the raster remembers, in a saved state."""


class BirdviewWorld(WorldAround[VectorWorld]):
    """A `World` around the simulator's; all but the observation is the simulator's own memory.

    Attributes:
        inner: the world that is looked at.
        renderer: who draws it.
        layout: what a row holds.
        observation: (row_count, layout.width) uint8.
    """

    def __init__(
        self,
        inner: VectorWorld,
        birdview: BirdviewSettings | None = None,
        road_maps: Sequence[RoadMap] | None = None,
    ) -> None:
        """Draws the first rows.

        Args:
            inner: the worlds.
            birdview: what is drawn; by default what suits a CPU.
            road_maps: the simulator's maps with their paint.

        Raises:
            SettingsError: the number of road maps is another than the simulator's.
        """
        super().__init__(inner)
        follow_torch(inner.simulator.device)
        maps = None if road_maps is None else list(road_maps)
        birdview = birdview or BirdviewSettings.small()
        self.renderer = BirdviewRenderer(inner.simulator, birdview, maps)
        self.layout = BirdviewLayout(birdview, inner.layout.given)
        self.observation = torch.zeros(
            self.row_count, self.layout.width, dtype=torch.uint8, device=inner.observation.device
        )
        self._hidden = self._bits_of_others() if self._is_blind else 0
        self._look()

    def reset(self, seed: int) -> None:
        """Starts every world anew; nothing is remembered."""
        self.inner.reset(seed)
        self.renderer.reset()
        self._look()

    def step(self, actions: Tensor) -> None:
        """Moves all rows by one time step and looks."""
        self.inner.step(actions)
        self._look()

    def advise(self) -> Tensor:
        """See `AdvisedWorld`."""
        return self.inner.advise()

    def state_dict(self) -> dict[str, Tensor]:
        """Everything that changes from step to step, as bytes by name; rows are drawn anew."""
        past = self.renderer.snapshot().arrays
        remembered = {
            PREFIX + name: torch.from_numpy(np.frombuffer(values.tobytes(), np.uint8).copy())
            for name, values in past.items()
        }
        return self.inner.state_dict() | remembered

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Goes back to where `state_dict` was taken.

        Raises:
            ValueError: if the state is of worlds of another shape, on other maps, or of rasters
                that remember another time.
        """
        past = {}
        for name, like in self.renderer.snapshot().arrays.items():
            values = state[PREFIX + name].numpy().tobytes()
            if len(values) != like.nbytes:
                raise ValueError(
                    f"world/{PREFIX}{name}: {len(values)} bytes saved, {like.nbytes} needed"
                )
            past[name] = np.frombuffer(values, like.dtype).reshape(like.shape)
        self.inner.load_state_dict({n: t for n, t in state.items() if not n.startswith(PREFIX)})
        self.renderer.restore(BirdviewSnapshot(past))
        self._look()

    @property
    def _is_blind(self) -> bool:
        """Whether nobody is to see anybody."""
        return not self.inner.simulator.settings.observation.see_partners

    def _bits_of_others(self) -> int:
        """The bits of a pixel that show other road users."""
        planes = enumerate(self.layout.birdview.planes)
        return sum(1 << bit for bit, plane in planes if plane.channel.startswith(OTHERS))

    def _look(self) -> None:
        """Draws every row as the simulator stands."""
        follow_torch(self.inner.simulator.device)
        rasters = wp.to_torch(self.renderer.render())
        if self._hidden:
            rasters = rasters & ~self._hidden
        self.layout.pack(rasters, self.inner.observation[:, : self.layout.given], self.observation)
