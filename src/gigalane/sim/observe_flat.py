"""The observation of PufferDrive, for comparisons: everything nearby, nothing prepared.

A row holds 7 + 7 x road + 7 x partners numbers (with `ObservationSettings.peer()` and
`TokenSettings.peer()` 7 + 200 x 7 + 63 x 7 = 1,848), in the order of `ObservationLayout`;
positions in the ego frame, x ahead and y left:
  ego        x, y of the current target, speed, width, length, whether it collided in the last
             step, whether it reached its target in it or has just appeared
  road       x, y of a segment's middle, length, width (0 for edges), direction cos, sin,
             kind (+1 lane, -1 edge)
  partners   x, y, width, length, heading cos, sin, speed; nearest first
Positions are in units of 50 m, speeds of 20 m/s, road lengths of 5 m and widths of 10 m, boxes of
5 x 2 m, as in `gigalane.sim.observe`. Tokens that are not there are all zero.
"""

# pyright: reportGeneralTypeIssues=false, reportInvalidTypeForm=false, reportCallIssue=false
# pyright: reportOperatorIssue=false, reportReturnType=false, reportArgumentType=false
# pyright: reportAttributeAccessIssue=false, reportIndexIssue=false

import warp as wp

from gigalane.maps.arrays import MapArrays, RoadPoint
from gigalane.sim.events import COLLIDED, REACHED_GOAL, REACHED_WAYPOINT
from gigalane.sim.partners import BY_RANK, CHANNELS, NEXT_NEAREST
from gigalane.sim.row import POSITION_SCALE, SPEED_SCALE, blank, put, road_tokens
from gigalane.sim.scene import BLIND, SceneArrays
from gigalane.sim.settings import Rules


@wp.func_native(
    CHANNELS
    + """
    int count = 0;
    auto show = [&](int t, int j) {
        const float dx = X[j] - x, dy = Y[j] - y;
        const int o = 7 * t;
        STORE(o, (dx * cos + dy * sin) * 0.02f);
        STORE(o + 1, (dy * cos - dx * sin) * 0.02f);
        STORE(o + 2, W[j]);
        STORE(o + 3, L[j] * 0.4f);
        STORE(o + 4, C[j] * cos + S[j] * sin);
        STORE(o + 5, S[j] * cos - C[j] * sin);
        STORE(o + 6, V[j] * 0.05f);
    };
#if defined(__CUDA_ARCH__)
    // Arrays of one's own would lie in device memory; see `gigalane.sim.partners`.
    float last = -1.0f;
    int taken = -1;
    for (; count < tokens; count++) {
"""
    + NEXT_NEAREST
    + """
        show(count, j);
    }
#else
"""
    + BY_RANK
    + """
    count = found < tokens ? found : tokens;
    for (int t = 0; t < count; t++) show(t, order[t]);
#endif
#undef STORE
    return count;
"""
)
def put_flat_partners(
    boxes: wp.array2d(dtype=float),
    row: wp.array(dtype=wp.float16),
    start: int,
    tokens: int,
    agents: int,
    agent: int,
    x: float,
    y: float,
    cos: float,
    sin: float,
    range: float,
) -> int:
    """Writes the nearest partners of an agent into its row and returns how many there are."""
    ...


@wp.func_native(
    """
    const int tokens = indices.shape[0];
#if defined(__CUDA_ARCH__)
    #define STORE(i, v) row.data[start + (i)] = wp::half(v)
    for (int t = 0; t < tokens; t++) {
        const int p = indices.data[t];
        const auto& q = points.data[p < 0 ? 0 : p];
        const float dx = q.x - x, dy = q.y - y;
        const float there = p < 0 ? 0.0f : 1.0f;
        const int o = 7 * t;
        STORE(o, (dx * cos + dy * sin) * (0.02f * there));
        STORE(o + 1, (dy * cos - dx * sin) * (0.02f * there));
        STORE(o + 2, q.length * (0.2f * there));
        STORE(o + 3, q.half_width * (0.2f * there));
        STORE(o + 4, (q.cos * cos + q.sin * sin) * there);
        STORE(o + 5, (q.sin * cos - q.cos * sin) * there);
        STORE(o + 6, q.kind * there);
    }
#undef STORE
#else
"""
    + road_tokens(7, (0, 1, 6, 4, 2, 3, 5, 7))
    + "#endif\n"
)
def put_flat_road(
    points: wp.array(dtype=RoadPoint),
    indices: wp.array(dtype=int),
    row: wp.array(dtype=wp.float16),
    start: int,
    x: float,
    y: float,
    cos: float,
    sin: float,
):
    """Writes the road segments seen from a segment into an agent's row."""
    ...


@wp.func
def observe_flat(rules: Rules, road: MapArrays, scene: SceneArrays, world: int, agent: int):
    """Writes an agent's row in the flat format."""
    row = scene.observation[world, agent]
    body = scene.body[world, agent]
    at = scene.route[world, agent].waypoint_index
    dx = scene.route[world, agent].waypoint_x[at] - body.x
    dy = scene.route[world, agent].waypoint_y[at] - body.y
    facts = scene.events[world, agent]
    reached = (facts & (REACHED_GOAL | REACHED_WAYPOINT)) != 0
    appeared = scene.duty[world, agent].age == 0.0
    put(row, 0, (dx * body.cos + dy * body.sin) * POSITION_SCALE)
    put(row, 1, (dy * body.cos - dx * body.sin) * POSITION_SCALE)
    put(row, 2, body.speed * SPEED_SCALE)
    put(row, 3, scene.traits[world, agent].width * 0.5)
    put(row, 4, scene.traits[world, agent].length * 0.2)
    put(row, 5, wp.where((facts & COLLIDED) != 0, 1.0, 0.0))
    put(row, 6, wp.where(reached or appeared, 1.0, 0.0))
    tokens = road.segments[scene.place[world, agent].segment].tokens
    if tokens >= 0:
        put_flat_road(
            road.road_points,
            road.road_tokens[tokens],
            row,
            rules.road_start,
            body.x,
            body.y,
            body.cos,
            body.sin,
        )
    else:
        blank(row, rules.road_start, rules.partners_start)
    sight = rules.partner_range
    if rules.see_partners == 0 or scene.traits[world, agent].driver == BLIND:
        sight = 0.0
    count = put_flat_partners(
        scene.boxes[world],
        row,
        rules.partners_start,
        rules.partners,
        scene.agent_count[world],
        agent,
        body.x,
        body.y,
        body.cos,
        body.sin,
        sight,
    )
    blank(row, rules.partners_start + 7 * count, rules.row_width)
