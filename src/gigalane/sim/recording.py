"""What happened in one world, kept so that it can be looked at again.

A `Recording` holds everything the replay page, the film and an error report need, and nothing of
the simulator: no kernel, no network, no torch. It is written by whoever runs a world and read by
`gigalane view`. One file is one world; its map travels inside it.

The file is an npz without pickles: a JSON header, the arrays of the map (so that a recording can
also be read as a stored map), and one entry for each array below. Such an array is stored
without loss as the difference of each step to the one before it (its bits taken as an unsigned
integer, wrapping around) with the bytes of equal significance side by side: what changes slowly
becomes runs of zeros, which deflate removes.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from gigalane.core.files import replacing
from gigalane.maps.npz import Arrays, read_npz
from gigalane.maps.road import MapError, RoadMap
from gigalane.maps.store import road_map_from_arrays, road_map_to_arrays

FORMAT_NAME = "gigalane recording"
FORMAT_VERSION = 1
MAX_EVENTS = 32
"""Events are bits of a uint32."""

LIGHT_STATE_NAMES = ("off", "green", "yellow", "red")
"""What the numbers in `Recording.light_state` mean."""

SEED_SETTING = "world_seed"
"""Name in `Recording.settings` of the seed of the world: vehicles take their colours from it."""

FOREIGN = "not a gigalane recording, or damaged; name one that `evaluate --record` wrote"

_ARRAYS: dict[str, tuple[DTypeLike, tuple[str | int, ...]]] = {
    "position_map": (np.float32, ("steps", "agents", 3)),
    "heading": (np.float32, ("steps", "agents")),
    "speed": (np.float32, ("steps", "agents")),
    "acceleration": (np.float32, ("steps", "agents", 2)),
    "steering": (np.float32, ("steps", "agents")),
    "alive": (np.bool_, ("steps", "agents")),
    "episode": (np.int32, ("steps", "agents")),
    "size": (np.float32, ("steps", "agents", 3)),
    "kind": (np.uint8, ("steps", "agents")),
    "driver": (np.uint8, ("steps", "agents")),
    "events": (np.uint32, ("steps", "agents")),
    "reward_terms": (np.float32, ("steps", "agents", "reward_names")),
    "persona": (np.float32, ("steps", "agents", "persona_names")),
    "waypoints_map": (np.float32, ("steps", "agents", "waypoints", 2)),
    "light_state": (np.uint8, ("steps", "stop_lines")),
}
_NAMES = ("kind_names", "driver_names", "event_names", "reward_names", "persona_names")


class RecordingError(ValueError):
    """A recording that cannot be used.

    Attributes:
        file: the file, as the caller named it, or an empty string where there is none yet.
        place: which part of it.
        reason: what is wrong there and the cure.
    """

    def __init__(self, file: str, place: str, reason: str) -> None:
        """Keeps the three parts and joins them into one line."""
        super().__init__(": ".join(part for part in (file, place, reason) if part))
        self.file, self.place, self.reason = file, place, reason


@dataclass(frozen=True, eq=False)
class Recording:
    """What happened in one world over T steps, in A agent slots.

    Entry t of every array is about the same moment, t x dt after the first: `events[t]` are the
    facts that held of the boxes at `position_map[t]`, and `reward_terms[t]` what was paid for
    arriving there. Arrays are converted to the stated types; shapes are checked.

    Attributes:
        road_map: the roads.
        dt: time between steps [s].
        position_map: centres of the boxes, (T, A, 3) float32 [m], map frame.
        heading: counter-clockwise from +x, (T, A) float32 [rad].
        speed: along the heading, negative in reverse, (T, A) float32 [m/s].
        acceleration: longitudinal, lateral (left positive), (T, A, 2) float32 [m/s²].
        steering: angle of the front wheels, left positive, (T, A) float32 [rad].
        alive: whether the slot holds a road user, (T, A) bool.
        episode: counts respawns, (T, A) int32; a change means a new road user in the slot.
        size: length, width, height, (T, A, 3) float32 [m].
        kind: index into `kind_names`, (T, A) uint8.
        driver: index into `driver_names`, (T, A) uint8.
        events: bit k set where event `event_names[k]` holds, (T, A) uint32.
        reward_terms: each term as it entered the reward, (T, A, R) float32.
        persona: what each road user is like, (T, A, P) float32, in units of its own.
        waypoints_map: next way-points, (T, A, G, 2) float32 [m], map frame: the current one
            first, the goal last, NaN where there are fewer than G.
        light_state: state at each of the map's stop lines, (T, L) uint8: 0 none or off, 1 green,
            2 yellow, 3 red; see `LIGHT_STATE_NAMES`.
        kind_names: car, truck, cyclist, pedestrian, …
        driver_names: policy, idm, blind, …
        event_names: collided, off_road, ran_red, wrong_way, reached_goal, …; at most 32.
        reward_names: the R reward terms.
        persona_names: the P values of a persona.
        title: one line that tells this world from others.
        settings: what the world was run with; plain JSON values only.
    """

    road_map: RoadMap
    dt: float
    position_map: NDArray[np.float32]
    heading: NDArray[np.float32]
    speed: NDArray[np.float32]
    acceleration: NDArray[np.float32]
    steering: NDArray[np.float32]
    alive: NDArray[np.bool_]
    episode: NDArray[np.int32]
    size: NDArray[np.float32]
    kind: NDArray[np.uint8]
    driver: NDArray[np.uint8]
    events: NDArray[np.uint32]
    reward_terms: NDArray[np.float32]
    persona: NDArray[np.float32]
    waypoints_map: NDArray[np.float32]
    light_state: NDArray[np.uint8]
    kind_names: tuple[str, ...]
    driver_names: tuple[str, ...]
    event_names: tuple[str, ...]
    reward_names: tuple[str, ...]
    persona_names: tuple[str, ...]
    title: str
    settings: dict[str, Any]

    def __post_init__(self) -> None:
        """Converts the arrays to their types and checks that they fit together.

        Raises:
            RecordingError: a shape, name or number that does not fit; names the field.
        """
        for name in _NAMES:
            object.__setattr__(self, name, tuple(str(entry) for entry in getattr(self, name)))
        for name, (dtype, _) in _ARRAYS.items():
            array = np.ascontiguousarray(getattr(self, name), dtype=dtype)
            object.__setattr__(self, name, array)
        self._check_shapes()
        self._check_values()

    @property
    def steps(self) -> int:
        """Number of moments T."""
        return self.position_map.shape[0]

    @property
    def agents(self) -> int:
        """Number of agent slots A."""
        return self.position_map.shape[1]

    @property
    def duration(self) -> float:
        """Time from the first moment to the last [s]."""
        return (self.steps - 1) * self.dt

    def happened(self, event_name: str) -> NDArray[np.bool_]:
        """Where an event holds, (T, A) bool.

        Raises:
            RecordingError: no event has this name.
        """
        if event_name not in self.event_names:
            known = ", ".join(self.event_names)
            raise RecordingError("", "event_names", f"no event '{event_name}'; there are {known}")
        return (self.events >> np.uint32(self.event_names.index(event_name)) & 1).astype(np.bool_)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the recording so that a reader never sees half a file.

        Args:
            path: the file to write or replace; its folder must exist.

        Raises:
            RecordingError: the settings are not plain JSON values.
            MapError: the map holds numbers that are not finite.
            OSError: the file cannot be written.
        """
        entries: dict[str, NDArray[Any]] = {"header": np.frombuffer(self._header(), np.uint8)}
        entries |= {name: delta_planes(getattr(self, name)) for name in _ARRAYS}
        entries |= road_map_to_arrays(self.road_map)
        with replacing(path) as beside, open(beside, "wb") as stream:
            np.savez_compressed(stream, allow_pickle=False, **entries)

    @staticmethod
    def load(path: str | os.PathLike[str]) -> Recording:
        """Reads what `save` wrote.

        Args:
            path: the file.

        Returns:
            A recording equal to the one saved, bit by bit.

        Raises:
            RecordingError: missing, not a recording, damaged, or of another version.
        """
        file = os.fspath(path)
        if not Path(file).is_file():
            raise RecordingError(file, "", "there is no such file; check the path")
        try:
            arrays = read_npz(file)
        except MapError as error:
            raise RecordingError(file, error.place, FOREIGN) from error
        try:
            return _from_entries(arrays)
        except RecordingError as error:
            raise RecordingError(file, error.place, error.reason) from None
        except MapError as error:
            raise RecordingError(file, error.place, f"{error.reason}; record again") from None

    def _header(self) -> bytes:
        header = {"format": FORMAT_NAME, "version": FORMAT_VERSION, "title": self.title,
                  "dt": self.dt, "settings": self.settings}  # fmt: skip
        header |= {name: list(getattr(self, name)) for name in _NAMES}
        try:
            return json.dumps(header, ensure_ascii=False, allow_nan=False).encode()
        except (TypeError, ValueError) as error:
            reason = f"{error}; keep to text, finite numbers, true, false, lists and tables"
            raise RecordingError("", "settings", reason) from None

    def _check_shapes(self) -> None:
        if self.position_map.ndim != 3 or not self.position_map.shape[0]:
            reason = f"has shape {self.position_map.shape}; expected (steps >= 1, agents, 3)"
            raise RecordingError("", "position_map", reason)
        lengths = {"steps": self.steps, "agents": self.agents,
                   "stop_lines": len(self.road_map.stop_lines)}  # fmt: skip
        lengths |= {name: len(getattr(self, name)) for name in _NAMES}
        for name, (_, dimensions) in _ARRAYS.items():
            array = getattr(self, name)
            if name == "waypoints_map" and array.ndim == 4:
                lengths["waypoints"] = array.shape[2]  # the one length nothing else states
            expected = tuple(lengths.get(d, -1) if isinstance(d, str) else d for d in dimensions)
            if array.shape != expected:
                words = ", ".join(str(d) for d in dimensions)
                reason = f"has shape {array.shape}; expected ({words}) = {expected}"
                raise RecordingError("", name, reason)

    def _check_values(self) -> None:
        if not (np.isfinite(self.dt) and self.dt > 0):
            raise RecordingError("", "dt", f"is {self.dt}; expected seconds above 0")
        if len(self.event_names) > MAX_EVENTS:
            raise RecordingError("", "event_names", f"more than {MAX_EVENTS} do not fit the mask")
        for name, names in (("kind", self.kind_names), ("driver", self.driver_names)):
            if self.agents and int(getattr(self, name).max()) >= len(names):
                reason = f"an index exceeds the {len(names)} names in {name}_names"
                raise RecordingError("", name, reason)
        if self.agents and int(self.events.max()) >> len(self.event_names):
            raise RecordingError("", "events", "a bit is set that event_names does not name")
        if self.light_state.size and int(self.light_state.max()) >= len(LIGHT_STATE_NAMES):
            raise RecordingError("", "light_state", "a state exceeds 3 (red)")


