"""The small backbone that ships: convolutions taught to tell what is where in the box world.

    python recipes/own_backbone.py runs/backbone [--cpu-seconds 240]

A driver goes about sixteen procedural towns whose looks change all the time; at each image the
convolutions and one linear layer say, for every block of 4 x 4 pixels, which classes it shows and
how far away they are. The renderer knows. Then the layer is thrown away. No driving is learned.

Writes `own_backbone.safetensors` and `report.json`: class accuracy and distance error of linear
readers on towns and looks that were not learned from, of this backbone and of an untaught one.
"""

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from gigalane.acting.perturbed import Perturbation, PerturbedActor
from gigalane.core.files import replacing
from gigalane.maps.compile import compile_map
from gigalane.maps.sources import open_maps
from gigalane.networks.backbones import OWN_FILE, BackboneSettings, OwnBackbone, save_own
from gigalane.networks.chunks import one_torch_thread
from gigalane.networks.layers import has_fast_bf16
from gigalane.policies.shipped import load_default
from gigalane.render.appearance import VARIED
from gigalane.render.camera import load_rig
from gigalane.render.classes import CLASS_NAMES
from gigalane.render.renderer import CameraRenderer
from gigalane.rollout import roll_out
from gigalane.sim.simulator import Simulator
from gigalane.teach.teaching import TEACHING_WORLD
from gigalane.worlds.vector import VectorWorld

TOWNS, UNSEEN_TOWNS = ("town:1-16",), ("town:301-304",)
WORLD = replace(TEACHING_WORLD, worlds=16, agents=12)
BLOCK = 4
"""Pixels along a side of a block that is told apart."""
NEAR = 10.0
"""Nearness is NEAR / (NEAR + distance): an inverse distance that stays between 0 and 1 [m]."""
DEPTH_WEIGHT = 10.0
"""Of the nearness loss beside the class loss (chosen: both then fall together)."""
BATCH, POOL, PASSES = 64, 4096, 3
CLASSES = len(CLASS_NAMES)


class Frames(NamedTuple):
    """Images and what is in them.

    Attributes:
        images: (n, height, width, 3) uint8.
        classes: (n, height, width) uint8, class ids.
        nearness: (n, height / BLOCK, width / BLOCK) float32, means over blocks.
    """

    images: Tensor
    classes: Tensor
    nearness: Tensor

    def of(self, rows: Tensor) -> "Frames":
        """Some of them."""
        return Frames(*(part[rows] for part in self))


class Source:
    """Worlds that are driven through and looked at."""

    def __init__(self, towns: tuple[str, ...], seed: int, worlds: int = WORLD.worlds) -> None:
        """Makes the worlds."""
        maps = open_maps(towns)
        settings = replace(WORLD, worlds=worlds)
        simulator = Simulator([compile_map(m) for m in maps], settings, seed=seed, threads=1)
        self.world, self.seed, self.turn = VectorWorld(simulator), seed, 0
        self.actor = PerturbedActor(load_default(), self.world.row_count, Perturbation(), seed)
        self.actor.driver.threads = 1
        self.renderer = CameraRenderer(
            simulator, load_rig("surround"), maps, outputs=("rgb", "class_id", "depth"), threads=1
        )

    def draw(self) -> Frames:
        """Drives on for some steps and looks, in a new light."""
        roll_out(self.world, self.actor, 5)
        self.turn += 1
        self.renderer.change_appearance(replace(VARIED, seed=1000 * self.seed + self.turn))
        told = self.renderer.render()
        rows = self.world.active
        images, classes, depth = (
            torch.from_numpy(told[name]).flatten(0, 2)[rows]
            for name in ("rgb", "class_id", "depth")
        )
        nearness = functional.avg_pool2d((NEAR / (NEAR + depth)).unsqueeze(1), BLOCK).squeeze(1)
        return Frames(images, classes, nearness)

    def gather(self, count: int) -> Frames:
        """So many frames."""
        drawn: list[Frames] = []
        while sum(len(frames.images) for frames in drawn) < count:
            drawn.append(self.draw())
        return Frames(*(torch.cat(parts)[:count] for parts in zip(*drawn, strict=True)))


def class_shares(classes: Tensor) -> Tensor:
    """Share of each class in each block: (n, CLASSES, rows, columns) float32."""
    count, height, width = classes.shape
    rows, columns = height // BLOCK, width // BLOCK
    block = torch.arange(height)[:, None] // BLOCK * columns + torch.arange(width) // BLOCK
    place = torch.arange(count)[:, None, None] * (rows * columns) + block
    index = place * CLASSES + classes.long()
    counts = torch.bincount(index.flatten(), minlength=count * rows * columns * CLASSES)
    shares = counts.view(count, rows, columns, CLASSES).float() / BLOCK**2
    return shares.permute(0, 3, 1, 2)


