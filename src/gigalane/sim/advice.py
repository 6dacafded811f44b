"""What the scripted driver would do in a policy driver's place, as an action of the policy's.

A learner that is told so from its first step drives sensibly within minutes and leaves its
teacher behind by reward (kickstarting: Schmitt et al. 2018, arXiv 1803.03835).
"""

# pyright: reportGeneralTypeIssues=false, reportInvalidTypeForm=false, reportCallIssue=false
# pyright: reportOperatorIssue=false, reportReturnType=false, reportArgumentType=false
# pyright: reportAttributeAccessIssue=false, reportIndexIssue=false, reportAssignmentType=false

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import warp as wp

from gigalane.core.kernels import load_kernels
from gigalane.core.settings import SettingsError
from gigalane.maps.arrays import MapArrays
from gigalane.sim.control import JERK12, jerks_of
from gigalane.sim.dynamics import advance_kinematic, command_from_jerk
from gigalane.sim.goals import on_route
from gigalane.sim.launches import slices_of
from gigalane.sim.scene import ACTIVE, PEDESTRIAN, POLICY, Body, Route, SceneArrays, Traits
from gigalane.sim.settings import Rules, rules_of
from gigalane.sim.simulator import Simulator
from gigalane.sim.traffic import drive_by_script

NO_ADVICE = wp.constant(-1)
"""For slots that the script has no opinion on: walkers, empty slots, those that do not learn."""

NO_COMMAND = wp.constant(-1000.0)
"""The same, in the place of an acceleration [m/s²]."""

PLAN_STEP = wp.constant(0.3)
"""Steps of the look-ahead [s]; shorter ones would not show what a jerk does (chosen)."""
PLAN_STEPS = wp.constant(5)
"""Steps that are looked ahead (chosen)."""
HEADING_WEIGHT = wp.constant(6.0)
"""What 1 - cos of the heading's error weighs beside a square metre of offset (chosen)."""


@wp.func
def along_choice(body: Body, traits: Traits, acceleration: float, dt: float) -> int:
    """Index of the longitudinal jerk whose acceleration comes nearest to the one wanted.

    Args:
        body: the present state.
        traits: of the road user.
        acceleration: [m/s²].
        dt: time step [s].
    """
    best = int(2)
    least = float(1.0e9)
    for row in range(4):
        jerk = jerks_of(JERK12, float(3 * row), 0.0)
        outcome = command_from_jerk(body, traits, jerk[0], 0.0, dt)
        # Of two that are equally near, the gentler one.
        miss = wp.abs(outcome[0] - acceleration) + 1.0e-3 * wp.abs(jerk[0])
        if miss < least:
            least = miss
            best = row
    return best


@wp.func
def miss_of_plan(
    road: MapArrays, route: Route, body: Body, traits: Traits, along: float, first: int, second: int
) -> float:
    """How far two lateral jerks, then none, lead away from the route.

    Args:
        road: the maps.
        route: what to follow.
        body: the present state.
        traits: of the road user.
        along: longitudinal jerk of the first step [m/s³].
        first: sign of the lateral jerk in the first step.
        second: sign of the lateral jerk in the second step.
    """
    moved = body
    travelled = float(0.0)
    miss = float(0.0)
    for step in range(PLAN_STEPS):
        lateral = wp.where(step == 0, 4.0 * float(first), 0.0)
        lateral = wp.where(step == 1, 4.0 * float(second), lateral)
        command = command_from_jerk(
            moved, traits, wp.where(step == 0, along, 0.0), lateral, PLAN_STEP
        )
        before = moved.speed
        moved = advance_kinematic(moved, traits, command[0], command[1], PLAN_STEP)
        travelled += 0.5 * (before + moved.speed) * PLAN_STEP
        point = on_route(road, route, route.progress + travelled)
        aside = (moved.y - point[1]) * point[2] - (moved.x - point[0]) * point[3]
        turn = 1.0 - (moved.cos * point[2] + moved.sin * point[3])
        miss += aside * aside + HEADING_WEIGHT * turn
    return miss + 1.0e-3 * float(first * first)


