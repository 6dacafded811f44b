"""Writes a driver by hand, puts it at every wheel, and measures it.

    python examples/03_write_a_driver.py

A driver is anything with `act(world) -> actions`. This one reads the `given` slot of the
observation: it steers to the lane's centre and keeps half the speed limit.
"""

import torch

from gigalane import Simulator, SimulatorSettings
from gigalane.maps.generate import generate_town
from gigalane.metrics.episodes import EpisodeCounter
from gigalane.metrics.summary import summarize
from gigalane.rollout import roll_out
from gigalane.worlds.vector import VectorWorld
from gigalane.worlds.world import World


class LaneKeeper:
    """Follows the lane and looks at nobody."""

    def act(self, world: World) -> torch.Tensor:
        """Acceleration [m/s²] and wheel angle [rad] for every row."""
        given = world.observation[:, : world.layout.given].float()
        offset, heading_error = 2.0 * given[:, 0], given[:, 1]  # [m] left of centre, [rad]
        curvature, speed, limit = 0.1 * given[:, 2], 20.0 * given[:, 3], 20.0 * given[:, 4]
        steering = 2.7 * curvature - 0.1 * offset - 0.6 * heading_error
        acceleration = (0.5 * limit - speed).clamp(-3.0, 1.5)
        return torch.stack([acceleration, steering], dim=1)


def main(steps: int = 600) -> None:
    """Rolls out and prints rates with their 95 % intervals."""
    settings = SimulatorSettings(
        worlds=16, agents=12, time_steps=(0.1,), action="acceleration_steering"
    )
    world = VectorWorld(Simulator(generate_town(seed=3), settings, seed=0))
    counter = EpisodeCounter(world)
    roll_out(world, LaneKeeper(), steps, counter)
    for name, figure in summarize(counter.table()).items():
        print(f"{name:16} {figure.value:6.3f}  ({figure.low:.3f} to {figure.high:.3f})")


if __name__ == "__main__":
    main()
