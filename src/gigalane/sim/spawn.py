"""How road users appear: drawn, placed without overlap, at a speed that fits the lane.

Sequential rejection sampling within a world (GIGAFLOW, appendix). A place is taken if nobody is
near it, nobody ahead is closer than the newcomer's braking distance, and nobody behind would
have to brake harder than `spawn_braking` to avoid the newcomer.
"""

# pyright: reportGeneralTypeIssues=false, reportInvalidTypeForm=false, reportCallIssue=false
# pyright: reportOperatorIssue=false, reportReturnType=false, reportArgumentType=false
# pyright: reportAttributeAccessIssue=false, reportIndexIssue=false

import warp as wp

from gigalane.core.rng import between, stream, unit
from gigalane.maps.arrays import MapArrays, MapRecord
from gigalane.sim.dynamics import SPEED_LIMIT, turned
from gigalane.sim.goals import LEAST_ROUTE, plan_route
from gigalane.sim.locate import leaves_road, stand
from gigalane.sim.scene import (
    BLIND,
    BRAKER,
    CAR,
    CYCLIST,
    KINEMATIC,
    PEDESTRIAN,
    PERSONA_SIZE,
    POLICY,
    SCRIPTED,
    SINGLE_TRACK,
    TRUCK,
    UNICYCLE,
    Body,
    Duty,
    PersonaVector,
    Place,
    SceneArrays,
    Traits,
)
from gigalane.sim.settings import Rules

_TRAITS = wp.constant(301)
_PERSONA = wp.constant(302)
_POSITION = wp.constant(303)
_ROLE = wp.constant(304)

CLEARANCE = wp.constant(1.0)
"""Free space around a newcomer [m] (chosen)."""


@wp.func
def around_one(state: wp.uint32, index: int, a: float) -> float:
    """X(a) of GIGAFLOW: U(1/a, 1) or U(1, a), each half the time."""
    if unit(state, index) < 0.5:
        return between(state, index + 1, wp.vec2(1.0 / a, 1.0))
    return between(state, index + 1, wp.vec2(1.0, a))


@wp.func
def draw_traits(rules: Rules, record: MapRecord, random: wp.uint32, role: float) -> Traits:
    """Draws what kind of road user appears, its size, abilities and driver.

    Args:
        rules: shares and ranges.
        record: the map.
        random: stream of everything but the driver.
        role: in [0, 1), decides who drives. It is the slot's for good: drawn for each newcomer,
            those who last longer would soon hold more than their share of the slots.
    """
    traits = Traits()
    kind = CAR
    share = unit(random, 0)
    if share < rules.cyclists:
        kind = CYCLIST
    elif share < rules.cyclists + rules.pedestrians and record.walk_count > 0:
        kind = PEDESTRIAN
    elif unit(random, 1) < rules.truck_share:
        kind = TRUCK
    traits.kind = kind
    traits.length = between(random, 2, rules.car_length)
    traits.width = between(random, 3, rules.car_width)
    traits.height = 1.5
    traits.model = KINEMATIC
    traits.speed_scale = around_one(random, 4, rules.multiplier_speed)
    if kind == TRUCK:
        traits.length = between(random, 2, rules.truck_length)
        traits.width = between(random, 3, rules.truck_width)
        traits.height = 3.0
    if kind == CYCLIST:
        traits.length = between(random, 2, wp.vec2(1.6, 1.9))
        traits.width = between(random, 3, wp.vec2(0.5, 0.7))
        traits.height = 1.8
        traits.speed_scale = between(random, 5, wp.vec2(4.0, 8.0)) / SPEED_LIMIT
    if kind == PEDESTRIAN:
        traits.length = between(random, 2, wp.vec2(0.4, 0.6))
        traits.width = between(random, 3, wp.vec2(0.4, 0.7))
        traits.height = 1.7
        traits.model = UNICYCLE
        traits.speed_scale = between(random, 5, wp.vec2(0.8, 2.0)) / SPEED_LIMIT
    elif unit(random, 6) < rules.single_track:
        traits.model = SINGLE_TRACK
    traits.wheelbase = 0.6 * traits.length
    traits.throttle_scale = around_one(random, 7, rules.multiplier)
    traits.steering_scale = around_one(random, 9, rules.multiplier)
    traits.acceleration_scale = around_one(random, 11, rules.multiplier_speed)
    traits.friction = between(random, 13, rules.friction)
    traits.delay = wp.min(int(unit(random, 14) * float(rules.delay + 1)), rules.delay)
    traits.driver = POLICY
    share = role
    scripted = wp.where(kind == PEDESTRIAN, rules.scripted_pedestrians, rules.scripted)
    if share < scripted:
        traits.driver = SCRIPTED
    else:
        share = (share - scripted) / wp.max(1.0 - scripted, 1.0e-6)
        if share < rules.blind:
            traits.driver = BLIND
        elif share < rules.blind + rules.braking:
            traits.driver = BRAKER
    return traits


