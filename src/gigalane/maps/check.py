"""What every road map must satisfy, whether imported or generated.

`check_road_map` reads a map as a stranger would: it trusts no link and no polyline, and returns
one sentence per violation. Errors break the simulator or a route; warnings are worth a look (a
lane that narrows to nothing, a dead end) but occur in real maps.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import shapely
from numpy.typing import NDArray

from gigalane.maps.road import Lane, RoadMap, SignalType, StopRule

Array = NDArray[np.float64]


class Severity(StrEnum):
    """Whether a finding must be mended."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Finding:
    """One violation.

    Attributes:
        severity: error or warning.
        subject: what it is about ("lane 12.0.-1").
        message: what is wrong with it.
    """

    severity: Severity
    subject: str
    message: str

    def __str__(self) -> str:
        """One line."""
        return f"{self.severity}: {self.subject} {self.message}"


@dataclass(frozen=True)
class CheckSettings:
    """Tolerances; the defaults suit imported maps (all chosen).

    Attributes:
        joint_gap_m: most distance between a lane's end and its successor's start.
        joint_turn_deg: most change of heading there.
        beside_gap_m: most distance between the shared edges of two neighbours.
        shortest_lane_m: least length of a lane.
        narrowest_m: least width of a routable lane.
        widest_m: most width of a routable lane.
        stop_line_reach_m: most distance between a stop line and the end of a lane it crosses.
        overlap_share: share of a lane that may lie on another one outside junctions.
    """

    joint_gap_m: float = 0.5
    joint_turn_deg: float = 10.0
    beside_gap_m: float = 0.5
    shortest_lane_m: float = 0.01
    narrowest_m: float = 1.5
    widest_m: float = 8.0
    stop_line_reach_m: float = 12.0
    overlap_share: float = 0.2


TIGHT = CheckSettings(
    joint_gap_m=0.005,
    joint_turn_deg=1.0,
    beside_gap_m=0.05,
    shortest_lane_m=1.0,
    narrowest_m=2.7,
    widest_m=6.0,
    stop_line_reach_m=1.0,
    overlap_share=0.0,
)
"""Tolerances that generated maps are held to."""


def check_road_map(road_map: RoadMap, settings: CheckSettings | None = None) -> list[Finding]:
    """Checks a map.

    Args:
        road_map: any map.
        settings: tolerances; those for imported maps where left out.

    Returns:
        Findings, errors first, in the order of the checks. Lanes whose geometry is broken are
        left out of the checks that would need it.
    """
    settings = settings or CheckSettings()
    findings = [*_ids(road_map), *_references(road_map), *_shapes(road_map, settings)]
    broken = {f.subject for f in findings if f.severity is Severity.ERROR}
    sound = {lane.id: lane for lane in road_map.lanes if _named(lane) not in broken}
    for check in (_links, _joints, _neighbors, _widths, _sides, _overlaps, _stop_lines):
        findings += check(road_map, sound, settings)
    findings += [*_signals(road_map), *_routes(road_map)]
    return sorted(findings, key=lambda finding: finding.severity is Severity.WARNING)


def errors(findings: Iterable[Finding]) -> list[Finding]:
    """The findings that must be mended."""
    return [finding for finding in findings if finding.severity is Severity.ERROR]


def _named(lane: Lane) -> str:
    return f"lane {lane.id}"


def _error(subject: str, message: str) -> Finding:
    return Finding(Severity.ERROR, subject, message)


def _warning(subject: str, message: str) -> Finding:
    return Finding(Severity.WARNING, subject, message)


# --------------------------------------------------------------------- ids and references
def _ids(road_map: RoadMap) -> Iterator[Finding]:
    kinds = {
        "lane": road_map.lanes,
        "boundary": road_map.boundaries,
        "signal": road_map.signals,
        "signal program": road_map.signal_programs,
        "stop line": road_map.stop_lines,
        "crossing": road_map.crossings,
    }
    for kind, items in kinds.items():
        for id_, count in Counter(item.id for item in items).items():
            if count > 1:
                yield _error(f"{kind} {id_}", f"is defined {count} times")


