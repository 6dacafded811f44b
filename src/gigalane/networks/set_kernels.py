"""Two-layer set encoder with max-pool, fused for CPUs: no activation ever reaches memory.

For each row: every token that is not all zero goes through `ReLU(ReLU(x·w1 + b1)·w2 + b2)`,
and each output channel keeps its largest value over the tokens. Forward also notes which token
won each channel; backward then needs only the winners, so it costs less than forward instead
of twice as much. `sets.encode_and_pool_plain` says the same in torch and is the test oracle.

The loops are native (compiled by Warp's own compiler, no other is needed) because a compiler
keeps a block of GROUP tokens x PANEL channels in registers only if it is told to by vector
types; the same types fall back to narrower registers elsewhere. Launch on one thread a chunk
of rows: nothing is shared.
"""

from __future__ import annotations

import warp as wp

wp.set_module_options({"enable_backward": False})

WIDTH = 64
"""Channels of both layers."""
TOKENS_MAX = 256
"""Most tokens a set may have: rows of them are kept on the stack."""
FEATURES_MAX = 16
"""Most numbers a token may have."""

_TYPES = """
    enum { WIDTH = 64, TOKENS_MAX = 256, FEATURES_MAX = 16, GROUP = 4 };
#if defined(__AVX512F__)
    enum { LANES = 16, VECTORS = 4 };
#else
    enum { LANES = 8, VECTORS = 2 };
#endif
    enum { PANEL = LANES * VECTORS };
    // `load` and `store` go through types that allow any alignment.
    typedef float Vector __attribute__((vector_size(LANES * 4)));
    typedef int Mask __attribute__((vector_size(LANES * 4)));
    typedef float Floats __attribute__((vector_size(LANES * 4), aligned(4), may_alias));
    typedef int Ints __attribute__((vector_size(LANES * 4), aligned(4), may_alias));
    const Vector zero = {};
    auto load = [](const float* from) -> Vector { return *(const Floats*)from; };
    auto store = [](float* to, Vector value) { *(Floats*)to = value; };
    auto add_product = [](Vector a, Vector b, Vector sum) -> Vector {
        return __builtin_elementwise_fma(a, b, sum);
    };
"""

_FORWARD = """
    const _Float16* tokens = (const _Float16*)tokens_in;
    const float *w1 = (const float*)w1_in, *b1 = (const float*)b1_in;
    const float *w2 = (const float*)w2_in, *b2 = (const float*)b2_in;
    float* pooled = (float*)pooled_out;
    int* winner = (int*)winner_out;

    // out[GROUP][WIDTH] = in[GROUP][count] . weights[count][WIDTH] + bias, one panel of channels
    auto layer = [&](const float* const* in, int count, const float* weights, const float* bias,
                     int channel, Vector (&sum)[GROUP][VECTORS]) {
        for (int t = 0; t < GROUP; ++t)
            for (int v = 0; v < VECTORS; ++v) sum[t][v] = load(bias + channel + v * LANES);
        for (int k = 0; k < count; ++k) {
            Vector weight[VECTORS];
            for (int v = 0; v < VECTORS; ++v)
                weight[v] = load(weights + k * WIDTH + channel + v * LANES);
            for (int t = 0; t < GROUP; ++t)
                for (int v = 0; v < VECTORS; ++v)
                    sum[t][v] = add_product(zero + in[t][k], weight[v], sum[t][v]);
        }
    };

    for (int row = 0; row < rows; ++row) {
        // Tokens that are there, side by side in float32.
        float present[TOKENS_MAX * FEATURES_MAX];
        int index[TOKENS_MAX + GROUP];
        int count = 0;
        for (int token = 0; token < token_count; ++token) {
            bool empty = true;
            for (int f = 0; f < features; ++f) {
                const float value = (float)tokens[token * features + f];
                present[count * features + f] = value;
                empty &= value == 0.0f;
            }
            index[count] = token;
            count += !empty;
        }
        for (int c = 0; c < WIDTH; c += LANES) {
            store(pooled + c, zero);
            *(Ints*)(winner + c) = Mask{} - 1;
        }
        for (int first = 0; first < count; first += GROUP) {
            float hidden[GROUP][WIDTH];
            const float *in[GROUP], *in_hidden[GROUP];
            for (int t = 0; t < GROUP; ++t) {
                // The last group repeats the last token: it cannot beat itself.
                const int at = first + t < count ? first + t : count - 1;
                index[first + t] = index[at];
                in[t] = present + at * features;
                in_hidden[t] = hidden[t];
            }
            Vector sum[GROUP][VECTORS];
            for (int c = 0; c < WIDTH; c += PANEL) {
                layer(in, features, w1, b1, c, sum);
                for (int t = 0; t < GROUP; ++t)
                    for (int v = 0; v < VECTORS; ++v)
                        store(hidden[t] + c + v * LANES, sum[t][v] > zero ? sum[t][v] : zero);
            }
            for (int c = 0; c < WIDTH; c += PANEL) {
                layer(in_hidden, WIDTH, w2, b2, c, sum);
                for (int v = 0; v < VECTORS; ++v) {
                    Vector best = load(pooled + c + v * LANES);
                    Mask who = *(Ints*)(winner + c + v * LANES);
                    for (int t = 0; t < GROUP; ++t) {
                        const Mask better = sum[t][v] > best;
                        best = better ? sum[t][v] : best;
                        who = better ? Mask{} + index[first + t] : who;
                    }
                    store(pooled + c + v * LANES, best);
                    *(Ints*)(winner + c + v * LANES) = who;
                }
            }
        }
        tokens += row_stride;
        pooled += WIDTH;
        winner += WIDTH;
    }
"""

