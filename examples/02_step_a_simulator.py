"""Steps hundreds of road users at once and reads what happened to them.

    python examples/02_step_a_simulator.py

All arrays are views on the simulator's memory with shape (worlds, agents, …): they change in
place at every step, so copy what must be kept.
"""

import numpy as np

from gigalane import Simulator, SimulatorSettings
from gigalane.maps.generate import generate_town


def main(steps: int = 100) -> None:
    """Drives with random jerks and counts the facts."""
    settings = SimulatorSettings(worlds=8, agents=32, time_steps=(0.1,))
    simulator = Simulator(generate_town(seed=3), settings, seed=0)
    worlds, agents = simulator.shape
    print(f"{worlds} worlds of {agents}; each sees {simulator.layout.width} numbers and has "
          f"{simulator.action_space.choices} choices")  # fmt: skip

    random = np.random.default_rng(0)
    happened = np.zeros(len(simulator.event_names), np.int64)
    for _ in range(steps):
        simulator.step(random.integers(0, simulator.action_space.choices, simulator.shape))
        events = simulator.scene.events.numpy()  # bit k: event_names[k] in this step
        for bit in range(len(happened)):
            happened[bit] += (events >> bit & 1).sum()

    for name, count in zip(simulator.event_names, happened, strict=True):
        print(f"  {name:18} {count}")
    terms = simulator.scene.reward_terms.numpy()  # (worlds, agents, terms), of the last step
    worst = simulator.reward_names[int(terms.sum(axis=(0, 1)).argmin())]
    print(f"the dearest term of the last step: {worst}")


if __name__ == "__main__":
    main()
