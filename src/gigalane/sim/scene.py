"""What changes while worlds run: one record a road user, one row a world.

Positions are metres in the local frame of the world's map (see `gigalane.maps.arrays`),
angles radians counter-clockwise from +x. Records that one road user reads of itself are
structs; what others read of it lies in `SceneArrays.boxes`, channel by channel, so that a
search over neighbours reads memory in order.
"""

# pyright: reportGeneralTypeIssues=false, reportInvalidTypeForm=false, reportCallIssue=false
# pyright: reportOperatorIssue=false, reportReturnType=false, reportArgumentType=false
# pyright: reportAttributeAccessIssue=false, reportIndexIssue=false

import numpy as np
import warp as wp

from gigalane.sim.layout import ObservationLayout
from gigalane.sim.settings import SimulatorSettings

ABSENT = wp.constant(0)
"""Status: the slot is empty."""
ACTIVE = wp.constant(1)
"""Status: a road user acts here."""
ENDED = wp.constant(2)
"""Status: its episode ended in the last step; it makes room in the next."""

CAR = wp.constant(0)
TRUCK = wp.constant(1)
CYCLIST = wp.constant(2)
PEDESTRIAN = wp.constant(3)
KIND_NAMES = ("car", "truck", "cyclist", "pedestrian")

POLICY = wp.constant(0)
"""Driver: the policy, and its data is learned from."""
BLIND = wp.constant(1)
"""Driver: the policy, shown no partners."""
BRAKER = wp.constant(2)
"""Driver: the policy, interrupted by sudden braking."""
SCRIPTED = wp.constant(3)
"""Driver: a script (IDM and pure pursuit; walkers along pavements and crossings)."""
DRIVER_NAMES = ("policy", "blind", "braker", "scripted")

KINEMATIC = wp.constant(0)
SINGLE_TRACK = wp.constant(1)
UNICYCLE = wp.constant(2)

WAYPOINTS = wp.constant(12)
"""Most way-points of a route, the goal included."""
ROUTE_LANES = wp.constant(24)
"""Most lanes of a route."""
PERSONA_SIZE = wp.constant(12)
REWARD_TERMS = wp.constant(10)
BOX_CHANNELS = wp.constant(9)
"""x, y, z, cos, sin, speed, half length, half width, kind (-1 where nobody is)."""

WaypointVector = wp.types.vector(length=12, dtype=float)
LaneVector = wp.types.vector(length=24, dtype=int)
LengthVector = wp.types.vector(length=24, dtype=float)
PersonaVector = wp.types.vector(length=12, dtype=float)
RewardVector = wp.types.vector(length=10, dtype=float)


@wp.struct
class Body:
    """Where a road user is and how it moves."""

    x: float  # box centre [m], local frame
    y: float
    z: float
    heading: float  # [rad]
    cos: float  # of heading
    sin: float
    speed: float  # along the heading [m/s], negative backwards
    acceleration: float  # along [m/s²]
    lateral_acceleration: float  # to the left [m/s²]
    steering: float  # front wheels, positive left [rad]
    side_speed: float  # to the left at the centre [m/s]; single-track model only
    yaw_rate: float  # [rad/s]
    jerk: float  # along, last step [m/s³]
    lateral_jerk: float  # [m/s³]
    past_x: float  # pose one step ago, for swept collisions
    past_y: float
    past_cos: float
    past_sin: float


@wp.struct
class Traits:
    """What stays the same through an episode."""

    length: float  # [m]
    width: float  # [m]
    height: float  # [m]
    wheelbase: float  # [m]
    throttle_scale: float  # C_thr
    steering_scale: float  # C_steer
    acceleration_scale: float  # C_acc
    speed_scale: float  # C_vel
    friction: float
    kind: int
    driver: int
    model: int
    delay: int  # [steps]


@wp.struct
class Place:
    """Where a road user is on the road."""

    lane: int  # last lane it was on, -1 before the first
    segment: int
    arc: float  # along the lane [m]
    offset: float  # from the centreline, positive left [m]
    heading_cos: float  # of heading relative to the lane
    heading_sin: float
    curvature: float  # [1/m]
    speed_limit: float  # [m/s]
    half_width: float  # of the lane here [m]
    on_lane: int  # 1 where the centre lies on the lane's surface
    off_road: int  # 1 where a corner has left the drivable surface


