import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from gigalane.core.settings import SettingsError
from gigalane.evals.evaluate import LEAST_WORLDS, EvaluateSettings, evaluate
from gigalane.metrics.summary import driving_scores
from gigalane.sim.scene import KIND_NAMES, PEDESTRIAN
from gigalane.sim.settings import LightSettings, SpawnSettings

CARS = SpawnSettings(pedestrians=0.0, cyclists=0.0)


def figures(found) -> dict:
    return {name: figure.as_json() for name, figure in found.figures.items()}


@pytest.mark.parametrize("driver", ["idm", "policy"])
def test_same_seed_gives_the_same_episodes_and_another_seed_others(
    ring_road, untrained, few, driver
):
    subject = untrained if driver == "policy" else driver
    first, again = (evaluate("one", subject, [ring_road], few) for _ in range(2))
    assert first.episodes.tobytes() == again.episodes.tobytes()
    assert figures(first) == figures(again)
    other = evaluate("one", subject, [ring_road], replace(few, seed=1))
    assert other.episodes.tobytes() != first.episodes.tobytes()


def test_at_least_the_episodes_asked_for_are_counted_also_where_people_walk(ring_road, few):
    settings = replace(few, spawn=SpawnSettings(pedestrians=0.4))
    for episodes in (1, 17, 90):
        found = evaluate("one", "idm", [ring_road], replace(settings, episodes=episodes))
        assert len(found.episodes) >= episodes
        assert not (found.episodes["kind"] == PEDESTRIAN).any()


def test_each_slot_counts_the_episodes_that_began_in_the_first_half(straight_road, few):
    # Parked on a straight road nothing ends an episode but the clock, so each of the 4 x 3 slots
    # has one that began at 0 s, timed out at 6 s, and is the only one that began before 6 s.
    settings = replace(few, episodes=12, agents=3, spawn=CARS)
    found = evaluate("one", "stationary", [straight_road], settings)
    assert len(found.episodes) == LEAST_WORLDS * 3
    assert found.episodes["timed_out"].all()
    assert found.episodes["seconds"] == pytest.approx(6.0)
    assert sorted(np.unique(found.episodes["world"], return_counts=True)[1]) == [3] * LEAST_WORLDS


def test_episodes_that_end_early_make_room_for_more_but_not_in_the_second_half(straight_road, few):
    # Goals 30 m ahead on a straight road are reached within seconds, again and again.
    spawn = replace(CARS, goal_distance=(30.0, 30.0), speed_share=(0.5, 0.9))
    settings = replace(few, episodes=12, agents=3, seconds=20.0, spawn=spawn)
    found = evaluate("one", "idm", [straight_road], settings)
    assert len(found.episodes) > 2 * LEAST_WORLDS * 3
    assert found.figures["goal_rate"].value > 0.9
    # Whoever counts began before 20 s and had 20 s: nobody is cut off by the end of the world.
    assert (found.episodes["seconds"] <= 20.0 + 1e-3).all()
    short = found.episodes["seconds"] < 20.0 - 1e-3
    ends = ("reached_goal", "missed_goal", "collided", "off_road")
    assert np.logical_or.reduce([found.episodes[name] for name in ends])[short].all()


def test_rates_are_shares_of_the_counted_episodes(ring_road, few):
    found = evaluate("one", "constant_velocity", [ring_road], replace(few, episodes=120))
    table = found.episodes
    for name, column in (
        ("goal_rate", "reached_goal"),
        ("collision_rate", "collided"),
        ("offroad_rate", "off_road"),
        ("red_light_rate", "ran_red"),
        ("wrong_way_rate", "wrong_way"),
    ):
        assert found.figures[name].value == pytest.approx((table[column] > 0).mean())
    assert found.figures["offroad_rate"].value > 0.3  # the ring is crooked
    assert found.figures["driving_score"].value == pytest.approx(driving_scores(table).mean())
    incidents = table["collided"].sum() + table["off_road"].sum() + table["ran_red"].sum()
    assert found.figures["km_per_incident"].value == pytest.approx(
        table["metres"].sum() / 1000 / incidents
    )


