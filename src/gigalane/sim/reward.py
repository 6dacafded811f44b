"""What a step was worth: facts and motion, weighed by the agent's own persona.

Formulas and ranges: GIGAFLOW (arXiv 2502.03349, appendix). Each term is reported by name.
"""

# pyright: reportGeneralTypeIssues=false, reportInvalidTypeForm=false, reportCallIssue=false
# pyright: reportOperatorIssue=false, reportReturnType=false, reportArgumentType=false
# pyright: reportAttributeAccessIssue=false, reportIndexIssue=false

import warp as wp

from gigalane.sim.events import (
    COLLIDED,
    OFF_ROAD,
    OUT_OF_TURN,
    RAN_RED,
    RAN_STOP,
    REACHED_GOAL,
    REACHED_WAYPOINT,
)
from gigalane.sim.scene import Body, PersonaVector, Place, RewardVector

REWARD_NAMES: tuple[str, ...] = (
    "goal",
    "collision",
    "off_road",
    "comfort",
    "lane_align",
    "lane_centre",
    "forward",
    "reverse",
    "stop_line",
    "time",
)

COMFORT_ACCELERATION = wp.constant(3.0)
"""Bound of each acceleration [m/s²] (GIGAFLOW)."""
COMFORT_JERK = wp.constant(5.0)
"""Bound of each jerk [m/s³] (GIGAFLOW)."""

COMFORT_STEP = wp.constant(0.3)
"""The weight of a broken bound is that of a step of this length [s], GIGAFLOW's: so a second
of discomfort costs the same at every time step."""

# Positions in a persona, in the order of PERSONA_NAMES; element 0, the goal radius, is no weight.
W_COLLISION = wp.constant(1)
W_OFF_ROAD = wp.constant(2)
W_COMFORT = wp.constant(3)
W_LANE_ALIGN = wp.constant(4)
W_VELOCITY_ALIGN = wp.constant(5)
W_LANE_CENTRE = wp.constant(6)
CENTRE_BIAS = wp.constant(7)
W_REVERSE = wp.constant(8)
W_STOP_LINE = wp.constant(9)
W_FORWARD = wp.constant(10)
W_TIME = wp.constant(11)


@wp.func
def reward_terms(
    persona: PersonaVector, body: Body, place: Place, facts: int, dt: float
) -> RewardVector:
    """The weighted terms of a step's reward, in the order of REWARD_NAMES.

    Args:
        persona: the agent's weights.
        body: its state after the step.
        place: its place after the step.
        facts: event mask of the step.
        dt: time step [s].
    """
    terms = RewardVector()
    speed = wp.abs(body.speed)
    if (facts & (REACHED_GOAL | REACHED_WAYPOINT)) != 0:
        terms[0] = 1.0
    if (facts & COLLIDED) != 0:
        terms[1] = -(persona[W_COLLISION] + 0.1 * speed)
    if (facts & OFF_ROAD) != 0:
        terms[2] = -persona[W_OFF_ROAD]
    broken = float(0.0)
    if wp.abs(body.acceleration) > COMFORT_ACCELERATION:
        broken += 1.0
    if wp.abs(body.lateral_acceleration) > COMFORT_ACCELERATION:
        broken += 1.0
    if wp.abs(body.jerk) > COMFORT_JERK or wp.abs(body.lateral_jerk) > COMFORT_JERK:
        broken += 1.0
    terms[3] = -persona[W_COMFORT] * broken * dt / COMFORT_STEP
    cos = place.heading_cos
    angle = wp.abs(wp.atan2(place.heading_sin, cos))
    terms[4] = (
        persona[W_LANE_ALIGN]
        * dt
        * (
            wp.min(cos, 0.0)
            + persona[W_VELOCITY_ALIGN] * wp.min(body.speed * cos, 0.0)
            + 0.0025 * (1.0 - 2.0 * angle / 3.141592654)
        )
    )
    aside = wp.abs(place.offset - persona[CENTRE_BIAS])
    away = wp.where(cos > 0.5, aside, 0.0)
    terms[5] = -persona[W_LANE_CENTRE] * dt * (away - 0.05 / wp.exp(aside - 0.5))
    if speed > 2.5:
        terms[6] = persona[W_FORWARD] * dt * wp.max(cos, 0.0)
    if body.speed < 0.0:
        terms[7] = -persona[W_REVERSE] * dt
    if (facts & (RAN_RED | RAN_STOP | OUT_OF_TURN)) != 0:
        terms[8] = -persona[W_STOP_LINE]
    if speed > 0.0 or wp.abs(body.acceleration) > 0.0:
        terms[9] = -persona[W_TIME] * dt
    return terms
