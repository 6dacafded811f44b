"""The road as a route uses it: which lane follows which, and the stop lines on the way."""

from __future__ import annotations

import heapq

import numpy as np
from numpy.typing import NDArray

from gigalane.maps.arrays import (
    RULE_LIGHT,
    RULE_STOP,
    RULE_YIELD,
    Control,
    LaneControl,
    LaneRecord,
    Program,
    record_dtype,
)
from gigalane.maps.compile_settings import CompileSettings
from gigalane.maps.road import Lane, RoadMap, StopRule
from gigalane.maps.surface import surface_flags

Floats = NDArray[np.float64]
Records = NDArray[np.void]


def lane_graph(
    lanes: list[Lane],
    segments: Records,
    lane_ranges: NDArray[np.int32],
    settings: CompileSettings,
) -> tuple[Records, NDArray[np.int32]]:
    """Lane records and their links; routable lanes link to routable lanes only."""
    index = {lane.id: k for k, lane in enumerate(lanes)}
    road_lanes = {lane.id: lane for lane in lanes}
    junctions = {
        name: k for k, name in enumerate(sorted({lane.junction for lane in lanes if lane.junction}))
    }
    records = np.zeros(len(lanes), dtype=record_dtype(LaneRecord))
    links: list[int] = []

    def linked(lane: Lane, ids: tuple[str, ...]) -> list[int]:
        return [
            index[i]
            for i in ids
            if i in index
            and lanes[index[i]].is_routable == lane.is_routable
            and lane_ranges[index[i], 1] > 0
        ]

    def beside(lane: Lane, other: str | None) -> int:
        return (
            index[other]
            if lane.is_routable
            and other in index
            and (lanes[index[other]].is_routable and lane_ranges[index[other], 1] > 0)
            else -1
        )

    for k, lane in enumerate(lanes):
        first, count = lane_ranges[k]
        successors, predecessors = linked(lane, lane.successors), linked(lane, lane.predecessors)
        end = segments[first + count - 1]
        records[k] = (
            surface_flags(lane) if count else 0,
            first,
            count,
            float(end["arc"] + end["length"]) if count else 0.0,
            _speed_limit(lane, road_lanes, settings),
            junctions[lane.junction] if lane.junction else -1,
            beside(lane, lane.left_neighbor),
            beside(lane, lane.right_neighbor),
            len(links),
            len(successors),
            len(links) + len(successors),
            len(predecessors),
            0,
            0,
        )
        links += successors + predecessors
    return records, np.array(links, np.int32)


def _speed_limit(lane: Lane, lanes: dict[str, Lane], settings: CompileSettings) -> float:
    """A lane's limit [m/s]; where the source is silent, that of the lanes it joins.

    Files often name limits on roads and none inside junctions.
    """
    beside = (lanes.get(i) for i in (*lane.predecessors, *lane.successors))
    known = [lane.speed_limit, *(other.speed_limit for other in beside if other)]
    return next((limit for limit in known if limit is not None), settings.default_speed_limit)


def stop_line_controls(
    road_map: RoadMap, lanes: list[Lane], origin_map: Floats
) -> tuple[Records, Records, NDArray[np.float32], list[list[int]]]:
    """Stop lines, light programmes, their stages, and the lanes each line crosses."""
    stages, program_rows, place_of_group = [], [], {}
    for number, program in enumerate(road_map.signal_programs):
        program_rows.append((len(stages), len(program.stages), number))
        for k, stage in enumerate(program.stages):
            stages.append((stage.green, stage.yellow, stage.red))
            for group in stage.green_groups:
                known = place_of_group.setdefault(group, [number, 0])
                known[1] |= 1 << min(k, 30)
    programs = np.array(program_rows, dtype=record_dtype(Program))
    group_of_signal = {s.id: s.group for s in road_map.signals}
    index = {lane.id: k for k, lane in enumerate(lanes)}
    junctions = {
        name: k for k, name in enumerate(sorted({lane.junction for lane in lanes if lane.junction}))
    }
    rules = {StopRule.LIGHT: RULE_LIGHT, StopRule.STOP: RULE_STOP, StopRule.YIELD: RULE_YIELD}
    controls = np.zeros(len(road_map.stop_lines), dtype=record_dtype(Control))
    control_lanes: list[list[int]] = []
    lights = 0
    for row, line in zip(controls, road_map.stop_lines, strict=True):
        left, right = line.polyline[0] - origin_map, line.polyline[-1] - origin_map
        across = (right - left)[:2] / max(float(np.linalg.norm((right - left)[:2])), 1e-6)
        row["left_x"], row["left_y"], row["z"] = left
        row["right_x"], row["right_y"] = right[:2]
        row["cos"], row["sin"] = -across[1], across[0]
        row["rule"] = rules[line.rule]
        row["program"], row["light"] = -1, -1
        row["junction"] = junctions.get(line.junction or "", -1)
        if line.rule == StopRule.LIGHT:
            groups = [group_of_signal.get(s) for s in line.signals]
            known = [place_of_group[g] for g in groups if g in place_of_group]
            if known:
                row["program"], row["green_stages"] = known[0]
                row["light"], lights = lights, lights + 1
        control_lanes.append([index[i] for i in line.lanes if i in index])
    return controls, programs, np.array(stages, np.float32).reshape(-1, 3), control_lanes


def look_ahead(
    records: Records,
    links: NDArray[np.int32],
    segments: Records,
    controls: Records,
    control_lanes: list[list[int]],
    control_range: float,
) -> Records:
    """Lists, for each lane, the controls on it and on what follows, nearest first."""
    own: dict[int, list[tuple[int, float]]] = {}
    for number, lanes in enumerate(control_lanes):
        row = controls[number]
        x, y = 0.5 * (row["left_x"] + row["right_x"]), 0.5 * (row["left_y"] + row["right_y"])
        for lane in lanes:
            first, count = records["first_segment"][lane], records["segment_count"][lane]
            piece = segments[first : first + count]
            along = np.clip(
                (x - piece["x"]) * piece["cos"] + (y - piece["y"]) * piece["sin"],
                0.0,
                piece["length"],
            )
            gap = np.hypot(
                x - piece["x"] - along * piece["cos"], y - piece["y"] - along * piece["sin"]
            )
            best = int(gap.argmin())
            own.setdefault(lane, []).append((number, float(piece["arc"][best] + along[best])))
    found: list[tuple[int, float]] = []
    for lane, record in enumerate(records):
        ahead: dict[int, float] = {}
        frontier, left = [(0.0, lane)], set()
        while frontier and own:
            distance, here = heapq.heappop(frontier)
            if here in left:
                continue
            left.add(here)
            for number, offset in own.get(here, []):
                ahead[number] = min(distance + offset, ahead.get(number, np.inf))
            beyond = distance + float(records["length"][here])
            start, count = records["successor_start"][here], records["successor_count"][here]
            for following in links[start : start + count]:
                # Who is about to leave this lane sees that far beyond its end.
                in_sight = beyond - float(record["length"]) < control_range
                if in_sight and int(following) not in left:
                    heapq.heappush(frontier, (beyond, int(following)))
        nearest = sorted(ahead.items(), key=lambda item: item[1])[:8]
        record["control_start"], record["control_count"] = len(found), len(nearest)
        found += nearest
    return np.array(found, dtype=record_dtype(LaneControl))
