"""The order of a step. Read this second, after `rollout.py`.

    arrive    new road users take the place of those whose episode ended
    decide    actions and scripts become commands
    move      commands become poses, poses become places on the road
    judge     facts, reward, end of episode
    close     who acts next; the clock moves on
    observe   what each of them sees

Between two stages every road user of a world has finished the earlier one. On the CPU one
launch runs all stages for the worlds that a thread claims, because launches cost more than
the work; on a GPU each stage is a launch of its own with a thread a road user. Both call the
same functions, so both give the same numbers.
"""

# pyright: reportGeneralTypeIssues=false, reportInvalidTypeForm=false, reportCallIssue=false
# pyright: reportOperatorIssue=false, reportReturnType=false, reportArgumentType=false
# pyright: reportAttributeAccessIssue=false, reportIndexIssue=false

import warp as wp

from gigalane.maps.arrays import MapArrays, cell_of
from gigalane.sim.control import DELTA_POSE, brakes, command_of, delayed_action, starts_braking
from gigalane.sim.dynamics import advance, displace
from gigalane.sim.events import note_stop
from gigalane.sim.goals import follow_route
from gigalane.sim.judge import clear, close, judge
from gigalane.sim.locate import height_at, locate
from gigalane.sim.observe import observe
from gigalane.sim.prefetch import expect_cell, expect_points, expect_segment, expect_tokens
from gigalane.sim.scene import (
    ABSENT,
    ACTIVE,
    BRAKER,
    ENDED,
    PEDESTRIAN,
    SCRIPTED,
    SceneArrays,
)
from gigalane.sim.settings import Rules
from gigalane.sim.spawn import show, spawn
from gigalane.sim.traffic import drive_by_script, walk_by_script
from gigalane.sim.turns import end_turn, open_turns, take_turn

ARRIVING = wp.constant(3)
"""Status within a step: a newcomer that acts from the next step on."""


@wp.func
def arrive(rules: Rules, road: MapArrays, scene: SceneArrays, world: int):
    """Empties the slots whose episode ended, then fills them one after the other.

    Without respawn only slots that nobody has held yet are filled.
    """
    for agent in range(scene.agent_count[world]):
        if scene.status[world, agent] == ENDED:
            scene.boxes[world, 8, agent] = -1.0
    for agent in range(scene.agent_count[world]):
        if scene.status[world, agent] == ENDED:
            if rules.respawn == 0 and scene.duty[world, agent].episode > 0:
                scene.status[world, agent] = ABSENT
            elif spawn(rules, road, scene, world, agent):
                scene.status[world, agent] = ARRIVING


@wp.func
def decide(rules: Rules, road: MapArrays, scene: SceneArrays, world: int, agent: int):
    """Turns an action, or a script's choice, into a command."""
    if scene.status[world, agent] != ACTIVE:
        return
    expect_segment(road.segments, scene.place[world, agent].segment)
    dt = scene.dt[world]
    body = scene.body[world, agent]
    traits = scene.traits[world, agent]
    if traits.driver == SCRIPTED:
        agents = scene.agent_count[world]
        command = wp.vec2(0.0, 0.0)
        if traits.kind == PEDESTRIAN:
            command = walk_by_script(rules, road, scene, world, agent)
        else:
            command = drive_by_script(rules, road, scene, world, agent, agents)
        scene.command[world, agent, 0] = command[0]
        scene.command[world, agent, 1] = command[1]
        return
    duty = scene.duty[world, agent]
    if traits.driver == BRAKER:
        step = scene.clock[world]
        if starts_braking(rules, scene.seed[world], agent, step, dt):
            duty.braking_until = duty.age + rules.braking_time
            scene.duty[world, agent] = duty
    action = delayed_action(scene, world, agent, traits.delay)
    command = command_of(rules, body, traits, duty, action, dt)
    scene.command[world, agent, 0] = command[0]
    scene.command[world, agent, 1] = command[1]


@wp.func
def move(rules: Rules, road: MapArrays, scene: SceneArrays, world: int, agent: int):
    """Moves a road user and finds its place."""
    if scene.status[world, agent] != ACTIVE:
        return
    before = scene.place[world, agent]
    scene.past_lane[world, agent] = before.lane
    dt = scene.dt[world]
    body = scene.body[world, agent]
    traits = scene.traits[world, agent]
    duty = scene.duty[world, agent]
    commanded = traits.driver == SCRIPTED or brakes(traits, duty)
    if rules.action == DELTA_POSE and not commanded:
        at = 3 * traits.delay
        body = displace(
            body,
            traits,
            scene.past_actions[world, agent, at],
            scene.past_actions[world, agent, at + 1],
            scene.past_actions[world, agent, at + 2],
            dt,
        )
    else:
        command = wp.vec2(scene.command[world, agent, 0], scene.command[world, agent, 1])
        if commanded:
            # Scripts ask for the acceleration of this step, not for the end of a ramp to it.
            body.acceleration = command[0]
        body = advance(body, traits, command, dt)
    route = scene.route[world, agent]
    record = road.maps[scene.map_index[world]]
    place = locate(road, record, route, before, body, traits)
    tokens = road.segments[place.segment].tokens
    if tokens >= 0:
        expect_tokens(road.road_tokens[tokens])
    if place.on_lane == 1:
        body.z = height_at(road.segments[place.segment], body.x, body.y)
    duty.age += dt
    duty = note_stop(road, place, duty, body, traits, scene.clock[world])
    scene.duty[world, agent] = duty
    scene.body[world, agent] = body
    scene.place[world, agent] = place
    scene.route[world, agent] = follow_route(route, place)
    show(scene, world, agent, body, traits)


