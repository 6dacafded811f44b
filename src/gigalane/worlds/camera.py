"""A world whose rows are what cameras see.

Its observation is one row of bytes a road user (`gigalane.networks.camera_rows`), so that
roll-outs, learners and saved states treat it as any other. What the driver of the simulator is
shown is still there, as `vector.observation`: teachers look at that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from gigalane.maps.road import RoadMap
from gigalane.networks.camera_rows import CameraLayout
from gigalane.render.appearance import Appearance
from gigalane.render.camera import Rig
from gigalane.render.renderer import CameraRenderer
from gigalane.render.scenery import Scenery
from gigalane.worlds.around import WorldAround
from gigalane.worlds.birdview import BirdviewWorld
from gigalane.worlds.vector import VectorWorld

BEFORE_S = 0.5
"""How long before now the other images are of [s], to the nearest time step. Within one step of a
tenth of a second most others move by less than a pixel."""
MOST_STEPS = 10
"""Steps that are looked back at most: worlds with very short steps look back less far."""
PREFIX = "camera."
"""Of what is remembered, in a saved state."""


class CameraWorld(WorldAround[VectorWorld | BirdviewWorld]):
    """A `World` around the simulator's; all but the observation is the simulator's own memory.

    Attributes:
        inner: the world that is looked at.
        vector: the simulator's own world in it.
        renderer: who draws it.
        layout: what a row holds.
        observation: (row_count, layout.width) uint8. Where an episode is younger than `BEFORE_S`
            the images of before are its first.
    """

    def __init__(
        self,
        inner: VectorWorld | BirdviewWorld,
        rig: Rig,
        road_maps: Sequence[RoadMap | Scenery],
        appearance: Appearance | None = None,
        *,
        tells_lane: bool = False,
    ) -> None:
        """Draws the first images.

        Args:
            inner: the worlds, on the CPU; from above too, where a coach looks at them.
            rig: the cameras of every road user.
            road_maps: the simulator's maps in its order.
            appearance: what the worlds look like; one fixed clear day by default.
            tells_lane: see `CameraLayout`.

        Raises:
            SettingsError: the maps do not match the simulator's.
        """
        super().__init__(inner)
        self.vector = vector = inner if isinstance(inner, VectorWorld) else inner.inner
        self.renderer = CameraRenderer(vector.simulator, rig, road_maps, appearance=appearance)
        self.layout = CameraLayout(rig, inner.layout.given, tells_lane)
        self.observation = torch.zeros(self.row_count, self.layout.width, dtype=torch.uint8)
        images = self.layout.images_of(self.observation)
        self._now, self._before = images[..., :3], images[..., 3:]
        self._drawn = torch.from_numpy(self.renderer.image("rgb")).flatten(0, 1)
        steps = vector.simulator.settings.time_steps
        depth = 1 + max(_steps_back(torch.tensor(steps)).tolist())
        self._kept = torch.zeros(depth, *self._drawn.shape, dtype=torch.uint8)
        self._count = torch.zeros(1, dtype=torch.int64)
        self._age = torch.zeros(self.row_count, dtype=torch.int64)
        self._begin()

    def reset(self, seed: int) -> None:
        """Starts every world anew."""
        self.inner.reset(seed)
        self._begin()

    def step(self, actions: Tensor) -> None:
        """Moves all rows by one time step and looks."""
        # A row that is not active gets its next road user during this step.
        is_new = ~self.active
        self.inner.step(actions)
        self.follow(is_new)

    def follow(self, is_new: Tensor) -> None:
        """Looks after the inner world has moved by one time step.

        Args:
            is_new: (row_count,) bool, rows that nobody drove before it.
        """
        self._count += 1
        self._age += 1
        self._age[is_new] = 0
        self._look()

    def change_appearance(self, appearance: Appearance) -> None:
        """Has the worlds look different from now on; nothing is remembered of before."""
        self.renderer.change_appearance(appearance)
        self._begin()

    def advise(self) -> Tensor:
        """See `AdvisedWorld`."""
        return self.inner.advise()

    def state_dict(self) -> dict[str, Tensor]:
        """Everything that changes from step to step, as bytes by name."""
        kept = {PREFIX + name: values.clone() for name, values in self._memory().items()}
        return self.inner.state_dict() | kept

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Goes back to where `state_dict` was taken.

        Raises:
            ValueError: if the state is of worlds of another shape, on other maps, or of other
                cameras.
        """
        for name, values in self._memory().items():
            saved = state[PREFIX + name]
            if saved.shape != values.shape:
                raise ValueError(
                    f"world/{PREFIX}{name}: {tuple(saved.shape)} saved, {tuple(values.shape)} here"
                )
        self.inner.load_state_dict({n: t for n, t in state.items() if not n.startswith(PREFIX)})
        for name, values in self._memory().items():
            values.copy_(state[PREFIX + name])
        self._look()

    def _memory(self) -> dict[str, Tensor]:
        """What this world remembers itself, by name."""
        return {"kept": self._kept, "count": self._count, "age": self._age}

    def _begin(self) -> None:
        """Looks where nobody has looked before."""
        self._age.zero_()
        self._look()

    def _look(self) -> None:
        """Draws the images of now, keeps them, and finds those of before."""
        self.renderer.render()
        self._now.copy_(self._drawn)
        depth, count = len(self._kept), int(self._count)
        self._kept[count % depth] = self._drawn
        back = torch.minimum(_steps_back(self.vector.dt).clamp(max=depth - 1), self._age)
        rows = torch.arange(self.row_count)
        places = (count - back) % depth * self.row_count + rows
        self._before.copy_(self._kept.flatten(0, 1).index_select(0, places))
        self.layout.put_given(self.vector.observation[:, : self.layout.given], self.observation)


def _steps_back(dt: Tensor) -> Tensor:
    """Steps of dt [s] that are nearest to `BEFORE_S`."""
    steps = (BEFORE_S / dt.clamp(min=1e-3)).round().long()
    return steps.clamp(1, MOST_STEPS)