def _references(road_map: RoadMap) -> Iterator[Finding]:
    lanes, signals = set(road_map.lane_by_id), {signal.id for signal in road_map.signals}
    for lane in road_map.lanes:
        named = {
            "successor": lane.successors,
            "predecessor": lane.predecessors,
            "left neighbor": (lane.left_neighbor,),
            "right neighbor": (lane.right_neighbor,),
        }
        for role, ids in named.items():
            for id_ in ids:
                if id_ is not None and id_ not in lanes:
                    yield _error(_named(lane), f"names {role} {id_}, which does not exist")
    for kind, items in (("signal", road_map.signals), ("stop line", road_map.stop_lines)):
        for item in items:
            for id_ in item.lanes:
                if id_ not in lanes:
                    yield _error(f"{kind} {item.id}", f"names lane {id_}, which does not exist")
    for line in road_map.stop_lines:
        for id_ in line.signals:
            if id_ not in signals:
                yield _error(f"stop line {line.id}", f"names signal {id_}, which does not exist")


# --------------------------------------------------------------------- geometry
def _shapes(road_map: RoadMap, settings: CheckSettings) -> Iterator[Finding]:
    for lane in road_map.lanes:
        lines = (lane.centerline, lane.left_boundary, lane.right_boundary)
        if any(line.ndim != 2 or line.shape[1] != 3 or len(line) < 2 for line in lines):
            yield _error(_named(lane), "has a polyline that is not at least two points of three")
        elif len({len(line) for line in lines}) != 1:
            counts = ", ".join(str(len(line)) for line in lines)
            yield _error(_named(lane), f"has polylines of different lengths ({counts} points)")
        elif not all(np.isfinite(line).all() for line in lines):
            yield _error(_named(lane), "has a coordinate that is not finite")
        elif lane.length < settings.shortest_lane_m:
            yield _error(_named(lane), f"is only {lane.length:.3f} m long")
    for boundary in road_map.boundaries:
        if len(boundary.polyline) < 2 or not np.isfinite(boundary.polyline).all():
            yield _error(f"boundary {boundary.id}", "is no finite line of two points or more")
    for crossing in road_map.crossings:
        if len(crossing.outline) < 3 or not np.isfinite(crossing.outline).all():
            yield _error(f"crossing {crossing.id}", "is no finite outline of three points or more")


def _links(road_map: RoadMap, sound: dict[str, Lane], settings: CheckSettings) -> Iterator[Finding]:
    for lane in sound.values():
        for id_ in lane.successors:
            if id_ in sound and lane.id not in sound[id_].predecessors:
                yield _error(_named(lane), f"has successor {id_}, which does not name it back")
        for id_ in lane.predecessors:
            if id_ in sound and lane.id not in sound[id_].successors:
                yield _error(_named(lane), f"has predecessor {id_}, which does not name it back")


def _end_headings(lane: Lane) -> tuple[Array, Array]:
    """Two estimates each of the heading where a lane begins and ends: (2,) [rad], (2,) [rad].

    A chord of a bend is turned by half the bend; the second estimate takes that half from the
    next chord. Which of them is right depends on where the curve begins.
    """
    steps = np.diff(lane.centerline[:, :2], axis=0)
    lengths = np.linalg.norm(steps, axis=1)
    steps, lengths = steps[lengths > 1e-6], lengths[lengths > 1e-6]
    headings = np.unwrap(np.arctan2(steps[:, 1], steps[:, 0]))
    if len(headings) == 1:
        return headings.repeat(2), headings.repeat(2)
    first = (headings[0] - headings[1]) * lengths[0] / (lengths[0] + lengths[1])
    last = (headings[-1] - headings[-2]) * lengths[-1] / (lengths[-1] + lengths[-2])
    return headings[0] + np.array([0.0, first]), headings[-1] + np.array([0.0, last])


