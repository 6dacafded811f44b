"""What does it cost when neighbouring worlds are on different maps?

    python journal/experiments/map_order.py

Steps the same worlds twice, in turn: worlds of one map one after the other, as the simulator
does, and worlds in the order of their numbers, in which the maps alternate. Prints medians of
agent-steps a second, and their ratio repeat by repeat.
"""

import statistics
import time

import numpy as np
import warp as wp

from gigalane.bench.workloads import workload_named
from gigalane.sim.simulator import Simulator

REPEATS, STEPS = 9, 12


def simulator(alternating: bool) -> Simulator:
    """Worlds of the workload `large`."""
    workload = workload_named("large")
    made = Simulator(workload.compiled_maps(), workload.world, seed=0)
    if alternating:
        made._launches._order.assign(np.arange(workload.world.worlds, dtype=np.int32))  # pyright: ignore
    return made


def main() -> None:
    """Measures."""
    wp.config.quiet = True
    both = [simulator(alternating) for alternating in (False, True)]
    rates: list[list[float]] = [[], []]
    for _ in range(REPEATS + 1):
        for each, found in zip(both, rates, strict=True):
            began = time.perf_counter()
            for _ in range(STEPS):
                each.step()
            found.append(STEPS * 16_384 / (time.perf_counter() - began))
    together, alternating = (found[1:] for found in rates)
    ratios = [a / b for a, b in zip(together, alternating, strict=True)]
    print(f"maps together  {statistics.median(together):,.0f} agent-steps/s")
    print(f"maps in turn   {statistics.median(alternating):,.0f} agent-steps/s")
    print(f"ratio          {statistics.median(ratios):.2f} ({min(ratios):.2f}, {max(ratios):.2f})")


if __name__ == "__main__":
    main()
