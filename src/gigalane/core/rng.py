"""Counter-based random numbers: what is drawn depends on who draws, never on the order.

A draw is named by (world seed, agent, step, stream). Two worlds with the same seed draw the
same numbers whatever batch they sit in, and a copied world goes on drawing as the original.
"""

# pyright: reportGeneralTypeIssues=false, reportInvalidTypeForm=false, reportCallIssue=false
# pyright: reportOperatorIssue=false, reportReturnType=false, reportArgumentType=false
# pyright: reportAttributeAccessIssue=false, reportIndexIssue=false

import numpy as np
import warp as wp
from numpy.typing import NDArray

_GOLDEN = wp.constant(wp.uint32(0x9E3779B9))
_STEP = wp.constant(wp.uint32(0x85EBCA6B))
_AGENT = wp.constant(wp.uint32(0xC2B2AE35))
_FIRST = wp.constant(wp.uint32(0x7FEB352D))
_SECOND = wp.constant(wp.uint32(0x846CA68B))


@wp.func
def mix(value: wp.uint32) -> wp.uint32:
    """Scrambles 32 bits; finaliser "lowbias32" (C. Wellons, hash prospector, 2018)."""
    value = value ^ (value >> wp.uint32(16))
    value = value * _FIRST
    value = value ^ (value >> wp.uint32(15))
    value = value * _SECOND
    return value ^ (value >> wp.uint32(16))


@wp.func
def stream(seed: wp.uint32, agent: int, step: int, purpose: int) -> wp.uint32:
    """Start of the random stream of an agent at a step for a purpose.

    Args:
        seed: of the world.
        agent: slot in the world.
        step: of the world's clock.
        purpose: which of the independent streams.

    Returns:
        A state for `uniform`.
    """
    state = mix(seed + _GOLDEN * wp.uint32(purpose + 1))
    state = mix(state ^ (wp.uint32(step) * _STEP))
    return mix(state ^ (wp.uint32(agent) * _AGENT + wp.uint32(1)))


@wp.func
def unit(state: wp.uint32, index: int) -> float:
    """The index-th number of a stream, uniform in [0, 1)."""
    bits = mix(state + wp.uint32(index) * _GOLDEN)
    return float(bits >> wp.uint32(8)) * (1.0 / 16777216.0)


@wp.func
def between(state: wp.uint32, index: int, limits: wp.vec2) -> float:
    """The index-th number of a stream, uniform between two limits."""
    return limits[0] + (limits[1] - limits[0]) * unit(state, index)


@wp.func
def normal(state: wp.uint32, index: int) -> float:
    """The index-th number of a stream, standard normal (Box-Muller); uses two draws."""
    radius = wp.sqrt(-2.0 * wp.log(1.0 - unit(state, 2 * index)))
    return radius * wp.cos(6.283185307 * unit(state, 2 * index + 1))


def world_seeds(seed: int, worlds: int, first: int = 0) -> NDArray[np.uint32]:
    """One 32-bit seed a world, from a run's seed; world k's does not depend on how many.

    Args:
        seed: of the run.
        worlds: how many seeds.
        first: number of the first of these worlds in the run.
    """
    numbers = range(first, first + worlds)
    words = [np.random.SeedSequence([seed, world]).generate_state(1)[0] for world in numbers]
    return np.array(words, dtype=np.uint32)