_BACKWARD = """
    enum { ALL = WIDTH / LANES };
    const _Float16* tokens = (const _Float16*)tokens_in;
    const float *w1 = (const float*)w1_in, *b1 = (const float*)b1_in;
    const float* w2_transposed = (const float*)w2_transposed_in;
    const float* pooled_grad = (const float*)pooled_grad_in;
    const int* winner = (const int*)winner_in;
    float *w1_grad = (float*)w1_grad_out, *b1_grad = (float*)b1_grad_out;
    float *w2_transposed_grad = (float*)w2_transposed_grad_out, *b2_grad = (float*)b2_grad_out;

    // Of each token that won something: its hidden layer, and the gradient of the loss by it.
    float hidden[TOKENS_MAX][WIDTH], hidden_grad[TOKENS_MAX][WIDTH];
    int row_of[TOKENS_MAX], winners[WIDTH];
    for (int token = 0; token < TOKENS_MAX; ++token) row_of[token] = -1;

    for (int row = 0; row < rows; ++row) {
        int count = 0;
        for (int channel = 0; channel < WIDTH; ++channel) {
            const int token = winner[channel];
            const float grad = pooled_grad[channel];
            if (token < 0 || grad == 0.0f) continue;
            if (row_of[token] != row) {
                row_of[token] = row;
                winners[count++] = token;
                Vector sum[ALL];
                for (int v = 0; v < ALL; ++v) sum[v] = load(b1 + v * LANES);
                for (int f = 0; f < features; ++f)
                    for (int v = 0; v < ALL; ++v)
                        sum[v] = add_product(zero + (float)tokens[token * features + f],
                                             load(w1 + f * WIDTH + v * LANES), sum[v]);
                for (int v = 0; v < ALL; ++v) {
                    store(hidden[token] + v * LANES, sum[v] > zero ? sum[v] : zero);
                    store(hidden_grad[token] + v * LANES, zero);
                }
            }
            for (int v = 0; v < ALL; ++v) {
                const int at = channel * WIDTH + v * LANES;
                float* by_hidden = hidden_grad[token] + v * LANES;
                store(by_hidden, add_product(zero + grad, load(w2_transposed + at),
                                             load(by_hidden)));
                float* by_weight = w2_transposed_grad + at;
                store(by_weight, add_product(zero + grad, load(hidden[token] + v * LANES),
                                             load(by_weight)));
            }
            b2_grad[channel] += grad;
        }
        for (int w = 0; w < count; ++w) {
            const int token = winners[w];
            for (int v = 0; v < ALL; ++v) {
                Vector grad = load(hidden_grad[token] + v * LANES);
                grad = load(hidden[token] + v * LANES) > zero ? grad : zero;
                store(b1_grad + v * LANES, load(b1_grad + v * LANES) + grad);
                for (int f = 0; f < features; ++f) {
                    float* by_weight = w1_grad + f * WIDTH + v * LANES;
                    store(by_weight, add_product(zero + (float)tokens[token * features + f],
                                                 grad, load(by_weight)));
                }
            }
        }
        tokens += row_stride;
        pooled_grad += WIDTH;
        winner += WIDTH;
    }
"""


