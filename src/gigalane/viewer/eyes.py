"""The pictures of cameras on recorded road users, small enough to lie inside a replay page.

The box world has few colours, so that lossless WebP takes 2 to 5 kB a picture; where a look
with noise makes it large, lossy WebP is taken. If all pictures exceed the room there is, fewer
are taken each second.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gigalane.core.settings import SettingsError
from gigalane.render.camera import Rig
from gigalane.sim.recording import Recording
from gigalane.viewer.mosaic import Mosaic, span_of, yaw_of

if TYPE_CHECKING:
    from gigalane.viewer.recorded_eyes import RecordedEyes

PICTURES_PER_SECOND = 10.0
"""At most."""
MOST_BYTES = 4_000_000
"""Of all pictures in a page; base64 makes them a third larger."""
PAGE_WIDTH = 960
"""Of a strip in a page [pixels], where the caller gives no size …"""
PAGE_SIDE = 640
"""… and of what goes beside the map."""
MOST_SIDE = 16383
"""A WebP picture's longest side [pixels]."""
SAMPLES = 8
"""Pictures by which the size of all is judged."""

_LOSSLESS: dict[str, Any] = {"lossless": True, "quality": 50, "method": 2}
_LOSSY: dict[str, Any] = {"quality": 70, "method": 3}


@dataclass(frozen=True, eq=False)
class Eyes:
    """What some road users of one recording saw.

    Attributes:
        rig: the cameras; their size is that of the pictures.
        rate: pictures a second, the first at the first moment.
        films: WebP pictures of the rig's mosaic by slot; empty bytes where a slot holds nobody.
        wanted: pictures a second that would have been taken had there been room.
    """

    rig: Rig
    rate: float
    films: dict[int, list[bytes]]
    wanted: float = PICTURES_PER_SECOND
    mosaic: Mosaic = field(init=False)

    def __post_init__(self) -> None:
        """Lays the cameras out."""
        object.__setattr__(self, "mosaic", Mosaic.of(self.rig))

    @property
    def bytes(self) -> int:
        """Size of all pictures."""
        return sum(len(one) for film in self.films.values() for one in film)

    def cameras(self) -> list[dict[str, Any]]:
        """Name, place in the mosaic and view from above of each camera, as plain values."""
        places = self.mosaic.places()
        return [
            {
                "name": camera.name.replace("_", " "),
                "left": places[k][0],
                "top": places[k][1],
                "yaw": round(yaw_of(camera), 4),
                "span": round(span_of(camera), 4),
                "position": [round(v, 3) for v in camera.position_ego[:2]],
            }
            for k, camera in enumerate(self.rig.cameras)
        ]


def page_rig(rig: Rig) -> Rig:
    """A rig with as many pixels as a page has room for, the shape of its pictures kept."""
    mosaic = Mosaic.of(rig)
    width = PAGE_WIDTH if mosaic.is_strip else PAGE_SIDE
    return rig.resized(*mosaic.fitting(width, width, multiple=2))


def check_mosaic(rig: Rig) -> None:
    """Refuses rigs whose pictures side by side are too large for one picture.

    Raises:
        SettingsError: they are.
    """
    width, height = Mosaic.of(rig).size
    if max(width, height) > MOST_SIDE:
        raise SettingsError(f"the pictures of rig {rig.name!r} make {width} x {height} pixels; "
                            f"at most {MOST_SIDE} fit, so give a smaller --size")  # fmt: skip


