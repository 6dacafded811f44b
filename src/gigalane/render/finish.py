"""From a canvas to the images that were asked for.

Distance fog follows the law of Beer and Lambert, exp(-density * depth), with the exponential as
(1 + x / 8)⁻⁸, which is within 0.03 of it. Noise is uniform and drawn for each pixel by its number.
"""

# pyright: reportGeneralTypeIssues=false, reportInvalidTypeForm=false, reportCallIssue=false
# pyright: reportOperatorIssue=false, reportReturnType=false, reportArgumentType=false
# pyright: reportAttributeAccessIssue=false, reportIndexIssue=false

import warp as wp

from gigalane.render.vectors import INVERSE, VECTORS

FOG = wp.constant(25)
"""View, 3 numbers: colour of the fog."""
FOG_DENSITY = wp.constant(28)
"""[1/m]"""
NOISE = wp.constant(29)
"""Half the range of the noise, share of full brightness."""


@wp.func_native("""
    const int* sources = remap_from.data + start;
    const float* rays = (const float*)(remap_ray.data + start);
    for (int k = 0; k < count; k++) {
        const int from = sources[k] < 0 ? 0 : sources[k];
        const int id = ids.data[from];
        const float w = inverse.data[from];
        ids_out.data[k] = sources[k] < 0 ? 0 : id;
        inverse_out.data[k] = sources[k] < 0 ? 0.0f : w * rays[3 * k + 2];
    }
""")
def remap(
    start: int,
    count: int,
    remap_from: wp.array(dtype=int),
    remap_ray: wp.array(dtype=wp.vec3),
    ids: wp.array(dtype=int),
    inverse: wp.array(dtype=float),
    ids_out: wp.array(dtype=int),
    inverse_out: wp.array(dtype=float),
):
    """Gathers the image of a lens from pinhole faces.

    Args:
        start: of the camera's rows in the remap arrays.
        count: pixels.
        remap_from: pixel of the faces that each pixel shows, -1 outside the lens.
        remap_ray: how far right of and below that pixel's middle the ray goes through [pixels],
            0 at the rim of a face; and z of the ray of unit length: 1/z to 1/distance.
        ids: of the faces.
        inverse: 1/z of the faces [1/m].
        ids_out: of the image.
        inverse_out: 1 / distance to what those pixels show [1/m]: enough for fog.
    """
    ...


@wp.func_native("""
    for (int k = 0; k < count; k++) {
        const int from = remap_from.data[start + k];
        if (from < 0) continue;
        const float* remapped = (const float*)(remap_ray.data + start + k);
        const float here = inverse.data[from];
        float w = here;
        // Rays hit between the middles of pixels; over a plane 1/z is affine, so go on along it.
        // At an edge the plane is where 1/z changes less.
        for (int axis = 0; axis < 2; axis++) {
            if (remapped[axis] == 0.0f) continue;
            const int step = axis == 0 ? 1 : stride;
            const float before = here - inverse.data[from - step];
            const float after = inverse.data[from + step] - here;
            w += remapped[axis] * (fabsf(before) < fabsf(after) ? before : after);
        }
        inverse_out.data[k] = w * remapped[2];
    }
""")
def sharpen(
    start: int,
    count: int,
    stride: int,
    remap_from: wp.array(dtype=int),
    remap_ray: wp.array(dtype=wp.vec3),
    inverse: wp.array(dtype=float),
    inverse_out: wp.array(dtype=float),
):
    """Gathers the distances of a lens where its rays go through, not at the middles of pixels.

    Args:
        start: as for `remap`.
        count: pixels.
        stride: columns of a face.
        remap_from: as for `remap`.
        remap_ray: as for `remap`.
        inverse: 1/z of the faces [1/m].
        inverse_out: 1 / distance along the ray [1/m]; nothing is written outside the lens.
    """
    ...


@wp.func_native("for (int k = 0; k < count; k++) out.data[start + k] = ids.data[k] >> 24;")
def write_classes(
    ids: wp.array(dtype=int), count: int, start: wp.int64, out: wp.array(dtype=wp.uint8)
):
    """Class ids of a canvas."""
    ...


@wp.func_native("""
    for (int k = 0; k < count; k++) {
        const float w = inverse.data[k];
        out.data[start + k] = 1.0f / (w > farthest ? w : farthest);
    }
""")
def write_depths(
    inverse: wp.array(dtype=float),
    farthest: float,
    count: int,
    start: wp.int64,
    out: wp.array(dtype=float),
):
    """Depths of a canvas [m], at most the farthest."""
    ...


@wp.func_native("""
    for (int k = 0; k < count; k++)
        out.data[start + k] = table.data[2 * (ids.data[k] & 0xFFFFFF) + 1];
""")
def write_instances(
    table: wp.array(dtype=int),
    ids: wp.array(dtype=int),
    count: int,
    start: wp.int64,
    out: wp.array(dtype=wp.uint16),
):
    """Instance ids of a canvas."""
    ...


