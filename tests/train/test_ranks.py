import itertools
import json
from dataclasses import replace

import pytest
import torch
from rank_threads import RowsOf, ThreadRanks, together
from toy_world import ToyWorld

from gigalane.core.settings import RunError, SettingsError
from gigalane.policies.checkpoint import training_states
from gigalane.policies.entity import EntityPolicy, EntitySettings
from gigalane.train.advantage import FilterSettings
from gigalane.train.ppo import PPO, PPOSettings
from gigalane.train.ranks import ALONE, joined_ranks
from gigalane.train.trainer import Trainer, TrainSettings, train
from weights import weights

ROWS = 64
TINY = TrainSettings(
    samples=10_000,
    rollout_steps=8,
    precision="fp32",
    threads=1,
    checkpoint_every_s=0.0,
    policy=EntitySettings(trunk=(32,)),
    ppo=PPOSettings(minibatch=128, learning_rate=3e-3, epochs=2),
    filter=FilterSettings(keep_minimum=1, keep_share=0.0),
)
torch.manual_seed(0)  # threads would share the generator of first weights
START = EntityPolicy(ToyWorld.layout, ToyWorld.action_space, TINY.policy)
SHARES = ((0, 20), (20, 44))
"""(first row, rows) of two uneven ranks."""


def stop_after(iterations: int):
    return lambda figures: figures["iteration"] >= iterations


def trained(folder, iterations, shares=SHARES, learns=(True, True), settings=TINY, resume=False):
    """Weights of each rank after some iterations."""

    def run(ranks: ThreadRanks) -> torch.Tensor:
        world = RowsOf(ROWS, *shares[ranks.rank], learns[ranks.rank])
        ended = stop_after(iterations)
        return weights(train(world, settings, folder, resume, ended, START, ranks))

    results = together(len(shares), run)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return results


def lines(folder) -> list[dict]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_two_ranks_collect_together_exactly_what_one_process_does(tmp_path):
    def collected(ranks) -> tuple[torch.Tensor, ...]:
        world = RowsOf(ROWS, *SHARES[ranks.rank]) if ranks.count > 1 else ToyWorld(ROWS)
        trainer = Trainer(world, TINY, tmp_path / f"{ranks.count}", ranks)
        trainer.begin(START)
        trainer.collect()
        rollout = trainer.rollout
        return rollout.action, rollout.reward, rollout.value, rollout.log_prob, rollout.active

    for one, *two in zip(collected(ALONE), *together(2, collected), strict=True):
        assert torch.equal(one, torch.cat(two, dim=1))


