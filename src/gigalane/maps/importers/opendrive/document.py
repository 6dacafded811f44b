"""Reads an OpenDRIVE file into records: bounded in size, proof against hostile XML.

The file is read as a stream, one `<road>` at a time, through defusedxml (no DTD, no entities).
A number that is missing where geometry needs it, or is not finite, is an error; a broken signal
or object is left out with a warning, because the road is still there.
"""

from __future__ import annotations

import gzip
import math
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO
from xml.etree.ElementTree import Element, ParseError

import numpy as np
from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import iterparse

from gigalane.maps.importers.opendrive.records import (
    ZERO_CUBICS,
    ConnectionRecord,
    ControllerRecord,
    Cubics,
    Document,
    Geometry,
    JunctionRecord,
    LaneRecord,
    LinkRecord,
    MarkRecord,
    RoadRecord,
    SectionRecord,
    SpeedRecord,
)
from gigalane.maps.importers.opendrive.roadside import read_objects, read_signals
from gigalane.maps.road import MapError

MAXIMUM_BYTES = 512 * 1024 * 1024
"""Largest uncompressed file that is read, so that a small archive cannot fill the memory."""
MAXIMUM_ELEMENTS = 10_000_000
"""Most XML elements that are read; the largest CARLA town has 2e5."""
MAXIMUM_DEPTH = 64
"""Deepest nesting that is read; OpenDRIVE needs about ten levels."""

_SPEED_UNITS = {"m/s": 1.0, "": 1.0, "km/h": 1.0 / 3.6, "mph": 0.44704}
"""Metres a second in one of each unit of section 2.3; no unit means m/s."""


class _Bounded:
    """A binary stream that refuses to hand out more than a set number of bytes."""

    def __init__(self, stream: IO[bytes], limit: int, file: str) -> None:
        self._stream, self._left, self._file = stream, limit, file

    def read(self, size: int = -1) -> bytes:
        """Reads on, counting."""
        chunk = self._stream.read(size)
        self._left -= len(chunk)
        if self._left < 0:
            raise MapError(
                self._file, "", f"unpacks to more than {MAXIMUM_BYTES >> 20} MB; cut the map up"
            )
        return chunk


