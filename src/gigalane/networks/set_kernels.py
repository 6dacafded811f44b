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

from gigalane.networks.native import BF16, FP32

wp.set_module_options({"enable_backward": False})

WIDTH = 64
"""Channels of both layers."""
TOKENS_MAX = 256
"""Most tokens a set may have: rows of them are kept on the stack."""
FEATURES_MAX = 16
"""Most numbers a token may have."""

_SIZES = """
    enum { WIDTH = 64, TOKENS_MAX = 256, FEATURES_MAX = 16 };
    typedef _Float16 AnyTokens __attribute__((vector_size(LANES * 2), aligned(2), may_alias));
    typedef unsigned long long AnyFour __attribute__((aligned(2), may_alias));
"""

_FORWARD = """
    const _Float16* tokens = (const _Float16*)tokens_in;
    const float *w1 = (const float*)w1_in, *b1 = (const float*)b1_in;
    const float *w2 = (const float*)w2_in, *b2 = (const float*)b2_in;
    float* pooled = (float*)pooled_out;
    int* winner = (int*)winner_out;

    alignas(64) Element packed[WIDTH * WIDTH];
    for (int k = 0; k < WIDTH; k += STEP)
        for (int c = 0; c < WIDTH; c += LANES)
            put_operand(packed + k * WIDTH + c * STEP,
                        operand_of(load(w2 + k * WIDTH + c),
                                   load(w2 + (k + STEP - 1) * WIDTH + c)));

    alignas(64) float value[TOKENS_MAX * FEATURES_MAX];
    int index[TOKENS_MAX + GROUP];

    // Sends a few tokens through both layers and lets them compete for the largest values.
    auto compete = [&](auto size, int first) {
        enum { COUNT = sizeof(size), WIDE = BLOCK / LANES };
        alignas(64) Element hidden[COUNT][WIDTH];
        Vector sum[COUNT][WIDE];
        for (int c = 0; c < WIDTH; c += BLOCK) {
            for (int v = 0; v < WIDE; ++v)
                for (int t = 0; t < COUNT; ++t) sum[t][v] = load(b1 + c + v * LANES);
            for (int f = 0; f < features; ++f) {
                Vector weight[WIDE];
                for (int v = 0; v < WIDE; ++v) weight[v] = load(w1 + f * WIDTH + c + v * LANES);
                for (int t = 0; t < COUNT; ++t) {
                    const Vector number = fill(value[index[first + t] * features + f]);
                    for (int v = 0; v < WIDE; ++v)
                        sum[t][v] = add_product(number, weight[v], sum[t][v]);
                }
            }
            for (int t = 0; t < COUNT; ++t)
                for (int v = 0; v < WIDE; ++v)
                    put(hidden[t] + c + v * LANES, sum[t][v] > zero ? sum[t][v] : zero);
        }
        for (int c = 0; c < WIDTH; c += BLOCK) {
            for (int v = 0; v < WIDE; ++v)
                for (int t = 0; t < COUNT; ++t) sum[t][v] = load(b2 + c + v * LANES);
            for (int k = 0; k < WIDTH; k += STEP) {
                Operand weight[WIDE];
                for (int v = 0; v < WIDE; ++v)
                    weight[v] = operand(packed + k * WIDTH + (c + v * LANES) * STEP);
                for (int t = 0; t < COUNT; ++t) {
                    const Operand number = spread(hidden[t] + k);
                    for (int v = 0; v < WIDE; ++v) sum[t][v] = add(number, weight[v], sum[t][v]);
                }
            }
            for (int v = 0; v < WIDE; ++v) {
                Vector best = load(pooled + c + v * LANES);
                Mask who = *(AnyMask*)(winner + c + v * LANES);
                for (int t = 0; t < COUNT; ++t) {
                    const Mask better = sum[t][v] > best;
                    best = better ? sum[t][v] : best;
                    who = better ? Mask{} + index[first + t] : who;
                }
                store(pooled + c + v * LANES, best);
                *(AnyMask*)(winner + c + v * LANES) = who;
            }
        }
    };
    struct Group { char tokens[GROUP]; };
    struct Half { char tokens[GROUP / 2]; };

    for (int row = 0; row < rows; ++row) {
        const int numbers = token_count * features;
        int at = 0;
        for (; at + LANES <= numbers; at += LANES)
            store(value + at,
                  __builtin_convertvector(*(const AnyTokens*)(tokens + at), Vector));
        for (; at < numbers; ++at) value[at] = (float)tokens[at];
        int count = 0;
        for (int token = 0; token < token_count; ++token) {
            const _Float16* from = tokens + token * features;
            bool empty = true;
            if (features >= 4) {
                // Four at a time; the last four may overlap those before. A sign alone is zero.
                unsigned long long bits = *(const AnyFour*)(from + features - 4);
                for (int f = 0; f + 4 < features; f += 4) bits |= *(const AnyFour*)(from + f);
                empty = (bits & 0x7FFF7FFF7FFF7FFFull) == 0;
            } else {
                for (int f = 0; f < features; ++f) empty &= from[f] == 0;
            }
            index[count] = token;
            count += !empty;
        }
        // The last group repeats the last token: it cannot beat itself.
        for (int t = 0; t < GROUP && count > 0; ++t) index[count + t] = index[count - 1];
        for (int c = 0; c < WIDTH; c += LANES) {
            store(pooled + c, zero);
            *(AnyMask*)(winner + c) = Mask{} - 1;
        }
        int first = 0;
        for (; first + GROUP / 2 < count; first += GROUP) compete(Group{}, first);
        if (first < count) compete(Half{}, first);
        tokens += row_stride;
        pooled += WIDTH;
        winner += WIDTH;
    }
"""