def _joints(
    road_map: RoadMap, sound: dict[str, Lane], settings: CheckSettings
) -> Iterator[Finding]:
    headings = {lane.id: _end_headings(lane) for lane in sound.values()}
    for lane in sound.values():
        for id_ in lane.successors:
            following = sound.get(id_)
            if following is None:
                continue
            gap = float(np.linalg.norm(lane.centerline[-1] - following.centerline[0]))
            routable = lane.is_routable and following.is_routable
            if gap > settings.joint_gap_m:
                # Sidewalks that change their width are joined off their middles in real maps.
                said = _error if routable else _warning
                yield said(_named(lane), f"ends {gap:.2f} m from where its successor {id_} begins")
            turns = headings[lane.id][1][:, None] - headings[id_][0][None]
            turn = np.rad2deg(np.abs((turns + np.pi) % (2 * np.pi) - np.pi).min())
            if turn > settings.joint_turn_deg and routable:
                yield _error(_named(lane), f"bends by {turn:.1f} degrees into its successor {id_}")


def _neighbors(
    road_map: RoadMap, sound: dict[str, Lane], settings: CheckSettings
) -> Iterator[Finding]:
    for lane in sound.values():
        for side, other_id in (("left", lane.left_neighbor), ("right", lane.right_neighbor)):
            other = sound.get(other_id) if other_id is not None else None
            if other is None:
                continue
            back = other.right_neighbor if side == "left" else other.left_neighbor
            if back != lane.id:
                yield _error(_named(lane), f"has {side} neighbor {other.id}, which names {back}")
            own = lane.left_boundary if side == "left" else lane.right_boundary
            its = other.right_boundary if side == "left" else other.left_boundary
            line = shapely.LineString(its[:, :2])
            gap = float(np.median(shapely.distance(line, shapely.points(own[:, :2]))))
            if gap > settings.beside_gap_m:
                yield _error(_named(lane), f"lies {gap:.2f} m from its {side} neighbor {other.id}")
            chords = [line_[-1, :2] - line_[0, :2] for line_ in (own, its)]
            if float(np.dot(*chords)) < 0:
                yield _error(_named(lane), f"runs against its {side} neighbor {other.id}")


def _widths(
    road_map: RoadMap, sound: dict[str, Lane], settings: CheckSettings
) -> Iterator[Finding]:
    for lane in sound.values():
        if not lane.is_routable:
            continue
        widths = np.linalg.norm(lane.left_boundary - lane.right_boundary, axis=1)
        low, high = float(widths.min()), float(widths.max())
        if low >= settings.narrowest_m and high <= settings.widest_m:
            continue
        # A lane that begins or ends in a point is odd; one that never fits a car is wrong.
        fits = high >= settings.narrowest_m and float(np.median(widths)) <= settings.widest_m
        said = _warning if fits else _error
        yield said(_named(lane), f"is {low:.2f} to {high:.2f} m wide")


def _sides(road_map: RoadMap, sound: dict[str, Lane], settings: CheckSettings) -> Iterator[Finding]:
    for lane in sound.values():
        middle = lane.centerline[:, :2]
        ahead = np.gradient(middle, axis=0)
        for side, line, sign in (
            ("left", lane.left_boundary, 1.0),
            ("right", lane.right_boundary, -1.0),
        ):
            away = line[:, :2] - middle
            aside = sign * (ahead[:, 0] * away[:, 1] - ahead[:, 1] * away[:, 0])
            wrong = aside < -1e-3 * np.linalg.norm(ahead, axis=1)
            # A few rows may fold in a bend tighter than the lane is wide.
            if wrong.mean() > 0.5:
                yield _error(_named(lane), f"has its {side} boundary on the other side")
            elif wrong.any() and lane.is_routable:
                yield _warning(_named(lane), f"has {wrong.sum()} points of its {side} boundary "
                               "on the other side")  # fmt: skip


