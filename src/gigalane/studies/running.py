"""Runs a study: each arm and seed in a process of its own, then the trials, then the tables.

What is finished stays finished: a study that was killed goes on from the last training state of
each run, keeps every evaluation that is whole, and does again what is damaged.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from gigalane.core.settings import RunError, SettingsError
from gigalane.evals.evaluate import evaluate
from gigalane.maps.compile import compile_maps
from gigalane.maps.road import RoadMap
from gigalane.networks.chunks import one_torch_thread
from gigalane.policies.actor_critic import AnyPolicy
from gigalane.policies.checkpoint import (
    load_policy,
    load_training_state,
    save_policy,
    training_states,
)
from gigalane.policies.policy import PolicyError
from gigalane.render.appearance import VARIED
from gigalane.render.camera import load_rig
from gigalane.sim.guard import Guard
from gigalane.sim.simulator import Simulator
from gigalane.studies.lessons import StudentArm, take_lessons
from gigalane.studies.marks import (
    MARKS_FILE,
    Mark,
    Run,
    Spent,
    measured,
    read_evaluation,
    run_folder,
    write_evaluation,
)
from gigalane.studies.report import write_report
from gigalane.studies.study import (
    AnyArm,
    Arm,
    Stage,
    Study,
    Trial,
    changes,
    completed,
    described,
)
from gigalane.train.progress import METRICS_FILE, Progress
from gigalane.train.run_folder import restore_learning
from gigalane.train.trainer import Trainer
from gigalane.worlds.camera import CameraWorld
from gigalane.worlds.rewinding import RewindingWorld
from gigalane.worlds.vector import VectorWorld
from gigalane.worlds.world import World

LOG_FILE = "log.txt"
START_FILE = "start.safetensors"
LOOK_S = 0.5
"""How often running processes are looked at [s]."""


def run_study(
    study: Study, out: str | os.PathLike[str], jobs: int = 1, console: Console | None = None
) -> dict[str, Any]:
    """Runs what is missing of a study and writes `study.json`, `table.md` and `curve.png`.

    These three are written anew after each run, from what is there by then.

    Args:
        study: what to run.
        out: folder of the study.
        jobs: processes at a time, one thread each; 0 runs everything in this process.
        console: where to tell about it.

    Returns:
        What study.json holds.

    Raises:
        SettingsError: the folder holds runs with other settings.
        RunError: a run failed; the others are finished.
    """
    console = console or Console(highlight=False)
    out = Path(out)
    parts = [(arm.name, seed) for seed in range(study.seeds) for arm in study.arms]
    for arm, seed in parts:
        _refuse_other_settings(study, study.arm(arm), seed, run_folder(out, arm, seed))
    parts += _guests(study, out)
    waiting = [part for part in parts if not _is_done(study, run_folder(out, *part))]
    console.print(f"{study.name}: {len(parts)} runs, {len(waiting)} to do")
    failed = []
    for arm, seed, code in _processes(study, out, waiting, jobs):
        console.print(f"{arm}, seed {seed}: {'done' if code == 0 else f'failed ({code})'}")
        failed += [(arm, seed)] if code else []
        write_report(study, out)
    if failed:
        log = run_folder(out, *failed[0]) / LOG_FILE
        raise RunError(
            f"{study.name}: {len(failed)} of {len(parts)} runs failed, {failed[0][0]} with seed "
            f"{failed[0][1]} first; see the end of {log}, then run the study again"
        )
    return write_report(study, out)


def run_part(study: Study, out: Path, arm: str, seed: int) -> None:
    """Trains one run, as far as that is missing, and measures its policies.

    Args:
        study: which study.
        out: its folder.
        arm: name of the arm; of a guest, whose run is complete, one that the study lacks.
        seed: of the run.
    """
    folder = run_folder(out, arm, seed)
    folder.mkdir(parents=True, exist_ok=True)
    with _alone_in(folder), one_torch_thread():
        if arm in {one.name for one in study.arms}:
            run = learn(study, study.arm(arm), seed, folder)
        else:
            run = Run.read(folder)
        for trial in study.trials:
            maps: list[RoadMap] = []
            for mark in measured(trial, run.marks):
                if not read_evaluation(trial, mark, run):
                    maps = maps or trial.open_maps()
                    _measure(trial, maps, mark, run)


# Learning.


def learn(study: Study, arm: AnyArm, seed: int, folder: Path) -> Run:
    """Goes on with a run until its budget is spent; a damaged one begins anew."""
    settings = _run_settings(study, arm)
    try:
        run = Run.read(folder)
    except SettingsError:
        for path in folder.iterdir():
            if path.name not in (LOG_FILE, ".lock"):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        run = Run.begin(folder, arm.name, seed, settings)
    if run.complete:
        return run
    if isinstance(arm, StudentArm):
        run.forget_after(-1)
        take_lessons(study, arm, run)
        return run
    assert isinstance(arm, Arm)
    start = _start(arm, seed, run)
    for number in range(len(run.stages) - (arm.start is not None), len(arm.stages)):
        _learn_stage(study, arm, number, run, start if number == 0 else None)
    run.finish(run.spent)
    for stage in folder.glob("stage-*"):  # the states have served; metrics.jsonl stays
        for state in training_states(stage):
            state.unlink()
    return run


def _start(arm: Arm, seed: int, run: Run) -> AnyPolicy | None:
    """The policy to begin with; making it is the run's first stage and costs CPU time."""
    if arm.start is None:
        return None
    path = run.folder / START_FILE
    if not run.stages:
        began = time.process_time()
        policy = arm.start(replaced(arm.stages[0], seed), seed, run.folder)
        spent = Spent(0, time.process_time() - began)
        save_policy(policy, path, "fp32")
        run.finish_stage(spent)
    return load_policy(path)


