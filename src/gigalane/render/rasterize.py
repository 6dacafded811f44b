"""Quadrilaterals to pixels: the inner loops of the renderer.

A canvas is what one thread draws one pinhole view on: for each pixel the inverse depth 1/z
[1/m] and an id. Depth z is measured along the camera's axis; 0 stands for nothing. 1/z is affine
in the pixel coordinates over a plane, so a span of pixels needs one multiplication and one
comparison each.

A view is a row of numbers, see the constants below. Points are mapped to homogeneous pixel
coordinates (U, V, Z) by three rows, intrinsics included: the pixel is (U / Z, V / Z), the depth Z.
Pixel (column, row) covers [column, column + 1) x [row, row + 1) and is drawn where its middle lies
inside, so that quadrilaterals with a common edge share no pixel and leave none out.

The loops are C++ that compiles for CPUs and for CUDA; `gigalane.render.plain` has the same in
plain Warp, which tests compare them with.
"""

# pyright: reportGeneralTypeIssues=false, reportInvalidTypeForm=false, reportCallIssue=false
# pyright: reportOperatorIssue=false, reportReturnType=false, reportArgumentType=false
# pyright: reportAttributeAccessIssue=false, reportIndexIssue=false

import warp as wp

from gigalane.render.classes import CLASS

EYE = wp.constant(0)
"""View, from here on 3 numbers: position of the camera [m], local frame."""
ROWS = wp.constant(3)
"""9 numbers: U, V and Z of a step along x, y and z."""
WIDTH = wp.constant(12)
HEIGHT = wp.constant(13)
NEAR = wp.constant(14)
"""Nearest depth that is drawn [m]."""
HORIZON = wp.constant(15)
"""3 numbers a, b, c: the ground plane's 1/z is a u + b v + c."""
FARTHEST = wp.constant(18)
"""1 / the farthest depth [1/m]."""
SUN = wp.constant(19)
"""3 numbers: unit vector towards the light, local frame."""
AMBIENT = wp.constant(22)
"""Share of light that comes from everywhere."""
COLORED = wp.constant(23)
"""1 where entries of the table are wanted: for colours and instance ids."""
STEEPNESS = wp.constant(24)
"""What turns the 1/z of the ground plane above the horizon into a tangent of elevation [m]."""
START = wp.constant(30)
"""First pixel of the view on its canvas."""
FOCAL = wp.constant(31)
"""Focal length along columns [pixels]."""
PALETTE = wp.constant(32)
"""From here on 3 numbers a material: its colour, shares of full brightness."""

GROUND_ENTRY = wp.constant(1)
"""Table entry of the bare ground. Entry 0 counts entries."""
SKY_ENTRY = wp.constant(2)
"""First of `SKY_SHADES` entries from the horizon upwards."""
SKY_SHADES = wp.constant(16)
FIRST_ENTRY = wp.constant(18)
TABLE_SIZE = wp.constant(8192)
"""Most entries of a view; what comes later shares the last one."""

GROUND_CLASS = wp.constant(CLASS["ground"])
SKY_CLASS = wp.constant(CLASS["sky"])

VECTORS = """
#if !defined(__CUDA_ARCH__)
#if defined(__AVX512F__)
    enum { LANES = 16 };
#else
    enum { LANES = 8 };
#endif
    typedef float Vector __attribute__((vector_size(LANES * 4)));
    typedef int Mask __attribute__((vector_size(LANES * 4)));
    typedef float AnyVector __attribute__((vector_size(LANES * 4), aligned(4), may_alias));
    typedef int AnyMask __attribute__((vector_size(LANES * 4), aligned(4), may_alias));
    Mask lanes;
    for (int k = 0; k < LANES; k++) lanes[k] = k;
    const Vector lane = __builtin_convertvector(lanes, Vector);
#endif
"""
"""Vectors of a CPU; loads and stores go through types that allow any alignment."""


