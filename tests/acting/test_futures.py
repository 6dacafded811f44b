"""Futures against what then truly happens, and a fork that leaves no trace."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from gigalane.acting.futures import TeacherFutures, decisions_of, rested, worlds_in_turn
from gigalane.acting.policy import PolicyActor
from gigalane.core.settings import SettingsError
from gigalane.rollout import roll_out
from gigalane.sim.control import ACTION_SPACES
from gigalane.sim.settings import (
    ObservationSettings,
    SimulatorSettings,
    SpawnSettings,
    TrafficSettings,
)
from gigalane.sim.simulator import Simulator
from gigalane.worlds.vector import VectorWorld

SETTINGS = SimulatorSettings(worlds=6, agents=8, time_steps=(0.1, 0.2, 0.25, 0.3), episode_s=1e5)
SEED = 2  # every time step is drawn


@pytest.fixture(scope="module")
def started(tee, teacher):
    """Worlds in which the teacher has driven for a while."""
    return start(tee, teacher, SETTINGS)


def start(roads, teacher, settings, steps=15, **options):
    simulator = Simulator(roads, settings, seed=SEED, **{"threads": 1} | options)
    roll_out(VectorWorld(simulator), PolicyActor(teacher), steps)
    return simulator


def bits(simulator):
    return {name: values.tobytes() for name, values in simulator.snapshot().arrays.items()}


def same(one, other):
    return (
        torch.equal(one.rows, other.rows)
        and torch.equal(one.poses, other.poses)
        and torch.equal(one.valid, other.valid)
    )


def watched(simulator, actor, seconds=4.0):
    """Rear-axle poses of every box after each step in float64, who never ended, and the facts."""
    poses, stayed, events = [], [], []

    class Watch:
        def before(self, step, world, actions):
            pass

        def after(self, step, world):
            poses.append(rear_axles(simulator))
            stayed.append(world.active.clone())
            events.append(world.events.clone())

    steps = round(seconds / float(simulator.scene.dt.numpy().min()))
    roll_out(VectorWorld(simulator), actor, steps, Watch())
    return np.array(poses), torch.stack(stayed).numpy(), torch.stack(events).numpy()


def rear_axles(simulator):
    body = simulator.scene.body.numpy().reshape(-1)
    behind = 0.5 * 0.6 * simulator.scene.traits.numpy()["length"].reshape(-1).astype(float)
    x, y, heading = (body[name].astype(float) for name in ("x", "y", "heading"))
    return np.stack((x - behind * np.cos(heading), y - behind * np.sin(heading), heading), -1)


def in_frame(origin, pose):
    dx, dy, turn = (pose - origin).T
    cos, sin = np.cos(origin[:, 2]), np.sin(origin[:, 2])
    turn = np.arctan2(np.sin(turn), np.cos(turn))
    return np.stack((dx * cos + dy * sin, dy * cos - dx * sin, turn), -1)


def test_a_look_changes_nothing_of_what_it_looks_at(tee, teacher, started):
    untouched = start(tee, teacher, SETTINGS)
    before = bits(started)
    TeacherFutures(started, teacher).look()
    assert bits(started) == before == bits(untouched)
    for simulator in (started, untouched):
        simulator.step(np.full(simulator.shape, 10))
    assert bits(started) == bits(untouched)


def test_a_future_is_what_then_happens(tee, teacher):
    """Where a time step divides the time of a pose, nothing is interpolated."""
    simulator = start(tee, teacher, SETTINGS)
    assert len(set(simulator.scene.dt.numpy().tolist())) == 4
    futures = TeacherFutures(simulator, teacher).look()
    origin = rear_axles(simulator)
    poses, stayed, _ = watched(simulator, PolicyActor(teacher))
    dt = np.repeat(simulator.scene.dt.numpy(), simulator.shape[1])
    compared, moved = 0, 0.0
    for number in range(8):
        steps = 0.5 * (number + 1) / dt
        for row in np.flatnonzero(futures.valid.numpy()):
            step = round(steps[row])
            if abs(steps[row] - step) > 1e-3 or not stayed[:step, row].all():
                continue
            seen = in_frame(origin[row : row + 1], poses[step - 1, row : row + 1])
            assert np.allclose(futures.poses[row, number], seen[0], atol=2e-4)
            compared += 1
            moved = max(moved, seen[0, 0])
    assert compared > 150 and moved > 20.0
    assert futures.valid.sum() > 20


def test_between_steps_a_future_lies_on_the_arc_that_was_driven(teacher, tee):
    """The same worlds at a finer time step: only what the teacher decides may differ."""

    class Steady:
        layout, action_space = teacher.layout, ACTION_SPACES["acceleration_steering"]

        def act(self, observation, generator=None, greedy=False):
            return torch.tensor([[0.8, 0.02]]).expand(len(observation), 2)

    found = []
    for dt in (0.3, 0.05):
        simulator = start(tee, teacher, replace(SETTINGS, time_steps=(dt,)), steps=0)
        body = simulator.scene.body.numpy()
        body["speed"], body["acceleration"], body["steering"] = 5.0, 0.8, 0.02
        futures = TeacherFutures(simulator, Steady()).look()
        found.append(futures)
    both = (found[0].valid & found[1].valid).nonzero().squeeze(-1)
    cars = torch.from_numpy(simulator.scene.traits.numpy()["model"].reshape(-1) == 0)
    both = both[cars[both]]
    assert len(both) > 5
    assert torch.allclose(found[0].poses[both], found[1].poses[both], atol=5e-3)


def test_a_future_is_valid_exactly_where_nothing_goes_wrong(tee, teacher):
    class Reckless:
        """Full throttle straight ahead: some leave the road, some hit one another."""

        layout, action_space = teacher.layout, teacher.action_space

        def act(self, observation, generator=None, greedy=False):
            return torch.full((len(observation),), 10)

    settings = replace(SETTINGS, time_steps=(0.25,), traffic=TrafficSettings(scripted=0.3))
    simulator = start(tee, teacher, settings)
    learns = simulator.scene.learn.numpy().astype(bool).reshape(-1)
    futures = TeacherFutures(simulator, Reckless()).look()
    _, stayed, events = watched(simulator, PolicyActor(Reckless()))
    first_end = np.where(stayed.all(0), len(stayed), stayed.argmin(0))
    faults = np.zeros(len(learns), bool)
    for row in range(len(learns)):
        faults[row] = (events[: first_end[row] + 1, row] & (1 | 2 | 256)).any()
    assert np.array_equal(futures.valid.numpy(), learns & ~faults)
    assert learns.any() and faults[learns].any() and not faults[learns].all()
    assert torch.isfinite(futures.poses).all()


def test_who_reaches_the_goal_comes_to_rest_there(tee, teacher):
    near = replace(SETTINGS, spawn=SpawnSettings(goal_distance=(25.0, 45.0), pedestrians=0.0))
    simulator = start(tee, teacher, near)
    futures = TeacherFutures(simulator, teacher).look()
    _, stayed, events = watched(simulator, PolicyActor(teacher))
    dt = np.repeat(simulator.scene.dt.numpy(), simulator.shape[1])
    seen = 0
    for row in np.flatnonzero(futures.valid.numpy()):
        ended = np.flatnonzero(~stayed[:, row])
        if not len(ended) or not events[ended[0], row] & 128:
            continue
        rest = (ended[0] + 2) * dt[row] + 1.0  # from below 3 m/s at 3 m/s²
        still = futures.poses[row, int(np.ceil(rest / 0.5)) - 1 :]
        if len(still) > 1:
            assert torch.allclose(still, still[:1].expand_as(still), atol=1e-4)
            seen += 1
    assert seen > 0


def test_coming_to_rest_by_hand():
    # From 3 m/s at 3 m/s²: half a second covers 1.5 - 0.375 m, a whole one 1.5 m.
    moving = torch.tensor([[1.0, 2.0, 0.0, 3.0], [0.0, 0.0, 0.0, -3.0]])
    half = rested(moving, torch.tensor([0.5, 0.5]))
    assert torch.allclose(half, torch.tensor([[2.125, 2, 0, 1.5], [-1.125, 0, 0, -1.5]]))
    stands = rested(half, torch.tensor([0.7, 0.7]))
    assert torch.allclose(stands, torch.tensor([[2.5, 2, 0, 0], [-1.5, 0, 0, 0]]), atol=1e-6)


def test_worlds_looked_at_alone_have_the_same_futures(started, teacher, tee):
    looker = TeacherFutures(started, teacher)
    everyone = looker.look()
    some = looker.look(torch.tensor([1, 4]))
    rows = torch.cat((torch.arange(8, 16), torch.arange(32, 40)))
    assert torch.equal(some.rows, rows)
    assert torch.equal(some.poses, everyone.poses[rows])
    assert torch.equal(some.valid, everyone.valid[rows])
    assert same(looker.look(), everyone)


def test_a_future_does_not_depend_on_the_batch_or_the_threads(tee, teacher):
    everyone = TeacherFutures(start(tee, teacher, SETTINGS, threads=2), teacher).look()
    alone = replace(SETTINGS, worlds=1)
    one = TeacherFutures(start(tee, teacher, alone, first_world=3, threads=1), teacher).look()
    assert torch.equal(one.poses, everyone.poses[24:32])


def test_worlds_that_take_other_actions_have_the_same_futures(tee, teacher):
    late = replace(SETTINGS, spawn=SpawnSettings(delay=2))
    futures = []
    for action in ("jerk12", "acceleration_steering"):
        simulator = start(tee, teacher, replace(late, action=action), steps=0)
        actions = (
            np.zeros((*simulator.shape, 2)) if action != "jerk12" else np.full(simulator.shape, 7)
        )
        simulator.step(actions)
        # What stands in the way: the pedals have been kept, but not by the same rule.
        futures.append((simulator, TeacherFutures(simulator, teacher)))
    (first, one), (second, other) = futures
    second.restore(first.snapshot())
    second.scene.past_actions.zero_()
    first.scene.past_actions.fill_(7.0)
    assert same(one.look(), other.look())


def test_a_teacher_of_other_observations_is_refused(tee, teacher):
    other = replace(SETTINGS, observation=ObservationSettings(partners=4))
    with pytest.raises(SettingsError, match="teacher: it observes"):
        TeacherFutures(Simulator(tee, other), teacher)


def test_turns_come_to_every_world_once_in_a_while():
    for every, worlds in ((1, 5), (3, 7), (4, 2)):
        turns = [worlds_in_turn(step, every, worlds).tolist() for step in range(10, 10 + every)]
        assert sorted(world for turn in turns for world in turn) == list(range(worlds))
    assert [decisions_of(np.float32(dt)) for dt in (0.1, 0.2, 0.25, 0.3)] == [40, 20, 16, 14]