def read_document(path: Path) -> Document:
    """Reads a whole OpenDRIVE file, plain or gzip (told by its first bytes).

    Raises:
        MapError: it cannot be opened, unpacked or parsed, is not OpenDRIVE, is too large, or a
            number that geometry needs is missing or not finite.
    """
    file = os.fspath(path)
    try:
        with path.open("rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            plain = gzip.GzipFile(fileobj=raw) if packed else raw
            bounded = _Bounded(plain, MAXIMUM_BYTES, file)  # pyright: ignore[reportArgumentType]
            return _read_stream(bounded, file)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise MapError(file, "", f"gzip data is damaged or cut short ({error})") from error
    except OSError as error:
        raise MapError(file, "", f"cannot be read ({error.strerror or error})") from error
    except DefusedXmlException as error:
        reason = "declares a DTD, entities or external references; remove them"
        raise MapError(file, "", f"{reason} ({type(error).__name__})") from error
    except ParseError as error:
        line, column = error.position
        reason = str(error).partition(":")[0]
        raise MapError(file, f"line {line}, column {column}", f"not valid XML, {reason}") from error
    except (UnicodeError, LookupError, ValueError) as error:
        if isinstance(error, MapError):
            raise
        raise MapError(file, "", f"is not readable as XML text ({error})") from error


def _read_stream(stream: _Bounded, file: str) -> Document:
    """Reads records as their elements close, then lets the elements go."""
    document = Document(file)
    root: Element | None = None
    count = depth = 0
    for event, element in iterparse(stream, events=("start", "end"), forbid_dtd=True):
        if event == "end":
            depth -= 1
            if depth == 1:
                _read_top_level(element, document)
                assert root is not None
                root.clear()
            continue
        if "}" in element.tag:  # a default namespace says nothing that the names do not
            element.tag = element.tag.rpartition("}")[2]
        depth += 1
        count += 1
        if root is None:
            root = element
            if element.tag != "OpenDRIVE":
                reason = f"root element is <{element.tag}>, not <OpenDRIVE>; another format?"
                raise MapError(file, "", reason)
        if count > MAXIMUM_ELEMENTS or depth > MAXIMUM_DEPTH:
            raise MapError(file, "", "has more or deeper elements than any road network needs")
    return document


def _read_top_level(element: Element, document: Document) -> None:
    """Reads one child of the root element."""
    if element.tag == "header":
        document.vendor = element.get("vendor", "")
        reference = element.findtext("geoReference")
        document.geo_reference = reference.strip() or None if reference else None
    elif element.tag == "road":
        road = _read_road(element, document)
        if road is None:
            return
        if road.id in document.roads:
            document.warn(f'road "{road.id}"', "another road has this id; left out")
        else:
            document.roads[road.id] = road
    elif element.tag == "junction":
        junction = _read_junction(element, document)
        document.junctions.setdefault(junction.id, junction)
    elif element.tag == "controller":
        identity = element.get("id", "")
        signals = dict.fromkeys(c.get("signalId", "") for c in element.findall("control"))
        document.controllers.setdefault(identity, ControllerRecord(identity, tuple(signals)))


def number(
    element: Element, name: str, document: Document, place: str, default: float | None = None
) -> float:
    """A finite number from an attribute.

    Raises:
        MapError: the attribute is missing without a default, not a number, or not finite.
    """
    text = element.get(name)
    where = f"{place}, <{element.tag} {name}>"
    if text is None or not text.strip():
        if default is None:
            raise MapError(document.file, where, "is missing; give a number")
        return default
    try:
        value = float(text)
    except ValueError:
        raise MapError(document.file, where, f"{text[:40]!r} is not a number") from None
    if not math.isfinite(value):
        raise MapError(document.file, where, f"is {text[:40]}; give a finite number")
    return value


def _cubics(elements: list[Element], start: str, document: Document, place: str) -> Cubics | None:
    """A piecewise cubic from its elements, sorted by where they begin; None if there are none."""
    if not elements:
        return None
    rows = [
        [number(e, start, document, place, 0.0)]
        + [number(e, name, document, place, 0.0) for name in "abcd"]
        for e in elements
    ]
    table = np.array(rows)
    table = table[np.argsort(table[:, 0], kind="stable")]
    return Cubics(table[:, 0].copy(), table[:, 1:].copy())


def _speed(element: Element, s: float, document: Document, place: str) -> SpeedRecord:
    """A speed limit in m/s; "no limit" and "undefined" are no number (section 10.4.2)."""
    text = element.get("max", "").strip()
    unit = element.get("unit", "").strip()
    try:
        limit = float(text) * _SPEED_UNITS[unit]
    except (ValueError, KeyError):
        if text not in ("no limit", "undefined", ""):
            document.warn(place, f"speed {text[:20]!r} {unit[:20]!r} is not understood; ignored")
        return SpeedRecord(s, None)
    return SpeedRecord(s, limit if math.isfinite(limit) and limit > 0.0 else None)


def _read_road(element: Element, document: Document) -> RoadRecord | None:
    """One road; None, with a warning, where it has no geometry or no lanes."""
    identity = element.get("id", "")
    place = f'road "{identity}"'
    geometries = tuple(_read_geometries(element, document, place))
    sections = tuple(_read_sections(element, document, place))
    if not geometries or not sections:
        missing = "reference line of any length" if not geometries else "lane section"
        document.warn(place, f"has no {missing}; left out")
        return None
    junction = element.get("junction", "-1")
    speeds = []
    for kind in element.findall("type"):
        s = number(kind, "s", document, place, 0.0)
        speed = kind.find("speed")
        speeds.append(SpeedRecord(s, None) if speed is None else _speed(speed, s, document, place))
    return RoadRecord(
        id=identity,
        length=number(element, "length", document, place, math.fsum(g.length for g in geometries)),
        junction=None if junction in ("-1", "") else junction,
        left_hand_traffic=element.get("rule", "RHT") == "LHT",
        predecessor=_link(element.find("link/predecessor")),
        successor=_link(element.find("link/successor")),
        speeds=tuple(sorted(speeds, key=lambda record: record.s)),
        geometries=geometries,
        elevation=_cubics(element.findall("elevationProfile/elevation"), "s", document, place)
        or ZERO_CUBICS,
        superelevation=_cubics(
            element.findall("lateralProfile/superelevation"), "s", document, place
        )
        or ZERO_CUBICS,
        lane_offset=_cubics(element.findall("lanes/laneOffset"), "s", document, place)
        or ZERO_CUBICS,
        sections=sections,
        signals=tuple(read_signals(element, document, place)),
        objects=tuple(read_objects(element, document, place)),
    )


def _link(element: Element | None) -> LinkRecord | None:
    """What one end of a road is joined to."""
    if element is None or not element.get("elementId"):
        return None
    return LinkRecord(
        element.get("elementType", "road"),
        element.get("elementId", ""),
        element.get("contactPoint", ""),
    )


_SHAPE_PARAMETERS = {
    "line": (),
    "arc": ("curvature",),
    "spiral": ("curvStart", "curvEnd"),
    "poly3": ("a", "b", "c", "d"),
    "paramPoly3": ("aU", "bU", "cU", "dU", "aV", "bV", "cV", "dV"),
}


def _read_geometries(road: Element, document: Document, place: str) -> Iterator[Geometry]:
    """Pieces of the reference line in order; those without length carry no road."""
    records = []
    for element in road.findall("planView/geometry"):
        values = [
            number(element, name, document, place) for name in ("s", "x", "y", "hdg", "length")
        ]
        if values[4] <= 0.0:
            if values[4] < 0.0:
                document.warn(place, f"geometry at s = {values[0]:g} has negative length; ignored")
            continue
        shape = next((child for child in element if child.tag in _SHAPE_PARAMETERS), None)
        if shape is None:
            raise MapError(
                document.file,
                f"{place}, geometry at s = {values[0]:g}",
                f"has none of the known shapes ({', '.join(_SHAPE_PARAMETERS)})",
            )
        parameters = [number(shape, name, document, place) for name in _SHAPE_PARAMETERS[shape.tag]]
        if shape.tag == "paramPoly3":
            # 1.4 files without pRange, SUMO's among them, mean the interval from 0 to 1.
            normalized = shape.get("pRange", "normalized") != "arcLength"
            parameters.append(1.0 if normalized else values[4])
        s, x, y, heading, length = values
        records.append(Geometry(s, x, y, heading, length, shape.tag, tuple(parameters)))
    yield from sorted(records, key=lambda geometry: geometry.s)


def _read_sections(road: Element, document: Document, place: str) -> Iterator[SectionRecord]:
    """Lane sections in order of s."""
    records = []
    for index, element in enumerate(road.findall("lanes/laneSection")):
        here = f"{place}, lane section {index}"
        lanes: dict[int, LaneRecord] = {}
        for side in ("left", "center", "right"):
            for lane_element in element.findall(f"{side}/lane"):
                lane = _read_lane(lane_element, document, here)
                if lane.id in lanes:
                    document.warn(here, f"two lanes have the id {lane.id}; the second is ignored")
                else:
                    lanes[lane.id] = lane
        s = number(element, "s", document, here, 0.0)
        records.append(SectionRecord(index, s, element.get("singleSide") == "true", lanes))
    yield from sorted(records, key=lambda section: section.s)


def _read_lane(element: Element, document: Document, place: str) -> LaneRecord:
    """One lane of a section."""
    identity = int(number(element, "id", document, place))
    here = f"{place}, lane {identity}"
    marks = sorted(
        (_read_mark(mark, document, here) for mark in element.findall("roadMark")),
        key=lambda mark: mark.s_offset,
    )
    speeds = [
        _speed(speed, number(speed, "sOffset", document, here, 0.0), document, here)
        for speed in element.findall("speed")
    ]
    return LaneRecord(
        id=identity,
        type=element.get("type", "none"),
        level=element.get("level", "false") in ("true", "1"),
        direction=element.get("direction", "standard"),
        predecessors=_lane_ids(element.findall("link/predecessor"), document, here),
        successors=_lane_ids(element.findall("link/successor"), document, here),
        width=_cubics(element.findall("width"), "sOffset", document, here),
        border=_cubics(element.findall("border"), "sOffset", document, here),
        marks=tuple(marks),
        speeds=tuple(sorted(speeds, key=lambda speed: speed.s)),
    )


def _read_mark(element: Element, document: Document, place: str) -> MarkRecord:
    """One painted line; 0.12 m wide where the file does not say, as RoadMark's default."""
    color = element.get("color", "standard").lower()
    return MarkRecord(
        number(element, "sOffset", document, place, 0.0),
        element.get("type", "none"),
        "white" if color == "standard" else color,
        max(number(element, "width", document, place, 0.12), 0.0),
    )


def _lane_ids(elements: list[Element], document: Document, place: str) -> tuple[int, ...]:
    """Ids of linked lanes."""
    return tuple(int(number(e, "id", document, place)) for e in elements)


def _read_junction(element: Element, document: Document) -> JunctionRecord:
    """One junction with its connections and controllers."""
    identity = element.get("id", "")
    place = f'junction "{identity}"'
    connections = []
    for connection in element.findall("connection"):
        links = [
            (int(number(link, "from", document, place)), int(number(link, "to", document, place)))
            for link in connection.findall("laneLink")
        ]
        connections.append(
            ConnectionRecord(
                connection.get("incomingRoad", ""),
                connection.get("connectingRoad") or connection.get("linkedRoad", ""),
                connection.get("contactPoint", ""),
                tuple(links),
            )
        )
    controllers = sorted(
        element.findall("controller"), key=lambda c: number(c, "sequence", document, place, 0.0)
    )
    return JunctionRecord(
        identity,
        element.get("type", "default"),
        tuple(connections),
        tuple(dict.fromkeys(c.get("id", "") for c in controllers)),
    )
