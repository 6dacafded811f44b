"""How far a student's mind is from its teacher's, on roads that the teacher drives.

The open-loop error: nothing comes of what the student thinks. It says little about how well it
drives, which is why it stands beside the closed-loop score and not in its place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from gigalane.acting.futures import TeacherFutures
from gigalane.acting.policy import PolicyActor
from gigalane.core.settings import SettingsError
from gigalane.evals.evaluate import EvaluateSettings, make_simulator
from gigalane.evals.eyes import world_for
from gigalane.maps.compile import compile_map
from gigalane.maps.road import RoadMap
from gigalane.networks.chunks import one_torch_thread
from gigalane.networks.distributions import Categorical
from gigalane.networks.plans import PLAN_INTERVAL_S, distances
from gigalane.policies.camera import CameraPolicy
from gigalane.policies.entity import EntityPolicy
from gigalane.worlds.camera import CameraWorld
from gigalane.worlds.vector import VectorWorld


@dataclass(frozen=True)
class PlanError:
    """How far the plan with the highest score is from where the teacher would go.

    Attributes:
        difference: mean absolute difference of x, y [m] and yaw [rad], as plans are taught.
        metres_2s: mean distance of the poses of the first two seconds [m] (average displacement).
        metres_4s: the same of all four seconds [m].
        frames: how many there were in which the teacher comes through.
    """

    difference: float
    metres_2s: float
    metres_4s: float
    frames: int


@dataclass(frozen=True)
class OpenLoop:
    """What was found, as means over frames.

    Attributes:
        divergence: KL(teacher || student) [nat].
        agreement: share of the frames in which both would do the same.
        frames: how many there were.
        plan: of students that plan.
    """

    divergence: float
    agreement: float
    frames: int
    plan: PlanError | None = None


def open_loop(
    student: CameraPolicy,
    teacher: EntityPolicy,
    maps: Sequence[RoadMap],
    settings: EvaluateSettings,
    *,
    every: int = 5,
) -> OpenLoop:
    """Compares a student with its teacher while the teacher drives.

    Args:
        student: who looks.
        teacher: who drives.
        maps: where.
        settings: as for an evaluation; each world runs for the time of one episode.
        every: steps between two comparisons.

    Raises:
        SettingsError: the two do not act alike.
    """
    if student.action_space != teacher.action_space:
        raise SettingsError(
            f"student: acts in {student.action_space.name}, its teacher in "
            f"{teacher.action_space.name}; compare it with its own teacher"
        )
    sums, frames = torch.zeros(2, dtype=torch.float64), 0
    plan_sums, plan_frames = torch.zeros(3, dtype=torch.float64), 0
    for road_map in maps:
        episodes = settings.episodes / len(maps)
        simulator = make_simulator(teacher, road_map, compile_map(road_map), settings, episodes)
        inner = VectorWorld(simulator)
        world = world_for(student, inner, [road_map], settings.appearance)
        assert isinstance(world, CameraWorld)
        actor = PolicyActor(teacher)
        futures = TeacherFutures(simulator, teacher) if student.settings.proposals else None
        with one_torch_thread():
            for step in range(round(settings.seconds / settings.dt)):
                if step % every == 0:
                    rows = inner.learn.nonzero().squeeze(-1)
                    theirs, _ = teacher.evaluate(inner.observation[rows])
                    ours, _ = student.evaluate(world.observation[rows])
                    assert isinstance(ours, Categorical)
                    sums[0] += theirs.kl(ours).double().sum()
                    sums[1] += (teacher.settle(theirs) == student.settle(ours)).sum()
                    frames += len(rows)
                    if futures is not None:
                        future = futures.look()
                        rows = future.rows[future.valid]
                        plans = student.plan(world.observation[rows]).best()
                        plan_sums += plan_errors(plans, future.poses[future.valid]).sum(0)
                        plan_frames += len(rows)
                world.step(actor.act(inner))
    divergence, agreement = (sums / max(1, frames)).tolist()
    plan = None
    if student.settings.proposals:
        difference, first, whole = (plan_sums / max(1, plan_frames)).tolist()
        plan = PlanError(difference, first, whole, plan_frames)
    return OpenLoop(divergence, agreement, frames, plan)


def plan_errors(plans: Tensor, futures: Tensor) -> Tensor:
    """The first three numbers of `PlanError` for each frame.

    Args:
        plans: (frames, PLAN_POSES, 3).
        futures: (frames, PLAN_POSES, 3).

    Returns:
        (frames, 3) float64.
    """
    gaps = (plans - futures)[..., :2].norm(dim=-1)
    first = gaps[:, : round(2.0 / PLAN_INTERVAL_S)]
    difference = distances(plans[:, None], futures).squeeze(1)
    return torch.stack((difference, first.mean(-1), gaps.mean(-1)), -1).double()