@wp.func
def draw_persona(scene: SceneArrays, random: wp.uint32) -> PersonaVector:
    """Draws the reward weights of a road user."""
    persona = PersonaVector()
    for k in range(PERSONA_SIZE):
        persona[k] = between(random, k, wp.vec2(scene.persona_low[k], scene.persona_high[k]))
    return persona


@wp.func
def draw_segment(road: MapArrays, record: MapRecord, share: float) -> int:
    """A routable segment outside junctions, drawn in proportion to its length.

    Args:
        road: the maps.
        record: the map.
        share: uniform number in [0, 1).
    """
    target = share * record.spawn_length
    low = record.spawn_start
    high = record.spawn_start + record.spawn_count - 1
    while low < high:
        middle = (low + high) / 2
        if road.spawn_lengths[middle] > target:
            high = middle
        else:
            low = middle + 1
    return road.spawn_segments[low]


@wp.func
def gap_to_ray(x: float, y: float, cos: float, sin: float, reach: float, px: float, py: float):
    """Distance of a point from a straight stretch of road ahead of a pose [m]."""
    dx = px - x
    dy = py - y
    along = wp.clamp(dx * cos + dy * sin, 0.0, reach)
    return wp.length(wp.vec2(dx - along * cos, dy - along * sin))


@wp.func
def is_free(
    rules: Rules, scene: SceneArrays, world: int, agents: int, body: Body, traits: Traits
) -> bool:
    """Whether a newcomer fits among those already there."""
    half = 0.5 * traits.length
    stop = body.speed * body.speed / (2.0 * rules.spawn_braking) + 0.5 * wp.abs(body.speed)
    for other in range(agents):
        if scene.boxes[world, 8, other] >= 0.0:
            x = scene.boxes[world, 0, other]
            y = scene.boxes[world, 1, other]
            if wp.abs(scene.boxes[world, 2, other] - body.z) < 3.0:
                other_half = scene.boxes[world, 6, other]
                room = half + other_half + CLEARANCE
                beside = 0.5 * traits.width + scene.boxes[world, 7, other] + 0.5 * CLEARANCE
                dx = x - body.x
                dy = y - body.y
                if dx * dx + dy * dy < room * room:
                    return False
                ahead = stop + half + other_half
                if gap_to_ray(body.x, body.y, body.cos, body.sin, ahead, x, y) < beside:
                    return False
                speed = scene.boxes[world, 5, other]
                ahead = speed * speed / (2.0 * rules.spawn_braking) + 0.5 * wp.abs(speed)
                ahead = ahead + half + other_half
                cos = scene.boxes[world, 3, other]
                sin = scene.boxes[world, 4, other]
                if gap_to_ray(x, y, cos, sin, ahead, body.x, body.y) < beside:
                    return False
    return True


@wp.func
def show(scene: SceneArrays, world: int, agent: int, body: Body, traits: Traits):
    """Writes what others see of a road user."""
    scene.boxes[world, 0, agent] = body.x
    scene.boxes[world, 1, agent] = body.y
    scene.boxes[world, 2, agent] = body.z
    scene.boxes[world, 3, agent] = body.cos
    scene.boxes[world, 4, agent] = body.sin
    scene.boxes[world, 5, agent] = body.speed
    scene.boxes[world, 6, agent] = 0.5 * traits.length
    scene.boxes[world, 7, agent] = 0.5 * traits.width
    scene.boxes[world, 8, agent] = float(traits.kind)


