"""Asks for parts of the map before they are needed.

Maps are larger than a core's cache, and where a road user is decides what is read of them; no
processor guesses that. Between two stages of a world there is time enough to fetch it. Only
CPUs are told; on a GPU other threads work while one waits.
"""

# pyright: reportGeneralTypeIssues=false, reportInvalidTypeForm=false, reportCallIssue=false
# pyright: reportOperatorIssue=false, reportReturnType=false, reportArgumentType=false
# pyright: reportAttributeAccessIssue=false, reportIndexIssue=false

import warp as wp

from gigalane.maps.arrays import RoadPoint, Segment


@wp.func_native("""
#if !defined(__CUDA_ARCH__)
    if (at >= 0 && at < segments.shape[0]) {
        const char* here = (const char*)(segments.data + at);
        __builtin_prefetch(here);
        __builtin_prefetch(here + 64);
        __builtin_prefetch(here + 128);
    }
#endif
""")
def expect_segment(segments: wp.array(dtype=Segment), at: int):
    """Asks for a segment and the next one."""
    ...


@wp.func_native("""
#if !defined(__CUDA_ARCH__)
    if (cell < 0) return;
    const int* offset = cell_offsets.data + cell;
    if (depth == 0) {
        __builtin_prefetch(offset);
    } else if (depth == 1) {
        __builtin_prefetch(cell_segments.data + offset[0]);
        __builtin_prefetch(cell_segments.data + offset[0] + 16);
    } else {
        for (int entry = offset[0]; entry < offset[1]; entry++) {
            const char* here = (const char*)(segments.data + cell_segments.data[entry]);
            __builtin_prefetch(here);
            __builtin_prefetch(here + 64);
        }
    }
#endif
""")
def expect_cell(
    segments: wp.array(dtype=Segment),
    cell_offsets: wp.array(dtype=int),
    cell_segments: wp.array(dtype=int),
    cell: int,
    depth: int,
):
    """Asks for what lies in a cell of the grid, one link of the chain at a time.

    Args:
        segments: of the maps.
        cell_offsets: of the maps' grids.
        cell_segments: of the maps' grids.
        cell: which one; -1 for none.
        depth: 0 for where its list begins, 1 for the list, 2 for the segments on it; each
            needs the one before.
    """
    ...


@wp.func_native("""
#if !defined(__CUDA_ARCH__)
    const char* begin = (const char*)indices.data;
    const char* end = begin + sizeof(int) * indices.shape[0];
    for (const char* line = begin; line < end; line += 64) __builtin_prefetch(line);
    if (end > begin) __builtin_prefetch(end - 1);
#endif
""")
def expect_tokens(indices: wp.array(dtype=int)):
    """Asks for the indices of the road points that are seen from a segment."""
    ...


@wp.func_native("""
#if !defined(__CUDA_ARCH__)
    const int tokens = indices.shape[0];
    for (int t = 0; t < tokens; t++) {
        const int p = indices.data[t];
        __builtin_prefetch(points.data + (p < 0 ? 0 : p));
    }
#endif
""")
def expect_points(points: wp.array(dtype=RoadPoint), indices: wp.array(dtype=int)):
    """Asks for the road points that are seen from a segment."""
    ...
