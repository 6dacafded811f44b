"""What does it cost when neighbouring worlds are on different maps?

    python journal/experiments/map_order.py [MAPS]

Steps the same worlds twice, in turn: worlds of one map one after the other, as the simulator
does, and worlds in the order of their numbers, in which the maps alternate. Prints medians of
agent-steps a second, and their ratio repeat by repeat.
"""

import statistics
import sys
import time

import numpy as np
import warp as wp

from gigalane.maps.compile import CompiledMap, compile_map
from gigalane.maps.generate import generate_town
from gigalane.sim.settings import SimulatorSettings
from gigalane.sim.simulator import Simulator

WORLDS, REPEATS, STEPS = 4096, 9, 3


def simulator(maps: list[CompiledMap], alternating: bool) -> Simulator:
    """Worlds of 32 road users."""
    made = Simulator(maps, SimulatorSettings(worlds=WORLDS, agents=32), seed=0)
    if alternating:
        made._launches._order.assign(np.arange(WORLDS, dtype=np.int32))  # pyright: ignore
    return made


def main() -> None:
    """Measures."""
    wp.config.quiet = True
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 4
    maps = [compile_map(generate_town(seed)) for seed in range(1, count + 1)]
    both = [simulator(maps, alternating) for alternating in (False, True)]
    rates: list[list[float]] = [[], []]
    for _ in range(REPEATS + 1):
        for each, found in zip(both, rates, strict=True):
            began = time.perf_counter()
            for _ in range(STEPS):
                each.step()
            found.append(STEPS * WORLDS * 32 / (time.perf_counter() - began))
    together, alternating = (found[1:] for found in rates)
    ratios = [a / b for a, b in zip(together, alternating, strict=True)]
    print(f"maps together  {statistics.median(together):,.0f} agent-steps/s")
    print(f"maps in turn   {statistics.median(alternating):,.0f} agent-steps/s")
    print(f"ratio          {statistics.median(ratios):.2f} ({min(ratios):.2f}, {max(ratios):.2f})")


if __name__ == "__main__":
    main()
