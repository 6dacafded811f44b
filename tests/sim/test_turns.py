import gc
import threading
import time

import numpy as np
import pytest
import warp as wp

from gigalane.sim.settings import SimulatorSettings
from gigalane.sim.simulator import Simulator
from gigalane.sim.turns import Team, end_turn, open_turns, take_turn


@wp.kernel(enable_backward=False)
def count_turns(
    worker: int,
    workers: int,
    patience: int,
    turns: wp.array(dtype=int),
    visits: wp.array(dtype=int),
    by: wp.array(dtype=int),
):
    worlds = visits.shape[0]
    if worker == 0:
        open_turns(turns, workers, worlds)
    world = take_turn(turns, worker, workers, worlds, patience)
    while world >= 0:
        visits[world] = visits[world] + 1
        by[world] = worker
        end_turn(turns)
        world = take_turn(turns, worker, workers, worlds, patience)


def team_of(threads, worlds):
    visits, by = (wp.zeros(worlds, dtype=int, device="cpu") for _ in range(2))
    wp.load_module(count_turns.module, device="cpu")

    def record(*share):
        given = [*share, visits, by]
        return wp.launch(count_turns, dim=1, inputs=given, device="cpu", record_cmd=True)

    return Team(record, worlds, threads), visits.numpy(), by.numpy()


@pytest.mark.parametrize(("threads", "worlds"), [(1, 5), (2, 1), (2, 33), (3, 2), (5, 1000)])
def test_every_world_is_stepped_once_a_step_whoever_takes_it(threads, worlds):
    team, visits, by = team_of(threads, worlds)
    for step in range(300):
        team.step()
        assert (visits == step + 1).all()
        if step % 50 == 0:
            time.sleep(0.005)  # long enough for helpers to fall asleep
    assert by.max() < min(threads, worlds)


def test_a_leader_whose_helpers_never_wake_does_everything_alone():
    team, visits, by = team_of(3, 40)
    team.step()
    for helper in team._helpers:
        helper.stop()
    for thread in threading.enumerate():
        if thread.name == "gigalane worlds":
            thread.join(timeout=5.0)
    by[:] = 9
    team.step()
    assert (visits == 2).all()
    assert (by == 0).all()


def test_threads_end_with_their_simulator(ring):
    before = {thread.ident for thread in threading.enumerate()}
    simulator = Simulator(ring, SimulatorSettings(worlds=4, agents=4), threads=3)
    simulator.step(np.full((4, 4), 7))
    started = [thread for thread in threading.enumerate() if thread.ident not in before]
    assert len([thread for thread in started if thread.name == "gigalane worlds"]) == 2
    del simulator
    gc.collect()
    for thread in started:
        thread.join(timeout=5.0)
    assert not any(thread.is_alive() for thread in started)
