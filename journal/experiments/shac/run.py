"""Learns by short horizons and writes a run that a study can measure beside its arms.

    python run.py --out OUT [--seed 0] [--cpu-seconds 1800] [--arm shac] [--set NAME=VALUE …]

The worlds are those of `recipes/sample_bound.py`'s base, but fewer at once and with continuous
jerks. `--set` changes a setting of `ShortHorizonSettings`, or as `surrogate.NAME` of its reward.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from dataclasses import replace
from pathlib import Path

import torch

from gigalane.core.settings import SettingsError
from gigalane.maps.compile import compile_map
from gigalane.maps.sources import open_maps
from gigalane.sim.events import EVENT_NAMES
from gigalane.sim.settings import SimulatorSettings
from gigalane.sim.simulator import Simulator
from gigalane.studies.study import Budget, described
from gigalane.studies.marks import Run, Spent, run_folder
from gigalane.worlds.vector import VectorWorld
from learner import ShortHorizonLearner, ShortHorizonSettings
from motion import STATE, WarpStep

MAPS = ("town:1-16",)
MARKS = (0.25, 0.5, 1.0)
REPORT_EVERY = 10


def changed(settings: ShortHorizonSettings, changes: list[str]) -> ShortHorizonSettings:
    """Settings with some of them given as NAME=VALUE."""
    for change in changes:
        name, _, text = change.partition("=")
        part = "surrogate" if name.startswith("surrogate.") else ""
        holder = getattr(settings, part) if part else settings
        key = name.removeprefix("surrogate.")
        if not hasattr(holder, key):
            raise SettingsError(f"--set {change}: there is no such setting")
        holder = replace(holder, **{key: type(getattr(holder, key))(text)})
        settings = replace(settings, surrogate=holder) if part else holder
    return settings


class EventRates:
    """Events of vehicles a road-user hour, since the last look."""

    def __init__(self, world: VectorWorld) -> None:
        """Starts at zero."""
        self.world, self.counts, self.hours, self.metres = world, torch.zeros(11), 0.0, 0.0

    def note(self, learner: ShortHorizonLearner) -> None:
        """Adds the last step."""
        bits = torch.arange(len(EVENT_NAMES))
        active = self.world.active | self.world.terminated | self.world.truncated
        self.counts += ((self.world.events[:, None] >> bits) & 1).float().sum(0)
        self.hours += float(self.world.dt[active].sum()) / 3600.0
        self.metres += float((learner.simulated()[:, 3].abs() * self.world.dt)[active].sum())

    def read(self) -> dict[str, float]:
        """Events a minute of driving, and mean speed [m/s]; begins anew."""
        minutes = max(self.hours * 60.0, 1e-9)
        rates = {f"per_minute/{n}": float(c) / minutes for n, c in zip(EVENT_NAMES, self.counts)}
        rates["speed"] = self.metres / (minutes * 60.0)
        self.__init__(self.world)
        return rates


def open_world(worlds: int, agents: int, seed: int) -> VectorWorld:
    """The worlds of the study's base arm, as many as are asked for."""
    settings = SimulatorSettings(worlds=worlds, agents=agents, action="jerk")
    maps = [compile_map(road_map) for road_map in open_maps(MAPS)]
    return VectorWorld(Simulator(maps, settings, seed=seed, threads=1))


def main() -> None:
    """Runs."""
    parser = argparse.ArgumentParser(description="Short-horizon actor-critic, as a study's guest")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cpu-seconds", type=float, default=1800.0)
    parser.add_argument("--arm", default="shac")
    parser.add_argument("--worlds", type=int, default=32)
    parser.add_argument("--agents", type=int, default=40)
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE")
    options = parser.parse_args()
    torch.set_num_threads(1)
    settings = changed(ShortHorizonSettings(seed=options.seed), options.set)
    world = open_world(options.worlds, options.agents, options.seed)
    learner = ShortHorizonLearner(world, settings)
    warm_up(learner)
    rates = EventRates(world)
    stepped = world.step

    def step(actions: torch.Tensor) -> None:
        stepped(actions)
        rates.note(learner)

    world.step = step
    budget = Budget(cpu_seconds=options.cpu_seconds)
    folder = run_folder(options.out, options.arm, options.seed)
    facts = {"learner": described(settings), "world": described(world.simulator.settings)}
    run = Run.begin(folder, options.arm, options.seed, {**facts, "budget": described(budget)})
    spent, began, log = Spent(), time.process_time(), (folder / "metrics.jsonl").open("w")
    while budget.done(spent.samples, spent.cpu_seconds) < 1:
        done = budget.done(spent.samples, spent.cpu_seconds)
        slower = 0.1 + 0.9 * 0.5 * (1.0 + math.cos(math.pi * min(1.0, done)))
        learner.actor_adam.param_groups[0]["lr"] = settings.learning_rate * slower
        learner.learn()
        spent = Spent(learner.samples, time.process_time() - began)
        if learner.iteration % REPORT_EVERY == 0:
            figures = {"iteration": learner.iteration, **vars(spent), **learner.figures}
            figures |= rates.read()
            log.write(json.dumps({k: round(v, 5) for k, v in figures.items()}) + "\n")
            log.flush()
        saving = time.process_time()
        run.keep(learner.policy, spent, budget, MARKS)
        began += time.process_time() - saving
    run.finish(spent)


def warm_up(learner: ShortHorizonLearner) -> None:
    """Compiles the kernels, which is no learning."""
    state = learner.simulated().requires_grad_()
    action = torch.zeros(len(state), 2, requires_grad=True)
    dt = learner.world.dt.clone()
    WarpStep.apply(state, action, learner.traits(), dt).sum().backward()
    learner.policy.evaluate(learner.world.observation)
    assert state.shape[1] == STATE


if __name__ == "__main__":
    main()