def busiest_agents(recording: Recording, count: int, seconds: float | None = None) -> list[int]:
    """The slots whose road users drive farthest, vehicles before others.

    Args:
        recording: who drove.
        count: how many slots.
        seconds: how much of it counts; all by default.
    """
    steps = recording.steps if seconds is None else int(seconds / recording.dt + 1e-6) + 1
    alive, episode = recording.alive[:steps], recording.episode[:steps]
    moves = np.linalg.norm(np.diff(recording.position_map[:steps].astype(float), axis=0), axis=2)
    stays = alive[1:] & alive[:-1] & (episode[1:] == episode[:-1]) & np.isfinite(moves)
    driven = np.where(stays, moves, 0.0).sum(axis=0)
    names = np.array([name in ("car", "truck") for name in recording.kind_names])
    is_vehicle = (names[recording.kind[:steps]] & alive).any(axis=0)
    order = np.lexsort((-driven, ~is_vehicle))
    return [int(agent) for agent in order if alive[:, agent].any()][:count]


def take_pictures(
    eyes: RecordedEyes,
    seconds: float | None = None,
    most_bytes: int = MOST_BYTES,
    on_progress: Callable[[float], None] | None = None,
) -> Eyes:
    """Draws and packs what some road users saw.

    Args:
        eyes: cameras on a recording.
        seconds: how much of the recording; all by default.
        most_bytes: room for the pictures; it is kept to within a tenth, unless that leaves
            fewer than a picture in two seconds.
        on_progress: told the share that is done.
    """
    recording = eyes.recording
    end = recording.duration if seconds is None else min(seconds, recording.duration)
    wanted = min(PICTURES_PER_SECOND, round(1.0 / recording.dt, 3))
    samples = [eyes.at(time) for time in np.linspace(0.0, end, SAMPLES)]
    mosaic = Mosaic.of(eyes.rig)
    drawn = [mosaic.joined(one) for sample in samples for one in sample if one.any()]
    options, size = _best_packing(drawn)
    room = most_bytes / max(size * len(eyes.agents), 1.0)  # pictures of each slot
    rate = min(wanted, max(room - 1.0, 1.0) / end) if end > 0 else wanted
    times = np.arange(int(end * rate + 1e-6) + 1) / rate
    films: dict[int, list[bytes]] = {agent: [] for agent in eyes.agents}
    for done, row in enumerate(_packed_rows(eyes, mosaic, times, options), 1):
        for agent, packed in zip(eyes.agents, row, strict=True):
            films[agent].append(packed)
        if on_progress:
            on_progress(done / len(times))
    found = Eyes(eyes.rig, rate, films, wanted)
    while found.bytes > 1.1 * most_bytes and found.rate > 0.5:  # the samples were too small
        films = {agent: film[::2] for agent, film in found.films.items()}
        found = Eyes(eyes.rig, found.rate / 2.0, films, wanted)
    return found


def _best_packing(pictures: Sequence[NDArray[np.uint8]]) -> tuple[dict[str, Any], float]:
    """How to pack pictures, and how many bytes each then takes."""
    if not pictures:
        return _LOSSLESS, 0.0
    sizes = [np.mean([len(_packed(one, how)) for one in pictures]) for how in (_LOSSLESS, _LOSSY)]
    return (_LOSSY, float(sizes[1])) if sizes[1] < sizes[0] else (_LOSSLESS, float(sizes[0]))


def _packed(picture: NDArray[np.uint8], options: dict[str, Any]) -> bytes:
    """A WebP file, or nothing for a picture of nothing."""
    if not picture.any():
        return b""
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "WEBP", **options)
    return stream.getvalue()


def _packed_rows(
    eyes: RecordedEyes, mosaic: Mosaic, times: NDArray[np.float64], options: dict[str, Any]
) -> Iterator[list[bytes]]:
    """The packed pictures of all slots, time after time; packing waits for nobody."""
    workers = os.cpu_count() or 1
    with ThreadPoolExecutor(workers) as pool:
        for first in range(0, len(times), 4 * workers):
            batch = [eyes.at(float(time)) for time in times[first : first + 4 * workers]]
            flat = [mosaic.joined(one) if one.any() else one[0] for row in batch for one in row]
            packed = list(pool.map(lambda one: _packed(one, options), flat))
            each = len(eyes.agents)
            yield from (packed[k : k + each] for k in range(0, len(packed), each))
