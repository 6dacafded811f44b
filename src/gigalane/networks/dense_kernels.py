"""Matrix products of fully connected layers, for CPUs: a row's result is its own.

Libraries choose the shape of their blocks by the number of rows, so that a row rounds one way in
a batch of one and another way in a batch of a thousand. Here every sum runs over its axis in
order, one row like the next; a batch of one costs one block of rows, and no padding is needed.

    multiply           out = [ReLU](in · weights + bias), or its gradient: · weights where in > 0
    weight_gradient    out = grad^T · in, bias_out = Σ grad
    pack               weights as the other two read them: panels of 16 columns, the summed axis
                       next, so that a block of rows walks memory in a line
"""

from __future__ import annotations

import warp as wp

from gigalane.networks.native import BF16, FP32

wp.set_module_options({"enable_backward": False})

PANEL = 16
"""Columns of a panel of packed weights; the columns of every product are a multiple of it."""
BLOCK_ROWS = 256
"""Rows whose part of a weight's gradient is summed at once: two operands of them stay in L2."""

_MULTIPLY = """
    const Element *in = (const Element*)input, *weights = (const Element*)packed;
    const float* bias = (const float*)bias_in;
    // Holds the activations whose ReLU a gradient goes back through.
    const Element* gate = (const Element*)gate_in;
    float* wide = (float*)output;
    unsigned short* narrow = (unsigned short*)output;

    auto block = [&](auto size, int column) {
        enum { COUNT = sizeof(size) / LANES };
        for (int first = 0; first < rows; first += GROUP) {
            const Element* row[GROUP];
            // The last group repeats the last row, and drops what comes of it.
            for (int t = 0; t < GROUP; ++t)
                row[t] = in + (long)(first + t < rows ? first + t : rows - 1) * inner;
            Vector sum[GROUP][COUNT];
            for (int v = 0; v < COUNT; ++v) {
                const Vector start = bias ? load(bias + column + v * LANES) : zero;
                for (int t = 0; t < GROUP; ++t) sum[t][v] = start;
            }
            for (int k = 0; k < inner; k += STEP) {
                Operand weight[COUNT];
                for (int v = 0; v < COUNT; ++v)
                    weight[v] = operand(weights + (long)(column + v / SPLIT * PANEL) * inner
                                        + k * PANEL + v % SPLIT * LANES * STEP);
                for (int t = 0; t < GROUP; ++t) {
                    const Operand value = spread(row[t] + k);
                    for (int v = 0; v < COUNT; ++v) sum[t][v] = add(value, weight[v], sum[t][v]);
                }
            }
            const int count = rows - first < GROUP ? rows - first : GROUP;
            // Unrolled whole, so that the sums are registers and not an array with an index.
#pragma clang loop unroll(full)
            for (int t = 0; t < GROUP; ++t) {
#pragma clang loop unroll(full)
                for (int v = 0; v < COUNT; ++v) {
                    if (t >= count) continue;
                    const long at = (long)(first + t) * columns + column + v * LANES;
                    Vector value = sum[t][v];
                    if (rectify) value = value < zero ? zero : value;
                    if (gate) value = get(gate + at) > zero ? value : zero;
                    if (is_wide)
                        store(wide + at, value);
                    else
                        *(AnyHalves*)(narrow + at) = upper_half(value);
                }
            }
        }
    };
    struct Whole { char columns[BLOCK]; };
    struct Single { char columns[PANEL]; };
    int column = 0;
    for (; column + BLOCK <= columns; column += BLOCK) block(Whole{}, column);
    for (; column < columns; column += PANEL) block(Single{}, column);
"""

