"""Everything worth knowing of a GPU in one run of ten minutes, written to one JSON file.

    python benchmarks/on_gpu.py --out on-gpu.json
    python benchmarks/on_gpu.py --device cpu --small --out dry-run.json

Correctness comes first: the same seeds and actions on the CPU and on the device. Then the
simulator over worlds and road users, the stages of a step one by one, and training with two
networks. Each part is caught by itself and written down as soon as it is done, so a failure, or
the end of the time, loses nothing of the others. It needs torch, warp, numpy and shapely only.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
import warp as wp
from on_gpu_twins import Facts, free_runs, maps_of, same_steps, scores

from gigalane.core.kernels import load_kernels, require_device
from gigalane.policies.entity import EntityPolicy, EntitySettings
from gigalane.sim.guard import Guard
from gigalane.sim.settings import SimulatorSettings
from gigalane.sim.simulator import Simulator
from gigalane.train.ppo import PPOSettings
from gigalane.train.trainer import Trainer, TrainSettings
from gigalane.worlds.vector import VectorWorld


@dataclass
class Run:
    """One run of this script: where, how large, until when, and what was found.

    Attributes:
        device: Warp's and torch's name of it.
        small: whether sizes are for a trial on a CPU.
        out: the file.
        deadline: when no further work is begun, on `time.monotonic`.
        found: by part.
    """

    device: str
    small: bool
    out: Path
    deadline: float
    found: Facts = field(default_factory=dict)

    def part(self, name: str, work: Callable[[Run], Facts]) -> None:
        """Does a part of the run and writes the file anew, whatever becomes of the part."""
        began = time.monotonic()
        if began > self.deadline:
            self.found[name] = {"left_out": "no time was left"}
        else:
            try:
                self.found[name] = work(self)
            except Exception as error:  # one part's failure must not lose the others
                traceback.print_exc()
                lines = traceback.format_exc().splitlines()
                self.found[name] = {"failed": f"{type(error).__name__}: {error}", "at": lines[-6:]}
            self.found[name]["seconds"] = round(time.monotonic() - began, 2)
        beside = self.out.with_suffix(".part")
        beside.write_text(json.dumps(self.found, indent=1, default=str) + "\n", encoding="utf-8")
        os.replace(beside, self.out)
        print(f"{name}: {json.dumps(self.found[name], default=str)[:2000]}", flush=True)

    def has_time(self, needed_s: float) -> bool:
        """Whether work of that length can still be begun."""
        return time.monotonic() + needed_s < self.deadline

    def wait(self) -> None:
        """Waits until the device has done all it was asked for."""
        if self.device != "cpu":
            torch.cuda.synchronize()
            wp.synchronize_device(self.device)

    def rates(self, step: Callable[[], object], work: float, repeats: int = 5) -> Facts:
        """Units of work a second: median, least and most of repeats of about half a second."""
        step()
        self.wait()
        began = time.perf_counter()
        step()
        self.wait()
        once = time.perf_counter() - began
        count = max(2, min(1000, round((0.05 if self.small else 0.5) / max(once, 1e-6))))
        found = []
        for _ in range(repeats):
            began = time.perf_counter()
            for _ in range(count):
                step()
            self.wait()
            found.append(work * count / (time.perf_counter() - began))
        return {
            "per_s": round(statistics.median(found)),
            "low": round(min(found)),
            "high": round(max(found)),
            "step_ms": round(1e3 * work / statistics.median(found), 4),
            "steps": count,
        }


def machine(run: Run) -> Facts:
    """What this runs on."""
    facts: Facts = {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "warp": wp.__version__,
        "numpy": np.__version__,
        "cores": os.cpu_count(),
        "device": run.device,
        "small": run.small,
    }
    device = require_device(run.device)
    if device.is_cuda:
        facts |= {
            "gpu": device.name,
            "architecture": device.arch,
            "free_memory_gb": round(device.free_memory / 1e9, 1),
            "cuda": torch.version.cuda,
            "driver": str(wp.get_cuda_driver_version()),
        }
    return facts


def kernels(run: Run) -> Facts:
    """How long the kernels take to compile where the cache is cold."""
    from gigalane.sim import stages

    began = time.perf_counter()
    load_kernels(stages.observe_stage, run.device, stages.BLOCK)
    return {"stages_s": round(time.perf_counter() - began, 2)}


def device_world(run: Run, worlds: int, agents: int, guarded: bool = False) -> VectorWorld:
    """Worlds with training's settings on the device."""
    roads, compiled = maps_of("town:1-4")
    settings = SimulatorSettings(worlds=worlds, agents=agents)
    simulator = Simulator(compiled, settings, seed=1, device=run.device)
    guard = Guard(simulator, roads, tempfile.gettempdir()) if guarded else None
    return VectorWorld(simulator, guard)


