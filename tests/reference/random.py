"""Plain NumPy twin of `gigalane.core.rng`, in 64-bit integers cut to 32."""

import numpy as np

MASK = 0xFFFFFFFF
GOLDEN = 0x9E3779B9


def mix(value: int) -> int:
    value ^= value >> 16
    value = value * 0x7FEB352D & MASK
    value ^= value >> 15
    value = value * 0x846CA68B & MASK
    return value ^ value >> 16


def stream(seed: int, agent: int, step: int, purpose: int) -> int:
    state = mix((seed + GOLDEN * (purpose + 1)) & MASK)
    state = mix(state ^ (step * 0x85EBCA6B & MASK))
    return mix(state ^ (agent * 0xC2B2AE35 + 1 & MASK))


def unit(state: int, index: int) -> float:
    return (mix((state + index * GOLDEN) & MASK) >> 8) / 2**24


def between(state: int, index: int, limits: tuple[float, float]) -> float:
    return limits[0] + (limits[1] - limits[0]) * unit(state, index)


def normal(state: int, index: int) -> float:
    radius = np.sqrt(-2.0 * np.log(1.0 - unit(state, 2 * index)))
    return float(radius * np.cos(2.0 * np.pi * unit(state, 2 * index + 1)))
