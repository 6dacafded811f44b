"""DINOv2 and DINOv3 from a folder, through transformers; nothing is ever downloaded.

The folder is what `save_pretrained` writes: config.json and weights as safetensors. What is
taken of an image: the class token, and the means of the patch tokens over a coarse grid of
cells; register tokens are left out. The paper does not say how it pools (TerraTransfer, arXiv
2606.17386); this keeps where things are.
"""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from gigalane.networks.backbones import BackboneError, averaged, file_digest
from gigalane.networks.layers import Precision

MODELS = {
    "dinov2": "Dinov2Model",
    "dinov2_with_registers": "Dinov2WithRegistersModel",
    "dinov3_vit": "DINOv3ViTModel",
}
"""Class in transformers by the `model_type` of config.json."""
MEAN, SPREAD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of red, green and blue on ImageNet, shares of full brightness; both families are trained so."""
LEAST_SIDE = 112
"""Images are enlarged by a whole factor until their shorter side has so many pixels (chosen:
eight patches of DINOv2)."""
IMAGES_AT_ONCE = 32
"""Bounds the memory of attention."""
NEVER_USED = ("mask_token",)
"""Ends of names of weights that may be missing: only pretraining needs them."""


class DinoBackbone:
    """A frozen vision transformer; see `gigalane.networks.backbones.Backbone`.

    Attributes:
        digest: of its weights and its config.json.
        precision: what it is computed in.
        grid: rows and columns of cells that patches are averaged to at most.
        model: the network of transformers.
        patch: pixels along a side of a patch.
    """

    def __init__(self, model: Any, digest: str, grid: tuple[int, int]) -> None:  # noqa: ANN401
        """Freezes the model."""
        self.model, self.digest, self.grid = model.eval().requires_grad_(False), digest, grid
        self.precision: Precision = "fp32"
        self.patch = int(model.config.patch_size)

    @torch.no_grad()
    def look(self, images: Tensor) -> Tensor:
        """See `Backbone`; always the same images go through at once, whatever comes with them."""
        self.model.to(images.device)
        is_bf16 = self.precision == "bf16"
        with torch.autocast(images.device.type, torch.bfloat16, enabled=is_bf16):
            return torch.cat([self._look(part) for part in images.split(IMAGES_AT_ONCE)])

    def _look(self, images: Tensor) -> Tensor:
        """Features of a few images."""
        height, width = images.shape[1:3]
        enlarged = -(-LEAST_SIDE // min(height, width))
        rows, columns = (max(1, round(n * enlarged / self.patch)) for n in (height, width))
        mean, spread = (torch.tensor(shade, device=images.device) for shade in (MEAN, SPREAD))
        pixels = ((images.float() / 255.0 - mean) / spread).permute(0, 3, 1, 2)
        size = (rows * self.patch, columns * self.patch)
        if size != (height, width):
            pixels = functional.interpolate(pixels, size, mode="bilinear", antialias=True)
        tokens = self.model(pixel_values=pixels).last_hidden_state.float()
        # The class token is the first; registers stand between it and the patches.
        patches = tokens[:, -rows * columns :].transpose(1, 2).unflatten(2, (rows, columns))
        return torch.cat([tokens[:, 0], averaged(patches, self.grid).flatten(1)], dim=1)


def open_dino(folder: Path, grid: tuple[int, int]) -> DinoBackbone:
    """Reads a backbone.

    Args:
        folder: with config.json and weights, `*.safetensors`.
        grid: see `DinoBackbone`.

    Raises:
        BackboneError: it is not there, holds no weights or not all of them, is of another kind,
            or transformers is not installed.
    """
    place = f"backbone {folder}"
    if not folder.is_dir():
        raise BackboneError(
            f"{place}: there is no such folder; give `own`, or a folder with config.json and "
            "model.safetensors"
        )
    config, weights = folder / "config.json", sorted(folder.glob("*.safetensors"))
    if not weights:
        raise BackboneError(f"{place}: holds no weights; put its model.safetensors there")
    try:
        kind = json.loads(config.read_text(encoding="utf-8"))["model_type"]
    except (OSError, ValueError, KeyError, TypeError):
        raise BackboneError(
            f"{place}: config.json is missing or names no model_type; put the model's own there"
        ) from None
    if kind not in MODELS:
        raise BackboneError(f"{place}: is a {kind!r}; use one of {', '.join(MODELS)}")
    try:
        transformers = importlib.import_module("transformers")
    except ImportError:
        raise BackboneError(
            f"{place}: transformers is not installed; pip install 'gigalane[vision]'"
        ) from None
    model, missing = _read(transformers, kind, folder, place)
    if missing:
        raise BackboneError(f"{place}: lacks {missing[0]} and perhaps more; copy it again")
    return DinoBackbone(model, file_digest(config, *weights), grid)


def _read(transformers: Any, kind: str, folder: Path, place: str) -> tuple[Any, list[str]]:  # noqa: ANN401
    """The model and the names of the weights it lacks."""
    kind_of_model = getattr(transformers, MODELS[kind], None)
    if kind_of_model is None:
        reason = f"this transformers has no {MODELS[kind]}; install a newer one"
        raise BackboneError(f"{place}: {reason}")
    try:
        model, found = kind_of_model.from_pretrained(
            str(folder),
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
    except Exception as error:  # transformers raises whatever its parts raise
        reason = " ".join(str(error).split())[:200]
        raise BackboneError(f"{place}: cannot be read ({reason}); copy it again") from error
    missing = [name for name in found["missing_keys"] if not name.endswith(NEVER_USED)]
    return model, sorted(missing)
