"""Reads signals and objects beside a road into records.

Separate from `document`, because here a broken record costs a sign, not a road: it is left out
with a warning.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from xml.etree.ElementTree import Element

from gigalane.maps.importers.opendrive.records import Document, ObjectRecord, SignalRecord


class _BrokenRecordError(ValueError):
    """A number that is missing or not finite in a signal or object."""


def _number(element: Element, name: str, default: float | None = 0.0) -> float:
    """A finite number from an attribute; `default` None means it must be there."""
    text = (element.get(name) or "").strip()
    if not text and default is not None:
        return default
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise _BrokenRecordError(f"{name} is {text[:40]!r}, not a finite number")
    return value


def read_signals(road: Element, document: Document, place: str) -> Iterator[SignalRecord]:
    """Signals and signal references of a road (sections 14.2 and 14.6)."""
    for element in road.findall("signals/*"):
        if element.tag not in ("signal", "signalReference"):
            continue
        try:
            yield _read_signal(element)
        except _BrokenRecordError as error:
            document.warn(f'{place}, signal "{element.get("id", "")}"', f"{error}; left out")


def _read_signal(element: Element) -> SignalRecord:
    """One signal; a reference has no type of its own."""
    lanes = tuple(
        (int(_number(validity, "fromLane", None)), int(_number(validity, "toLane", None)))
        for validity in element.findall("validity")
    )
    placed = (
        element.get("id", ""),
        _number(element, "s", None),
        _number(element, "t"),
        _number(element, "zOffset"),
        _number(element, "hOffset"),
        element.get("orientation", "none"),
        lanes,
    )
    if element.tag == "signalReference":
        return SignalRecord(*placed)
    return SignalRecord(
        *placed,
        name=element.get("name", ""),
        type=element.get("type", "") or "none",
        subtype=element.get("subtype", ""),
        country=element.get("country", ""),
        dynamic=element.get("dynamic", "no") in ("yes", "true", "1"),
        value=_number(element, "value") if element.get("value") else None,
        unit=element.get("unit", ""),
        width=_number(element, "width"),
    )


def read_objects(road: Element, document: Document, place: str) -> Iterator[ObjectRecord]:
    """Objects of a road (section 13), with the first outline of each."""
    for element in road.findall("objects/object"):
        try:
            yield _read_object(element)
        except _BrokenRecordError as error:
            document.warn(f'{place}, object "{element.get("id", "")}"', f"{error}; left out")


def _read_object(element: Element) -> ObjectRecord:
    """One object; 1.4 files put the outline straight under it, later ones under `outlines`."""
    outline = element.find("outline")
    if outline is None:
        outline = element.find("outlines/outline")
    corners = [] if outline is None else list(outline)
    return ObjectRecord(
        id=element.get("id", ""),
        name=element.get("name", ""),
        type=element.get("type", ""),
        subtype=element.get("subtype", ""),
        s=_number(element, "s", None),
        t=_number(element, "t"),
        z_offset=_number(element, "zOffset"),
        heading=_number(element, "hdg"),
        length=_number(element, "length"),
        width=_number(element, "width"),
        corners_local=tuple(
            (_number(c, "u", None), _number(c, "v", None), _number(c, "z"))
            for c in corners
            if c.tag == "cornerLocal"
        ),
        corners_road=tuple(
            (_number(c, "s", None), _number(c, "t", None), _number(c, "dz"))
            for c in corners
            if c.tag == "cornerRoad"
        ),
    )
