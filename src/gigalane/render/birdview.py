"""The bird's-eye raster of a road user: what is around it, from above, as bits of an image.

The ego looks up. Channels follow Roach (Zhang et al. 2021, arXiv 2108.08265): drivable road,
route ahead, painted lines, then vehicles, walkers, and lights with stop signs, each at four
moments, the oldest first. A raster holds one integer a pixel. Bit k belongs to
`BirdviewSettings.planes[k]`; `unpack` makes images of channels of it. Integers are signed,
because that is what torch shifts; the sign bit is never used.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import warp as wp
from numpy.typing import ArrayLike, NDArray

from gigalane.core.kernels import load_kernels
from gigalane.core.settings import SettingsError
from gigalane.maps.road import RoadMap
from gigalane.render.birdview_draw import draw_rasters, draw_rows
from gigalane.render.birdview_fill import HEADER
from gigalane.render.birdview_history import History, allocate_history, note_worlds
from gigalane.render.birdview_map import stack_birdviews
from gigalane.render.birdview_road import Canvas, Planes, Times
from gigalane.sim.launches import slices_of
from gigalane.sim.simulator import Simulator

GROUPS = ("road", "route", "marks", "vehicles", "walkers", "controls")
"""Kinds of channels, in their order; the last three come once for each moment."""
MOST_TIMES = 8
LEAST_SHARE = 16
"""Rasters for which one more thread is worth waking (chosen)."""


@dataclass(frozen=True)
class Plane:
    """One bit of every pixel.

    Attributes:
        channel: name of the channel it belongs to.
        grey: value of that channel where it is set, 1 to 255 (Roach); the highest counts.
    """

    channel: str
    grey: int


@dataclass(frozen=True)
class BirdviewSettings:
    """What a raster shows. The defaults are the paper's.

    Attributes:
        pixels: of a side: 64, 128, 192 or 256.
        metres_per_pixel: side of a pixel on the ground [m].
        behind: how much is seen behind the ego's middle [m] (Roach: 40 pixels).
        times: the moments shown, how long ago [s], oldest first (Roach: entries -16, -11, -6
            and -1 of a queue at 10 Hz; the last one is taken to be the present).
        channels: kinds of channels, of `GROUPS`.
        shades: whether channels have greys: lines solid 255 or broken 120, lights red 255,
            yellow 170 or green 80, a stop sign not yet obeyed 255 (Roach). Without, a line is a
            line, and lights are shown while they forbid to go on (chosen): a bit a channel.
        route_ahead: how much of the route is drawn [m] (Roach: 80 way-points; taken as 1 m apart).
        route_width: [m] (Roach: 16 pixels).
        mark_width: least width of a painted line [m]; at least a pixel (chosen).
        line_width: thickness of a stop line [m] (chosen).
    """

    pixels: int = 192
    metres_per_pixel: float = 0.2
    behind: float = 8.0
    times: tuple[float, ...] = (1.5, 1.0, 0.5, 0.0)
    channels: tuple[str, ...] = GROUPS
    shades: bool = True
    route_ahead: float = 80.0
    route_width: float = 3.2
    mark_width: float = 0.2
    line_width: float = 1.2

    def __post_init__(self) -> None:
        """Checks what kernels rely on."""
        if self.pixels not in (64, 128, 192, 256):
            raise SettingsError(f"birdview: pixels={self.pixels}: choose 64, 128, 192 or 256")
        unknown = [name for name in self.channels if name not in GROUPS]
        if unknown or not self.channels:
            raise SettingsError(
                f"birdview: channels={self.channels}: choose some of {', '.join(GROUPS)}"
            )
        if not 1 <= len(self.times) <= MOST_TIMES or min(self.times) < 0.0:
            raise SettingsError(
                f"birdview: times={self.times}: give 1 to {MOST_TIMES}, each 0 s ago or more"
            )
        for name in ("metres_per_pixel", "route_ahead", "route_width", "line_width"):
            if not 0 < getattr(self, name) <= 1000:
                raise SettingsError(f"birdview: {name}={getattr(self, name)}: must be above 0")
        if len(self.planes) > 31:
            raise SettingsError(
                f"birdview: {len(self.planes)} planes: a pixel holds 31; "
                "give fewer times or channels, or shades=False"
            )

    @classmethod
    def small(cls) -> BirdviewSettings:
        """The same view in 64 x 64 pixels of 16 bits, a bit a channel: for learning on a CPU."""
        return cls(pixels=64, metres_per_pixel=0.6, shades=False)

    @property
    def planes(self) -> tuple[Plane, ...]:
        """The bits of a pixel, lowest first."""
        marks = (("marks", 255), ("marks", 120)) if self.shades else (("marks", 255),)
        found = []
        for name in GROUPS:
            greys = {"marks": [grey for _, grey in marks]}.get(name, [255])
            if name == "controls" and self.shades:
                greys = [255, 170, 80]
            if name in self.channels:
                for time in self.times if name in GROUPS[3:] else (None,):
                    channel = name if time is None else f"{name} {time:g} s ago"
                    found += [Plane(channel, grey) for grey in greys]
        return tuple(found)

    @property
    def channel_names(self) -> tuple[str, ...]:
        """The channels, in the order that `unpack` gives them."""
        return tuple(dict.fromkeys(plane.channel for plane in self.planes))

    @property
    def bits(self) -> int:
        """Bits of a pixel's integer: 16 or 32."""
        return 16 if len(self.planes) < 16 else 32


