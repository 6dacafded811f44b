"""What a teacher would do from here: trajectory targets out of a forked simulator (Gigapixel).

At a state that a student has led its worlds to, a second simulator takes over that state, the
teacher drives every road user of it for four seconds in self-play, and each road user's own
future becomes the target of its plan (arXiv 2606.19641, stage 2). The first simulator is only
read. The second is made once; taking a state over is a copy from memory to memory.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
import warp as wp
from torch import Tensor

from gigalane.acting.poses import along_arc, distance_share, point_ahead, seen_from
from gigalane.core.settings import SettingsError
from gigalane.networks.chunks import one_torch_thread
from gigalane.networks.plans import PLAN_INTERVAL_S, PLAN_POSES, turns
from gigalane.policies.policy import Policy
from gigalane.sim.events import COLLIDED, MISSED_GOAL, OFF_ROAD
from gigalane.sim.scene import SceneArrays
from gigalane.sim.simulator import SHARED, Simulator
from gigalane.worlds.records import field_rows
from gigalane.worlds.vector import VectorWorld, follow_torch

HORIZON_S = PLAN_POSES * PLAN_INTERVAL_S
"""How far the teacher is followed [s]."""
FAULTS = int(COLLIDED) | int(OFF_ROAD) | int(MISSED_GOAL)
"""Facts that make a future no example to follow."""
REST_BRAKING = 3.0
"""How a car comes to rest beyond the end of its episode [m/s²] (chosen)."""
NO_TIME_OUT_S = 1e6
"""Time of an episode in the fork [s]: that the clock runs out is no driver's choice."""
NEUTRAL_JERK12 = 7.0
"""Index of the discrete action without any jerk."""


@dataclass(frozen=True)
class Futures:
    """Where the teacher would take road users in the next four seconds.

    Attributes:
        rows: (n,) int64, rows of the world they belong to, ascending.
        poses: (n, PLAN_POSES, 3) float32: x [m], y [m], yaw [rad] of the middle of the rear axle
            in its own frame at the start, every `PLAN_INTERVAL_S`. A road user that reaches its
            goal on the way comes to rest there.
        valid: (n,) bool: the teacher drives here, nothing went wrong on its way, and the row is
            one to learn from.
        is_turn: (n,) bool: see `gigalane.networks.plans.turns`.
    """

    rows: Tensor
    poses: Tensor
    valid: Tensor
    is_turn: Tensor