@wp.func_native(
    VECTORS
    + """
    const float* view = view_in.data;
    const float* at = view + 3;
    const float columns = view[12], lines = view[13], nearest = view[14];
    const int width = (int)columns;
    float* const depth_canvas = inverse.data + (int)view[30];
    int* const id_canvas = ids.data + (int)view[30];
    for (int range = 0; range < count; range++)
    for (int quad = ranges.data[2 * range]; quad < ranges.data[2 * range + 1]; quad++) {
        // Homogeneous pixel coordinates of the corners.
        const float* corner = quads.data + 12 * (long long)quad;
        float U[4], V[4], Z[4];
        for (int k = 0; k < 4; k++) {
            const float x = corner[k] - view[0], y = corner[4 + k] - view[1];
            const float z = corner[8 + k] - view[2];
            U[k] = at[0] * x + at[1] * y + at[2] * z;
            V[k] = at[3] * x + at[4] * y + at[5] * z;
            Z[k] = at[6] * x + at[7] * y + at[8] * z;
        }
        // Beyond one side of the image with all four.
        int before = 0, left = 0, right = 0, above = 0, below = 0;
        for (int k = 0; k < 4; k++) {
            before += Z[k] > nearest;
            left += U[k] <= 0.0f;
            right += U[k] >= columns * Z[k];
            above += V[k] <= 0.0f;
            below += V[k] >= lines * Z[k];
        }
        if (before == 0 || left == 4 || right == 4 || above == 4 || below == 4) continue;
        // The plane through the first three corners, and which side of it is seen: from outside,
        // corners that run counter-clockwise do so on the screen, v being down.
        const float ax = U[1] - U[0], ay = V[1] - V[0], az = Z[1] - Z[0];
        const float bx = U[2] - U[0], by = V[2] - V[0], bz = Z[2] - Z[0];
        const float nx = ay * bz - az * by, ny = az * bx - ax * bz, nz = ax * by - ay * bx;
        const float volume = nx * U[0] + ny * V[0] + nz * Z[0];
        if (volume == 0.0f || (volume > 0.0f && looks.data[quad] >> 30)) continue;
        // Pixel coordinates, cut off at the nearest depth.
        float u[8], v[8], most = 0.0f, least = 1.0e9f;
        int corners = 4;
        if (before == 4) {
            for (int k = 0; k < 4; k++) {
                const float inverse = 1.0f / Z[k];
                u[k] = U[k] * inverse;
                v[k] = V[k] * inverse;
                most = inverse > most ? inverse : most;
                least = inverse < least ? inverse : least;
            }
        } else {
            corners = 0;
            for (int k = 0; k < 4; k++) {
                const int next = (k + 1) & 3;
                const bool here = Z[k] > nearest, there = Z[next] > nearest;
                if (here) {
                    const float inverse = 1.0f / Z[k];
                    u[corners] = U[k] * inverse;
                    v[corners++] = V[k] * inverse;
                    least = inverse < least ? inverse : least;
                }
                if (here != there) {
                    const float share = (nearest - Z[k]) / (Z[next] - Z[k]);
                    u[corners] = (U[k] + share * (U[next] - U[k])) / nearest;
                    v[corners++] = (V[k] + share * (V[next] - V[k])) / nearest;
                }
            }
            most = 1.0f / nearest;
        }
        float top = v[0], bottom = v[0], west = u[0], east = u[0];
        int first = 0;
        for (int k = 1; k < corners; k++) {
            if (v[k] < top) { top = v[k]; first = k; }
            bottom = v[k] > bottom ? v[k] : bottom;
            west = u[k] < west ? u[k] : west;
            east = u[k] > east ? u[k] : east;
        }
        top = top > 0.0f ? top : 0.0f;
        bottom = bottom < lines ? bottom : lines;
        west = west > 0.0f ? west : 0.0f;
        east = east < columns ? east : columns;
        const int start = (int)ceilf(top - 0.5f), end = (int)ceilf(bottom - 0.5f);
        if (start >= end || ceilf(west - 0.5f) >= ceilf(east - 0.5f)) continue;
        // 1/z = a u + b v + c on the plane.
        const float a = nx / volume, b = ny / volume, c = nz / volume;
        int id = (looks.data[quad] & 255) << 24;
        if (view[23] > 0.0f) {
            int entry = table.data[0];
            if (entry < 8191) table.data[0] = entry + 1;
            const int look = looks.data[quad];
            const int material = (look >> 8) & 255;
            float shine = 1.0f;
            if (material < lit_from) {
                const float ex = corner[1] - corner[0], ey = corner[5] - corner[4];
                const float ez = corner[9] - corner[8], fx = corner[2] - corner[0];
                const float fy = corner[6] - corner[4], fz = corner[10] - corner[8];
                const float mx = ey * fz - ez * fy, my = ez * fx - ex * fz, mz = ex * fy - ey * fx;
                const float facing = mx * (corner[0] - view[0]) + my * (corner[4] - view[1])
                    + mz * (corner[8] - view[2]);
                const float size = sqrtf(mx * mx + my * my + mz * mz);
                float sun = (mx * view[19] + my * view[20] + mz * view[21]) / size;
                sun = facing > 0.0f ? -sun : sun;
                shine = view[22] + (1.0f - view[22]) * (sun > 0.0f ? sun : 0.0f);
            }
            int color = 0;
            for (int k = 0; k < 3; k++) {
                const float part = view[32 + 3 * material + k] * shine;
                color |= (int)((part < 1.0f ? part : 1.0f) * 1023.0f) << (10 * k);
            }
            table.data[2 * entry] = color;
            table.data[2 * entry + 1] = (look >> 16) & 0x3FFF;
            id |= entry;
        }
        // Down both sides from the top corner; clockwise on the screen the next one is right.
        const int rightward = volume > 0.0f ? 1 : corners - 1, leftward = corners - rightward;
        int l = first, r = first, steps = 0;
        int ln = l + leftward, rn = r + rightward;
        ln -= ln >= corners ? corners : 0;
        rn -= rn >= corners ? corners : 0;
        float l_slope = v[ln] > v[l] ? (u[ln] - u[l]) / (v[ln] - v[l]) : 0.0f;
        float r_slope = v[rn] > v[r] ? (u[rn] - u[r]) / (v[rn] - v[r]) : 0.0f;
#if !defined(__CUDA_ARCH__)
        const Vector low = Vector{} + least, high = Vector{} + most;
#endif
        for (int line = start; line < end; line++) {
            const float middle = (float)line + 0.5f;
            while (v[ln] <= middle && steps < corners) {
                l = ln;
                ln += leftward;
                ln -= ln >= corners ? corners : 0;
                l_slope = (u[ln] - u[l]) / (v[ln] - v[l]);
                steps++;
            }
            while (v[rn] <= middle && steps < corners) {
                r = rn;
                rn += rightward;
                rn -= rn >= corners ? corners : 0;
                r_slope = (u[rn] - u[r]) / (v[rn] - v[r]);
                steps++;
            }
            float from = u[l] + l_slope * (middle - v[l]), to = u[r] + r_slope * (middle - v[r]);
            from = from > 0.0f ? from : 0.0f;
            to = to < columns ? to : columns;
            const int x0 = (int)ceilf(from - 0.5f), x1 = (int)ceilf(to - 0.5f);
            const float w0 = b * middle + c + a * 0.5f;
            float* depths = depth_canvas + (long long)line * width;
            int* names = id_canvas + (long long)line * width;
#if defined(__CUDA_ARCH__)
            for (int x = x0; x < x1; x++) {
                float w = w0 + a * (float)x;
                w = w < least ? least : w > most ? most : w;
                if (w > keep * depths[x]) {
                    depths[x] = w;
                    names[x] = id;
                }
            }
#else
            // Whole vectors: what lies beyond the span is written back as it was.
            for (int x = x0; x < x1; x += LANES) {
                const Vector old = *(const AnyVector*)(depths + x);
                const Mask name = *(const AnyMask*)(names + x);
                Vector w = (w0 + a * (float)x) + a * lane;
                w = w > low ? w : low;
                w = w < high ? w : high;
                const Mask wins = (w > keep * old) & (lanes < x1 - x);
                *(AnyVector*)(depths + x) = wins ? w : old;
                *(AnyMask*)(names + x) = wins ? Mask{} + id : name;
            }
#endif
        }
    }
"""
)
def draw_quads(
    view_in: wp.array(dtype=float),
    quads: wp.array2d(dtype=float),
    looks: wp.array(dtype=int),
    ranges: wp.array(dtype=int),
    count: int,
    keep: float,
    lit_from: int,
    table: wp.array(dtype=int),
    ids: wp.array(dtype=int),
    inverse: wp.array(dtype=float),
):
    """Draws quadrilaterals on a canvas.

    Args:
        view_in: the view.
        quads: (N, 12) x, y and z of the corners [m], local frame.
        looks: (N,) what each is, see `gigalane.render.classes`.
        ranges: first and last + 1 of each stretch of quadrilaterals to draw.
        count: of stretches.
        keep: what is there gives way where the new 1/z exceeds it times this: 1 hides what is
            behind, less lets paint cover what it lies on.
        lit_from: first material that shines by itself.
        table: colour and instance id of every entry, two numbers each; 10 bits a colour.
        ids: (pixels + 16) class << 24 | entry.
        inverse: (pixels + 16) 1/z [1/m].
    """
    ...


