"""The training loop: collect, estimate, select, improve, report, save, again.

`train` is a table of contents; `Trainer` has one method a line of it.
"""

from __future__ import annotations

import json
import logging
import math
import os
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gigalane.core.settings import SettingsError
from gigalane.core.trace import traced
from gigalane.networks.chunks import one_torch_thread
from gigalane.networks.layers import Precision, has_fast_bf16
from gigalane.policies.actor_critic import AnyPolicy
from gigalane.policies.checkpoint import load_training_state, save_policy, save_training_state
from gigalane.policies.coach import CoachPolicy
from gigalane.policies.policy import PolicyError
from gigalane.rollout import roll_out
from gigalane.train.advantage import AdvantageFilter, generalized_advantages, per_step
from gigalane.train.buffer import Rollout, SelfPlayActor
from gigalane.train.exploration import hints_before_events
from gigalane.train.learners import PolicyFactory, make_driver
from gigalane.train.ppo import PPO, Batch, explained_variance
from gigalane.train.progress import NoProgress, Progress
from gigalane.train.ranks import ALONE, Ranks
from gigalane.train.run_folder import (
    POLICY_FILE,
    SETTINGS_FILE,
    changed_settings,
    half_cosine,
    learning_tensors,
    plain,
    refuse_begun,
    refuse_changed,
    restore_learning,
)
from gigalane.train.settings import CHANGEABLE, TrainSettings
from gigalane.train.tally import EpisodeTally
from gigalane.worlds.world import GuardedWorld, ResumableWorld, World

_log = logging.getLogger("gigalane")


def train(
    world: World,
    settings: TrainSettings,
    run_directory: str | os.PathLike[str],
    resume: bool = False,
    on_iteration: Callable[[dict[str, float]], bool | None] | None = None,
    start: AnyPolicy | None = None,
    ranks: Ranks = ALONE,
    make_policy: PolicyFactory = make_driver,
) -> AnyPolicy:
    """Trains a policy by self-play.

    Ctrl-C (or SIGTERM) finishes the iteration, saves and returns; a second Ctrl-C stops at
    once. The directory holds `settings.json`, `metrics.jsonl`, TensorBoard's file, the last two
    training states and, from the first save on, `policy.safetensors`.

    Args:
        world: where to learn.
        settings: how.
        run_directory: where the run is kept.
        resume: go on from the newest whole state in `run_directory`.
        on_iteration: called with the figures of each iteration; returning True ends training.
        start: policy whose weights a new run begins with; without it they are random.
        ranks: processes that train together, each with its part of the world.
        make_policy: makes what learns.

    Returns:
        The trained policy.

    Raises:
        PolicyError: there is nothing to go on from, it does not fit, or the directory already
            holds a run and `resume` is not set.
        RunError: another rank is gone.
        FloatingPointError: a loss is not a number any more; the last saved state is whole.
    """
    trainer = Trainer(world, settings, Path(run_directory), ranks, make_policy)
    trainer.resume() if resume else trainer.begin(start)
    shown = Progress if ranks.is_first else NoProgress
    progress = shown(trainer.run_directory, settings.samples, trainer.iteration)
    ranks.communicated()  # what the start took is no part of the first iteration
    with one_torch_thread(), ranks.stop_signals() as stop, progress:
        while trainer.samples < settings.samples:
            trainer.collect()
            trainer.estimate()
            trainer.select()
            trainer.improve()
            figures = trainer.figures()
            progress.report(figures)
            trainer.save_if_due()
            enough = on_iteration is not None and bool(on_iteration(figures))
            if ranks.any(enough or stop.is_set())[0]:
                break
        trainer.save()
    return trainer.policy


