"""Backbones: frozen networks from images to features, and eyes that look through one.

A backbone makes numbers of one image of one camera and is never changed; what drives learns to
read them (`gigalane.teach.align`). Ours is a few convolutions taught to tell classes and
distances in the box world (`recipes/own_backbone.py`); a DINOv2 or DINOv3 comes from a folder
(`gigalane.networks.dino`).

Choices that TerraTransfer (arXiv 2606.17386) leaves open: features of an image are averaged to
a coarse grid of cells, which keeps where things are; of two images, of now and of before, the
features of now are used and the difference of both, in which motion shows.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import Protocol

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn import functional

from gigalane.core.files import replacing
from gigalane.core.settings import SettingsError
from gigalane.networks.camera_rows import FRAMES
from gigalane.networks.image_encoder import EyeSettings, ImageEncoder
from gigalane.networks.layers import Precision

OWN, RANDOM = "own", "random"
"""Names of the backbone that ships, and of the same untaught."""
OWN_FILE = "own_backbone.safetensors"
FORMAT = "gigalane-backbone 1"
DIGEST_LENGTH = 16
"""Hexadecimal digits that tell one backbone from another."""


class BackboneError(SettingsError):
    """A backbone that cannot be used; says which, why and what would do."""


@dataclass(frozen=True)
class BackboneSettings:
    """Which backbone eyes look through.

    Attributes:
        name: `own` (ships with gigalane), `random` (the same, untaught) or a folder that holds
            a DINOv2 or DINOv3. Empty: no backbone, the eyes themselves learn.
        digest: of its weights; empty takes whatever is there.
        grid: rows and columns of cells that an image is averaged to at most.
        channels: of our own convolutions.
    """

    name: str = ""
    digest: str = ""
    grid: tuple[int, int] = (3, 12)
    channels: tuple[int, ...] = (16, 32, 64, 128)

    def __post_init__(self) -> None:
        """Refuses sizes that make no network."""
        if len(self.grid) != 2 or not self.channels or min(*self.grid, *self.channels) < 1:
            raise SettingsError(
                "backbone: grid needs two numbers of cells and channels one or more, all at least 1"
            )


class Backbone(Protocol):
    """What every backbone is.

    Attributes:
        digest: first digits of SHA-256 over its weights.
    """

    digest: str

    @property
    def precision(self) -> Precision:
        """What it is computed in."""
        ...

    @precision.setter
    def precision(self, precision: Precision) -> None: ...

    def look(self, images: Tensor) -> Tensor:
        """Makes features, without gradient.

        Args:
            images: (images, height, width, 3) uint8.

        Returns:
            (images, numbers) float32; how many depends on the size of the images only.
        """
        ...


class OwnBackbone(nn.Module):
    """The convolutions of `ImageEncoder`, over one image at a time.

    Attributes:
        digest: see `Backbone`; empty where it is untaught.
        encoder: the convolutions.
        grid: see `BackboneSettings`.
    """

    def __init__(self, channels: tuple[int, ...], grid: tuple[int, int]) -> None:
        """Makes weights from torch's global generator."""
        super().__init__()
        self.digest, self.grid = "", grid
        # Which size it is made for does not matter: the layer that depends on it goes.
        self.encoder = ImageEncoder((1, 1, 1, 3), 0, EyeSettings(channels, 1))
        del self.encoder.last

    @property
    def precision(self) -> Precision:
        """What the convolutions are computed in."""
        return self.encoder.precision

    @precision.setter
    def precision(self, precision: Precision) -> None:
        self.encoder.precision = precision

    def cells(self, images: Tensor) -> Tensor:
        """Features of every cell of 2ⁿ x 2ⁿ pixels, n convolutions, with gradient.

        Args:
            images: (images, height, width, 3) uint8.

        Returns:
            (images, channels, rows, columns), not negative.
        """
        return self.encoder.look(images.unsqueeze(1))

    @torch.no_grad()
    def look(self, images: Tensor) -> Tensor:
        """See `Backbone`."""
        return averaged(self.cells(images).float(), self.grid).flatten(1)


def averaged(cells: Tensor, grid: tuple[int, int]) -> Tensor:
    """Averages (images, channels, rows, columns) to a grid where there are more cells."""
    size = (min(cells.shape[2], grid[0]), min(cells.shape[3], grid[1]))
    return cells if cells.shape[2:] == size else functional.adaptive_avg_pool2d(cells, size)


def open_backbone(settings: BackboneSettings) -> Backbone:
    """The backbone that settings name.

    Raises:
        BackboneError: it is not there, is damaged, or has other weights than its digest says.
    """
    if settings.name in (OWN, RANDOM):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            own = OwnBackbone(settings.channels, settings.grid)
        if settings.name == OWN:
            _load_own(own, settings.channels)
        return own
    from gigalane.networks.dino import open_dino

    dino = open_dino(Path(settings.name), settings.grid)
    if settings.digest and settings.digest != dino.digest:
        raise BackboneError(
            f"backbone {settings.name}: its weights have digest {dino.digest}, those it was "
            f"aligned with {settings.digest}; put those there"
        )
    return dino


