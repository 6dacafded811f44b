"""What a traffic light shows: a pure function of the world's seed and time.

No state is kept. Each world draws, for each junction, multipliers of the green, yellow and red
times and a phase, and for each light whether it is there at all (GIGAFLOW, appendix).
"""

# pyright: reportGeneralTypeIssues=false, reportInvalidTypeForm=false, reportCallIssue=false
# pyright: reportOperatorIssue=false, reportReturnType=false, reportArgumentType=false
# pyright: reportAttributeAccessIssue=false, reportIndexIssue=false

import warp as wp

from gigalane.core.rng import between, stream, unit
from gigalane.maps.arrays import Control, MapArrays
from gigalane.sim.settings import Rules

OFF = wp.constant(0)
GREEN = wp.constant(1)
YELLOW = wp.constant(2)
RED = wp.constant(3)

_WORLD = wp.constant(101)
_JUNCTION = wp.constant(102)
_LIGHT = wp.constant(103)


@wp.func
def light_state(
    rules: Rules, road: MapArrays, control: Control, seed: wp.uint32, time: float
) -> int:
    """What a stop line's light shows.

    Args:
        rules: how lights vary between worlds.
        road: the maps.
        control: the stop line.
        seed: of the world.
        time: since the world began [s].

    Returns:
        OFF, GREEN, YELLOW or RED; OFF for signs and for lights that are missing.
    """
    if control.program < 0:
        return OFF
    world = stream(seed, 0, 0, _WORLD)
    if unit(world, 0) < rules.missing_all:
        return OFF
    program = road.programs[control.program]
    junction = stream(seed, program.number, 0, _JUNCTION)
    if unit(junction, 0) < rules.missing_group:
        return OFF
    if unit(stream(seed, control.light, 0, _LIGHT), 0) < rules.missing_light:
        return OFF
    if unit(world, 1) < rules.always_green:
        return GREEN
    scale = wp.vec3(
        between(junction, 1, rules.light_green),
        between(junction, 2, rules.light_yellow),
        between(junction, 3, rules.light_red),
    )
    cycle = float(0.0)
    for stage in range(program.stage_count):
        cycle += wp.dot(road.stages[program.stage_start + stage], scale)
    left = wp.mod(time + unit(junction, 4) * cycle, cycle)
    for stage in range(program.stage_count):
        lasts = wp.cw_mul(road.stages[program.stage_start + stage], scale)
        if left < lasts[0] + lasts[1] + lasts[2]:
            if ((control.green_stages >> stage) & 1) == 0:
                return RED
            if left < lasts[0]:
                return GREEN
            if left < lasts[0] + lasts[1]:
                return YELLOW
            return RED
        left -= lasts[0] + lasts[1] + lasts[2]
    return RED
