"""Controlled learning studies as data: arms that differ in what they say, over the same seeds.

A study compares ways of learning to drive. Each arm is run once a seed, in a process of its own
with one thread; what it may spend is counted in samples and in CPU seconds of that process, so
waiting for a processor costs nothing. (Two busy threads of one core do slow each other: keep the
load of the machine alike for all arms.) Policies are kept at fixed marks, shares of either budget,
and each of them is evaluated on the same unseen worlds. `gigalane.studies.running` runs a study,
`gigalane.studies.report` makes its tables and curves.

The learning rate should not depend on where a run ends, because it ends at two places: set
`TrainSettings.samples` far beyond the budget (`FLAT`) for a constant one.

**Run format.** A run is a folder `OUT/runs/ARM/seed-SEED`, and whatever writes one takes part in
the study's tables, however it learns; such a guest needs no arm in the study. It holds

- `marks.json`: `format` ("gigalane-study-run"), `version` (1), `arm`, `seed`, `settings`
  (anything), `spent` ({`samples`, `cpu_seconds`}), `complete`, `stages` (of finished stages what
  had been spent), and `marks`: a list of {`measure` ("samples" or "cpu"), `share` (of that
  budget), `samples`, `cpu_seconds`, `policy` (file name)}, in the order they were taken;
- the policy files that the marks name, as `gigalane.policies.checkpoint.save_policy` writes them.

`gigalane.studies.marks.Run` writes and reads it. CPU seconds are those of
`time.process_time` over all that learning takes, cloning and the filling of buffers included;
compiling maps and kernels, and saving, are left out.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from dataclasses import MISSING, asdict, dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from gigalane.core.settings import SettingsError
from gigalane.evals.evaluate import EvaluateSettings
from gigalane.evals.suites import HELD_OUT_TOWNS
from gigalane.maps.generate import TownSettings, generate_town
from gigalane.maps.road import RoadMap
from gigalane.maps.sources import DATA_VARIABLE, located, open_maps
from gigalane.policies.actor_critic import AnyPolicy
from gigalane.sim.settings import SimulatorSettings
from gigalane.train.trainer import Trainer, TrainSettings
from gigalane.worlds.rewinding import RewindSettings
from gigalane.worlds.world import World

FLAT = 10**13
"""As `TrainSettings.samples`: a learning rate that stays what it is."""
MEASURES = ("samples", "cpu")
_NAME = re.compile(r"[a-z0-9][a-z0-9.-]*")
_TOWNS = re.compile(r"town:(\d+)(?:-(\d+))?$")


class Learner(Protocol):
    """Makes what learns in a stage: `Trainer`, or a way of its own with the same methods."""

    def __call__(self, world: World, settings: TrainSettings, run_directory: Path) -> Trainer:
        """Makes it; touches no file."""
        ...


class Start(Protocol):
    """Makes the policy that a run begins with; what that costs counts as CPU time."""

    def __call__(self, stage: Stage, seed: int, folder: Path) -> AnyPolicy:
        """Makes the policy.

        Args:
            stage: the first stage of the run.
            seed: of the run.
            folder: of the run; the policy is kept there by the caller.
        """
        ...


@dataclass(frozen=True)
class Budget:
    """What each run may spend; it ends when it has spent both.

    Attributes:
        samples: transitions offered to the learner; 0 does not count them.
        cpu_seconds: CPU time [s]; 0 does not count it.
    """

    samples: int = 0
    cpu_seconds: float = 0.0

    def __post_init__(self) -> None:
        """Refuses a budget without end."""
        if self.samples < 0 or self.cpu_seconds < 0 or not (self.samples or self.cpu_seconds):
            raise SettingsError("budget: give samples, cpu_seconds or both, above 0")

    def share(self, measure: str, samples: int, cpu_seconds: float) -> float:
        """Which share of one of the two is spent; infinite where it does not count."""
        spent, whole = (
            (samples, self.samples) if measure == "samples" else (cpu_seconds, self.cpu_seconds)
        )
        return spent / whole if whole else float("inf")

    def done(self, samples: int, cpu_seconds: float) -> float:
        """Which share of the whole is spent: of the measure that is further from its end."""
        return min(self.share(measure, samples, cpu_seconds) for measure in MEASURES)

    @property
    def measures(self) -> tuple[str, ...]:
        """Those that count."""
        return tuple(m for m in MEASURES if self.share(m, 0, 0.0) == 0.0)


@dataclass(frozen=True)
class Stage:
    """A part of a run: where it learns, and how.

    Attributes:
        maps: sources, as `gigalane.maps.sources.open_maps` takes them.
        world: the worlds on them.
        train: how it learns; seed and threads are the study's to set, and `samples` is only
            where the learning rate would reach 0.
        until: share of the run's budget at which it ends; of the last stage 1.
        towns: what procedural towns look like; None is the default.
        rewind: whether worlds go back to shortly before incidents.
        learner: what learns.
        rig: what it looks through, a preset or a file, in drawn looks; "" where it is shown the
            state. Its `learner` makes a policy with eyes then.
    """

    maps: tuple[str, ...]
    world: SimulatorSettings
    train: TrainSettings
    until: float = 1.0
    towns: TownSettings | None = None
    rewind: RewindSettings | None = None
    learner: Learner = Trainer
    rig: str = ""

    def __post_init__(self) -> None:
        """Refuses what no world does."""
        if self.rig and self.rewind:
            raise SettingsError("stage: worlds with cameras do not rewind; leave rig or rewind out")

    def open_maps(self) -> list[RoadMap]:
        """Its maps.

        Raises:
            MapError: if one of them cannot be used.
        """
        return _open(self.maps, self.towns)


def check_name(name: str) -> None:
    """Refuses names of arms that make no folder."""
    if not _NAME.fullmatch(name):
        raise SettingsError(f"arm {name!r}: use lower case, digits, dots and dashes")


class AnyArm(Protocol):
    """One way of learning: an `Arm`, or a `gigalane.studies.lessons.StudentArm`."""

    @property
    def name(self) -> str:
        """Lower case, digits and dashes; also a folder's name."""
        ...

    @property
    def about(self) -> str:
        """What is different about it, in a few words."""
        ...

    @property
    def stages(self) -> Sequence[Place]:
        """Where it learns, in order."""
        ...


