import os

import pytest
import torch
from safetensors.torch import save_file

from gigalane.policies.checkpoint import (
    load_policy,
    load_training_state,
    read_policy_metadata,
    save_policy,
    save_training_state,
    training_states,
)
from gigalane.policies.entity import EntityPolicy, EntitySettings
from gigalane.policies.policy import PolicyError
from gigalane.sim.control import ActionSpace
from gigalane.sim.layout import ObservationLayout

LAYOUT = ObservationLayout(given=10, road=7, partners=3, controls=2)


@pytest.fixture
def policy() -> EntityPolicy:
    torch.manual_seed(0)
    return EntityPolicy(LAYOUT, ActionSpace("jerk12", 12, 1), EntitySettings(trunk=(32, 16)))


def observation() -> torch.Tensor:
    return torch.randn(6, LAYOUT.width, generator=torch.Generator().manual_seed(1)).half()


def message(error: pytest.ExceptionInfo[PolicyError], path: object) -> str:
    text = str(error.value)
    assert "\n" not in text
    assert str(path) in text
    return text


def test_policy_comes_back_with_everything_it_drives_with(policy, tmp_path):
    path = tmp_path / "policy.safetensors"
    save_policy(policy, path, precision="fp32", metadata={"seed": 3, "scores": {"goal": 0.5}})
    again = load_policy(path)
    assert (again.layout, again.action_space) == (policy.layout, policy.action_space)
    assert again.settings == policy.settings
    wanted, found = policy.evaluate(observation())[0], again.evaluate(observation())[0]
    assert torch.equal(wanted.log_probabilities, found.log_probabilities)
    assert read_policy_metadata(path) == {"seed": 3, "scores": {"goal": 0.5}}


def test_continuous_action_space_comes_back_whole(tmp_path):
    space = ActionSpace("jerk", 0, 2, (6.0, 3.0))
    path = tmp_path / "policy.safetensors"
    save_policy(EntityPolicy(LAYOUT, space, EntitySettings(trunk=(8,))), path)
    assert load_policy(path).action_space == space


def test_half_precision_halves_the_file_and_rounds_the_weights(policy, tmp_path):
    whole, half = tmp_path / "whole.safetensors", tmp_path / "half.safetensors"
    save_policy(policy, whole, precision="fp32")
    save_policy(policy, half)
    weights = sum(parameter.numel() for parameter in policy.parameters())
    assert whole.stat().st_size - half.stat().st_size == pytest.approx(2 * weights, abs=200)
    for name, tensor in load_policy(half).state_dict().items():
        assert torch.equal(tensor, policy.state_dict()[name].half().float())


def test_missing_truncated_foreign_and_newer_files_are_refused_in_one_line(policy, tmp_path):
    path = tmp_path / "policy.safetensors"
    with pytest.raises(PolicyError) as error:
        load_policy(path)
    assert "no such file" in message(error, path)

    save_policy(policy, path)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(PolicyError) as error:
        load_policy(path)
    assert "not a whole safetensors file" in message(error, path)

    flipped = bytearray(data)
    flipped[-100] ^= 0xFF
    path.write_bytes(flipped)
    with pytest.raises(PolicyError) as error:
        load_policy(path)
    assert "damaged" in message(error, path)

    path.write_bytes(data.replace(b'"version":"1"', b'"version":"7"'))
    with pytest.raises(PolicyError) as error:
        load_policy(path)
    assert "version 7" in message(error, path)

    save_file({"weight": torch.zeros(3)}, path)
    with pytest.raises(PolicyError) as error:
        load_policy(path)
    assert "not a gigalane-policy" in message(error, path)

    path.write_text("a map, perhaps")
    with pytest.raises(PolicyError) as error:
        load_policy(path)
    message(error, path)


def test_weights_of_another_shape_are_refused_by_name(policy, tmp_path, monkeypatch):
    path = tmp_path / "policy.safetensors"
    state = {name: tensor[..., :5] for name, tensor in policy.state_dict().items()}
    monkeypatch.setattr(policy, "state_dict", lambda: state)
    save_policy(policy, path)
    with pytest.raises(PolicyError) as error:
        load_policy(path)
    assert "action_head.bias" in message(error, path)


def test_nothing_half_written_stays_when_writing_fails(policy, tmp_path, monkeypatch):
    path = tmp_path / "policy.safetensors"
    save_policy(policy, path, metadata={"seed": 1})

    def fail(_descriptor: int) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        save_policy(policy, path, metadata={"seed": 2})
    assert read_policy_metadata(path) == {"seed": 1}
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_training_state_keeps_two_and_falls_back_when_the_newest_is_damaged(tmp_path):
    for iteration in (9, 10, 11):
        tensors = {"weight": torch.full((3,), float(iteration)), "step": torch.tensor(2)}
        save_training_state(tmp_path, iteration, tensors, {"samples": 5 * iteration})
    assert len(training_states(tmp_path)) == 2
    tensors, facts, refused = load_training_state(tmp_path)
    assert facts == {"samples": 55, "iteration": 11}
    assert torch.equal(tensors["weight"], torch.full((3,), 11.0))
    assert tensors["step"].shape == ()
    assert refused == []

    newest = training_states(tmp_path)[0]
    newest.write_bytes(newest.read_bytes()[:-4])
    _, facts, refused = load_training_state(tmp_path)
    assert facts["iteration"] == 10
    assert len(refused) == 1

    training_states(tmp_path)[1].write_bytes(b"")
    with pytest.raises(PolicyError) as error:
        load_training_state(tmp_path)
    assert "no training state is whole" in message(error, tmp_path)


def test_directory_without_a_training_state_is_refused(tmp_path):
    with pytest.raises(PolicyError) as error:
        load_training_state(tmp_path)
    assert "holds no training state" in message(error, tmp_path)
