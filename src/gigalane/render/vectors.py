"""Vectors of numbers in C++ that compiles for CPUs and for CUDA: what native loops begin with."""

from __future__ import annotations

VECTORS = """
#if defined(__CUDA_ARCH__)
    enum { LANES = 1 };
    typedef float Vector;
    typedef int Mask;
    typedef float AnyVector;
    typedef int AnyMask;
    const Mask lanes = 0;
    const Vector lane = 0.0f;
#else
#if defined(__AVX512F__)
    enum { LANES = 16 };
#else
    enum { LANES = 8 };
#endif
    typedef float Vector __attribute__((vector_size(LANES * 4)));
    typedef int Mask __attribute__((vector_size(LANES * 4)));
    typedef float AnyVector __attribute__((vector_size(LANES * 4), aligned(4), may_alias));
    typedef int AnyMask __attribute__((vector_size(LANES * 4), aligned(4), may_alias));
    Mask lanes;
    for (int k = 0; k < LANES; k++) lanes[k] = k;
    const Vector lane = __builtin_convertvector(lanes, Vector);
#endif
"""
"""Vectors of a CPU, and of a thread of a GPU those of one number; loads and stores go through
types that allow any alignment."""

MASK_BITS = """
#if defined(__CUDA_ARCH__)
    auto bits_of = [](Mask mask) { return mask ? 1u : 0u; };
    auto first_bit = [](unsigned bits) { return 0; };
#else
    typedef bool Bits __attribute__((ext_vector_type(LANES)));
    auto bits_of = [](Mask mask) {
        unsigned bits = 0;
        const Bits packed = __builtin_convertvector(mask, Bits);
        __builtin_memcpy(&bits, &packed, sizeof(packed));
        return bits;
    };
    auto first_bit = [](unsigned bits) { return __builtin_ctz(bits); };
#endif
"""
"""A mask as bits, to go through what it holds one by one; after `VECTORS`."""

INVERSE = """
#if defined(__AVX512F__)
    typedef float Floats16 __attribute__((vector_size(64)));
    auto inverse_of = [](Vector x) {
        const Vector guess = (Vector)__builtin_ia32_rcp14ps512_mask(
            (Floats16)x, (Floats16)(Vector{}), 0xFFFF);
        return guess * (2.0f - x * guess);
    };
#else
    auto inverse_of = [](Vector x) { return 1.0f / x; };
#endif
"""
"""1 / x to the last bit or two: a guess of 14 bits and a step of Newton's, where there are guesses;
after `VECTORS`. Not of 0."""

FIRST_PIXEL = """
#if defined(__CUDA_ARCH__)
    auto first_after = [](Vector x) { return (int)ceilf(x - 0.5f); };
#else
    auto first_after = [](Vector x) {
        return __builtin_convertvector(__builtin_elementwise_ceil(x - 0.5f), Mask);
    };
#endif
"""
"""The first pixel whose middle lies at a coordinate or beyond it."""
