"""Native inner loops of the bird's-eye raster: quadrilaterals to bits, bits to pixels.

While a raster is drawn each plane (one yes or no a pixel) is a bit of memory a pixel: word w of
row r holds the pixels 64 w to 64 w + 63. The words of neighbouring rows lie side by side, so
one vector holds a column of eight rows. Before the planes lie eight words, the first of which
says which planes anything was drawn on.

A pixel belongs to a shape if its centre does. An edge that a row's centre line crosses at u
flips all pixels whose centres lie at u or to its right; two edges leave the span between them.
Edges are walked downwards whichever way they were given, so shapes that share an edge neither
overlap nor leave a gap.
"""

# pyright: reportGeneralTypeIssues=false, reportInvalidTypeForm=false, reportCallIssue=false
# pyright: reportReturnType=false

import warp as wp

HEADER = wp.constant(8)
"""Words before the planes of a raster."""


@wp.struct
class View:
    """Where a raster is seen from, and which of its rows are drawn."""

    x: float  # of the ego [m], local frame
    y: float
    z: float
    cos: float  # of its heading
    sin: float
    scale: float  # [pixels/m]
    column: float  # of the ego, from the left [pixels]
    row: float  # of the ego, from the top [pixels]
    pixels: int  # of a side
    first: int  # row
    end: int  # row after the last
    base: int  # first word of its memory


@wp.func_native("""
    auto smaller = [](float a, float b) { return a < b ? a : b; };
    auto larger = [](float a, float b) { return a > b ? a : b; };
    float u[4], v[4];
    for (int k = 0; k < 4; ++k) {
        const float dx = xs[k] - view.x, dy = ys[k] - view.y;
        u[k] = view.column - (dy * view.cos - dx * view.sin) * view.scale;
        v[k] = view.row - (dx * view.cos + dy * view.sin) * view.scale;
    }
    auto least = [&](const float* n) { return smaller(smaller(n[0], n[1]), smaller(n[2], n[3])); };
    auto most = [&](const float* n) { return larger(larger(n[0], n[1]), larger(n[2], n[3])); };
    const float side = (float)view.pixels;
    if (!(least(u) < side && most(u) > 0.0f && least(v) < view.end && most(v) > view.first)) return;
    // Rows from `top` up to `bottom` have their centres between the ends of an edge.
    auto row_at = [&](float at) {
        return (int)ceilf(smaller(larger(at, (float)view.first), (float)view.end) - 0.5f);
    };
    int top[4], bottom[4], highest = view.end, lowest = view.first;
    float slope[4], from_u[4], from_v[4];
    for (int k = 0; k < 4; ++k) {
        const int other = (k + 1) & 3;
        const int a = v[k] <= v[other] ? k : other, b = a == k ? other : k;
        top[k] = row_at(v[a]);
        bottom[k] = row_at(v[b]);
        slope[k] = top[k] < bottom[k] ? (u[b] - u[a]) / (v[b] - v[a]) : 0.0f;
        from_u[k] = u[a];
        from_v[k] = v[a];
        highest = top[k] < highest ? top[k] : highest;
        lowest = bottom[k] > lowest ? bottom[k] : lowest;
    }
    if (highest >= lowest) return;
    const int words = view.pixels / 64;
    unsigned long long* memory = (unsigned long long*)planes.data + view.base;
    unsigned long long* rows = memory + 8 + (long)plane * words * view.pixels;
#if defined(__CUDA_ARCH__)
    for (int r = highest; r < lowest; ++r) {
        unsigned long long span[4] = {};
        for (int k = 0; k < 4; ++k) {
            if (r < top[k] || r >= bottom[k]) continue;
            const float at = fmaf((float)r + 0.5f - from_v[k], slope[k], from_u[k]);
            const int pixel = (int)smaller(larger(ceilf(at - 0.5f), 0.0f), side);
            for (int w = 0; w < words; ++w) {
                const int left = pixel - 64 * w;
                span[w] ^= left >= 64 ? 0ull : left <= 0 ? ~0ull : ~0ull << left;
            }
        }
        for (int w = 0; w < words; ++w) rows[(long)w * view.pixels + r] |= span[w];
    }
#else
    memory[0] |= 1ull << plane;
    typedef float Floats __attribute__((vector_size(32)));
    typedef int Ints __attribute__((vector_size(32)));
    typedef long long Longs __attribute__((vector_size(64)));
    typedef unsigned long long Words __attribute__((vector_size(64)));
    typedef unsigned long long AnyWords __attribute__((vector_size(64), aligned(8), may_alias));
    const Ints lanes = {0, 1, 2, 3, 4, 5, 6, 7};
    const Floats none = {};
    for (int r = highest & ~7; r < lowest; r += 8) {
        const Ints row = lanes + r;
        const Floats centre = __builtin_convertvector(row, Floats) + 0.5f;
        Words span[4] = {};
        for (int k = 0; k < 4; ++k) {
            if (bottom[k] <= r || top[k] >= r + 8) continue;
            const Floats at = __builtin_elementwise_fma(
                centre - from_v[k], none + slope[k], none + from_u[k]);
            const Floats pixel = __builtin_elementwise_min(
                __builtin_elementwise_max(__builtin_elementwise_ceil(at - 0.5f), none),
                none + side);
            const Ints crossed = (row >= top[k]) & (row < bottom[k]);
            // Rows that an edge does not cross are flipped from the right border on: not at all.
            const Ints first = (__builtin_convertvector(pixel, Ints) & crossed)
                | (view.pixels & ~crossed);
            const Longs wide = __builtin_convertvector(first, Longs);
            for (int w = 0; w < words; ++w) {
                const Longs left = __builtin_elementwise_max(wide - 64 * w, (Longs){});
                span[w] ^= (Words)(left < 64) & ((Words{} + ~0ull) << (Words)(left & 63));
            }
        }
        for (int w = 0; w < words; ++w)
            *(AnyWords*)(rows + (long)w * view.pixels + r) |= span[w];
    }
#endif
""")
def fill(planes: wp.array(dtype=wp.uint64), view: View, plane: int, xs: wp.vec4, ys: wp.vec4):
    """Draws a convex quadrilateral.

    Args:
        planes: memory of the rasters.
        view: where it is seen from.
        plane: which one it is drawn on.
        xs: its corners in order, either way round [m], local frame; two may be the same.
        ys: [m].
    """
    ...


