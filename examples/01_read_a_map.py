"""Reads a road network and walks along it.

    python examples/01_read_a_map.py [FILE]

Without a file it draws a procedural town. Every format gives the same `RoadMap`: lanes with
their edges in driving direction, what follows them, and what a driver must heed.
"""

import sys

from gigalane import MapError, load_map
from gigalane.maps.generate import generate_town


def main(file: str | None = None) -> None:
    """Prints what a map holds, then ten lanes of a route."""
    try:
        road_map = load_map(file) if file else generate_town(seed=3)
    except MapError as error:  # one line: file, place, what is wrong and the cure
        sys.exit(str(error))

    print(f"{road_map.name}: {len(road_map.lanes)} lanes, {road_map.lane_kilometres:.1f} lane-km, "
          f"{len(road_map.signals)} signals, {len(road_map.crossings)} crossings")  # fmt: skip
    lane = road_map.routable_lanes[0]
    for _ in range(10):
        x, y, _ = lane.centerline[0]
        place = "in a junction" if lane.is_junction else "on the road"
        limit = "no limit" if lane.speed_limit is None else f"{3.6 * lane.speed_limit:.0f} km/h"
        print(f"  {lane.id:40} {lane.length:6.1f} m from ({x:7.1f}, {y:7.1f}) {place}, {limit}")
        if not lane.successors:
            break
        lane = road_map.lane_by_id[lane.successors[0]]


if __name__ == "__main__":
    main(*sys.argv[1:])
