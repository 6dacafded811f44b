"""What a frozen backbone makes of paired frames, computed once and kept on disk beside them.

`features-KEY.npy` is (frames, numbers) float16, mapped into memory and never pickled. KEY is a
digest of the backbone, its settings, the rig and the frames: whatever changes, the features are
computed anew. So an epoch of alignment takes seconds whatever the backbone costs.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from gigalane.core.files import replacing
from gigalane.networks.backbones import BackboneSettings, FrozenEyes
from gigalane.teach.paired_frames import PairedFrames

ROWS = 64
"""Frames that go through the backbone at once."""
LARGEST = 6e4
"""Features are held within this: float16 ends at 65504."""


class FrameFeatures:
    """Features of a folder's frames, in order.

    Attributes:
        path: where they lie.
        found: (frames, numbers) float16, mapped from the file.
    """

    def __init__(
        self,
        frames: PairedFrames,
        eyes: FrozenEyes,
        settings: BackboneSettings,
        on_progress: Callable[[float], None] | None = None,
    ) -> None:
        """Opens the file, or makes it.

        Args:
            frames: whose features.
            eyes: that look.
            settings: of their backbone.
            on_progress: told the share done, 0 to 1.
        """
        self.path = frames.folder / f"features-{features_key(frames, eyes, settings)}.npy"
        shape = (frames.count, eyes.numbers)
        if not self._fits(shape):
            _compute(frames, eyes, self.path, shape, on_progress)
        # Pages are read as they are needed; torch only reads from them.
        self.found = np.load(self.path, mmap_mode="r", allow_pickle=False)

    def rows(self, rows: Tensor) -> Tensor:
        """Some of them: (rows, numbers) float32."""
        return torch.from_numpy(np.asarray(self.found[rows.numpy()])).float()

    def spread(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of every number: (numbers,) float32 each."""
        count, total, squares = len(self.found), 0.0, 0.0
        for first in range(0, count, 4096):
            part = np.asarray(self.found[first : first + 4096]).astype(np.float64)
            total, squares = total + part.sum(0), squares + np.square(part).sum(0)
        mean = np.asarray(total) / count
        deviation = np.sqrt(np.maximum(np.asarray(squares) / count - mean**2, 0.0))
        return torch.from_numpy(mean).float(), torch.from_numpy(deviation).float()

    def _fits(self, shape: tuple[int, int]) -> bool:
        """Whether a whole file of that shape is there."""
        try:
            found = np.load(self.path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError):
            return False
        return found.shape == shape and found.dtype == np.float16


def features_key(frames: PairedFrames, eyes: FrozenEyes, settings: BackboneSettings) -> str:
    """Digest of all that the features depend on."""
    parts = {
        "backbone": settings.name if not eyes.backbone.digest else eyes.backbone.digest,
        "grid": settings.grid,
        "channels": settings.channels,
        "precision": eyes.precision,
        "rig": asdict(frames.rig),
        "frames": frames.digest(),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def _compute(
    frames: PairedFrames,
    eyes: FrozenEyes,
    path: Path,
    shape: tuple[int, int],
    on_progress: Callable[[float], None] | None,
) -> None:
    """Writes the features of all frames."""
    with replacing(path) as beside:
        file = np.lib.format.open_memmap(beside, mode="w+", dtype=np.float16, shape=shape)
        done = 0
        for images in frames.images(ROWS):
            found = eyes.look(images).clamp(-LARGEST, LARGEST)
            file[done : done + len(images)] = found.numpy()
            done += len(images)
            if on_progress:
                on_progress(done / len(file))
        file.flush()
        del file
