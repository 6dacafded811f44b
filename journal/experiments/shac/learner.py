"""Short-horizon actor-critic (Xu et al. 2022, arXiv 2204.07137) in the simulator's worlds.

An iteration drives `horizon` steps, adds up a smooth reward and the critic's value of where they
end, and moves the actor along the gradient of that sum through policy, observation and dynamics.
Every row is its own trajectory: others go where they went. Then the critic is fitted to the
rewards and values that were found.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field

import torch
import warp as wp
from torch import Tensor

from gigalane.networks.layers import has_fast_bf16
from gigalane.policies.entity import EntityPolicy, EntitySettings
from gigalane.sim.events import EVENT_NAMES
from gigalane.train.advantage import per_step
from gigalane.worlds.vector import VectorWorld
from motion import STATE, WarpStep, bounded, clipped_action, follow
from sight import features_of
from surrogate import SurrogateSettings, surrogate_terms

GOAL_BIT = 1 << EVENT_NAMES.index("reached_goal")
HARD_TERMS = ("collision", "off_road", "stop_line")
"""Rewards of facts, which the critic learns of; they have no slope."""


@dataclass(frozen=True)
class ShortHorizonSettings:
    """How it learns.

    Attributes:
        seed: of weights and actions.
        horizon: steps that gradient flows through.
        discount: of a 0.3 s step.
        learning_rate: of the actor's Adam.
        critic_rate: of the critic's Adam.
        betas: of both (SHAC).
        gradient_norm: longest step of either gradient (SHAC).
        critic_share: share of an iteration's samples that the critic is fitted to.
        critic_steps: minibatches those are cut into.
        target_decay: of the slow copy of the critic, an iteration.
        log_std: first standard deviation of the actions, log of the share of their scale.
        end_cost: of an episode that a collision or the road's edge ends, beside the persona's
            weight; without it, going on can be worth less than an end.
        entropy: weight of the entropy [reward a nat and step].
        through: what gradient passes in the observation: "all", "given" or "none".
        surrogate: the smooth reward.
        policy: sizes; the critic has encoders and a trunk of its own.
    """

    seed: int = 0
    horizon: int = 12
    discount: float = 0.99
    learning_rate: float = 1e-3
    critic_rate: float = 1e-3
    betas: tuple[float, float] = (0.7, 0.95)
    gradient_norm: float = 1.0
    critic_share: float = 0.5
    critic_steps: int = 2
    target_decay: float = 0.95
    log_std: float = -1.0
    end_cost: float = 3.0
    entropy: float = 1e-3
    through: str = "all"
    surrogate: SurrogateSettings = field(default_factory=SurrogateSettings)
    policy: EntitySettings = field(default_factory=lambda: EntitySettings(separate_critic=True))


class ShortHorizonLearner:
    """Policy, critic, their optimisers, and one iteration of learning.

    Attributes:
        policy: what learns.
        target: slow copy whose critic values where a horizon ends.
        samples: transitions learned from so far.
        iteration: iterations done.
    """

    def __init__(self, world: VectorWorld, settings: ShortHorizonSettings, fast: bool = True):
        """Makes the policy; the world must be reset."""
        self.world, self.settings = world, settings
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            self.policy = EntityPolicy(world.layout, world.action_space, settings.policy)
        with torch.no_grad():
            self.policy.action_head.bias[world.action_space.size :] = settings.log_std
        self.policy.threads = 1
        if fast and has_fast_bf16(torch.device("cpu")):
            self.policy.set_precision("bf16")
        self.target = copy.deepcopy(self.policy).requires_grad_(False)
        actor = [*self.policy.actor.parameters(), *self.policy.action_head.parameters()]
        critic = [*self.policy.critic.parameters(), *self.policy.value_head.parameters()]
        self.actor_weights, self.critic_weights = actor, critic
        self.actor_adam = torch.optim.Adam(actor, settings.learning_rate, settings.betas)
        self.critic_adam = torch.optim.Adam(critic, settings.critic_rate, settings.betas)
        self.generator = torch.Generator().manual_seed(settings.seed)
        body = world.simulator.scene.body.numpy().reshape(-1)
        self._motion = [
            torch.from_numpy(body[name])
            for name in ("speed", "acceleration", "lateral_acceleration", "steering")
        ]
        self.worth = settings.end_cost
        self.samples = self.iteration = 0
        self.figures: dict[str, float] = {}

    def simulated(self) -> Tensor:
        """(rows, 7) the present state as the simulator has it."""
        state = torch.zeros(self.world.row_count, STATE)
        for column, values in enumerate(self._motion):
            state[:, 3 + column] = values
        return state

    def traits(self) -> wp.array:
        """A copy of what the road users are now; the next step may replace some."""
        return wp.clone(self.world.simulator.scene.traits).reshape((self.world.row_count,))

    def learn(self) -> None:
        """One iteration."""
        objective = self.drive()
        self._improve_actor(objective)
        self._improve_critic()
        self.iteration += 1

    def drive(self, noise: Tensor | None = None, critic: bool = True) -> Tensor:
        """Drives a horizon; keeps what the critic learns from.

        Args:
            noise: (horizon, rows, 2) of the actions; drawn where not given.
            critic: whether the value of the end counts.

        Returns:
            (rows,) discounted smooth reward of each row, and value of its end.
        """
        world, settings = self.world, self.settings
        self._seen, self._rewards, self._alive, self._over = [], [], [], []
        sums: dict[str, float] = {}
        objective = torch.zeros(world.row_count)
        weight = torch.ones(world.row_count)
        discount = per_step(settings.discount, world.dt.clone())
        dt = world.dt.clone()
        state, observation = self.simulated(), world.observation.clone()
        self.actions = []
        for step in range(settings.horizon):
            alive = world.active & world.learn
            action, entropy = self._act(
                observation, state, noise[step] if noise is not None else None
            )
            moved = WarpStep.apply(state, action, self.traits(), dt)
            if moved.requires_grad:
                moved.register_hook(bounded)
            before = state
            world.step(action.detach())
            over = world.terminated | world.truncated
            seen, observation = observation, world.observation.clone()
            state = follow(moved, self.simulated(), alive)
            terms = surrogate_terms(
                world.layout,
                observation,
                before,
                state,
                (before[:, 4], before[:, 5]),
                dt,
                torch.full_like(dt, self.worth),
                settings.surrogate,
            )
            reward = torch.stack(list(terms.values())).sum(0)
            objective = objective + torch.where(
                alive, weight * (reward + settings.entropy * entropy), 0.0
            )
            self._keep(seen, reward.detach() + self._facts(), alive, over)
            for name, term in terms.items():
                sums[name] = sums.get(name, 0.0) + float(term.detach()[alive].sum())
            weight = torch.where(alive & ~over, weight * discount, 1.0)
            state = torch.where(over[:, None], state.detach(), state)
        value = self._value_of_end(observation, state)
        alive = world.active & world.learn
        if critic:
            objective = objective + torch.where(alive, weight * value, 0.0)
        self._returns(torch.where(alive, value.detach(), 0.0), discount)
        count = max(1, int(torch.stack(self._alive).sum()))
        self.figures = {f"term/{k}": v / count for k, v in sums.items()}
        self.samples += count
        return objective

    def _act(self, observation: Tensor, state: Tensor, noise: Tensor | None):
        """A drawn action with its gradient, and the entropy of what it was drawn from."""
        features = features_of(self.policy.actor, observation, state, self.settings.through)
        mean, log_std = self.policy.action_head(features).chunk(2, dim=-1)
        log_std = log_std.clamp(-5.0, 1.0)
        scale = mean.new_tensor(self.world.action_space.scale)
        if noise is None:
            noise = torch.randn(mean.shape, generator=self.generator)
        action = clipped_action(scale * (mean + log_std.exp() * noise))
        self.actions.append(action)
        self.std = log_std.detach().exp().mean(0)
        return action, log_std.sum(-1)

    def _value_of_end(self, observation: Tensor, state: Tensor) -> Tensor:
        """The slow critic's value of a state, with the gradient by it."""
        features = features_of(self.target.critic, observation, state, self.settings.through)
        return self.target.value_head(features).squeeze(-1)

    def _facts(self) -> Tensor:
        """Rewards of facts in the last step."""
        names = self.world.reward_names
        terms = self.world.reward_terms
        hard = sum(terms[:, names.index(name)] for name in HARD_TERMS)
        events = self.world.events
        return (
            hard + 1.0 * ((events & GOAL_BIT) != 0) - self.settings.end_cost * ((events & 3) != 0)
        )  # bits 1 and 2: collided, off the road

    def _keep(self, seen: Tensor, reward: Tensor, alive: Tensor, over: Tensor) -> None:
        for kept, value in (
            (self._seen, seen),
            (self._rewards, reward),
            (self._alive, alive.clone()),
            (self._over, over.clone()),
        ):
            kept.append(value)

    def _returns(self, value: Tensor, discount: Tensor) -> None:
        """What each observation of the horizon was worth: rewards to its end and value there."""
        following, returns = value, []
        for reward, over in zip(reversed(self._rewards), reversed(self._over), strict=True):
            following = reward + discount * torch.where(over, 0.0, following)
            returns.append(following)
        self._found = torch.stack(returns[::-1])

    def _improve_actor(self, objective: Tensor) -> None:
        rows = len(objective)
        self.actor_adam.zero_grad()
        (-objective.sum()).backward()  # a sum, so that `bounded` sees each row by itself
        for weight in self.actor_weights:
            weight.grad /= rows
        norm = torch.nn.utils.clip_grad_norm_(self.actor_weights, self.settings.gradient_norm)
        if torch.isfinite(norm):
            self.actor_adam.step()
        self.figures |= {
            "gradient": float(norm),
            "objective": float(objective.detach().mean()),
            "std_jerk": float(self.std[0]),
            "std_lateral": float(self.std[1]),
        }

    def _improve_critic(self) -> None:
        settings = self.settings
        rows = torch.stack(self._alive).flatten().nonzero().squeeze(-1)
        seen, found = torch.stack(self._seen).flatten(0, 1), self._found.flatten()
        rows = rows[torch.randperm(len(rows), generator=self.generator)]
        rows = rows[: int(settings.critic_share * len(rows))]
        for part in rows.tensor_split(settings.critic_steps):
            value = self.policy.value_head(self.policy.critic(seen[part])).squeeze(-1)
            loss = (value - found[part]).square().mean()
            self.critic_adam.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.critic_weights, settings.gradient_norm)
            self.critic_adam.step()
        explained = 1.0 - float(loss.detach() / found[part].var().clamp(min=1e-6))
        keep = settings.target_decay
        with torch.no_grad():
            for slow, fast in zip(
                [*self.target.critic.parameters(), *self.target.value_head.parameters()],
                self.critic_weights,
                strict=True,
            ):
                slow.lerp_(fast, 1.0 - keep)
        worth = settings.end_cost + max(0.0, float(found[rows].mean()))
        self.worth = 0.9 * self.worth + 0.1 * worth
        self.figures |= {"explained": explained, "return": float(found[rows].mean())}
