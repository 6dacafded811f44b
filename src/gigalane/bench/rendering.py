"""How fast pictures are made: frames a second of cameras and of the bird's-eye raster.

Worlds move between one set of pictures and the next, off the clock, so that no two are alike;
where a workload says so they move on it, observation and all, and agent-steps are counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gigalane.bench.in_view import InView, count_in_view
from gigalane.bench.machine import check_memory, core_count, scene_bytes
from gigalane.bench.simulate import RandomActions, make_simulator, settings_of
from gigalane.bench.speed import Figure, Measurement, Stopwatch, Timed, require
from gigalane.bench.workloads import Workload
from gigalane.maps.compile import compile_maps
from gigalane.maps.sources import open_maps
from gigalane.render.appearance import VARIED
from gigalane.render.birdview import BirdviewRenderer, BirdviewSettings
from gigalane.render.camera import Rig, load_rig
from gigalane.render.classes import CLASS
from gigalane.render.lenses import Reach
from gigalane.render.renderer import CameraRenderer
from gigalane.render.scenery import Scenery, compile_scenery
from gigalane.sim.settings import SimulatorSettings
from gigalane.sim.simulator import Simulator

REPEATS = 7
_PIXEL_BYTES = {"rgb": 3, "class_id": 1, "depth": 4, "instance": 2}


@dataclass(frozen=True)
class RenderWorkload(Workload):
    """What is drawn: worlds as of any workload, and eyes.

    Attributes:
        rig: name or file of a rig; empty for the bird's-eye raster.
        size: (width, height) of the images where they are not the rig's [pixels].
        outputs: images that cameras make.
        reach: how far things are drawn, as a multiple of what the renderer would choose.
        birdview: the raster, where there is no rig.
        is_stepped: whether the clock also runs while worlds move and observations are written.
        frames: pictures of one repeat; agent-steps where worlds are stepped.
    """

    rig: str = ""
    size: tuple[int, int] | None = None
    outputs: tuple[str, ...] = ("rgb",)
    reach: float = 1.0
    birdview: BirdviewSettings = field(default_factory=BirdviewSettings)
    is_stepped: bool = False
    frames: int = 40_000

    def eyes(self) -> Rig | None:
        """The rig, None for the bird's-eye raster."""
        if not self.rig:
            return None
        rig = load_rig(self.rig)
        return rig.resized(*self.size) if self.size else rig

    def reach_of(self, rig: Rig) -> Reach:
        """How far things are drawn for a rig."""
        return Reach(*(self.reach * metres for metres in asdict(Reach.of(rig)).values()))


FULL = 1.3
"""Reach with which the front camera has 30 boxes and 150 strips before it on `town:1-4`; by
itself it would draw 23 and 113."""

_RENDER_WORKLOADS = (
    RenderWorkload(
        "front-class-depth",
        "class id and depth of one wide front camera, 96 x 64, 1,024 road users",
        rig="front",
        reach=FULL,
        outputs=("class_id", "depth"),
    ),
    RenderWorkload(
        "front-rgb",
        "shaded colours of the same camera, varied appearance",
        rig="front",
        reach=FULL,
    ),
    RenderWorkload(
        "four-cameras",
        "simulator, four cameras of 112 x 64 in colour, and observation, 1,024 road users",
        rig="four",
        is_stepped=True,
        frames=8000,
    ),
    RenderWorkload(
        "surround-rgb", "one strip of 192 x 56 all around in colour, 1,024 road users",
        rig="surround",
        frames=20_000,
    ),
    RenderWorkload(
        "square64-rgb",
        "one front camera of 64 x 64 in colour, 4,096 road users",
        world=SimulatorSettings(worlds=128),
        rig="front",
        size=(64, 64),
    ),
    RenderWorkload("birdview", "bird's-eye raster of Roach, 192 x 192, 1,024 road users"),
    RenderWorkload(
        "birdview-small",
        "the small bird's-eye raster, 64 x 64, 1,024 road users",
        birdview=BirdviewSettings.small(),
        frames=80_000,
    ),
)  # fmt: skip

RENDER_WORKLOADS = {workload.name: workload for workload in _RENDER_WORKLOADS}
"""By name."""


