"""Whether the four corners of a box lie on road surface: the inner loop of `locate`.

All four corners are compared with a quadrilateral at once, which the compiler turns into vector
code. The segment that the road user is on comes first, then its neighbours on the lane, which
together hold nearly every box; only what they leave open is looked up in the grid.
"""

# pyright: reportGeneralTypeIssues=false, reportInvalidTypeForm=false, reportCallIssue=false
# pyright: reportOperatorIssue=false, reportReturnType=false, reportArgumentType=false
# pyright: reportAttributeAccessIssue=false, reportIndexIssue=false

import warp as wp

from gigalane.maps.arrays import Segment


@wp.func_native("""
    float X[4], Y[4];
    int open = 15;  // bit k: corner k lies on no surface yet
    for (int c = 0; c < 4; c++) {
        const float along = ((c & 1) != 0 ? 0.5f : -0.5f) * length;
        const float left = ((c & 2) != 0 ? 0.5f : -0.5f) * width;
        X[c] = x + along * cos - left * sin;
        Y[c] = y + along * sin + left * cos;
    }
    const float seam = 0.05f;
    auto cover = [&](int index, bool any_level) {
        const auto& s = segments.data[index];
        if ((s.flags & flags) == 0) return;
        const float back = s.back_bound + seam, front = s.front_bound + seam;
        const float left = s.left_bound + seam, right = s.right_bound + seam;
        int covered = 0;
        for (int c = 0; c < 4; c++) {
            const bool in = (s.back_x * X[c] + s.back_y * Y[c] <= back)
                & (s.front_x * X[c] + s.front_y * Y[c] <= front)
                & (s.left_x * X[c] + s.left_y * Y[c] <= left)
                & (s.right_x * X[c] + s.right_y * Y[c] <= right);
            covered |= in << c;
        }
        if ((covered & open) == 0) return;
        if (!any_level)
            for (int c = 0; c < 4; c++) {
                const float along = (X[c] - s.x) * s.cos + (Y[c] - s.y) * s.sin;
                const float rise = s.z + s.slope * along - z;
                if (!(rise < level && -rise < level)) covered &= ~(1 << c);
            }
        open &= ~covered;
    };
    if (at >= 0) {
        cover(at, true);
        if (open == 0) return 1;
        const int lane = segments.data[at].lane;
        if (lane >= 0) {
            if (at + 1 < segments.shape[0] && segments.data[at + 1].lane == lane)
                cover(at + 1, false);
            if (at > 0 && segments.data[at - 1].lane == lane) cover(at - 1, false);
        }
    }
    for (int c = 0; open != 0 && c < 4; c++) {
        if ((open >> c & 1) == 0) continue;
        const float column = floorf((X[c] - grid_x) / 5.0f), row = floorf((Y[c] - grid_y) / 5.0f);
        // Written so that what is no number is outside, too.
        if (!(column >= 0.0f && row >= 0.0f && column < (float)columns && row < (float)rows))
            return 0;
        const int cell = cell_start + (int)row * columns + (int)column;
        const int end = cell_offsets.data[cell + 1];
        for (int entry = cell_offsets.data[cell]; entry < end; entry++) {
            cover(cell_segments.data[entry], false);
            if ((open >> c & 1) == 0) break;
        }
        if (open >> c & 1) return 0;
    }
    return 1;
""")
def stands_on(
    segments: wp.array(dtype=Segment),
    cell_offsets: wp.array(dtype=int),
    cell_segments: wp.array(dtype=int),
    grid_x: float,
    grid_y: float,
    columns: int,
    rows: int,
    cell_start: int,
    at: int,
    flags: int,
    level: float,
    x: float,
    y: float,
    z: float,
    cos: float,
    sin: float,
    length: float,
    width: float,
) -> int:
    """1 where every corner of a box lies on a surface, 0 where one does not.

    Args:
        segments: of the maps.
        cell_offsets: of the maps' grids.
        cell_segments: of the maps' grids.
        grid_x: corner of the map's grid [m], local frame.
        grid_y: the same [m].
        columns: of the grid.
        rows: of the grid.
        cell_start: first cell of the map.
        at: segment to try first, whatever its height; -1 where there is none.
        flags: surface flags, of which a segment must have one.
        level: other segments count when nearer in height than this [m].
        x: centre of the box [m], local frame.
        y: the same [m].
        z: the same [m].
        cos: of the heading.
        sin: of the heading.
        length: of the box [m].
        width: of the box [m].
    """
    ...
