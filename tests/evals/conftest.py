"""Evaluations small enough to repeat, and the browser that tests of the viewer use too."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from gigalane.evals.evaluate import EvaluateSettings
from gigalane.maps.road import RoadMap
from gigalane.policies.entity import EntityPolicy, EntitySettings
from gigalane.sim.settings import SimulatorSettings
from gigalane.sim.simulator import Simulator

sys.path.insert(0, str(Path(__file__).parents[1] / "viewer"))


@pytest.fixture(scope="session")
def few() -> EvaluateSettings:
    """Forty episodes of six seconds."""
    return EvaluateSettings(episodes=40, agents=6, seconds=6.0, dt=0.25)


@pytest.fixture(scope="session")
def untrained(ring_road: RoadMap) -> EntityPolicy:
    """A policy with weights of its first day."""
    simulator = Simulator(ring_road, SimulatorSettings(worlds=1, agents=1))
    torch.manual_seed(0)
    return EntityPolicy(simulator.layout, simulator.action_space, EntitySettings(trunk=(32,)))


@pytest.fixture(scope="session")
def browser():
    import browser as browser_module

    if browser_module.CHROMIUM is None:
        pytest.skip("Chromium is not installed")
    one = browser_module.Browser(width=1100, height=1000)
    yield one
    one.close()