def unpack(rasters: ArrayLike, settings: BirdviewSettings) -> NDArray[np.uint8]:
    """Images of channels, as the paper has them.

    Args:
        rasters: (…, pixels, pixels) as `BirdviewRenderer.render` gives them.
        settings: they were drawn with.

    Returns:
        (…, channels, pixels, pixels), 0 to 255.
    """
    packed = np.asarray(rasters)
    names = settings.channel_names
    images = np.zeros((*packed.shape[:-2], len(names), *packed.shape[-2:]), np.uint8)
    for bit, plane in enumerate(settings.planes):
        image = images[..., names.index(plane.channel), :, :]
        np.maximum(image, ((packed >> bit) & 1) * np.uint8(plane.grey), out=image, casting="unsafe")
    return images


@dataclass(frozen=True)
class BirdviewSnapshot:
    """The past that a renderer remembers, at one moment."""

    arrays: dict[str, NDArray[Any]]


class BirdviewRenderer:
    """Draws what road users of a simulator see from above.

    It remembers the last steps of each world, in the world's own steps, so it must be told of
    every step: by `render`, or by `note` where nobody looks. A step that nobody noted is shown
    as the one after it. A world that begins anew or whose clock goes back forgets by itself;
    after `Simulator.restore` call `restore` or `reset`.

    A learner unpacks on its device, without `unpack`:
    `(rasters.unsqueeze(1) >> torch.arange(planes).view(-1, 1, 1)) & 1`.

    Attributes:
        simulator: whose worlds are drawn.
        settings: what is shown.
    """

    def __init__(
        self,
        simulator: Simulator,
        settings: BirdviewSettings | None = None,
        road_maps: list[RoadMap] | None = None,
    ) -> None:
        """Compiles the maps for drawing and notes the present step.

        Args:
            simulator: whose worlds are drawn.
            settings: what is shown; the paper's by default.
            road_maps: the simulator's maps with their paint, in its order. Without them, and on
                maps without paint, lines are told from lanes: broken between neighbours that
                run the same way, solid at the other edges.

        Raises:
            SettingsError: the number of road maps is another than the simulator's.
        """
        self.simulator, self.settings = simulator, settings or BirdviewSettings()
        if road_maps is not None and len(road_maps) != len(simulator.maps):
            raise SettingsError(
                f"birdview: {len(road_maps)} road maps for a simulator on {len(simulator.maps)}"
            )
        device = simulator.scene.status.device
        self._on_cpu = device.is_cpu
        load_kernels(note_worlds, device)
        load_kernels(draw_rasters, device)
        self._birdview: Any = stack_birdviews(simulator.maps, road_maps, str(device))
        self._canvas: Any = _canvas_of(self.settings)
        longest = max(self.settings.times) / min(simulator.settings.time_steps)
        self._history: Any = allocate_history(*simulator.shape, int(longest + 0.5) + 2, device)
        worlds = simulator.shape[0]
        inputs = [simulator.scene, self._history]
        self._note: Any = wp.launch(
            note_worlds, dim=worlds, inputs=inputs, device=device, record_cmd=True
        )
        self._room = 0
        self._pool = ThreadPoolExecutor(simulator.threads) if simulator.threads > 1 else None
        self.note()

    def note(self) -> None:
        """Remembers the present step of every world."""
        self._note.launch()

    def render(self, rows: ArrayLike | None = None) -> wp.array:
        """Draws rasters of the present step, and notes it.

        Args:
            rows: (n,) numbers of road users, world * agents + agent; all by default. Slots
                without a road user are all zero.

        Returns:
            (n, pixels, pixels) int16 or int32 (`settings.bits`), first row furthest ahead,
            first column furthest left. A view that the next call overwrites.
        """
        self.note()
        pixels, slots = self.settings.pixels, int(np.prod(self.simulator.shape))
        numbers = np.arange(slots) if rows is None else np.asarray(rows).reshape(-1)
        if len(numbers) and not (numbers.min() >= 0 and numbers.max() < slots):
            raise SettingsError(f"birdview: rows must be 0 to {slots - 1}")
        count = len(numbers)
        if count > self._room or not self._room:
            self._make_room(max(count, 1))
        if count:
            wp.copy(self._rows, wp.array(numbers, dtype=int, device="cpu"), count=count)
            self._draw(count)
        rasters: Any = self._rasters[:count]
        return rasters.reshape((count, pixels, pixels))

    def reset(self) -> None:
        """Forgets the past of all worlds and notes the present."""
        self._history.clock.fill_(-1)
        self.note()

    def snapshot(self) -> BirdviewSnapshot:
        """Copies what is remembered; take it with the simulator's own."""
        return BirdviewSnapshot(
            {name: getattr(self._history, name).numpy().copy() for name in History.vars}
        )

    def restore(self, snapshot: BirdviewSnapshot) -> None:
        """Goes back to a snapshot of this renderer or of one with the same shapes."""
        for name, values in snapshot.arrays.items():
            array = getattr(self._history, name)
            if array.shape != values.shape:
                raise SettingsError(
                    f"birdview snapshot: {name} has shape {values.shape}, here {array.shape}; "
                    "restore into a renderer with the same settings"
                )
            array.assign(values)

    def fork(self, forked: Simulator) -> BirdviewRenderer:
        """A renderer for `forked = simulator.fork(copies)` that remembers the same past."""
        copies = forked.shape[0] // self.simulator.shape[0]
        other = object.__new__(BirdviewRenderer)
        other.__dict__.update(self.__dict__)
        device = forked.scene.status.device
        entries = self._history.clock.shape[1]
        other.simulator, other._room = forked, 0
        other._history = allocate_history(*forked.shape, entries, device)
        other._note = wp.launch(
            note_worlds,
            dim=forked.shape[0],
            inputs=[forked.scene, other._history],
            device=device,
            record_cmd=True,
        )
        past = self.snapshot().arrays
        other.restore(
            BirdviewSnapshot({name: np.repeat(value, copies, 0) for name, value in past.items()})
        )
        return other

    def _make_room(self, count: int) -> None:
        """Allocates rasters, and the memory that they are drawn in."""
        device, pixels = self.simulator.scene.status.device, self.settings.pixels
        kind = wp.int16 if self.settings.bits == 16 else wp.int32
        self._rasters = wp.zeros((count, pixels * pixels), dtype=kind, device=device)
        numbers = count * pixels * pixels * self.settings.bits // 32
        self._numbers = wp.array(
            ptr=self._rasters.ptr, dtype=wp.int32, shape=(numbers,), device=device
        )
        # Fewer rasters are never cut into more parts.
        parts = len(self._slices(count)) if self._on_cpu else count
        words = int(HEADER) + len(self.settings.planes) * (pixels // 64) * pixels
        self._memory = wp.zeros(parts * words, dtype=wp.uint64, device=device)
        self._rows = wp.zeros(count, dtype=int, device=device)
        self._launches: dict[int, list[Any]] = {}
        self._room = count

    def _slices(self, count: int) -> list[tuple[int, int]]:
        """(first, count) of the rasters of each launch; a thread is not woken for a few."""
        return slices_of(count, max(1, min(self.simulator.threads, count // LEAST_SHARE)))

    def _draw(self, count: int) -> None:
        """Draws the rasters of the first `count` of `_rows`."""
        launches = self._launches.get(count)
        if launches is None:
            if len(self._launches) > 32:  # who asks for ever other numbers gains nothing by them
                self._launches.clear()
            launches = self._launches[count] = self._record(count)
        if self._pool is None or len(launches) == 1:
            for launch in launches:
                launch.launch()
        else:
            list(self._pool.map(lambda launch: launch.launch(), launches))

    def _record(self, count: int) -> list[Any]:
        """The launches that draw `count` rasters, ready to be repeated."""
        simulator = self.simulator
        scene = [simulator.road, self._birdview, simulator.scene, self._history]
        inputs = [self._canvas, simulator.rules, *scene, self._rows, self._memory, self._numbers]
        if not self._on_cpu:
            shape, device = (count, self.settings.pixels), simulator.scene.status.device
            return [wp.launch(draw_rows, dim=shape, inputs=inputs, device=device, record_cmd=True)]
        return [
            wp.launch(
                draw_rasters,
                dim=1,
                inputs=[first, some, part, *inputs],
                device="cpu",
                record_cmd=True,
            )
            for part, (first, some) in enumerate(self._slices(count))
        ]


def _canvas_of(settings: BirdviewSettings) -> Any:  # noqa: ANN401
    """The settings as one Warp struct."""
    canvas = Canvas()
    places: dict[tuple[str, int], list[int]] = {}
    for bit, plane in enumerate(settings.planes):
        places.setdefault((plane.channel.split(" ")[0], plane.grey), []).append(bit)

    def found(group: str, grey: int = 255) -> list[int]:
        return places.get((group, grey), [-1])

    def over_time(group: str, grey: int) -> Any:  # noqa: ANN401
        bits = found(group, grey)
        return Planes(*(bits + [-1] * MOST_TIMES)[:MOST_TIMES])

    canvas.pixels, canvas.narrow = settings.pixels, int(settings.bits == 16)
    canvas.planes, canvas.scale = len(settings.planes), 1.0 / settings.metres_per_pixel
    canvas.behind = settings.behind
    canvas.road, canvas.route = found("road")[0], found("route")[0]
    canvas.solid = found("marks")[0]
    canvas.broken = found("marks", 120)[0] if settings.shades else canvas.solid
    canvas.vehicles, canvas.walkers = over_time("vehicles", 255), over_time("walkers", 255)
    canvas.stop = over_time("controls", 255)
    canvas.caution = over_time("controls", 170) if settings.shades else canvas.stop
    canvas.go = over_time("controls", 80)
    times = list(settings.times)
    canvas.times, canvas.time_count = Times(*(times + [0.0] * MOST_TIMES)[:MOST_TIMES]), len(times)
    canvas.route_length = settings.route_ahead
    canvas.route_half = 0.5 * settings.route_width
    canvas.mark_half = 0.5 * max(settings.mark_width, settings.metres_per_pixel)
    canvas.line_half = 0.5 * settings.line_width
    return canvas
