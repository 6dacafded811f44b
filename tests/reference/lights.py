"""The lights of a world as a timeline, second by second."""

from __future__ import annotations

from reference import random

OFF, GREEN, YELLOW, RED = range(4)


def drawn(settings, seed, program, light):
    """(whether the light is off, whether always green, multipliers, phase) of a light."""
    world = random.stream(seed, 0, 0, 101)
    group = random.stream(seed, program, 0, 102)
    off = (
        random.unit(world, 0) < settings.missing_all
        or random.unit(group, 0) < settings.missing_group
        or random.unit(random.stream(seed, light, 0, 103), 0) < settings.missing_light
    )
    scales = [
        random.between(group, 1 + k, limits)
        for k, limits in enumerate((settings.green, settings.yellow, settings.red))
    ]
    return off, random.unit(world, 1) < settings.always_green, scales, random.unit(group, 4)


def timeline(stages, green_in, scales):
    """[(until, state)] of one cycle: stages are (green, yellow, red) [s]."""
    spells, now = [], 0.0
    for k, stage in enumerate(stages):
        for state, lasts, scale in zip((GREEN, YELLOW, RED), stage, scales, strict=True):
            now += lasts * scale
            spells.append((now, state if k in green_in else RED))
    return spells


def state_at(spells, phase, time):
    """(state, distance in time to the nearest switch [s])."""
    cycle = spells[-1][0]
    left = (time + phase * cycle) % cycle
    gaps = [abs(left - until) for until, _ in spells] + [left]
    return next(state for until, state in spells if left < until), min(gaps)
