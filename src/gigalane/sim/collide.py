"""Whether two boxes touched while they moved.

GIGAFLOW's test (appendix): express the corners of one box, before and after the step, in the
frame of the other; if a corner's path crosses the other's box, they touched. Both roles are
tried, so nothing tunnels at dt = 0.3 s; an overlap test of the final poses catches boxes that
cross without a corner inside. Boxes on different levels do not touch.
"""

# pyright: reportGeneralTypeIssues=false, reportInvalidTypeForm=false, reportCallIssue=false
# pyright: reportOperatorIssue=false, reportReturnType=false, reportArgumentType=false
# pyright: reportAttributeAccessIssue=false, reportIndexIssue=false

import warp as wp

from gigalane.sim.events import COLLIDED, HIT_PEDESTRIAN
from gigalane.sim.scene import PEDESTRIAN, Body, SceneArrays, Traits


@wp.func
def local(x: float, y: float, cos: float, sin: float, px: float, py: float) -> wp.vec2:
    """A point in the frame of a pose."""
    dx = px - x
    dy = py - y
    return wp.vec2(dx * cos + dy * sin, dy * cos - dx * sin)


@wp.func
def path_hits_box(start: wp.vec2, end: wp.vec2, half_length: float, half_width: float) -> bool:
    """Whether a straight path crosses a box centred at the origin (slab test)."""
    enter = float(0.0)
    leave = float(1.0)
    for axis in range(2):
        half = wp.where(axis == 0, half_length, half_width)
        step = end[axis] - start[axis]
        if wp.abs(step) < 1.0e-6:
            if wp.abs(start[axis]) > half:
                return False
        else:
            one = (-half - start[axis]) / step
            other = (half - start[axis]) / step
            enter = wp.max(enter, wp.min(one, other))
            leave = wp.min(leave, wp.max(one, other))
    return enter <= leave


@wp.func
def corners_sweep_box(box: Body, box_size: Traits, mover: Body, mover_size: Traits) -> bool:
    """Whether a corner of `mover` passes through `box`, each moving from its past pose."""
    for corner in range(4):
        along = wp.where((corner & 1) != 0, 0.5, -0.5) * mover_size.length
        left = wp.where((corner & 2) != 0, 0.5, -0.5) * mover_size.width
        past_x = mover.past_x + along * mover.past_cos - left * mover.past_sin
        past_y = mover.past_y + along * mover.past_sin + left * mover.past_cos
        x = mover.x + along * mover.cos - left * mover.sin
        y = mover.y + along * mover.sin + left * mover.cos
        if path_hits_box(
            local(box.past_x, box.past_y, box.past_cos, box.past_sin, past_x, past_y),
            local(box.x, box.y, box.cos, box.sin, x, y),
            0.5 * box_size.length,
            0.5 * box_size.width,
        ):
            return True
    return False


@wp.func
def boxes_overlap(
    dx: float,
    dy: float,
    cos: float,
    sin: float,
    half_length: float,
    half_width: float,
    other_cos: float,
    other_sin: float,
    other_half_length: float,
    other_half_width: float,
) -> bool:
    """Whether two rectangles overlap (separating axes).

    Args:
        dx: centre of the other minus centre of the one, x [m].
        dy: the same, y [m].
        cos: of the one's heading.
        sin: of the one's heading.
        half_length: of the one [m].
        half_width: of the one [m].
        other_cos: of the other's heading.
        other_sin: of the other's heading.
        other_half_length: of the other [m].
        other_half_width: of the other [m].
    """
    parallel = wp.abs(cos * other_cos + sin * other_sin)
    crossing = wp.abs(cos * other_sin - sin * other_cos)
    return (
        wp.abs(dx * cos + dy * sin)
        <= half_length + other_half_length * parallel + other_half_width * crossing
        and wp.abs(dy * cos - dx * sin)
        <= half_width + other_half_length * crossing + other_half_width * parallel
        and wp.abs(dx * other_cos + dy * other_sin)
        <= other_half_length + half_length * parallel + half_width * crossing
        and wp.abs(dy * other_cos - dx * other_sin)
        <= other_half_width + half_length * crossing + half_width * parallel
    )


