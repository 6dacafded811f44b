"""From agent episodes to figures with intervals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

VEHICLE_FACTOR = 0.60
PEDESTRIAN_FACTOR = 0.50
RED_LIGHT_FACTOR = 0.70
STOP_SIGN_FACTOR = 0.80
"""Infraction factors of the CARLA leaderboard 1.0."""

RESAMPLES = 1000


@dataclass(frozen=True)
class Figure:
    """A measured value.

    Attributes:
        value: the estimate.
        low: lower end of its 95 % interval.
        high: upper end; infinite where no incident was seen.
        unit: of all three.
        better: "higher" or "lower".
    """

    value: float
    low: float
    high: float
    unit: str
    better: str

    def as_json(self) -> dict[str, float | None]:
        """{value, low, high}; what is infinite becomes None."""
        return {
            k: (float(v) if np.isfinite(v) else None)
            for k, v in (("value", self.value), ("low", self.low), ("high", self.high))
        }


def driving_scores(episodes: NDArray[np.void]) -> NDArray[np.float64]:
    """Route completion times the infraction factors of the CARLA leaderboard 1.0, 0 to 1 each.

    Leaving the road has no factor there; it ends the episode, so what is left of the route is
    lost.
    """
    hit = np.where(episodes["hit_pedestrian"], PEDESTRIAN_FACTOR, VEHICLE_FACTOR)
    return (
        episodes["completion"]
        * np.where(episodes["collided"], hit, 1.0)
        * RED_LIGHT_FACTOR ** episodes["ran_red"]
        * STOP_SIGN_FACTOR ** episodes["ran_stop"]
    )


def _incidents(episodes: NDArray[np.void]) -> NDArray[np.int64]:
    """Collisions, road departures and red lights of each episode."""
    return episodes["collided"].astype(np.int64) + episodes["off_road"] + episodes["ran_red"]


def _share(name: str) -> Callable[[NDArray[np.void]], NDArray[np.float64]]:
    return lambda episodes: (episodes[name] > 0).astype(np.float64)


_SHARES: dict[str, tuple[Callable[[NDArray[np.void]], NDArray[np.float64]], str]] = {
    "goal_rate": (_share("reached_goal"), "higher"),
    "collision_rate": (_share("collided"), "lower"),
    "offroad_rate": (_share("off_road"), "lower"),
    "red_light_rate": (_share("ran_red"), "lower"),
    "stop_sign_rate": (_share("ran_stop"), "lower"),
    "wrong_way_rate": (_share("wrong_way"), "lower"),
    "driving_score": (driving_scores, "higher"),
}


def summarize(episodes: NDArray[np.void], seed: int = 0) -> dict[str, Figure]:
    """Rates and scores of a table of episodes, with 95 % intervals that resample worlds.

    Worlds, not episodes, are resampled: road users of one world are not independent.

    Args:
        episodes: records of `gigalane.metrics.episodes.EPISODE`.
        seed: of the resampling.

    Raises:
        ValueError: if there is no episode to count.
    """
    if not len(episodes):
        raise ValueError("no episode ended; use more --seconds or more --agents")
    worlds, of_world = np.unique(episodes["world"], return_inverse=True)
    count = np.bincount(of_world).astype(np.float64)
    draws = np.random.default_rng(seed).integers(0, len(worlds), (RESAMPLES, len(worlds)))
    figures = {}
    for name, (measure, better) in _SHARES.items():
        total = np.bincount(of_world, weights=measure(episodes))
        ratios = total[draws].sum(axis=1) / count[draws].sum(axis=1)
        low, high = np.percentile(ratios, [2.5, 97.5])
        value = float(total.sum() / count.sum())
        # Nothing but 0 or nothing but 1 in n episodes: the rule of three bounds the rate.
        if total.sum() == 0:
            high = min(1.0, 3.0 / count.sum())
        elif total.sum() == count.sum():
            low = max(0.0, 1.0 - 3.0 / count.sum())
        figures[name] = Figure(value, float(low), float(high), "1", better)
    kilometres = np.bincount(of_world, weights=episodes["metres"]) / 1000.0
    incidents = np.bincount(of_world, weights=_incidents(episodes))
    with np.errstate(divide="ignore"):
        ratios = kilometres[draws].sum(axis=1) / incidents[draws].sum(axis=1)
        value = float(kilometres.sum() / incidents.sum())
    low, high = np.percentile(
        np.where(np.isfinite(ratios), ratios, np.inf), [2.5, 97.5], method="nearest"
    )
    if incidents.sum() == 0:
        low = kilometres.sum() / 3.0
    figures["km_per_incident"] = Figure(value, float(low), float(high), "km", "higher")
    return figures