_BACKWARD = """
    enum { ALL = WIDTH / LANES, WORDS = TOKENS_MAX / 64 };
    const _Float16* tokens = (const _Float16*)tokens_in;
    const float *w1 = (const float*)w1_in, *b1 = (const float*)b1_in;
    const float* w2_transposed = (const float*)w2_transposed_in;
    const float* pooled_grad = (const float*)pooled_grad_in;
    const int* winner = (const int*)winner_in;
    float *w1_grad = (float*)w1_grad_out, *b1_grad = (float*)b1_grad_out;
    float *w2_transposed_grad = (float*)w2_transposed_grad_out, *b2_grad = (float*)b2_grad_out;

    alignas(64) float value[TOKENS_MAX * FEATURES_MAX];
    // Of each token that won something, in order.
    alignas(64) float hidden[WIDTH + GROUP][WIDTH], hidden_grad[WIDTH][WIDTH];
    int winners[WIDTH + GROUP];

    // Adds one row of weight gradients for a few features, held in registers over all winners.
    auto add_first_layer = [&](auto size, int feature, int count) {
        enum { COUNT = sizeof(size), WIDE = BLOCK / LANES };
        for (int c = 0; c < WIDTH; c += BLOCK) {
            Vector sum[COUNT][WIDE];
            for (int f = 0; f < COUNT; ++f)
                for (int v = 0; v < WIDE; ++v)
                    sum[f][v] = load(w1_grad + (feature + f) * WIDTH + c + v * LANES);
            for (int w = 0; w < count; ++w) {
                Vector grad[WIDE];
                for (int v = 0; v < WIDE; ++v) grad[v] = load(hidden_grad[w] + c + v * LANES);
                for (int f = 0; f < COUNT; ++f) {
                    const Vector number = fill(value[winners[w] * features + feature + f]);
                    for (int v = 0; v < WIDE; ++v)
                        sum[f][v] = add_product(number, grad[v], sum[f][v]);
                }
            }
            for (int f = 0; f < COUNT; ++f)
                for (int v = 0; v < WIDE; ++v)
                    store(w1_grad + (feature + f) * WIDTH + c + v * LANES, sum[f][v]);
        }
    };
    struct Six { char features[6]; };
    struct One { char features[1]; };

    for (int row = 0; row < rows; ++row) {
        const int numbers = token_count * features;
        int at = 0;
        for (; at + LANES <= numbers; at += LANES)
            store(value + at,
                  __builtin_convertvector(*(const AnyTokens*)(tokens + at), Vector));
        for (; at < numbers; ++at) value[at] = (float)tokens[at];

        // Which tokens won, as bits; a token's place is the number of bits below its own. Nothing
        // here branches on who won or waits for memory: that is as good as random.
        int token_of[WIDTH];
        for (int c = 0; c < WIDTH; ++c)
            token_of[c] = pooled_grad[c] != 0.0f ? winner[c] : -1;
        unsigned long long bits[WORDS];
        int below[WORDS], count = 0;
        for (int word = 0; word * 64 < token_count; ++word) {
            unsigned long long all = 0;
            for (int c = 0; c < WIDTH; ++c)
                all |= token_of[c] >> 6 == word ? 1ull << (token_of[c] & 63) : 0ull;
            bits[word] = all;
            below[word] = count;
            for (; all; all &= all - 1) winners[count++] = word * 64 + __builtin_ctzll(all);
        }
        int channels[WIDTH], places[WIDTH], live = 0;
        for (int c = 0; c < WIDTH; ++c) {
            const int token = token_of[c] < 0 ? 0 : token_of[c];
            const unsigned long long lower = bits[token >> 6] & ((1ull << (token & 63)) - 1);
            channels[live] = c;
            places[live] = below[token >> 6] + __builtin_popcountll(lower);
            live += token_of[c] >= 0;
        }
        for (int t = 0; t < GROUP && count > 0; ++t) winners[count + t] = winners[count - 1];
        for (int first = 0; first < count; first += GROUP)
            for (int c = 0; c < WIDTH; c += BLOCK) {
                enum { WIDE = BLOCK / LANES };
                Vector sum[GROUP][WIDE];
                for (int v = 0; v < WIDE; ++v)
                    for (int t = 0; t < GROUP; ++t) sum[t][v] = load(b1 + c + v * LANES);
                for (int f = 0; f < features; ++f)
                    for (int t = 0; t < GROUP; ++t) {
                        const Vector number = fill(value[winners[first + t] * features + f]);
                        for (int v = 0; v < WIDE; ++v)
                            sum[t][v] = add_product(
                                number, load(w1 + f * WIDTH + c + v * LANES), sum[t][v]);
                    }
                for (int t = 0; t < GROUP; ++t)
                    for (int v = 0; v < WIDE; ++v)
                        store(hidden[first + t] + c + v * LANES,
                              sum[t][v] > zero ? sum[t][v] : zero);
            }
        for (int w = 0; w < count; ++w)
            for (int v = 0; v < ALL; ++v) store(hidden_grad[w] + v * LANES, zero);
        for (int l = 0; l < live; ++l) {
            const int channel = channels[l];
            const float *by_token = hidden[places[l]], *by_hidden = hidden_grad[places[l]];
            const Vector grad = fill(pooled_grad[channel]);
            b2_grad[channel] += pooled_grad[channel];
            for (int v = 0; v < ALL; ++v) {
                const int of = channel * WIDTH + v * LANES;
                store((float*)by_hidden + v * LANES,
                      add_product(grad, load(w2_transposed + of), load(by_hidden + v * LANES)));
                store(w2_transposed_grad + of,
                      add_product(grad, load(by_token + v * LANES),
                                  load(w2_transposed_grad + of)));
            }
        }
        Vector bias[ALL];
        for (int v = 0; v < ALL; ++v) bias[v] = load(b1_grad + v * LANES);
        for (int w = 0; w < count; ++w)
            for (int v = 0; v < ALL; ++v) {
                const Vector grad = load(hidden_grad[w] + v * LANES);
                const Vector open = load(hidden[w] + v * LANES) > zero ? grad : zero;
                store(hidden_grad[w] + v * LANES, open);
                bias[v] += open;
            }
        for (int v = 0; v < ALL; ++v) store(b1_grad + v * LANES, bias[v]);
        int feature = 0;
        for (; feature + 6 <= features; feature += 6) add_first_layer(Six{}, feature, count);
        for (; feature < features; ++feature) add_first_layer(One{}, feature, count);
        tokens += row_stride;
        pooled_grad += grad_stride;
        winner += WIDTH;
    }
"""


