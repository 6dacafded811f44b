"""What CARLA's own reader says about an OpenDRIVE file, as plain arrays in our map frame.

The `carla` wheel reads maps without a simulator. It can crash the interpreter, so it runs in a
process of its own: `read_with_carla` starts this file as a script and loads what it wrote.
CARLA's frame is left-handed: y_map = -y_carla, heading_map = -yaw_carla.
"""

from __future__ import annotations

import gzip
import math
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class CarlaReading:
    """Waypoints, lane ends and crosswalks of one map.

    Attributes:
        lane: road, section and lane id of each waypoint, (N, 3).
        position: (N, 3) [m], map frame.
        heading: (N,) [rad], map frame, of travel.
        width: (N,) [m].
        junction: whether the waypoint lies in a junction, (N,).
        links: pairs of lanes, (M, 6): where travel leads across a lane's end.
        crosswalk: corners of all crosswalks, (K, 3) [m], map frame, each ring closed.
        landmarks: signals: (id, road, type, validity as text), (L, 4) strings.
        landmark_position: (L, 2) [m], map frame.
    """

    lane: np.ndarray
    position: np.ndarray
    heading: np.ndarray
    width: np.ndarray
    junction: np.ndarray
    links: np.ndarray
    crosswalk: np.ndarray
    landmarks: np.ndarray
    landmark_position: np.ndarray


def read_with_carla(path: Path, out: Path, spacing: float = 1.0) -> CarlaReading:
    """Runs CARLA's reader on a file in a process of its own.

    Raises:
        RuntimeError: the process failed, with the end of what it said.
    """
    run = subprocess.run(
        [sys.executable, __file__, str(path), str(out), str(spacing)],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    if run.returncode != 0:
        raise RuntimeError(f"carla ended with {run.returncode}: {run.stderr[-500:]}")
    with np.load(out) as arrays:
        return CarlaReading(**{name: arrays[name] for name in arrays.files})


def _main(path: str, out: str, spacing: float) -> None:
    import carla

    data = Path(path).read_bytes()
    text = (gzip.decompress(data) if path.endswith(".gz") else data).decode()
    town = carla.Map("map", text)
    waypoints = town.generate_waypoints(spacing)
    lanes = np.array([(w.road_id, w.section_id, w.lane_id) for w in waypoints])
    transforms = [w.transform for w in waypoints]
    locations = [t.location for t in transforms]
    crosswalk = [(c.x, -c.y, c.z) for c in town.get_crosswalks()]
    landmarks = town.get_all_landmarks()
    np.savez(
        out,
        lane=lanes,
        position=np.array([(p.x, -p.y, p.z) for p in locations]),
        heading=np.array([-math.radians(t.rotation.yaw) for t in transforms]),
        width=np.array([w.lane_width for w in waypoints]),
        junction=np.array([w.is_junction for w in waypoints]),
        links=np.array(_links(waypoints)).reshape(-1, 6),
        crosswalk=np.array(crosswalk).reshape(-1, 3),
        landmarks=np.array(
            [(m.id, str(m.road_id), m.type, str(m.get_lane_validities())) for m in landmarks]
        ).reshape(-1, 4),
        landmark_position=np.array(
            [(m.transform.location.x, -m.transform.location.y) for m in landmarks]
        ).reshape(-1, 2),
    )


def _links(waypoints) -> list[tuple[int, ...]]:
    """Follows every lane from its last waypoint over its end, in steps of two centimetres."""
    last = {}
    for waypoint in waypoints:
        lane = (waypoint.road_id, waypoint.section_id, waypoint.lane_id)
        travelled = -waypoint.s if waypoint.lane_id > 0 else waypoint.s
        if lane not in last or travelled > last[lane][0]:
            last[lane] = (travelled, waypoint)
    links = set()
    for lane, (_, end) in last.items():
        step = 0.02  # small, so that lane sections of a few centimetres are not stepped over
        for _ in range(200):
            beyond = end.next(step)
            there = {(w.road_id, w.section_id, w.lane_id) for w in beyond}
            if there != {lane}:
                links |= {(*lane, *other) for other in there}
                break
            end = beyond[0]
    return sorted(links)


if __name__ == "__main__":
    _main(sys.argv[1], sys.argv[2], float(sys.argv[3]))
