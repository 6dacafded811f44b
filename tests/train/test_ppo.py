from dataclasses import replace

import pytest
import torch

from gigalane.policies import entity
from gigalane.policies.entity import EntityPolicy, EntitySettings
from gigalane.sim.control import ActionSpace
from gigalane.sim.layout import ObservationLayout
from gigalane.train.ppo import PPO, Batch, PPOSettings, explained_variance
from weights import weights

LAYOUT = ObservationLayout(given=6, road=4, partners=2, controls=1)
COUNT = 500


def small_policy(action_space: ActionSpace | None = None) -> EntityPolicy:
    torch.manual_seed(0)
    space = action_space or ActionSpace("jerk12", 12, 1)
    return EntityPolicy(LAYOUT, space, EntitySettings(trunk=(32,)))


def random_batch(policy: EntityPolicy, log_prob_shift: float = 0.0) -> Batch:
    generator = torch.Generator().manual_seed(1)
    observation = torch.randn(COUNT, LAYOUT.width, generator=generator).half()
    decision = policy.decide(observation, generator)
    advantage = torch.randn(COUNT, generator=generator)
    shift = log_prob_shift * torch.randn(COUNT, generator=generator)
    returns = torch.randn(COUNT, generator=generator)
    dt = torch.full((COUNT,), 0.3)
    return Batch(observation, decision.action, decision.log_prob + shift, advantage, returns, dt)


def updated(threads: int = 1, **settings: float) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    policy = small_policy()
    policy.threads = threads
    learner = PPO(policy, PPOSettings(**({"minibatch": 128, "epochs": 2} | settings)))
    kept = torch.arange(0, COUNT, 2)
    generator = torch.Generator().manual_seed(0)
    figures = learner.update(random_batch(small_policy(), 0.3), kept, 1e-3, generator)
    return weights(policy), figures


