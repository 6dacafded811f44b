import json
import os
import signal
from dataclasses import replace

import pytest
import torch
from toy_world import TIME_LIMIT, ToyWorld

from gigalane.acting.policy import PolicyActor
from gigalane.policies.checkpoint import load_policy, training_states
from gigalane.policies.entity import EntitySettings
from gigalane.policies.policy import PolicyError
from gigalane.rollout import roll_out
from gigalane.train.advantage import FilterSettings
from gigalane.train.ppo import PPOSettings
from gigalane.train.run_folder import POLICY_FILE
from gigalane.train.tally import EpisodeTally
from gigalane.train.trainer import TrainSettings, train
from weights import weights

TINY = TrainSettings(
    samples=10_000,
    rollout_steps=8,
    precision="fp32",
    threads=1,
    policy=EntitySettings(trunk=(32,)),
    ppo=PPOSettings(minibatch=128, learning_rate=3e-3, epochs=2),
    filter=FilterSettings(keep_minimum=64),
)


def stop_after(iterations: int):
    return lambda figures: figures["iteration"] >= iterations


def lines(directory) -> list[dict]:
    text = (directory / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line) for line in text]


def without_times(figures: dict) -> dict:
    timed = ("samples_per_s", "elapsed_s", "seconds/collect", "seconds/learn")
    return {name: value for name, value in figures.items() if name not in timed}


def test_resumed_run_continues_to_exactly_the_same_numbers(tmp_path):
    whole = train(ToyWorld(), TINY, tmp_path / "whole", on_iteration=stop_after(4))
    train(ToyWorld(), TINY, tmp_path / "halves", on_iteration=stop_after(2))
    halves = train(ToyWorld(), TINY, tmp_path / "halves", resume=True, on_iteration=stop_after(4))
    assert torch.equal(weights(whole), weights(halves))
    expected, found = lines(tmp_path / "whole"), lines(tmp_path / "halves")
    assert len(expected) == 4
    assert [without_times(each) for each in found] == [without_times(each) for each in expected]


def test_damaged_newest_state_costs_one_interval_and_no_more(tmp_path):
    settings = replace(TINY, checkpoint_every_s=0.0)
    whole = train(ToyWorld(), settings, tmp_path, on_iteration=stop_after(3))
    newest = training_states(tmp_path)[0]
    newest.write_bytes(newest.read_bytes()[:1000])
    again = train(ToyWorld(), settings, tmp_path, resume=True, on_iteration=stop_after(3))
    assert torch.equal(weights(whole), weights(again))
    assert [line["iteration"] for line in lines(tmp_path)] == [1, 2, 3]


def test_number_of_threads_does_not_change_a_number(tmp_path):
    one = train(ToyWorld(600), TINY, tmp_path / "one", on_iteration=stop_after(2))
    two = train(
        ToyWorld(600), replace(TINY, threads=2), tmp_path / "two", on_iteration=stop_after(2)
    )
    assert torch.equal(weights(one), weights(two))


def test_ctrl_c_saves_and_returns(tmp_path):
    def interrupt(figures: dict) -> None:
        if figures["iteration"] == 2:
            os.kill(os.getpid(), signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    train(ToyWorld(), TINY, tmp_path, on_iteration=interrupt)
    assert signal.getsignal(signal.SIGINT) is before
    assert training_states(tmp_path)[0].name == "state-00000002.safetensors"
    assert load_policy(tmp_path / POLICY_FILE).settings == TINY.policy


def test_runs_are_neither_overwritten_nor_mixed(tmp_path):
    train(ToyWorld(), TINY, tmp_path, on_iteration=stop_after(1))
    with pytest.raises(PolicyError, match="already holds a run"):
        train(ToyWorld(), TINY, tmp_path)
    with pytest.raises(PolicyError, match="another discount, seed"):
        train(ToyWorld(), replace(TINY, seed=1, discount=0.9), tmp_path, resume=True)
    lower_rate = replace(TINY, ppo=replace(TINY.ppo, learning_rate=1e-4))
    with pytest.raises(PolicyError, match=r"another ppo\.learning_rate"):
        train(ToyWorld(), lower_rate, tmp_path, resume=True)
    told_longer = replace(TINY, guidance=replace(TINY.guidance, samples=7))
    with pytest.raises(PolicyError, match=r"another guidance\.samples"):
        train(ToyWorld(), told_longer, tmp_path, resume=True)
    with pytest.raises(PolicyError, match="does not fit this world"):
        train(ToyWorld(32), TINY, tmp_path, resume=True)
    with pytest.raises(PolicyError, match="holds no training state"):
        train(ToyWorld(), TINY, tmp_path / "nowhere", resume=True)


def test_losses_that_are_no_numbers_stop_training_with_a_sentence(tmp_path):
    world = ToyWorld()
    world.reward_terms[:] = 0
    step = world.step

    def broken(actions: torch.Tensor) -> None:
        step(actions)
        world.reward[0] = float("nan")

    world.step = broken
    with pytest.raises(FloatingPointError, match="iteration 1: policy_loss is nan"):
        train(world, TINY, tmp_path)


def test_figures_count_samples_episodes_and_rewards(tmp_path):
    train(ToyWorld(), TINY, tmp_path, on_iteration=stop_after(3))
    last = lines(tmp_path)[-1]
    assert 0 < last["samples"] <= 3 * 8 * 48  # scripted and inactive rows are no samples
    assert 0 < last["kept_fraction"] <= 1
    terms = last["reward/goal"] + last["reward/time"]
    assert terms == pytest.approx(last["reward_per_s"], abs=1e-6)
    settings = json.loads((tmp_path / "settings.json").read_text())
    assert settings["train"]["samples"] == TINY.samples


class Constant:
    """Always takes the same action."""

    def __init__(self, action: int) -> None:
        self.action = action

    def act(self, world: ToyWorld) -> torch.Tensor:
        return torch.full((world.row_count,), self.action)


def score(actor) -> dict[str, float]:
    world = ToyWorld(64)
    world.reset(seed=99)
    tally = EpisodeTally(world)
    roll_out(world, actor, 60, tally)
    return tally.read()


def test_training_beats_every_constant_policy(tmp_path):
    settings = replace(TINY, samples=60_000, rollout_steps=16)
    policy = train(ToyWorld(128), settings, tmp_path)
    constant = max(score(Constant(action))["rate/reached_goal"] for action in range(3))
    trained = score(PolicyActor(policy, greedy=True))
    assert constant < 0.7
    assert trained["rate/reached_goal"] > 0.95
    assert lines(tmp_path)[-1]["explained_variance"] > 0.5


def test_tally_counts_an_event_once_an_episode():
    world = ToyWorld(8)
    world.reset(seed=0)
    world.offset[:] = 20  # out of reach: every episode times out
    tally = EpisodeTally(world)
    roll_out(world, Constant(1), TIME_LIMIT, tally)
    figures = tally.read()
    assert figures["episodes"] == 6  # two of eight rows are scripted
    assert figures["samples"] == 6 * TIME_LIMIT
    assert figures["rate/timed_out"] == 1
    assert figures["rate/reached_goal"] == 0
    # Half of the rows that learn step 0.3 s, but rows 3 and 7 are scripted ones of 0.1 s.
    seconds = TIME_LIMIT * (4 * 0.3 + 2 * 0.1)
    assert figures["episode_s"] == pytest.approx(seconds / 6)
    assert figures["reward/time"] == pytest.approx(-0.05 * 6 * TIME_LIMIT / seconds)
    assert tally.read()["episodes"] == 0