@wp.func_native("""
    const int words = view.pixels / 64;
    const long size = (long)words * view.pixels;
    unsigned long long* memory = (unsigned long long*)planes.data + view.base;
#if defined(__CUDA_ARCH__)
    // A thread has its rows to itself, but not the note of what was drawn on.
    for (int k = 0; k < count * words; ++k)
        for (int r = view.first; r < view.end; ++r) memory[8 + (long)k * view.pixels + r] = 0;
#else
    for (int plane = 0; plane < count; ++plane)
        if (memory[0] >> plane & 1)
            __builtin_memset(memory + 8 + plane * size, 0, size * 8);
    memory[0] = 0;
#endif
""")
def clear(planes: wp.array(dtype=wp.uint64), view: View, count: int):
    """Empties the rows of a view; on a CPU only of planes that something was drawn on."""
    ...


@wp.func_native("""
    const int words = view.pixels / 64;
    const long size = (long)words * view.pixels;
    const unsigned long long* memory = (const unsigned long long*)planes.data + view.base + 8;
    const long start = (long)raster * view.pixels * view.pixels;
#if defined(__CUDA_ARCH__)
    for (int r = view.first; r < view.end; ++r)
        for (int pixel = 0; pixel < view.pixels; ++pixel) {
            const long word = (long)(pixel / 64) * view.pixels + r;
            int value = 0;
            for (int plane = 0; plane < count; ++plane)
                value |= (int)(memory[plane * size + word] >> (pixel & 63) & 1) << plane;
            const long at = start + (long)r * view.pixels + pixel;
            if (narrow)
                ((short*)out.data)[at] = (short)value;
            else
                ((int*)out.data)[at] = value;
        }
#else
    int drawn[32], used = 0;
    for (int plane = 0; plane < count; ++plane)
        if (memory[-8] >> plane & 1) drawn[used++] = plane;
    auto write = [&](auto zero, auto* to, auto bit_of_lane) {
        typedef decltype(zero) Element;
        typedef decltype(bit_of_lane) Lanes;
        typedef Lanes AnyLanes __attribute__((aligned(2), may_alias));
        for (int r = view.first; r < view.end; ++r)
            for (int w = 0; w < words; ++w) {
                Lanes value[4] = {};
                for (int k = 0; k < used; ++k) {
                    const unsigned long long bits = memory[drawn[k] * size + w * view.pixels + r];
                    if (!bits) continue;
                    for (int part = 0; part < 4; ++part) {
                        const Lanes here = Lanes{} + (Element)(bits >> 16 * part & 0xFFFF);
                        const Lanes is_set = (Lanes)((here & bit_of_lane) != 0);
                        value[part] |= is_set & (Element)(1 << drawn[k]);
                    }
                }
                for (int part = 0; part < 4; ++part)
                    *(AnyLanes*)(to + (long)r * view.pixels + 64 * w + 16 * part) = value[part];
            }
    };
    typedef short Shorts __attribute__((vector_size(32)));
    typedef int Ints __attribute__((vector_size(64)));
    const Ints bits = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768};
    if (narrow)
        write((short)0, (short*)out.data + start, __builtin_convertvector(bits, Shorts));
    else
        write(0, (int*)out.data + start, bits);
#endif
""")
def pack(
    planes: wp.array(dtype=wp.uint64),
    view: View,
    count: int,
    narrow: int,
    out: wp.array(dtype=int),
    raster: int,
):
    """Writes the rows of a view: bit k of a pixel is plane k.

    Args:
        planes: memory of the rasters.
        view: whose.
        count: planes.
        narrow: 1 where pixels have 16 bits, 0 where they have 32.
        out: the memory they go to, of either type.
        raster: how many lie before this one.
    """
    ...
