"""Records paired frames from the simulator: the teacher drives, disturbed now and then.

So there are states, too, in which it would not be by itself; looks are drawn anew every few
steps. See `gigalane.teach.paired_frames` for what is written.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor

from gigalane.acting.perturbed import Perturbation, PerturbedActor
from gigalane.core.settings import SettingsError
from gigalane.maps.compile import compile_maps
from gigalane.maps.road import RoadMap
from gigalane.networks.chunks import one_torch_thread
from gigalane.policies.entity import EntityPolicy
from gigalane.render.appearance import VARIED, Appearance
from gigalane.render.camera import Rig
from gigalane.rollout import roll_out
from gigalane.sim.guard import Guard
from gigalane.sim.settings import SimulatorSettings
from gigalane.sim.simulator import Simulator
from gigalane.teach.paired_frames import FrameWriter, PairedFrames, open_frames
from gigalane.teach.teaching import TEACHING_WORLD
from gigalane.worlds.camera import CameraWorld
from gigalane.worlds.vector import VectorWorld
from gigalane.worlds.world import World

STILL_STEPS = 5
"""Steps after a new look of which nothing is kept: nothing is remembered of before it, so less
than half a second of motion would be seen in worlds of short steps."""


@dataclass(frozen=True)
class RecordSettings:
    """How frames are recorded.

    Attributes:
        frames: how many.
        every: of so many frames one is kept, by chance: those of one car in a row are alike.
        steps: steps between two looks of the worlds; of the first few nothing is kept.
        perturbation: how often chance drives.
        appearance: what looks are drawn from.
        world: the worlds.
        seed: of everything random.
        threads: of the simulator; 0 is one a core.
    """

    frames: int = 20_000
    every: int = 5
    steps: int = 20
    perturbation: Perturbation = field(default_factory=Perturbation)
    appearance: Appearance = VARIED
    world: SimulatorSettings = field(default_factory=lambda: TEACHING_WORLD)
    seed: int = 0
    threads: int = 0

    def __post_init__(self) -> None:
        """Refuses what records nothing."""
        if min(self.frames, self.every, self.steps) < 1:
            raise SettingsError("record: frames, every and steps must be at least 1")


def record_frames(
    maps: Sequence[RoadMap],
    teacher: EntityPolicy,
    rig: Rig,
    settings: RecordSettings,
    folder: str | os.PathLike[str],
    on_progress: Callable[[float], None] | None = None,
) -> PairedFrames:
    """Drives about and writes what is seen.

    Args:
        maps: where to drive; worlds share them out in turn.
        teacher: who drives.
        rig: the cameras.
        settings: how.
        folder: where to write.
        on_progress: told the share done, 0 to 1.

    Raises:
        SettingsError: the teacher is shown other things than the worlds show, or the folder
            holds frames already.
        SimulationError: a number left all bounds.
    """
    simulator = Simulator(
        compile_maps(maps),
        replace(settings.world, action=teacher.action_space.name),
        seed=settings.seed,
        threads=settings.threads or None,
    )
    check_teacher(teacher, simulator.layout)
    vector = VectorWorld(simulator, Guard(simulator, maps, folder))
    world = CameraWorld(vector, rig, maps, settings.appearance)
    actor = PerturbedActor(teacher, world.row_count, settings.perturbation, settings.seed + 1)
    writer = FrameWriter(Path(folder), rig, vector.layout)
    recorder = _Recorder(writer, settings)
    look = 0
    with one_torch_thread():
        while writer.count < settings.frames:
            seed = settings.appearance.seed + 100_000 * settings.seed + look
            world.change_appearance(replace(settings.appearance, seed=seed))
            roll_out(world, actor, settings.steps, recorder)
            world.check()
            look += 1
            if on_progress:
                on_progress(min(1.0, writer.count / settings.frames))
    writer.close()
    return open_frames(Path(folder))


def check_teacher(teacher: EntityPolicy, layout: object) -> None:
    """Refuses a teacher with other observation settings.

    Raises:
        SettingsError: it has.
    """
    if teacher.layout != layout:
        raise SettingsError(
            f"teacher: it observes {teacher.layout}, the frames show {layout}; use the observation "
            "settings it was trained with"
        )


class _Recorder:
    """An observer that hands frames to a writer."""

    def __init__(self, writer: FrameWriter, settings: RecordSettings) -> None:
        self.writer, self.settings = writer, settings
        self.generator = torch.Generator().manual_seed(settings.seed + 2)

    def before(self, step: int, world: World, actions: Tensor) -> None:
        """Keeps some rows, once the images of before are from before."""
        del actions
        assert isinstance(world, CameraWorld)
        chance = torch.rand(world.row_count, generator=self.generator)
        if step < min(STILL_STEPS, self.settings.steps - 1):
            return
        wanted = world.active & world.learn & (chance * self.settings.every < 1.0)
        missing = self.settings.frames - self.writer.count
        rows = wanted.nonzero().squeeze(-1)[: max(0, missing)]
        if len(rows):
            images = world.layout.images_of(world.observation)[rows]
            self.writer.add(images, world.vector.observation[rows])

    def after(self, step: int, world: World) -> None:
        """Nothing to keep."""
