"""How numbers get into an observation row."""

# pyright: reportGeneralTypeIssues=false, reportInvalidTypeForm=false, reportCallIssue=false
# pyright: reportOperatorIssue=false, reportReturnType=false, reportArgumentType=false
# pyright: reportAttributeAccessIssue=false, reportIndexIssue=false

import warp as wp

POSITION_SCALE = wp.constant(0.02)
"""Positions are given in units of 50 m."""
SPEED_SCALE = wp.constant(0.05)
"""Speeds are given in units of 20 m/s."""


@wp.func_native("""
#if defined(__CUDA_ARCH__)
    row.data[index] = wp::half(value);
#else
    ((_Float16*)row.data)[index] = (_Float16)value;
#endif
""")
def put(row: wp.array(dtype=wp.float16), index: int, value: float):
    """Writes one number of a row; the compiler turns it into a half-precision store."""
    ...


@wp.func_native("""
#if defined(__CUDA_ARCH__)
    for (int index = start; index < end; index++) row.data[index] = wp::half(0.0f);
#else
    if (end > start) __builtin_memset((void*)(row.data + start), 0, 2 * (end - start));
#endif
""")
def blank(row: wp.array(dtype=wp.float16), start: int, end: int):
    """Writes zeros into a stretch of a row."""
    ...


def road_tokens(width: int, order: tuple[int, ...]) -> str:
    """Native code for a CPU that writes road points as tokens of a row.

    Args:
        width: numbers of a token.
        order: which of the eight numbers of a turned point comes when: x, y, cos, sin, half
            width, kind, length, and one that says nothing.

    Returns:
        Code that reads `points`, `indices`, `tokens`, `start`, x, y, cos and sin.
    """
    places = ", ".join(map(str, order))
    code = """
    // A token is one point, turned: every number is a sum of two products and a scale.
    typedef float Eight __attribute__((vector_size(32)));
    typedef float AnyEight __attribute__((vector_size(32), aligned(4), may_alias));
    typedef _Float16 Halves __attribute__((vector_size(16)));
    typedef _Float16 AnyHalves __attribute__((vector_size(16), aligned(2), may_alias));
    const Eight origin = {x, y};
    const Eight own = {cos, cos, cos, cos, 1.0f, 1.0f, 1.0f};
    const Eight other = {sin, -sin, sin, -sin};
    const Eight scale = {0.02f, 0.02f, 1.0f, 1.0f, 0.2f, 1.0f, 0.2f};
    const Eight nothing = {};
    _Float16* out = (_Float16*)row.data + start;
    auto token = [&](int t) -> Halves {
        const int p = indices.data[t];
        const Eight q = *(const AnyEight*)(points.data + (p < 0 ? 0 : p)) - origin;
        const Eight pairs = __builtin_shufflevector(q, q, 1, 0, 3, 2, 5, 4, 7, 6);
        const Eight seen = (q * own + pairs * other) * (p < 0 ? nothing : scale);
        return __builtin_convertvector(__builtin_shufflevector(seen, seen, ORDER), Halves);
    };
    // Eight numbers are stored where fewer belong; the next token writes over the rest.
    for (int t = 0; t < tokens - 1; t++) *(AnyHalves*)(out + WIDTH * t) = token(t);
    if (tokens > 0) {
        const Halves last = token(tokens - 1);
        __builtin_memcpy(out + WIDTH * (tokens - 1), &last, 2 * WIDTH);
    }
"""
    return code.replace("ORDER", places).replace("WIDTH", str(width))
