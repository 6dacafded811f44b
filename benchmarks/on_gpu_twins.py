"""Whether a device drives as the CPU does: same seeds, same actions, the results side by side.

Both compute in float32, but a GPU fuses multiplications with
additions elsewhere than a CPU does and has its own sine and arctangent, so they part in the last
bit; and a last bit decides, sooner or later, whether a newcomer fits into a gap, after which two
worlds have different road users. Therefore (a) the device is put back to the CPU's state before
every one of 200 steps and each step is compared tightly; (b) both run freely and only the
figures of the whole are compared.
"""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from gigalane.evals.evaluate import EvaluateSettings, evaluate
from gigalane.maps.compile import CompiledMap, compile_map
from gigalane.maps.road import RoadMap
from gigalane.maps.sources import open_maps
from gigalane.policies.shipped import open_subject
from gigalane.sim.launches import StagedLaunches
from gigalane.sim.settings import SimulatorSettings, SpawnSettings, TrafficSettings
from gigalane.sim.simulator import Simulator
from gigalane.train.tally import EpisodeTally
from gigalane.worlds.vector import VectorWorld

Facts = dict[str, Any]

LIVELY = SimulatorSettings(
    worlds=64,
    agents=32,
    episode_s=20.0,
    spawn=SpawnSettings(cyclists=0.1, pedestrians=0.1, single_track=0.3, delay=2),
    traffic=TrafficSettings(scripted=0.3, blind=0.1, braking=0.2),
)
"""Every kind of road user and driver at once."""

PLACE_TOLERANCE = 1e-3
"""How far a road user may be from its twin after one step from the same state [m], [m/s]."""
REWARD_TOLERANCE = 1e-4
"""How far its reward may be."""
OBSERVATION_TOLERANCE = 4e-3
"""How far a number of its observation may be: two steps of a half-precision number near 2."""
AGREEING_LEAST = 0.998
"""Share of road users that must agree in all of it after one step; the others stand where one
last bit decides (a box that just touches, a corner on the kerb, one of two lanes)."""


@functools.cache
def maps_of(source: str) -> tuple[list[RoadMap], list[CompiledMap]]:
    """Opened and compiled maps, made once."""
    roads = open_maps((source,))
    return roads, [compile_map(road) for road in roads]


def twins(device: str, settings: SimulatorSettings) -> tuple[Simulator, Simulator]:
    """The same worlds on the CPU, fused, and on the device, stage by stage."""
    _, compiled = maps_of("town:1-2")
    one = Simulator(compiled, settings, seed=5)
    other = Simulator(compiled, settings, seed=5, device=device)
    if device == "cpu":  # a trial: the GPU's form at least
        other._launches = StagedLaunches(other.rules, other._lane_tokens, other.road, other.scene)
        other.reset(5)
    return one, other


def actions_of(settings: SimulatorSettings, step: int) -> np.ndarray:
    """Actions that depend on nothing but the step; mostly forwards, so that something happens."""
    choices = np.array([4, 6, 7, 8, 9, 10, 10, 11])
    return np.random.default_rng(step).choice(choices, (settings.worlds, settings.agents))


def agreeing(one: Simulator, other: Simulator) -> dict[str, np.ndarray]:
    """Which road users agree in what, (worlds, agents) bool by name."""
    first, second = one.snapshot().arrays, other.snapshot().arrays
    there = (first["status"] != 0) | (second["status"] != 0)
    same = {"status": first["status"] == second["status"]}
    for name in ("x", "y", "z", "speed"):
        gap = np.abs(first["body"][name] - second["body"][name])
        same[name] = gap <= PLACE_TOLERANCE
    turn = first["body"]["heading"] - second["body"]["heading"]
    same["heading"] = np.abs(np.angle(np.exp(1j * turn))) <= PLACE_TOLERANCE
    same["lane"] = first["place"]["lane"] == second["place"]["lane"]
    same["events"] = first["events"] == second["events"]
    same["reward"] = np.abs(first["reward"] - second["reward"]) <= REWARD_TOLERANCE
    shown = first["observation"].astype(np.float32), second["observation"].astype(np.float32)
    bound = OBSERVATION_TOLERANCE * np.maximum(1.0, np.abs(shown[0]))
    same["observation"] = (np.abs(shown[0] - shown[1]) <= bound).all(axis=-1)
    return {name: agree | ~there for name, agree in same.items()}


