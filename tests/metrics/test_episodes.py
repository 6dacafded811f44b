"""The counter against a log that is counted again by plain loops, and against drives by hand."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from gigalane.metrics.episodes import EPISODE, EpisodeCounter
from gigalane.rollout import roll_out
from gigalane.sim.scene import PEDESTRIAN
from gigalane.sim.settings import SimulatorSettings, SpawnSettings
from gigalane.sim.simulator import Simulator
from gigalane.worlds.vector import VectorWorld
from reference.stage import BIT, PLAIN, Stage


class Dice:
    """Acts at random, mostly forwards."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)

    def act(self, world):
        return torch.from_numpy(self.rng.choice([4, 6, 7, 8, 10, 10], world.row_count))


class Log:
    """Writes down what each step showed."""

    def __init__(self) -> None:
        self.steps = []

    def before(self, step, world, actions):
        self.active = world.active.numpy().copy()

    def after(self, step, world):
        scene = world.simulator.scene
        route = scene.route.numpy().reshape(-1)
        self.steps.append(
            {
                "active": self.active,
                "events": world.events.numpy().copy(),
                "ended": (world.terminated | world.truncated).numpy().copy(),
                "speed": scene.body.numpy().reshape(-1)["speed"].astype(float),
                "done": route["progress"].astype(float) / np.maximum(route["length"], 1.0),
                "kind": scene.traits.numpy().reshape(-1)["kind"].copy(),
                "dt": world.dt.numpy().astype(float),
            }
        )


def counted(log, row, agents):
    """Episodes of one row of a log, one dict each, in the order of their ends."""
    episodes, fresh = [], True
    for step in log:
        if fresh:
            one = dict.fromkeys(EPISODE.names, 0)
            one.update(world=row // agents, completion=0.0)
            fresh = False
        if not step["active"][row]:
            continue
        facts = {name for name, bit in BIT.items() if step["events"][row] & bit}
        one["kind"] = step["kind"][row]
        one["seconds"] += step["dt"][row]
        one["metres"] += abs(step["speed"][row]) * step["dt"][row]
        one["completion"] = max(one["completion"], min(max(step["done"][row], 0.0), 1.0))
        one["ran_red"] += "ran_red" in facts
        one["ran_stop"] += bool(facts & {"ran_stop", "out_of_turn"})
        for name in (
            "collided",
            "hit_pedestrian",
            "off_road",
            "wrong_way",
            "reached_goal",
            "missed_goal",
            "timed_out",
        ):
            one[name] |= name in facts
        if one["reached_goal"]:
            one["completion"] = 1.0
        if step["ended"][row]:
            episodes.append(one)
            fresh = True
    return episodes


def test_table_equals_a_count_by_hand_of_the_same_log(ring, tee):
    settings = SimulatorSettings(
        worlds=6, agents=8, episode_s=12.0, spawn=SpawnSettings(pedestrians=0.2)
    )
    world = VectorWorld(Simulator([ring, tee], settings, seed=3))
    counter, log = EpisodeCounter(world), Log()
    roll_out(world, Dice(1), 120, counter, log)
    table = counter.table()
    expected = [
        one for row in range(48) for one in counted(log.steps, row, 8) if one["kind"] != PEDESTRIAN
    ]
    assert len(table) == len(expected) > 60

    def order(rows):
        # Whole numbers first: sums of floats decide only between rows that agree in these.
        whole = [name for name in EPISODE.names if EPISODE[name].kind in "ib"]
        return sorted(
            rows,
            key=lambda r: (
                *(int(r[name]) for name in whole),
                round(float(r["seconds"]), 2),
                float(r["metres"]),
            ),
        )

    for found, one in zip(order(list(table)), order(expected), strict=True):
        for name in EPISODE.names:
            assert float(found[name]) == pytest.approx(float(one[name]), rel=1e-4, abs=1e-3), name
    for name in ("collided", "hit_pedestrian", "off_road", "timed_out", "wrong_way"):
        assert table[name].any(), name


def test_only_episodes_that_began_in_time_count(ring):
    settings = SimulatorSettings(worlds=4, agents=6, time_steps=(0.3,), episode_s=5.0)
    world = VectorWorld(Simulator(ring, settings, seed=2))
    early, whole = EpisodeCounter(world, starts_before_s=4.0), EpisodeCounter(world)
    roll_out(world, Dice(2), 60, early, whole)
    # 18 s: everybody of the first four seconds has run out of time by then.
    assert 0 < len(early.table()) < len(whole.table())
    first = EpisodeCounter(world, starts_before_s=0.0)
    assert len(first.table()) == 0


def test_one_drive_to_the_goal_by_hand(straight):
    settings = replace(PLAIN, worlds=1, agents=2, time_steps=(0.2,))
    stage = Stage(straight, settings)
    stage.put("east", 50.0, speed=2.0, goal=30.0, goal_radius=2.0)
    stage.put("west", 50.0, slot=1, speed=10.0)
    world = VectorWorld(stage.simulator)
    counter = EpisodeCounter(world)

    class Keep:
        def act(self, world):
            return torch.full((world.row_count,), 7)

    roll_out(world, Keep(), 100, counter)
    table = counter.table()
    table = table[table["reached_goal"]]
    assert len(table) == 1
    # 28 m at 2 m/s, in steps of 0.4 m.
    assert table["seconds"][0] == pytest.approx(14.2, abs=0.21)
    assert table["metres"][0] == pytest.approx(28.2, abs=0.41)
    assert table["completion"][0] == 1.0 and table["world"][0] == 0
    assert not table["collided"][0] and not table["timed_out"][0]


def test_route_completion_is_the_farthest_share_reached(straight):
    stage = Stage(straight, replace(PLAIN, agents=1, time_steps=(0.2,), episode_s=6.0))
    stage.put("east", 50.0, speed=10.0, goal=200.0)
    world = VectorWorld(stage.simulator)
    counter = EpisodeCounter(world)

    class Keep:
        def act(self, world):
            return torch.full((world.row_count,), 7)

    roll_out(world, Keep(), 31, counter)
    table = counter.table()
    assert table["timed_out"].tolist() == [True]
    # 30 or 31 steps of 2 m, as 6 s divided into fifths of a second rounds.
    assert table["completion"][0] == pytest.approx(60.0 / 200.0, abs=0.011)
