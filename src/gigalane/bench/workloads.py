"""What benchmarks run, as data: maps, worlds, how maps are compiled, how the learner is set.

A workload is named, so that a figure can be measured again; all that matters stands in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from gigalane.core.settings import SettingsError
from gigalane.maps.compile import CompiledMap, compile_maps
from gigalane.maps.compile_settings import CompileSettings
from gigalane.maps.sources import located, open_maps
from gigalane.maps.tokens import TokenSettings
from gigalane.policies.entity import EntitySettings
from gigalane.sim.settings import ObservationSettings, SimulatorSettings
from gigalane.train.trainer import TrainSettings

ENDLESS = 10**12
"""Samples of a run that only its benchmark ends: the learning rate stays at its start."""

Named = TypeVar("Named", bound="Workload")
"""Workloads of one kind."""


@dataclass(frozen=True)
class Workload:
    """What a benchmark runs.

    Attributes:
        name: what it is called on the command line.
        description: one line about it.
        maps: sources, as the command line writes them; `$` stands for the folder that
            GIGALANE_DATA names.
        world: the batch.
        compile: how finely maps are cut and what is seen of them; None is as by default.
        train: how the learner is set; `samples` and `threads` are the benchmark's.
        warm_up: agent-steps before the clock starts, so that worlds have left their first state.
        measured: agent-steps of one repeat.
    """

    name: str
    description: str
    maps: tuple[str, ...] = ("town:1-4",)
    world: SimulatorSettings = field(default_factory=SimulatorSettings)
    compile: CompileSettings | None = None
    train: TrainSettings = field(default_factory=lambda: TrainSettings(samples=ENDLESS))
    warm_up: int = 100_000
    measured: int = 600_000

    @property
    def agents(self) -> int:
        """Slots for road users in the whole batch."""
        return self.world.worlds * self.world.agents

    def steps(self, agent_steps: int) -> int:
        """Steps of the batch that make at least so many agent-steps; three at least."""
        return max(3, -(-agent_steps // self.agents))

    def sources(self) -> list[str]:
        """Its maps as `gigalane.maps.sources.open_maps` takes them.

        Raises:
            SettingsError: if they lie in a folder that is not at hand.
        """
        return located(self.maps, f"workload {self.name}", "set it, or use --workload small")

    def compiled_maps(self) -> list[CompiledMap]:
        """Opens and compiles its maps, about a second each.

        Raises:
            SettingsError: if they lie in a folder that is not at hand.
            MapError: if one of them cannot be used.
        """
        return compile_maps(open_maps(self.sources()), self.compile)


_TOWN01 = ("$/opendrive/carla/Town01.xodr.gz",)

_WORKLOADS = (
    Workload("small", "1,024 road users: 32 worlds of 32 on four procedural towns"),
    Workload(
        "large",
        "16,384 road users: 512 worlds of 32 on four procedural towns",
        world=SimulatorSettings(worlds=512),
    ),
    Workload(
        "default",
        "1,024 road users: 32 worlds of 32 on CARLA Town01; needs GIGALANE_DATA",
        maps=_TOWN01,
    ),
    Workload(
        "peer-puffer",
        "1,024 road users: 32 worlds of 32 on CARLA Town01, dt 0.1 s, acceleration and steering, "
        "PufferDrive's observation of 1,848 numbers; needs GIGALANE_DATA",
        maps=_TOWN01,
        world=SimulatorSettings(
            time_steps=(0.1,),
            action="acceleration_steering",
            observation=ObservationSettings.peer(),
        ),
        compile=CompileSettings(tokens=TokenSettings.peer()),
    ),
    Workload(
        "hundred-maps",
        "3,200 road users: 100 worlds of 32 on a hundred procedural towns",
        maps=("town:1-100",),
        world=SimulatorSettings(worlds=100),
    ),
    Workload(
        "million",
        "1,048,576 road users: 32,768 worlds of 32 on four procedural towns",
        world=SimulatorSettings(worlds=32_768),
        warm_up=2**22,
        measured=2**22,
    ),
    Workload(
        "training",
        "2,560 road users: 64 worlds of 40 on sixteen procedural towns",
        maps=("town:1-16",),
        world=SimulatorSettings(worlds=64, agents=40),
    ),
    Workload(
        "train-614k",
        "as training, with a network of PufferDrive's size",
        maps=("town:1-16",),
        world=SimulatorSettings(worlds=64, agents=40),
        train=TrainSettings(samples=ENDLESS, policy=EntitySettings.peer()),
    ),
)

WORKLOADS = {workload.name: workload for workload in _WORKLOADS}
"""By name."""


def workload_named(name: str, workloads: Mapping[str, Named]) -> Named:
    """A workload by its name.

    Args:
        name: which.
        workloads: those that the benchmark can run, by name.

    Raises:
        SettingsError: if it is none of them.
    """
    if name not in workloads:
        raise SettingsError(f"workload {name!r}: there are {', '.join(workloads)}")
    return workloads[name]
