"""gigalane train: self-play."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console

from gigalane.cli.errors import InputError, parse
from gigalane.maps.sources import open_maps
from gigalane.sim.settings import SimulatorSettings
from gigalane.train.selfplay import self_play
from gigalane.train.trainer import TrainSettings


@dataclass(frozen=True)
class Train:
    """Teaches one policy to drive every road user, by playing against copies of itself.

    Progress goes to the terminal, to metrics.jsonl and to TensorBoard in the run's folder.
    Ctrl-C saves and stops; --resume goes on exactly there.
    """

    run: Annotated[Path, tyro.conf.Positional]
    """Folder of the run."""
    map: tuple[str, ...] = ("town:1-16",)
    """Road files or town:SEED; the worlds share them out."""
    resume: bool = False
    """Go on with the run in that folder; maps and worlds are read from its settings."""
    train: TrainSettings = field(default_factory=TrainSettings)
    world: SimulatorSettings = field(
        default_factory=lambda: SimulatorSettings(worlds=64, agents=32)
    )


def run(words: Sequence[str]) -> int:
    """Runs `gigalane train`."""
    command = parse(Train, words, "train")
    kept = command.run / "worlds.json"
    sources, settings = command.map, command.world
    if command.resume:
        if not kept.is_file():
            raise InputError(f"{command.run}: holds no run to go on with; leave out --resume")
        sources = tuple(json.loads(kept.read_text())["maps"])
        if json.loads(kept.read_text())["world"] != json.loads(json.dumps(asdict(settings))):
            raise InputError(
                f"{kept}: the run has other --world settings; repeat them as they stand there"
            )
    maps = open_maps(sources)
    if not command.resume:
        command.run.mkdir(parents=True, exist_ok=True)
        facts = {"maps": list(sources), "world": asdict(settings)}
        kept.write_text(json.dumps(facts, indent=2) + "\n")
    self_play(maps, settings, command.train, command.run, resume=command.resume)
    Console(highlight=False).print(f"{command.run}: policy.safetensors, metrics.jsonl")
    return 0
