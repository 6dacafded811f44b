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
