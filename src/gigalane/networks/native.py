"""Native code that the kernels of `networks` share: vectors of numbers, products of them, launches.

Two kinds of operands, one source. FP32 multiplies float32 by float32. BF16 multiplies pairs of
bfloat16: a 32-bit word holds two neighbours along the summed axis, and one instruction adds both
products to a float32 sum (twice the work of a float32 one, where the processor has it; elsewhere
the same products are made one after the other). Only the order of a sum decides how it rounds,
and no loop lets it depend on the number of rows.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import cast

import torch
import warp as wp
from torch import Tensor

from gigalane.core.kernels import load_kernels

_recorded = threading.local()


def run_here(kernel: Callable[..., None], *arguments: Tensor | int | None) -> None:
    """Runs a kernel once in this thread, handing tensors over as addresses.

    Each thread records a launch of each kernel once and only changes its arguments from then
    on: that takes a third of the time of a launch from scratch.

    Args:
        kernel: a `wp.Kernel` whose arguments are integers.
        arguments: contiguous CPU tensors that outlive the call, numbers, or None for address 0.
    """
    inputs = [a.data_ptr() if isinstance(a, torch.Tensor) else int(a or 0) for a in arguments]
    launches: dict[str, wp.Launch] = _recorded.__dict__
    name = f"{kernel.__module__}.{cast(wp.Kernel, kernel).key}"
    launch = launches.get(name)
    if launch is None:
        load_kernels(kernel)
        recorded = wp.launch(
            cast(wp.Kernel, kernel), dim=1, inputs=inputs, device="cpu", record_cmd=True
        )
        launch = launches[name] = cast(wp.Launch, recorded)
    else:
        for index, number in enumerate(inputs):
            launch.set_param_at_index_from_ctype(index, number)
    launch.launch()


VECTORS = """
#if defined(__AVX512F__)
    enum { LANES = 16, GROUP = 6 };
#else
    enum { LANES = 8, GROUP = 4 };
#endif
    // Weights lie in panels of this many columns; a block of sums is GROUP rows x BLOCK columns.
    enum { PANEL = 16, SPLIT = PANEL / LANES, BLOCK = LANES == 16 ? 4 * PANEL : PANEL };
    // `load` and `store` go through types that allow any alignment.
    typedef float Vector __attribute__((vector_size(LANES * 4)));
    typedef int Mask __attribute__((vector_size(LANES * 4)));
    typedef unsigned int Words __attribute__((vector_size(LANES * 4)));
    typedef unsigned short Halves __attribute__((vector_size(LANES * 2)));
    typedef float AnyVector __attribute__((vector_size(LANES * 4), aligned(4), may_alias));
    typedef int AnyMask __attribute__((vector_size(LANES * 4), aligned(4), may_alias));
    typedef unsigned int AnyWords __attribute__((vector_size(LANES * 4), aligned(2), may_alias));
    typedef unsigned short AnyHalves __attribute__((vector_size(LANES * 2), aligned(2), may_alias));
    typedef unsigned int AnyWord __attribute__((aligned(2), may_alias));
    const Vector zero = {};
    auto load = [](const float* from) -> Vector { return *(const AnyVector*)from; };
    auto store = [](float* to, Vector value) { *(AnyVector*)to = value; };
    // Adding to a vector of integers is how to fill one; adding to zeros of float32 is a sum.
    auto fill = [](float value) -> Vector {
        int bits;
        __builtin_memcpy(&bits, &value, 4);
        return (Vector)(Mask{} + bits);
    };
    auto add_product = [](Vector a, Vector b, Vector sum) -> Vector {
        return __builtin_elementwise_fma(a, b, sum);
    };
    // bfloat16 is the upper half of float32, rounded to nearest, ties to even.
    auto upper_half = [](Vector value) -> Halves {
#if defined(__AVX512BF16__)
        typedef __bf16 Upper __attribute__((vector_size(LANES * 2)));
        return (Halves)__builtin_convertvector(value, Upper);
#else
        const Words bits = (Words)value;
        return __builtin_convertvector((bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16, Halves);
#endif
    };
    // First of a pair in the lower half of a word, second in the upper.
    auto pair = [](Halves first, Halves second) -> Words {
        Words upper = __builtin_convertvector(second, Words) << 16;
        return __builtin_convertvector(first, Words) | upper;
    };
    auto add_pair_products = [](Words a, Words b, Vector sum) -> Vector {
#if defined(__AVX512BF16__)
        typedef __bf16 Pairs __attribute__((vector_size(LANES * 4)));
        return __builtin_ia32_dpbf16ps_512(sum, (Pairs)a, (Pairs)b);
#else
        sum = __builtin_elementwise_fma((Vector)(a << 16), (Vector)(b << 16), sum);
        return __builtin_elementwise_fma(
            (Vector)(a & 0xFFFF0000u), (Vector)(b & 0xFFFF0000u), sum);
#endif
    };
"""

FP32 = (
    VECTORS
    + """
    enum { STEP = 1 };
    typedef float Element;
    typedef Vector Operand;
    auto operand = [&](const Element* from) -> Operand { return load(from); };
    auto spread = [&](const Element* from) -> Operand { return fill(*from); };
    auto add = add_product;
    auto put = [&](Element* to, Vector value) { store(to, value); };
    auto get = [&](const Element* from) -> Vector { return load(from); };
    // Numbers `first` and `second` along the summed axis, as an operand; float32 has no second.
    auto operand_of = [](Vector first, Vector) -> Operand { return first; };
    auto join = [&](const Element* first, const Element*) -> Operand { return load(first); };
    auto put_operand = [&](Element* to, Operand value) { store(to, value); };
"""
)
"""Declares Element, Operand and what is done with them, for float32."""

BF16 = (
    VECTORS
    + """
    enum { STEP = 2 };
    typedef unsigned short Element;
    typedef Words Operand;
    auto operand = [](const Element* from) -> Operand { return *(const AnyWords*)from; };
    auto spread = [](const Element* from) -> Operand { return Operand{} + *(const AnyWord*)from; };
    auto add = add_pair_products;
    auto put = [&](Element* to, Vector value) { *(AnyHalves*)to = upper_half(value); };
    auto get = [](const Element* from) -> Vector {
        return (Vector)(__builtin_convertvector(*(const AnyHalves*)from, Words) << 16);
    };
    // Numbers `first` and `second` along the summed axis, as an operand; null stands for zeros.
    auto operand_of = [&](Vector first, Vector second) -> Operand {
        return pair(upper_half(first), upper_half(second));
    };
    auto join = [&](const Element* first, const Element* second) -> Operand {
        return pair(*(const AnyHalves*)first, second ? *(const AnyHalves*)second : Halves{});
    };
    auto put_operand = [](Element* to, Operand value) { *(AnyWords*)to = value; };
"""
)
"""Declares the same for bfloat16."""
