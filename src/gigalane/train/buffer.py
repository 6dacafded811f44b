"""What self-play remembers of a roll-out, and who acts in it.

Everything is (steps, rows, …), allocated once and overwritten by the next roll-out.
"""

from __future__ import annotations

import torch
from torch import Tensor

from gigalane.policies.actor_critic import AnyPolicy, Decision
from gigalane.train.guidance import SILENT
from gigalane.worlds.world import AdvisedWorld, World


class SelfPlayActor:
    """Draws every row's action from one policy and remembers what it thought.

    Attributes:
        policy: who decides.
        generator: where chance comes from.
        rows_before: rows of other ranks whose draws come before this rank's, and are passed over.
        rows_after: rows of other ranks whose draws come after.
        decision: the last one.
    """

    decision: Decision

    def __init__(
        self,
        policy: AnyPolicy,
        generator: torch.Generator,
        rows_before: int = 0,
        rows_after: int = 0,
    ) -> None:
        """Puts `policy` at every wheel."""
        self.policy, self.generator = policy, generator
        self.rows_before, self.rows_after = rows_before, rows_after

    def act(self, world: World) -> Tensor:
        """Draws an action for every row."""
        self._pass_over(self.rows_before)
        self.decision = self.policy.decide(world.observation, self.generator)
        self._pass_over(self.rows_after)
        return self.decision.action

    def _pass_over(self, rows: int) -> None:
        """Leaves out the draws of other ranks' rows: one uniform number a row."""
        if rows:
            torch.rand(rows, generator=self.generator, device=self.generator.device)


class Rollout:
    """An observer that keeps the transitions of a roll-out.

    Attributes:
        observation: (steps, rows, width) as the world gives it, what the action answered to.
        action: (steps, rows) int64, or (steps, rows, size) float32.
        log_prob: (steps, rows), of the action when it was chosen.
        value: (steps + 1, rows), expected return at each observation; the last is `bootstrap`.
        reward: (steps, rows), what the action brought.
        terminated: (steps, rows) bool, no value follows.
        truncated: (steps, rows) bool, the episode was cut and the value of what follows counts.
        active: (steps, rows) bool, the transition happened.
        learn: (steps, rows) bool, and may be learned from.
        dt: (steps, rows) [s], the row's time step.
        events: (steps, rows) int32 bit masks, the facts of the step.
        advice: (steps, rows) int64, or (steps, rows, size) float32: what the scripted driver
            would have done; see `AdvisedWorld` for where it was silent or nobody asked.
        is_told: whether to ask.
    """

    def __init__(self, world: World, actor: SelfPlayActor, steps: int) -> None:
        """Allocates room for `steps` steps of `world` under `actor`."""
        rows, device, space = world.row_count, world.observation.device, world.action_space
        self.steps, self.rows, self.actor = steps, rows, actor

        def room(count: int, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
            return torch.zeros(count, rows, *shape, dtype=dtype, device=device)

        self.observation = room(steps, world.layout.width, dtype=world.observation.dtype)
        self.action = (
            room(steps, dtype=torch.int64) if space.is_discrete else room(steps, space.size)
        )
        self.advice, self.is_told = torch.full_like(self.action, SILENT), False
        self.log_prob, self.value = room(steps), room(steps + 1)
        self.reward, self.dt = room(steps), room(steps)
        self.events = room(steps, dtype=torch.int32)
        flags = [room(steps, dtype=torch.bool) for _ in range(4)]
        self.terminated, self.truncated, self.active, self.learn = flags

    def before(self, step: int, world: World, actions: Tensor) -> None:
        """Keeps what the actor saw, chose and thought."""
        decision = self.actor.decision
        self.observation[step] = world.observation
        self.action[step] = actions
        self.log_prob[step] = decision.log_prob
        self.value[step] = decision.value
        self.active[step] = world.active
        self.learn[step] = world.active & world.learn
        self.dt[step] = world.dt
        if self.is_told:
            assert isinstance(world, AdvisedWorld)
            self.advice[step] = world.advise()

    def after(self, step: int, world: World) -> None:
        """Keeps what the action brought."""
        self.reward[step] = world.reward
        self.terminated[step] = world.terminated
        self.truncated[step] = world.truncated
        self.events[step] = world.events

    def bootstrap(self, world: World) -> None:
        """Asks the policy for the value of the state that the roll-out ended in."""
        self.value[self.steps] = self.actor.policy.evaluate(world.observation)[1]
