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
from gigalane.render.vectors import FIRST_PIXEL, INVERSE, MASK_BITS, VECTORS

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
NAMED = wp.constant(23)
"""What an id holds, one of the four that follow."""
BY_CLASS = wp.constant(0.0)
"""class << 24."""
BY_COLOR = wp.constant(1.0)
"""The colour itself, 10 bits a part: where nothing else is wanted nothing need be looked up."""
BY_ENTRY = wp.constant(2.0)
"""class << 24 | entry of the table, for colours and instance ids."""
BY_SURFACE = wp.constant(3.0)
"""The same, and the table has surfaces."""
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
DRESSED = wp.constant(2 * 8192)
"""Behind the table: whether colours, ground and sky are those of some world, and which look."""

SURFACES = 2 * 8192 + 16
"""Behind that, of every entry of a textured view 8 numbers: the first corner [m], direction of the
first edge over the ground (x, y) and its length [m], how level it is (0 to 1), its material."""
TEXTURED_SIZE = SURFACES + 8 * 8192
"""Numbers of the table of a textured view."""

GROUND_CLASS = wp.constant(CLASS["ground"])
SKY_CLASS = wp.constant(CLASS["sky"])


@wp.func_native(
    VECTORS
    + MASK_BITS
    + FIRST_PIXEL
    + INVERSE
    + """
    const float* view = view_in.data;
    const float* at = view + 3;
    const float columns = view[12], lines = view[13], nearest = view[14];
    const int width = (int)columns;
    const long long stride = quads.shape[1];
    float* const depth_canvas = inverse.data + (int)view[30];
    int* const id_canvas = ids.data + (int)view[30];
    const Vector none = Vector{};
    // What is kept of the quadrilaterals of a vector until they are drawn, one a column.
    float Us[4][LANES], Vs[4][LANES], Zs[4][LANES], planes[3][LANES], limits[2][LANES];
    int spans[2][LANES];
    // Edges, walked downwards: where and how steep they are, and which lines they cross.
    float edge_u[8][LANES], slopes[8][LANES], tops[8][LANES], ends[8][LANES];
    for (int range = 0; range < count; range++)
    for (int base = ranges.data[2 * range]; base < ranges.data[2 * range + 1]; base += LANES) {
        // Homogeneous pixel coordinates of the corners.
        const float* corners = quads.data + base;
        Vector U[4], V[4], Z[4];
        for (int k = 0; k < 4; k++) {
            const Vector x = *(const AnyVector*)(corners + k * stride) - view[0];
            const Vector y = *(const AnyVector*)(corners + (4 + k) * stride) - view[1];
            const Vector z = *(const AnyVector*)(corners + (8 + k) * stride) - view[2];
            U[k] = at[0] * x + at[1] * y + at[2] * z;
            V[k] = at[3] * x + at[4] * y + at[5] * z;
            Z[k] = at[6] * x + at[7] * y + at[8] * z;
        }
        // Beyond one side of the image with all four.
        Mask before = Z[0] > nearest, all_before = before;
        Mask left = U[0] <= none, right = U[0] >= columns * Z[0];
        Mask above = V[0] <= none, below = V[0] >= lines * Z[0];
        for (int k = 1; k < 4; k++) {
            const Mask is_before = Z[k] > nearest;
            before |= is_before;
            all_before &= is_before;
            left &= U[k] <= none;
            right &= U[k] >= columns * Z[k];
            above &= V[k] <= none;
            below &= V[k] >= lines * Z[k];
        }
        // The plane through the first three corners, and which side of it is seen: from outside,
        // corners that run counter-clockwise do so on the screen, v being down.
        const Vector ax = U[1] - U[0], ay = V[1] - V[0], az = Z[1] - Z[0];
        const Vector bx = U[2] - U[0], by = V[2] - V[0], bz = Z[2] - Z[0];
        const Vector nx = ay * bz - az * by, ny = az * bx - ax * bz, nz = ax * by - ay * bx;
        const Vector volume = nx * U[0] + ny * V[0] + nz * Z[0];
        const Mask one_sided = (*(const AnyMask*)(looks.data + base) >> 30) != 0;
        const Mask hidden = (volume == none) | ((volume > none) & one_sided);
        const Mask is_there = lanes < ranges.data[2 * range + 1] - base;
        Mask seen = is_there & before & ((left | right | above | below | hidden) == 0);
        if (bits_of(seen) == 0) continue;
        // Pixel coordinates, of those that are not cut off at the nearest depth.
        Vector u[4], v[4], most = none, least = none + 1.0e9f;
        for (int k = 0; k < 4; k++) {
            const Vector inverse = inverse_of(Z[k]);
            u[k] = U[k] * inverse;
            v[k] = V[k] * inverse;
            most = inverse > most ? inverse : most;
            least = inverse < least ? inverse : least;
        }
        Vector top = v[0], bottom = v[0], west = u[0], east = u[0];
        for (int k = 1; k < 4; k++) {
            top = v[k] < top ? v[k] : top;
            bottom = v[k] > bottom ? v[k] : bottom;
            west = u[k] < west ? u[k] : west;
            east = u[k] > east ? u[k] : east;
        }
        top = top > none ? top : none;
        bottom = bottom < lines ? bottom : none + lines;
        west = west > none ? west : none;
        east = east < columns ? east : none + columns;
        const Mask start = first_after(top), end = first_after(bottom);
        // Those between the middles of pixels cover none.
        const Mask missed = (start >= end) | (first_after(west) >= first_after(east));
        seen &= (all_before & missed) == 0;
        unsigned waiting = bits_of(seen);
        if (waiting == 0) continue;
        const unsigned whole = bits_of(all_before);
        for (int k = 0; k < 4; k++) {
            const int next = (k + 1) & 3;
            const Mask falls = v[next] > v[k];
            *(AnyVector*)edge_u[k] = falls ? u[k] : u[next];
            *(AnyVector*)slopes[k] = (u[next] - u[k]) * inverse_of(v[next] - v[k]);
            *(AnyVector*)tops[k] = falls ? v[k] : v[next];
            *(AnyVector*)ends[k] = falls ? v[next] : v[k];
            *(AnyVector*)Us[k] = U[k];
            *(AnyVector*)Vs[k] = V[k];
            *(AnyVector*)Zs[k] = Z[k];
        }
        // 1/z = a u + b v + c on the plane.
        const Vector each = inverse_of(volume);
        *(AnyVector*)planes[0] = nx * each;
        *(AnyVector*)planes[1] = ny * each;
        *(AnyVector*)planes[2] = nz * each;
        *(AnyVector*)limits[0] = least;
        *(AnyVector*)limits[1] = most;
        *(AnyMask*)spans[0] = start;
        *(AnyMask*)spans[1] = end;
        for (; waiting; waiting &= waiting - 1) {
            const int q = first_bit(waiting);
            int edges = 4;
            if (!(whole >> q & 1)) {
                // Cut off at the nearest depth: the corners anew.
                float u[8], v[8], least = 1.0e9f, top = 1.0e9f, bottom = -1.0e9f;
                edges = 0;
                for (int k = 0; k < 4; k++) {
                    const int next = (k + 1) & 3;
                    const float z = Zs[k][q], beyond = Zs[next][q];
                    if (z > nearest) {
                        const float inverse = 1.0f / z;
                        u[edges] = Us[k][q] * inverse;
                        v[edges++] = Vs[k][q] * inverse;
                        least = inverse < least ? inverse : least;
                    }
                    if (z > nearest != beyond > nearest) {
                        const float share = (nearest - z) / (beyond - z);
                        u[edges] = (Us[k][q] + share * (Us[next][q] - Us[k][q])) / nearest;
                        v[edges++] = (Vs[k][q] + share * (Vs[next][q] - Vs[k][q])) / nearest;
                    }
                }
                for (int k = 0; k < edges; k++) {
                    const int next = k + 1 < edges ? k + 1 : 0;
                    const bool falls = v[next] > v[k];
                    edge_u[k][q] = falls ? u[k] : u[next];
                    slopes[k][q] = (u[next] - u[k]) / (v[next] - v[k]);
                    tops[k][q] = falls ? v[k] : v[next];
                    ends[k][q] = falls ? v[next] : v[k];
                    top = v[k] < top ? v[k] : top;
                    bottom = v[k] > bottom ? v[k] : bottom;
                }
                limits[0][q] = least;
                limits[1][q] = 1.0f / nearest;
                spans[0][q] = (int)ceilf((top > 0.0f ? top : 0.0f) - 0.5f);
                spans[1][q] = (int)ceilf((bottom < lines ? bottom : lines) - 0.5f);
            }
            const float a = planes[0][q], b = planes[1][q], c = planes[2][q];
            const int look = looks.data[base + q];
            int id = (look & 255) << 24;
            if (view[23] > 0.0f) {
                const float* x = corners + q;
                const float *y = x + 4 * stride, *z = x + 8 * stride;
                const int material = (look >> 8) & 255;
                // Two edges from the first corner, and the normal.
                const float ex = x[stride] - x[0], ey = y[stride] - y[0];
                const float ez = z[stride] - z[0], fx = x[2 * stride] - x[0];
                const float fy = y[2 * stride] - y[0], fz = z[2 * stride] - z[0];
                const float mx = ey * fz - ez * fy, my = ez * fx - ex * fz;
                const float mz = ex * fy - ey * fx;
                float shine = 1.0f;
                if (material < lit_from) {
                    const float facing = mx * (x[0] - view[0]) + my * (y[0] - view[1])
                        + mz * (z[0] - view[2]);
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
                if (view[23] == 1.0f) {
                    id = color;
                } else {
                    const int entry = table.data[0];
                    if (entry < 8191) table.data[0] = entry + 1;
                    table.data[2 * entry] = color;
                    table.data[2 * entry + 1] = (look >> 16) & 0x3FFF;
                    id |= entry;
                    if (view[23] > 2.0f) {
                        float* surface = (float*)(table.data + 16400 + 8 * entry);
                        const float over = sqrtf(ex * ex + ey * ey);
                        const float each = 1.0f / (over > 1.0e-6f ? over : 1.0e-6f);
                        surface[0] = x[0]; surface[1] = y[0]; surface[2] = z[0];
                        surface[3] = ex * each; surface[4] = ey * each; surface[5] = over;
                        surface[6] = fabsf(mz) / sqrtf(mx * mx + my * my + mz * mz + 1.0e-20f);
                        surface[7] = (float)material;
                    }
                }
            }
            const Vector low = none + limits[0][q], high = none + limits[1][q];
            for (int line = spans[0][q]; line < spans[1][q]; line += LANES) {
                // Of a vector of lines, where the first and the last edge crosses them.
                const Vector middle = (float)line + lane + 0.5f;
                Vector from = none + columns, to = none;
                for (int k = 0; k < edges; k++) {
                    const Vector x = edge_u[k][q] + slopes[k][q] * (middle - tops[k][q]);
                    const Mask crosses = (tops[k][q] <= middle) & (ends[k][q] > middle);
                    from = (crosses & (x < from)) ? x : from;
                    to = (crosses & (x > to)) ? x : to;
                }
                from = from > none ? from : none;
                to = to < columns ? to : none + columns;
                int firsts[LANES], lasts[LANES];
                float starts[LANES];
                *(AnyMask*)firsts = first_after(from);
                *(AnyMask*)lasts = first_after(to);
                *(AnyVector*)starts = b * middle + c + a * 0.5f;
                const int left_over = spans[1][q] - line;
                for (int row = 0; row < (left_over < LANES ? left_over : LANES); row++) {
                    const float w0 = starts[row];
                    const int x1 = lasts[row];
                    float* depths = depth_canvas + (long long)(line + row) * width;
                    int* names = id_canvas + (long long)(line + row) * width;
                    for (int x = firsts[row]; x < x1; x += LANES) {
                        const Vector old = *(const AnyVector*)(depths + x);
                        Vector w = (w0 + a * (float)x) + a * lane;
                        w = w > low ? w : low;
                        w = w < high ? w : high;
                        const Mask wins = (w > keep * old) & (lanes < x1 - x);
#if defined(__CUDA_ARCH__)
                        if (wins) {
                            depths[x] = w;
                            names[x] = id;
                        }
#elif defined(__AVX512F__)
                        const unsigned short bits = (unsigned short)bits_of(wins);
                        __builtin_ia32_storeups512_mask(depths + x, w, bits);
                        __builtin_ia32_storedqusi512_mask(names + x, Mask{} + id, bits);
#else
                        // Whole vectors: what lies beyond the span is written back as it was.
                        const Mask name = *(const AnyMask*)(names + x);
                        *(AnyVector*)(depths + x) = wins ? w : old;
                        *(AnyMask*)(names + x) = wins ? Mask{} + id : name;
#endif
                    }
                }
            }
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
        quads: (12, N + 16) x, y and z of the corners [m], local frame.
        looks: (N + 16,) what each is, see `gigalane.render.classes`.
        ranges: first and last + 1 of each stretch of quadrilaterals to draw.
        count: of stretches.
        keep: what is there gives way where the new 1/z exceeds it times this: 1 hides what is
            behind, less lets paint cover what it lies on.
        lit_from: first material that shines by itself.
        table: colour and instance id of every entry, two numbers each; 10 bits a colour.
        ids: (pixels + 16) see `NAMED`.
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
    // Ids of the sky from the horizon upwards, and of bare ground; or, of their entries, colours.
    alignas(64) int skies[16];
    const bool by_color = view[23] == 1.0f;
    const int* colors = table.data + 2 * (sky & 0xFFFFFF);
    for (int k = 0; k < 16; k++) skies[k] = by_color ? colors[2 * k] : sky + k;
    const int bare = by_color ? table.data[2 * (ground & 0xFFFFFF)] : ground;
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
            names[x] = below ? bare : skies[(int)shade];
            depths[x] = below ? w : 0.0f;
        }
#else
        for (int x = 0; x < width; x += LANES) {
            const Vector old = *(const AnyVector*)(depths + x);
            const Mask free = (old <= 0.0f) & (lanes < width - x);
            const Mask name = *(const AnyMask*)(names + x);
            const Vector w = (w0 + a * (float)x) + a * lane;
            const Mask below = w > farthest;
            const Mask shade = __builtin_convertvector(__builtin_elementwise_min(
                __builtin_elementwise_max(w * -steepness, Vector{}), Vector{} + 15.0f), Mask);
#if defined(__AVX512F__)
            typedef int Skies __attribute__((vector_size(64)));
            const Mask above = (Mask)__builtin_ia32_permvarsi512(*(Skies*)skies, (Skies)shade);
#else
            Mask above;
            for (int k = 0; k < LANES; k++) above[k] = skies[shade[k]];
#endif
            const Mask other = below ? Mask{} + bare : above;
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
    table: wp.array(dtype=int),
    ids: wp.array(dtype=int),
    inverse: wp.array(dtype=float),
):
    """Puts bare ground and sky where nothing was drawn.

    Args:
        view_in: the view.
        ground: class and entry of bare ground.
        sky: the same of the sky at the horizon; the shades above follow it.
        table: colour and instance id of every entry.
        ids: (pixels + 16) see `NAMED`.
        inverse: (pixels + 16) 1/z [1/m]; 0 stays for the sky.
    """
    ...


@wp.func_native("for (int k = 0; k < count; k++) inverse.data[start + k] = 0.0f;")
def clear(inverse: wp.array(dtype=float), start: int, count: int):
    """Empties a canvas."""
    ...


@wp.func_native("return ((const float*)(table.data + 16400))[8 * entry + number];")
def surface_number(table: wp.array(dtype=int), entry: int, number: int) -> float:
    """One of the numbers of a textured view's surface, see `SURFACES`."""
    ...
