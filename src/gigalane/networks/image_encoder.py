"""A small convolutional network from images to features: eyes that learn on two CPU cores."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from gigalane.core.settings import SettingsError
from gigalane.networks.cell_pool import CellPool
from gigalane.networks.layers import Precision, linear

_MIDDLE, _SPREAD = 127.5, 64.0
"""What is taken from a shade of 0 to 255, and what it is divided by (chosen)."""


@dataclass(frozen=True)
class EyeSettings:
    """Sizes of the network.

    Attributes:
        channels: of each convolution; each halves the image.
        features: numbers that come out of the layer over everything.
        pooled: numbers that come out besides, of what any cell of the last convolution sees
            (`gigalane.networks.cell_pool`); 192 would do, 0 pools nothing.
        begins: what the convolutions begin with: "chance", or the "own" backbone that ships, which
            can tell what is where (`gigalane.networks.backbones.begin_with_own`).
    """

    channels: tuple[int, ...] = (16, 32, 64, 128)
    features: int = 256
    pooled: int = 0
    begins: Literal["chance", "own"] = "chance"

    def __post_init__(self) -> None:
        """Refuses sizes that make no network."""
        if not self.channels or min(*self.channels, self.features) < 1:
            raise SettingsError("eyes: every number of channels and features must be at least 1")
        if self.pooled < 0:
            raise SettingsError(f"eyes: pooled is {self.pooled}; give 0 or more, 192 say")
        if self.begins not in ("chance", "own"):
            raise SettingsError(f"eyes: begins is {self.begins!r}; give chance or own")


class ImageEncoder(nn.Module):
    """Convolutions with a ReLU each, then one layer over everything that is left.

    All cameras share the convolutions; the last layer knows which camera is which. What any cell
    sees stands beside it where `pooled` asks for that.

    Attributes:
        settings: sizes.
        precision: what everything is multiplied in.
    """

    def __init__(
        self, shape: tuple[int, int, int, int], conditions: int, settings: EyeSettings
    ) -> None:
        """Makes weights from torch's global generator.

        Args:
            shape: (cameras, height, width, channels) of the images of a row.
            conditions: numbers that the last layer is told besides.
            settings: sizes.
        """
        super().__init__()
        self.settings = settings
        self.precision: Precision = "fp32"
        cameras, height, width, channels = shape
        sizes = pairwise((channels, *settings.channels))
        self.convolutions = nn.ModuleList()
        for number, (inputs, outputs) in enumerate(sizes):
            kernel = 3 if number else 5
            layer = nn.Conv2d(inputs, outputs, kernel, stride=2, padding=kernel // 2)
            # Keeps the variance of activations through a ReLU (He et al. 2015).
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)  # pyright: ignore[reportArgumentType]
            self.convolutions.append(layer)
            width, height = -(-width // 2), -(-height // 2)
        cells, found = cameras * width * height, settings.channels[-1]
        self.last = linear(cells * found + conditions, settings.features)
        if settings.pooled:
            self.pool = CellPool(cells, found, conditions, settings.pooled)

    @property
    def features(self) -> int:
        """Numbers that come out."""
        return self.settings.features + self.settings.pooled

    def forward(self, images: Tensor, conditions: Tensor) -> Tensor:
        """Encodes images.

        Args:
            images: (rows, cameras, height, width, channels) uint8.
            conditions: (rows, numbers) float32, near 1 in size.

        Returns:
            (rows, features) float32, not negative.
        """
        is_bf16 = self.precision == "bf16"
        with torch.autocast(images.device.type, torch.bfloat16, enabled=is_bf16):
            cells = self.look(images).permute(0, 2, 3, 1)
            cells = cells.reshape(len(images), -1, cells.shape[-1])
            flat = cells.flatten(1)
            told = torch.cat([flat, conditions.to(flat.dtype)], dim=1)
            whole = functional.relu(self.last(told)).float()
            if not self.settings.pooled:
                return whole
            return torch.cat([whole, self.pool(cells, conditions).float()], dim=1)

    def look(self, images: Tensor) -> Tensor:
        """What the convolutions find: (rows * cameras, channels, height, width)."""
        dtype = torch.bfloat16 if self.precision == "bf16" else torch.float32
        # Channels lie last in memory already, and bfloat16 holds every whole number to 256.
        pixels = images.flatten(0, 1).to(dtype).permute(0, 3, 1, 2)
        for number, layer in enumerate(self.convolutions):
            assert isinstance(layer, nn.Conv2d) and layer.bias is not None
            weight, bias = layer.weight, layer.bias
            if not number:  # of (pixels - _MIDDLE) / _SPREAD; what lies outside counts as black
                weight = weight / _SPREAD
                bias = bias - _MIDDLE * weight.sum((1, 2, 3))
            # Weights themselves stay in the usual order, in which they are saved and improved.
            weight = weight.to(dtype).contiguous(memory_format=torch.channels_last)
            pixels = functional.conv2d(pixels, weight, bias.to(dtype), 2, layer.padding)
            pixels = functional.relu(pixels, inplace=True)
        return pixels
