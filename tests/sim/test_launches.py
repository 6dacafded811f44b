"""What a GPU runs, run on a CPU: the same bits as the fused form, one piece after another."""

import numpy as np
import pytest
import torch
import warp as wp

from gigalane.core.settings import SettingsError
from gigalane.sim.launches import StagedLaunches, copy_actions
from gigalane.sim.partners import put_partners, put_partners_by_passes
from gigalane.sim.settings import SimulatorSettings
from gigalane.sim.simulator import Simulator

TOKENS = 12


@wp.kernel(enable_backward=False)
def both_forms(
    reach: float,
    noise: float,
    boxes: wp.array3d(dtype=float),
    fused: wp.array3d(dtype=wp.float16),
    passes: wp.array3d(dtype=wp.float16),
):
    world, agent = wp.tid()
    agents = boxes.shape[2]
    x = boxes[world, 0, agent]
    y = boxes[world, 1, agent]
    z = boxes[world, 2, agent]
    cos = boxes[world, 3, agent]
    sin = boxes[world, 4, agent]
    speed = boxes[world, 5, agent]
    row = fused[world, agent]
    put_partners(
        boxes[world], row, 3, 12, agents, agent, x, y, z, cos, sin, speed, reach, noise, noise,
        wp.uint32(77),
    )  # fmt: skip
    row = passes[world, agent]
    put_partners_by_passes(
        boxes[world], row, 3, 12, agents, agent, x, y, z, cos, sin, speed, reach, noise, noise,
        wp.uint32(77),
    )  # fmt: skip


@pytest.mark.parametrize("agents", [1, 2, 12, 13, 63, 512])
@pytest.mark.parametrize(("reach", "noise"), [(0.0, 0.0), (40.0, 0.0), (100.0, 0.3)])
def test_partners_found_by_passes_are_those_found_by_ranks_bit_by_bit(agents, reach, noise):
    rng = np.random.default_rng(agents)
    worlds = 8
    boxes = rng.normal(size=(worlds, 9, agents)).astype(np.float32)
    heading = rng.uniform(-4, 4, (worlds, agents))
    boxes[:, 3], boxes[:, 4] = np.cos(heading), np.sin(heading)
    boxes[:, 0], boxes[:, 1] = rng.uniform(-80, 80, (2, worlds, agents))
    # On half the worlds places are whole metres, so that many are equally far; some coincide.
    boxes[::2, :2] = np.round(boxes[::2, :2] / 4) * 4
    boxes[:, 8] = rng.integers(-1, 4, (worlds, agents))
    if agents > 2:
        boxes[1, 0, 2] = np.nan
    rows = [
        wp.full((worlds, agents, 3 + 10 * TOKENS), 7.0, dtype=wp.float16, device="cpu")
        for _ in range(2)
    ]
    given = wp.array(boxes, dtype=float, device="cpu")
    wp.launch(both_forms, (worlds, agents), [reach, noise, given, *rows], device="cpu")
    fused, passes = (row.numpy().view(np.uint16) for row in rows)
    assert np.array_equal(fused, passes)
    tokens = rows[1].numpy()[..., 3:].reshape(worlds, agents, TOKENS, 10)
    shown = (tokens[..., 7] != 0).sum(axis=-1)
    # By hand: everybody else there and within reach, at most TOKENS.
    away = np.hypot(*(boxes[:, k, :, None] - boxes[:, k, None, :] for k in (0, 1)))
    seen = (away < reach) & (boxes[:, 8] >= 0)[:, None, :] & ~np.eye(agents, dtype=bool)
    edge = (np.abs(away - reach) < 1e-3).any(axis=-1)
    expected = np.minimum(seen.sum(axis=-1), TOKENS)
    assert np.array_equal(shown[~edge], expected[~edge])


@pytest.mark.parametrize("kind", [torch.int64, torch.int32, torch.float32])
def test_actions_on_the_device_are_taken_whatever_their_type(ring, kind):
    simulator = Simulator(ring, SimulatorSettings(worlds=2, agents=3))
    actions = torch.tensor([[1, 5, 7], [0, 11, 4]]).to(kind)
    copy_actions(wp.from_dlpack(actions.unsqueeze(-1)), simulator.scene)
    assert np.array_equal(simulator.scene.action.numpy()[..., 0], actions.numpy())
    assert not simulator.scene.action.numpy()[..., 1:].any()


def test_worlds_that_nobody_has_left_are_passed_over(ring):
    settings = SimulatorSettings(worlds=4, agents=3)
    simulator = Simulator(ring, settings, seed=3)
    staged = StagedLaunches(
        simulator.rules, simulator._lane_tokens, simulator.road, simulator.scene
    )
    episodes = simulator.scene.duty.numpy()["episode"].copy()
    simulator.scene.status.numpy()[2, 1] = 2  # ended
    staged.step()
    assert not staged._waiting.numpy().any()
    after = simulator.scene.duty.numpy()["episode"]
    assert after[2, 1] == episodes[2, 1] + 1
    after[2, 1] -= 1
    assert np.array_equal(after, episodes)


def test_missing_device_is_refused_in_one_line(ring):
    with pytest.raises(
        SettingsError, match=r"device 'cuda:99': this machine has only cpu"
    ) as error:
        Simulator(ring, SimulatorSettings(worlds=1, agents=1), device="cuda:99")
    assert "\n" not in str(error.value)