def test_gradient_over_padded_chunks_is_that_of_the_textbook_loss(monkeypatch):
    # 250 rows: three whole chunks and one padded
    monkeypatch.setitem(entity.GRADIENT_ROWS, "cpu", 64)
    policy = small_policy()
    settings = PPOSettings(minibatch=1000)
    learner, batch = PPO(policy, settings), random_batch(policy, 0.3)
    kept = torch.arange(0, COUNT, 2)
    advantage = batch.advantage[kept]
    mean, scale = advantage.mean(), advantage.std(correction=0)
    (chunks,) = learner._minibatches(kept, torch.Generator().manual_seed(0))
    gradient, statistics = learner._gradient(batch, chunks, mean, scale, torch.tensor(len(kept)))

    probabilities, value = policy(batch.observation[kept])
    chosen = probabilities.log_probabilities[torch.arange(len(kept)), batch.action[kept]]
    ratio = torch.exp(chosen - batch.log_prob[kept])
    a = (advantage - mean) / scale
    unclipped, clipped = ratio * a, ratio.clamp(0.8, 1.2) * a
    policy_loss = -torch.where(unclipped < clipped, unclipped, clipped).mean()
    value_loss = ((value - batch.returns[kept]) ** 2).mean() / 2
    entropy = probabilities.entropy().mean()
    loss = policy_loss + 0.5 * value_loss - 0.01 * entropy
    expected = torch.autograd.grad(loss, learner.parameters)
    for found, wanted in zip(gradient, expected, strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-3, atol=1e-6)
    torch.testing.assert_close(statistics[0], policy_loss.detach(), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(statistics[1], value_loss.detach(), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(statistics[2], entropy.detach(), rtol=1e-4, atol=1e-6)
    outside = ((ratio < 0.8) | (ratio > 1.2)).float().mean()
    torch.testing.assert_close(statistics[4], outside)


def test_update_gives_the_same_bits_on_any_number_of_threads(monkeypatch):
    monkeypatch.setitem(entity.GRADIENT_ROWS, "cpu", 32)
    assert torch.equal(updated(threads=1)[0], updated(threads=2)[0])


def test_only_kept_transitions_are_learned_from():
    policy, batch = small_policy(), random_batch(small_policy())
    kept = torch.arange(0, COUNT, 2)
    spoiled = Batch(
        batch.observation.clone(),
        batch.action.clone(),
        batch.log_prob.clone(),
        batch.advantage.clone(),
        batch.returns.clone(),
        batch.dt,
    )
    for tensor in (spoiled.log_prob, spoiled.advantage, spoiled.returns):
        tensor[1::2] = float("nan")
    for each in (batch, spoiled):
        policy = small_policy()
        learner = PPO(policy, PPOSettings(minibatch=100, epochs=1))
        learner.update(each, kept, 1e-3, torch.Generator().manual_seed(0))
        if each is batch:
            expected = weights(policy)
    assert torch.equal(weights(policy), expected)


def test_a_step_moves_each_weight_by_its_own_gradient_however_that_lies_in_memory():
    policy = small_policy()
    learner = PPO(policy, PPOSettings(gradient_norm=1e9))
    generator = torch.Generator().manual_seed(0)
    gradient = []
    for parameter in learner.parameters:
        plain = torch.randn(parameter.shape, generator=generator)
        padded = torch.zeros(*plain.shape[:-1], plain.shape[-1] + 3)
        padded[..., : plain.shape[-1]] = plain
        transposed = plain.t().contiguous().t() if plain.dim() == 2 else plain
        gradient.append(padded[..., : plain.shape[-1]] if len(gradient) % 2 else transposed)
    before = [parameter.detach().clone() for parameter in learner.parameters]
    signs = [each.sign() for each in gradient]
    learner._step(gradient)
    for was, now, sign in zip(before, learner.parameters, signs, strict=True):
        assert torch.equal((now - was).sign(), -sign)  # the first step of Adam is ± the rate


def test_every_kept_transition_is_used_once_an_epoch():
    learner = PPO(small_policy(), PPOSettings(minibatch=48))
    kept = torch.arange(3, COUNT, 2)
    minibatches = learner._minibatches(kept, torch.Generator().manual_seed(0))
    indices = torch.cat([chunks.flatten() for chunks in minibatches])
    assert torch.equal(indices[indices >= 0].sort().values, kept)
    assert len(minibatches) == 5  # 249 / 48
    assert len({chunks.shape[1] for chunks in minibatches}) == 1


def test_short_steps_are_asked_for_less_entropy_in_proportion():
    policy, batch = small_policy(), random_batch(small_policy())
    one_chunk, one = torch.arange(COUNT)[None], torch.ones(())

    def gradient(dt: float, weight: float) -> torch.Tensor:
        learner = PPO(policy, PPOSettings(entropy_weight=weight))
        same = replace(batch, dt=torch.full((COUNT,), dt))
        parts, _ = learner._gradient(same, one_chunk, 0 * one, one, COUNT * one)
        return torch.cat([part.flatten() for part in parts])

    bonus = gradient(0.3, 1.0) - gradient(0.3, 0.0)
    assert bonus.norm() > 1e-4
    torch.testing.assert_close(
        gradient(0.1, 1.0) - gradient(0.1, 0.0), bonus / 3, rtol=1e-2, atol=1e-6
    )


def test_policy_moves_towards_better_actions_and_value_towards_returns():
    policy = small_policy()
    batch = random_batch(policy)
    better = Batch(
        batch.observation,
        batch.action,
        batch.log_prob,
        (batch.action < 6).float(),
        torch.full((COUNT,), 2.0),
        batch.dt,
    )
    learner = PPO(policy, PPOSettings(minibatch=125, epochs=20))
    figures = learner.update(better, torch.arange(COUNT), 1e-2, torch.Generator().manual_seed(0))
    distribution, value = policy.evaluate(batch.observation)
    assert distribution.log_probabilities.exp()[:, :6].sum(-1).mean() > 0.6
    assert float((value - 2).abs().mean()) < 0.5
    assert all(torch.isfinite(figure) for figure in figures.values())


def test_target_kl_ends_the_epochs_early():
    _, free = updated(epochs=6, learning_rate=1e-3)
    _, guarded = updated(epochs=6, learning_rate=1e-3, target_kl=1e-6)
    assert guarded["kl"] < free["kl"]


def test_continuous_actions_learn_too():
    policy = small_policy(ActionSpace("jerk", 0, 2))
    learner = PPO(policy, PPOSettings(minibatch=250))
    before = weights(policy)
    batch = random_batch(policy)
    learner.update(batch, torch.arange(COUNT), 1e-3, torch.Generator().manual_seed(0))
    assert not torch.equal(weights(policy), before)
    assert torch.isfinite(weights(policy)).all()


def test_explained_variance_is_one_for_truth_and_zero_for_a_constant():
    returns = torch.tensor([1.0, 2.0, 4.0])
    assert float(explained_variance(returns, returns)) == 1
    assert float(explained_variance(torch.full((3,), 7.0), returns)) == pytest.approx(0)


def test_settings_that_cannot_learn_are_refused():
    for change in ({"epochs": 0}, {"minibatch": 0}, {"learning_rate": 0.0}, {"clip": -1.0}):
        with pytest.raises(ValueError, match="ppo:"):
            PPOSettings(**change)
