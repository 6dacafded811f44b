"""gigalane map: import, info, view."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro
from rich.console import Console
from rich.table import Table

from gigalane.cli.arguments import parse
from gigalane.cli.errors import InputError
from gigalane.maps.road import RoadMap
from gigalane.maps.sources import open_map

Source = Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="MAP")]


@dataclass(frozen=True)
class MapImport:
    """Reads a road file and saves it as a map that loads at once.

    The saved file holds the road network and, compiled, what the simulator needs.

    Examples:
      gigalane map import Town01.xodr.gz -o town01.npz
      gigalane map import town:7 -o seven.npz
    """

    source: Source
    """Road file (.xodr, .xodr.gz, .npz) or town:SEED."""
    out: Annotated[Path, tyro.conf.arg(aliases=["-o"], metavar="FILE")]
    """Where to save it (.npz)."""


@dataclass(frozen=True)
class MapInfo:
    """Tells what is in a road file, and what is wrong with it.

    Examples:
      gigalane map info Town01.xodr.gz
      gigalane map info town:7 --json
    """

    source: Source
    """Road file (.xodr, .xodr.gz, .npz) or town:SEED."""
    json: bool = False
    """Print JSON."""


@dataclass(frozen=True)
class MapView:
    """Draws a road file.

    Examples:
      gigalane map view Town01.xodr.gz
      gigalane map view town:7 -o seven.svg --width 2400
    """

    source: Source
    """Road file (.xodr, .xodr.gz, .npz) or town:SEED."""
    out: Annotated[Path | None, tyro.conf.arg(aliases=["-o"], metavar="FILE")] = None
    """Picture to write (.png or .svg); by default the map's name with .png, here."""
    width: int = 1600
    """Its width in pixels, 64 to 20,000."""


ACTIONS = {"import": MapImport, "info": MapInfo, "view": MapView}
HELP = """usage: gigalane map ACTION [OPTIONS]     (gigalane map ACTION --help tells more)

  import SRC -o OUT    read a road file and save it as a map that loads at once
  info FILE            tell what is in a road file, and what is wrong with it
  view FILE            draw it"""


def run(words: Sequence[str]) -> int:
    """Runs `gigalane map`."""
    if not words or words[0] in ("-h", "--help"):
        print(HELP)
        return 0
    if words[0] not in ACTIONS:
        raise InputError(f"map: no action {words[0]!r}; there are {', '.join(ACTIONS)}")
    command = parse(ACTIONS[words[0]], words[1:], f"map {words[0]}")
    if isinstance(command, MapImport):
        _import(command)
    elif isinstance(command, MapInfo):
        _info(open_map(command.source), command.json)
    else:
        _view(command)
    return 0


def _import(command: MapImport) -> None:
    from gigalane.maps.compiled_file import save_compiled

    out = command.out
    if out.is_dir() or out.suffix.lower() != ".npz":
        raise InputError(f"{out}: saved maps are .npz files; name one")
    road_map = open_map(command.source)
    save_compiled(road_map, out)
    for warning in road_map.warnings[:10]:
        print(f"note: {warning}")
    if len(road_map.warnings) > 10:
        print(f"note: and {len(road_map.warnings) - 10} more")
    print(
        f"{out}: {len(road_map.lanes)} lanes, {road_map.lane_kilometres:.1f} lane-km, "
        f"{out.stat().st_size / 1e6:.1f} MB"
    )


def facts_of(road_map: RoadMap) -> dict[str, Any]:
    """What `map info` tells."""
    from gigalane.maps.check import check_road_map

    low, high = road_map.extent
    findings = check_road_map(road_map)
    return {
        "name": road_map.name,
        "lane_km": round(road_map.lane_kilometres, 3),
        "extent_m": [round(float(v), 1) for v in (high - low)],
        "lanes": dict(Counter(str(lane.type) for lane in road_map.lanes).most_common()),
        "junctions": len({lane.junction for lane in road_map.lanes if lane.junction}),
        "signals": dict(Counter(str(s.type) for s in road_map.signals).most_common()),
        "signal_programs": len(road_map.signal_programs),
        "stop_lines": dict(Counter(str(s.rule) for s in road_map.stop_lines).most_common()),
        "crossings": len(road_map.crossings),
        "traffic": "left" if road_map.left_hand_traffic else "right",
        "warnings": list(road_map.warnings),
        "findings": [str(finding) for finding in findings],
    }


def _info(road_map: RoadMap, as_json: bool) -> None:
    facts = facts_of(road_map)
    if as_json:
        print(json.dumps(facts, indent=2))
        return
    table = Table(show_header=False, box=None, pad_edge=False)
    for name, value in facts.items():
        if name in ("warnings", "findings"):
            continue
        if isinstance(value, dict):
            value = ", ".join(f"{count} {kind}" for kind, count in value.items()) or "none"
        elif isinstance(value, list):
            value = " x ".join(f"{v:g}" for v in value)
        table.add_row(name.replace("_", " "), str(value))
    console = Console(highlight=False)
    console.print(table)
    for kind in ("warnings", "findings"):
        for sentence in facts[kind][:8]:
            console.print(f"  {kind[:-1]}: {sentence}", markup=False)
        if len(facts[kind]) > 8:
            console.print(f"  and {len(facts[kind]) - 8} more {kind} (--json lists all)")


def _view(command: MapView) -> None:
    from gigalane.viewer.map_picture import draw_map

    if command.out and command.out.suffix.lower() not in (".png", ".svg"):
        raise InputError(f"{command.out}: pictures are .png or .svg; name it so")
    if not 64 <= command.width <= 20_000:
        raise InputError(f"--width is {command.width}; give 64 to 20000 pixels")
    road_map = open_map(command.source)
    # Names come out of files: what is no plain file name must not become a path.
    plain = re.sub(r"[^\w.-]+", "_", road_map.name).lstrip(".") or "map"
    out = command.out or Path(f"{plain}.png")
    draw_map(road_map, out, command.width)
    print(out)
