"""Drives a policy or a script through worlds it has not seen and counts what happens.

Each world runs for twice the time of an episode. Episodes that begin in the first half are
counted, and each of them has the full time to end in; road users that appear later are traffic.
So no counted episode is cut short, and those that end early do not crowd the figures.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gigalane.acting.plans import PlanActor, StudentPlanner
from gigalane.acting.policy import IdleActor, PolicyActor
from gigalane.core.kernels import require_device
from gigalane.core.settings import SettingsError
from gigalane.evals.eyes import Subject, world_for
from gigalane.maps.compile import CompiledMap, compile_map
from gigalane.maps.road import RoadMap
from gigalane.metrics.episodes import EPISODE, EpisodeCounter
from gigalane.metrics.summary import Figure, summarize
from gigalane.networks.chunks import one_torch_thread
from gigalane.policies.camera import CameraPolicy
from gigalane.render.appearance import Appearance
from gigalane.rollout import Actor, Observer, roll_out
from gigalane.sim.guard import Guard
from gigalane.sim.recorder import Recorder
from gigalane.sim.recording import Recording
from gigalane.sim.scene import ACTIVE, PEDESTRIAN
from gigalane.sim.settings import (
    MAX_AGENTS,
    ActionName,
    LightSettings,
    ObservationSettings,
    PersonaSettings,
    SimulatorSettings,
    SpawnSettings,
    TrafficSettings,
)
from gigalane.sim.simulator import Simulator
from gigalane.worlds.vector import VectorWorld
from gigalane.worlds.world import World

LEAST_WORLDS = 4
"""Worlds on each map at least: intervals resample worlds."""
EPISODES_MOST = 1_000_000
"""All worlds of a map run at once; more would not fit a machine's memory."""