@wp.struct
class Route:
    """The lanes to the goal and the way-points on them."""

    lanes: LaneVector  # lane indices
    offsets: LengthVector  # lane arc + offset = distance along the route [m]
    lane_count: int
    lane_index: int  # of the lane it was last found on
    progress: float  # distance along the route [m]
    length: float  # to the goal [m]
    waypoint_x: WaypointVector  # [m], local frame
    waypoint_y: WaypointVector
    waypoint_distance: WaypointVector  # along the route [m]
    waypoint_count: int
    waypoint_index: int  # of the current target


@wp.struct
class Duty:
    """What a road user owes at stop lines, and its clocks."""

    stopped_control: int  # stop line it has made its full stop at, or -1
    stopped_step: int  # world step of that stop
    age: float  # time since it appeared [s]
    braking_until: float  # age at which a sudden braking ends [s]
    walk_direction: int  # of a scripted walker: 1 along its lane, -1 against it
    episode: int  # road users this slot has held


@wp.struct
class SceneArrays:
    """All worlds of a batch."""

    seed: wp.array(dtype=wp.uint32)  # (world)
    map_index: wp.array(dtype=int)  # (world)
    dt: wp.array(dtype=float)  # (world) [s]
    clock: wp.array(dtype=int)  # (world) [steps]
    agent_count: wp.array(dtype=int)  # (world) slots in use
    status: wp.array2d(dtype=int)  # (world, agent) ABSENT, ACTIVE, ENDED
    body: wp.array2d(dtype=Body)
    traits: wp.array2d(dtype=Traits)
    persona: wp.array2d(dtype=PersonaVector)  # in the order of PERSONA_NAMES
    place: wp.array2d(dtype=Place)
    route: wp.array2d(dtype=Route)
    past_lane: wp.array2d(dtype=int)  # lane before the last move
    duty: wp.array2d(dtype=Duty)
    boxes: wp.array3d(dtype=float)  # (world, BOX_CHANNELS, agent)
    action: wp.array3d(dtype=float)  # (world, agent, 3) what the actor asked for
    past_actions: wp.array3d(dtype=float)  # (world, agent, 4 * 3) newest first, for delays
    command: wp.array3d(dtype=float)  # (world, agent, 2) what dynamics executes
    events: wp.array2d(dtype=int)  # (world, agent) bit mask
    reward: wp.array2d(dtype=float)
    reward_terms: wp.array2d(dtype=RewardVector)
    terminated: wp.array2d(dtype=wp.uint8)
    truncated: wp.array2d(dtype=wp.uint8)
    active: wp.array2d(dtype=wp.uint8)
    learn: wp.array2d(dtype=wp.uint8)
    row_dt: wp.array2d(dtype=float)  # (world, agent) [s]
    observation: wp.array3d(dtype=wp.float16)  # (world, agent, row width)
    persona_low: wp.array(dtype=float)  # (PERSONA_SIZE) ranges that personas are drawn from
    persona_high: wp.array(dtype=float)


def allocate_scene(settings: SimulatorSettings, layout: ObservationLayout, device: str) -> object:
    """Empty arrays for a batch of worlds.

    Args:
        settings: how many worlds and slots.
        layout: width of an observation row.
        device: Warp device name.

    Returns:
        A `SceneArrays` with every array allocated and zero.
    """
    worlds, agents = settings.worlds, settings.agents
    trailing = {
        "boxes": (BOX_CHANNELS, agents),
        "action": (agents, 3),
        "past_actions": (agents, 12),
        "command": (agents, 2),
        "observation": (agents, layout.width),
    }
    scene = SceneArrays()
    for name, variable in SceneArrays.vars.items():
        kind = variable.type
        shape = {1: (worlds,), 2: (worlds, agents)}.get(kind.ndim) or (worlds, *trailing[name])
        if name.startswith("persona_"):
            shape = (PERSONA_SIZE,)
        setattr(scene, name, wp.zeros(shape, dtype=kind.dtype, device=device))
    low, high = np.array(settings.persona.ranges(), np.float32).T
    scene.persona_low = wp.array(low, dtype=float, device=device)
    scene.persona_high = wp.array(high, dtype=float, device=device)
    return scene