@wp.func_native(_TYPES + _FORWARD)
def _encode_rows(
    tokens_in: wp.uint64,
    row_stride: int,
    token_count: int,
    features: int,
    rows: int,
    w1_in: wp.uint64,
    b1_in: wp.uint64,
    w2_in: wp.uint64,
    b2_in: wp.uint64,
    pooled_out: wp.uint64,
    winner_out: wp.uint64,
) -> None: ...


@wp.func_native(_TYPES + _BACKWARD)
def _gradient_rows(
    tokens_in: wp.uint64,
    row_stride: int,
    features: int,
    rows: int,
    w1_in: wp.uint64,
    b1_in: wp.uint64,
    w2_transposed_in: wp.uint64,
    pooled_grad_in: wp.uint64,
    winner_in: wp.uint64,
    w1_grad_out: wp.uint64,
    b1_grad_out: wp.uint64,
    w2_transposed_grad_out: wp.uint64,
    b2_grad_out: wp.uint64,
) -> None: ...


@wp.kernel
def encode_set(
    tokens_in: wp.uint64,
    row_stride: int,
    token_count: int,
    features: int,
    rows: int,
    w1_in: wp.uint64,
    b1_in: wp.uint64,
    w2_in: wp.uint64,
    b2_in: wp.uint64,
    pooled_out: wp.uint64,
    winner_out: wp.uint64,
) -> None:
    """Encodes and pools `rows` rows; arguments are addresses of contiguous memory.

    Args:
        tokens_in: float16, `token_count` x `features` numbers at every `row_stride`.
        row_stride: numbers from one row to the next.
        token_count: tokens of a row, at most TOKENS_MAX.
        features: numbers of a token, at most FEATURES_MAX.
        rows: rows to encode.
        w1_in: float32 (features, WIDTH).
        b1_in: float32 (WIDTH,).
        w2_in: float32 (WIDTH, WIDTH), inputs first.
        b2_in: float32 (WIDTH,).
        pooled_out: float32 (rows, WIDTH).
        winner_out: int32 (rows, WIDTH), the token that gave the value, -1 where it is 0.
    """
    _encode_rows(
        tokens_in,
        row_stride,
        token_count,
        features,
        rows,
        w1_in,
        b1_in,
        w2_in,
        b2_in,
        pooled_out,
        winner_out,
    )


@wp.kernel
def accumulate_gradient(
    tokens_in: wp.uint64,
    row_stride: int,
    features: int,
    rows: int,
    w1_in: wp.uint64,
    b1_in: wp.uint64,
    w2_transposed_in: wp.uint64,
    pooled_grad_in: wp.uint64,
    winner_in: wp.uint64,
    w1_grad_out: wp.uint64,
    b1_grad_out: wp.uint64,
    w2_transposed_grad_out: wp.uint64,
    b2_grad_out: wp.uint64,
) -> None:
    """Adds the gradients of the weights over `rows` rows; see `encode_set`.

    Args:
        tokens_in: as in `encode_set`.
        row_stride: as in `encode_set`.
        features: as in `encode_set`.
        rows: as in `encode_set`.
        w1_in: as in `encode_set`.
        b1_in: as in `encode_set`.
        w2_transposed_in: float32 (WIDTH, WIDTH), outputs first.
        pooled_grad_in: float32 (rows, WIDTH), gradient of the loss by `pooled_out`.
        winner_in: int32 (rows, WIDTH), of `encode_set`.
        w1_grad_out: like `w1_in`; added to.
        b1_grad_out: like `b1_in`; added to.
        w2_transposed_grad_out: like `w2_transposed_in`; added to.
        b2_grad_out: (WIDTH,); added to.
    """
    _gradient_rows(
        tokens_in,
        row_stride,
        features,
        rows,
        w1_in,
        b1_in,
        w2_transposed_in,
        pooled_grad_in,
        winner_in,
        w1_grad_out,
        b1_grad_out,
        w2_transposed_grad_out,
        b2_grad_out,
    )