class Trainer:
    """The parts of an iteration and what lives from one to the next.

    Attributes:
        policy: what learns.
        precision: what the trunk's products are computed in.
        samples: transitions offered to PPO so far.
        iteration: iterations done.
        elapsed_s: time spent in them [s].
        ranks: processes that train together.
        world_was_kept: whether a resumed run found its world in the saved state.
    """

    def __init__(
        self,
        world: World,
        settings: TrainSettings,
        run_directory: Path,
        ranks: Ranks = ALONE,
        make_policy: PolicyFactory = make_driver,
    ) -> None:
        """Makes a policy with weights from `settings.seed`; touches no file."""
        self.world, self.settings, self.run_directory = world, settings, run_directory
        self.ranks = ranks
        if settings.ppo.minibatch < ranks.count:
            raise SettingsError(
                f"ppo: minibatch is {settings.ppo.minibatch}, for {ranks.count} ranks; give each "
                "at least 1"
            )
        device = world.observation.device
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            self.policy = make_policy(world, settings)
        if settings.exploration.weight > 0 and not isinstance(self.policy, CoachPolicy):
            raise SettingsError(
                "exploration: is for policies of Beta distributions (--eyes birdview); leave its "
                "weight at 0"
            )
        self.policy.to(device)
        self.policy.threads = ranks.threads(settings.threads)
        fast: Precision = "bf16" if has_fast_bf16(device) else "fp32"
        self.precision = fast if settings.precision == "auto" else settings.precision
        self.policy.set_precision(self.precision)
        self.ppo = PPO(self.policy, settings.ppo, ranks)
        self.filter = AdvantageFilter(settings.filter, ranks)
        self.actor = self._make_actor(device)
        self.shuffler = torch.Generator().manual_seed(ranks.seed(settings.seed))
        self.rollout = Rollout(world, self.actor, settings.rollout_steps)
        self.tally = EpisodeTally(world)
        self.samples = self.iteration = 0
        self.elapsed_s = 0.0
        self.world_was_kept = True
        self._saved_at = time.monotonic()
        self._learned: dict[str, Tensor] = {}

    # The parts of an iteration, in order.

    @traced("collect")
    def collect(self) -> None:
        """Lets the policy drive for `rollout_steps` steps."""
        self._started = time.perf_counter()
        self.guidance = self.settings.guidance.weight_at(self.samples)
        self.rollout.is_told = self.guidance > 0
        roll_out(self.world, self.actor, self.settings.rollout_steps, self.rollout, self.tally)
        self.rollout.bootstrap(self.world)
        self._collected = time.perf_counter()

    @traced("estimate")
    def estimate(self) -> None:
        """Works out how much better each action was than expected."""
        rollout = self.rollout
        advantage = generalized_advantages(
            rollout.reward,
            rollout.value,
            rollout.terminated,
            rollout.truncated,
            rollout.active,
            per_step(self.settings.discount, rollout.dt),
            per_step(self.settings.trace, rollout.dt),
        )
        self.batch = Batch(
            rollout.observation.flatten(0, 1),
            rollout.action.flatten(0, 1),
            rollout.log_prob.flatten(),
            advantage.flatten(),
            (advantage + rollout.value[:-1]).flatten(),
            rollout.dt.flatten(),
            rollout.advice.flatten(0, 1),
            self.guidance,
            self._hints(),
            self.settings.exploration.weight,
        )

    def _hints(self) -> Tensor | None:
        """What the events of the roll-out hint at, flattened; None where nobody heeds them."""
        rollout, exploration = self.rollout, self.settings.exploration
        if exploration.weight == 0:
            return None
        ended = rollout.terminated | rollout.truncated
        return hints_before_events(
            rollout.events,
            self.world.event_names,
            ended,
            rollout.active,
            rollout.dt,
            exploration.seconds,
        ).flatten()

    @traced("select")
    def select(self) -> None:
        """Chooses the transitions that are worth learning from: all, while there is advice."""
        learn = self.rollout.learn.flatten()
        self.kept = self.filter.select(self.batch.advantage, learn)
        if self.guidance > 0:
            self.kept = learn.nonzero().squeeze(-1)

    @traced("improve")
    def improve(self) -> None:
        """Lets PPO learn from them; the learning rate falls to 0 along half a cosine."""
        done = min(1.0, self.samples / self.settings.samples)
        self.learning_rate = self.settings.ppo.learning_rate * half_cosine(done)
        if len(self.kept) or self.ranks.count > 1:  # the others may have kept some
            learned = self.ppo.update(
                self.batch, self.kept, self.learning_rate, self.shuffler, done
            )
            self._learned = learned or self._learned

    @traced("figures")
    def figures(self) -> dict[str, float]:
        """Closes the iteration: counts it and reads its figures, all at once."""
        if isinstance(self.world, GuardedWorld):
            with self.ranks.agreeing():
                self.world.check()
        learn = self.rollout.learn.flatten()
        value = self.rollout.value[:-1].flatten()[learn]
        learned = {
            **self._learned,
            "explained_variance": explained_variance(value, self.batch.returns[learn], self.ranks),
        }
        kept, shared = float(len(self.kept)), {}
        if self.ranks.count > 1:
            own = self.tally.sums[0].new_tensor([kept, self.ranks.communicated()])
            self.ranks.sum_(*self.tally.sums, own)
            kept, communicated = own.tolist()
            shared = {"seconds/communicate": communicated / self.ranks.count}
        counted = self.tally.read()
        read = dict(zip(learned, torch.stack(list(learned.values())).tolist(), strict=True))
        samples = int(counted.pop("samples"))
        duration = time.perf_counter() - self._started
        self.iteration += 1
        self.samples += samples
        self.elapsed_s += duration
        with self.ranks.agreeing():
            self._refuse_wrong_numbers(read)
        return {
            "iteration": self.iteration,
            "samples": self.samples,
            "samples_per_s": samples / duration,
            "elapsed_s": self.elapsed_s,
            "seconds/collect": self._collected - self._started,
            "seconds/learn": duration - (self._collected - self._started),
            "learning_rate": self.learning_rate,
            **shared,
            "kept_fraction": kept / samples if samples else math.nan,
            **read,
            **counted,
        }

    def _refuse_wrong_numbers(self, figures: Mapping[str, float]) -> None:
        """Stops training where a loss is not a number."""
        for name, number in figures.items():
            if name.endswith("_loss") and not math.isfinite(number):
                raise FloatingPointError(
                    f"{self.run_directory}: iteration {self.iteration}: {name} is {number}; the "
                    "last saved state is whole: train anew with a lower ppo.learning_rate"
                )

    # Beginning, saving and going on.

    def begin(self, start: AnyPolicy | None = None) -> None:
        """Starts a run in an empty directory, with the weights of `start` where it is given."""
        with self.ranks.agreeing():
            refuse_begun(self.run_directory)
            if start is not None:
                self._take_weights(start)
            self._write_settings()
            self.world.reset(self.settings.seed)
        self._share_weights()

    def _share_weights(self) -> None:
        """Gives all ranks the first one's weights: what made them may round differently."""
        self.ranks.broadcast_(*(weights.detach() for weights in self.policy.parameters()))

    @property
    def _draws_in_step(self) -> bool:
        """Whether the ranks draw actions from one stream, each its own rows' part of it."""
        return self.policy.device.type == "cpu" and self.world.action_space.is_discrete

    def _make_actor(self, device: torch.device) -> SelfPlayActor:
        """The actor; ranks together draw what one process with all rows would."""
        rows = self.ranks.gather(self.world.row_count)[:, 0].long()
        before, after = int(rows[: self.ranks.rank].sum()), int(rows[self.ranks.rank + 1 :].sum())
        around = (before, after) if self._draws_in_step else (0, 0)
        generator = torch.Generator(device).manual_seed(self._actor_seed(self.settings.seed))
        return SelfPlayActor(self.policy, generator, *around)

    def _actor_seed(self, seed: int) -> int:
        """Seed of the actions: a rank's own, unless the ranks draw from one stream."""
        return seed if self._draws_in_step else self.ranks.seed(seed)

    def _take_weights(self, start: AnyPolicy) -> None:
        """Begins with another policy's weights."""
        if (start.layout, start.action_space, start.settings) != (
            self.policy.layout,
            self.policy.action_space,
            self.policy.settings,
        ):
            reason = "observes, acts or is built differently; start from one that matches"
            raise PolicyError("start", "policy", reason)
        self.policy.load_state_dict(start.state_dict())

    def resume(self) -> None:
        """Goes on from the newest state that is whole on all ranks, exactly where it was saved.

        With another number of ranks than it was saved with, the worlds begin anew.
        """
        with self.ranks.agreeing():
            tensors, facts = self._load()
        newest = int(self.ranks.gather(facts["iteration"]).min())
        with self.ranks.agreeing():
            if newest != facts["iteration"]:
                tensors, facts = self._load(newest)
            place = f"{self.run_directory}, settings"
            changed = changed_settings(self.settings, facts["settings"], CHANGEABLE, place)
            refuse_changed(self.run_directory, changed)
            try:
                self._restore(tensors, facts)
            except (KeyError, RuntimeError, ValueError) as error:
                first_line = str(error).splitlines()[0]
                reason = f"does not fit this world ({first_line}); use the same world"
                raise PolicyError(str(self.run_directory), "state", reason) from error
            self._write_settings()
        self._share_weights()

    def _load(self, iteration: int | None = None) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Reads the newest whole state, or that of an iteration, with this rank's part of it."""
        tensors, facts, refused = load_training_state(self.run_directory, 0, iteration)
        if not self.ranks.is_first and facts.get("ranks", 1) == self.ranks.count:
            own, about_own, missed = load_training_state(
                self.run_directory, self.ranks.rank, iteration
            )
            if about_own["iteration"] != facts["iteration"]:
                older = min(about_own["iteration"], facts["iteration"])
                return self._load(older)
            tensors, refused = tensors | own, refused + missed
        for sentence in refused:
            _log.warning("skipped a damaged training state: %s", sentence)
        return tensors, facts

    def save_if_due(self) -> None:
        """Saves if the last time is `checkpoint_every_s` ago, by the first rank's clock."""
        is_due = time.monotonic() - self._saved_at >= self.settings.checkpoint_every_s
        if self.ranks.any(is_due and self.ranks.is_first)[0]:
            self.save()

    @traced("save")
    def save(self) -> None:
        """Writes the training state, and the policy as it is now.

        The first rank writes what is the same for all and its own; another its own alone.
        """
        self.ranks.check_same(list(self.policy.parameters()), f"{self.run_directory}: weights")
        tensors = {
            "generator/actor": self.actor.generator.get_state(),
            "generator/shuffler": self.shuffler.get_state(),
            "tally/seen": self.tally.seen,
        }
        if isinstance(self.world, ResumableWorld):
            tensors |= {f"world/{name}": t for name, t in self.world.state_dict().items()}
        if not self.ranks.is_first:
            save_training_state(self.run_directory, self.iteration, tensors, {}, self.ranks.rank)
            return
        tensors |= learning_tensors(self.policy, self.ppo.optimizer)
        facts = {
            "ranks": self.ranks.count,
            "samples": self.samples,
            "elapsed_s": self.elapsed_s,
            "filter_running_max": self.filter.running_max,
            "settings": plain(self.settings),
        }
        save_training_state(self.run_directory, self.iteration, tensors, facts)
        metadata = {"samples": self.samples, "seed": self.settings.seed, "train": facts["settings"]}
        save_policy(self.policy, self.run_directory / POLICY_FILE, metadata=metadata)
        self._saved_at = time.monotonic()

    def _restore(self, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
        groups: dict[str, dict[str, Tensor]] = {}
        for name, tensor in tensors.items():
            group, rest = name.split("/", 1)
            groups.setdefault(group, {})[rest] = tensor
        restore_learning(tensors, self.policy, self.ppo.optimizer)
        self.iteration, self.samples = facts["iteration"], facts["samples"]
        self.elapsed_s, self.filter.running_max = facts["elapsed_s"], facts["filter_running_max"]
        # A seed not used before: repeating the first episodes would teach nothing new.
        new_seed = self.settings.seed + self.iteration
        same_ranks = facts.get("ranks", 1) == self.ranks.count
        if same_ranks:
            self.actor.generator.set_state(groups["generator"]["actor"])
            self.shuffler.set_state(groups["generator"]["shuffler"])
        else:
            self.actor.generator.manual_seed(self._actor_seed(new_seed))
            self.shuffler.manual_seed(self.ranks.seed(new_seed))
            if self.ranks.is_first:
                saved = facts.get("ranks", 1)
                _log.warning(
                    "saved by %d ranks, now %d: worlds begin anew", saved, self.ranks.count
                )
        kept = same_ranks and "world" in groups
        self.world_was_kept = kept and isinstance(self.world, ResumableWorld)
        if self.world_was_kept and isinstance(self.world, ResumableWorld):
            self.world.load_state_dict(groups["world"])
            self.tally.seen.copy_(groups["tally"]["seen"])
        else:
            self.world.reset(new_seed)

    def _write_settings(self) -> None:
        if not self.ranks.is_first:
            return
        self.run_directory.mkdir(parents=True, exist_ok=True)
        facts = {
            "train": plain(self.settings),
            "ranks": self.ranks.count,
            "rows": self.world.row_count,
            "layout": asdict(self.world.layout),
            "action_space": asdict(self.world.action_space),
            "parameters": sum(p.numel() for p in self.policy.parameters()),
            "device": str(self.policy.device),
            "precision": self.precision,
            "threads": self.policy.threads,
            "python": platform.python_version(),
            "torch": torch.__version__,
        }
        text = json.dumps(facts, indent=2) + "\n"
        (self.run_directory / SETTINGS_FILE).write_text(text, encoding="utf-8")