_WEIGHT_GRADIENT = """
    enum { BLOCK_ROWS = 256 };
    const Element *in = (const Element*)input, *grad = (const Element*)gradient;
    Element* in_packed = (Element*)scratch;
    Element* grad_packed = in_packed + (long)BLOCK_ROWS * columns;
    float *out = (float*)output, *bias_out = (float*)bias_output;

    for (int start = 0; start < rows; start += BLOCK_ROWS) {
        const int end = rows - start < BLOCK_ROWS ? rows - start : BLOCK_ROWS;
        const int steps = (end + STEP - 1) / STEP;
        for (int s = 0; s < steps; ++s) {
            const long row = start + s * STEP;
            const bool has_second = STEP == 2 && s * STEP + 1 < end;
            for (int c = 0; c < columns; c += LANES) {
                const Element* at = in + row * columns + c;
                put_operand(in_packed + ((long)(c / PANEL) * steps + s) * PANEL * STEP
                                + c % PANEL * STEP,
                            join(at, has_second ? at + columns : nullptr));
            }
            for (int c = 0; c < outputs; c += LANES) {
                const Element* at = grad + row * outputs + c;
                put_operand(grad_packed + ((long)s * outputs + c) * STEP,
                            join(at, has_second ? at + outputs : nullptr));
                Vector sum = (row ? load(bias_out + c) : zero) + get(at);
                if (has_second) sum += get(at + outputs);
                store(bias_out + c, sum);
            }
        }
        auto block = [&](auto size, int column) {
            enum { COUNT = sizeof(size) / LANES };
            for (int first = 0; first < outputs; first += GROUP) {
                Vector sum[GROUP][COUNT];
                long line[GROUP];
                for (int t = 0; t < GROUP; ++t) {
                    line[t] = first + t < outputs ? first + t : outputs - 1;
                    for (int v = 0; v < COUNT; ++v)
                        sum[t][v] =
                            start ? load(out + line[t] * columns + column + v * LANES) : zero;
                }
                for (int s = 0; s < steps; ++s) {
                    Operand value[COUNT];
                    for (int v = 0; v < COUNT; ++v)
                        value[v] = operand(
                            in_packed + ((long)(column / PANEL + v / SPLIT) * steps + s)
                                * PANEL * STEP + v % SPLIT * LANES * STEP);
                    for (int t = 0; t < GROUP; ++t) {
                        const Operand by = spread(grad_packed + (s * outputs + line[t]) * STEP);
                        for (int v = 0; v < COUNT; ++v) sum[t][v] = add(by, value[v], sum[t][v]);
                    }
                }
                for (int t = 0; t < GROUP; ++t)
                    for (int v = 0; v < COUNT; ++v)
                        store(out + line[t] * columns + column + v * LANES, sum[t][v]);
            }
        };
        struct Whole { char columns[BLOCK]; };
        struct Single { char columns[PANEL]; };
        int column = 0;
        for (; column + BLOCK <= columns; column += BLOCK) block(Whole{}, column);
        for (; column < columns; column += PANEL) block(Single{}, column);
    }
"""


_PACK = """
    const float* from = (const float*)weights;
    Element* to = (Element*)output;
    // The part of `line` from `first` on, with zeros after its end.
    auto part = [&](int line, int first) -> Vector {
        if (line >= lines || first >= numbers) return zero;
        if (first + LANES <= numbers) return load(from + (long)line * numbers + first);
        alignas(64) float rest[LANES] = {};
        for (int i = 0; first + i < numbers; ++i) rest[i] = from[(long)line * numbers + first + i];
        return load(rest);
    };
    if (along_lines) {
        // Columns of the product are columns here: pairs of lines are joined.
        for (int c = 0; c < columns; c += LANES)
            for (int k = 0; k < inner; k += STEP)
                put_operand(to + (long)(c / PANEL * PANEL) * inner + k * PANEL + c % PANEL * STEP,
                            operand_of(part(k, c), part(k + STEP - 1, c)));
    } else {
        // Columns of the product are lines here: pairs of neighbours go out a line apart.
        for (int c = 0; c < columns; ++c)
            for (int k = 0; k < inner; k += LANES) {
                alignas(64) Element numbers_of[LANES];
                put(numbers_of, part(c, k));
                for (int i = 0; i < LANES && k + i < inner; i += STEP)
                    __builtin_memcpy(to + (long)(c / PANEL * PANEL) * inner + (k + i) * PANEL
                                         + c % PANEL * STEP,
                                     numbers_of + i, STEP * sizeof(Element));
            }
    }
"""


@wp.func_native(FP32 + _MULTIPLY)
def _multiply_fp32(
    input: wp.uint64,
    rows: int,
    inner: int,
    columns: int,
    packed: wp.uint64,
    bias_in: wp.uint64,
    gate_in: wp.uint64,
    rectify: int,
    is_wide: int,
    output: wp.uint64,
) -> None: ...


@wp.func_native(BF16 + _MULTIPLY)
def _multiply_bf16(
    input: wp.uint64,
    rows: int,
    inner: int,
    columns: int,
    packed: wp.uint64,
    bias_in: wp.uint64,
    gate_in: wp.uint64,
    rectify: int,
    is_wide: int,
    output: wp.uint64,
) -> None: ...


