import numpy as np
import pytest
import torch

from gigalane.teach.recolour import draw_tints, recolour

PIXELS, TAIL = 50, 9


def rows(count: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(3)
    return torch.randint(0, 256, (count, 3 * PIXELS + TAIL), dtype=torch.uint8, generator=generator)


def tinted(count: int, strength: float) -> torch.Tensor:
    return draw_tints(count, strength, torch.Generator().manual_seed(4))


def recoloured(before: torch.Tensor, tints: torch.Tensor) -> torch.Tensor:
    after = before.clone()
    recolour(after, 3 * PIXELS, tints)
    return after


def test_pictures_are_made_paler_then_stretched_then_shifted():
    before, tints = rows(20), tinted(20, 0.3)
    after = recoloured(before, tints)
    for row, tint in enumerate(tints.numpy().astype(np.float64)):
        colors = before[row, : 3 * PIXELS].numpy().reshape(-1, 3).astype(float)
        grey = colors.mean(1, keepdims=True)
        pale = colors + tint[0] * (grey - colors)
        wanted = np.clip((pale - 127.5) * tint[1:4] + 127.5 + tint[4:], 0, 255)
        found = after[row, : 3 * PIXELS].numpy().reshape(-1, 3)
        assert np.abs(found - wanted).max() < 0.501
    assert torch.equal(after[:, 3 * PIXELS :], before[:, 3 * PIXELS :])


def test_without_strength_nothing_changes():
    before = rows(5)
    assert torch.equal(recoloured(before, tinted(5, 0.0)), before)


@pytest.mark.parametrize("strength", [0.1, 0.3])
def test_tints_stay_within_their_strength_and_use_all_of_it(strength):
    tints = tinted(4000, strength)
    apart = 0.25 * strength
    limits = {
        "grey": (tints[:, 0], 0.0, 0.5 * strength),
        "contrast": (tints[:, 1:4], (1 - strength) * (1 - apart), (1 + strength) * (1 + apart)),
        "brightness": (tints[:, 4:], -80 * (strength + apart), 80 * (strength + apart)),
    }
    for values, least, most in limits.values():
        assert least <= values.min() and values.max() <= most
        assert values.max() - values.min() > 0.9 * (most - least)
    assert (tints[0] != tints[1]).all()


def test_red_and_green_lights_stay_so():
    lamps = torch.tensor([[230, 40, 30], [40, 210, 90]], dtype=torch.uint8)  # red, green
    tints = tinted(2000, 0.3)
    shown = lamps.reshape(1, 6).repeat(len(tints), 1)
    recolour(shown, 6, tints)
    red, green = shown.reshape(-1, 2, 3).int().unbind(1)
    assert (red[:, 0] - red[:, 1]).min() > 40
    assert (green[:, 1] - green[:, 0]).min() > 40
