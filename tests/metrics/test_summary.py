import numpy as np
import pytest

from gigalane.metrics.episodes import EPISODE
from gigalane.metrics.summary import driving_scores, summarize


def table(count, seed=0, worlds=12):
    """Episodes with rates that differ from world to world."""
    rng = np.random.default_rng(seed)
    episodes = np.zeros(count, EPISODE)
    episodes["world"] = rng.integers(0, worlds, count)
    care = rng.random(worlds)[episodes["world"]]
    for name, rate in (
        ("collided", 0.3),
        ("off_road", 0.2),
        ("reached_goal", 0.7),
        ("wrong_way", 0.1),
    ):
        episodes[name] = rng.random(count) < rate * (0.4 + 1.2 * care)
    episodes["ran_red"] = rng.random(count) < 0.15
    episodes["ran_stop"] = rng.integers(0, 3, count)
    episodes["completion"] = rng.random(count)
    episodes["metres"] = rng.uniform(10, 900, count)
    episodes["seconds"] = rng.uniform(1, 90, count)
    return episodes


def test_driving_score_is_completion_times_the_leaderboards_factors():
    episodes = np.zeros(5, EPISODE)
    episodes["completion"] = [1.0, 1.0, 0.5, 0.8, 0.4]
    episodes["collided"] = [False, True, False, True, False]
    episodes["ran_red"] = [0, 0, 2, 1, 0]
    episodes["ran_stop"] = [0, 0, 0, 1, 0]
    episodes["off_road"][4] = True
    episodes["hit_pedestrian"][3] = True
    # 0.60 a vehicle hit, 0.50 a pedestrian, 0.70 a red light, 0.80 a stop sign;
    # leaving the road has no factor.
    assert driving_scores(episodes) == pytest.approx(
        [1.0, 0.60, 0.5 * 0.70**2, 0.8 * 0.50 * 0.70 * 0.80, 0.4]
    )


def test_values_are_shares_of_episodes():
    episodes = table(400)
    figures = summarize(episodes)
    for name, field in (
        ("goal_rate", "reached_goal"),
        ("collision_rate", "collided"),
        ("offroad_rate", "off_road"),
        ("red_light_rate", "ran_red"),
        ("stop_sign_rate", "ran_stop"),
        ("wrong_way_rate", "wrong_way"),
    ):
        assert figures[name].value == pytest.approx(np.mean(episodes[field] > 0))
    assert figures["driving_score"].value == pytest.approx(driving_scores(episodes).mean())
    incidents = episodes["collided"].sum() + episodes["off_road"].sum() + episodes["ran_red"].sum()
    assert figures["km_per_incident"].value == pytest.approx(
        episodes["metres"].sum() / 1000.0 / incidents
    )
    assert figures["goal_rate"].better == "higher" and figures["collision_rate"].better == "lower"


def test_intervals_are_those_of_a_bootstrap_over_worlds():
    episodes = table(600, seed=4)
    figures = summarize(episodes, seed=1)
    rng = np.random.default_rng(99)
    by_world = [episodes[episodes["world"] == w] for w in range(12)]
    draws = {"collision_rate": [], "driving_score": [], "km_per_incident": []}
    for _ in range(4000):
        drawn = np.concatenate([by_world[w] for w in rng.integers(0, 12, 12)])
        draws["collision_rate"].append(drawn["collided"].mean())
        draws["driving_score"].append(driving_scores(drawn).mean())
        incidents = (drawn["collided"].astype(int) + drawn["off_road"] + drawn["ran_red"]).sum()
        draws["km_per_incident"].append(drawn["metres"].sum() / 1000.0 / incidents)
    for name, values in draws.items():
        low, high = np.percentile(values, [2.5, 97.5])
        width = high - low
        assert figures[name].low == pytest.approx(low, abs=0.12 * width), name
        assert figures[name].high == pytest.approx(high, abs=0.12 * width), name
        assert figures[name].low < figures[name].value < figures[name].high


def test_intervals_are_wider_where_episodes_of_a_world_hang_together():
    apart = np.zeros(200, EPISODE)
    apart["world"] = np.arange(200)
    apart["collided"][::2] = True
    together = apart.copy()
    together["world"] = np.repeat(np.arange(10), 20)
    together["collided"] = np.repeat([True, False] * 5, 20)
    narrow, wide = (summarize(t)["collision_rate"] for t in (apart, together))
    assert narrow.value == wide.value == 0.5
    assert wide.high - wide.low > 3.0 * (narrow.high - narrow.low)


def test_incident_never_seen_is_bounded_by_the_rule_of_three():
    episodes = table(150)
    for name in ("collided", "off_road", "ran_red"):
        episodes[name] = 0
    figures = summarize(episodes)
    assert figures["collision_rate"].value == 0.0
    assert figures["collision_rate"].high == pytest.approx(3.0 / 150.0)
    kilometres = episodes["metres"].sum() / 1000.0
    assert figures["km_per_incident"].value == np.inf
    assert figures["km_per_incident"].low == pytest.approx(kilometres / 3.0, rel=1e-6)
    assert figures["km_per_incident"].as_json() == {
        "value": None,
        "low": pytest.approx(kilometres / 3.0, rel=1e-6),
        "high": None,
    }


def test_same_seed_gives_the_same_interval():
    episodes = table(200)
    assert summarize(episodes, seed=3) == summarize(episodes, seed=3)


def test_no_episode_is_refused_with_the_cure():
    with pytest.raises(ValueError, match="use more --seconds or more --agents"):
        summarize(np.zeros(0, EPISODE))
