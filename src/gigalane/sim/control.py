"""What an action means: from the numbers an actor gives to the command that dynamics executes."""

# pyright: reportGeneralTypeIssues=false, reportInvalidTypeForm=false, reportCallIssue=false
# pyright: reportOperatorIssue=false, reportReturnType=false, reportArgumentType=false
# pyright: reportAttributeAccessIssue=false, reportIndexIssue=false

from dataclasses import dataclass

import warp as wp

from gigalane.core.rng import stream, unit
from gigalane.sim.dynamics import BRAKING_LIMIT, command_from_jerk
from gigalane.sim.scene import BRAKER, Body, Duty, SceneArrays, Traits
from gigalane.sim.settings import ActionName, Rules

JERK_CHOICES = (-15.0, -4.0, 0.0, 4.0)
"""Longitudinal jerks of the discrete actions [m/s³] (GIGAFLOW)."""
LATERAL_JERK_CHOICES = (-4.0, 0.0, 4.0)
"""Lateral jerks of the discrete actions [m/s³] (GIGAFLOW)."""

JERK12 = wp.constant(0)
JERK = wp.constant(1)
ACCELERATION_STEERING = wp.constant(2)
DELTA_POSE = wp.constant(3)

_BRAKE = wp.constant(401)


@dataclass(frozen=True)
class ActionSpace:
    """How an actor's choice is written down.

    Attributes:
        name: "jerk12": index 3 * j + k of longitudinal jerk j and lateral jerk k;
            "jerk": longitudinal and lateral jerk [m/s³], clipped to the discrete extremes;
            "acceleration_steering": acceleration [m/s²] and wheel angle [rad];
            "delta_pose": forward [m], left [m], turn [rad] in the ego frame.
        choices: number of discrete choices, or 0 where actions are continuous.
        size: numbers in a continuous action (1 for the index of a discrete one).
        scale: usual size of each number of a continuous action, in its unit (chosen); a policy
            that has learned nothing draws from about this range. Empty for a discrete one.
    """

    name: ActionName
    choices: int
    size: int
    scale: tuple[float, ...] = ()

    @property
    def is_discrete(self) -> bool:
        """Whether an action is the index of a choice."""
        return self.choices > 0


ACTION_SPACES = {
    "jerk12": ActionSpace("jerk12", 12, 1),
    "jerk": ActionSpace("jerk", 0, 2, (6.0, 3.0)),
    "acceleration_steering": ActionSpace("acceleration_steering", 0, 2, (2.5, 0.15)),
    "delta_pose": ActionSpace("delta_pose", 0, 3, (2.0, 0.2, 0.1)),
}


@wp.func
def jerks_of(action: int, first: float, second: float) -> wp.vec2:
    """Longitudinal and lateral jerk [m/s³] that an action in jerks asks for."""
    if action == JERK12:
        index = wp.clamp(int(first + 0.5), 0, 11)
        row = index / 3
        along = wp.where(row == 0, -15.0, wp.where(row == 1, -4.0, wp.where(row == 2, 0.0, 4.0)))
        return wp.vec2(along, 4.0 * float(index - 3 * row - 1))
    return wp.vec2(wp.clamp(first, -15.0, 4.0), wp.clamp(second, -4.0, 4.0))


@wp.func
def starts_braking(rules: Rules, seed: wp.uint32, agent: int, step: int, dt: float) -> bool:
    """Whether a sudden braking begins in this step."""
    return unit(stream(seed, agent, step, _BRAKE), 0) < rules.braking_rate * dt


@wp.func
def brakes(traits: Traits, duty: Duty) -> bool:
    """Whether a sudden braking is under way."""
    return traits.driver == BRAKER and duty.age < duty.braking_until


@wp.func
def delayed_action(scene: SceneArrays, world: int, agent: int, delay: int) -> wp.vec3:
    """Takes the newest action in and gives the one that is `delay` steps old."""
    for k in range(9):
        scene.past_actions[world, agent, 11 - k] = scene.past_actions[world, agent, 8 - k]
    for k in range(3):
        scene.past_actions[world, agent, k] = scene.action[world, agent, k]
    at = 3 * delay
    return wp.vec3(
        scene.past_actions[world, agent, at],
        scene.past_actions[world, agent, at + 1],
        scene.past_actions[world, agent, at + 2],
    )


@wp.func
def command_of(
    rules: Rules, body: Body, traits: Traits, duty: Duty, action: wp.vec3, dt: float
) -> wp.vec2:
    """Acceleration [m/s²] and wheel angle [rad] that a policy's action stands for.

    Sudden braking ends in standing still, never in rolling back.
    """
    if brakes(traits, duty):
        return wp.vec2(wp.clamp(-body.speed / dt, BRAKING_LIMIT, -BRAKING_LIMIT), body.steering)
    if rules.action == ACCELERATION_STEERING:
        return wp.vec2(
            wp.clamp(action[0], BRAKING_LIMIT, 2.5 * traits.acceleration_scale), action[1]
        )
    jerk = jerks_of(rules.action, action[0], action[1])
    return command_from_jerk(body, traits, jerk[0], jerk[1], dt)