@wp.func
def nearest_action(
    road: MapArrays, route: Route, body: Body, traits: Traits, acceleration: float, dt: float
) -> int:
    """Index of the discrete jerks that follow a route with an acceleration.

    Args:
        road: the maps.
        route: what to follow.
        body: the present state.
        traits: of the road user.
        acceleration: that is wanted [m/s²].
        dt: time step [s].
    """
    row = along_choice(body, traits, acceleration, dt)
    along = jerks_of(JERK12, float(3 * row), 0.0)[0] * wp.min(dt / PLAN_STEP, 1.0)
    best = int(0)
    least = float(1.0e9)
    for plan in range(9):
        first = plan / 3 - 1
        miss = miss_of_plan(road, route, body, traits, along, first, plan % 3 - 1)
        if miss < least:
            least = miss
            best = first
    return 3 * row + best + 1


@wp.kernel(enable_backward=False)
def advise(
    # settings
    rules: Rules,
    first_world: int,
    # map
    road: MapArrays,
    # scene
    scene: SceneArrays,
    # out
    advice: wp.array2d(dtype=wp.int32),
):
    """Advice for one road user a thread; changes nothing in the scene."""
    world, agent = wp.tid()
    world = world + first_world
    told = NO_ADVICE
    traits = scene.traits[world, agent]
    learns = scene.status[world, agent] == ACTIVE and traits.driver == POLICY
    if learns and traits.kind != PEDESTRIAN:
        agents = scene.agent_count[world]
        command = drive_by_script(rules, road, scene, world, agent, agents)
        route = scene.route[world, agent]
        body = scene.body[world, agent]
        told = nearest_action(road, route, body, traits, command[0], scene.dt[world])
    advice[world, agent] = told


@wp.kernel(enable_backward=False)
def advise_commands(
    # settings
    rules: Rules,
    first_world: int,
    # map
    road: MapArrays,
    # scene
    scene: SceneArrays,
    # out
    advice: wp.array3d(dtype=float),
):
    """The same as the acceleration and the wheel angle that the script asks for itself."""
    world, agent = wp.tid()
    world = world + first_world
    told = wp.vec2(NO_COMMAND, 0.0)
    traits = scene.traits[world, agent]
    learns = scene.status[world, agent] == ACTIVE and traits.driver == POLICY
    if learns and traits.kind != PEDESTRIAN:
        told = drive_by_script(rules, road, scene, world, agent, scene.agent_count[world])
    advice[world, agent, 0] = told[0]
    advice[world, agent, 1] = told[1]


class Advisor:
    """Knows what the scripted driver would do in the place of each driver that learns.

    Attributes:
        advice: Warp array that changes at every `look`: (worlds, agents) int32 indices of jerk12
            actions, NO_ADVICE where the script has no opinion; or (worlds, agents, 2) float32
            accelerations [m/s²] and wheel angles [rad], the former NO_COMMAND there.
    """

    def __init__(self, simulator: Simulator) -> None:
        """Prepares to look at the worlds of a simulator.

        Raises:
            SettingsError: if its actions are of another kind.
        """
        settings = simulator.settings
        if settings.action not in ("jerk12", "acceleration_steering"):
            raise SettingsError(
                f"action={settings.action!r}: advice is for 'jerk12' and 'acceleration_steering'"
            )
        device = simulator.device
        load_kernels(advise, device)
        traffic = replace(settings.traffic, script="idm")
        rules = rules_of(replace(settings, traffic=traffic), simulator.road_tokens)
        worlds, agents = simulator.shape
        is_discrete = simulator.action_space.is_discrete
        self.advice: Any = (
            wp.full(simulator.shape, NO_ADVICE, dtype=wp.int32, device=device)
            if is_discrete
            else wp.full((*simulator.shape, 2), NO_COMMAND, dtype=wp.float32, device=device)
        )
        threads = simulator.threads if wp.get_device(device).is_cpu else 1
        self._launches: list[Any] = [
            wp.launch(
                advise if is_discrete else advise_commands,
                dim=(count, agents),
                inputs=[rules, first, simulator.road, simulator.scene, self.advice],
                device=device,
                record_cmd=True,
            )
            for first, count in slices_of(worlds, threads)
        ]
        self._pool = ThreadPoolExecutor(threads) if threads > 1 else None

    def look(self) -> None:
        """Writes the advice for the worlds as they stand now."""
        if self._pool is None:
            for launch in self._launches:
                launch.launch()
        else:
            list(self._pool.map(lambda launch: launch.launch(), self._launches))