@wp.func
def same_level(z: float, other_z: float, distance: float) -> bool:
    """Whether two road users a distance apart can be on one surface: slopes below 20 %."""
    return wp.abs(z - other_z) <= 1.5 + 0.2 * distance


@wp.func
def touched(body: Body, size: Traits, other: Body, other_size: Traits) -> bool:
    """Whether two road users touched during the last step."""
    if boxes_overlap(
        other.x - body.x,
        other.y - body.y,
        body.cos,
        body.sin,
        0.5 * size.length,
        0.5 * size.width,
        other.cos,
        other.sin,
        0.5 * other_size.length,
        0.5 * other_size.width,
    ):
        return True
    if corners_sweep_box(body, size, other, other_size):
        return True
    return corners_sweep_box(other, other_size, body, size)


@wp.func_native("""
    // No branch, so the compiler looks at many at once.
    const int stride = boxes.shape[1];
    const float* X = boxes.data + first;
    const float* Y = X + stride;
    const float* V = X + 5 * stride;
    const float* L = X + 6 * stride;
    const float* W = X + 7 * stride;
    const float* K = X + 8 * stride;
    const int count = agents - first < 32 ? agents - first : 32;
    unsigned int near = 0u;
    for (int j = 0; j < count; j++) {
        const float dx = X[j] - x, dy = Y[j] - y;
        const float v = V[j] < 0.0f ? -V[j] : V[j];
        const float far = reach + L[j] + W[j] + 1.12f * v * dt;
        const bool meets = (K[j] >= 0.0f) & (dx * dx + dy * dy < far * far);
        near |= (unsigned int)meets << j;
    }
    if (agent >= first && agent < first + 32) near &= ~(1u << (agent - first));
    return (int)near;
""")
def near_mask(
    boxes: wp.array2d(dtype=float),
    first: int,
    agents: int,
    agent: int,
    x: float,
    y: float,
    reach: float,
    dt: float,
) -> int:
    """Which of 32 others were near enough to be touched in the last step: bit k is `first + k`.

    Args:
        boxes: of one world, channel by channel.
        first: slot of bit 0.
        agents: slots in use.
        agent: who asks; never near itself.
        x: its position [m].
        y: the same [m].
        reach: how far its own corners went [m].
        dt: time step [s].
    """
    ...


@wp.func_native("""
#if defined(__CUDA_ARCH__)
    return __ffs(bits) - 1;
#else
    return __builtin_ctz((unsigned int)bits);
#endif
""")
def lowest_bit(bits: int) -> int:
    """Number of the lowest bit that is set; one must be."""
    ...


@wp.func
def contact_facts(scene: SceneArrays, world: int, agent: int, agents: int, dt: float) -> int:
    """COLLIDED where a road user touched another in the last step, and HIT_PEDESTRIAN."""
    facts = int(0)
    body = scene.body[world, agent]
    size = scene.traits[world, agent]
    # No step is longer than this: hard braking made the start of it faster than its end, twice
    # over for two road users; a displacement may lead half as far aside as ahead.
    reach = wp.length(wp.vec2(size.length, size.width)) * 0.5 + 1.12 * wp.abs(body.speed) * dt
    reach += 5.0 * dt * dt
    for first in range(0, agents, 32):
        near = near_mask(scene.boxes[world], first, agents, agent, body.x, body.y, reach, dt)
        while near != 0:
            other = first + lowest_bit(near)
            near = near & (near - 1)
            dx = scene.boxes[world, 0, other] - body.x
            dy = scene.boxes[world, 1, other] - body.y
            if same_level(body.z, scene.boxes[world, 2, other], wp.sqrt(dx * dx + dy * dy)):
                there = scene.body[world, other]
                if touched(body, size, there, scene.traits[world, other]):
                    facts = facts | COLLIDED
                    if scene.boxes[world, 8, other] == float(PEDESTRIAN):
                        facts = facts | HIT_PEDESTRIAN
    return facts