@dataclass(frozen=True)
class Seen:
    """What pictures show after a measurement.

    Attributes:
        occupied: share of slots that hold a road user, so that there is something to draw.
        plain: share of pictures that show one thing only.
        road: share of pictures in which there is road.
        kinds: mean number of classes (planes of a raster) in a picture.
        finite: whether every depth is a number above 0.
    """

    occupied: float
    plain: float
    road: float
    kinds: float
    finite: bool

    def check(self, what: str) -> None:
        """Ends the benchmark where pictures show nothing.

        Raises:
            RunError: says what is wrong.
        """
        require(self.occupied > 0.9, what, f"only {self.occupied:.0%} of the slots are occupied")
        require(self.finite, what, "a depth is not a number above 0")
        require(self.plain < 0.05, what, f"{self.plain:.0%} of the pictures show one thing only")
        require(self.road > 0.5, what, f"only {self.road:.0%} of the pictures show road")


class _Studio:
    """The worlds of a workload and what draws them."""

    def __init__(self, workload: RenderWorkload, device: str, threads: int) -> None:
        """Opens maps and allocates pictures."""
        self.workload, self.rig = workload, workload.eyes()
        _check_memory(workload, self.rig, device)
        roads = open_maps(workload.sources())
        maps = compile_maps(roads, workload.compile)
        self.simulator: Simulator = make_simulator(workload, device, threads, maps)
        self.sceneries: list[Scenery] = []
        if self.rig is None:
            self.renderer: Any = BirdviewRenderer(self.simulator, workload.birdview, roads)
        else:
            pairs = zip(roads, maps, strict=True)
            self.sceneries = [compile_scenery(road, compiled) for road, compiled in pairs]
            self.renderer = self.cameras(workload.outputs)

    def cameras(self, outputs: Sequence[str]) -> CameraRenderer:
        """A renderer of the rig."""
        assert self.rig is not None
        return CameraRenderer(
            self.simulator,
            self.rig,
            self.sceneries,
            outputs=outputs,
            appearance=VARIED,
            reach=self.workload.reach_of(self.rig),
        )


def bench_rendering(
    workload: RenderWorkload, *, device: str = "cpu", threads: int = 0, repeats: int = 0
) -> Measurement:
    """Measures frames a second.

    Args:
        workload: what to draw.
        device: where.
        threads: CPU threads; 0 is one a core.
        repeats: how often; 0 is the usual number.

    Raises:
        SettingsError: if maps are missing or memory does not suffice.
        RunError: if the pictures show nothing.
    """
    threads, repeats = threads or core_count(), repeats or REPEATS
    studio = _Studio(workload, device, threads)
    watch = Stopwatch(device)
    timed = _time_pictures(workload, studio, watch, repeats)
    facts = watch.facts()  # before more is allocated to look at the pictures
    what = f"workload {workload.name}"
    seen = _look_at_raster(workload, studio) if studio.rig is None else _look(studio)
    seen.check(what)
    outcome: dict[str, float] = asdict(seen)
    if studio.rig is not None:
        outcome |= asdict(_in_view(studio))
    return Measurement(
        "render",
        _figures(workload, studio, timed),
        outcome,
        _settings(workload, studio),
        threads=threads,
        repeats=repeats,
        **facts,
    )


def _time_pictures(
    workload: RenderWorkload, studio: _Studio, watch: Stopwatch, repeats: int
) -> list[Timed]:
    """Warms up, then times `repeats` runs of enough pictures."""
    actions = RandomActions(studio.simulator)
    move = studio.simulator.step
    draw = studio.renderer.render
    for _ in range(workload.steps(workload.warm_up)):
        actions.step(move)

    def both(times: int) -> None:
        for _ in range(times):
            actions.step(move)
            draw()

    times = _times(workload, studio)
    both(3)
    if workload.is_stepped:
        return [watch.time(lambda: both(times)) for _ in range(repeats)]
    timed = []
    for _ in range(repeats):
        parts = []
        for _ in range(times):
            actions.step(move)
            parts.append(watch.time(draw))
        timed.append(Timed(sum(p.wall_s for p in parts), sum(p.cpu_s for p in parts)))
    return timed


def _views(workload: RenderWorkload, studio: _Studio) -> int:
    """Pictures of all road users at one moment."""
    return workload.agents * (1 if studio.rig is None else len(studio.rig.cameras))


