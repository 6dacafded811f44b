"""The public renderer: what the cameras of road users see, for all worlds at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import warp as wp
from numpy.typing import NDArray

from gigalane.core.kernels import load_kernels
from gigalane.core.settings import SettingsError
from gigalane.maps.road import RoadMap
from gigalane.render.appearance import Appearance, Textured, looks_of
from gigalane.render.camera import Rig
from gigalane.render.canvas import Canvas, Pictures
from gigalane.render.classes import BASE_COLORS
from gigalane.render.gather import DYNAMIC, OVERHANG
from gigalane.render.lenses import Reach, rig_arrays
from gigalane.render.rasterize import PALETTE, TABLE_SIZE, TEXTURED_SIZE
from gigalane.render.scenery import (
    CELL,
    LAYER_COUNT,
    SPARE,
    Scenery,
    compile_scenery,
    stack_scenery,
)
from gigalane.render.views import render_by_turns, render_each
from gigalane.sim.simulator import Simulator
from gigalane.sim.turns import Team

OUTPUTS = ("rgb", "class_id", "depth", "instance")
GPU_VIEWS = 4096
"""Views that a GPU draws at once; each needs a canvas."""


class CameraRenderer:
    """Images of every camera of every road user, in arrays that are overwritten by `render`.

    The images, each with the shape (worlds, agents, cameras, height, width):

    - `class_id` uint8: index into `gigalane.render.classes.CLASS_NAMES`; 0 in views of slots that
      hold nobody.
    - `depth` float32 [m]: along the camera's axis for a pinhole, along the pixel's ray for a
      fisheye; the camera's `far` for the sky and whatever is farther.
    - `instance` uint16: 1 + slot of a road user, 0 for all else.
    - `rgb` uint8, with a last axis of 3.

    Attributes:
        simulator: whose worlds are looked at.
        rig: the cameras of every car.
        outputs: names of the images that are made.
        agents: the slots that are looked from.
        sceneries: the standing world of each of the simulator's maps.
        appearance: what the worlds look like.
        shape: (worlds, agents, cameras, height, width).
    """

    def __init__(
        self,
        simulator: Simulator,
        rig: Rig,
        maps: Sequence[RoadMap | Scenery] | RoadMap | Scenery,
        *,
        outputs: Sequence[str] = ("rgb",),
        appearance: Appearance | None = None,
        agents: Sequence[int] | None = None,
        reach: Reach | None = None,
        threads: int | None = None,
    ) -> None:
        """Compiles the scenery and allocates the images.

        Args:
            simulator: the worlds.
            rig: the cameras of every car.
            maps: the simulator's maps in its order, as roads or as compiled scenery.
            outputs: which of `OUTPUTS` to make.
            appearance: what the worlds look like; one fixed clear day by default.
            agents: slots that are looked from; all by default.
            reach: how far things are drawn; by default as far as the rig can tell them apart.
            threads: CPU threads; the simulator's by default. Images do not depend on it.

        Raises:
            SettingsError: an unknown output, a slot that is not there, or maps that do not match.
        """
        self.simulator, self.rig = simulator, rig
        self.outputs = tuple(outputs)
        for name in self.outputs:
            if name not in OUTPUTS:
                raise SettingsError(f"outputs: {name!r}; use some of {', '.join(OUTPUTS)}")
        if not self.outputs:
            raise SettingsError(f"outputs: none; use some of {', '.join(OUTPUTS)}")
        worlds, slots = simulator.shape
        self.agents = tuple(range(slots)) if agents is None else tuple(int(a) for a in agents)
        if not self.agents or not all(0 <= a < slots for a in self.agents):
            raise SettingsError(f"agents: {self.agents}; give slots from 0 to {slots - 1}")
        given = [maps] if isinstance(maps, RoadMap | Scenery) else list(maps)
        self.sceneries = self._sceneries(given)
        device = simulator.device
        self._rig, pixels = rig_arrays(rig, reach or Reach.of(rig), device)
        self._scenery = stack_scenery(self.sceneries, device)
        self.shape = (worlds, len(self.agents), len(rig.cameras), rig.size[1], rig.size[0])
        views = int(np.prod(self.shape[:3]))
        self._pictures = self._allocate(views)
        self._on_cpu = wp.get_device(device).is_cpu
        threads = threads or simulator.threads
        rows = min(threads, views) if self._on_cpu else min(views, GPU_VIEWS)
        self._canvas = _canvas(rows, pixels, self._rig, device, self._cells_within_reach())
        self._views, self._rows = views, rows
        load_kernels(render_by_turns if self._on_cpu else render_each, device)
        self._threads = threads
        self.change_appearance(appearance or Appearance())

    def change_appearance(self, appearance: Appearance) -> None:
        """Has the worlds look different from the next image on."""
        self.appearance = appearance
        if isinstance(appearance, Textured) and self._canvas.shades.shape[0] == 0:
            _make_room_for_textures(self._canvas, self._rig.pixels)
        self._canvas.table.zero_()  # no colours are known
        self._looks = looks_of(appearance)
        self._team = Team(self._record, self._views, self._threads) if self._on_cpu else None

    def _sceneries(self, given: Sequence[RoadMap | Scenery]) -> list[Scenery]:
        compiled = self.simulator.maps
        if [one.name for one in given] != [one.name for one in compiled]:
            raise SettingsError(
                f"maps: {[one.name for one in given]}; give the simulator's, in its order: "
                f"{[one.name for one in compiled]}"
            )
        built: dict[tuple[int, int], Scenery] = {}  # a map may be there several times
        sceneries: list[Scenery] = []
        for one, of in zip(given, compiled, strict=True):
            key = id(one), id(of)
            if key not in built:
                built[key] = one if isinstance(one, Scenery) else compile_scenery(one, of)
            sceneries.append(built[key])
        return sceneries

    def _cells_within_reach(self) -> int:
        """Most grid cells that a view may ask for."""
        across = int(2.0 * (self._rig.farthest + OVERHANG) / CELL) + 2
        return min(across**2, max(one.columns * one.rows for one in self.sceneries))

    def _allocate(self, views: int) -> Any:  # noqa: ANN401
        device, pixels = self.simulator.device, self._rig.pixels
        pictures = Pictures()
        kinds = {
            "class_id": (pixels, wp.uint8),
            "depth": (pixels, float),
            "instance": (pixels, wp.uint16),
            "rgb": (3 * pixels, wp.uint8),
        }
        for name, (width, kind) in kinds.items():
            rows = views if name in self.outputs else 0
            setattr(pictures, name, wp.zeros((rows, width), dtype=kind, device=device))
        pictures.agents = wp.array(self.agents, dtype=int, device=device)
        return pictures

    def _record(self, *share: object) -> wp.Launch:
        inputs = [
            self._rig, self._looks, self.simulator.rules, *share, self._scenery,
            self.simulator.road, self.simulator.scene, self._canvas, self._pictures,
        ]  # fmt: skip
        recorded: Any = wp.launch(render_by_turns, 1, inputs, device="cpu", record_cmd=True)
        return recorded

    def render(self) -> dict[str, NDArray[Any] | wp.array]:
        """Draws every view of the worlds as they are now.

        Returns:
            The images by name of output: NumPy views on a CPU, Warp arrays on a GPU. They are
            the same memory at every call.
        """
        if self._team is not None:
            self._team.step()
        else:
            for first in range(0, self._views, self._rows):
                inputs = [
                    self._rig, self._looks, self.simulator.rules, first, self._scenery,
                    self.simulator.road, self.simulator.scene, self._canvas, self._pictures,
                ]  # fmt: skip
                count = min(self._rows, self._views - first)
                wp.launch(render_each, count, inputs, device=self.simulator.device)
        return {name: self.image(name) for name in self.outputs}

    def image(self, name: str) -> Any:  # noqa: ANN401
        """One of the images as it was last drawn; see `render`."""
        shape = (*self.shape, 3) if name == "rgb" else self.shape
        flat = getattr(self._pictures, name)
        # Warp arrays have four dimensions at most: on a GPU views stay flat, (views, pixels).
        return flat.numpy().reshape(shape) if self._on_cpu else flat


def _canvas(rows: int, pixels: int, rig: Any, device: str, cells: int) -> Any:  # noqa: ANN401
    image = rig.pixels
    canvas = Canvas()
    shapes: dict[str, tuple[tuple[int, ...], Any]] = {
        "view": ((rows, _padded(PALETTE + 3 * len(BASE_COLORS))), float),
        "table": ((rows, _padded(2 * TABLE_SIZE)), int),
        "ids": ((rows, _padded(pixels)), int),
        "inverse": ((rows, _padded(pixels)), float),
        "lens_ids": ((rows, _padded(image)), int),
        "lens_inverse": ((rows, _padded(image)), float),
        "ranges": ((rows, LAYER_COUNT, 2 * cells), int),
        "stretch": ((rows, 16), int),
        "quads": ((rows, 12, DYNAMIC + SPARE), float),
        "looks": ((rows, DYNAMIC + SPARE), int),
    }
    for name, (shape, kind) in shapes.items():
        setattr(canvas, name, wp.zeros(shape, dtype=kind, device=device))
    canvas.shades = wp.zeros((0, 1), dtype=float, device=device)
    return canvas


def _make_room_for_textures(canvas: Any, pixels: int) -> None:  # noqa: ANN401
    """Gives a canvas the memory that only textured views need: 330 kB a row, and the light."""
    rows, device = canvas.table.shape[0], canvas.table.device
    canvas.table = wp.zeros((rows, _padded(TEXTURED_SIZE)), dtype=int, device=device)
    canvas.shades = wp.zeros((rows, _padded(3 * pixels)), dtype=float, device=device)


def _padded(count: int) -> int:
    """Numbers of a row: whole cache lines, and room for a vector more than is asked for."""
    return (count + SPARE + 15) // 16 * 16 + 16
