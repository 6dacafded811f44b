"""Road users put where a test wants them."""

from __future__ import annotations

import numpy as np

HEIGHTS = (1.5, 3.0, 1.8, 1.7)
SIZES = ((4.5, 1.9), (6.5, 2.4), (1.8, 0.6), (0.5, 0.5))


def place(simulator, world, agent, kind, x, y, heading=0.0, z=0.0, acceleration=0.0):
    """Puts a road user somewhere [m, rad], local frame."""
    scene = simulator.scene
    length, width = SIZES[kind]
    scene.boxes.numpy()[world, :, agent] = (
        x, y, z, np.cos(heading), np.sin(heading), 0.0, length / 2, width / 2, kind
    )  # fmt: skip
    traits = scene.traits.numpy()
    traits["kind"][world, agent], traits["height"][world, agent] = kind, HEIGHTS[kind]
    scene.body.numpy()["acceleration"][world, agent] = acceleration


def clear(simulator):
    """Takes everybody away."""
    simulator.scene.boxes.numpy()[:, 8] = -1.0
