"""Pictures drawn from a recording, against those drawn while it was being recorded."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gigalane import Simulator, SimulatorSettings
from gigalane.acting.policy import IdleActor
from gigalane.core.settings import SettingsError
from gigalane.maps.generate import generate_town
from gigalane.render.appearance import VARIED, Appearance
from gigalane.render.camera import load_rig
from gigalane.render.classes import CLASS
from gigalane.render.renderer import CameraRenderer
from gigalane.render.scenery import compile_scenery
from gigalane.rollout import roll_out
from gigalane.sim.recorder import Recorder
from gigalane.sim.recording import SEED_SETTING, Recording
from gigalane.sim.settings import LightSettings, TrafficSettings
from gigalane.viewer.moment import moment_at
from gigalane.viewer.recorded_eyes import RecordedEyes
from gigalane.worlds.vector import VectorWorld

AGENTS = (0, 7, 14, 21, 28, 35)
RIG = "six"


LOOKS = {"plain": Appearance(), "varied": VARIED}


class Witness:
    """Records a world and keeps what cameras see of it meanwhile, in two looks."""

    def __init__(self, simulator, town):
        self.recorder = Recorder(simulator, town, world=1)
        scenery = compile_scenery(town, simulator.maps[0])
        self.renderers = {
            name: CameraRenderer(simulator, load_rig(RIG), scenery, agents=AGENTS,
                                 appearance=looks, outputs=("rgb", "class_id"))
            for name, looks in LOOKS.items()
        }  # fmt: skip
        self.pictures, self.classes = {name: [] for name in LOOKS}, []

    def take(self):
        self.recorder.take()
        for name, renderer in self.renderers.items():
            seen = renderer.render()
            self.pictures[name].append(seen["rgb"][1].copy())
        self.classes.append(self.renderers["plain"].image("class_id")[1].copy())

    def before(self, step, world, actions):
        pass

    def after(self, step, world):
        self.take()


@pytest.fixture(scope="module")
def witnessed(tmp_path_factory):
    """Half a minute of scripted traffic among lights that switch, through the recording's file."""
    town = generate_town(seed=3)
    lights = LightSettings(missing_all=0.0, always_green=0.0, missing_group=0.0)
    settings = SimulatorSettings(worlds=2, agents=40, time_steps=(0.3,), lights=lights,
                                 traffic=TrafficSettings(scripted=1.0))  # fmt: skip
    simulator = Simulator(town, settings, seed=5)
    witness = Witness(simulator, town)
    witness.take()
    roll_out(VectorWorld(simulator), IdleActor(), 90, witness)
    path = tmp_path_factory.mktemp("witnessed") / "run.npz"
    witness.recorder.recording().save(path)
    return Recording.load(path), witness


@pytest.mark.parametrize("look", LOOKS)
def test_what_is_drawn_afterwards_is_what_was_seen_live(witnessed, look):
    recording, witness = witnessed
    eyes = RecordedEyes(recording, load_rig(RIG), AGENTS, appearance=LOOKS[look])
    differing = [
        (eyes.at(step * recording.dt) != live).any(axis=-1)
        for step, live in enumerate(witness.pictures[look])
    ]
    # Positions are recorded as float32 metres of the map, which moves a rare edge by a pixel.
    assert np.mean(differing) < 1e-5
    assert np.mean(differing, axis=(-2, -1)).max() < 2e-3
    seen = np.bincount(np.ravel(witness.classes), minlength=256)
    for name in ("light_green", "light_yellow", "light_red", "lamp_brake", "cyclist"):
        assert seen[CLASS[name]] > 0, f"no {name} was in view, so nothing is known about it"
    assert np.diff(recording.episode, axis=0).any(), "nobody came anew"


def test_lights_are_the_recorded_ones_whatever_a_seed_would_say(witnessed):
    recording, witness = witnessed
    lit = np.isin(witness.classes, [CLASS["light_green"], CLASS["light_red"]])
    step, agent = np.argwhere(lit.any(axis=(2, 3, 4)))[0]
    swapped = np.array([0, 3, 2, 1], np.uint8)[recording.light_state]
    eyes = RecordedEyes(replace(recording, light_state=swapped), load_rig(RIG), AGENTS)
    live = witness.pictures["plain"][step]
    changed = (eyes.at(step * recording.dt) != live).any(axis=-1)[agent]
    assert changed[lit[step, agent]].mean() > 0.95
    assert changed[~lit[step, agent]].mean() < 2e-3


def test_the_seed_of_the_world_colours_its_vehicles(drive):
    assert SEED_SETTING not in drive.settings
    seeds = [drive.settings, {SEED_SETTING: 0}, {SEED_SETTING: 12345}]
    unknown, zero, other = (
        RecordedEyes(replace(drive, settings=one), load_rig("six"), [0]).at(0.0) for one in seeds
    )
    assert (unknown == zero).all()
    assert (unknown != other).any()


def test_between_steps_road_users_move_straight_on(drive):
    agent = int(np.flatnonzero(drive.alive[:3].all(axis=0) & (drive.speed[1] > 3.0))[0])
    half = moment_at(drive, 1.5 * drive.dt)
    ends = drive.position_map[1:3, agent].astype(float)
    assert half.step == 1
    assert half.position[agent] == pytest.approx(ends.mean(axis=0), abs=1e-9)
    eyes = RecordedEyes(drive, load_rig("front"), [agent])
    before, between, after = (eyes.at(time * drive.dt) for time in (1.0, 1.5, 2.0))
    assert (before != between).any()
    assert (between != after).any()


def test_nobody_jumps_from_one_drive_to_the_next(drive):
    new = np.argwhere((np.diff(drive.episode, axis=0) != 0) | ~drive.alive[1:])
    assert len(new)
    for step, agent in new:
        here = moment_at(drive, (step + 0.9) * drive.dt)
        assert here.position[agent] == pytest.approx(drive.position_map[step, agent], abs=1e-6)


def test_an_empty_slot_sees_nothing(drive):
    gone = np.argwhere(~drive.alive)
    step, agent = gone[len(gone) // 2]
    eyes = RecordedEyes(drive, load_rig("front"), [int(agent)])
    assert not eyes.at(step * drive.dt).any()
    assert eyes.at(0.0).any() == drive.alive[0, agent]


def test_a_slot_that_is_not_there_is_refused(drive):
    with pytest.raises(SettingsError, match="choose 0 to 11"):
        RecordedEyes(drive, load_rig("front"), [12])