@wp.func_native(FP32 + _SIZES + _FORWARD)
def _encode_rows_fp32(
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


@wp.func_native(BF16 + _SIZES + _FORWARD)
def _encode_rows_bf16(
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


@wp.func_native(FP32 + _SIZES + _BACKWARD)
def _gradient_rows(
    tokens_in: wp.uint64,
    row_stride: int,
    token_count: int,
    features: int,
    rows: int,
    w1_in: wp.uint64,
    b1_in: wp.uint64,
    w2_transposed_in: wp.uint64,
    pooled_grad_in: wp.uint64,
    grad_stride: int,
    winner_in: wp.uint64,
    w1_grad_out: wp.uint64,
    b1_grad_out: wp.uint64,
    w2_transposed_grad_out: wp.uint64,
    b2_grad_out: wp.uint64,
) -> None: ...


@wp.kernel
def encode_set(
    is_bf16: int,
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
        is_bf16: whether the second layer multiplies bfloat16 numbers; else float32.
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
    if is_bf16 == 1:
        _encode_rows_bf16(
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
    else:
        _encode_rows_fp32(
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
    token_count: int,
    features: int,
    rows: int,
    w1_in: wp.uint64,
    b1_in: wp.uint64,
    w2_transposed_in: wp.uint64,
    pooled_grad_in: wp.uint64,
    grad_stride: int,
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
        token_count: as in `encode_set`.
        features: as in `encode_set`.
        rows: as in `encode_set`.
        w1_in: as in `encode_set`.
        b1_in: as in `encode_set`.
        w2_transposed_in: float32 (WIDTH, WIDTH), outputs first.
        pooled_grad_in: float32, WIDTH numbers at every `grad_stride`, gradient of the loss by
            `pooled_out`.
        grad_stride: numbers from one row's gradient to the next.
        winner_in: int32 (rows, WIDTH), of `encode_set`.
        w1_grad_out: like `w1_in`; added to.
        b1_grad_out: like `b1_in`; added to.
        w2_transposed_grad_out: like `w2_transposed_in`; added to.
        b2_grad_out: (WIDTH,); added to.
    """
    _gradient_rows(
        tokens_in,
        row_stride,
        token_count,
        features,
        rows,
        w1_in,
        b1_in,
        w2_transposed_in,
        pooled_grad_in,
        grad_stride,
        winner_in,
        w1_grad_out,
        b1_grad_out,
        w2_transposed_grad_out,
        b2_grad_out,
    )
