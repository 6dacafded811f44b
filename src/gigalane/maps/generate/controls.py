"""Who goes first at a junction: lights with their programme, stop and yield signs, stop lines.

Lanes that turn together form a group. Two groups conflict if any of their movements cross or
merge; a programme's stages are sets of groups without conflicts, so that traffic which obeys
the lights never meets.
"""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from gigalane.maps.generate.curves import direction
from gigalane.maps.generate.draft import Draft, LaneDraft
from gigalane.maps.generate.junctions import Turn, node_name
from gigalane.maps.generate.roads import SPEED_SIGN_HEIGHT, Arm
from gigalane.maps.generate.streets import Control, Node
from gigalane.maps.road import SignalProgram, SignalStage, SignalType, StopRule

LIGHT_HEIGHT = 4.5
"""Height of lights above the ground [m]."""
CLEARANCE = 2.6
"""Midlines of lanes that come closer than this conflict [m]: a car's width and some air."""


def build_controls(
    rng: Generator, draft: Draft, node: Node, arms: list[Arm], turns: list[Turn]
) -> None:
    """Draws the lights or signs and stop lines of a junction that has any."""
    if node.control is Control.SIGNALS:
        _lights(rng, draft, node, arms, turns)
        return
    for arm in arms:
        if not arm.incoming or node.control is Control.NONE:
            continue
        minor = arm.street.index not in node.major
        if node.control is Control.ALL_STOP or (node.control is Control.MINOR_STOP and minor):
            draw_sign(draft, node, arm, StopRule.STOP)
        elif node.control is Control.MINOR_YIELD and minor:
            draw_sign(draft, node, arm, StopRule.YIELD)


def draw_sign(draft: Draft, node: Node, arm: Arm, rule: StopRule) -> None:
    """Draws a stop or yield sign with its line across an arm's incoming lanes."""
    type_ = SignalType.STOP if rule is StopRule.STOP else SignalType.YIELD
    sign = _post(draft, arm, type_, arm.incoming, SPEED_SIGN_HEIGHT, None)
    draft.stop_line(rule, arm.incoming, [sign], node_name(node))


def _post(
    draft: Draft,
    arm: Arm,
    type_: SignalType,
    lanes: list[LaneDraft],
    height: float,
    group: str | None,
) -> int:
    """Stands a light or sign beside the outermost of its lanes, facing the traffic."""
    outward = direction(arm.pose.heading)
    aside = direction(arm.pose.heading + np.pi / 2)
    is_outer = lanes[-1] is arm.incoming[-1]
    # An inner group's light hangs over its own lane; the outer one stands behind the kerb.
    base = lanes[-1].right[-1] + 0.6 * aside if is_outer else lanes[0].center[-1]
    position = base + 0.4 * outward
    return draft.signal(type_, position, arm.pose.heading, lanes, height, group)


def _lights(rng: Generator, draft: Draft, node: Node, arms: list[Arm], turns: list[Turn]) -> None:
    groups: list[tuple[Arm, list[LaneDraft], list[LaneDraft]]] = []
    for number, arm in enumerate(arms):
        own = [turn for turn in turns if turn.arm == number]
        for lanes in _groups(len(arm.incoming), own):
            members = [arm.incoming[lane] for lane in lanes]
            paths = [turn.connector for turn in own if turn.lane in lanes]
            groups.append((arm, members, paths))
    clash = np.array(
        [[a is not b and _conflict(a[2], b[2]) for b in groups] for a in groups], dtype=bool
    )
    stages = _stages(clash)
    if len(stages) < 2:
        return
    name = node_name(node)
    for index, (arm, lanes, _) in enumerate(groups):
        light = _post(
            draft, arm, SignalType.TRAFFIC_LIGHT, lanes, LIGHT_HEIGHT, f"{name}.group{index}"
        )
        draft.stop_line(StopRule.LIGHT, lanes, [light], name)
    green = float(rng.integers(7, 15))
    draft.programs.append(
        SignalProgram(
            f"{name}.program",
            tuple(
                SignalStage(tuple(f"{name}.group{index}" for index in stage), green=green)
                for stage in stages
            ),
        )
    )


def _groups(count: int, turns: list[Turn]) -> list[list[int]]:
    """Lanes of an arm that switch together: those that only turn left apart from the rest."""
    if not count:
        return []
    leftward = np.deg2rad(35.0)
    only_left = [
        lane
        for lane in range(count)
        if all(turn.angle > leftward for turn in turns if turn.lane == lane)
    ]
    rest = [lane for lane in range(count) if lane not in only_left]
    return [lanes for lanes in (only_left, rest) if lanes]


def _conflict(first: list[LaneDraft], second: list[LaneDraft]) -> bool:
    """Whether any lane of one group comes too close to any of another."""
    for a in first:
        for b in second:
            gaps = np.linalg.norm(_fine(a)[:, None] - _fine(b)[None], axis=2)
            if gaps.min() < CLEARANCE:
                return True
    return False


def _fine(lane: LaneDraft) -> np.ndarray:
    """Points every metre along a lane's midline."""
    steps = np.linalg.norm(np.diff(lane.center, axis=0), axis=1)
    along = np.concatenate([[0.0], np.cumsum(steps)])
    stations = np.linspace(0.0, along[-1], max(2, int(along[-1]) + 1))
    return np.stack([np.interp(stations, along, lane.center[:, k]) for k in (0, 1)], axis=1)


def _stages(clash: np.ndarray) -> list[list[int]]:
    """Sets of groups without conflicts that together contain every group."""
    waiting = list(range(len(clash)))
    stages = []
    while waiting:
        stage = [waiting[0]]
        for group in [*waiting[1:], *(g for g in range(len(clash)) if g not in waiting)]:
            if group not in stage and not clash[group][stage].any():
                stage.append(group)
        waiting = [group for group in waiting if group not in stage]
        stages.append(sorted(stage))
    return stages