def same_steps(device: str, small: bool) -> Facts:
    """Every step from the CPU's state: places, facts, rewards and observations agree."""
    settings = replace(LIVELY, worlds=8, agents=12) if small else LIVELY
    one, other = twins(device, settings)
    at_start = {name: float(agree.mean()) for name, agree in agreeing(one, other).items()}
    least = dict.fromkeys(at_start, 1.0)
    shares: list[float] = []
    for step in range(20 if small else 200):
        other.restore(one.snapshot())
        actions = actions_of(settings, step)
        one.step(actions)
        other.step(actions)
        same = agreeing(one, other)
        for name, agree in same.items():
            least[name] = min(least[name], float(agree.mean()))
        shares.append(float(np.logical_and.reduce(list(same.values())).mean()))
    mean = float(np.mean(shares))
    return {
        "holds": mean >= AGREEING_LEAST and at_start["status"] >= AGREEING_LEAST,
        "agreeing_mean": round(mean, 5),
        "agreeing_least": round(min(shares), 5),
        "least_by_name": {name: round(share, 5) for name, share in least.items()},
        "after_start": {name: round(share, 5) for name, share in at_start.items()},
        "steps": len(shares),
        "road_users": settings.worlds * settings.agents,
        "tolerances": [PLACE_TOLERANCE, REWARD_TOLERANCE, OBSERVATION_TOLERANCE, AGREEING_LEAST],
    }


def free_runs(device: str, small: bool) -> Facts:
    """200 steps on their own: single road users part, the figures of the whole must not."""
    settings = replace(LIVELY, worlds=8, agents=12) if small else replace(LIVELY, worlds=256)
    one, other = twins(device, settings)
    figures: list[Facts] = []
    for simulator in (one, other):
        world = VectorWorld(simulator)
        tally = EpisodeTally(world)
        for step in range(20 if small else 200):
            actions = torch.from_numpy(actions_of(settings, step).reshape(-1))
            actions = actions.to(world.observation.device)
            tally.before(step, world, actions)
            world.step(actions)
            tally.after(step, world)
        figures.append({name: round(value, 5) for name, value in tally.read().items()})
    same = np.logical_and.reduce(list(agreeing(one, other).values()))
    samples = [one["samples"] for one in figures]
    reward = [one["reward_per_s"] for one in figures]
    near = abs(samples[0] - samples[1]) <= 0.02 * samples[0]
    near &= abs(reward[0] - reward[1]) <= 0.03 * abs(reward[0]) + 1e-3
    repeated = Simulator(one.maps, settings, seed=5, device=device)
    again = is_repeatable(device, settings, repeated)
    return {
        "holds": bool(near) and again,
        "agreeing_at_the_end": round(float(same.mean()), 4),
        "same_bits_when_repeated": again,
        "cpu": figures[0],
        "device": figures[1],
    }


def is_repeatable(device: str, settings: SimulatorSettings, simulator: Simulator) -> bool:
    """Whether a device gives the same bits twice, and in a batch half as large."""
    half = replace(settings, worlds=settings.worlds // 2)
    smaller = Simulator(simulator.maps, half, seed=5, device=device)
    states = []
    for _ in range(2):
        simulator.reset(5)
        for step in range(20):
            simulator.step(actions_of(settings, step))
        states.append(simulator.scene.body.numpy().tobytes())
    for step in range(20):
        smaller.step(actions_of(settings, step)[: half.worlds])
    first_half = simulator.scene.body.numpy()[: half.worlds].tobytes()
    return states[0] == states[1] and first_half == smaller.scene.body.numpy().tobytes()


def scores(device: str, small: bool) -> Facts:
    """The shipped driver drives as well on the device as on the CPU."""
    road = maps_of("town:1-2")[0][:1]
    settings = EvaluateSettings(episodes=64 if small else 512, seconds=6 if small else 40)
    subject = open_subject("idm" if small else "default")
    found = [
        evaluate("default", subject, road, settings, device=device).as_json()
        for device in ("cpu", device)
    ]
    names = ("goal_rate", "collision_rate", "offroad_rate", "driving_score")
    apart = [
        name
        for name in names
        if found[0][name]["low"] > found[1][name]["high"]
        or found[1][name]["low"] > found[0][name]["high"]
    ]
    return {
        "holds": not apart,
        "apart": apart,
        "cpu": {name: found[0][name] for name in names} | {"seconds": found[0]["seconds"]},
        "device": {name: found[1][name] for name in names} | {"seconds": found[1]["seconds"]},
    }
