"""Two processes under torchrun, over gloo: begin, be killed, be stopped, be refused."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import torch
from rank_threads import together

from gigalane.maps.compiled_file import save_compiled
from gigalane.maps.sources import open_maps
from gigalane.networks.chunks import one_torch_thread
from gigalane.policies.checkpoint import load_policy, training_states
from gigalane.policies.entity import EntitySettings
from gigalane.sim.settings import SimulatorSettings
from gigalane.train.advantage import FilterSettings
from gigalane.train.ppo import PPOSettings
from gigalane.train.selfplay import self_play
from gigalane.train.trainer import TrainSettings
from reference import maps
from weights import weights

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="finds processes in /proc"),
]
SAMPLES = 6000
WORDS = (
    *("--world.worlds", "5", "--world.agents", "6", "--train.rollout-steps", "16"),
    *("--train.policy.trunk", "32", "--train.ppo.minibatch", "64", "--train.precision", "fp32"),
    *("--train.filter.keep-minimum", "64", "--train.checkpoint-every-s", "0"),
)


@pytest.fixture
def ring(tmp_path) -> Path:
    save_compiled(maps.ring(), tmp_path / "ring.npz")
    return tmp_path / "ring.npz"


@contextmanager
def launched(*words: object, restarts: int = 0):
    """A training run of two ranks; nothing of it outlives the block."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        *(sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2"),
        *("--master-addr=127.0.0.1", f"--master-port={port}", f"--max-restarts={restarts}"),
        *("-m", "gigalane", "train", *WORDS, *words),
    ]
    process = subprocess.Popen(
        [str(word) for word in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        start_new_session=True,
    )
    workers: set[int] = set()
    try:
        yield process, workers
    finally:
        for pid in (*workers, *children(process.pid), process.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.communicate()


def children(pid: int) -> list[int]:
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(status.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue  # it ended while we looked
        if parent == pid:
            found.append(int(status.parent.name))
    return found


def pid_of_rank(launcher: int, rank: int) -> int:
    for pid in children(launcher):
        told = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        if f"RANK={rank}".encode() in told:
            return pid
    raise AssertionError(f"rank {rank} is not there")


def iterations(run: Path) -> int:
    file = run / "metrics.jsonl"
    return file.read_bytes().count(b"\n") if file.exists() else 0


def wait_for_iterations(process: subprocess.Popen, run: Path, count: int) -> None:
    deadline = time.monotonic() + 120
    while iterations(run) < count:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "training never began"
        time.sleep(0.005)


def trained_by_threads(ring: Path, folder: Path, monkeypatch) -> torch.Tensor:
    """The same run in this process, never interrupted."""
    lock, fork = threading.Lock(), torch.random.fork_rng

    @contextmanager
    def one_at_a_time(*given, **named):
        with lock, fork(*given, **named):
            yield

    monkeypatch.setattr(torch.random, "fork_rng", one_at_a_time)
    settings = TrainSettings(
        samples=SAMPLES,
        rollout_steps=16,
        precision="fp32",
        checkpoint_every_s=0,
        policy=EntitySettings(trunk=(32,)),
        ppo=PPOSettings(minibatch=64),
        filter=FilterSettings(keep_minimum=64),
    )
    world = SimulatorSettings(worlds=5, agents=6)
    with one_torch_thread():  # as torchrun has it: first weights round by the number of threads
        policies = together(
            2,
            lambda ranks: self_play(open_maps([str(ring)]), world, settings, folder, ranks=ranks),
        )
    assert torch.equal(*(weights(policy) for policy in policies))
    return weights(load_policy(folder / "policy.safetensors"))


def test_rank_killed_in_mid_run_costs_nothing_but_time(ring, tmp_path, monkeypatch):
    run = tmp_path / "run"
    words = (run, "--map", ring, "--train.samples", SAMPLES)
    with launched(*words, restarts=2) as (process, workers):
        wait_for_iterations(process, run, 3)
        workers |= set(children(process.pid))
        os.kill(pid_of_rank(process.pid, 1), signal.SIGKILL)
        out, complaint = process.communicate(timeout=120)
    assert process.returncode == 0, complaint
    assert out.splitlines()[-1].endswith("policy.safetensors, metrics.jsonl")
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [line["iteration"] for line in lines] == list(range(1, len(lines) + 1))
    assert all(line["policy_loss"] is not None for line in lines)
    assert json.loads((run / "settings.json").read_text())["ranks"] == 2
    assert training_states(run)[0].name[:14] == training_states(run, 1)[0].name[:14]

    whole = trained_by_threads(ring, tmp_path / "whole", monkeypatch)
    assert torch.equal(weights(load_policy(run / "policy.safetensors")), whole)
    text = (tmp_path / "whole" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["samples"] for line in text] == [line["samples"] for line in lines]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_ends_all_ranks_at_one_iteration_with_a_saved_state(ring, tmp_path, number):
    run = tmp_path / "run"
    with launched(run, "--map", ring, "--train.samples", 10**9) as (process, workers):
        wait_for_iterations(process, run, 2)
        workers |= set(children(process.pid))
        for pid in (*workers, process.pid):  # as a terminal's Ctrl-C does; the launcher repeats it
            os.kill(pid, number)
        process.communicate(timeout=60)
    done = iterations(run)
    last = f"state-{done:08d}"
    assert [training_states(run, rank)[0].name[: len(last)] for rank in (0, 1)] == [last, last]
    assert load_policy(run / "policy.safetensors").settings.trunk == (32,)


def test_group_that_does_not_fit_the_run_is_refused_in_one_line(ring, tmp_path):
    with launched(tmp_path / "run", "--map", ring, "--world.worlds", 1) as (process, _):
        _, complaint = process.communicate(timeout=120)
    told = [line for line in complaint.splitlines() if line.startswith("gigalane: ")]
    assert len(told) == 1
    assert "worlds=1: 2 ranks need a world each" in told[0]
    assert "exitcode  : 2" in complaint
    assert not (tmp_path / "run").exists()
