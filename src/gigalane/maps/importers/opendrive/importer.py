"""`read_opendrive`: an OpenDRIVE file becomes a `RoadMap`.

Read this first: the stages in order. `document` parses the file into `records`;
`reference_line` lays out each road; `lanes` cuts its sections into sampled lanes (with `marks`);
`links` joins them; `signals` finds what lights and signs are for; `stop_lines` places stop lines
and crossings.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from gigalane.maps.importers.opendrive.document import read_document
from gigalane.maps.importers.opendrive.edges import road_edges
from gigalane.maps.importers.opendrive.lanes import MAXIMUM_POINTS, Key, LanePiece, sample_road
from gigalane.maps.importers.opendrive.links import join_lanes
from gigalane.maps.importers.opendrive.records import Document
from gigalane.maps.importers.opendrive.reference_line import ReferenceLine
from gigalane.maps.importers.opendrive.signals import Network, place_signals, take_turns
from gigalane.maps.importers.opendrive.stop_lines import place_crossings, place_stop_lines
from gigalane.maps.road import DRIVABLE_LANE_TYPES, Lane, MapError, RoadMap


def read_opendrive(path: str | os.PathLike[str]) -> RoadMap:
    """Reads an OpenDRIVE file, version 1.4 to 1.8, plain or gzip.

    Every lane of every lane section becomes one `Lane` with the id "road:section:lane".

    Args:
        path: the file.

    Returns:
        The road network; what was repaired or left out is in `warnings`.

    Raises:
        MapError: the file cannot be read or parsed, holds numbers that make no road, or has no
            lane that a car can drive on.
    """
    document = read_document(Path(path))
    # Absurd numbers overflow on the way; they are caught where lanes are checked to be finite.
    with np.errstate(all="ignore"):
        return _build(document, _map_name(Path(path)))


def _build(document: Document, name: str) -> RoadMap:
    """Turns records into a road map."""
    pieces, lines = _lay_out(document)
    if not any(piece.type in DRIVABLE_LANE_TYPES for piece in pieces.values()):
        reason = "has no drivable lane; a map needs at least one road with a driving lane"
        raise MapError(document.file, "", reason)
    successors, predecessors = join_lanes(pieces, document)
    network = Network(document, lines, pieces, successors, predecessors)
    signals, governed = place_signals(network)
    signals, programs = take_turns(signals, governed, document)
    stop_lines = place_stop_lines(network, signals, governed)
    crossings = place_crossings(network)
    roads = document.roads.values()
    return RoadMap(
        name=name,
        lanes=tuple(_finish(p, successors[k], predecessors[k]) for k, p in pieces.items()),
        boundaries=tuple(road_edges(pieces)),
        signals=tuple(signals),
        signal_programs=tuple(programs),
        stop_lines=tuple(stop_lines),
        crossings=tuple(crossings),
        left_hand_traffic=2 * sum(road.left_hand_traffic for road in roads) > len(roads),
        geo_reference=document.geo_reference,
        warnings=tuple(document.warnings),
    )


def _lay_out(document: Document) -> tuple[dict[Key, LanePiece], dict[str, ReferenceLine]]:
    """Samples the lanes of every road."""
    pieces: dict[Key, LanePiece] = {}
    lines: dict[str, ReferenceLine] = {}
    budget = MAXIMUM_POINTS
    for road in document.roads.values():
        try:
            lines[road.id] = line = ReferenceLine(road)
            found = list(sample_road(road, line, document, budget))
        except MapError:
            raise
        except ValueError as error:
            raise MapError(document.file, f'road "{road.id}"', str(error)) from error
        budget -= sum(3 * len(piece.s) for piece in found)
        # In the order of sections, and in each from left to right.
        found.sort(key=lambda piece: (piece.key[1], -piece.key[2]))
        pieces.update((piece.key, piece) for piece in found)
    return pieces, lines


def _lane_id(key: Key | None) -> str | None:
    """A lane's id in the map."""
    return None if key is None else "{}:{}:{}".format(*key)


def _finish(piece: LanePiece, successors: tuple[Key, ...], predecessors: tuple[Key, ...]) -> Lane:
    """A sampled lane with its links, as the map holds it."""
    return Lane(
        id=piece.id,
        type=piece.type,
        centerline=piece.center,
        left_boundary=piece.left,
        right_boundary=piece.right,
        successors=tuple("{}:{}:{}".format(*key) for key in successors),
        predecessors=tuple("{}:{}:{}".format(*key) for key in predecessors),
        left_neighbor=_lane_id(piece.left_neighbor),
        right_neighbor=_lane_id(piece.right_neighbor),
        speed_limit=piece.speed_limit,
        is_junction=piece.junction is not None,
        junction=piece.junction,
        left_marks=piece.left_marks,
        right_marks=piece.right_marks,
    )


def _map_name(file: Path) -> str:
    """The file's name without `.gz` and `.xodr`."""
    name = file.name
    for suffix in (".gz", ".xodr", ".xml"):
        if name.lower().endswith(suffix):
            name = name[: -len(suffix)]
    return name