@dataclass(frozen=True)
class EvaluateSettings:
    """What an evaluation runs.

    Attributes:
        episodes: agent episodes to count at least, over all maps.
        agents: road users in a world; 0 derives them from `density`.
        density: vehicles per lane-kilometre, used where `agents` is 0.
        seconds: time of an episode [s].
        dt: time step [s].
        seed: of everything random.
        greedy: whether policies take their most likely action.
        record: worlds to record, the first of each map first.
        persona: how careful the drivers are asked to be.
        lights: how lights behave; by default drawn as in training.
        spawn: who appears.
        observation: what policies see.
        appearance: what the worlds look like to cameras.
    """

    episodes: int = 256
    agents: int = 0
    density: float = 10.0
    seconds: float = 60.0
    dt: float = 0.1
    seed: int = 0
    greedy: bool = True
    record: int = 0
    persona: PersonaSettings = field(default_factory=PersonaSettings.strict)
    lights: LightSettings = field(default_factory=LightSettings)
    spawn: SpawnSettings = field(default_factory=SpawnSettings)
    observation: ObservationSettings = field(default_factory=ObservationSettings)
    appearance: Appearance = field(default_factory=Appearance)

    def __post_init__(self) -> None:
        """Refuses what cannot be run."""
        for name, least, most in (
            ("episodes", 1, EPISODES_MOST),
            ("agents", 0, MAX_AGENTS),
            ("density", 1e-3, 1e4),
            ("seconds", 0.1, 1e5),
            ("dt", 0.01, 1.0),
            ("seed", 0, 2**63 - 1),
            ("record", 0, 1000),
        ):
            value = getattr(self, name)
            if not least <= value <= most:  # also where it is not a number
                raise SettingsError(f"evaluate: {name} is {value}; it must be {least} to {most:g}")

    def without_partners(self) -> EvaluateSettings:
        """The same evaluation with every policy blind to other road users."""
        return replace(self, observation=replace(self.observation, see_partners=False))


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation found.

    Attributes:
        name: of the subject.
        figures: rates and scores by name.
        episodes: the counted episodes, records of `EPISODE`.
        recordings: of the worlds that were recorded.
        settings: what was run.
        maps: names of the maps.
        seconds: wall time it took [s].
    """

    name: str
    figures: dict[str, Figure]
    episodes: NDArray[np.void]
    recordings: tuple[Recording, ...]
    settings: EvaluateSettings
    maps: tuple[str, ...]
    seconds: float

    def as_json(self) -> dict[str, Any]:
        """The figures and what they were measured on, as JSON has it."""
        return {
            "policy": self.name,
            **{name: figure.as_json() for name, figure in self.figures.items()},
            "episodes": len(self.episodes),
            "kilometres": round(float(self.episodes["metres"].sum()) / 1000.0, 3),
            "maps": list(self.maps),
            "settings": asdict(self.settings),
            "seconds": round(self.seconds, 2),
        }


def evaluate(
    name: str,
    subject: Subject,
    maps: Sequence[RoadMap],
    settings: EvaluateSettings | None = None,
    *,
    on_progress: Callable[[float], None] | None = None,
    failures: str | os.PathLike[str] = ".",
    device: str = "cpu",
) -> Evaluation:
    """Evaluates a driver closed-loop: it drives every vehicle of every world.

    Args:
        name: what to call it in the report.
        subject: a policy, or the name of a script.
        maps: where it drives.
        settings: how long, how dense, at which time step.
        on_progress: told the share done, 0 to 1.
        failures: folder for the recording of a world in which a number leaves all bounds.
        device: where worlds and policy are, "cpu" or a CUDA device.

    Returns:
        What was found.

    Raises:
        SettingsError: if the settings fit neither the maps nor the policy, or the device is
            missing.
        SimulationError: if a number left all bounds.
    """
    settings = settings or EvaluateSettings()
    began = time.perf_counter()
    require_device(device)
    if isinstance(subject, torch.nn.Module):
        subject.to(torch.device(device))
    tables: list[NDArray[np.void]] = [np.zeros(0, EPISODE)]
    recordings: list[Recording] = []
    for number, road_map in enumerate(maps):
        compiled = compile_map(road_map)
        episodes = settings.episodes / len(maps)
        simulator = make_simulator(subject, road_map, compiled, settings, episodes, device)
        inner = VectorWorld(simulator, Guard(simulator, [road_map], failures))
        world = world_for(subject, inner, [road_map], settings.appearance)
        counter = EpisodeCounter(inner, starts_before_s=settings.seconds)
        observers: list[Observer] = [counter]
        share = settings.record // len(maps) + (number < settings.record % len(maps))
        recorders = [
            Recorder(simulator, road_map, k, f"{name} on {road_map.name}, world {k}")
            for k in range(min(share, simulator.shape[0]))
        ]
        observers += [_Recording(recorder, settings) for recorder in recorders]
        if on_progress:
            observers.append(_Progress(on_progress, number, len(maps), settings))
        actor = actor_for(subject, simulator, settings)
        with one_torch_thread():
            roll_out(world, actor, _steps(settings), *observers)
            inner.check()
        table = counter.table()
        # World numbers go on counting from map to map, so that all can be resampled together.
        table["world"] += 1_000_000 * number
        tables.append(table)
        recordings += [recorder.recording() for recorder in recorders]
    episodes = np.concatenate(tables)
    return Evaluation(
        name=name,
        figures=summarize(episodes, settings.seed),
        episodes=episodes,
        recordings=tuple(recordings),
        settings=settings,
        maps=tuple(road_map.name for road_map in maps),
        seconds=time.perf_counter() - began,
    )


def actor_for(subject: Subject, simulator: Simulator, settings: EvaluateSettings) -> Actor:
    """Who sits at the wheels: a script has none, a policy drives by its actions or its plans."""
    if isinstance(subject, str):
        return IdleActor()
    if isinstance(subject, CameraPolicy) and subject.settings.drives == "plans":
        return PlanActor(simulator, StudentPlanner(subject))
    return PolicyActor(subject, greedy=settings.greedy, seed=settings.seed)


def action_of(subject: Subject) -> ActionName:
    """The actions of the worlds that a subject drives in."""
    if isinstance(subject, str):
        return "jerk12"
    if isinstance(subject, CameraPolicy) and subject.settings.drives == "plans":
        return "acceleration_steering"
    return subject.action_space.name


def _steps(settings: EvaluateSettings) -> int:
    """Steps of each world: twice an episode, and one for the slots to change hands."""
    return 2 * math.ceil(settings.seconds / settings.dt) + 1


def make_simulator(
    subject: Subject,
    road_map: RoadMap,
    compiled: CompiledMap,
    settings: EvaluateSettings,
    episodes: float,
    device: str = "cpu",
) -> Simulator:
    """Worlds on one map in which the subject drives every vehicle.

    Args:
        subject: who drives.
        road_map: the map.
        compiled: the same, compiled.
        settings: of the evaluation.
        episodes: agent episodes that are to begin in the first moment, at least.
        device: "cpu" or a CUDA device.

    Raises:
        SettingsError: so many road users do not fit.
    """
    agents = settings.agents or round(settings.density * road_map.lane_kilometres)
    agents = max(1, agents)
    if agents > MAX_AGENTS:
        raise SettingsError(
            f"{road_map.name}: {agents} road users in a world; at most {MAX_AGENTS} are possible: "
            "give --agents, or a lower --density"
        )
    is_script = isinstance(subject, str)
    wanted = SimulatorSettings(
        worlds=max(LEAST_WORLDS, math.ceil(episodes / agents)),
        agents=agents,
        time_steps=(settings.dt,),
        episode_s=settings.seconds,
        action=action_of(subject),
        traffic=TrafficSettings(
            scripted=1.0 if is_script else 0.0,
            script=subject if is_script else "idm",
            blind=0.0,
            braking=0.0,
            scripted_pedestrians=1.0,
        ),
        persona=settings.persona,
        lights=settings.lights,
        spawn=settings.spawn,
        observation=settings.observation,
    )
    simulator = Simulator(compiled, wanted, seed=settings.seed, device=device)
    # Pedestrians do not count, and some road users find no room at first.
    while 0 < (counted := _counted(simulator)) < episodes:
        wanted = replace(wanted, worlds=math.ceil(wanted.worlds * episodes / counted))
        simulator = Simulator(compiled, wanted, seed=settings.seed, device=device)
    return simulator


def _counted(simulator: Simulator) -> int:
    """Road users that are there and whose episodes count; each of them will end one."""
    is_there = simulator.scene.status.numpy() == ACTIVE
    return int((is_there & (simulator.scene.traits.numpy()["kind"] != PEDESTRIAN)).sum())


@dataclass
class _Recording:
    """Takes a moment for a recorder at every step, for the time of one episode."""

    recorder: Recorder
    settings: EvaluateSettings

    def before(self, step: int, world: World, actions: torch.Tensor) -> None:
        """Takes the first moment."""
        del world, actions
        if step == 0:
            self.recorder.take()

    def after(self, step: int, world: World) -> None:
        """Takes the moment after a step."""
        del world
        if (step + 1) * self.settings.dt <= self.settings.seconds + 1e-6:
            self.recorder.take()


@dataclass
class _Progress:
    """Tells how much is done."""

    tell: Callable[[float], None]
    number: int
    maps: int
    settings: EvaluateSettings

    def before(self, step: int, world: World, actions: torch.Tensor) -> None:
        """Nothing to tell."""

    def after(self, step: int, world: World) -> None:
        """Tells the share done."""
        del world
        self.tell((self.number + (step + 1) / _steps(self.settings)) / self.maps)