class Place(Protocol):
    """Where something is learned."""

    @property
    def maps(self) -> tuple[str, ...]:
        """Sources, as `gigalane.maps.sources.open_maps` takes them."""
        ...


@dataclass(frozen=True)
class Arm:
    """One way of learning.

    Attributes:
        name: lower case, digits and dashes; also a folder's name.
        about: what is different about it, in a few words.
        stages: in order; each goes on with the policy and the optimiser of the one before.
        start: makes the policy it begins with; None begins with random weights.
    """

    name: str
    about: str
    stages: tuple[Stage, ...]
    start: Start | None = None

    def __post_init__(self) -> None:
        """Refuses names that make no folder, and stages that do not end in order."""
        check_name(self.name)
        ends = [stage.until for stage in self.stages]
        if not ends or ends != sorted(set(ends)) or ends[0] <= 0 or ends[-1] != 1.0:
            raise SettingsError(f"arm {self.name}: stages must end in rising order, the last at 1")


@dataclass(frozen=True)
class Trial:
    """What the kept policies are measured on.

    Attributes:
        name: lower case, digits and dashes.
        maps: sources; `$` stands for the folder in GIGALANE_DATA.
        settings: how they are driven; the same for all arms and seeds.
        every_mark: whether all marks are measured or only those at the end of a budget.
        towns: what procedural towns look like; None is the default.
    """

    name: str
    maps: tuple[str, ...]
    settings: EvaluateSettings
    every_mark: bool = True
    towns: TownSettings | None = None

    def open_maps(self) -> list[RoadMap]:
        """Its maps.

        Raises:
            SettingsError: if they lie in a folder that is not at hand.
            MapError: if one of them cannot be used.
        """
        return _open(tuple(located(self.maps, f"trial {self.name}")), self.towns)


@dataclass(frozen=True)
class Study:
    """Arms, seeds, budget, marks and trials.

    Attributes:
        name: of the study.
        arms: the first is the base that the others are compared with.
        budget: of each run.
        seeds: how many; they are 0, 1, … in every arm, so that arms can be paired by seed.
        trials: what the policies are measured on; the first one gives the curves.
        marks: shares of either budget at which policies are kept, rising, the last 1.
    """

    name: str
    arms: tuple[AnyArm, ...]
    budget: Budget
    seeds: int
    trials: tuple[Trial, ...]
    marks: tuple[float, ...] = (0.125, 0.25, 0.5, 0.75, 1.0)

    def __post_init__(self) -> None:
        """Refuses a comparison that would mean nothing."""
        names = [arm.name for arm in self.arms]
        if not names or len(set(names)) != len(names):
            raise SettingsError(f"study {self.name}: give arms with names of their own")
        if self.seeds < 1:
            raise SettingsError(f"study {self.name}: seeds must be at least 1")
        rises = list(self.marks) == sorted(set(self.marks))
        if not self.marks or not rises or self.marks[0] <= 0 or self.marks[-1] != 1.0:
            raise SettingsError(f"study {self.name}: marks must rise from above 0 to 1")
        if not self.trials:
            raise SettingsError(f"study {self.name}: give at least one trial")
        for arm in self.arms:
            for stage in arm.stages:
                for trial in self.trials:
                    self._refuse_seen(arm, stage, trial)

    def _refuse_seen(self, arm: AnyArm, stage: Place, trial: Trial) -> None:
        """Refuses trials on maps that an arm learns on."""
        if seen := _places(stage.maps) & _places(trial.maps):
            raise SettingsError(
                f"study {self.name}: trial {trial.name} and arm {arm.name} share "
                f"{min(seen)}; measure on maps that nobody learns on"
            )

    def part(self, names: Sequence[str]) -> Study:
        """The same study with only some of its arms; the base stays.

        Raises:
            SettingsError: if there is no arm of a name.
        """
        known = [arm.name for arm in self.arms]
        for name in names:
            if name not in known:
                raise SettingsError(f"study {self.name}: no arm {name!r}; {', '.join(known)}")
        kept = tuple(arm for arm in self.arms if arm.name in {known[0], *names})
        return replace(self, arms=kept)

    def arm(self, name: str) -> AnyArm:
        """The arm of a name."""
        return next(arm for arm in self.arms if arm.name == name)