def replaced(stage: Stage, seed: int) -> Stage:
    """A stage with the seed of a run, on one thread."""
    return replace(stage, train=replace(stage.train, seed=seed, threads=1))


def _learn_stage(study: Study, arm: Arm, number: int, run: Run, start: AnyPolicy | None) -> None:
    """Goes on with a stage until its share of the budget is spent."""
    stage = replaced(arm.stages[number], run.seed)
    before = run.stages[-1] if run.stages else Spent()
    folder = run.folder / f"stage-{number + 1}"
    world = open_world(stage, folder)
    trainer = stage.learner(world, stage.train, folder)
    cpu_seconds = _resume(trainer, folder)
    if cpu_seconds is None:
        shutil.rmtree(folder, ignore_errors=True)
        trainer = stage.learner(world, stage.train, folder)
        trainer.begin(start)
        cpu_seconds = before.cpu_seconds
        if number:
            _carry(trainer, run.folder / f"stage-{number}")
    spent = Spent(before.samples + trainer.samples, cpu_seconds)
    run.forget_after(spent.samples)
    horizon = stage.train.samples
    with Progress(folder, horizon, trainer.iteration, Console(file=sys.stdout)) as progress:
        while study.budget.done(spent.samples, spent.cpu_seconds) < stage.until:
            spent, figures = _iterate(trainer, before, spent)
            progress.report(figures)
            run.keep(trainer.policy, spent, study.budget, study.marks)
            trainer.save_if_due()
            _stop_if_orphaned()
    trainer.save()
    run.finish_stage(spent)


def _iterate(trainer: Trainer, before: Spent, spent: Spent) -> tuple[Spent, dict[str, float]]:
    """One iteration; returns what the run has spent by then, and the iteration's figures."""
    began = time.process_time()
    trainer.collect()
    trainer.estimate()
    trainer.select()
    trainer.improve()
    figures = trainer.figures()
    cpu_seconds = spent.cpu_seconds + time.process_time() - began
    spent = Spent(before.samples + trainer.samples, cpu_seconds)
    return spent, {
        **figures,
        "run_samples": float(spent.samples),
        "cpu_seconds": spent.cpu_seconds,
    }


def open_world(stage: Stage, folder: Path) -> World:
    """The worlds of a stage, on one thread."""
    maps = stage.open_maps()
    simulator = Simulator(
        compile_maps(maps),
        stage.world,
        seed=stage.train.seed,
        threads=1,
    )
    world = VectorWorld(simulator, Guard(simulator, maps, folder))
    if stage.rig:
        return CameraWorld(world, load_rig(stage.rig), maps, VARIED)
    return RewindingWorld(world, stage.rewind, stage.train.seed) if stage.rewind else world


def _resume(trainer: Trainer, folder: Path) -> float | None:
    """Goes on from the newest state; returns the CPU seconds by then, None where there is none."""
    if not training_states(folder):
        return None
    try:
        trainer.resume()
        for line in (folder / METRICS_FILE).read_text(encoding="utf-8").splitlines():
            figures = json.loads(line)
            if figures["iteration"] == trainer.iteration:
                return float(figures["cpu_seconds"])
    except (PolicyError, OSError, ValueError, KeyError):
        pass
    return None


def _carry(trainer: Trainer, folder: Path) -> None:
    """Takes weights, Adam's moments and the filter's memory over from the stage before."""
    tensors, facts, _ = load_training_state(folder)
    restore_learning(tensors, trainer.policy, trainer.ppo.optimizer)
    trainer.filter.running_max = facts["filter_running_max"]


