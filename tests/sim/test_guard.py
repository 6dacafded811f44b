from dataclasses import replace

import numpy as np
import pytest

from gigalane.sim.guard import Guard, SimulationError
from gigalane.sim.recording import Recording
from gigalane.sim.simulator import Simulator
from reference import maps
from reference.stage import PLAIN

SETTINGS = replace(
    PLAIN, worlds=3, agents=3, action="acceleration_steering", time_steps=(0.2,), respawn=True
)


def test_number_that_is_none_stops_the_run_and_keeps_what_led_there(tmp_path):
    road_map = maps.ring()
    simulator = Simulator(road_map, SETTINGS, seed=1)
    guard = Guard(simulator, [road_map], tmp_path, every=8)
    rng, path = np.random.default_rng(0), []
    for _ in range(13):
        simulator.step(rng.normal(0.0, [1.0, 0.02], (3, 3, 2)))
        guard.note()
        path.append(simulator.scene.body.numpy()["x"][1].copy())
    actions = np.zeros((3, 3, 2))
    actions[1, 2] = np.nan
    simulator.step(actions)
    guard.note()
    simulator.step(np.zeros((3, 3, 2)))  # what follows the bad step is not blamed for it
    guard.note()
    with pytest.raises(SimulationError, match=r"world 1 on ring: .*gigalane view") as error:
        guard.check()
    assert "\n" not in str(error.value)
    (file,) = tmp_path.iterdir()
    recording = Recording.load(file)
    # The snapshot was taken after 8 steps; steps 9 to 13 follow it.
    origin = simulator.maps[0].origin_map
    driven = recording.position_map[:, :, 0]
    np.testing.assert_allclose(driven, np.array(path[7:]) + origin[0], atol=1e-3)
    assert np.isfinite(recording.position_map).all()


def test_sound_worlds_pass(tmp_path):
    road_map = maps.ring()
    simulator = Simulator(road_map, SETTINGS, seed=1)
    guard = Guard(simulator, [road_map], tmp_path, every=4)
    for _ in range(10):
        simulator.step(np.zeros((3, 3, 2)))
        guard.note()
    guard.check()
    assert not list(tmp_path.iterdir())


def test_position_outside_all_maps_stops_the_run(tmp_path):
    road_map = maps.ring()
    simulator = Simulator(road_map, SETTINGS, seed=1)
    guard = Guard(simulator, [road_map], tmp_path)
    simulator.scene.body.numpy()["x"][2, 0] = 3.0e6
    simulator.step(np.zeros((3, 3, 2)))
    guard.note()
    with pytest.raises(SimulationError, match="world 2"):
        guard.check()


def test_guard_checks_by_itself_when_its_memory_is_full(tmp_path):
    road_map = maps.ring()
    simulator = Simulator(road_map, SETTINGS, seed=1)
    guard = Guard(simulator, [road_map], tmp_path, every=5)
    actions = np.zeros((3, 3, 2))
    actions[0, 1, 0] = np.inf
    steps = 0
    with pytest.raises(SimulationError, match=r"world 0 .* at step 1;"):
        for _ in range(20):
            simulator.step(actions)
            steps += 1
            guard.note()
    assert steps == 5
