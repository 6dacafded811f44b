"""Plans at the wheel: re-planned twice a second, tracked in between.

A planner says where each road user wants to be in the next four seconds; the tracker turns that
into accelerations and wheel angles, which the simulator executes within the same limits as any
other command. So whatever plans, a network or a teacher, is judged closed-loop by the same
facts as a driver of pedals and wheel.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from gigalane.acting.futures import TeacherFutures
from gigalane.acting.poses import point_ahead, seen_from, wrapped
from gigalane.acting.tracker import (
    KNOTS,
    Motion,
    Reference,
    TrackerSettings,
    pose_at,
    reference_of,
    track,
)
from gigalane.core.settings import SettingsError
from gigalane.networks.chunks import one_torch_thread
from gigalane.networks.plans import PLAN_INTERVAL_S, PLAN_POSES
from gigalane.policies.camera import CameraPolicy
from gigalane.sim.dynamics import TURNING_RATE
from gigalane.sim.scene import UNICYCLE
from gigalane.sim.simulator import Simulator
from gigalane.worlds.records import field_rows
from gigalane.worlds.world import World

WALKER_LOOKAHEAD_S = 0.5
"""A walker heads for where its plan is this much later [s] (chosen)."""


class Planner(Protocol):
    """Says where road users want to be."""

    def plan(self, world: World, rows: Tensor) -> Tensor:
        """Plans for some rows from what `world` shows now.

        Args:
            world: as the actor was given it.
            rows: (n,) int64, ascending; somebody drives in each.

        Returns:
            (n, PLAN_POSES, 3) float32, poses of the rear axle's middle in its own frame now,
            every `PLAN_INTERVAL_S`.
        """
        ...


class TeacherPlanner:
    """Plans what the teacher would do: the best a student of its futures can become."""

    def __init__(self, futures: TeacherFutures) -> None:
        """Looks ahead from the simulator that `futures` belongs to."""
        self.futures = futures

    def plan(self, world: World, rows: Tensor) -> Tensor:
        """The teacher's own futures, also where it is going to fail; see `Planner`."""
        del world
        agents = self.futures.simulator.shape[1]
        worlds = torch.unique(rows // agents)
        future = self.futures.look(worlds)
        return future.poses[torch.searchsorted(future.rows, rows)]


class StudentPlanner:
    """Plans by what cameras see: the best of what a camera policy proposes."""

    def __init__(self, student: CameraPolicy) -> None:
        """Takes a policy that has proposals."""
        self.student = student

    def plan(self, world: World, rows: Tensor) -> Tensor:
        """The proposals with the highest scores; see `Planner`."""
        return self.student.plan(world.observation[rows]).best()


class PlanActor:
    """Follows each road user's plan and asks for a new one when it is due.

    A plan is due when it is half a second old, at the first step that begins then or later, and
    when a new road user appears.

    Attributes:
        simulator: the worlds; their actions are accelerations and wheel angles.
        planner: who plans.
        settings: of the tracker.
        interval_s: time from one plan to the next [s].
    """

    def __init__(
        self,
        simulator: Simulator,
        planner: Planner,
        settings: TrackerSettings | None = None,
        interval_s: float = PLAN_INTERVAL_S,
    ) -> None:
        """Lays views on what road users know of their own motion.

        Args:
            simulator: the worlds that will be acted in.
            planner: who plans.
            settings: of the tracker.
            interval_s: time from one plan to the next [s].

        Raises:
            SettingsError: if the worlds take other actions.
        """
        if simulator.action_space.name != "acceleration_steering":
            raise SettingsError(
                f"action: plans are executed as acceleration_steering, the worlds take "
                f"{simulator.action_space.name}; set action of the simulator"
            )
        self.simulator, self.planner, self.interval_s = simulator, planner, interval_s
        self.settings = settings or TrackerSettings()
        body, traits = simulator.scene.body, simulator.scene.traits
        self._pose_fields = [field_rows(body, name) for name in ("x", "y", "heading")]
        self._speed, self._steering = field_rows(body, "speed"), field_rows(body, "steering")
        self._wheelbase = field_rows(traits, "wheelbase")
        self._model = field_rows(traits, "model", integer=True)
        self._episode = field_rows(simulator.scene.duty, "episode", integer=True)
        rows = len(self._speed)
        poses = self._speed.new_zeros(rows, KNOTS, 3)
        self._reference = Reference(poses, poses[..., 0].clone(), poses[..., 0].clone())
        self._origin = poses[:, 0].clone()  # pose of the rear axle when the plan was made
        self._age = self._speed.new_full((rows,), torch.inf)
        self._planned_episode = torch.full_like(self._episode, -1)

    def forget(self) -> None:
        """Drops all plans, so that everybody plans anew; call it after the worlds were reset."""
        self._age.fill_(torch.inf)

    def act(self, world: World) -> Tensor:
        """Re-plans where it is due and tracks everywhere.

        Returns:
            (rows, 2) float32: acceleration [m/s²] and wheel angle [rad]; zero where nobody
            drives.
        """
        with torch.no_grad(), one_torch_thread():
            is_new = self._planned_episode != self._episode
            is_due = is_new | (self._age >= self.interval_s - 1e-4)
            due = (world.active & is_due).nonzero().squeeze(-1)
            if len(due):
                self._take(due, self.planner.plan(world, due))
            actions = self._follow(world.dt)
            self._age += world.dt
            return torch.where(world.active[:, None], actions, 0.0)

    def _pose(self) -> Tensor:
        """(rows, 3) pose of every box's middle, in the map's local frame."""
        return torch.stack(self._pose_fields, -1)

    def _take(self, rows: Tensor, plans: Tensor) -> None:
        """Starts to follow plans.

        Args:
            rows: (n,) whose they are.
            plans: (n, PLAN_POSES, 3), see `Planner`.
        """
        half = 0.5 * self._wheelbase[rows]
        start = plans.new_zeros(len(rows), 1, 3)
        middle = point_ahead(torch.cat((start, plans), 1), half[:, None].expand(-1, KNOTS))
        fitted = reference_of(middle, self._speed[rows], self.settings)
        for kept, new in zip(self._reference, fitted, strict=True):
            kept[rows] = new
        self._origin[rows] = point_ahead(self._pose()[rows], -half)
        self._age[rows] = 0.0
        self._planned_episode[rows] = self._episode[rows]

    def _follow(self, dt: Tensor) -> Tensor:
        """Acceleration and wheel angle of every row, (rows, 2)."""
        age = self._age.clamp(max=PLAN_POSES * PLAN_INTERVAL_S)
        pose = seen_from(self._origin, self._pose())
        motion = Motion(pose, self._speed, self._steering, self._wheelbase)
        acceleration, rate = track(self._reference, age, motion, self.settings)
        wheel = self._steering + rate * dt
        # A walker turns on the spot: towards where its plan will be.
        aim = pose_at(self._reference, age + WALKER_LOOKAHEAD_S) - pose
        far = aim[:, 0] ** 2 + aim[:, 1] ** 2 > 0.01
        towards = torch.where(far, torch.atan2(aim[:, 1], aim[:, 0]) - pose[:, 2], aim[:, 2])
        turning = wrapped(towards) / (float(TURNING_RATE) * torch.clamp(dt, min=0.3))
        wheel = torch.where(self._model == int(UNICYCLE), turning.clamp(-1.0, 1.0), wheel)
        return torch.stack((acceleration, wheel), -1)