@torch.no_grad()
def begin_with_own(encoder: ImageEncoder) -> None:
    """Gives convolutions that are to learn the weights of the own backbone.

    It looks at one image; of an encoder that is shown two, the second counts for nothing yet.

    Args:
        encoder: with the backbone's channels.

    Raises:
        BackboneError: this installation holds no backbone, or one of other channels.
    """
    own = open_backbone(BackboneSettings(OWN, channels=encoder.settings.channels))
    assert isinstance(own, OwnBackbone)
    pairs = zip(encoder.convolutions, own.encoder.convolutions, strict=True)
    for layer, taught in pairs:
        assert isinstance(layer, nn.Conv2d) and isinstance(taught, nn.Conv2d)
        assert layer.bias is not None and taught.bias is not None
        layer.weight.zero_()
        layer.weight[:, : taught.in_channels] = taught.weight
        layer.bias.copy_(taught.bias)


def save_own(backbone: OwnBackbone, path: Path, facts: dict[str, object]) -> None:
    """Writes our own backbone: weights in float16, and how it came about as JSON."""
    tensors = {name: t.half().contiguous() for name, t in backbone.state_dict().items()}
    header = {"format": FORMAT, "facts": json.dumps(facts)}
    with replacing(path) as beside:
        beside.write_bytes(save(tensors, header))


def _load_own(backbone: OwnBackbone, channels: tuple[int, ...]) -> None:
    """Gives our own convolutions the weights that ship."""
    resource = files("gigalane.networks").joinpath("weights", OWN_FILE)
    with as_file(resource) as path:
        if not path.is_file():
            raise BackboneError("backbone own: this installation holds none; give a folder")
        try:
            with safe_open(path, framework="pt") as file:
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            backbone.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
        except (SafetensorError, OSError, RuntimeError) as error:
            raise BackboneError(
                f"backbone own: {path} does not fit channels {channels} or is damaged; leave "
                "channels as they are, or install gigalane again"
            ) from error
        backbone.digest = file_digest(path)


def file_digest(*paths: Path) -> str:
    """First digits of SHA-256 over files, in order."""
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:DIGEST_LENGTH]


class FrozenEyes(nn.Module):
    """Eyes that look through a backbone; nothing in them learns.

    Our own backbone is a part of them and lies in their file. One from a folder is not: the
    file names the folder and the digest of its weights.

    Attributes:
        backbone: what makes the features.
        numbers: what it makes of a row.
        features: numbers that come out: those, and the conditions.
    """

    def __init__(
        self, shape: tuple[int, int, int, int], conditions: int, settings: BackboneSettings
    ) -> None:
        """Opens the backbone.

        Args:
            shape: (cameras, height, width, channels) of the images of a row.
            conditions: numbers that are handed on.
            settings: which backbone.

        Raises:
            BackboneError: see `open_backbone`.
        """
        super().__init__()
        self.backbone = open_backbone(settings)
        if isinstance(self.backbone, nn.Module):
            self.backbone.requires_grad_(False)
        cameras, height, width, _ = shape
        blank = torch.zeros(1, height, width, 3, dtype=torch.uint8)
        self.numbers = FRAMES * cameras * self.backbone.look(blank).shape[1]
        self.features = self.numbers + conditions
        self.register_buffer("mean", torch.zeros(self.numbers))
        self.register_buffer("scale", torch.ones(self.numbers))

    @property
    def precision(self) -> Precision:
        """What the backbone is computed in."""
        return self.backbone.precision

    @precision.setter
    def precision(self, precision: Precision) -> None:
        self.backbone.precision = precision

    def forward(self, images: Tensor, conditions: Tensor) -> Tensor:
        """Features of rows.

        Args:
            images: (rows, cameras, height, width, channels) uint8.
            conditions: (rows, numbers) float32.

        Returns:
            (rows, features) float32.
        """
        return self.join(self.look(images), conditions)

    @torch.no_grad()
    def look(self, images: Tensor) -> Tensor:
        """What the backbone finds now, and how that differs from before: (rows, numbers)."""
        rows = len(images)
        frames = images.unflatten(-1, (FRAMES, 3)).movedim(-2, 1)
        found = self.backbone.look(frames.flatten(0, 2)).view(rows, FRAMES, -1)
        now, before = found.unbind(1)
        return torch.cat([now, now - before], dim=1)

    def join(self, found: Tensor, conditions: Tensor) -> Tensor:
        """What `look` found, in units of how much each number varies, and the conditions."""
        scaled = (found.float() - self.get_buffer("mean")) / self.get_buffer("scale")
        return torch.cat([scaled, conditions], dim=1)