def _overlaps(
    road_map: RoadMap, sound: dict[str, Lane], settings: CheckSettings
) -> Iterator[Finding]:
    """Outside junctions, no routable lane's midline may run on another routable lane."""
    lanes = [lane for lane in sound.values() if lane.is_routable and not lane.is_junction]
    if not lanes:
        return
    corners, owners = [], []
    for number, lane in enumerate(lanes):
        left, right = lane.left_boundary, lane.right_boundary
        quads = np.stack([left[:-1], left[1:], right[1:], right[:-1]], axis=1)
        corners.append(quads)
        owners.append(np.full(len(quads), number))
    quads, owner = np.concatenate(corners), np.concatenate(owners)
    polygons = [shapely.Polygon(quad) for quad in quads[:, :, :2]]
    tree = shapely.STRtree(polygons)
    middles = [0.5 * (lane.centerline[1:] + lane.centerline[:-1]) for lane in lanes]
    for number, (lane, points) in enumerate(zip(lanes, middles, strict=True)):
        which, quad = tree.query(shapely.points(points[:, :2]), predicate="within")
        level = np.abs(points[which, 2] - quads[quad, :, 2].mean(axis=1)) < 3.0
        apart = level & (owner[quad] != number)
        if not apart.any():
            continue
        steps = np.linalg.norm(np.diff(lane.centerline[:, :2], axis=0), axis=1)
        for other in np.unique(owner[quad[apart]]):
            rows = np.unique(which[apart & (owner[quad] == other)])
            share = float(steps[rows].sum() / steps.sum())
            if share > settings.overlap_share:
                message = f"lies on lane {lanes[other].id} over {share:.0%} of its length"
                yield _error(_named(lane), message)


# --------------------------------------------------------------------- stop lines and signals
def _stop_lines(
    road_map: RoadMap, sound: dict[str, Lane], settings: CheckSettings
) -> Iterator[Finding]:
    for line in road_map.stop_lines:
        subject = f"stop line {line.id}"
        if line.polyline.shape != (2, 3) or not np.isfinite(line.polyline).all():
            yield _error(subject, "is not two finite points")
            continue
        if not line.lanes:
            yield _warning(subject, "crosses no lane")
        across = line.polyline[1, :2] - line.polyline[0, :2]
        segment = shapely.LineString(line.polyline[:, :2])
        for id_ in line.lanes:
            lane = sound.get(id_)
            if lane is None:
                continue
            # A line may lie a little beyond the end of the lane that it stops.
            ahead = np.diff(lane.centerline[-2:, :2], axis=0)[0]
            ahead = ahead / max(float(np.linalg.norm(ahead)), 1e-9)
            beyond = lane.centerline[-1, :2] + settings.stop_line_reach_m * ahead
            path = shapely.LineString(np.vstack([lane.centerline[:, :2], beyond]))
            if not path.intersects(segment):
                yield _error(subject, f"does not lie across lane {id_}")
                continue
            away = segment.distance(shapely.Point(lane.centerline[-1, :2]))
            if away > settings.stop_line_reach_m:
                yield _error(subject, f"lies {away:.1f} m from the end of lane {id_}")
            if across[0] * ahead[1] - across[1] * ahead[0] < 0.5 * np.linalg.norm(across):
                yield _error(subject, f"does not run from left to right of lane {id_}")


