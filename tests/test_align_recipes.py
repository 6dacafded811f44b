"""The recipes of alignment: what the backbone is taught by, and what the ablation compares."""

import argparse

import numpy as np
import pytest
import torch

from gigalane.teach.align import AlignWeights


@pytest.fixture(scope="module")
def backbone(recipe):
    return recipe("own_backbone")


@pytest.fixture(scope="module")
def ablation(recipe):
    return recipe("align_ablation")


def test_shares_of_classes_are_counted_block_by_block(backbone):
    classes = np.random.default_rng(0).integers(0, backbone.CLASSES, (2, 8, 12), dtype=np.uint8)
    shares = backbone.class_shares(torch.from_numpy(classes))
    assert shares.shape == (2, backbone.CLASSES, 2, 3)
    for row in range(2):
        for column in range(3):
            block = classes[1, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4]
            wanted = np.bincount(block.ravel(), minlength=backbone.CLASSES) / 16
            np.testing.assert_allclose(shares[1, :, row, column], wanted, rtol=1e-6)


def test_rare_classes_weigh_more_and_pixels_one_on_average(backbone):
    classes = torch.zeros(1, 8, 8, dtype=torch.uint8)
    classes[0, 0, 0] = 5
    frames = backbone.Frames(torch.zeros(1, 8, 8, 3), classes, torch.zeros(1, 2, 2))
    weights = backbone.class_weights(frames)
    assert weights[5] > 5 * weights[0]
    assert float(weights[classes.long()].mean()) == pytest.approx(1.0)


def test_a_reader_that_is_right_has_no_error(backbone):
    classes = torch.randint(0, 4, (3, 2, 6)).repeat_interleave(4, 1).repeat_interleave(4, 2).byte()
    nearness = torch.rand(3, 2, 6) * 0.5 + 0.3
    frames = backbone.Frames(torch.zeros(3, 8, 24, 3), classes, nearness)

    class Oracle:
        def cells(self, images):
            return images

    def reader(cells):
        return backbone.class_shares(classes).log(), nearness

    told = backbone.measure(Oracle(), reader, frames)
    assert told["accuracy"] == told["recall"] == 1.0
    assert told["distance_error"] == pytest.approx(0.0, abs=1e-4)


def test_arms_of_the_ablation_differ_in_what_they_say(ablation):
    arms = {arm.name: arm for arm in ablation.ARMS}
    assert arms["both"].losses == AlignWeights()
    assert arms["action"].losses.structure == 0.0 < arms["action"].losses.divergence
    assert arms["structure"].losses.divergence == 0.0 < arms["structure"].losses.structure
    ranks = [arms[name].rank for name in ("rank-half", "both", "rank-double", "rank-full")]
    assert ranks == [0.5, 1.0, 2.0, 64.0]
    assert {arm.losses.lane for arm in ablation.ARMS} == {1.0}
    assert all(arm.losses.slots == 0.0 for arm in ablation.ARMS if "regression" not in arm.name)


def test_the_table_has_means_intervals_and_differences_by_seed(ablation):
    keys = (*ablation.OPEN_LOOP, *ablation.CLOSED_LOOP)
    ranks = {"road": 9, "partners": 13, "controls": 2}
    results = {
        "both": {s: {"ranks": ranks} | dict.fromkeys(keys, 0.5 + 0.1 * s) for s in range(3)},
        "action": {s: {"ranks": ranks} | dict.fromkeys(keys, 0.4 + 0.1 * s) for s in range(3)},
    }
    told = ablation.summarize(results)
    figure = told["action"]["driving_score"]
    assert figure["mean"] == pytest.approx(0.5)
    # Three seeds 0.1 apart: standard deviation 0.1, t of two degrees of freedom 4.303.
    assert figure["high"] - figure["mean"] == pytest.approx(4.3027 * 0.1 / 3**0.5, rel=1e-3)
    assert figure["difference"]["mean"] == pytest.approx(-0.1)
    assert figure["difference"]["high"] == pytest.approx(-0.1)
    options = argparse.Namespace(
        seeds=3, frames=10, epochs=1, backbone="own", rig="surround", episodes=4, seconds=5.0,
        towns=["town:1"],
    )  # fmt: skip
    text = ablation.table({"arms": told, "teacher": {"driving_score": 0.9},
                           "settings": vars(options)})  # fmt: skip
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert [row.split(" | ")[0] for row in rows] == [
        "| arm", "| both", "| action", "| − both", "| teacher",
    ]  # fmt: skip
    assert "9, 13, 2" in rows[1] and "−0.100" in rows[3] and "0.900" in rows[4]
