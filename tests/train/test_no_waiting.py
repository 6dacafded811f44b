"""Nothing in a loop's steps waits for the device: on a CPU, every way of reading is forbidden."""

from contextlib import contextmanager

import pytest
import torch
import warp as wp
from torch.utils._python_dispatch import TorchDispatchMode

from gigalane.acting.policy import IdleActor, PolicyActor
from gigalane.metrics.episodes import EpisodeCounter
from gigalane.policies.entity import EntityPolicy, EntitySettings
from gigalane.rollout import roll_out
from gigalane.sim.guard import Guard
from gigalane.sim.launches import StagedLaunches
from gigalane.sim.settings import SimulatorSettings
from gigalane.sim.simulator import Simulator
from gigalane.train.tally import EpisodeTally
from gigalane.train.trainer import Trainer, TrainSettings
from gigalane.worlds.vector import VectorWorld
from reference import maps

SETTINGS = SimulatorSettings(worlds=3, agents=5, episode_s=2.0)


class HostReadError(AssertionError):
    """Somebody asked for numbers that are not there yet."""


READS = (
    torch.ops.aten._local_scalar_dense.default,  # item, float, int, bool, if
    torch.ops.aten.nonzero.default,
    torch.ops.aten.masked_select.default,
    torch.ops.aten.is_nonzero.default,
    torch.ops.aten.equal.default,
)


class _NoReads(TorchDispatchMode):
    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        by_mask = func is torch.ops.aten.index.Tensor and any(
            index is not None and index.dtype in (torch.bool, torch.uint8) for index in args[1]
        )
        if func in READS or by_mask:
            raise HostReadError(str(func))
        return func(*args, **(kwargs or {}))


@contextmanager
def no_reads(monkeypatch):
    def refuse(*_args, **_kwargs):
        raise HostReadError("an array was read")

    with monkeypatch.context() as patch, _NoReads():
        patch.setattr(wp.array, "numpy", refuse)
        patch.setattr(wp.array, "list", refuse)
        for name in ("numpy", "tolist", "cpu", "item"):
            patch.setattr(torch.Tensor, name, refuse)
        patch.setattr(wp, "synchronize", refuse)
        patch.setattr(wp, "synchronize_device", refuse)
        yield


@pytest.fixture(params=["fused", "staged"])
def world(request, tmp_path):
    road_map = maps.ring()
    simulator = Simulator(road_map, SETTINGS, seed=1, threads=1)
    if request.param == "staged":
        simulator._launches = StagedLaunches(
            simulator.rules, simulator._lane_tokens, simulator.road, simulator.scene
        )
    return VectorWorld(simulator, Guard(simulator, [road_map], tmp_path))


@pytest.mark.parametrize(
    "read",
    [
        lambda t, a: t.sum().item(),
        lambda t, a: float(t.sum()),
        lambda t, a: bool(t.any()),
        lambda t, a: t.tolist(),
        lambda t, a: t[t > 0],
        lambda t, a: t.nonzero(),
        lambda t, a: t.cpu(),
        lambda t, a: a.numpy(),
    ],
)
def test_every_way_of_reading_is_found_out(monkeypatch, read):
    tensor, array = torch.arange(3), wp.zeros(3, dtype=float, device="cpu")
    with no_reads(monkeypatch), pytest.raises(HostReadError):
        read(tensor, array)


def test_scoring_does_not_wait(monkeypatch, world):
    counter, tally = EpisodeCounter(world), EpisodeTally(world)
    policy = EntityPolicy(world.layout, world.action_space, EntitySettings(trunk=(16,)))
    policy.threads = 1
    with no_reads(monkeypatch):
        for actor in (IdleActor(), PolicyActor(policy), PolicyActor(policy, greedy=False)):
            roll_out(world, actor, 10, counter, tally)
    world.check()
    assert len(counter.table()) > 0
    assert tally.read()["samples"] > 100


def test_collecting_does_not_wait(monkeypatch, tmp_path, world):
    settings = TrainSettings(rollout_steps=12, threads=1, policy=EntitySettings(trunk=(16,)))
    trainer = Trainer(world, settings, tmp_path)
    trainer.begin()
    for _ in range(2):
        with no_reads(monkeypatch):
            trainer.collect()
            trainer.estimate()
        trainer.select()
        trainer.improve()
        assert trainer.figures()["samples"] > 0


def test_guard_is_heard_once_an_iteration(tmp_path, world):
    settings = TrainSettings(rollout_steps=6, threads=1, policy=EntitySettings(trunk=(16,)))
    trainer = Trainer(world, settings, tmp_path)
    trainer.begin()
    world.simulator.scene.body.numpy()["x"][1, 0] = 4.0e6
    trainer.collect()
    trainer.estimate()
    trainer.select()
    trainer.improve()
    with pytest.raises(RuntimeError, match="world 1 on ring"):
        trainer.figures()
