"""How fast worlds are stepped: all stages on, new random actions at every step, rows written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import warp as wp
from numpy.typing import NDArray

from gigalane.bench.machine import check_memory, core_count, scene_bytes, wait_for
from gigalane.bench.speed import Figure, Measurement, Stopwatch, Timed, require
from gigalane.bench.workloads import Workload
from gigalane.core.kernels import load_kernels
from gigalane.core.trace import Recording, recording, trace
from gigalane.maps.compile import CompiledMap, CompileSettings
from gigalane.sim import stages
from gigalane.sim.control import ActionSpace
from gigalane.sim.simulator import Simulator

REPEATS = 7
_ACTION_BYTES = 32 * 2**20
_OUTCOME_STEPS = 5
STAGES_NOTE = (
    "stages: the same step as launches of their own, on one CPU thread; "
    "the step that the figures are of runs them fused, a world at a time"
)
STAGES_NOTE_GPU = "stages: the launches of the step, each waited for, so their sum is longer"


@dataclass(frozen=True)
class Driving:
    """What road users do after a measurement, under random actions.

    Attributes:
        active_share: share of slots in which someone acts.
        speed: mean speed of those [m/s].
        metres: mean way of those in one step, from pose to pose [m].
        changed_rows: share of their observation rows that a step changed.
        reward: mean reward of a step.
        finite: whether every reward, pose and observation is a number.
    """

    active_share: float
    speed: float
    metres: float
    changed_rows: float
    reward: float
    finite: bool

    def check(self, what: str) -> None:
        """Ends the benchmark where nobody drives.

        Raises:
            RunError: says what is wrong.
        """
        require(self.finite, what, "a reward, a pose or an observation is not a number")
        require(self.active_share > 0.5, what, f"only {self.active_share:.0%} of the slots drive")
        require(self.speed > 0.5, what, f"road users stand still (mean {self.speed:.2f} m/s)")
        require(self.metres > 0.02, what, f"road users move {self.metres:.3f} m in a step")
        require(self.changed_rows > 0.5, what, f"only {self.changed_rows:.0%} of the rows change")


class RandomActions:
    """Sets of random actions, drawn before the clock starts and written one a step."""

    def __init__(self, simulator: Simulator, seed: int = 0) -> None:
        """Draws as many sets as a little memory holds, two at least and 64 at most."""
        self.simulator = simulator
        random = np.random.default_rng(seed)
        each = simulator.scene.action.capacity
        count = int(np.clip(_ACTION_BYTES // each, 2, 64))
        drawn = [
            draw_actions(simulator.action_space, simulator.shape, random) for _ in range(count)
        ]
        self._on_device = simulator.device != "cpu"
        self._sets: list[Any] = drawn
        if self._on_device:
            self._sets = [wp.array(one, dtype=float, device=simulator.device) for one in drawn]
        else:
            self._view: NDArray[np.float32] = simulator.scene.action.numpy()
        self._next = 0

    def step(self, move: Callable[[], object]) -> None:
        """Writes the next set and moves the worlds."""
        actions = self._sets[self._next]
        self._next = (self._next + 1) % len(self._sets)
        if self._on_device:
            wp.copy(self.simulator.scene.action, actions)
        else:
            self._view[...] = actions
        move()


def draw_actions(
    space: ActionSpace, shape: tuple[int, int], random: np.random.Generator
) -> NDArray[np.float32]:
    """Random actions as `SceneArrays.action` holds them, (worlds, agents, 3)."""
    actions = np.zeros((*shape, 3), np.float32)
    if space.is_discrete:
        actions[..., 0] = random.integers(0, space.choices, shape)
    else:
        actions[..., : space.size] = random.normal(0, space.scale, (*shape, space.size))
    return actions


def make_simulator(
    workload: Workload,
    device: str,
    threads: int,
    maps: Sequence[CompiledMap] | None = None,
) -> Simulator:
    """The worlds of a workload.

    Args:
        workload: what to make.
        device: where.
        threads: CPU threads.
        maps: its maps, where they are at hand; otherwise they are opened and compiled.

    Raises:
        SettingsError: if they do not fit in memory, which is said before maps are opened, or
            maps are missing.
    """
    needed = scene_bytes(workload.world, workload.compile) + 2 * 12 * workload.agents  # actions
    check_memory(f"workload {workload.name}", needed, device)
    maps = workload.compiled_maps() if maps is None else maps
    return Simulator(maps, workload.world, seed=0, device=device, threads=threads)


def bench_simulator(
    workload: Workload,
    *,
    device: str = "cpu",
    threads: int = 0,
    repeats: int = 0,
    traced: bool = False,
) -> Measurement:
    """Measures agent-steps a second.

    Args:
        workload: what to step.
        device: where.
        threads: CPU threads; 0 is one a core.
        repeats: how often; 0 is the usual number.
        traced: also time the stages one by one.

    Raises:
        SettingsError: if maps are missing or memory does not suffice.
        RunError: if the road users do not drive any more.
    """
    threads, repeats = threads or core_count(), repeats or REPEATS
    simulator = make_simulator(workload, device, threads)
    watch = Stopwatch(device)
    actions = RandomActions(simulator)
    timed = time_steps(workload, actions, watch, repeats)
    driving = observe_driving(actions)
    driving.check(f"workload {workload.name}")
    recorded = time_stages(workload, actions).tree() if traced else []
    note = STAGES_NOTE if device == "cpu" else STAGES_NOTE_GPU
    return Measurement(
        "sim",
        figures_of(workload, timed),
        asdict(driving),
        settings_of(workload, simulator),
        threads=threads,
        repeats=repeats,
        stages=recorded,
        note=note if traced else "",
        **watch.facts(),
    )


def time_steps(
    workload: Workload, actions: RandomActions, watch: Stopwatch, repeats: int
) -> list[Timed]:
    """Warms up, then times `repeats` runs of the workload's steps."""
    move = actions.simulator.step

    def run(steps: int) -> None:
        for _ in range(steps):
            actions.step(move)

    run(workload.steps(workload.warm_up))
    return [watch.time(lambda: run(workload.steps(workload.measured))) for _ in range(repeats)]