def delta_planes(array: NDArray[Any]) -> NDArray[np.uint8]:
    """Rearranges an array so that deflate makes it small; see the top of this file.

    Args:
        array: any numeric or bool array, (T, …).

    Returns:
        Bytes, (itemsize, T, …): plane b holds byte b (least significant first) of each
        element's difference to the step before it.
    """
    bits = np.ascontiguousarray(array).view(f"<u{array.dtype.itemsize}")
    difference = bits.copy()
    difference[1:] -= bits[:-1]  # unsigned: wraps around, so nothing is lost
    octets = difference[..., None].view(np.uint8)
    return np.ascontiguousarray(np.moveaxis(octets, -1, 0))


def from_delta_planes(planes: NDArray[np.uint8], dtype: DTypeLike) -> NDArray[Any]:
    """Undoes `delta_planes`.

    Args:
        planes: its result, (itemsize, T, …).
        dtype: the type of the array that went in.

    Returns:
        The array that went in, (T, …).

    Raises:
        ValueError: the number of planes is not the size of the type.
    """
    dtype = np.dtype(dtype)
    if planes.dtype != np.uint8 or planes.ndim < 2 or planes.shape[0] != dtype.itemsize:
        raise ValueError(f"expected {dtype.itemsize} byte planes, found {planes.shape}")
    octets = np.ascontiguousarray(np.moveaxis(planes, 0, -1))
    unsigned = np.dtype(f"<u{dtype.itemsize}")
    bits = np.cumsum(octets.view(unsigned)[..., 0], axis=0, dtype=unsigned)
    return bits != 0 if dtype == np.bool_ else bits.view(dtype)


