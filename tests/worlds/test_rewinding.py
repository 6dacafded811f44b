from dataclasses import replace

import numpy as np
import pytest
import torch

from gigalane.core.settings import SettingsError
from gigalane.rollout import roll_out
from gigalane.sim.settings import SimulatorSettings
from gigalane.sim.simulator import Simulator
from gigalane.train.advantage import generalized_advantages, per_step
from gigalane.worlds.rewinding import INCIDENTS, RewindingWorld, RewindSettings
from gigalane.worlds.vector import VectorWorld

SETTINGS = SimulatorSettings(worlds=4, agents=6, time_steps=(0.25, 0.1))
OFTEN = RewindSettings(every_s=0.5, back_s=(1.0, 2.0), chance=1.0, rest_s=3.0)
STEPS = 120


class Wandering:
    """Draws actions at random, the same ones for the same step."""

    def __init__(self, world):
        self.generator = torch.Generator().manual_seed(3)
        self.rows = world.row_count

    def act(self, world):
        return torch.randint(0, 12, (self.rows,), generator=self.generator)


class Diary:
    """Keeps everything that a learner is shown, step by step."""

    NAMES = ("observation", "active", "learn", "dt")
    AFTER = ("reward", "reward_terms", "terminated", "truncated", "events")

    def __init__(self):
        self.before_step, self.after_step, self.pending = [], [], []

    def before(self, step, world, actions):
        self.pending.append(world._pending[:, 0].copy())
        self.before_step.append({name: getattr(world, name).clone() for name in self.NAMES})
        self.before_step[-1]["actions"] = actions

    def after(self, step, world):
        names = (*self.AFTER, *self.NAMES)
        self.after_step.append({name: getattr(world, name).clone() for name in names})


def drive(roads, settings=OFTEN, simulator=SETTINGS, steps=STEPS, seed=5):
    world = RewindingWorld(VectorWorld(Simulator(roads, simulator, seed=seed)), settings, seed)
    diary = Diary()
    roll_out(world, Wandering(world), steps, diary)
    return world, diary


@pytest.fixture(scope="module")
def driven(ring):
    return drive(ring)


def test_worlds_are_put_back_after_incidents_and_only_then(driven, ring):
    world, diary = driven
    assert world.rewinds > 10
    for step, pending in enumerate(diary.pending[1:]):
        begun = np.flatnonzero((pending >= 0) & (diary.pending[step] < 0))
        for target in begun:
            rows = slice(6 * pending[target], 6 * pending[target] + 6)
            learned = diary.before_step[step]["learn"][rows]
            happened = diary.after_step[step]["events"][rows] & INCIDENTS
            assert (learned & (happened != 0)).any()
    quiet, _ = drive(ring, replace(OFTEN, chance=0.0), steps=40)
    assert quiet.rewinds == 0


def test_up_to_the_first_cut_nothing_differs_but_who_goes_on(driven, ring):
    _, diary = driven
    plain = VectorWorld(Simulator(ring, SETTINGS, seed=5))
    first = next(step for step, pending in enumerate(diary.pending) if (pending >= 0).any())
    actor = Wandering(plain)
    for step in range(first):
        plain.step(actor.act(plain))
        shown = diary.after_step[step]
        # A cut shows the state that everybody was truly in: its value is the bootstrap.
        assert torch.equal(shown["observation"], plain.observation)
        assert torch.equal(shown["reward"], plain.reward)
        assert torch.equal(shown["terminated"], plain.terminated)
    back = torch.from_numpy(diary.pending[first] >= 0).repeat_interleave(6)
    went_on = plain.active & diary.before_step[first - 1]["active"]
    assert torch.equal(shown["truncated"][back], went_on[back])
    assert torch.equal(shown["active"], plain.active & ~back)


@pytest.mark.parametrize("into", ["same", "calmest"])
def test_every_transition_keeps_the_protocol_of_a_world(ring, into):
    several = replace(SETTINGS, agents_least=2)
    world, diary = drive(ring, replace(OFTEN, into=into), several)
    assert world.rewinds > 5
    for step, (was, now) in enumerate(zip(diary.before_step, diary.after_step, strict=True)):
        inactive = ~was["active"]
        assert not now["reward"][inactive].any()
        assert not now["reward_terms"][inactive].any()
        assert not now["events"][inactive].any()
        assert not (now["terminated"] | now["truncated"])[inactive].any()
        assert not (now["terminated"] & now["truncated"]).any()
        assert not (now["learn"] & ~now["active"]).any()
        # Who was active is active still, unless its episode ended.
        over = now["terminated"] | now["truncated"]
        assert torch.equal(now["active"][was["active"]], ~over[was["active"]])
        back = torch.from_numpy(diary.pending[step] >= 0).repeat_interleave(6)
        assert inactive[back].all()