@wp.func
def settle(scene: SceneArrays, world: int, agent: int):
    """Lets a newcomer act from now on, and closes the step for a slot."""
    if scene.status[world, agent] == ARRIVING:
        scene.status[world, agent] = ACTIVE
    close(scene, world, agent)


@wp.func
def expect_surface(road: MapArrays, scene: SceneArrays, world: int, agent: int, depth: int):
    """Asks for the road under the front of a road user; `depth` as of `expect_cell`."""
    if agent < scene.agent_count[world] and scene.status[world, agent] == ACTIVE:
        ahead = scene.boxes[world, 6, agent]
        cell = cell_of(
            road.maps[scene.map_index[world]],
            scene.boxes[world, 0, agent] + ahead * scene.boxes[world, 3, agent],
            scene.boxes[world, 1, agent] + ahead * scene.boxes[world, 4, agent],
        )
        expect_cell(road.segments, road.cell_offsets, road.cell_segments, cell, depth)


@wp.func
def expect_view(road: MapArrays, scene: SceneArrays, world: int, agent: int):
    """Asks for the road that a road user will be shown."""
    if agent < scene.agent_count[world]:
        tokens = road.segments[scene.place[world, agent].segment].tokens
        if tokens >= 0:
            expect_points(road.road_points, road.road_tokens[tokens])


@wp.func
def step_world(rules: Rules, road: MapArrays, scene: SceneArrays, world: int, lane_tokens: int):
    """One step of one world."""
    agents = scene.agent_count[world]
    arrive(rules, road, scene, world)
    for agent in range(agents):
        expect_surface(road, scene, world, agent, 0)
        decide(rules, road, scene, world, agent)
    for agent in range(agents):
        expect_surface(road, scene, world, agent, 1)
    expect_surface(road, scene, world, 0, 2)
    for agent in range(agents):
        expect_surface(road, scene, world, agent + 1, 2)
        move(rules, road, scene, world, agent)
    for agent in range(agents):
        clear(scene, world, agent)
        if scene.status[world, agent] == ACTIVE:
            judge(rules, road, scene, world, agent, scene.past_lane[world, agent])
    scene.clock[world] = scene.clock[world] + 1
    expect_view(road, scene, world, 0)
    for agent in range(agents):
        settle(scene, world, agent)
        expect_view(road, scene, world, agent + 1)
        if scene.status[world, agent] != ABSENT:
            observe(rules, road, scene, world, agent, lane_tokens)


@wp.kernel(enable_backward=False)
def step_worlds(
    # settings
    rules: Rules,
    lane_tokens: int,
    # share of the work
    worker: int,
    workers: int,
    patience: int,
    turns: wp.array(dtype=int),
    order: wp.array(dtype=int),
    # map
    road: MapArrays,
    # scene in, out
    scene: SceneArrays,
):
    """All stages for one world after the other, as long as there are turns to claim.

    Turn k is the world `order[k]`.
    """
    worlds = scene.status.shape[0]
    if worker == 0:
        open_turns(turns, workers, worlds)
    turn = take_turn(turns, worker, workers, worlds, patience)
    while turn >= 0:
        step_world(rules, road, scene, order[turn], lane_tokens)
        end_turn(turns)
        turn = take_turn(turns, worker, workers, worlds, patience)


@wp.kernel(enable_backward=False)
def start_worlds(
    # settings
    rules: Rules,
    lane_tokens: int,
    first_world: int,
    # map
    road: MapArrays,
    # scene in, out
    scene: SceneArrays,
):
    """Fills worlds whose slots are all marked ENDED and shows everyone what is there."""
    world = wp.tid() + first_world
    agents = scene.agent_count[world]
    arrive(rules, road, scene, world)
    for agent in range(agents):
        clear(scene, world, agent)
        settle(scene, world, agent)
    for agent in range(agents):
        if scene.status[world, agent] != ABSENT:
            observe(rules, road, scene, world, agent, lane_tokens)