def _times(workload: RenderWorkload, studio: _Studio) -> int:
    """How often everyone is drawn in one repeat; three times at least."""
    each = workload.agents if workload.is_stepped else _views(workload, studio)
    return max(3, -(-workload.frames // each))


def _figures(
    workload: RenderWorkload, studio: _Studio, timed: Sequence[Timed]
) -> dict[str, Figure]:
    """Rates by the clock on the wall, and cost in time computed."""
    times = _times(workload, studio)
    frames, steps = times * _views(workload, studio), times * workload.agents

    def rate(count: int) -> Figure:
        return Figure.of([count / one.wall_s for one in timed], "1/s", more_is_better=True)

    def cost(count: int) -> Figure:
        costs = [one.cpu_s / count * 1e6 for one in timed]
        return Figure.of(costs, "us", more_is_better=False)

    if workload.is_stepped:
        return {
            "agent_steps_per_s": rate(steps),
            "frames_per_s": rate(frames),
            "cpu_us_per_agent_step": cost(steps),
        }
    return {"frames_per_s": rate(frames), "cpu_us_per_frame": cost(frames)}


def _settings(workload: RenderWorkload, studio: _Studio) -> dict[str, Any]:
    """All that was chosen, for the record."""
    found = {**settings_of(workload, studio.simulator), "is_stepped": workload.is_stepped}
    if studio.rig is None:
        return {**found, "birdview": asdict(workload.birdview)}
    return {
        **found,
        "rig": asdict(studio.rig),
        "outputs": list(workload.outputs),
        "appearance": asdict(VARIED),
        "reach": asdict(workload.reach_of(studio.rig)),
    }


def _look(studio: _Studio) -> Seen:
    """Draws classes and depths of the same views and looks at them, and at the colours."""
    classes, depths = _pictures(studio.cameras(("class_id", "depth")), ("class_id", "depth"))
    plain = _plain(classes)
    if "rgb" in studio.renderer.outputs:
        (colors,) = _pictures(studio.renderer, ("rgb",))
        plain |= _plain(colors)
    return Seen(
        occupied=_occupied(studio.simulator),
        plain=float(plain.mean()),
        road=float((classes == CLASS["road"]).any(axis=1).mean()),
        kinds=float(np.mean([len(np.unique(one)) for one in classes[:256]])),
        finite=bool(np.isfinite(depths).all() and (depths > 0.0).all()),
    )


def _pictures(renderer: CameraRenderer, names: Sequence[str]) -> list[NDArray[Any]]:
    """Images as (views, numbers), of the worlds as they are now."""
    renderer.render()
    found = []
    for name in names:
        image = renderer.image(name)
        flat = image if isinstance(image, np.ndarray) else image.numpy()
        found.append(flat.reshape(int(np.prod(renderer.shape[:3])), -1))
    return found


def _plain(pictures: NDArray[Any]) -> NDArray[np.bool_]:
    """Which of the pictures (views, numbers) are the same all over."""
    return (pictures == pictures[:, :1]).all(axis=1)


def _look_at_raster(workload: RenderWorkload, studio: _Studio) -> Seen:
    """Draws rasters once more and looks at them."""
    packed = studio.renderer.render().numpy().reshape(workload.agents, -1)
    planes = workload.birdview.planes
    road = [plane.channel for plane in planes].index("road")
    kinds = np.bitwise_or.reduce(packed, axis=1)
    return Seen(
        occupied=_occupied(studio.simulator),
        plain=float(_plain(packed).mean()),
        road=float((kinds >> road & 1).mean()),
        kinds=float(np.mean([kinds >> bit & 1 for bit in range(len(planes))]) * len(planes)),
        finite=True,
    )


def _occupied(simulator: Simulator) -> float:
    """Share of slots that hold a road user."""
    there = simulator.scene.boxes.numpy()[:, 8] >= 0.0
    slots = np.arange(there.shape[1]) < simulator.scene.agent_count.numpy()[:, None]
    return float((there & slots).sum() / np.prod(simulator.shape))


def _in_view(studio: _Studio) -> InView:
    """How much cameras have before them."""
    assert studio.rig is not None
    reach = studio.workload.reach_of(studio.rig)
    return count_in_view(studio.simulator, studio.sceneries, studio.rig, reach)


def _check_memory(workload: RenderWorkload, rig: Rig | None, device: str) -> None:
    """Refuses pictures that do not fit in memory."""
    if rig is None:
        each = workload.birdview.pixels**2 * workload.birdview.bits // 8
    else:
        pixels = len(rig.cameras) * rig.size[0] * rig.size[1]
        # Classes and depths are drawn once more, to look at them.
        names = (*workload.outputs, "class_id", "depth")
        each = pixels * sum(_PIXEL_BYTES[name] for name in names)
    needed = scene_bytes(workload.world, workload.compile) + each * workload.agents
    check_memory(f"workload {workload.name}", needed, device)