def standard_trials(episodes: int = 400, seconds: float = 60.0) -> tuple[Trial, ...]:
    """Unseen procedural towns, and CARLA's Town05 where it is at hand.

    Dense traffic (10 vehicles a lane-km), the careful persona, greedy actions, dt 0.3 and 0.1 s.
    Towns at 0.3 s are measured at every mark, the others at the end of a budget.
    """
    settings = EvaluateSettings(episodes=episodes, seconds=seconds, density=10.0, seed=7)
    places = [("towns", (HELD_OUT_TOWNS,))]
    folder = os.environ.get(DATA_VARIABLE, "")
    if folder and Path(folder, "opendrive/carla/Town05.xodr.gz").is_file():
        places.append(("town05", ("$/opendrive/carla/Town05.xodr.gz",)))
    return tuple(
        Trial(f"{name}-dt{dt:g}", maps, replace(settings, dt=dt), name == "towns" and dt == 0.3)
        for name, maps in places
        for dt in (0.3, 0.1)
    )


@dataclass(frozen=True)
class _Tree:
    """Carries a settings object into `asdict`, which wants a dataclass."""

    of: object = field()


def described(settings: object) -> Any:  # noqa: ANN401
    """Settings as JSON holds them; functions and classes by their names."""

    def named(value: object) -> str:
        return f"{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', repr(value))}"

    return json.loads(json.dumps(asdict(_Tree(settings)), default=named))["of"]


def completed(saved: Any, settings: object) -> Any:  # noqa: ANN401
    """Saved settings, with the defaults of those that did not exist when they were saved.

    Args:
        saved: as `described` once gave them.
        settings: the settings of now, which say what there is; their values do not matter.
    """
    if isinstance(settings, list | tuple) and isinstance(saved, list):
        if len(saved) == len(settings):
            return [completed(*pair) for pair in zip(saved, settings, strict=True)]
    elif is_dataclass(settings) and isinstance(saved, dict):
        whole = dict(saved)
        for part in fields(settings):
            if part.name in saved:
                whole[part.name] = completed(saved[part.name], getattr(settings, part.name))
            elif part.default is not MISSING:
                whole[part.name] = described(part.default)
            elif part.default_factory is not MISSING:
                whole[part.name] = described(part.default_factory())
        return whole
    return saved


def changes(one: object, other: object, place: str = "") -> list[str]:
    """Places in which two settings differ, in words such as "stages.0.train.discount".

    Args:
        one: settings as `described` gives them.
        other: the same.
        place: put before each.
    """
    if isinstance(one, dict) and isinstance(other, dict):
        keys = sorted(one.keys() | other.keys())
        pairs = [(key, one.get(key), other.get(key)) for key in keys]
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        pairs = [(str(k), a, b) for k, (a, b) in enumerate(zip(one, other, strict=True))]
    else:
        return [] if one == other else [place]
    return [
        found for key, a, b in pairs for found in changes(a, b, f"{place}.{key}" if place else key)
    ]


def _open(sources: tuple[str, ...], towns: TownSettings | None) -> list[RoadMap]:
    """Opens maps; procedural towns by their own settings where there are some."""
    maps: list[RoadMap] = []
    for source in sources:
        match = _TOWNS.match(source)
        if match and towns is not None:
            first, last = int(match[1]), int(match[2] or match[1])
            maps += [generate_town(seed, towns) for seed in range(first, last + 1)]
        else:
            maps += open_maps([source])
    return maps


def _places(sources: tuple[str, ...]) -> set[str]:
    """Names of maps: of files the file's, of towns each seed."""
    places: set[str] = set()
    for source in sources:
        match = _TOWNS.match(source)
        if match:
            first, last = int(match[1]), int(match[2] or match[1])
            places |= {f"town:{seed}" for seed in range(first, last + 1)}
        else:
            places.add(Path(source).name)
    return places
