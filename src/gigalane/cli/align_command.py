"""gigalane align: a frozen vision backbone is read into the slots of a driver."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

import tyro
from rich.console import Console

from gigalane.cli.arguments import parse
from gigalane.cli.errors import InputError
from gigalane.cli.progress import bar
from gigalane.cli.run_files import BegunRun, changed_options, refuse_begun
from gigalane.core.files import filling, replacing
from gigalane.maps.sources import open_maps
from gigalane.networks.backbones import BackboneSettings
from gigalane.policies.checkpoint import training_states
from gigalane.policies.entity import EntityPolicy
from gigalane.policies.shipped import open_subject
from gigalane.render.camera import load_rig
from gigalane.teach.align import AlignSettings, align
from gigalane.teach.aligning import UNSEEN_SHARE, pinned, prepare
from gigalane.teach.paired_frames import PairedFrames, open_frames
from gigalane.teach.record_frames import RecordSettings, record_frames
from gigalane.train.run_folder import SETTINGS_FILE
from gigalane.train.selfplay import WORLDS_FILE


@dataclass(frozen=True)
class Align:
    """Gives a driver eyes: linear adapters read a frozen vision backbone into its slots.

    Only pairs of images and scene states are learned from (TerraTransfer); the driver stays as it
    is. Without --frames the pairs are recorded from the simulator first, into RUN/frames, and
    fewer on other towns, into RUN/unseen. Features are kept beside the frames.
    Ctrl-C saves and stops; --resume goes on with the run's own settings.

    Examples:
      gigalane align aligned
      gigalane align aligned --record 50000 --align.epochs 30
      gigalane align other --frames aligned/frames --unseen aligned/unseen --backbone dinov3-vits16
      gigalane align aligned --resume --align.epochs 60
    """

    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """Folder of the run."""
    teacher: Annotated[str, tyro.conf.arg(metavar="POLICY")] = "default"
    """The driver: `default` (the shipped one) or a policy file."""
    frames: Annotated[str, tyro.conf.arg(metavar="FOLDER")] = ""
    """Paired frames to learn from; recorded anew where none are named."""
    unseen: Annotated[str, tyro.conf.arg(metavar="FOLDER")] = ""
    """Paired frames to measure on; the last tenth of --frames where none are named."""
    record: Annotated[int, tyro.conf.arg(metavar="N")] = 20_000
    """Frames to record where none are named."""
    backbone: Annotated[str, tyro.conf.arg(metavar="own|FOLDER")] = "own"
    """What looks: `own` (ships with gigalane), `random` (the same, untaught), or a folder with
    config.json and model.safetensors of a DINOv2 or DINOv3; nothing is downloaded."""
    rig: Annotated[str, tyro.conf.arg(metavar="RIG")] = "surround"
    """Cameras to record with: surround, surround-small, front, four, six, or a file."""
    map: Annotated[tuple[str, ...], tyro.conf.arg(metavar="MAP [MAP ...]")] = ("town:1-16",)
    """Road files or town:SEED to record on."""
    unseen_map: Annotated[tuple[str, ...], tyro.conf.arg(metavar="MAP [MAP ...]")] = (
        "town:201-204",
    )
    """The same, to measure on."""
    resume: bool = False
    """Go on with the run in that folder; only the number of epochs may be set anew."""
    align: AlignSettings = field(default_factory=AlignSettings)


def run(words: Sequence[str]) -> int:
    """Runs `gigalane align`."""
    command = parse(Align, words, "align")
    backbone = BackboneSettings(command.backbone)
    if command.resume:
        command, backbone = _resumed(command.run, words)
    else:
        refuse_begun(command.run)
    teacher = open_subject(command.teacher)
    if not isinstance(teacher, EntityPolicy):
        raise InputError(
            f"--teacher {command.teacher}: does not drive by the state; give default or a file "
            "that gigalane train wrote"
        )
    backbone = pinned(backbone)
    with filling(command.run, worth_keeping=lambda: bool(training_states(command.run))):
        frames, unseen = _frames(command, teacher)
        if not command.resume:
            _note(command, backbone, frames, unseen)
        with bar("looking at the frames") as tell:
            pupil = prepare(frames, unseen, teacher, backbone, command.align.seed, tell)
        told = align(pupil, teacher, command.align, command.run, resume=command.resume)
    Console(highlight=False).print(_report(told), soft_wrap=True)
    return 0


def _frames(command: Align, teacher: EntityPolicy) -> tuple[PairedFrames, PairedFrames | None]:
    """The frames that are named, or recorded ones."""
    if command.frames:
        _refuse_unused(command)
        unseen = open_frames(Path(command.unseen)) if command.unseen else None
        return open_frames(Path(command.frames)), unseen
    if command.unseen:
        raise InputError("--unseen: goes with --frames; name those, too")
    least = round(1 / UNSEEN_SHARE)
    if command.record < least:
        raise InputError(f"--record is {command.record}; record {least} frames at least")
    rig, recorded = load_rig(command.rig), []
    settings = RecordSettings(frames=command.record, seed=command.align.seed)
    for name, maps, count in (
        ("frames", command.map, command.record),
        ("unseen", command.unseen_map, int(command.record * UNSEEN_SHARE)),
    ):
        with bar(f"recording {name}") as tell:
            seed = settings.seed + (name == "unseen")
            some = replace(settings, frames=count, seed=seed)
            folder = command.run / name
            recorded.append(record_frames(open_maps(maps), teacher, rig, some, folder, tell))
    return recorded[0], recorded[1]


def _refuse_unused(command: Align) -> None:
    """Refuses options that say how frames are recorded, where some are named.

    Raises:
        InputError: one of them is set.
    """
    names = ("record", "rig", "map", "unseen_map")
    changed = changed_options(Align(command.run), command, names)
    if changed and not command.resume:
        raise InputError(
            f"{changed[0]}: says how frames are recorded, but --frames names some; leave one out"
        )


def _note(
    command: Align, backbone: BackboneSettings, frames: PairedFrames, unseen: PairedFrames | None
) -> None:
    """Writes down what the run was made with."""
    facts = {
        "teacher": command.teacher,
        "frames": str(frames.folder.resolve()),
        "unseen": str(unseen.folder.resolve()) if unseen else "",
        "record": command.record,
        "rig": command.rig,
        "maps": list(command.map),
        "unseen_maps": list(command.unseen_map),
        "backbone": asdict(backbone),
    }
    with replacing(command.run / WORLDS_FILE) as beside:
        beside.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")


def _resumed(folder: Path, words: Sequence[str]) -> tuple[Align, BackboneSettings]:
    """The run in a folder as it was begun, with what the arguments change.

    Raises:
        InputError: there is no run, or the arguments ask for another one.
        SettingsError: its files are damaged or of another version.
    """
    begun = BegunRun(folder, (WORLDS_FILE, SETTINGS_FILE))
    backbone = begun.settings(BackboneSettings, WORLDS_FILE, "backbone")
    saved = Align(
        folder,
        teacher=begun.part(WORLDS_FILE, "teacher"),
        frames=begun.part(WORLDS_FILE, "frames"),
        unseen=begun.part(WORLDS_FILE, "unseen"),
        record=begun.part(WORLDS_FILE, "record"),
        backbone=backbone.name,
        rig=begun.part(WORLDS_FILE, "rig"),
        map=begun.part(WORLDS_FILE, "maps", tuple),
        unseen_map=begun.part(WORLDS_FILE, "unseen_maps", tuple),
        align=begun.settings(AlignSettings, SETTINGS_FILE, "align"),
    )
    command = parse(Align, words, "align", saved)
    names = ("teacher", "frames", "unseen", "record", "backbone", "rig", "map", "unseen_map")
    begun.refuse_changed(changed_options(saved, command, names))
    return command, backbone


def _report(told: dict[str, Any]) -> str:
    """What came out, for a terminal."""
    figures = told["figures"]
    ranks = ", ".join(f"{name} {k}" for name, k in told["ranks"].items())
    return (
        f"{told['epochs']} epochs over {told['frames']} frames in {told['seconds']:.0f} s; "
        f"on {told['unseen_frames']} others: divergence {figures['unseen/divergence']:.3f} nat, "
        f"same action {figures['unseen/agreement']:.1%}\n"
        f"directions compared (k): {ranks}\n"
        f"{told['policy']}: gigalane evaluate measures it; align.json, metrics.jsonl beside it"
    )