@wp.func
def speed_for_lines(rules: Rules, road: MapArrays, place: Place, half_length: float) -> float:
    """Speed from which a newcomer can still stop before the next stop line [m/s].

    Zero on the line itself, where nobody may appear.
    """
    lane = road.lanes[place.lane]
    allowed = float(100.0)
    for k in range(lane.control_count):
        gap = road.lane_controls[lane.control_start + k].distance - place.arc
        if gap > -half_length - CLEARANCE:
            room = gap - half_length - CLEARANCE
            allowed = wp.min(allowed, wp.sqrt(1.5 * rules.spawn_braking * wp.max(room, 0.0)))
    return allowed


@wp.func
def spawn(rules: Rules, road: MapArrays, scene: SceneArrays, world: int, agent: int) -> bool:
    """Puts a new road user into a slot.

    Args:
        rules: who may appear.
        road: the maps.
        scene: the worlds.
        world: which world.
        agent: which slot; must be empty.

    Returns:
        False where no place was found in `tries`; the slot stays empty.
    """
    seed = scene.seed[world]
    step = scene.clock[world]
    agents = scene.agent_count[world]
    record = road.maps[scene.map_index[world]]
    role = unit(stream(seed, agent, 0, _ROLE), 0)
    traits = draw_traits(rules, record, stream(seed, agent, step, _TRAITS), role)
    random = stream(seed, agent, step, _POSITION)
    for attempt in range(rules.tries):
        segment_index = draw_segment(road, record, unit(random, 5 * attempt))
        backwards = int(0)
        if traits.kind == PEDESTRIAN:
            pick = int(unit(random, 5 * attempt) * float(record.walk_count))
            walk = road.lanes[road.walk_lanes[record.walk_start + pick]]
            pick = int(unit(random, 5 * attempt + 1) * float(walk.segment_count))
            segment_index = walk.first_segment + pick
            if unit(random, 5 * attempt + 4) < 0.5 and traits.driver == SCRIPTED:
                backwards = 1
        segment = road.segments[segment_index]
        along = unit(random, 5 * attempt + 1) * segment.length
        body = Body()
        body.x = segment.x + along * segment.cos
        body.y = segment.y + along * segment.sin
        body.z = segment.z + along * segment.slope
        heading = wp.atan2(segment.sin, segment.cos)
        if backwards == 1:
            heading += 3.141592654
        body = turned(body, heading)
        body.past_x = body.x
        body.past_y = body.y
        body.past_cos = body.cos
        body.past_sin = body.sin
        place = stand(road, segment_index, body)
        place.on_lane = 1
        fits = wp.min(place.speed_limit, SPEED_LIMIT * traits.speed_scale)
        fits = wp.min(
            fits, wp.sqrt(rules.lateral_acceleration / wp.max(wp.abs(place.curvature), 1.0e-4))
        )
        fits = wp.min(fits, speed_for_lines(rules, road, place, 0.5 * traits.length))
        body.speed = between(random, 5 * attempt + 2, rules.speed_share) * fits
        fit = fits > 0.0
        if fit:
            fit = is_free(rules, scene, world, agents, body, traits)
        if fit:
            fit = not leaves_road(road, record, segment_index, body, traits)
        if fit:
            route = plan_route(
                rules, road, place, traits.kind, seed, agent, step * rules.tries + attempt
            )
            if route.length >= LEAST_ROUTE or traits.kind == PEDESTRIAN:
                duty = Duty()
                duty.stopped_control = -1
                duty.walk_direction = 1 - 2 * backwards
                duty.episode = scene.duty[world, agent].episode + 1
                scene.body[world, agent] = body
                scene.traits[world, agent] = traits
                scene.persona[world, agent] = draw_persona(
                    scene, stream(seed, agent, step, _PERSONA)
                )
                scene.place[world, agent] = place
                scene.route[world, agent] = route
                scene.duty[world, agent] = duty
                for k in range(12):
                    scene.past_actions[world, agent, k] = 0.0
                show(scene, world, agent, body, traits)
                return True
    return False
