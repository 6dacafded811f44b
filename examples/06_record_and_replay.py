"""Records a world and writes a replay page that opens without a server or a network.

    python examples/06_record_and_replay.py [PAGE]

Every road user here is driven by the intelligent driver model; put your own actor in.
"""

import sys
from pathlib import Path

from gigalane import Simulator, SimulatorSettings
from gigalane.acting.policy import IdleActor
from gigalane.maps.generate import generate_town
from gigalane.rollout import roll_out
from gigalane.sim.recorder import Recorder
from gigalane.sim.settings import TrafficSettings
from gigalane.viewer.replay import write_replay
from gigalane.worlds.vector import VectorWorld


class Camera:
    """An observer that takes every moment of a roll-out down."""

    def __init__(self, recorder: Recorder) -> None:
        """Takes the first moment."""
        self.recorder = recorder
        recorder.take()

    def before(self, step: int, world: object, actions: object) -> None:
        """Nothing to take yet."""

    def after(self, step: int, world: object) -> None:
        """Takes the moment the step led to."""
        self.recorder.take()


def main(page: str = "replay.html", steps: int = 300) -> None:
    """Drives, records, writes the page."""
    town = generate_town(seed=3)
    settings = SimulatorSettings(
        worlds=1, agents=40, time_steps=(0.1,), traffic=TrafficSettings(scripted=1.0)
    )
    simulator = Simulator(town, settings, seed=0)
    recorder = Recorder(simulator, town, world=0, title="scripted traffic")
    roll_out(VectorWorld(simulator), IdleActor(), steps, Camera(recorder))
    write_replay([recorder.recording()], page)
    print(f"{page}: {Path(page).stat().st_size / 1e6:.1f} MB; open it in a browser")


if __name__ == "__main__":
    main(*sys.argv[1:])
