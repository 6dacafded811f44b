"""A small world with one road user of each kind, which tests put where they want them."""

import numpy as np
import pytest

from gigalane.render.scenery import compile_scenery
from gigalane.sim.settings import SimulatorSettings
from gigalane.sim.simulator import Simulator
from reference.placed import clear


@pytest.fixture(scope="session")
def tee_scenery(tee_road, tee):
    """What stands around the T junction."""
    return compile_scenery(tee_road, tee)


@pytest.fixture(scope="session")
def straight_scenery(straight_road, straight):
    """What stands around the straight road."""
    return compile_scenery(straight_road, straight)


@pytest.fixture
def empty_straight(straight):
    """The straight road with nobody on it; four slots."""
    simulator = Simulator(straight, SimulatorSettings(worlds=1, agents=4), seed=1, threads=1)
    clear(simulator)
    return simulator


@pytest.fixture(scope="session")
def busy_tee(tee):
    """The T junction after some steps, three worlds."""
    simulator = Simulator(tee, SimulatorSettings(worlds=3, agents=6), seed=5, threads=1)
    actions = np.random.default_rng(2).integers(0, 12, simulator.shape)
    for _ in range(25):
        simulator.step(actions)
    return simulator