def _from_entries(entries: Arrays) -> Recording:
    """A recording from the arrays of its file."""
    header = _read_header(entries)
    arrays = {}
    for name, (dtype, _) in _ARRAYS.items():
        if name not in entries:
            raise RecordingError("", name, "missing; the file is incomplete, record the run again")
        try:
            arrays[name] = from_delta_planes(entries[name], dtype)
        except ValueError as error:
            raise RecordingError("", name, f"damaged: {error}; record the run again") from None
    return Recording(road_map=road_map_from_arrays(entries), **header, **arrays)


def _read_header(entries: Arrays) -> dict[str, Any]:
    """The fields that are not arrays, checked one by one."""
    if "header" not in entries:
        raise RecordingError("", "header", FOREIGN)
    try:
        header = json.loads(entries["header"].tobytes().decode())
    except (ValueError, RecursionError):
        raise RecordingError("", "header", FOREIGN) from None
    if not isinstance(header, dict) or header.pop("format", None) != FORMAT_NAME:
        raise RecordingError("", "header", FOREIGN)
    version = header.pop("version", None)
    if version != FORMAT_VERSION:
        reason = f"format version {version!r}, this gigalane reads {FORMAT_VERSION}; upgrade it"
        raise RecordingError("", "header", reason)
    types: dict[str, Any] = {"title": str, "dt": (int, float), "settings": dict}
    types |= dict.fromkeys(_NAMES, list)
    for name, expected in types.items():
        if not isinstance(header.get(name), expected) or isinstance(header[name], bool):
            raise RecordingError("", f"header, {name}", "missing or of the wrong type")
    return {name: header[name] for name in types}
