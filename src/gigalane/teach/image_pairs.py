"""Pairs of images of one scene in two appearances, as files that anybody can make.

A folder holds `pairs.json` and for every frame two PNG files:

- `pairs.json`: `"format": "gigalane image pairs 1"`, `"rig"` (as in a rig file) and `"given"`:
  {NAME: [numbers]}, what the car knows of itself in each frame, the numbers of the `given` slot
  (docs/observation.md).
- `NAME-a.png`: the scene as the student knows it, such as the box world. All cameras below one
  another in the rig's order, so rig width x (cameras * rig height) pixels, red, green and blue.
- `NAME-b.png`: the same scene as it is to be known, such as a photograph. Same size.
- `NAME-a-before.png`, `NAME-b-before.png`: the same half a second before. Where a frame has
  neither, what it shows stands still.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from gigalane.core.files import replacing
from gigalane.core.settings import SettingsError
from gigalane.networks.camera_rows import CameraLayout
from gigalane.render.camera import Rig, rebuild_rig
from gigalane.teach.folder_header import read_header

FORMAT = "gigalane image pairs 1"
HEADER_FILE = "pairs.json"
SIDES = ("a", "b")


@dataclass(frozen=True)
class ImagePairs:
    """A folder of pairs; `open_pairs` checks it.

    Attributes:
        folder: where they lie.
        rig: the cameras.
        given: (pairs, numbers) float16, what the car knows of itself.
        names: of the pairs.
    """

    folder: Path
    rig: Rig
    given: Tensor
    names: tuple[str, ...]

    def rows(self, side: str, numbers: Sequence[int], layout: CameraLayout) -> Tensor:
        """Some frames as a camera world would show them.

        Args:
            side: "a" or "b".
            numbers: which frames.
            layout: of the student's rows.

        Returns:
            (frames, layout.width) uint8.
        """
        rows = torch.zeros(len(numbers), layout.width, dtype=torch.uint8)
        images = layout.images_of(rows)
        for row, number in enumerate(numbers):
            name = self.names[number]
            now = self._read(self.folder / f"{name}-{side}.png")
            before = self.folder / f"{name}-{side}-before.png"
            images[row, ..., :3] = now
            images[row, ..., 3:] = self._read(before) if before.is_file() else now
        layout.put_given(self.given[list(numbers)], rows)
        return rows

    def _read(self, path: Path) -> Tensor:
        """(cameras, height, width, 3) uint8 of a picture of the right size."""
        try:
            with Image.open(path) as picture:
                pixels = np.asarray(picture.convert("RGB"))
        except (OSError, SyntaxError, ValueError) as error:
            raise SettingsError(f"{path}: is no whole picture ({error}); copy it again") from None
        return torch.from_numpy(pixels.copy()).unflatten(0, (len(self.rig.cameras), -1))


def open_pairs(folder: Path, given: int) -> ImagePairs:
    """Opens a folder of pairs; checks that every frame has both, of the rig's size.

    Args:
        folder: with `pairs.json` and the pictures.
        given: numbers of the student's `given` slot.

    Raises:
        SettingsError: which file does not fit, and what would do.
    """
    path = folder / HEADER_FILE
    header = read_header(path, "image pairs", FORMAT, ("rig", "given"))
    rig = rebuild_rig(header["rig"], f"{path}, rig")
    frames = header["given"]
    if not frames:
        raise SettingsError(f"{path}: given names no frames; add at least one pair")
    for name, numbers in frames.items():
        if not name or Path(name).name != name:
            raise SettingsError(f"{path}: {name!r} is no name of a frame; use a file name's stem")
        if not _are_numbers(numbers, given):
            raise SettingsError(
                f"{path}: given of {name!r}: {given} finite numbers are needed, as the student "
                "was taught with"
            )
    names = tuple(frames)
    for name in names:
        _check_pictures(folder, name, rig)
    rows = torch.tensor(list(frames.values()), dtype=torch.float16)
    return ImagePairs(folder, rig, rows, names)


def _are_numbers(numbers: object, count: int) -> bool:
    if not isinstance(numbers, list) or len(numbers) != count:
        return False
    return all(isinstance(n, int | float) and math.isfinite(n) for n in numbers)


def _check_pictures(folder: Path, name: str, rig: Rig) -> None:
    """Refuses a frame that has no partner or another size than the rig's."""
    width, height = rig.size
    needed = (width, len(rig.cameras) * height)
    before = [folder / f"{name}-{side}-before.png" for side in SIDES]
    if before[0].is_file() != before[1].is_file():
        missing = before[1] if before[0].is_file() else before[0]
        raise SettingsError(f"{missing}: is missing, its partner is there; give both or neither")
    pictures = [folder / f"{name}-{side}.png" for side in SIDES]
    for path in pictures + [one for one in before if one.is_file()]:
        if not path.is_file():
            raise SettingsError(f"{path}: is missing; every frame needs an a and a b")
        try:
            with Image.open(path) as picture:
                size = picture.size
        except (OSError, SyntaxError, ValueError) as error:
            raise SettingsError(f"{path}: is no picture ({error}); write a PNG") from None
        if size != needed:
            raise SettingsError(
                f"{path}: {size[0]} x {size[1]} pixels, the rig's {len(rig.cameras)} cameras make "
                f"{needed[0]} x {needed[1]}; use the rig it was taken with"
            )


class PairWriter:
    """Writes a folder of pairs; `close` makes it whole.

    Attributes:
        folder: where they are written.
    """

    def __init__(self, folder: Path, rig: Rig) -> None:
        """Begins a folder.

        Raises:
            SettingsError: it holds pairs already.
        """
        if (folder / HEADER_FILE).exists():
            raise SettingsError(f"{folder}: holds image pairs already; name another folder")
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self._rig = folder, rig
        self._given: dict[str, list[float]] = {}

    def add(
        self, name: str, a: NDArray[np.uint8], b: NDArray[np.uint8], given: Sequence[float]
    ) -> None:
        """Writes a pair that stands still.

        Args:
            name: of the frame.
            a: (cameras, height, width, 3), the scene as the student knows it.
            b: the same scene as it is to be known.
            given: what the car knows of itself.
        """
        for side, images in (("a", a), ("b", b)):
            picture = Image.fromarray(np.concatenate(list(images), axis=0))
            with replacing(self.folder / f"{name}-{side}.png") as beside:
                picture.save(beside)
        self._given[name] = [float(number) for number in given]

    def close(self) -> None:
        """Writes `pairs.json`."""
        words = {"format": FORMAT, "rig": asdict(self._rig), "given": self._given}
        with replacing(self.folder / HEADER_FILE) as beside:
            beside.write_text(json.dumps(words, indent=1) + "\n", encoding="utf-8")
