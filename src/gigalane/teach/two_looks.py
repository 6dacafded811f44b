"""Where adaptation gets its pairs from: worlds drawn in two appearances, or a folder.

A *pair* is what the frozen student makes of a scene in the appearance it knows, and the images of
the same scene in the new one. The known images themselves are not kept: their answer is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from gigalane.core.settings import SettingsError
from gigalane.maps.compile import compile_maps
from gigalane.maps.road import RoadMap
from gigalane.networks.chunks import run_chunks
from gigalane.networks.plans import PLAN_POSES
from gigalane.policies.camera import CHUNK_ROWS, CameraPolicy
from gigalane.render.appearance import Appearance
from gigalane.sim.guard import Guard
from gigalane.sim.settings import SimulatorSettings
from gigalane.sim.simulator import Simulator
from gigalane.teach.image_pairs import ImagePairs
from gigalane.worlds.camera import CameraWorld
from gigalane.worlds.vector import VectorWorld


class Answer(NamedTuple):
    """What a student makes of some rows.

    Attributes:
        slots: (rows, numbers) float32, side by side, in units of how much each usually varies.
        numbers: (rows, parameters) float32 of its distribution over actions.
        proposals: (rows, proposals, PLAN_POSES, 3) float32, its plans; none where it has none.
    """

    slots: Tensor
    numbers: Tensor
    proposals: Tensor


class PairPool:
    """A ring of pairs; when it is full the newest take the place of the oldest.

    Attributes:
        seen: (capacity, row width) uint8, rows in the new appearance.
        told: what should be made of them: an `Answer` with (capacity, …) rows.
        capacity: pairs that it holds.
        count: pairs that lie in it.
    """

    def __init__(self, capacity: int, row_width: int, student: CameraPolicy) -> None:
        """Allocates the ring; pages are taken as they are written."""
        slots = sum(adapter.out_features for adapter in student.adapters.values())  # pyright: ignore
        self.seen = torch.empty(capacity, row_width, dtype=torch.uint8)
        self.told = Answer(
            torch.empty(capacity, slots),
            torch.empty(capacity, student.parameter_count),
            torch.empty(capacity, student.settings.proposals, PLAN_POSES, 3),
        )
        self.capacity, self.count, self._next = capacity, 0, 0

    def add(self, seen: Tensor, told: Answer) -> int:
        """Keeps pairs, at most as many as it holds; returns how many."""
        count = min(len(seen), self.capacity)
        places = (self._next + torch.arange(count)) % self.capacity
        for ring, new in zip((self.seen, *self.told), (seen, *told), strict=True):
            ring[places] = new[:count]
        self._next = (self._next + count) % self.capacity
        self.count = min(self.capacity, self.count + count)
        return count


def answer(policy: CameraPolicy, seen: Tensor) -> Answer:
    """What a policy makes of rows (rows, row width) uint8, with gradient."""
    sight = policy.see(policy.features(seen))
    joined = policy.join(sight, seen)
    numbers, _ = policy.respond(joined)
    proposals = numbers.new_zeros(len(seen), 0, PLAN_POSES, 3)
    if policy.settings.proposals:
        proposals = policy.propose(joined, seen).proposals
    return Answer(torch.cat(policy.scaled(sight), dim=1), numbers, proposals)


def answers(policy: CameraPolicy, seen: Tensor, threads: int) -> Answer:
    """`answer` for any number of rows, without gradient."""
    chunks = seen.split(CHUNK_ROWS)

    def run(number: int) -> Answer:
        with torch.no_grad():
            return answer(policy, chunks[number])

    parts = zip(*run_chunks(run, len(chunks), threads), strict=True)
    return Answer(*(torch.cat(part) for part in parts))


class PairSource(Protocol):
    """Gives pairs to learn from."""

    layout_width: int

    def begin(self, seed: int) -> None:
        """Starts anew."""
        ...

    def collect(self, pool: PairPool, iteration: int) -> int:
        """Puts new pairs into a pool; returns how many there are to learn from."""
        ...


LOOK_ROLLOUTS = 6
"""Roll-outs between two changes of the looks: right after one nothing of before is seen."""


class TwoLooks:
    """Worlds that are seen in both appearances while student and target drive them.

    Attributes:
        known: the worlds as the student knows them.
        new: the same worlds, the same cameras, in the new appearance.
        layout_width: bytes of a row.
    """

    def __init__(
        self,
        inner: VectorWorld,
        road_maps: Sequence[RoadMap],
        student: CameraPolicy,
        target: CameraPolicy,
        looks: tuple[Appearance, Appearance],
        *,
        steps: int,
        target_share: float,
        seed: int,
    ) -> None:
        """Draws the first images.

        Args:
            inner: the worlds, on the CPU.
            road_maps: the simulator's maps in its order.
            student: who adapts; drives by the new images.
            target: its frozen copy; drives by those it knows.
            looks: the known and the new appearance; others of the kind are drawn now and then.
            steps: between two lessons.
            target_share: share of the rows that the target drives.
            seed: of who drives what.

        Raises:
            SettingsError: the worlds do not show what the student was taught with.
        """
        layout = student.layout
        self.known, self.new = (
            CameraWorld(inner, layout.rig, road_maps, look, tells_lane=layout.tells_lane)
            for look in looks
        )
        if self.known.layout != layout or inner.action_space != student.action_space:
            raise SettingsError(
                f"student: it observes {layout} and acts in {student.action_space.name}, the "
                "worlds do not; use the observation settings it was taught with"
            )
        self.student, self.target, self.looks = student, target, looks
        self.steps, self.target_share = steps, target_share
        self.layout_width = layout.width
        self._generator = torch.Generator().manual_seed(seed)

    def begin(self, seed: int) -> None:
        """Starts every world anew."""
        self.known.reset(seed)
        self._change_looks(seed)

    def _change_looks(self, number: int) -> None:
        """Has the worlds look different in either look; nothing is remembered of before."""
        known, new = (replace(look, seed=look.seed + number) for look in self.looks)
        self.known.change_appearance(known)
        # The same seed and the same spread seat the cameras alike in both.
        new = replace(new, camera_shift=known.camera_shift, camera_turn=known.camera_turn)
        self.new.change_appearance(new)

    def collect(self, pool: PairPool, iteration: int) -> int:
        """Drives some steps; every `LOOK_ROLLOUTS` calls the worlds get other looks."""
        if iteration % LOOK_ROLLOUTS == 0:
            self._change_looks(iteration)
        world, added = self.known, 0
        chance = torch.rand(world.row_count, generator=self._generator)
        by_target = chance < self.target_share
        for _ in range(self.steps):
            rows = (world.active & world.learn).nonzero().squeeze(-1)
            actions = torch.zeros(world.row_count, dtype=torch.int64)
            if not world.action_space.is_discrete:
                actions = torch.zeros(world.row_count, world.action_space.size)
            if len(rows):
                seen = self.new.observation[rows]
                told = answers(self.target, world.observation[rows], self.target.threads)
                added += pool.add(seen, told)
                actions[rows] = self.target.settle(self.target.distribution(told.numbers))
                own = (~by_target[rows]).nonzero().squeeze(-1)
                if len(own):
                    actions[rows[own]] = self.student.act(seen[own], greedy=True)
            is_new = ~world.active
            world.step(actions)
            self.new.follow(is_new)
        world.check()
        return added


def drive_in_two_looks(
    maps: Sequence[RoadMap],
    world: SimulatorSettings,
    student: CameraPolicy,
    target: CameraPolicy,
    looks: tuple[Appearance, Appearance],
    run_directory: Path,
    *,
    steps: int,
    target_share: float,
    seed: int,
) -> TwoLooks:
    """Makes the worlds that pairs come from.

    Args:
        maps: where to drive; worlds share them out in turn.
        world: the worlds; actions are the student's.
        student: see `TwoLooks`, as everything that follows.
        target: its frozen copy.
        looks: the known and the new appearance.
        run_directory: where a failing world is recorded.
        steps: between two lessons.
        target_share: share of the rows that the target drives.
        seed: of everything random.

    Raises:
        SettingsError: see `TwoLooks`.
    """
    simulator = Simulator(
        compile_maps(maps),
        replace(world, action=student.action_space.name),
        seed=seed,
        threads=student.threads,
    )
    inner = VectorWorld(simulator, Guard(simulator, maps, run_directory))
    return TwoLooks(
        inner, maps, student, target, looks, steps=steps, target_share=target_share, seed=seed
    )


class Folder:
    """Pairs from files; every iteration is a pass over all of them.

    Attributes:
        pairs: the files.
        layout_width: bytes of a row.
    """

    def __init__(self, pairs: ImagePairs, target: CameraPolicy) -> None:
        """Takes a folder for a student.

        Raises:
            SettingsError: it has other cameras than the student.
        """
        ours, theirs = pairs.rig.cameras, target.layout.rig.cameras
        if ours != theirs:
            raise SettingsError(
                f"{pairs.folder}: its rig {pairs.rig.name!r} is not the student's "
                f"{target.layout.rig.name!r}; make the pairs with the cameras it was taught with"
            )
        self.pairs, self.target = pairs, target
        self.layout_width = target.layout.width

    def begin(self, seed: int) -> None:
        """Nothing to start."""

    def collect(self, pool: PairPool, iteration: int) -> int:
        """Reads all of them, once; says how many there are to learn from.

        Raises:
            SettingsError: the pool does not hold so many.
        """
        count = len(self.pairs.names)
        if count > pool.capacity:
            raise SettingsError(
                f"{self.pairs.folder}: {count} pairs, but pool is {pool.capacity}; set it to "
                f"{count}"
            )
        for first in range(pool.count, count, CHUNK_ROWS):
            numbers = range(first, min(first + CHUNK_ROWS, count))
            layout = self.target.layout
            known = self.pairs.rows("a", numbers, layout)
            told = answers(self.target, known, self.target.threads)
            pool.add(self.pairs.rows("b", numbers, layout), told)
        return count