@wp.func_native(
    VECTORS
    + """
    const float* view = view_in.data;
    const int width = (int)view[12], height = (int)view[13];
    const float a = view[15], b = view[16], c = view[17], farthest = view[18];
    const float steepness = view[24];
    for (int line = 0; line < height; line++) {
        const float w0 = b * ((float)line + 0.5f) + c + 0.5f * a;
        float* depths = inverse.data + (int)view[30] + (long long)line * width;
        int* names = ids.data + (int)view[30] + (long long)line * width;
#if defined(__CUDA_ARCH__)
        for (int x = 0; x < width; x++) {
            if (depths[x] > 0.0f) continue;
            const float w = w0 + a * (float)x;
            const bool below = w > farthest;
            float shade = -w * steepness;
            shade = shade < 0.0f ? 0.0f : shade > 15.0f ? 15.0f : shade;
            names[x] = below ? ground : sky + (int)shade;
            depths[x] = below ? w : 0.0f;
        }
#else
        for (int x = 0; x < width; x += LANES) {
            const Vector old = *(const AnyVector*)(depths + x);
            const Mask name = *(const AnyMask*)(names + x);
            const Vector w = (w0 + a * (float)x) + a * lane;
            const Mask free = (old <= 0.0f) & (lanes < width - x), below = w > farthest;
            const Vector shade = __builtin_elementwise_min(
                __builtin_elementwise_max(w * -steepness, Vector{}), Vector{} + 15.0f);
            const Mask other = below ? Mask{} + ground : sky + __builtin_convertvector(shade, Mask);
            *(AnyVector*)(depths + x) = free ? (below ? w : Vector{}) : old;
            *(AnyMask*)(names + x) = free ? other : name;
        }
#endif
    }
"""
)
def fill_background(
    view_in: wp.array(dtype=float),
    ground: int,
    sky: int,
    ids: wp.array(dtype=int),
    inverse: wp.array(dtype=float),
):
    """Puts bare ground and sky where nothing was drawn.

    Args:
        view_in: the view.
        ground: id of bare ground.
        sky: id of the sky at the horizon; the shades above follow it.
        ids: (pixels + 16) ids.
        inverse: (pixels + 16) 1/z [1/m]; 0 stays for the sky.
    """
    ...


@wp.func_native("for (int k = 0; k < count; k++) inverse.data[start + k] = 0.0f;")
def clear(inverse: wp.array(dtype=float), start: int, count: int):
    """Empties a canvas."""
    ...