def _signals(road_map: RoadMap) -> Iterator[Finding]:
    planned = {
        group
        for program in road_map.signal_programs
        for stage in program.stages
        for group in stage.green_groups
    }
    groups = {signal.group for signal in road_map.signals if signal.group is not None}
    lights = {s.id for s in road_map.signals if s.type is SignalType.TRAFFIC_LIGHT}
    for group in sorted(groups - planned):
        yield _error(f"signal group {group}", "never gets green: no program names it")
    for group in sorted(planned - groups):
        yield _warning(f"signal group {group}", "is in a program but has no signal")
    for signal in road_map.signals:
        if signal.type is SignalType.TRAFFIC_LIGHT and signal.group is None:
            yield _error(f"signal {signal.id}", "is a light without a group")
    for program in road_map.signal_programs:
        if not program.stages:
            yield _error(f"signal program {program.id}", "has no stage")
        for stage in program.stages:
            if min(stage.green, stage.yellow, stage.red) < 0 or stage.green == 0:
                yield _error(f"signal program {program.id}", "has a stage without green time")
    for line in road_map.stop_lines:
        if line.rule is StopRule.LIGHT and not lights.intersection(line.signals):
            yield _error(f"stop line {line.id}", "waits for a light but names none")


# --------------------------------------------------------------------- routes
def _routes(road_map: RoadMap) -> Iterator[Finding]:
    lanes = {lane.id: lane for lane in road_map.routable_lanes}
    if not lanes:
        yield _error(f"map {road_map.name}", "has no lane that a car may drive on")
        return
    share = reachable_share(road_map)
    if share < 1.0 - 1e-9:
        message = f"has {share:.1%} of its routable length in its largest connected part"
        yield _warning(f"map {road_map.name}", message)
    for lane in lanes.values():
        if not any(id_ in lanes for row in _row(lane, lanes) for id_ in row.successors):
            yield _warning(_named(lane), "is a dead end")


def _row(lane: Lane, lanes: dict[str, Lane]) -> list[Lane]:
    """A lane and all that lie beside it and run the same way, reached by lane changes."""
    row, front = {lane.id: lane}, [lane]
    while front:
        current = front.pop()
        for id_ in (current.left_neighbor, current.right_neighbor):
            if id_ in lanes and id_ not in row:
                row[id_] = lanes[id_]
                front.append(lanes[id_])
    return list(row.values())


def reachable_share(road_map: RoadMap) -> float:
    """Share of routable length in the largest part whose lanes all reach each other.

    Routes follow successors and change to neighbours.
    """
    lanes = {lane.id: lane for lane in road_map.routable_lanes}
    onward = {
        id_: [
            other
            for other in (*lane.successors, lane.left_neighbor, lane.right_neighbor)
            if other is not None and other in lanes
        ]
        for id_, lane in lanes.items()
    }
    parts = strong_components(onward)
    length = {id_: lane.length for id_, lane in lanes.items()}
    total = sum(length.values())
    return max(sum(length[id_] for id_ in part) for part in parts) / total if total else 0.0


def strong_components(onward: dict[str, list[str]]) -> list[list[str]]:
    """Strongly connected components (Kosaraju's two passes, without recursion)."""
    order: list[str] = []
    _walk(onward, onward, lambda node: order.append(node))
    backward: dict[str, list[str]] = {node: [] for node in onward}
    for node, following in onward.items():
        for other in following:
            backward[other].append(node)
    parts: list[list[str]] = []
    seen: set[str] = set()
    for root in reversed(order):
        if root in seen:
            continue
        part, front = [], [root]
        seen.add(root)
        while front:
            node = front.pop()
            part.append(node)
            for other in backward[node]:
                if other not in seen:
                    seen.add(other)
                    front.append(other)
        parts.append(part)
    return parts


def _walk(onward: dict[str, list[str]], roots: Iterable[str], leave: Callable[[str], None]) -> None:
    """Depth first from each root; calls `leave` when all that a node leads to is done."""
    seen: set[str] = set()
    for root in roots:
        if root in seen:
            continue
        seen.add(root)
        stack = [(root, iter(onward[root]))]
        while stack:
            node, following = stack[-1]
            other = next((o for o in following if o not in seen), None)
            if other is None:
                leave(node)
                stack.pop()
            else:
                seen.add(other)
                stack.append((other, iter(onward[other])))
