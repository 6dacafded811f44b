"""Self-play: one policy drives every road user of every world and learns from all of them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from gigalane.core.files import replacing
from gigalane.core.kernels import require_device
from gigalane.maps.compile import CompileSettings, compile_maps
from gigalane.maps.road import RoadMap
from gigalane.policies.actor_critic import AnyPolicy
from gigalane.render.appearance import VARIED
from gigalane.render.birdview import BirdviewSettings
from gigalane.render.camera import Rig
from gigalane.sim.guard import Guard
from gigalane.sim.settings import SimulatorSettings
from gigalane.sim.simulator import Simulator
from gigalane.train.learners import make_camera_driver, make_coach, make_driver
from gigalane.train.ranks import ALONE, Ranks
from gigalane.train.run_folder import refuse_begun
from gigalane.train.trainer import TrainSettings, train
from gigalane.worlds.birdview import BirdviewWorld
from gigalane.worlds.camera import CameraWorld
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
    start: AnyPolicy | None = None,
    compile_settings: CompileSettings | None = None,
    device: str = "cpu",
    ranks: Ranks = ALONE,
    eyes: BirdviewSettings | Rig | None = None,
) -> AnyPolicy:
    """Trains a policy on maps; see `gigalane.train.trainer.train` for the run's folder.

    Args:
        maps: where to drive; worlds share them out in turn.
        world: the worlds, of all ranks together.
        settings: how to learn.
        run_directory: where the run is kept.
        resume: go on from its newest state.
        sources: how the maps were named; kept in the run's folder beside the worlds' settings,
            so that the run can be taken up again. By default the maps' own names.
        on_iteration: told the figures of each iteration; returning True ends training.
        start: policy whose weights a new run begins with.
        compile_settings: how finely maps are cut and what is seen of them.
        device: where worlds and policy are, "cpu" or a CUDA device.
        ranks: processes that train together (`gigalane.train.ranks.joined_ranks`); each gets a
            block of the worlds, which are the same worlds however many ranks there are.
        eyes: the picture from above that a coach is to drive by, or the cameras of a driver that
            learns from pixels alone; without them what learns is a driver that sees sets of
            entities.

    Raises:
        SettingsError: the device is missing, or the settings do not fit the maps.
        PolicyError: see `train`.
        SimulationError: a number left all bounds; a recording of it lies in the run's folder.
    """
    with ranks.agreeing():
        if not resume and ranks.is_first:
            refuse_begun(Path(run_directory))
        first, count = ranks.share(world.worlds)
        device = ranks.device(device)
        require_device(device)
        compiled = compile_maps(maps, compile_settings)
        simulator = Simulator(
            compiled,
            replace(world, worlds=count),
            seed=settings.seed,
            device=device,
            threads=ranks.threads(settings.threads),
            first_world=first,
        )
        world_view = VectorWorld(simulator, Guard(simulator, maps, run_directory))
        make_policy = make_driver
        if isinstance(eyes, BirdviewSettings):
            world_view = BirdviewWorld(world_view, eyes, maps)
            make_policy = make_coach
        if isinstance(eyes, Rig):
            world_view = CameraWorld(world_view, eyes, maps, VARIED)
            make_policy = make_camera_driver
        if not resume and ranks.is_first:
            facts = {
                "maps": list(sources) or [road_map.name for road_map in maps],
                "world": asdict(world),
                "compile": asdict(compile_settings or CompileSettings()),
            }
            if eyes:
                facts["rig" if isinstance(eyes, Rig) else "birdview"] = asdict(eyes)
            Path(run_directory).mkdir(parents=True, exist_ok=True)
            with replacing(Path(run_directory) / WORLDS_FILE) as beside:
                beside.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    return train(
        world_view, settings, run_directory, resume, on_iteration, start, ranks, make_policy
    )
