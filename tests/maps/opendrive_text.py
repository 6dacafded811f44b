"""Writes small OpenDRIVE files for tests: every argument that a test does not set is plain."""

from __future__ import annotations

from pathlib import Path

from gigalane.maps.importers.opendrive.importer import read_opendrive
from gigalane.maps.road import RoadMap

LINE = "<line/>"


def geometry(s=0.0, x=0.0, y=0.0, hdg=0.0, length=100.0, shape=LINE) -> str:
    return f'<geometry s="{s}" x="{x}" y="{y}" hdg="{hdg}" length="{length}">{shape}</geometry>'


def cubic(tag, s=0.0, a=0.0, b=0.0, c=0.0, d=0.0) -> str:
    start = "sOffset" if tag in ("width", "border") else "s"
    return f'<{tag} {start}="{s}" a="{a}" b="{b}" c="{c}" d="{d}"/>'


def lane(id, width=3.5, type="driving", before=None, after=None, extra="", attributes="") -> str:
    links = "".join(
        f'<{tag} id="{other}"/>'
        for tag, other in (("predecessor", before), ("successor", after))
        if other is not None
    )
    shape = cubic("width", a=width) if isinstance(width, (int, float)) else width
    shape = "" if id == 0 else shape
    opening = f'<lane id="{id}" type="{type}" level="false" {attributes}>'
    return f"{opening}<link>{links}</link>{shape}{extra}</lane>"


def section(*lanes, s=0.0, attributes="") -> str:
    """A lane section from `(id, text)` pairs or lane texts; sides follow from the ids."""
    sides = {"left": [], "center": [lane(0)], "right": []}
    for text in lanes:
        id_ = int(text.split('id="')[1].split('"')[0])
        if id_ == 0:
            sides["center"] = [text]
        else:
            sides["left" if id_ > 0 else "right"].append(text)
    body = "".join(f"<{side}>{''.join(texts)}</{side}>" for side, texts in sides.items() if texts)
    return f'<laneSection s="{s}" {attributes}>{body}</laneSection>'


def road(
    id="1",
    plan=None,
    sections=None,
    length=100.0,
    junction="-1",
    before="",
    after="",
    extra="",
    elevation="",
    superelevation="",
    offset="",
    attributes="",
) -> str:
    plan = geometry(length=length) if plan is None else plan
    sections = section(lane(1), lane(-1)) if sections is None else sections
    return (
        f'<road name="" length="{length}" id="{id}" junction="{junction}" {attributes}>'
        f"<link>{before}{after}</link><planView>{plan}</planView>"
        f"<elevationProfile>{elevation}</elevationProfile>"
        f"<lateralProfile>{superelevation}</lateralProfile>"
        f"<lanes>{offset}{sections}</lanes>{extra}</road>"
    )


def link(tag, id, contact=None, type="road") -> str:
    point = "" if contact is None else f' contactPoint="{contact}"'
    return f'<{tag} elementType="{type}" elementId="{id}"{point}/>'


def document(*parts, minor=8) -> str:
    header = f'<header revMajor="1" revMinor="{minor}"/>'
    return f'<?xml version="1.0"?><OpenDRIVE>{header}{"".join(parts)}</OpenDRIVE>'


def read(folder: Path, *parts) -> RoadMap:
    """Writes a document of these parts and reads it."""
    path = folder / "map.xodr"
    path.write_text(document(*parts))
    return read_opendrive(path)