def test_no_advantage_flows_across_a_cut(driven):
    _, diary = driven
    stack = {
        name: torch.stack([moment[name] for moment in diary.after_step])
        for name in ("reward", "terminated", "truncated")
    }
    stack |= {
        name: torch.stack([moment[name] for moment in diary.before_step])
        for name in ("active", "dt")
    }
    cut, row = next(
        (step, int(rows[0]))
        for step, pending in enumerate(diary.pending)
        if (rows := torch.from_numpy(pending >= 0).repeat_interleave(6).nonzero()).numel()
        and diary.after_step[step - 1]["truncated"][rows[0]]
    )
    value = torch.randn(STEPS + 1, len(stack["reward"][0]))

    def advantage(reward, value):
        return generalized_advantages(
            reward,
            value,
            stack["terminated"],
            stack["truncated"],
            stack["active"],
            per_step(0.99, stack["dt"]),
            per_step(0.95, stack["dt"]),
        )

    plain = advantage(stack["reward"], value)
    other_reward, other_value = stack["reward"].clone(), value.clone()
    other_reward[cut:] += 100.0
    other_value[cut + 1 :] -= 50.0  # the value at `cut` is of the state that was cut: it counts
    changed = advantage(other_reward, other_value)
    assert torch.equal(plain[:cut, row], changed[:cut, row])
    assert plain[cut, row] == changed[cut, row] == 0
    assert not torch.equal(plain[cut + 1 :, row], changed[cut + 1 :, row])
    bootstrapped = value.clone()
    bootstrapped[cut, row] += 1.0
    assert advantage(stack["reward"], bootstrapped)[cut - 1, row] > plain[cut - 1, row]


def test_a_world_goes_on_exactly_as_its_whole_state_would(ring):
    world = RewindingWorld(VectorWorld(Simulator(ring, SETTINGS, seed=8)), OFTEN, 8)
    simulator, actor = world.inner.simulator, Wandering(world)
    whole = {}  # by (world, time kept), as the simulator itself copies it
    checked = 0
    for _ in range(STEPS):
        moment = simulator.snapshot()
        for one in range(4):
            whole.setdefault((one, world._times[world._slot[one], one]), moment)
        pending = world._pending.copy()
        times = world._times.copy()
        world.step(actor.act(world))
        after = simulator.snapshot()
        for target in np.flatnonzero(pending[:, 0] >= 0):
            source, slot = pending[target]
            twin = Simulator(ring, SETTINGS, seed=0)
            twin.restore(whole[source, times[slot, source]])
            seeds = twin.scene.seed.numpy()
            assert seeds[source] != after.arrays["seed"][target]
            seeds[source] = after.arrays["seed"][target]
            twin.step()  # with the action taken last
            expected = twin.snapshot().arrays
            for name in ("observation", "body", "place", "route", "duty", "boxes", "active", "dt"):
                assert expected[name][source].tobytes() == after.arrays[name][target].tobytes()
            checked += 1
    assert checked > 5


def test_worlds_go_back_as_far_as_asked_and_rest_afterwards(ring):
    world = RewindingWorld(VectorWorld(Simulator(ring, SETTINGS, seed=9)), OFTEN, 9)
    actor = Wandering(world)
    dt = world._world_dt.copy()
    last = np.full(4, -np.inf)
    gaps = []
    for step in range(STEPS):
        before = world._pending[:, 0].copy()
        world.step(actor.act(world))
        for target in np.flatnonzero((world._pending[:, 0] >= 0) & (before < 0)):
            now = (step + 1) * dt[target]
            gaps.append(now - world._times[world._pending[target, 1], target])
            assert now - last[target] >= OFTEN.rest_s - 1e-6
            last[target] = now
    assert len(gaps) > 5
    assert min(gaps) >= 1.0 - 1e-6
    assert max(gaps) <= 2.0 + OFTEN.every_s + dt.max() + 1e-6


def test_calm_worlds_take_the_moments_of_eventful_ones(ring):
    _, diary = drive(ring, replace(OFTEN, into="calmest"))
    pairs = [
        (target, pending[target])
        for pending in diary.pending
        for target in np.where(pending >= 0)[0]
    ]
    assert len(pairs) > 5
    assert all(target != source for target, source in pairs)


def test_a_saved_world_goes_on_to_the_same_numbers(ring):
    world, _ = drive(ring, steps=50)
    state = world.state_dict()
    actions = [torch.from_numpy(np.random.default_rng(k).integers(0, 12, 24)) for k in range(50)]
    other = RewindingWorld(VectorWorld(Simulator(ring, SETTINGS, seed=1)), OFTEN, 1)
    other.load_state_dict(state)
    before = world.rewinds
    for action in actions:
        world.step(action)
        other.step(action)
        for name in ("observation", "reward", "active", "truncated"):
            assert torch.equal(getattr(world, name), getattr(other, name))
    assert world.rewinds == other.rewinds > before


def test_a_state_of_other_settings_is_refused(ring):
    state = drive(ring, steps=1)[0].state_dict()
    inner = VectorWorld(Simulator(ring, SETTINGS))
    with pytest.raises(ValueError, match="bytes saved"):
        RewindingWorld(inner, replace(OFTEN, back_s=(1.0, 9.0))).load_state_dict(state)
    plain = {name: values for name, values in state.items() if not name.startswith("rewind.")}
    with pytest.raises(ValueError, match="0 bytes saved"):
        RewindingWorld(inner, OFTEN).load_state_dict(plain)


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        ({"back_s": (3.0, 2.0)}, "back_s"),
        ({"every_s": 0.0}, "every_s"),
        ({"chance": 1.5}, "chance"),
        ({"into": "all"}, "calmest"),
    ],
)
def test_settings_that_cannot_be_used_are_refused(wrong, word):
    with pytest.raises(SettingsError, match=word):
        RewindSettings(**wrong)
