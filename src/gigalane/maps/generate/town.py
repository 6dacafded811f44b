"""`generate_town`: a seed in, a road network out."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from gigalane.maps.augment import AffineSettings, augment
from gigalane.maps.generate.controls import build_controls
from gigalane.maps.generate.decisions import decide
from gigalane.maps.generate.draft import Draft, Points
from gigalane.maps.generate.junctions import NotBuildable, build_junction
from gigalane.maps.generate.layout import Layout, lay_out
from gigalane.maps.generate.plan import draw_plan
from gigalane.maps.generate.roads import build_road
from gigalane.maps.generate.roundabouts import (
    build_dead_end,
    build_roundabout,
    build_turnaround,
)
from gigalane.maps.generate.settings import TownSettings
from gigalane.maps.generate.streets import NodeKind
from gigalane.maps.road import MapError, RoadMap

ATTEMPTS = 400
"""Plans drawn before giving up; most suit the default settings, one in five `TINY_TOWN`."""
RETRIES = 12
"""How often a plan is drawn again without the streets that proved impossible."""


def generate_town(seed: int, settings: TownSettings | None = None) -> RoadMap:
    """Draws a town.

    Args:
        seed: decides everything; the same seed and settings give the same town.
        settings: what it may look like; `TownSettings()` where left out.

    Returns:
        A network in which every routable lane can be reached from every other one, unless true
        dead ends were asked for.

    Raises:
        MapError: no town was found that meets the settings.
    """
    settings = settings or TownSettings()
    for attempt in range(ATTEMPTS):
        rng = np.random.default_rng([seed, attempt])
        layout = _fitting_layout(rng, settings)
        if layout is None:
            continue
        try:
            town = _build(rng, layout, settings, f"town{seed}")
        except NotBuildable:
            continue
        # Towns are drawn for traffic that keeps right; their mirror images keep left.
        return augment(town, AffineSettings(mirror=True)) if settings.left_hand_traffic else town
    reason = f"no town was found in {ATTEMPTS} tries; allow more junctions or a larger size"
    raise MapError(f"town{seed}", "settings", reason)


def _fitting_layout(rng: Generator, settings: TownSettings) -> Layout | None:
    """Draws plans without the streets that proved impossible until everything fits."""
    state = rng.bit_generator.state
    banned: set[tuple[int, int]] = set()
    without_ramp: set[int] = set()
    for _ in range(RETRIES):
        rng.bit_generator.state = state
        plan = draw_plan(rng, settings, banned)
        if plan is None:
            return None
        scheme = decide(rng, plan, settings, without_ramp)
        layout = lay_out(rng, scheme, settings)
        if isinstance(layout, Layout):
            return layout
        impossible = {street.index for street in layout}
        ramps = {n.index for n in scheme.nodes.values() if n.ramp in impossible}
        without_ramp |= ramps
        for street in layout if not ramps else ():
            first, second = street.path[:2]
            banned.add((min(first, second), max(first, second)))
    return None


def _build(rng: Generator, layout: Layout, settings: TownSettings, name: str) -> RoadMap:
    """Draws every street and node of a layout."""
    draft = Draft()
    streets = layout.scheme.streets
    roads = {street.index: build_road(rng, draft, layout, street) for street in streets}
    for node in layout.scheme.nodes.values():
        ends = layout.scheme.ends_at(node.index)
        arms = [roads[s.index].arm(e, layout.poses[s.index, e]) for s, e in ends]
        arms.sort(key=lambda arm: arm.pose.heading % (2 * np.pi))
        center = layout.position(node.index)
        if node.kind is NodeKind.ROUNDABOUT:
            build_roundabout(draft, node, center, layout.rings[node.index], arms)
        elif node.kind is NodeKind.TURNAROUND:
            build_turnaround(draft, node, center, arms[0])
        elif node.kind is NodeKind.DEAD_END:
            build_dead_end(draft, arms[0])
        else:
            turns = build_junction(rng, draft, node, arms)
            build_controls(rng, draft, node, arms, turns)
    hills = _Hills(rng, settings)
    return draft.finish(name, hills.height)


class _Hills:
    """Smooth ground: a sum of plane waves, so slopes and their changes are bounded."""

    def __init__(self, rng: Generator, settings: TownSettings) -> None:
        count = 4
        headings = rng.uniform(0.0, 2 * np.pi, count)
        lengths = settings.hill_length_m * rng.uniform(1.0, 2.5, count)
        numbers = 2 * np.pi / lengths
        self._waves = numbers[:, None] * np.stack([np.cos(headings), np.sin(headings)], axis=1)
        self._phases = rng.uniform(0.0, 2 * np.pi, count)
        amplitudes = rng.uniform(0.3, 1.0, count)
        steepness = rng.uniform(0.0, 1.0)
        self._amplitudes = 0.5 * settings.hill_height_m * steepness * amplitudes / amplitudes.sum()

    def height(self, points: Points) -> NDArray[np.float64]:
        """Ground height at points (N, 2) [m]: (N,) [m]."""
        return np.sin(points @ self._waves.T + self._phases) @ self._amplitudes