def stepper(world: VectorWorld) -> Callable[[], None]:
    """Steps a world with random actions that lie on the device already."""
    device = world.observation.device
    sets = [torch.randint(0, 12, (world.row_count,), device=device) for _ in range(8)]
    turn = 0

    def step() -> None:
        nonlocal turn
        turn += 1
        world.step(sets[turn % len(sets)])

    return step


def simulation(run: Run) -> Facts:
    """Agent-steps a second over worlds and road users, in graphs, all stages on."""
    sizes = [(32, 32), (256, 32), (2048, 32), (8192, 32), (32768, 32)]
    sizes += [(512, 64), (4096, 64), (16384, 64), (2048, 128), (8192, 128), (2048, 512)]
    if run.small:
        sizes = [(4, 8), (8, 16)]
    points = []
    for worlds, agents in sizes:
        if not run.has_time(40):
            points.append({"worlds": worlds, "agents": agents, "left_out": "no time was left"})
            continue
        began = time.perf_counter()
        try:
            world = device_world(run, worlds, agents)
            step = stepper(world)
            for _ in range(30):
                step()
            run.wait()
            point = {"worlds": worlds, "agents": agents, "rows": world.row_count}
            point |= run.rates(step, world.row_count)
            point["active"] = round(float(world.active.float().mean()), 4)
            point["sound"] = bool(torch.isfinite(world.reward).all())
            point["prepared_s"] = round(time.perf_counter() - began, 1)
            del world, step
        except Exception as error:  # too many road users for the maps, or no memory: the next one
            point = {"worlds": worlds, "agents": agents, "failed": str(error)[:300]}
        points.append(point)
        print(point, flush=True)
    best = max((one for one in points if "per_s" in one), key=lambda one: one["per_s"], default={})
    return {"best": best, "points": points}


def stages_of(run: Run) -> Facts:
    """Time of each stage alone [ms], of all launched singly, and of the graph."""
    from gigalane.sim import stages

    world = device_world(run, 8 if run.small else 16384, 32)
    step = stepper(world)
    for _ in range(30):
        step()
    simulator = world.simulator
    waiting = wp.zeros(simulator.shape[0], dtype=int, device=run.device)
    parts = (simulator.rules, simulator._lane_tokens, simulator.road, simulator.scene, waiting)
    _, launches = stages.record_stages(*parts)
    alone = {}
    for launch in launches:  # a stage repeated by itself changes little of what it costs
        found = run.rates(launch.launch, world.row_count, repeats=3)
        alone[launch.kernel.key] = found["step_ms"]

    def singly() -> None:
        for launch in launches:
            launch.launch()

    facts: Facts = {"rows": world.row_count, "alone_ms": alone}
    facts["singly_ms"] = run.rates(singly, world.row_count, repeats=3)["step_ms"]
    facts["graph_ms"] = run.rates(simulator.step, world.row_count, repeats=3)["step_ms"]
    facts["with_actions_ms"] = run.rates(step, world.row_count, repeats=3)["step_ms"]
    guarded = device_world(run, 8 if run.small else 16384, 32, guarded=True)
    watched = stepper(guarded)
    facts["with_guard_ms"] = run.rates(watched, guarded.row_count, repeats=3)["step_ms"]
    return facts


def networks() -> Iterator[tuple[str, EntitySettings]]:
    """The two networks that training is measured with."""
    yield "default", EntitySettings.default()
    yield "gigaflow", EntitySettings.gigaflow()