class TeacherFutures:
    """Follows a teacher from any state of one simulator.

    Attributes:
        simulator: whose states are looked ahead from; never changed.
        teacher: who drives in the fork, taking its most likely actions.
        fork: the second simulator; its state is left over from the last look.
    """

    def __init__(self, simulator: Simulator, teacher: Policy) -> None:
        """Makes the second simulator.

        Args:
            simulator: the worlds; their action space may be any.
            teacher: observes what these worlds show.

        Raises:
            SettingsError: if the teacher observes something else.
        """
        if teacher.layout != simulator.layout:
            raise SettingsError(
                f"teacher: it observes {teacher.layout}, the worlds show {simulator.layout}; "
                "use the observation settings it was trained with"
            )
        self.simulator, self.teacher = simulator, teacher
        settings = replace(
            simulator.settings, action=teacher.action_space.name, episode_s=NO_TIME_OUT_S
        )
        self.fork = Simulator(
            simulator.maps,
            settings,
            device=simulator.device,
            threads=simulator.threads,
            map_of_world=simulator.scene.map_index.numpy(),
            start=False,
        )
        self._world = VectorWorld(self.fork)
        scene = self.fork.scene
        self._boxes = wp.to_torch(scene.boxes)
        self._past_actions = wp.to_torch(scene.past_actions)
        self._count = wp.to_torch(scene.agent_count)
        self._status = wp.to_torch(scene.status)
        self._dt = wp.to_torch(scene.dt)
        self._learns = wp.to_torch(simulator.scene.learn).view(torch.bool)
        self._wheelbase = field_rows(scene.traits, "wheelbase")

    def look(self, worlds: Tensor | None = None) -> Futures:
        """Futures of all road users of some worlds from the present state.

        The cost is that of the teacher's decisions over the horizon: 40 steps of a world whose
        time step is 0.1 s, 14 at 0.3 s. Worlds that are not asked for cost nothing.

        Args:
            worlds: indices of worlds, ascending; all by default. `worlds_in_turn` spreads them.

        Returns:
            A future for every row of those worlds; where nobody drives it is not valid.
        """
        with torch.no_grad(), one_torch_thread():
            follow_torch(self.simulator.device)
            return self._look(worlds)

    def _look(self, worlds: Tensor | None) -> Futures:
        """`look` without its settings of torch."""
        self._take_over()
        count, agents = self.simulator.shape
        device = self._dt.device
        asked = torch.arange(count, device=device) if worlds is None else worlds.to(device)
        steps = torch.zeros(count, dtype=torch.int64, device=device)
        steps[asked] = torch.ceil(HORIZON_S / self._dt[asked] - 1e-3).long()
        trace, unspoilt = self._drive(steps)
        rows = (asked[:, None] * agents + torch.arange(agents, device=device)).view(-1)
        poses = self._plans(trace[:, rows], self._dt.repeat_interleave(agents)[rows], rows)
        valid = unspoilt[rows] & self._learns.view(-1)[rows]
        return Futures(rows, poses, valid, turns(poses))

    def _take_over(self) -> None:
        """Copies the present state into the fork."""
        for name in SceneArrays.vars:
            if name not in SHARED:
                wp.copy(getattr(self.fork.scene, name), getattr(self.simulator.scene, name))
        if self.fork.action_space != self.simulator.action_space:
            # Those who react late first execute what they asked for before: in the fork, nothing.
            is_index = self.fork.action_space.name == "jerk12"
            self._past_actions.fill_(NEUTRAL_JERK12 if is_index else 0.0)

    def _drive(self, steps: Tensor) -> tuple[Tensor, Tensor]:
        """Lets the teacher drive the fork.

        Args:
            steps: (worlds,) int64, how many steps of each world are wanted; 0 leaves it out.

        Returns:
            (steps + 1, rows, 4) x, y, yaw and speed of every box's middle, and (rows,) whether
            somebody drove there from the start and nothing was their fault.
        """
        world, agents = self._world, self.simulator.shape[1]
        dt = self._dt.repeat_interleave(agents)
        rows_left = steps.repeat_interleave(agents)
        most = int(steps.max())
        now = self._motion()
        trace = now.new_empty(most + 1, *now.shape)
        trace[0] = now
        goes_on = world.active.clone()
        unspoilt = goes_on.clone()
        for step in range(most):
            # A world without road users costs a step nothing.
            self._count[steps <= step] = 0
            self._status[steps <= step] = 0
            acting = (world.active & (rows_left > step)).nonzero().squeeze(-1)
            actions = world.observation.new_zeros(
                (world.row_count,)
                if world.action_space.is_discrete
                else (world.row_count, world.action_space.size),
                dtype=torch.int64 if world.action_space.is_discrete else torch.float32,
            )
            if len(acting):
                actions[acting] = self.teacher.act(world.observation[acting], greedy=True)
            world.step(actions)
            now = torch.where(goes_on[:, None], self._motion(), rested(now, dt))
            trace[step + 1] = now
            is_over = world.terminated | world.truncated
            is_fault = world.truncated | ((world.events & FAULTS) != 0)
            unspoilt &= ~(goes_on & is_over & is_fault)
            goes_on &= ~is_over
        return trace, unspoilt

    def _motion(self) -> Tensor:
        """(rows, 4) x, y [m, local frame], yaw [rad] and speed [m/s] of every box of the fork."""
        x, y, _, cos, sin, speed = self._boxes[:, :6].unbind(1)
        return torch.stack((x, y, torch.atan2(sin, cos), speed), -1).view(-1, 4)

    def _plans(self, trace: Tensor, dt: Tensor, rows: Tensor) -> Tensor:
        """Reads a trace at the times of a plan.

        Args:
            trace: (steps + 1, n, 4), see `_drive`.
            dt: (n,) time step of each [s].
            rows: (n,) which they are.

        Returns:
            (n, PLAN_POSES, 3), see `Futures`.
        """
        number = torch.arange(1, PLAN_POSES + 1, device=dt.device)
        steps = PLAN_INTERVAL_S * number / dt[:, None]
        # What lies a rounding error before a step is that step.
        before = torch.floor(steps + 1e-4).clamp(max=len(trace) - 1)
        after = (before + 1.0).clamp(max=len(trace) - 1)
        each = torch.arange(len(dt), device=dt.device)[:, None]
        start, end = trace[before.long(), each], trace[after.long(), each]
        share = distance_share(start[..., 3], end[..., 3], (steps - before).clamp(0.0, 1.0))
        middle = along_arc(start[..., :3], end[..., :3], share)
        behind = -0.5 * self._wheelbase[rows]
        origin = point_ahead(trace[0, :, :3], behind)
        return seen_from(origin[:, None], point_ahead(middle, behind[:, None]))