def test_more_worlds_narrow_the_interval(ring_road, few):
    def width(episodes: int) -> float:
        settings = replace(few, episodes=episodes)
        figure = evaluate("one", "constant_velocity", [ring_road], settings).figures[
            "driving_score"
        ]
        return figure.high - figure.low

    # Sixteen times the worlds: about a quarter of the width.
    assert 0.1 < width(960) / width(60) < 0.5


def test_worlds_of_several_maps_are_resampled_together(ring_road, straight_road, few):
    found = evaluate("one", "idm", [ring_road, straight_road], replace(few, spawn=CARS))
    assert found.maps == ("ring", "straight")
    worlds = np.unique(found.episodes["world"])
    assert len(worlds) == 2 * LEAST_WORLDS
    alone = evaluate("one", "idm", [ring_road], replace(few, spawn=CARS, episodes=20))
    assert set(np.unique(alone.episodes["world"])) < set(worlds)


class Witness:
    """Sits in the driver's seat, does nothing, and remembers what it was shown."""

    def __init__(self, like) -> None:
        self.layout, self.action_space = like.layout, like.action_space
        self.partners_seen, self.road_seen, self.greedy = 0, 0, set()

    def act(self, observation, generator=None, greedy=False):
        layout = self.layout
        self.partners_seen += int(
            (observation[:, layout.partners_start : layout.controls_start] != 0).sum()
        )
        self.road_seen += int(
            (observation[:, layout.road_start : layout.partners_start] != 0).sum()
        )
        self.greedy.add(greedy)
        return torch.zeros(len(observation), dtype=torch.int64)


def test_blind_policies_see_the_road_but_nobody_on_it(ring_road, untrained, few):
    seeing, blind = Witness(untrained), Witness(untrained)
    evaluate("one", seeing, [ring_road], few)
    evaluate("one", blind, [ring_road], few.without_partners())
    assert seeing.partners_seen > 0
    assert blind.partners_seen == 0
    assert blind.road_seen > 0
    assert seeing.greedy == blind.greedy == {True}


def test_recordings_show_the_first_worlds_for_one_episode(ring_road, straight_road, few):
    settings = replace(few, record=3)
    found = evaluate("somebody", "idm", [ring_road, straight_road], settings)
    titles = [recording.title for recording in found.recordings]
    assert titles == [
        "somebody on ring, world 0",
        "somebody on ring, world 1",
        "somebody on straight, world 0",
    ]
    for recording in found.recordings:
        assert recording.duration == pytest.approx(6.0)
        assert set(recording.kind_names) == set(KIND_NAMES)


def test_progress_is_told_from_nothing_to_all(ring_road, straight_road, few):
    told: list[float] = []
    evaluate("one", "idm", [ring_road, straight_road], few, on_progress=told.append)
    assert told == sorted(told)
    assert told[0] < 0.05
    assert told[-1] == pytest.approx(1.0)


def test_report_is_json_that_says_what_was_run(ring_road, few):
    found = evaluate("idm", "idm", [ring_road], replace(few, lights=LightSettings.as_mapped()))
    facts = json.loads(json.dumps(found.as_json(), allow_nan=False))
    assert facts["maps"] == ["ring"]
    assert facts["episodes"] == len(found.episodes)
    assert facts["settings"]["seconds"] == 6.0
    assert facts["settings"]["lights"]["missing_all"] == 0.0
    assert facts["kilometres"] == pytest.approx(found.episodes["metres"].sum() / 1000, abs=1e-3)
    assert {name: facts[name] for name in found.figures} == figures(found)


@pytest.mark.parametrize(
    "wrong",
    [
        {"episodes": 0},
        {"seconds": float("nan")},
        {"density": float("inf")},
        {"dt": 0.0},
        {"agents": 513},
        {"seed": -1},
        {"record": -1},
    ],
)
def test_settings_that_cannot_be_run_are_refused_by_name(wrong):
    with pytest.raises(SettingsError, match=next(iter(wrong))):
        EvaluateSettings(**wrong)
