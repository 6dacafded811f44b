"""Self-play: one policy drives every road user of every world and learns from all of them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from gigalane.core.files import replacing
from gigalane.maps.compile import CompileSettings, compile_map
from gigalane.maps.road import RoadMap
from gigalane.policies.entity import EntityPolicy
from gigalane.sim.guard import Guard
from gigalane.sim.settings import SimulatorSettings
from gigalane.sim.simulator import Simulator
from gigalane.train.trainer import TrainSettings, train
from gigalane.worlds.vector import VectorWorld

WORLDS_FILE = "worlds.json"
"""In a run's folder: its maps and the settings of its worlds."""


def self_play(
    maps: Sequence[RoadMap],
    world: SimulatorSettings,
    settings: TrainSettings,
    run_directory: str | os.PathLike[str],
    *,
    resume: bool = False,
    sources: Sequence[str] = (),
    on_iteration: Callable[[dict[str, float]], bool | None] | None = None,
    start: EntityPolicy | None = None,
    compile_settings: CompileSettings | None = None,
) -> EntityPolicy:
    """Trains a policy on maps; see `gigalane.train.trainer.train` for the run's folder.

    Args:
        maps: where to drive; worlds share them out in turn.
        world: the worlds.
        settings: how to learn.
        run_directory: where the run is kept.
        resume: go on from its newest state.
        sources: how the maps were named; kept in the run's folder beside the worlds' settings,
            so that the run can be taken up again. By default the maps' own names.
        on_iteration: told the figures of each iteration; returning True ends training.
        start: policy whose weights a new run begins with.
        compile_settings: how finely maps are cut and what is seen of them.

    Raises:
        SimulationError: a number left all bounds; a recording of it lies in the run's folder.
    """
    compiled = [compile_map(road_map, compile_settings) for road_map in maps]
    simulator = Simulator(compiled, world, seed=settings.seed, threads=settings.threads or None)
    guard = Guard(simulator, maps, run_directory)
    world_view = VectorWorld(simulator, guard)
    if not resume:
        facts = {
            "maps": list(sources) or [road_map.name for road_map in maps],
            "world": asdict(world),
            "compile": asdict(compile_settings or CompileSettings()),
        }
        Path(run_directory).mkdir(parents=True, exist_ok=True)
        with replacing(Path(run_directory) / WORLDS_FILE) as beside:
            beside.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    return train(world_view, settings, run_directory, resume, on_iteration, start)
