"""Learns off-policy and writes a run that the study of `recipes/sample_bound.py` shows.

    python journal/experiments/off_policy/run.py --seed 0 --cpu-seconds 1800 --out OUT

One thread. Then `python recipes/sample_bound.py OUT --cpu-minutes 30 …` measures and tabulates it
beside the study's own arms. Worlds, maps and time steps are those of the study's base.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import replace
from pathlib import Path

import torch
from learner import OffPolicyLearner, OffPolicySettings

from gigalane.cli.errors import one_line_errors
from gigalane.networks.chunks import one_torch_thread
from gigalane.sim.settings import SimulatorSettings
from gigalane.studies.study import Budget, Stage, described
from gigalane.studies.marks import MARKS_FILE, Run, Spent, run_folder
from gigalane.studies.running import open_world
from gigalane.train.tally import EpisodeTally
from gigalane.train.trainer import GuardedWorld, TrainSettings

MARKS = (0.25, 0.5, 1.0)
REPORT_STEPS = 50
"""Steps of the worlds between two lines of metrics.jsonl."""


def learn(settings: OffPolicySettings, arm: str, seed: int, budget: Budget, out: Path) -> None:
    """Learns until the budget is spent.

    Args:
        settings: how.
        arm: name of the run's arm.
        seed: of weights, worlds and chance.
        budget: CPU time [s].
        out: folder of the study.
    """
    folder = run_folder(out, arm, seed)
    if (folder / MARKS_FILE).exists():
        raise ValueError(f"{folder}: already holds a run; name another folder or arm")
    stage = Stage(("town:1-16",), SimulatorSettings(worlds=80, agents=40), TrainSettings(seed=seed))
    run = Run.begin(folder, arm, seed, {"off_policy": described(settings)})
    world = open_world(stage, folder)
    learner = OffPolicyLearner(world, settings, seed)
    tally = EpisodeTally(world)
    world.reset(seed)
    spent, parts, step = Spent(), {"act": 0.0, "step": 0.0, "learn": 0.0}, 0
    with (folder / "metrics.jsonl").open("w", encoding="utf-8") as lines:
        while budget.done(spent.samples, spent.cpu_seconds) < 1:
            times = [time.process_time()]
            action = learner.drive()
            times.append(time.process_time())
            tally.before(step, world, action)
            world.step(action)
            tally.after(step, world)
            learner.replay.after(world)
            times.append(time.process_time())
            learner.learn()
            times.append(time.process_time())
            for name, began, ended in zip(parts, times, times[1:], strict=False):
                parts[name] += ended - began
            spent = Spent(learner.samples, spent.cpu_seconds + times[-1] - times[0])
            run.keep(learner.policy, spent, budget, MARKS)
            step += 1
            if step % REPORT_STEPS == 0:
                if isinstance(world, GuardedWorld):
                    world.check()
                facts = {
                    "step": step,
                    "run_samples": spent.samples,
                    "cpu_seconds": spent.cpu_seconds,
                    "optimiser_steps": learner.optimiser_steps,
                    "temperature": learner.temperature,
                    **{f"cpu_s/{name}": seconds for name, seconds in parts.items()},
                    **{name: float(figure) for name, figure in learner.figures.items()},
                    **tally.read(),
                }
                lines.write(json.dumps(facts) + "\n")
                lines.flush()
    run.finish(spent)


def main() -> int:
    """Reads the command line; returns the exit code."""
    plain = OffPolicySettings()
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cpu-seconds", type=float, default=1800.0)
    parser.add_argument("--out", type=Path, required=True, help="folder of the study")
    parser.add_argument("--arm", default="off-policy", help="name of the run (%(default)s)")
    changeable = ("span_s", "reuse", "batch", "learning_rate", "target_rate", "priority")
    for name in (*changeable, "exploration", "capacity", "quantiles"):
        default = getattr(plain, name)
        words = "--" + name.replace("_", "-")
        parser.add_argument(words, type=type(default), default=default, help="(%(default)s)")
    options = vars(parser.parse_args())
    changed = {name: options[name] for name in options.keys() & set(vars(plain))}
    with one_line_errors() as outcome, one_torch_thread():
        torch.set_num_threads(1)
        settings = replace(plain, **changed)
        budget = Budget(cpu_seconds=options["cpu_seconds"])
        learn(settings, options["arm"], options["seed"], budget, options["out"])
    return outcome.code


if __name__ == "__main__":
    sys.exit(main())
