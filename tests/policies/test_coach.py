from dataclasses import replace

import pytest
import torch
from rows_apart import check_rows_apart

from gigalane.core.settings import SettingsError
from gigalane.networks.birdview import BirdviewLayout
from gigalane.policies.checkpoint import load_policy, save_policy
from gigalane.policies.coach import HIGH, LOW, CoachPolicy, CoachSettings
from gigalane.policies.policy import PolicyError
from gigalane.render.birdview import BirdviewSettings
from gigalane.sim.control import ACTION_SPACES

SPACE = ACTION_SPACES["acceleration_steering"]
SMALL = BirdviewLayout(BirdviewSettings.small(), 12)


def random_policy(layout: BirdviewLayout = SMALL, settings: CoachSettings | None = None):
    torch.manual_seed(0)
    policy = CoachPolicy(layout, SPACE, settings)
    with torch.no_grad():  # the first policy hardly looks, which would hide differences
        policy.action_head.weight.normal_(std=0.1)
    return policy


def random_rows(count: int, layout: BirdviewLayout = SMALL) -> torch.Tensor:
    draw = torch.Generator().manual_seed(1)
    bits = 16 if layout.birdview.bits == 16 else 32
    kind = torch.int16 if bits == 16 else torch.int32
    side = layout.birdview.pixels
    # Few pixels are set, as in a picture of a road.
    rasters = (torch.rand(count, side, side, generator=draw) < 0.1).to(kind) * 5
    rows = torch.zeros(count, layout.width, dtype=torch.uint8)
    layout.pack(rasters, torch.randn(count, layout.given, generator=draw).half(), rows)
    return rows


def test_a_row_gives_the_same_bits_in_any_batch_and_on_any_number_of_threads(fast_precision):
    policy = random_policy()
    policy.set_precision(fast_precision)
    check_rows_apart(policy, random_rows(300), ((0, 1), (127, 200), (299, 300)))


def test_every_pixel_and_every_given_number_can_change_the_decision():
    policy = random_policy()
    row = random_rows(1)
    # One bit of every 97th byte; without padding the last column of patches is left out.
    bytes_changed = torch.arange(0, SMALL.width, 97)
    changed = row.repeat(len(bytes_changed), 1)
    changed[torch.arange(len(changed)), bytes_changed] ^= 4
    before, after = (policy.evaluate(rows)[0].alpha for rows in (row, changed))
    unread = (after == before).all(1).float().mean()
    assert unread < 0.15


def test_every_weight_learns():
    policy = random_policy()
    distribution, value = policy(random_rows(8))
    loss = (distribution.entropy() + value).sum()
    for name, gradient in zip(
        dict(policy.named_parameters()),
        torch.autograd.grad(loss, list(policy.parameters())),
        strict=True,
    ):
        assert gradient.abs().sum() > 0, name
        assert gradient.isfinite().all(), name


def test_the_first_policy_drives_off_gently_and_straight_whatever_it_sees():
    torch.manual_seed(0)
    policy = CoachPolicy(SMALL, SPACE)
    distribution, _ = policy.evaluate(random_rows(64))
    mean = distribution.mean()
    assert mean[:, 0].mean() == pytest.approx(0.0, abs=0.3)  # 3 / 4.5 of -5 to 2.5 m/s²
    assert mean[:, 1].abs().max() < 0.1
    draws = distribution.sample(torch.Generator().manual_seed(0))
    assert (draws >= torch.tensor(LOW)).all() and (draws <= torch.tensor(HIGH)).all()
    mode = policy.act(random_rows(64), greedy=True)
    assert (mode[:, 0] > 0.5).all()  # asked for its best it sets off


def test_decisions_follow_from_the_features():
    policy = random_policy()
    rows = random_rows(5)
    features = policy.features(rows)
    assert features.shape == (5, policy.settings.join[-1])
    wanted, found = policy.parameters_and_value(rows), policy.respond(features)
    assert torch.equal(wanted[0], found[0]) and torch.equal(wanted[1], found[1])


def test_the_papers_sizes_are_roachs():
    layout = BirdviewLayout(BirdviewSettings(), 52)
    policy = random_policy(layout, CoachSettings.paper())
    assert [tuple(layer.weight.shape[:1]) for layer in policy.convolutions] == [
        (8,), (16,), (32,), (64,), (128,), (256,),
    ]  # fmt: skip
    # 192 -> 94 -> 45 -> 21 -> 10 -> 4 -> 2 pixels of 256 channels, and 256 of the state.
    assert policy.join.layers[0].in_features == 256 * 2 * 2 + 256
    assert policy.features(random_rows(2, layout)).shape == (2, 256)


def test_what_makes_no_coach_is_refused():
    with pytest.raises(SettingsError, match="not in jerk12"):
        CoachPolicy(SMALL, ACTION_SPACES["jerk12"])
    with pytest.raises(SettingsError, match="a kernel of 3 on an image of 2"):
        CoachPolicy(SMALL, SPACE, CoachSettings.paper())
    with pytest.raises(SettingsError, match="at least one convolution"):
        CoachSettings(convolutions=())
    with pytest.raises(SettingsError, match="at least 1"):
        CoachSettings(heads=(0,))


def test_a_coach_comes_back_from_its_file_with_its_eyes(tmp_path):
    policy = random_policy(settings=replace(CoachSettings(), heads=(32, 16)))
    path = tmp_path / "coach.safetensors"
    save_policy(policy, path, precision="fp32")
    again = load_policy(path)
    assert isinstance(again, CoachPolicy)
    assert (again.layout, again.settings) == (policy.layout, policy.settings)
    rows = random_rows(5)
    wanted, found = policy.evaluate(rows), again.evaluate(rows)
    assert torch.equal(wanted[0].alpha, found[0].alpha)
    assert torch.equal(wanted[1], found[1])


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (b'\\"kind\\": \\"coach\\"', b'\\"kind\\": \\"couch\\"', "kind 'couch'"),
        (b'\\"pixels\\": 64', b'\\"pixels\\": 65', "pixels=65"),
        (b'\\"join\\": [256', b'\\"join\\": [128', "has shape"),
        (b'\\"heads\\"', b'\\"hands\\"', "unknown setting 'hands'"),
    ],
)
def test_a_file_of_another_kind_or_other_sizes_is_refused_in_one_line(tmp_path, old, new, reason):
    path = tmp_path / "coach.safetensors"
    save_policy(random_policy(), path)
    data = path.read_bytes()
    assert data.count(old) == 1 and len(old) == len(new)
    path.write_bytes(data.replace(old, new))
    with pytest.raises(PolicyError) as error:
        load_policy(path)
    assert reason in str(error.value)
    assert str(path) in str(error.value) and "\n" not in str(error.value)