@wp.func_native(
    VECTORS
    + INVERSE
    + """
    const float* view = view_in.data;
    const float noise = view[29] * 255.0f;
    unsigned char* image = out.data + 3 * start;
    const float thickness = view[28] * 0.125f;
    const bool by_color = view[23] == 1.0f;
#if defined(__CUDA_ARCH__)
    for (int k = 0; k < count; k++) {
        const int id = ids.data[k];
        const float w = inverse.data[k];
        float t = w > 1.0e-4f ? w / (w + thickness) : 1.0e-4f / (1.0e-4f + thickness);
        t *= t; t *= t; t *= t;
        if (inverse.data[k] <= 0.0f) t = 1.0f;  // the sky, or outside a lens
        const int packed = by_color ? id : table.data[2 * (id & 0xFFFFFF)];
        unsigned int bits = seed + (unsigned int)k * 0x9E3779B9u;
        bits ^= bits >> 16; bits *= 0x7FEB352Du; bits ^= bits >> 15; bits *= 0x846CA68Bu;
        bits ^= bits >> 16;
        for (int c = 0; c < 3; c++) {
            const float fog = view[25 + c] * 255.0f;
            float value = (float)((packed >> (10 * c)) & 1023) * (255.0f / 1023.0f);
            value = fog + t * (value - fog);
            value += noise * ((float)((bits >> (10 * c)) & 1023) * (2.0f / 1023.0f) - 1.0f) + 0.5f;
            image[3 * k + c] = (int)(value < 0.0f ? 0.0f : value > 255.0f ? 255.0f : value);
        }
    }
#else
    typedef unsigned int Words __attribute__((vector_size(LANES * 4)));
    typedef unsigned char Bytes __attribute__((vector_size(LANES * 4)));
#if defined(__AVX512F__)
    typedef int Entries __attribute__((vector_size(64)));
#endif
    for (int first = 0; first < count; first += LANES) {
        const Mask id = *(const AnyMask*)(ids.data + first);
        Vector w = *(const AnyVector*)(inverse.data + first);
        // What has no distance is the sky, or lies outside a lens.
        const Mask clear = w <= 0.0f;
        w = __builtin_elementwise_max(w, Vector{} + 1.0e-4f);
        Vector t = w * inverse_of(w + thickness);
        t *= t; t *= t; t *= t;
        t = clear ? Vector{} + 1.0f : t;
        Mask packed = id;
        if (!by_color) {
#if defined(__AVX512F__)
            packed = (Mask)__builtin_ia32_gathersiv16si(
                (Entries)(Mask{}), table.data, (Entries)((id & 0xFFFFFF) * 2), 0xFFFF, 4);
#else
            int colors[LANES];
            for (int k = 0; k < LANES; k++)
                colors[k] = table.data[2 * (ids.data[first + k] & 0xFFFFFF)];
            packed = *(const AnyMask*)colors;
#endif
        }
        Words bits = seed + (unsigned int)first * 0x9E3779B9u + (Words)lanes * 0x9E3779B9u;
        bits ^= bits >> 16; bits *= 0x7FEB352Du; bits ^= bits >> 15; bits *= 0x846CA68Bu;
        bits ^= bits >> 16;
        Mask parts[3];
        for (int c = 0; c < 3; c++) {
            const float fog = view[25 + c] * 255.0f;
            const Mask stored = (packed >> (10 * c)) & 1023;
            const Mask drawn = (Mask)((bits >> (10 * c)) & 1023u);
            Vector value = __builtin_convertvector(stored, Vector) * (255.0f / 1023.0f);
            value = fog + t * (value - fog);
            value += noise * (__builtin_convertvector(drawn, Vector) * (2.0f / 1023.0f) - 1.0f);
            value = __builtin_elementwise_max(value + 0.5f, Vector{});
            parts[c] = __builtin_convertvector(
                __builtin_elementwise_min(value, Vector{} + 255.0f), Mask);
        }
        const Mask joined = parts[0] | (parts[1] << 8) | (parts[2] << 16);
        const Bytes bytes = (Bytes)joined;
        const Bytes tight = __builtin_shufflevector(bytes, bytes,
            0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, 16, 17, 18, 20, 21, 22, 24, 25, 26, 28, 29, 30
#if defined(__AVX512F__)
            , 32, 33, 34, 36, 37, 38, 40, 41, 42, 44, 45, 46,
            48, 49, 50, 52, 53, 54, 56, 57, 58, 60, 61, 62,
            -1, -1, -1, -1, -1, -1, -1, -1
#endif
            , -1, -1, -1, -1, -1, -1, -1, -1);
        // The next pixels overwrite what is behind these; nothing is written behind the image.
        const int left = 3 * (count - first);
        if (left >= 4 * LANES) __builtin_memcpy(image + 3 * first, &tight, 4 * LANES);
        else __builtin_memcpy(image + 3 * first, &tight, left < 3 * LANES ? left : 3 * LANES);
    }
#endif
"""
)
def write_colors(
    view_in: wp.array(dtype=float),
    table: wp.array(dtype=int),
    ids: wp.array(dtype=int),
    inverse: wp.array(dtype=float),
    seed: wp.uint32,
    count: int,
    start: wp.int64,
    out: wp.array(dtype=wp.uint8),
):
    """Shaded colours of a canvas.

    Args:
        view_in: the view.
        table: colour and instance id of every entry.
        ids: (pixels + 16) ids.
        inverse: (pixels + 16) 1/z [1/m]; what has none has no fog before it.
        seed: of the noise.
        count: pixels.
        start: number of the image's first pixel.
        out: red, green and blue of every pixel.
    """
    ...
