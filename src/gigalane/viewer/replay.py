"""Writes recordings as one HTML file that opens from disk, with no server and no network.

The page is `page/replay.html`, `replay.css` and the scripts listed here, put together; they are
read there. The data is inside: for each map and each recording a JSON header and one gzip stream,
in base64, of numbers rounded to what the eye can tell (1 cm, 1 mrad, 1 cm/s) and rearranged by
`sim.recording.delta_planes`, which the page undoes in `decode.js`.

A recording may come with what cameras on some of its road users saw (`viewer.eyes`): pictures
end to end in base64, with their lengths.

Text from recordings reaches the page as JSON alone, with "<" escaped, and is only ever shown as
text. A content security policy lets no other script run and nothing be loaded.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from importlib import resources
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gigalane.core.files import replacing
from gigalane.maps.road import RoadMap
from gigalane.maps.store import road_map_to_arrays
from gigalane.sim.recording import LIGHT_STATE_NAMES, Recording, RecordingError, delta_planes
from gigalane.viewer.figures import (
    BRAKING,
    DART,
    DART_PIXELS,
    FIGURES,
    RIM,
    SMALL,
    SMALL_DART_PIXELS,
    SMALL_PIXELS,
    part_colors,
)
from gigalane.viewer.lane_under import LaneFinder
from gigalane.viewer.map_levels import Decks
from gigalane.viewer.map_shapes import map_shapes
from gigalane.viewer.palette import DARK, EVENT_TONES, LIGHT

if TYPE_CHECKING:
    from gigalane.viewer.eyes import Eyes

SCRIPTS = (
    "decode.js",
    "world.js",
    "camera.js",
    "draw_map.js",
    "draw_users.js",
    "dials.js",
    "eyes.js",
    "timeline.js",
    "panel.js",
    "main.js",
)
"""In the order in which they are read; later ones use earlier ones."""

MISSING = -(2**31)
"""Stands for NaN among rounded numbers."""
MANTISSA_BITS = 12
"""Of floats whose size is not known beforehand (rewards, personas); a relative error of 1e-4."""


def write_replay(
    recordings: Sequence[Recording],
    path: str | os.PathLike[str],
    eyes: Sequence[Eyes | None] = (),
) -> None:
    """Writes the replay page.

    Args:
        recordings: at least one; the page offers them in this order.
        path: the .html file to write or replace.
        eyes: what cameras saw in each of the recordings, in the same order; nothing by default.

    Raises:
        RecordingError: there is no recording, or not as many eyes.
        OSError: the file cannot be written.
    """
    if not recordings:
        raise RecordingError(os.fspath(path), "recordings", "there are none to show")
    if eyes and len(eyes) != len(recordings):
        reason = f"{len(eyes)} for {len(recordings)} recordings; give one, or None, for each"
        raise RecordingError(os.fspath(path), "eyes", reason)
    page = _page(_payload(recordings, eyes or [None] * len(recordings)))
    with replacing(path) as beside:
        beside.write_bytes(page.encode())


def _page(payload: dict[str, Any]) -> str:
    """Puts the sources and the data together."""
    folder = resources.files("gigalane.viewer") / "page"
    sources = [(folder / name).read_text(encoding="utf-8") for name in SCRIPTS]
    script = '"use strict";\n' + "\n".join(sources)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    data = json.dumps(payload, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
    page = (folder / "replay.html").read_text(encoding="utf-8")
    for mark, text in (
        ("SCRIPT-HASH", digest),
        ("/* STYLE */", (folder / "replay.css").read_text(encoding="utf-8")),
        ("/* SCRIPT */", script),
        ("DATA", data),  # last: what a recording says is never searched for marks
    ):
        before, after = page.split(mark, 1)
        page = before + text + after
    return page


def _payload(recordings: Sequence[Recording], eyes: Sequence[Eyes | None]) -> dict[str, Any]:
    maps, places = _distinct_maps(recordings)
    decks = [Decks(road_map.lanes) for road_map in maps]
    finders = [LaneFinder(road_map.lanes) for road_map in maps]
    worlds = [
        _world_data(recording, place, decks[place], finders[place]) | {"eyes": _eyes_data(seen)}
        for recording, place, seen in zip(recordings, places, eyes, strict=True)
    ]
    return {
        "palettes": {"light": asdict(LIGHT), "dark": asdict(DARK)},
        "figures": {kind: [[fill, np.round(points, 4).tolist()] for fill, points in parts]
                    for kind, parts in FIGURES.items()},
        "parts": {
            palette.name: [part_colors(palette, body) for body in palette.driver_colors]
            for palette in (LIGHT, DARK)
        },
        "dart": DART.tolist(),
        "far": {"dart": DART_PIXELS, "small": SMALL, "smallest": SMALL_PIXELS,
                "smallDart": SMALL_DART_PIXELS, "rim": RIM},
        "braking": BRAKING,
        "missing": MISSING,
        "lightStates": LIGHT_STATE_NAMES,
        "maps": [_map_data(road_map, deck) for road_map, deck in zip(maps, decks, strict=True)],
        "recordings": worlds,
    }  # fmt: skip


def _distinct_maps(recordings: Sequence[Recording]) -> tuple[list[RoadMap], list[int]]:
    """The maps, each once, and which of them each recording drives on."""
    maps: list[RoadMap] = []
    place_of: dict[bytes | int, int] = {}
    places = []
    for recording in recordings:
        road_map = recording.road_map
        if id(road_map) not in place_of:
            # Recordings read from files bring equal maps as separate objects.
            content = hashlib.sha256()
            for name, array in road_map_to_arrays(road_map).items():
                content.update(name.encode() + array.tobytes())
            place_of[id(road_map)] = place_of.setdefault(content.digest(), len(maps))
            if place_of[id(road_map)] == len(maps):
                maps.append(road_map)
        places.append(place_of[id(road_map)])
    return maps, places


def _map_data(road_map: RoadMap, decks: Decks) -> dict[str, Any]:
    """Shapes of a map and what the panel says about its lanes."""
    shapes = map_shapes(road_map, decks)
    rings = [ring for shape in shapes for ring in shape.rings]
    points = np.concatenate(rings) if rings else np.zeros((0, 2))
    lanes = road_map.lanes
    return {
        "name": road_map.name,
        "extent": np.round(road_map.extent[:, :2], 2).tolist() if lanes else [[0, 0], [100, 100]],
        "lanes": {
            "id": [lane.id for lane in lanes],
            "type": [str(lane.type) for lane in lanes],
            "limit": [lane.speed_limit for lane in lanes],
            "junction": [int(lane.is_junction) for lane in lanes],
        },
        "rules": [str(line.rule) for line in road_map.stop_lines],
        "shapes": [
            [s.role, int(s.is_area), s.width, s.dash, s.level, s.index, [len(r) for r in s.rings]]
            for s in shapes
        ],
        **_stream({"points": (_rounded(points, 0.01), 0.01)}),
    }


def _world_data(
    recording: Recording, map_index: int, decks: Decks, finder: LaneFinder
) -> dict[str, Any]:
    """One recording as the page reads it."""
    shown = recording.alive & np.isfinite(recording.position_map).all(axis=-1)
    shown &= np.isfinite(recording.heading) & np.isfinite(recording.speed)
    middle = recording.position_map.reshape(-1, 3).astype(np.float64)
    lane = finder.lane_at(middle, recording.heading.reshape(-1)).reshape(shown.shape)
    level = decks.levels(middle).reshape(shown.shape)
    rounded = {
        "position": (recording.position_map, 0.01),
        "heading": (recording.heading, 0.001),
        "speed": (recording.speed, 0.01),
        "acceleration": (recording.acceleration, 0.02),
        "steering": (recording.steering, 0.001),
        "size": (recording.size, 0.01),
        "waypoints": (recording.waypoints_map, 0.01),
    }
    arrays: dict[str, tuple[NDArray[Any], float]] = {}
    for name, (array, step) in rounded.items():
        arrays[name] = _held(_rounded(array, step), shown), step
    for name, array in (("lane", lane), ("episode", recording.episode)):
        arrays[name] = _held(array.astype(np.int32), shown), 1
    for name, array in (("kind", recording.kind), ("driver", recording.driver), ("level", level)):
        arrays[name] = _held(array.astype(np.uint8), shown), 1
    arrays["alive"] = shown.astype(np.uint8), 1
    arrays["events"] = np.where(recording.alive, recording.events, 0).view(np.int32), 1
    arrays["lights"] = recording.light_state, 1
    arrays["rewards"] = _short(np.where(recording.alive[..., None], recording.reward_terms, 0)), 0
    arrays["persona"] = _held(_short(recording.persona), shown), 0
    return {
        "title": recording.title,
        "map": map_index,
        "dt": recording.dt,
        "steps": recording.steps,
        "agents": recording.agents,
        "kinds": recording.kind_names,
        "drivers": recording.driver_names,
        "events": recording.event_names,
        "tones": [EVENT_TONES.get(name, "incident") for name in recording.event_names],
        "rewards": recording.reward_names,
        "personas": recording.persona_names,
        "settings": recording.settings,
        **_stream(arrays),
    }


def _eyes_data(eyes: Eyes | None) -> dict[str, Any] | None:
    """What cameras saw as the page reads it."""
    if eyes is None:
        return None
    return {
        "rig": eyes.rig.name,
        "rate": eyes.rate,
        "size": eyes.mosaic.size,
        "tile": eyes.mosaic.tile,
        "isStrip": eyes.mosaic.is_strip,
        "cameras": eyes.cameras(),
        "films": [
            {
                "agent": agent,
                "lengths": [len(picture) for picture in film],
                "data": base64.b64encode(b"".join(film)).decode(),
            }
            for agent, film in eyes.films.items()
        ],
    }


def _stream(arrays: dict[str, tuple[NDArray[Any], float]]) -> dict[str, Any]:
    """Header and gzip stream of arrays; a step of 0 marks floats."""
    header = [
        {"name": name, "shape": array.shape, "bytes": array.dtype.itemsize, "step": step}
        for name, (array, step) in arrays.items()
    ]
    planes = b"".join(delta_planes(array).tobytes() for array, _ in arrays.values())
    packed = gzip.compress(planes, compresslevel=9, mtime=0)
    return {"arrays": header, "data": base64.b64encode(packed).decode()}


def _rounded(array: NDArray[Any], step: float) -> NDArray[np.int32]:
    """Whole numbers of steps; what is not finite becomes `MISSING`."""
    counts = np.rint(np.asarray(array, np.float64) / step)
    fits = np.isfinite(counts) & (np.abs(counts) < -MISSING)
    return np.where(fits, counts, MISSING).astype(np.int32)


def _short(array: NDArray[Any]) -> NDArray[np.float32]:
    """Floats with the low bits of their mantissa rounded away, so that they compress."""
    dropped = 23 - MANTISSA_BITS
    bits = np.ascontiguousarray(array, np.float32).view(np.uint32)
    half = np.uint32(1 << (dropped - 1))
    kept = ((bits + half) >> np.uint32(dropped)) << np.uint32(dropped)
    return np.where(np.isfinite(array), kept.view(np.float32), np.float32(0.0))


def _held(array: NDArray[Any], shown: NDArray[np.bool_]) -> NDArray[Any]:
    """Repeats each slot's last shown value where nothing is shown, so that it compresses."""
    steps = np.arange(len(shown))[:, None]
    last = np.maximum.accumulate(np.where(shown, steps, 0), axis=0)
    return np.ascontiguousarray(array[last, np.arange(shown.shape[1])])
