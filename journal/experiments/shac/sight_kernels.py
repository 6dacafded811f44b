"""The set encoder's gradient by the ego's own motion, through the tokens that won a channel.

What a channel's gradient means to its winner is summed over the channels that a token won, before
anything is multiplied by the first layer: a row costs as much as one dense layer on one token.
"""

# pyright: reportGeneralTypeIssues=false, reportInvalidTypeForm=false, reportCallIssue=false

from __future__ import annotations

import warp as wp

wp.set_module_options({"enable_backward": False})

KINDS = {"road": 0, "partners": 1, "controls": 2}

_MOTION = """
    enum { WIDTH = 64, TOKENS = 256 };
    const _Float16* tokens = (const _Float16*)tokens_in;
    const float *w1 = (const float*)w1_in, *b1 = (const float*)b1_in;
    const float *w2t = (const float*)w2_transposed_in;
    const float *grad = (const float*)grad_in, *pooled = (const float*)pooled_in;
    const float* speeds = (const float*)speed_in;
    const int* winner = (const int*)winner_in;
    float* motion = (float*)motion_out;
    float back[TOKENS][WIDTH];
    int place[TOKENS], won[WIDTH];
    for (int t = 0; t < TOKENS; ++t) place[t] = -1;
    for (int row = 0; row < rows; ++row) {
        int count = 0;
        for (int c = 0; c < WIDTH; ++c) {
            const float g = grad[row * WIDTH + c];
            const int k = winner[row * WIDTH + c];
            if (k < 0 || g == 0.0f || pooled[row * WIDTH + c] <= 0.0f) continue;
            if (place[k] < 0) {
                place[k] = count;
                won[count] = k;
                for (int h = 0; h < WIDTH; ++h) back[count][h] = 0.0f;
                ++count;
            }
            float* sum = back[place[k]];
            for (int h = 0; h < WIDTH; ++h) sum[h] += g * w2t[c * WIDTH + h];
        }
        float f = 0.0f, l = 0.0f, turn = 0.0f, v = 0.0f;
        for (int n = 0; n < count; ++n) {
            place[won[n]] = -1;
            const _Float16* token = tokens + (long)row * row_stride + won[n] * features;
            float x[16], g[16], hidden[WIDTH];
            for (int i = 0; i < features; ++i) x[i] = (float)token[i];
            for (int h = 0; h < WIDTH; ++h) hidden[h] = b1[h];
            for (int i = 0; i < features; ++i)
                for (int h = 0; h < WIDTH; ++h) hidden[h] += x[i] * w1[i * WIDTH + h];
            for (int i = 0; i < features; ++i) {
                float sum = 0.0f;
                for (int h = 0; h < WIDTH; ++h)
                    sum += hidden[h] > 0.0f ? back[n][h] * w1[i * WIDTH + h] : 0.0f;
                g[i] = sum;
            }
            const int at = kind == 2 ? 1 : 0;
            f -= 0.02f * g[at];
            l -= 0.02f * g[at + 1];
            turn += x[at + 1] * g[at] - x[at] * g[at + 1];
            if (kind == 2) { f -= 0.02f * g[0]; continue; }
            turn += x[3] * g[2] - x[2] * g[3];
            if (kind == 1) {
                turn += x[5] * g[4] - (x[4] + speeds[row]) * g[5];
                v -= 0.05f * g[4];
            }
        }
        motion[4 * row] = f;
        motion[4 * row + 1] = l;
        motion[4 * row + 2] = turn;
        motion[4 * row + 3] = v;
    }
"""


@wp.func_native(_MOTION)
def _motion_rows(
    tokens_in: wp.uint64,
    row_stride: int,
    features: int,
    rows: int,
    kind: int,
    speed_in: wp.uint64,
    w1_in: wp.uint64,
    b1_in: wp.uint64,
    w2_transposed_in: wp.uint64,
    grad_in: wp.uint64,
    pooled_in: wp.uint64,
    winner_in: wp.uint64,
    motion_out: wp.uint64,
): ...


@wp.kernel
def motion_gradient(
    tokens_in: wp.uint64,
    row_stride: int,
    features: int,
    rows: int,
    kind: int,
    speed_in: wp.uint64,
    w1_in: wp.uint64,
    b1_in: wp.uint64,
    w2_transposed_in: wp.uint64,
    grad_in: wp.uint64,
    pooled_in: wp.uint64,
    winner_in: wp.uint64,
    motion_out: wp.uint64,
):
    """Gradient by forward, left [m], turn [rad] and speed [m/s], (rows, 4) float32.

    Args:
        tokens_in: float16, rows `row_stride` apart, `features` numbers a token.
        row_stride: numbers between rows.
        features: numbers of a token.
        rows: how many.
        kind: of `KINDS`.
        speed_in: float32 (rows,) of the ego, scaled as observed.
        w1_in: float32 (features, 64).
        b1_in: float32 (64,).
        w2_transposed_in: float32 (64, 64), outputs first.
        grad_in: float32 (rows, 64), by the pooled channels.
        pooled_in: float32 (rows, 64).
        winner_in: int32 (rows, 64).
        motion_out: float32 (rows, 4).
    """
    _motion_rows(
        tokens_in,
        row_stride,
        features,
        rows,
        kind,
        speed_in,
        w1_in,
        b1_in,
        w2_transposed_in,
        grad_in,
        pooled_in,
        winner_in,
        motion_out,
    )
