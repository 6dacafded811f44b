"""The nearest partners of a road user, found by ranks on a CPU and by passes on a GPU.

On a CPU all neighbours are ranked at once, in arrays on the stack that vector code walks. On a
GPU such arrays would lie in device memory, some 10 KB a
thread. Here each token instead costs one more look at all road users of the world, whom the
threads of a warp read together: the nearest of those further away than the last one taken, the
first of those equally far. Both forms write the same bits.
"""

# pyright: reportGeneralTypeIssues=false, reportInvalidTypeForm=false, reportCallIssue=false
# pyright: reportOperatorIssue=false, reportReturnType=false, reportArgumentType=false
# pyright: reportAttributeAccessIssue=false, reportIndexIssue=false

import warp as wp

CHANNELS = """
    const int stride = boxes.shape[1];
    const float* X = boxes.data;
    const float* Y = X + stride;
    const float* Z = Y + stride;
    const float* C = Z + stride;
    const float* S = C + stride;
    const float* V = S + stride;
    const float* L = V + stride;
    const float* W = L + stride;
    const float* K = W + stride;
#if defined(__CUDA_ARCH__)
    #define STORE(i, v) row.data[start + (i)] = wp::half(v)
#else
    _Float16* out = (_Float16*)row.data + start;
    #define STORE(i, v) out[i] = (_Float16)(v)
#endif
"""
"""Native code: the channels of `boxes`, and how a number gets to its place in a row."""

BY_RANK = """
    // Finds `found` partners: near[k] is the slot of one, order[k] that of the k-th nearest.
    // Ranks instead of sorting: the rank of a key is how many are smaller. No branch, so that
    // sixteen keys are ranked at once.
    typedef float Keys __attribute__((vector_size(64)));
    typedef float AnyKeys __attribute__((vector_size(64), aligned(4), may_alias));
    typedef int Ranks __attribute__((vector_size(64)));
    float key[512], packed[512 + 16];
    int near[512 + 1], order[512];
    int found = 0;
    const float far = range * range;
    for (int j = 0; j < agents; j++) {
        const float dx = X[j] - x, dy = Y[j] - y;
        const float d = dx * dx + dy * dy;
        key[j] = (K[j] < 0.0f || j == agent) ? 1.0e30f : d;
    }
    for (int j = 0; j < agents; j++) {
        near[found] = j;
        packed[found] = key[j];
        found += key[j] < far;
    }
    *(AnyKeys*)(packed + found) = Keys{} + 1.0e30f;
    Ranks number = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    for (int first = 0; first < found; first += 16) {
        const Keys keys = *(const AnyKeys*)(packed + first);
        Ranks rank = {};
        for (int q = 0; q < found; q++) {
            const Keys mine = Keys{} + packed[q];
            const Ranks index = Ranks{} + q;
            rank -= (Ranks)(mine < keys) | ((Ranks)(mine == keys) & (Ranks)(index < number));
        }
        number += 16;
        const int count = found - first < 16 ? found - first : 16;
        for (int k = 0; k < count; k++) order[rank[k]] = near[first + k];
    }
"""
"""Native code: the partners in `range` of (x, y), ranked; X, Y and K are channels of `boxes`."""

NEXT_NEAREST = """
        float least = range * range;
        int j = -1;
        for (int k = 0; k < agents; k++) {
            const float dx = X[k] - x, dy = Y[k] - y;
            const float d = dx * dx + dy * dy;
            const bool further = (d > last) | ((d == last) & (k > taken));
            const bool takes = further & (d < least) & (K[k] >= 0.0f) & (k != agent);
            least = takes ? d : least;
            j = takes ? k : j;
        }
        if (j < 0) break;
        last = least;
        taken = j;
"""
"""Native code: leaves a loop or finds the nearest `j` beyond the one `taken`, `last` away."""

_TOKEN = """
        float nx = 0.0f, ny = 0.0f, nv = 0.0f;
        if (position_noise > 0.0f || velocity_noise > 0.0f) {
            // Sum of four uniforms, scaled to unit variance: close to normal, bounded.
            unsigned int s = noise + 0x9E3779B9u * (unsigned int)(j + 1);
            float g[3];
            for (int k = 0; k < 3; k++) {
                float sum = 0.0f;
                for (int i = 0; i < 4; i++) {
                    s ^= s >> 16; s *= 0x7FEB352Du; s ^= s >> 15; s *= 0x846CA68Bu; s ^= s >> 16;
                    sum += (float)(s >> 8) * (1.0f / 16777216.0f);
                    s += 0x9E3779B9u;
                }
                g[k] = (sum - 2.0f) * 1.7320508f;
            }
            nx = position_noise * g[0]; ny = position_noise * g[1]; nv = velocity_noise * g[2];
        }
        const float dx = X[j] + nx - x, dy = Y[j] + ny - y;
        const float cj = C[j] * cos + S[j] * sin, sj = S[j] * cos - C[j] * sin;
        const float v = V[j] + nv;
        const int o = 10 * t;
        STORE(o, (dx * cos + dy * sin) * 0.02f);
        STORE(o + 1, (dy * cos - dx * sin) * 0.02f);
        STORE(o + 2, cj);
        STORE(o + 3, sj);
        STORE(o + 4, (v * cj - speed) * 0.05f);
        STORE(o + 5, v * sj * 0.05f);
        STORE(o + 6, L[j] * 0.2f);
        STORE(o + 7, W[j] * 0.5f);
        STORE(o + 8, (Z[j] - z) * 0.2f);
        STORE(o + 9, (K[j] + 1.0f) * 0.25f);
"""
"""Native code: writes partner `j` as token `t`."""

_BY_PASSES = (
    """
    float last = -1.0f;
    int taken = -1, count = 0;
    for (; count < tokens; count++) {
        const int t = count;
"""
    + NEXT_NEAREST
    + _TOKEN
    + "    }\n"
)
_BY_RANK = (
    BY_RANK
    + """
    const int count = found < tokens ? found : tokens;
    for (int t = 0; t < count; t++) {
        const int j = order[t];
"""
    + _TOKEN
    + "    }\n"
)
_BLANK_REST = """
    for (int t = 10 * count; t < 10 * tokens; t++) STORE(t, 0.0f);
#undef STORE
"""


@wp.func_native(
    CHANNELS
    + "#if defined(__CUDA_ARCH__)"
    + _BY_PASSES
    + "#else"
    + _BY_RANK
    + "#endif"
    + _BLANK_REST
)
def put_partners(
    boxes: wp.array2d(dtype=float),
    row: wp.array(dtype=wp.float16),
    start: int,
    tokens: int,
    agents: int,
    agent: int,
    x: float,
    y: float,
    z: float,
    cos: float,
    sin: float,
    speed: float,
    range: float,
    position_noise: float,
    velocity_noise: float,
    noise: wp.uint32,
):
    """Writes the nearest partners of an agent, nearest first, into its row."""
    ...


@wp.func_native(CHANNELS + _BY_PASSES + _BLANK_REST)
def put_partners_by_passes(
    boxes: wp.array2d(dtype=float),
    row: wp.array(dtype=wp.float16),
    start: int,
    tokens: int,
    agents: int,
    agent: int,
    x: float,
    y: float,
    z: float,
    cos: float,
    sin: float,
    speed: float,
    range: float,
    position_noise: float,
    velocity_noise: float,
    noise: wp.uint32,
):
    """`put_partners` as a GPU has it, for a CPU too, so that both can be compared."""
    ...
