"""Small road maps made by hand: every number in them is known to the tests that use them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gigalane.maps.road import (
    Crossing,
    Lane,
    LaneType,
    RoadMap,
    Signal,
    SignalProgram,
    SignalStage,
    SignalType,
    StopLine,
    StopRule,
)

LANE_WIDTH = 3.5


def make_lane(id_, center, width=LANE_WIDTH, **fields) -> Lane:
    """A lane of one width along a centreline (N, 2) or (N, 3)."""
    center = np.asarray(center, float)
    if center.shape[1] == 2:
        center = np.column_stack([center, np.zeros(len(center))])
    tangent = np.gradient(center[:, :2], axis=0)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    normal = np.column_stack([-tangent[:, 1], tangent[:, 0], np.zeros(len(center))])
    fields.setdefault("type", LaneType.DRIVING)
    type_ = fields.pop("type")
    return Lane(
        id_, type_, center, center + 0.5 * width * normal, center - 0.5 * width * normal, **fields
    )


def line(start, end, step=1.0) -> np.ndarray:
    """Points every `step` metres on a straight line between two points."""
    start, end = np.asarray(start, float), np.asarray(end, float)
    count = max(2, round(float(np.linalg.norm(end - start)) / step) + 1)
    return start + (end - start) * np.linspace(0.0, 1.0, count)[:, None]


def straight_road(length=400.0) -> RoadMap:
    """A two-way road along x: "east" at y = -1.75, "west" at y = +1.75, 50 km/h and 10 m/s."""
    east = make_lane("east", line((0.0, -1.75), (length, -1.75)))
    west = make_lane("west", line((length, 1.75), (0.0, 1.75)), speed_limit=10.0)
    return RoadMap("straight", (east, west))


def bridge() -> RoadMap:
    """Two roads that cross at the origin of x and y, "over" 6 m above "under"."""
    under = make_lane("under", line((-200.0, 0.0, 0.0), (200.0, 0.0, 0.0)))
    over = make_lane("over", line((0.0, -200.0, 6.0), (0.0, 200.0, 6.0)))
    return RoadMap("bridge", (under, over))


def ring(scale=1.0) -> RoadMap:
    """A crooked hilly loop: two lanes counter-clockwise, one clockwise inside, a pavement outside.

    Nobody runs out of road on it. The counter-clockwise lanes are `outer:k` (right) and
    `inner:k` (left), the clockwise lane is `back:k`, cut into five pieces each.
    """
    turn = np.linspace(0.0, 2.0 * np.pi, 721)
    radius = 90.0 + 9.0 * np.cos(2.0 * turn + 0.4) + 4.0 * np.sin(3.0 * turn + 1.0)
    circle = radius[:, None] * np.column_stack([1.25 * np.cos(turn), np.sin(turn)]) * scale
    height = 4.0 * np.sin(turn + 0.3)
    tangent = np.gradient(circle, axis=0)
    tangent[0] = tangent[-1] = circle[1] - circle[-2]
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    right = np.column_stack([tangent[:, 1], -tangent[:, 0]])

    def offset(distance):
        return np.column_stack([circle + distance * right, height])

    cuts = [0, 130, 290, 430, 600, 720]
    lanes = []
    for k in range(5):
        rows = slice(cuts[k], cuts[k + 1] + 1)
        before, after = (k - 1) % 5, (k + 1) % 5
        for name, distance, half in (("inner", 1.75, 1.75), ("outer", 5.25, 1.75)):
            lanes.append(
                Lane(
                    f"{name}:{k}",
                    LaneType.DRIVING,
                    offset(distance)[rows],
                    offset(distance - half)[rows],
                    offset(distance + half)[rows],
                    (f"{name}:{after}",),
                    (f"{name}:{before}",),
                    f"inner:{k}" if name == "outer" else None,
                    f"outer:{k}" if name == "inner" else None,
                    speed_limit=14.0,
                )
            )
        lanes.append(
            Lane(
                f"back:{k}",
                LaneType.DRIVING,
                offset(-1.75)[rows][::-1],
                offset(0.0)[rows][::-1],
                offset(-3.5)[rows][::-1],
                (f"back:{before}",),
                (f"back:{after}",),
                speed_limit=9.0,
            )
        )
        lanes.append(
            Lane(
                f"walk:{k}",
                LaneType.SIDEWALK,
                offset(8.0)[rows],
                offset(7.0)[rows],
                offset(9.0)[rows],
                (f"walk:{after}",),
                (f"walk:{before}",),
            )
        )
    return RoadMap("ring", tuple(lanes))


def junction(arms, rules, arm_length=120.0, crossing=False, name="junction") -> RoadMap:
    """A junction at the origin; its arms are two-way roads.

    Arm k leads in by lane `in:k` and out by lane `out:k`; `turn:k:j` joins them. The inner end
    of an arm, where its stop line lies, is 12 m from the origin. Lights stand in one group an
    arm and one stage an arm: green 10 s, yellow 3 s, red 2 s.

    Args:
        arms: direction of each arm as seen from the origin [degrees].
        rules: "light", "stop", "yield" or None for each arm.
        arm_length: [m].
        crossing: whether pedestrians cross arm 0.
        name: of the map.
    """
    inner = 12.0
    units = [np.array([np.cos(np.radians(a)), np.sin(np.radians(a))]) for a in arms]
    count = len(units)
    ahead = [[j for j in range(count) if j != k] for k in range(count)]
    lanes, lines, signals, stages = [], [], [], []
    entry, leave = [], []
    for k, unit in enumerate(units):
        left = np.array([-unit[1], unit[0]])
        # Right-hand traffic: who drives towards the origin has it on the left of `unit`.
        came = unit * (inner + arm_length) + 1.75 * left, unit * inner + 1.75 * left
        goes = unit * inner - 1.75 * left, unit * (inner + arm_length) - 1.75 * left
        lanes.append(
            make_lane(
                f"in:{k}",
                line(*came),
                speed_limit=13.0,
                successors=tuple(f"turn:{k}:{j}" for j in ahead[k]),
            )
        )
        lanes.append(
            make_lane(
                f"out:{k}",
                line(*goes),
                speed_limit=13.0,
                predecessors=tuple(f"turn:{j}:{k}" for j in ahead[k]),
            )
        )
        entry.append((came[1], -unit))
        leave.append((goes[0], unit))
        if rules[k] is None:
            continue
        at, side = came[1], np.array([-unit[1], unit[0]])
        # A driver towards the origin has `-side` on the left.
        ends = np.array([[*(at - 1.75 * side), 0.0], [*(at + 1.75 * side), 0.0]])
        rule = StopRule(rules[k])
        lines.append(StopLine(f"stop:{k}", rule, ends, (f"in:{k}",), (f"signal:{k}",), "J"))
        kind = {
            "light": SignalType.TRAFFIC_LIGHT,
            "stop": SignalType.STOP,
            "yield": SignalType.YIELD,
        }[rules[k]]
        group = f"group:{k}" if rules[k] == "light" else None
        signals.append(Signal(f"signal:{k}", kind, np.array([*at, 3.0]), 0.0, (f"in:{k}",), group))
        if group:
            stages.append(SignalStage((group,)))
    for k in range(count):
        for j in ahead[k]:
            start, heading = entry[k]
            end, out = leave[j]
            reach = 0.55 * np.linalg.norm(end - start)
            t = np.linspace(0.0, 1.0, 25)[:, None]
            points = (
                (1 - t) ** 3 * start
                + 3 * (1 - t) ** 2 * t * (start + reach * heading)
                + 3 * (1 - t) * t**2 * (end - reach * out)
                + t**3 * end
            )
            lanes.append(
                make_lane(
                    f"turn:{k}:{j}",
                    points,
                    speed_limit=13.0,
                    is_junction=True,
                    junction="J",
                    successors=(f"out:{j}",),
                    predecessors=(f"in:{k}",),
                )
            )
    programs = (SignalProgram("program", tuple(stages)),) if stages else ()
    crossings = ()
    if crossing:
        unit = units[0]
        left = np.array([-unit[1], unit[0]])
        ring_ = [
            unit * 16 + 4.5 * left,
            unit * 20 + 4.5 * left,
            unit * 20 - 4.5 * left,
            unit * 16 - 4.5 * left,
        ]
        crossings = (Crossing("zebra", np.column_stack([ring_, np.zeros(4)])),)
    return RoadMap(
        name,
        tuple(lanes),
        signals=tuple(signals),
        signal_programs=programs,
        stop_lines=tuple(lines),
        crossings=crossings,
    )


def tee() -> RoadMap:
    """A T junction: lights on the through road (arms 0 and 1), a stop sign below (arm 2)."""
    return junction((0.0, 180.0, 270.0), ("light", "light", "stop"), crossing=True, name="tee")


def all_way_stop() -> RoadMap:
    """Four arms, each with a stop sign."""
    return junction((0.0, 90.0, 180.0, 270.0), ("stop",) * 4, name="all-way stop")


def transformed(road_map: RoadMap, turn=0.0, shift=(0.0, 0.0, 0.0), mirror=False) -> RoadMap:
    """The map turned by an angle [rad] about the origin, then moved; first mirrored in y."""
    cos, sin = np.cos(turn), np.sin(turn)

    def moved(points):
        points = np.asarray(points, float)
        if mirror:
            points = points * [1.0, -1.0, 1.0]
        x, y = points[:, 0], points[:, 1]
        return np.column_stack([cos * x - sin * y, sin * x + cos * y, points[:, 2]]) + shift

    def lane(one: Lane) -> Lane:
        left, right = moved(one.left_boundary), moved(one.right_boundary)
        neighbors = one.left_neighbor, one.right_neighbor
        if mirror:
            left, right, neighbors = right, left, neighbors[::-1]
        return replace(
            one,
            centerline=moved(one.centerline),
            left_boundary=left,
            right_boundary=right,
            left_neighbor=neighbors[0],
            right_neighbor=neighbors[1],
        )

    def stop_line(one: StopLine) -> StopLine:
        ends = moved(one.polyline)
        return replace(one, polyline=ends[::-1] if mirror else ends)

    return replace(
        road_map,
        lanes=tuple(lane(one) for one in road_map.lanes),
        stop_lines=tuple(stop_line(one) for one in road_map.stop_lines),
        crossings=tuple(replace(one, outline=moved(one.outline)) for one in road_map.crossings),
        signals=tuple(
            replace(one, position=moved(one.position[None])[0]) for one in road_map.signals
        ),
    )


def renamed(road_map: RoadMap, prefix: str) -> RoadMap:
    """The map with a prefix before every id, so that it can lie beside another."""

    def all_of(ids):
        return tuple(prefix + one for one in ids)

    return replace(
        road_map,
        lanes=tuple(
            replace(
                one,
                id=prefix + one.id,
                successors=all_of(one.successors),
                predecessors=all_of(one.predecessors),
                junction=one.junction and prefix + one.junction,
            )
            for one in road_map.lanes
        ),
        stop_lines=tuple(
            replace(
                one,
                id=prefix + one.id,
                lanes=all_of(one.lanes),
                signals=all_of(one.signals),
                junction=one.junction and prefix + one.junction,
            )
            for one in road_map.stop_lines
        ),
        signals=tuple(
            replace(
                one,
                id=prefix + one.id,
                lanes=all_of(one.lanes),
                group=one.group and prefix + one.group,
            )
            for one in road_map.signals
        ),
        signal_programs=tuple(
            SignalProgram(
                prefix + one.id,
                tuple(
                    replace(stage, green_groups=all_of(stage.green_groups)) for stage in one.stages
                ),
            )
            for one in road_map.signal_programs
        ),
    )
