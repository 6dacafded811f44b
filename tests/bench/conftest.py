"""A workload that takes a moment."""

import pytest

from gigalane.bench.workloads import Workload
from gigalane.maps.compiled_file import save_compiled
from gigalane.policies.entity import EntitySettings
from gigalane.sim.settings import SimulatorSettings
from gigalane.train.trainer import TrainSettings
from reference import maps


@pytest.fixture(scope="session")
def tiny(tmp_path_factory) -> Workload:
    """24 road users on a ring."""
    place = tmp_path_factory.mktemp("bench") / "ring.npz"
    save_compiled(maps.ring(), place)
    return Workload(
        "tiny",
        "24 road users on a ring",
        maps=(str(place),),
        world=SimulatorSettings(worlds=4, agents=6),
        train=TrainSettings(
            samples=10**9, rollout_steps=4, policy=EntitySettings(encoder_width=8, trunk=(8,))
        ),
        warm_up=480,
        measured=240,
    )