class UnionOfShares:
    """Forms, in one process, the minibatches that two ranks form together."""

    def __init__(self, settings: TrainSettings) -> None:
        seeds = together(2, lambda ranks: ranks.seed(settings.seed))
        self.generators = [torch.Generator().manual_seed(seed) for seed in seeds]

    def __call__(self, ppo: PPO, kept, generator, total=None) -> list[torch.Tensor]:
        row = kept % ROWS
        count = max(1, round(len(kept) / ppo.settings.minibatch))
        rows = ppo.settings.minibatch // 2
        parts = []
        for (first, size), own in zip(SHARES, self.generators, strict=True):
            mine = kept[(row >= first) & (row < first + size)]
            mine = mine[torch.randperm(len(mine), generator=own)]
            chunks = list(mine.split(rows))
            edges = [len(chunks) * number // count for number in range(count + 1)]
            parts.append([chunks[a:b] for a, b in itertools.pairwise(edges)])
        unions = [torch.cat([*one, *other]) for one, other in zip(*parts, strict=True)]
        return [union.unsqueeze(0) for union in unions]


def test_two_ranks_learn_what_one_process_learns_from_the_same_minibatches(tmp_path, monkeypatch):
    ranks = trained(tmp_path / "two", 3)
    union = UnionOfShares(TINY)
    monkeypatch.setattr(PPO, "_minibatches", lambda ppo, *given: union(ppo, *given))
    alone = train(ToyWorld(ROWS), TINY, tmp_path / "one", False, stop_after(3), START)
    one = weights(alone)
    torch.testing.assert_close(ranks[0], one, rtol=1e-4, atol=1e-6)
    assert float((one - weights(START)).abs().max()) > 1e-2  # they have come a long way together


@pytest.mark.parametrize(
    ("shares", "learns"),
    [
        (SHARES, (True, True)),
        (((0, 4), (4, 60)), (True, True)),
        (((0, 30), (30, 34)), (False, True)),
        (((0, 30), (30, 34)), (True, False)),
        (((0, 30), (30, 34)), (False, False)),
        (((0, 1), (1, 2), (3, 61)), (True, True, True)),
    ],
)
def test_uneven_ranks_end_with_the_same_bits(tmp_path, shares, learns):
    first, *others = trained(tmp_path, 3, shares, learns)
    assert torch.isfinite(first).all()
    for other in others:
        assert torch.equal(first, other)


def test_figures_are_of_all_ranks(tmp_path):
    trained(tmp_path / "two", 1)
    train(ToyWorld(ROWS), TINY, tmp_path / "one", False, stop_after(1), START)
    (two,), (one,) = lines(tmp_path / "two"), lines(tmp_path / "one")
    counted = ("samples", "episodes", "kept_fraction", "explained_variance", "reward_per_s")
    for name in (*counted, "rate/reached_goal", "reward/goal"):
        assert two[name] == pytest.approx(one[name], rel=1e-5), name
    assert 0 < two["seconds/communicate"] < two["seconds/collect"] + two["seconds/learn"]
    assert "seconds/communicate" not in one


def test_resumed_ranks_continue_to_exactly_the_same_numbers(tmp_path):
    whole = trained(tmp_path / "whole", 4)
    trained(tmp_path / "halves", 2)
    assert torch.equal(trained(tmp_path / "halves", 4, resume=True)[1], whole[0])
    assert [line["iteration"] for line in lines(tmp_path / "halves")] == [1, 2, 3, 4]


@pytest.mark.parametrize("rank", [0, 1])
def test_ranks_agree_on_the_newest_state_that_all_of_them_hold(tmp_path, rank):
    whole = trained(tmp_path, 3)
    training_states(tmp_path, rank)[0].write_bytes(b"cut off")
    assert torch.equal(trained(tmp_path, 3, resume=True)[0], whole[0])
    assert [line["iteration"] for line in lines(tmp_path)] == [1, 2, 3]


def test_run_goes_on_with_another_number_of_ranks(tmp_path):
    trained(tmp_path, 2)
    train(ToyWorld(ROWS), TINY, tmp_path, resume=True, on_iteration=stop_after(3))
    first, *others = trained(tmp_path, 4, ((0, 9), (9, 20), (29, 35)), (True,) * 3, resume=True)
    assert all(torch.equal(first, other) for other in others)
    samples = [line["samples"] for line in lines(tmp_path)]
    assert samples == sorted(samples)
    assert len(samples) == 4


def test_what_only_one_rank_notices_stops_all_at_one_iteration(tmp_path):
    def run(ranks: ThreadRanks) -> int:
        done = []

        def watch(figures: dict) -> bool:
            done.append(figures["iteration"])
            return ranks.rank == 1 and len(done) == 2

        world = RowsOf(ROWS, *SHARES[ranks.rank])
        train(world, TINY, tmp_path, False, watch, START, ranks)
        return len(done)

    assert together(2, run) == [2, 2]
    assert training_states(tmp_path, 1)[0].name == "state-00000002.rank0001.safetensors"
    assert training_states(tmp_path)[0].name == "state-00000002.safetensors"


def test_ranks_that_have_come_to_differ_stop(tmp_path):
    def run(ranks: ThreadRanks) -> None:
        trainer = Trainer(RowsOf(ROWS, *SHARES[ranks.rank]), TINY, tmp_path, ranks)
        trainer.begin(START)
        if ranks.rank == 1:
            next(trainer.policy.parameters()).data[0] += 1e-6
        trainer.save()

    for error in together(2, run):
        assert isinstance(error, RunError)
        assert "weights differ between ranks" in str(error)


def test_failure_on_one_rank_ends_all_and_is_told_once():
    def fail_on(*failing: int):
        def run(ranks: ThreadRanks) -> None:
            with ranks.agreeing():
                if ranks.rank in failing:
                    raise SettingsError(f"rank {ranks.rank}")

        return together(3, run)

    assert fail_on() == [None, None, None]
    first, *others = fail_on(0, 1, 2)
    assert str(first) == "rank 0"
    assert all(isinstance(other, SystemExit) for other in others)
    first, second, third = fail_on(2)
    assert str(first) == "rank 2 failed and says why in a line of its own"
    assert isinstance(second, SystemExit)
    assert str(third) == "rank 2"


def test_rank_that_dies_leaves_a_sentence_with_the_others():
    def run(ranks: ThreadRanks) -> None:
        if ranks.rank == 1:
            raise KeyboardInterrupt
        ranks.sum(torch.ones(3))

    error, _ = together(2, run)
    assert isinstance(error, RunError)
    assert "another rank is gone" in str(error)


def test_worlds_are_dealt_out_in_blocks_without_gap_or_overlap():
    for worlds in (3, 7, 64):
        shares = together(3, lambda ranks, worlds=worlds: ranks.share(worlds))
        dealt = [first + k for first, count in shares for k in range(count)]
        assert dealt == list(range(worlds))
    for error in together(3, lambda ranks: ranks.share(2)):
        assert isinstance(error, SettingsError)
        assert "worlds=2: 3 ranks need a world each" in str(error)


def test_sizes_that_do_not_fit_the_ranks_are_refused(tmp_path):
    settings = replace(TINY, ppo=replace(TINY.ppo, minibatch=1))
    for error in together(2, lambda ranks: Trainer(ToyWorld(4), settings, tmp_path, ranks)):
        assert isinstance(error, SettingsError)
        assert "minibatch is 1, for 2 ranks" in str(error)
    if torch.cuda.device_count() < 2:
        last = together(2, lambda ranks: ranks.device("cuda"))[1]
        assert isinstance(last, SettingsError)
        assert "usable GPUs" in str(last)
    assert together(2, lambda ranks: ranks.device("cpu")) == ["cpu", "cpu"]


def test_process_without_a_launcher_is_alone():
    with joined_ranks({}) as ranks:
        assert ranks is ALONE
    with joined_ranks({"RANK": "0", "WORLD_SIZE": "1", "TORCHELASTIC_RESTART_COUNT": "2"}) as ranks:
        assert (ranks.count, ranks.restarts) == (1, 2)


@pytest.mark.parametrize(
    ("told", "part"),
    [
        ({"RANK": "2", "WORLD_SIZE": "2", "MASTER_ADDR": "x", "MASTER_PORT": "1"}, "RANK=2"),
        ({"RANK": "0", "WORLD_SIZE": "2"}, "MASTER_ADDR is not set"),
        ({"RANK": "zero", "WORLD_SIZE": "2"}, "'zero'"),
    ],
)
def test_launcher_that_tells_half_is_refused(told, part):
    with pytest.raises(SettingsError, match=part), joined_ranks(told):
        pass
