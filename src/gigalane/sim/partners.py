"""The nearest partners of a road user, found without arrays of one's own: the form for a GPU.

On a CPU `gigalane.sim.observe.put_partners` ranks all neighbours at once, in arrays on the
stack that vector code walks. On a GPU such arrays would lie in device memory, some 10 KB a
thread. Here each token instead costs one more look at all road users of the world, whom the
threads of a warp read together: the nearest of those further away than the last one taken, the
first of those equally far. Both forms write the same bits.
"""

# pyright: reportGeneralTypeIssues=false, reportInvalidTypeForm=false, reportCallIssue=false
# pyright: reportOperatorIssue=false, reportReturnType=false, reportArgumentType=false
# pyright: reportAttributeAccessIssue=false, reportIndexIssue=false

import warp as wp

BY_PASSES = """
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
    float last = -1.0f;
    int taken = -1, count = 0;
    for (int t = 0; t < tokens; t++) {
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
        count = t + 1;
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
    }
    for (int t = 10 * count; t < 10 * tokens; t++) STORE(t, 0.0f);
#undef STORE
"""
"""Source of `put_partners_by_passes`; `put_partners` is made of it where it runs on a GPU."""


@wp.func_native(BY_PASSES)
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
    """Writes the nearest partners of an agent, nearest first, into its row."""
    ...