@wp.func_native(FP32 + _WEIGHT_GRADIENT)
def _weight_gradient_fp32(
    input: wp.uint64,
    rows: int,
    columns: int,
    gradient: wp.uint64,
    outputs: int,
    scratch: wp.uint64,
    output: wp.uint64,
    bias_output: wp.uint64,
) -> None: ...


@wp.func_native(BF16 + _WEIGHT_GRADIENT)
def _weight_gradient_bf16(
    input: wp.uint64,
    rows: int,
    columns: int,
    gradient: wp.uint64,
    outputs: int,
    scratch: wp.uint64,
    output: wp.uint64,
    bias_output: wp.uint64,
) -> None: ...


@wp.func_native(FP32 + _PACK)
def _pack_fp32(
    weights: wp.uint64,
    lines: int,
    numbers: int,
    along_lines: int,
    inner: int,
    columns: int,
    output: wp.uint64,
) -> None: ...


@wp.func_native(BF16 + _PACK)
def _pack_bf16(
    weights: wp.uint64,
    lines: int,
    numbers: int,
    along_lines: int,
    inner: int,
    columns: int,
    output: wp.uint64,
) -> None: ...


@wp.kernel
def multiply(
    is_bf16: int,
    input: wp.uint64,
    rows: int,
    inner: int,
    columns: int,
    packed: wp.uint64,
    bias_in: wp.uint64,
    gate_in: wp.uint64,
    rectify: int,
    is_wide: int,
    output: wp.uint64,
) -> None:
    """Multiplies `rows` rows by packed weights; arguments are addresses of contiguous memory.

    Args:
        is_bf16: whether operands are bfloat16; else float32.
        input: (rows, inner) operands.
        rows: rows, any number above 0.
        inner: length of the sums; even for bfloat16.
        columns: numbers of a row of the result, a multiple of PANEL.
        packed: weights as `pack` lays them out.
        bias_in: (columns,) float32, or 0 for none.
        gate_in: (rows, columns) operands: where one is not above 0 the result is 0; or 0 for none.
        rectify: whether a ReLU follows.
        is_wide: whether the result is float32; else bfloat16.
        output: (rows, columns).
    """
    if is_bf16 == 1:
        _multiply_bf16(
            input, rows, inner, columns, packed, bias_in, gate_in, rectify, is_wide, output
        )
    else:
        _multiply_fp32(
            input, rows, inner, columns, packed, bias_in, gate_in, rectify, is_wide, output
        )


@wp.kernel
def weight_gradient(
    is_bf16: int,
    input: wp.uint64,
    rows: int,
    columns: int,
    gradient: wp.uint64,
    outputs: int,
    scratch: wp.uint64,
    output: wp.uint64,
    bias_output: wp.uint64,
) -> None:
    """Sums the gradients of a layer's weights and biases over `rows` rows.

    Args:
        is_bf16: whether operands are bfloat16; else float32.
        input: (rows, columns) operands, what the layer was given.
        rows: rows, any number above 0.
        columns: a multiple of PANEL.
        gradient: (rows, outputs) operands, of the loss by the layer's result.
        outputs: a multiple of PANEL.
        scratch: room for BLOCK_ROWS x (columns + outputs) operands.
        output: (outputs, columns) float32.
        bias_output: (outputs,) float32.
    """
    if is_bf16 == 1:
        _weight_gradient_bf16(input, rows, columns, gradient, outputs, scratch, output, bias_output)
    else:
        _weight_gradient_fp32(input, rows, columns, gradient, outputs, scratch, output, bias_output)


@wp.kernel
def pack(
    is_bf16: int,
    weights: wp.uint64,
    lines: int,
    numbers: int,
    along_lines: int,
    inner: int,
    columns: int,
    output: wp.uint64,
) -> None:
    """Lays weights out in panels, with zeros where they end before the product does.

    Args:
        is_bf16: whether to round to bfloat16, two of which share a word; else float32.
        weights: (lines, numbers) float32.
        lines: outputs of the layer.
        numbers: inputs of the layer.
        along_lines: whether sums run over the lines (a gradient) or over a line's numbers.
        inner: length of the sums; even for bfloat16.
        columns: numbers of a row of the product, a multiple of PANEL.
        output: (columns / PANEL, inner / step, PANEL, step) operands; step is 2 for bfloat16.
    """
    if is_bf16 == 1:
        _pack_bf16(weights, lines, numbers, along_lines, inner, columns, output)
    else:
        _pack_fp32(weights, lines, numbers, along_lines, inner, columns, output)
