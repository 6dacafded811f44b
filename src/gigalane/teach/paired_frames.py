"""Paired frames: what cameras see and what the simulator would show of the same moment, as files.

A folder holds `frames.json` (format, rig, layout of the scene rows) and shards
`frames-00000.safetensors` of two tensors each:

- `images` (n, cameras, height, width, 6) uint8: red, green, blue of now, then of half a second
  before.
- `shown` (n, layout.width) float16: the scene as a driver is shown it (docs/observation.md).

Nothing else is in it: no actions, no trajectory, no order in time that a learner could use. Other
sources of paired images and annotated scenes can write the same.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from gigalane.core.files import replacing
from gigalane.core.settings import SettingsError, rebuild
from gigalane.networks.camera_rows import CameraLayout
from gigalane.render.camera import Rig, rebuild_rig
from gigalane.sim.layout import ObservationLayout
from gigalane.teach.folder_header import read_header

FORMAT = "gigalane paired frames 1"
HEADER_FILE = "frames.json"
OWN_SHARDS = "frames-" + 5 * "[0-9]" + ".safetensors"
"""Names that `FrameWriter` gives."""
SHARD_ROWS = 2048
"""Frames of a shard as they are written."""
MOST_BYTES = 2**31
"""Of a shard; a larger one is refused before memory is asked for."""
MOST_SHARDS = 100_000


class FrameWriter:
    """Writes paired frames into a folder, a shard at a time; `close` makes it whole.

    Attributes:
        folder: where they are written.
        written: frames that lie in whole shards.
        count: frames that were given.
    """

    def __init__(
        self, folder: Path, rig: Rig, layout: ObservationLayout, rows: int = SHARD_ROWS
    ) -> None:
        """Begins a folder; shards that were never closed are taken away.

        Args:
            folder: made if missing.
            rig: the cameras.
            layout: of the scene rows.
            rows: frames of a shard.

        Raises:
            SettingsError: the folder holds frames already.
        """
        if (folder / HEADER_FILE).exists():
            raise SettingsError(f"{folder}: holds paired frames already; name another folder")
        self.folder, self.layout, self.rows, self._rig = folder, layout, rows, rig
        self.shape = CameraLayout(rig, layout.given).image_shape
        self.written = self.count = 0
        self._waiting: list[tuple[Tensor, Tensor]] = []
        folder.mkdir(parents=True, exist_ok=True)
        for unfinished in folder.glob(OWN_SHARDS):
            unfinished.unlink()

    def add(self, images: Tensor, shown: Tensor) -> None:
        """Takes frames over; whole shards are written at once.

        Args:
            images: (n, cameras, height, width, 6) uint8.
            shown: (n, layout.width) float16.

        Raises:
            SettingsError: sizes that do not fit.
        """
        _check(str(self.folder), images.shape, shown.shape, self.shape, self.layout)
        self._waiting.append((images.clone(), shown.clone()))
        self.count += len(images)
        while self.count - self.written >= self.rows:
            self._write(self.rows)

    def close(self) -> None:
        """Writes what is left, and the header: without it nobody opens the folder."""
        if self.count > self.written:
            self._write(self.count - self.written)
        header = {"format": FORMAT, "rig": asdict(self._rig), "layout": asdict(self.layout)}
        with replacing(self.folder / HEADER_FILE) as beside:
            beside.write_text(json.dumps(header, indent=2) + "\n", encoding="utf-8")

    def _write(self, rows: int) -> None:
        """Writes a shard of the oldest frames."""
        images, shown = (torch.cat(parts) for parts in zip(*self._waiting, strict=True))
        self._waiting = [(images[rows:], shown[rows:])]
        tensors = {"images": images[:rows].contiguous(), "shown": shown[:rows].contiguous()}
        number = self.written // self.rows
        with replacing(self.folder / f"frames-{number:05d}.safetensors") as beside:
            beside.write_bytes(save(tensors))  # save_file would hide it from others
        self.written += rows


@dataclass(frozen=True)
class Shard:
    """A file of paired frames.

    Attributes:
        path: the file.
        rows: frames in it.
    """

    path: Path
    rows: int

    def read(self) -> tuple[Tensor, Tensor]:
        """Images and scene rows of it; see `FrameWriter.add`.

        Raises:
            SettingsError: it is damaged.
        """
        try:
            with safe_open(self.path, framework="pt") as file:
                return file.get_tensor("images"), file.get_tensor("shown")
        except (SafetensorError, OSError, ValueError) as error:
            raise SettingsError(f"{self.path}: {_damaged(error)}") from error


@dataclass(frozen=True)
class PairedFrames:
    """A folder of paired frames; `open_frames` checks it.

    Attributes:
        folder: where they lie.
        rig: the cameras.
        layout: of the scene rows.
        shards: its files in order.
    """

    folder: Path
    rig: Rig
    layout: ObservationLayout
    shards: tuple[Shard, ...]

    @property
    def count(self) -> int:
        """Frames in all."""
        return sum(shard.rows for shard in self.shards)

    @property
    def image_shape(self) -> tuple[int, int, int, int]:
        """(cameras, height, width, channels) of the images of a frame."""
        return CameraLayout(self.rig, self.layout.given).image_shape

    def shown(self) -> Tensor:
        """The scene rows of all frames: (count, layout.width) float16."""
        return torch.cat([shard.read()[1] for shard in self.shards])

    def images(self, rows: int) -> Iterator[Tensor]:
        """The images in order, so many frames at a time (fewer at the end of a shard)."""
        for shard in self.shards:
            yield from shard.read()[0].split(rows)

    def digest(self) -> str:
        """Of the header and all shards: the same as long as nothing is changed."""
        digest = hashlib.sha256((self.folder / HEADER_FILE).read_bytes())
        for shard in self.shards:
            with shard.path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        return digest.hexdigest()[:16]


def open_frames(folder: Path) -> PairedFrames:
    """Opens a folder of paired frames and checks its header and the sizes in every shard.

    Raises:
        SettingsError: there are no frames, images and scene rows do not match, images are of
            another size than the rig's, or the rig has no camera.
    """
    header = read_header(folder / HEADER_FILE, "paired frames", FORMAT, ("rig", "layout"))
    rig = rebuild_rig(header["rig"], str(folder / HEADER_FILE))
    layout = rebuild(ObservationLayout, header["layout"], f"{folder / HEADER_FILE}, layout")
    shape = CameraLayout(rig, layout.given).image_shape
    paths = sorted(folder.glob("frames-*.safetensors"))[: MOST_SHARDS + 1]
    if not paths:
        raise SettingsError(f"{folder}: holds no frames-*.safetensors; record some there")
    if len(paths) > MOST_SHARDS:
        raise SettingsError(f"{folder}: more than {MOST_SHARDS} shards; make them larger")
    return PairedFrames(folder, rig, layout, tuple(_open_shard(p, shape, layout) for p in paths))


def _open_shard(path: Path, shape: tuple[int, int, int, int], layout: ObservationLayout) -> Shard:
    """A shard whose sizes fit; its numbers are not read."""
    if path.stat().st_size > MOST_BYTES:
        raise SettingsError(f"{path}: larger than {MOST_BYTES} bytes; write smaller shards")
    try:
        with safe_open(path, framework="pt") as file:
            if set(file.keys()) != {"images", "shown"}:
                raise SettingsError(
                    f"{path}: holds {', '.join(sorted(file.keys()))}; exactly images and shown "
                    "are needed"
                )
            parts = [file.get_slice(name) for name in ("images", "shown")]
            sizes = [tuple(part.get_shape()) for part in parts]
            kinds = [part.get_dtype() for part in parts]
    except (SafetensorError, OSError) as error:
        raise SettingsError(f"{path}: {_damaged(error)}") from error
    if kinds != ["U8", "F16"]:
        raise SettingsError(f"{path}: images are {kinds[0]} and shown {kinds[1]}; U8, F16 needed")
    _check(str(path), sizes[0], sizes[1], shape, layout)
    return Shard(path, sizes[0][0])


def _check(
    place: str,
    images: Sequence[int],
    shown: Sequence[int],
    shape: tuple[int, int, int, int],
    layout: ObservationLayout,
) -> None:
    """Refuses pairs whose sizes do not fit each other, the rig or the layout."""
    if tuple(images[1:]) != shape:
        raise SettingsError(
            f"{place}: images are {tuple(images[1:])}, the rig makes {shape} (cameras, height, "
            "width, channels); use the rig they were taken with"
        )
    if len(shown) != 2 or shown[1] != layout.width:
        raise SettingsError(
            f"{place}: scene rows are {tuple(shown[1:])}, the layout makes ({layout.width},); use "
            "the layout they were written with"
        )
    if images[0] != shown[0] or not images[0]:
        raise SettingsError(
            f"{place}: {images[0]} images and {shown[0]} scene rows; there must be a pair of each"
        )


def _damaged(error: Exception) -> str:
    """What to tell of a file that is no whole safetensors file."""
    return f"is not a whole safetensors file ({error}); copy or write it again"