def figures_of(workload: Workload, timed: Sequence[Timed]) -> dict[str, Figure]:
    """Rate by the clock on the wall, and cost in time computed."""
    count = workload.steps(workload.measured) * workload.agents
    rates = [count / one.wall_s for one in timed]
    costs = [one.cpu_s / count * 1e9 for one in timed]
    return {
        "agent_steps_per_s": Figure.of(rates, "1/s", more_is_better=True),
        "cpu_ns_per_agent_step": Figure.of(costs, "ns", more_is_better=False),
    }


def settings_of(workload: Workload, simulator: Simulator | None = None) -> dict[str, Any]:
    """All that was chosen, for the record."""
    found = {
        "workload": workload.name,
        "description": workload.description,
        "maps": list(workload.maps),
        "world": asdict(workload.world),
        "compile": asdict(workload.compile or CompileSettings()),
    }
    if simulator is not None:
        found["observation_width"] = simulator.layout.width
    return found


def observe_driving(actions: RandomActions) -> Driving:
    """Steps a little further and looks at what the road users do."""
    simulator = actions.simulator
    scene = simulator.scene
    looked: list[tuple[float, ...]] = []
    finite = True
    for _ in range(_OUTCOME_STEPS):
        # .numpy() is a view on the CPU, and the step changes it.
        began, seen = scene.body.numpy().copy(), scene.observation.numpy().copy()
        drove = scene.active.numpy().astype(bool)
        actions.step(simulator.step)
        wait_for(simulator.device)
        ended, rows, reward = scene.body.numpy(), scene.observation.numpy(), scene.reward.numpy()
        way = np.hypot(ended["x"] - began["x"], ended["y"] - began["y"])[drove]
        changed = (rows != seen).any(axis=-1)[drove]
        now = scene.active.numpy().astype(bool)
        finite &= bool(
            np.isfinite(reward).all() and np.isfinite(way).all() and np.isfinite(rows[now]).all()
        )
        looked.append(
            (
                float(drove.mean()),
                _mean(np.abs(ended["speed"][drove])),
                _mean(way),
                _mean(changed),
                _mean(reward[drove]),
            )
        )
    return Driving(*(float(np.mean(column)) for column in zip(*looked, strict=True)), finite=finite)


def time_stages(workload: Workload, actions: RandomActions) -> Recording:
    """Runs steps as launches of their own, each in a stage of the recording."""
    simulator = actions.simulator
    waiting = wp.zeros(simulator.shape[0], dtype=int, device=simulator.device)
    parts = (simulator.rules, simulator._lane_tokens, simulator.road, simulator.scene)
    load_kernels(stages.observe_stage, simulator.device, stages.BLOCK)
    _, launches = stages.record_stages(*parts, waiting)
    names = [launch.kernel.key.removesuffix("_stage") for launch in launches]
    steps = workload.steps(workload.measured // 4)

    def move() -> None:
        with trace("step"):
            for name, launch in zip(names, launches, strict=True):
                with trace(name):
                    launch.launch()
                    wait_for(simulator.device)

    with recording() as recorded:
        for _ in range(steps):
            actions.step(move)
    return recorded


def _mean(numbers: NDArray[Any]) -> float:
    """The mean, 0 of nothing."""
    return float(numbers.mean()) if numbers.size else 0.0
