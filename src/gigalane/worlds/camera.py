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
from gigalane.worlds.birdview import BirdviewWorld
from gigalane.worlds.vector import VectorWorld

BEFORE = "camera.before"
"""Name of the images of before in a saved state."""


class CameraWorld:
    """A `World` around the simulator's; all but the observation is the simulator's own memory.

    Attributes:
        inner: the world that is looked at.
        vector: the simulator's own world in it.
        renderer: who draws it.
        layout: what a row holds.
        observation: (row_count, layout.width) uint8. Where an episode has just begun the images
            of before are those of now.
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
        self.inner = inner
        self.vector = vector = inner if isinstance(inner, VectorWorld) else inner.inner
        self.renderer = CameraRenderer(vector.simulator, rig, road_maps, appearance=appearance)
        self.layout = CameraLayout(rig, inner.layout.given, tells_lane)
        self.row_count, self.action_space = inner.row_count, inner.action_space
        self.reward_names, self.event_names = inner.reward_names, inner.event_names
        self.active, self.learn, self.dt = inner.active, inner.learn, inner.dt
        self.reward, self.reward_terms = inner.reward, inner.reward_terms
        self.terminated, self.truncated = inner.terminated, inner.truncated
        self.events = inner.events
        self.observation = torch.zeros(self.row_count, self.layout.width, dtype=torch.uint8)
        images = self.layout.images_of(self.observation)
        self._now, self._before = images[..., :3], images[..., 3:]
        self._drawn = torch.from_numpy(self.renderer.image("rgb")).flatten(0, 1)
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
        self._before.copy_(self._now)
        self._look()
        rows = is_new.nonzero().squeeze(-1)
        self._before[rows] = self._now[rows]

    def change_appearance(self, appearance: Appearance) -> None:
        """Has the worlds look different from now on; the images of before are those of now."""
        self.renderer.change_appearance(appearance)
        self._begin()

    def advise(self) -> Tensor:
        """See `AdvisedWorld`."""
        return self.inner.advise()

    def check(self) -> None:
        """See `GuardedWorld`."""
        self.inner.check()

    def state_dict(self) -> dict[str, Tensor]:
        """Everything that changes from step to step, as bytes by name; images of now are not."""
        return self.inner.state_dict() | {BEFORE: self._before.contiguous().flatten()}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Goes back to where `state_dict` was taken.

        Raises:
            ValueError: if the state is of worlds of another shape, on other maps, or of other
                cameras.
        """
        before = state[BEFORE]
        if before.numel() != self._before.numel():
            raise ValueError(
                f"world/{BEFORE}: {before.numel()} bytes saved, {self._before.numel()} needed"
            )
        self.inner.load_state_dict({n: t for n, t in state.items() if n != BEFORE})
        self._look()
        self._before.copy_(before.view(self._before.shape))

    def _begin(self) -> None:
        """Looks where nobody has looked before."""
        self._look()
        self._before.copy_(self._now)

    def _look(self) -> None:
        """Draws the images of now."""
        self.renderer.render()
        self._now.copy_(self._drawn)
        self.layout.put_given(self.vector.observation[:, : self.layout.given], self.observation)