class RememberedFutures(TeacherFutures):
    """The same, looked up once however many ask, until it is told to forget.

    Who drives by the teacher's futures and who learns from them ask about the same moment.
    """

    def __init__(self, simulator: Simulator, teacher: Policy) -> None:
        """Knows nothing yet; see `TeacherFutures`."""
        super().__init__(simulator, teacher)
        rows = len(self._wheelbase)
        false = torch.zeros(rows, dtype=torch.bool, device=self._dt.device)
        poses = torch.zeros(rows, PLAN_POSES, 3, device=self._dt.device)
        every = torch.arange(rows, device=self._dt.device)
        self._known = Futures(every, poses, false, false.clone())
        self._is_known = torch.zeros_like(self._count, dtype=torch.bool)

    def look(self, worlds: Tensor | None = None) -> Futures:
        """See `TeacherFutures.look`."""
        count, agents = self.simulator.shape
        device = self._is_known.device
        asked = torch.arange(count, device=device) if worlds is None else worlds.to(device)
        new = asked[~self._is_known[asked]]
        if len(new):
            found = super().look(new)
            self._is_known[new] = True
            for kept, values in zip(vars(self._known).values(), vars(found).values(), strict=True):
                kept[found.rows] = values
        rows = (asked[:, None] * agents + torch.arange(agents, device=device)).view(-1)
        return Futures(*(kept[rows] for kept in vars(self._known).values()))

    def forget(self) -> None:
        """Says that the simulator has moved on."""
        self._is_known.fill_(False)


def rested(motion: Tensor, dt: Tensor) -> Tensor:
    """A car that brakes to a stand straight ahead, one time step later.

    Args:
        motion: (rows, 4) x, y, yaw, speed.
        dt: (rows,) time step [s].
    """
    x, y, yaw, speed = motion.unbind(-1)
    time = torch.minimum(dt, speed.abs() / REST_BRAKING)
    slower = speed - speed.sign() * REST_BRAKING * time
    ahead = 0.5 * (speed + slower) * time
    return torch.stack((x + ahead * yaw.cos(), y + ahead * yaw.sin(), yaw, slower), -1)


def worlds_in_turn(step: int, every: int, worlds: int) -> Tensor:
    """Worlds whose turn it is, so that each has targets every `every` steps and all steps share.

    Args:
        step: number of the step.
        every: steps from one target of a world to its next.
        worlds: how many there are.

    Returns:
        (n,) int64, ascending.
    """
    return torch.arange(worlds)[-step % every :: every]


def decisions_of(dt: float) -> int:
    """Decisions of the teacher that a future costs at a time step [s]."""
    return math.ceil(HORIZON_S / dt - 1e-3)