class Reader(nn.Module):
    """One linear layer over the features of a cell: what each of its blocks shows, and where."""

    def __init__(self, channels: tuple[int, ...]) -> None:
        """Makes weights from torch's global generator."""
        super().__init__()
        self.blocks = 2 ** len(channels) // BLOCK
        self.layer = nn.Conv2d(channels[-1], (CLASSES + 1) * self.blocks**2, 1)

    def forward(self, cells: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (n, CLASSES, rows, columns) and nearness (n, rows, columns) of blocks."""
        told = functional.pixel_shuffle(self.layer(cells.float()), self.blocks)
        return told[:, :CLASSES], told[:, CLASSES].sigmoid()


def loss_of(told: tuple[Tensor, Tensor], frames: Frames, weights: Tensor) -> Tensor:
    """Weighted cross-entropy with the shares, and the absolute error of nearness."""
    logits, nearness = told
    shares = class_shares(frames.classes) * weights[:, None, None]
    entropy = -(shares * logits.log_softmax(1)).sum(1).mean()
    return entropy + DEPTH_WEIGHT * (nearness - frames.nearness).abs().mean()


def class_weights(frames: Frames) -> Tensor:
    """One over the root of how often a class is seen, 1 on average over pixels."""
    share = torch.bincount(frames.classes.flatten().long(), minlength=CLASSES).double()
    share = share / share.sum()
    weights = (share + 1e-4).rsqrt()
    return (weights / (weights * share).sum()).float()


@torch.no_grad()
def measure(backbone: OwnBackbone, reader: Reader, frames: Frames) -> dict[str, float]:
    """Accuracy of a reader on frames.

    Returns:
        accuracy: share of blocks whose commonest class is told. recall: the mean over classes of
        the share of the blocks of that class. distance_error: median of |told / true - 1| of
        blocks nearer than 60 m.
    """
    right, there = torch.zeros(CLASSES), torch.zeros(CLASSES)
    errors = []
    for rows in torch.arange(len(frames.images)).split(BATCH):
        part = frames.of(rows)
        logits, nearness = reader(backbone.cells(part.images))
        wanted, told = class_shares(part.classes).argmax(1), logits.argmax(1)
        there += torch.bincount(wanted.flatten(), minlength=CLASSES)
        right += torch.bincount(wanted[wanted == told], minlength=CLASSES)
        true_distance = NEAR / part.nearness - NEAR
        distance = NEAR / nearness.clamp(min=1e-3) - NEAR
        error = (distance / true_distance.clamp(min=0.1) - 1.0).abs()
        errors.append(error[true_distance < 60.0])
    seen = there > 0
    return {
        "accuracy": float(right.sum() / there.sum()),
        "recall": float((right[seen] / there[seen]).mean()),
        "distance_error": float(torch.cat(errors).median()),
    }


def pretrain(
    cpu_seconds: float, seed: int = 0, learning_rate: float = 2e-3
) -> tuple[OwnBackbone, dict]:
    """Teaches the convolutions for so much CPU time.

    Returns:
        The backbone, and {images, steps, cpu_seconds}.
    """
    torch.manual_seed(seed)
    settings = BackboneSettings()
    backbone, reader = OwnBackbone(settings.channels, settings.grid), Reader(settings.channels)
    if has_fast_bf16(torch.device("cpu")):
        backbone.precision = "bf16"
    parameters = [*backbone.parameters(), *reader.parameters()]
    optimizer = torch.optim.AdamW(parameters, learning_rate, weight_decay=1e-4)
    source = Source(TOWNS, seed)
    began = time.process_time()
    pool = source.draw()
    weights = class_weights(source.gather(1024))
    images, steps, told_at = len(pool.images), 0, began
    while (spent := time.process_time() - began) < cpu_seconds:
        drawn = source.draw()
        images += len(drawn.images)
        pool = Frames(*(torch.cat([a, b])[-POOL:] for a, b in zip(pool, drawn, strict=True)))
        for group in optimizer.param_groups:  # falls along a line after a twentieth of warming up
            done = spent / cpu_seconds
            group["lr"] = learning_rate * min(1.0, 20 * done + 0.02, 1.02 - done)
        for _ in range(max(1, len(drawn.images) * PASSES // BATCH)):
            frames = pool.of(torch.randint(len(pool.images), (BATCH,)))
            loss = loss_of(reader(backbone.cells(frames.images)), frames, weights)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            steps += 1
        if time.process_time() - told_at > 5.0:
            told_at = time.process_time()
            print(f"{spent:.0f} s CPU, {images} images, loss {loss.item():.3f}", flush=True)
    facts = {"images": images, "steps": steps, "cpu_seconds": round(spent, 1), "seed": seed}
    return backbone, facts


def probe(backbone: OwnBackbone, frames: Frames, unseen: Frames, steps: int) -> dict[str, float]:
    """Accuracy on unseen frames of a linear reader learned on a backbone that stays as it is."""
    torch.manual_seed(1)
    reader = Reader(BackboneSettings().channels)
    backbone.requires_grad_(False)
    optimizer = torch.optim.Adam(reader.parameters(), 5e-3)
    weights = class_weights(frames)
    for step in range(steps):
        part = frames.of(torch.randint(len(frames.images), (BATCH,)))
        loss = loss_of(reader(backbone.cells(part.images)), part, weights)
        for group in optimizer.param_groups:
            group["lr"] = 5e-3 * (1.0 - step / steps)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
    return measure(backbone, reader, unseen)


def main() -> None:
    """Teaches, measures, writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="folder to write to")
    parser.add_argument("--cpu-seconds", type=float, default=240.0, help="time to learn for")
    parser.add_argument("--probe-steps", type=int, default=300, help="steps of each linear reader")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    settings = BackboneSettings()
    with one_torch_thread():
        backbone, facts = pretrain(options.cpu_seconds)
        save_own(backbone, options.out / OWN_FILE, dict(facts))
        frames = Source(TOWNS, seed=7).gather(1500)
        unseen = Source(UNSEEN_TOWNS, seed=8, worlds=8).gather(500)
        torch.manual_seed(0)
        untaught = OwnBackbone(settings.channels, settings.grid)
        for name, one in (("own", backbone), ("random", untaught)):
            facts[name] = probe(one, frames, unseen, options.probe_steps)
            print(name, facts[name], flush=True)
    facts["measured"] = "500 images of towns 301 to 304 in looks drawn anew, linear readers"
    save_own(backbone, options.out / OWN_FILE, dict(facts))
    with replacing(options.out / "report.json") as beside:
        beside.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
