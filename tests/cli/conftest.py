"""The command line as a stranger meets it: in a folder of their own, with files of their own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from gigalane.cli.main import main
from gigalane.maps.compiled_file import save_compiled
from gigalane.policies.checkpoint import save_policy
from gigalane.policies.entity import EntityPolicy, EntitySettings
from gigalane.sim.settings import SimulatorSettings
from gigalane.sim.simulator import Simulator
from reference import maps


@dataclass(frozen=True)
class Answer:
    """What a command did."""

    code: int
    out: str
    err: str


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """An empty working directory."""
    place = tmp_path / "here"
    place.mkdir()
    monkeypatch.chdir(place)
    return place


@pytest.fixture
def gigalane(folder, capsys):
    """Runs a command in this process: `gigalane("map", "info", file)`."""

    def run(*words: object) -> Answer:
        capsys.readouterr()
        try:
            code = main([str(word) for word in words])
        except SystemExit as leave:  # --help leaves by the door that argument parsers use
            code = int(leave.code or 0)
        return Answer(code, *capsys.readouterr())

    return run


@pytest.fixture
def refused(gigalane, folder):
    """Runs a command that must be refused as bad input; gives the line it was refused with."""

    def run(*words: object) -> str:
        before = sorted(path.relative_to(folder) for path in folder.rglob("*"))
        answer = gigalane(*words)
        after = sorted(path.relative_to(folder) for path in folder.rglob("*"))
        assert answer.code == 2, answer
        assert answer.out == ""
        assert answer.err.startswith("gigalane: ")
        assert answer.err.count("\n") == 1
        assert answer.err.endswith("\n")
        assert after == before, "something half-written was left behind"
        return answer.err.strip()

    return run


@pytest.fixture(scope="session")
def files(tmp_path_factory) -> Path:
    """A folder with small good files: ring.npz (2 lane-km), policy.safetensors (untrained)."""
    place = tmp_path_factory.mktemp("files")
    ring = maps.ring()
    save_compiled(ring, place / "ring.npz")
    simulator = Simulator(ring, SimulatorSettings(worlds=1, agents=1))
    torch.manual_seed(0)
    policy = EntityPolicy(simulator.layout, simulator.action_space, EntitySettings(trunk=(32,)))
    save_policy(policy, place / "policy.safetensors")
    return place


@pytest.fixture
def ring(files) -> Path:
    return files / "ring.npz"


@pytest.fixture
def policy(files) -> Path:
    return files / "policy.safetensors"