def training(run: Run) -> Facts:
    """Samples a second end to end, and where an iteration's time goes."""
    torch.set_float32_matmul_precision("high")
    sizes = [(8, 8, 4, 64)] if run.small else [(2048, 32, 32, 65_536), (8192, 32, 32, 262_144)]
    found: Facts = {}
    for name, network in networks():
        for worlds, agents, steps, minibatch in sizes:
            label = f"{name}, {worlds}x{agents}, rollout {steps}, minibatch {minibatch}"
            if not run.has_time(45):
                found[label] = {"left_out": "no time was left"}
                continue
            try:
                found[label] = train_one(run, network, worlds, agents, steps, minibatch)
            except Exception as error:  # no memory for this size: the next one
                found[label] = {"failed": f"{type(error).__name__}: {error}"[:300]}
            if run.device != "cpu":
                torch.cuda.empty_cache()
            print(label, found[label], flush=True)
    return found


def train_one(
    run: Run, network: EntitySettings, worlds: int, agents: int, steps: int, minibatch: int
) -> Facts:
    """A few iterations of one network on one size of batch."""
    world = device_world(run, worlds, agents, guarded=True)
    settings = TrainSettings(
        samples=10**12,
        rollout_steps=steps,
        policy=network,
        ppo=PPOSettings(minibatch=minibatch),
    )
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(world, settings, Path(folder))
        trainer.begin()
        iterations = []
        for _ in range(3 if run.small else 7):
            marks = [time.perf_counter()]
            for part in (trainer.collect, trainer.estimate, trainer.select, trainer.improve):
                part()
                run.wait()
                marks.append(time.perf_counter())
            figures = trainer.figures()
            marks.append(time.perf_counter())
            iterations.append((figures, np.diff(marks)))
        began = time.perf_counter()
        for _ in range(3):  # without waiting between the parts, as training runs
            trainer.collect()
            trainer.estimate()
            trainer.select()
            trainer.improve()
            last = trainer.figures()
        free = (time.perf_counter() - began) / 3
        steady = iterations[2:]
        samples = statistics.median(
            figures["samples"] - before["samples"]
            for (before, _), (figures, _) in pairwise(iterations)
        )
        spent = np.median([times for _, times in steady], axis=0)
        return {
            "samples_per_s": round(samples / free),
            "samples_an_iteration": round(samples),
            "ms": dict(
                zip(
                    ("collect", "estimate", "select", "improve", "figures"),
                    (round(1e3 * float(one), 2) for one in spent),
                    strict=True,
                )
            ),
            "decide_ms": policy_only(run, trainer.policy, world),
            "step_ms": run.rates(stepper(world), world.row_count, repeats=3)["step_ms"],
            "kept_fraction": round(last["kept_fraction"], 3),
            "parameters": sum(p.numel() for p in trainer.policy.parameters()),
            "precision": trainer.precision,
            "sound": all(np.isfinite(last[key]) for key in ("policy_loss", "value_loss")),
            "memory_gb": round(torch.cuda.max_memory_allocated() / 1e9, 2)
            if run.device != "cpu"
            else None,
        }


def policy_only(run: Run, policy: EntityPolicy, world: VectorWorld) -> float:
    """Time of one decision for all rows [ms]."""
    found = run.rates(lambda: policy.decide(world.observation), world.row_count, repeats=3)
    return found["step_ms"]


PARTS: tuple[tuple[str, Callable[[Run], Facts]], ...] = (
    ("machine", machine),
    ("kernels", kernels),
    ("same_steps", lambda run: same_steps(run.device, run.small)),
    ("simulation", simulation),
    ("stages", stages_of),
    ("training", training),
    ("free_runs", lambda run: free_runs(run.device, run.small)),
    ("scores", lambda run: scores(run.device, run.small)),
)


def main() -> int:
    """Runs all parts; 1 where the device gave other results than the CPU or a part failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--out", type=Path, default=Path("on-gpu.json"))
    parser.add_argument("--minutes", type=float, default=9.0, help="no part begins after these")
    parser.add_argument("--small", action="store_true", help="sizes for a trial on a CPU")
    parser.add_argument("--only", default="", help="names of parts, with commas between")
    given = parser.parse_args()
    deadline = time.monotonic() + 60 * given.minutes
    run = Run(given.device, given.small, given.out, deadline)
    wanted = set(filter(None, given.only.split(",")))
    for name, work in PARTS:
        if not wanted or name in wanted:
            run.part(name, work)
    bad = [
        name
        for name, facts in run.found.items()
        if "failed" in facts or facts.get("holds") is False
    ]
    print(f"{given.out}: " + (f"look at {', '.join(bad)}" if bad else "all parts hold"))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
