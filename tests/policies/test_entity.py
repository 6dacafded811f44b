import pytest
import torch
from rows_apart import check_rows_apart

from gigalane.policies.entity import EntityPolicy, EntitySettings
from gigalane.sim.control import ActionSpace
from gigalane.sim.layout import ObservationLayout

LAYOUT = ObservationLayout(given=10, road=7, partners=3, controls=2)
DISCRETE = ActionSpace("jerk12", 12, 1)
CONTINUOUS = ActionSpace("jerk", 0, 2)


def random_policy(
    action_space: ActionSpace = DISCRETE, settings: EntitySettings | None = None
) -> EntityPolicy:
    torch.manual_seed(0)
    policy = EntityPolicy(LAYOUT, action_space, settings)
    with torch.no_grad():  # a first policy is nearly uniform, which would hide differences
        policy.action_head.weight.normal_()
    return policy


def random_observation(rows: int) -> torch.Tensor:
    return torch.randn(rows, LAYOUT.width, generator=torch.Generator().manual_seed(1)).half()


def test_a_row_gives_the_same_bits_in_any_batch_and_on_any_number_of_threads(fast_precision):
    policy = random_policy()
    policy.set_precision(fast_precision)
    parts = ((0, 1), (700, 701), (3, 900), (1299, 1300))
    check_rows_apart(policy, random_observation(1300), parts)


@pytest.mark.parametrize(
    "settings",
    [
        EntitySettings(trunk=(20,)),  # fills no panel: torch computes it, on padded chunks
        EntitySettings(encoder_width=32),
        EntitySettings(trunk=(48,), separate_critic=True),
    ],
)
def test_rows_keep_their_bits_in_networks_of_other_sizes(settings):
    check_rows_apart(random_policy(settings=settings), random_observation(600), ((400, 401),))


@pytest.mark.parametrize("settings", [EntitySettings(), EntitySettings(separate_critic=True)])
@pytest.mark.parametrize("action_space", [DISCRETE, CONTINUOUS])
def test_decisions_have_the_shapes_of_the_action_space(settings, action_space):
    policy = random_policy(action_space, settings)
    decision = policy.decide(random_observation(5), torch.Generator().manual_seed(0))
    assert decision.action.shape == ((5,) if action_space.is_discrete else (5, 2))
    assert decision.log_prob.shape == decision.value.shape == (5,)
    greedy = policy.act(random_observation(5), greedy=True)
    assert torch.equal(greedy, policy.act(random_observation(5), greedy=True))


def test_first_policy_is_nearly_uniform():
    torch.manual_seed(0)
    distribution, _ = EntityPolicy(LAYOUT, DISCRETE).evaluate(random_observation(50))
    probabilities = distribution.log_probabilities.exp()
    assert (probabilities - 1 / 12).abs().max() < 0.02


def test_what_is_given_does_not_enter_the_seen_slots():
    policy = random_policy()
    body, seen = policy.actor, {}
    for name in ("road", "partners", "controls"):
        encoder = getattr(body, name)
        encoder.register_forward_hook(lambda _m, _i, out, name=name: seen.update({name: out}))
    observation = random_observation(4)
    policy.evaluate(observation)
    before = {name: out.clone() for name, out in seen.items()}
    observation[:, : LAYOUT.given] += 1
    policy.evaluate(observation)
    for name, out in before.items():
        assert torch.equal(seen[name], out)


def test_every_slot_reaches_the_logits():
    policy = random_policy()
    observation = random_observation(4)
    before, _ = policy.evaluate(observation)
    starts = [0, LAYOUT.road_start, LAYOUT.partners_start, LAYOUT.controls_start]
    stops = [*starts[1:], LAYOUT.controls_start + LAYOUT.controls * 6]
    for start, stop in zip(starts, stops, strict=True):
        changed = observation.clone()
        changed[:, start:stop] *= 2
        after, _ = policy.evaluate(changed)
        assert not torch.equal(after.log_probabilities, before.log_probabilities)


def test_critic_of_its_own_shares_nothing_with_the_actor():
    policy = random_policy(settings=EntitySettings(separate_critic=True))
    _, value = policy(random_observation(4))
    value.sum().backward()
    assert all(parameter.grad is None for parameter in policy.actor.parameters())
    assert all(parameter.grad is not None for parameter in policy.critic.parameters())


def test_peer_preset_has_as_many_parameters_as_the_peer():
    layout = ObservationLayout(given=52, road=48, partners=16, controls=4)
    policy = EntityPolicy(layout, DISCRETE, EntitySettings.peer())
    count = sum(parameter.numel() for parameter in policy.parameters())
    assert count == pytest.approx(614_000, rel=0.01)


def test_gigaflow_preset_has_about_three_million_parameters_each():
    layout = ObservationLayout(given=48, road=160, partners=20, controls=5)
    policy = EntityPolicy(layout, DISCRETE, EntitySettings.gigaflow())
    count = sum(parameter.numel() for parameter in policy.actor.parameters())
    assert 2e6 < count < 4e6