# Measuring.


def _measure(trial: Trial, maps: Sequence[RoadMap], mark: Mark, run: Run) -> None:
    """Evaluates the policy of a mark and writes what was found."""
    policy = load_policy(run.folder / mark.policy)
    policy.threads = 1
    name = f"{run.arm} seed {run.seed} {mark.name}"
    found = evaluate(
        name,
        policy,
        maps,
        trial.settings,
        on_progress=lambda _: _stop_if_orphaned(),
        failures=run.folder,
    )
    write_evaluation(trial, mark, run, found.as_json())
    print(f"{name}, {trial.name}: driving score {found.figures['driving_score'].value:.3f}")


# What is there.


def _run_settings(study: Study, arm: AnyArm) -> dict[str, Any]:
    """What decides a run, as its folder keeps it."""
    return {"arm": described(arm), "budget": described(study.budget), "marks": list(study.marks)}


def _refuse_other_settings(study: Study, arm: AnyArm, seed: int, folder: Path) -> None:
    """Refuses to go on with a run that was begun with other settings."""
    try:
        saved = json.loads((folder / MARKS_FILE).read_text(encoding="utf-8"))["settings"]
        saved = {**saved, "arm": completed(saved["arm"], arm)}
    except (OSError, ValueError, KeyError, TypeError):
        return  # nothing there, or damaged: it begins anew
    now = json.loads(json.dumps(_run_settings(study, arm)))
    if different := [place for place in changes(saved, now) if not place.endswith("about")]:
        raise SettingsError(
            f"{folder}: seed {seed} of {arm.name} was run with another {different[0]}; name "
            "another folder for the study, or remove this one"
        )


def _is_done(study: Study, folder: Path) -> bool:
    """Whether a run is complete and every trial of it measured."""
    try:
        run = Run.read(folder)
    except SettingsError:
        return False
    return run.complete and all(
        read_evaluation(trial, mark, run) is not None
        for trial in study.trials
        for mark in measured(trial, run.marks)
    )


def _guests(study: Study, out: Path) -> list[tuple[str, int]]:
    """Complete runs in the folder that are of none of the arms; their figures are shown too."""
    own = {arm.name for arm in study.arms}
    found = []
    for path in sorted(out.glob(f"runs/*/seed-*/{MARKS_FILE}")):
        try:
            facts = json.loads(path.read_text(encoding="utf-8"))
            arm, seed, complete = path.parts[-3], int(path.parts[-2][5:]), facts["complete"]
        except (OSError, ValueError, KeyError, TypeError):
            continue
        if arm not in own and complete:
            found.append((arm, seed))
    return found


# Processes.


def _processes(
    study: Study, out: Path, parts: Sequence[tuple[str, int]], jobs: int
) -> Iterator[tuple[str, int, int]]:
    """Runs parts, some at a time, and gives (arm, seed, exit code) as they end."""
    context = multiprocessing.get_context("spawn")  # fresh: no thread or memory of this process
    waiting, running = list(parts), {}
    try:
        while waiting and not jobs:
            part = waiting.pop(0)
            run_part(study, out, *part)
            yield *part, 0
        while waiting or running:
            while waiting and len(running) < jobs:
                part = waiting.pop(0)
                process = context.Process(target=_process, args=(study, out, *part))
                process.start()
                running[part] = process
            for part, process in list(running.items()):
                if process.exitcode is not None:
                    process.join()
                    del running[part]
                    yield *part, process.exitcode
            time.sleep(LOOK_S if running else 0.0)
    finally:
        for process in running.values():
            process.terminate()
            process.join()


def _process(study: Study, out: Path, arm: str, seed: int) -> None:
    """Runs a part with its output in the run's log."""
    torch.set_num_threads(1)
    folder = run_folder(out, arm, seed)
    folder.mkdir(parents=True, exist_ok=True)
    with (
        (folder / LOG_FILE).open("a", encoding="utf-8", buffering=1) as log,
        redirect_stdout(log),
        redirect_stderr(log),
    ):
        try:
            run_part(study, out, arm, seed)
        except Exception:
            import traceback

            traceback.print_exc(file=log)
            raise SystemExit(1) from None


def _stop_if_orphaned() -> None:
    """Ends this process when the one that started it is gone: a new study may take its place."""
    parent = multiprocessing.parent_process()
    if parent is not None and not parent.is_alive():
        raise SystemExit("the study that started this run is gone")


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Waits until no other process works in a folder, where the system can tell."""
    if os.name != "posix":
        yield
        return
    import fcntl

    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
