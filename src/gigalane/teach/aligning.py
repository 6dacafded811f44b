"""From paired frames, a backbone and a teacher to a camera student: what `align` needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

from gigalane.core.settings import SettingsError
from gigalane.networks.backbones import (
    OWN,
    RANDOM,
    BackboneSettings,
    FrozenEyes,
    open_backbone,
)
from gigalane.networks.camera_rows import CameraLayout
from gigalane.policies.camera import CameraPolicy, CameraSettings
from gigalane.policies.entity import EntityPolicy
from gigalane.teach.align import Lessons, Pupil, lessons_of
from gigalane.teach.frame_features import FrameFeatures
from gigalane.teach.paired_frames import PairedFrames
from gigalane.teach.record_frames import check_teacher

UNSEEN_SHARE = 0.1
"""What is measured on, as a share of the frames.

The last of those that are given; where frames are recorded, as many more on other towns.
"""


def prepare(
    frames: PairedFrames,
    unseen: PairedFrames | None,
    teacher: EntityPolicy,
    backbone: BackboneSettings,
    seed: int,
    on_features: Callable[[float], None] | None = None,
) -> Pupil:
    """Makes a student and what it learns from; see `gigalane.teach.align.align`.

    Args:
        frames: what is learned from.
        unseen: what is measured on; None takes the last tenth of `frames` instead.
        teacher: whose slots and actions.
        backbone: what looks.
        seed: of the first weights.
        on_features: told the share of the features that is computed.

    Raises:
        SettingsError: the frames do not fit the teacher or each other, or the backbone is not
            what it should be.
    """
    for some in (frames, unseen or frames):
        check_teacher(teacher, some.layout)
        if some.rig != frames.rig:
            raise SettingsError(f"{some.folder}: has another rig than {frames.folder}; use one")
    student = make_student(frames, teacher, backbone, seed)

    def ask(some: PairedFrames) -> Lessons:
        assert isinstance(student.eyes, FrozenEyes)
        settings = student.settings.backbone
        features = FrameFeatures(some, student.eyes, settings, on_features)
        return lessons_of(features, some.shown(), teacher)

    lessons = ask(frames)
    if unseen is not None:
        return Pupil(student, lessons, ask(unseen))
    first = round(lessons.count * (1.0 - UNSEEN_SHARE))
    if not 0 < first < lessons.count:
        raise SettingsError(f"{frames.folder}: {lessons.count} frames; record some more")
    return Pupil(student, lessons.part(0, first), lessons.part(first, lessons.count))


def make_student(
    frames: PairedFrames, teacher: EntityPolicy, backbone: BackboneSettings, seed: int
) -> CameraPolicy:
    """A student with frozen eyes, whose slots are as wide as the teacher's.

    Raises:
        SettingsError: see `open_backbone`.
    """
    sizes = CameraSettings(
        encoder_width=teacher.settings.encoder_width,
        trunk=teacher.settings.trunk,
        backbone=pinned(backbone),
    )
    layout = CameraLayout(frames.rig, frames.layout.given)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return CameraPolicy(layout, teacher.action_space, sizes)


def pinned(backbone: BackboneSettings) -> BackboneSettings:
    """The settings of a backbone with the digest of its weights and the whole path of its folder.

    Raises:
        SettingsError: see `open_backbone`.
    """
    if not backbone.name:
        raise SettingsError("backbone: none is named; give `own` or a folder")
    if backbone.name in (OWN, RANDOM):
        return backbone
    if backbone.digest:
        return backbone
    digest = open_backbone(backbone).digest
    return replace(backbone, name=str(Path(backbone.name).resolve()), digest=digest)
