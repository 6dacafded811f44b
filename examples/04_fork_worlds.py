"""Looks into the future: copies every world, tries one action in each copy, keeps the best.

    python examples/04_fork_worlds.py

`fork` copies worlds together with their random position, so each copy goes on exactly as the
original would. Guided roll-outs, search and adversaries stand on it.
"""

import numpy as np

from gigalane import Simulator, SimulatorSettings
from gigalane.maps.generate import generate_town


def best_actions(simulator: Simulator, seconds: float = 1.5) -> np.ndarray:
    """The first action that pays most if held, for each road user on its own."""
    worlds, agents = simulator.shape
    choices = simulator.action_space.choices
    futures = simulator.fork(choices)  # copy c of world w is world w * choices + c
    held = np.broadcast_to(np.tile(np.arange(choices), worlds)[:, None], futures.shape)
    earned = np.zeros(futures.shape)
    alive = np.ones(futures.shape, bool)
    for _ in range(round(seconds / 0.3)):
        futures.step(held)
        earned += np.where(alive, futures.scene.reward.numpy(), 0.0)
        alive &= futures.scene.active.numpy() != 0
    return earned.reshape(worlds, choices, agents).argmax(axis=1)


def main(steps: int = 20) -> None:
    """Drives by trying things out, beside driving by chance."""
    settings = SimulatorSettings(worlds=2, agents=12, time_steps=(0.3,))
    simulator = Simulator(generate_town(seed=3), settings, seed=0)
    start = simulator.snapshot()
    random = np.random.default_rng(0)
    for name in ("tried out", "by chance"):
        simulator.restore(start)
        total = 0.0
        for _ in range(steps):
            chance = random.integers(0, simulator.action_space.choices, simulator.shape)
            simulator.step(best_actions(simulator) if name == "tried out" else chance)
            total += simulator.scene.reward.numpy().sum()
        print(f"{name}: reward {total:.2f} in {0.3 * steps:.0f} s")


if __name__ == "__main__":
    main()
