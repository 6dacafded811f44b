"""Bad input is refused in one line that names file, place and cure; see `refused`."""

import gzip
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from gigalane.maps.compiled_file import save_compiled
from reference import maps

ROAD = """<?xml version="1.0"?>
{prolog}<OpenDRIVE><header revMajor="1" revMinor="4" name="" version="1.0"/>
<road id="1" length="100" junction="-1" name="{name}"><link/>
<planView><geometry s="0" x="0" y="0" hdg="0" length="100"><line/></geometry></planView>
<lanes><laneSection s="0"><center><lane id="0" type="none" level="false"/></center>
<right><lane id="-1" type="{type}" level="false"><link/>
<width sOffset="0" a="{width}" b="0" c="0" d="0"/></lane></right></laneSection></lanes>
</road></OpenDRIVE>
"""
BOMB = (
    '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">'
    + "".join(f'<!ENTITY {chr(98 + k)} "{f"&{chr(97 + k)};" * 10}">' for k in range(9))
    + "]>"
)
FETCHES = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/hostname">]>'


def road(prolog="", name="1", type="driving", width="3.5") -> str:
    return ROAD.format(prolog=prolog, name=name, type=type, width=width)


READERS = (
    ("map", "info"),
    ("map", "view"),
    ("map", "import", "-o", "out.npz"),
    ("evaluate", "idm", "--map"),
    ("train", "run", "--map"),
)


@pytest.fixture(params=READERS, ids=lambda words: " ".join(words[:2]))
def reads(request, refused):
    """A command that reads a map, refusing it."""
    return lambda file: refused(*request.param, file)


def test_missing_map_is_refused_by_every_command_that_reads_one(reads):
    assert reads("nowhere.xodr").endswith("nowhere.xodr: there is no such file; check the path")


def test_map_that_is_a_folder_or_has_another_suffix_is_refused(reads, folder):
    (folder / "town.xodr").mkdir()
    assert "town.xodr: is a folder" in reads("town.xodr")
    (folder / "town.osm").write_text("<osm/>")
    assert "town.osm: has a suffix of no known format; known are .xodr" in reads("town.osm")
    (folder / "empty.xodr").touch()
    assert "empty.xodr: is empty" in reads("empty.xodr")


def test_damaged_map_is_refused(reads, folder, ring):
    whole = gzip.compress(road().encode())
    (folder / "cut.xodr.gz").write_bytes(whole[: len(whole) // 2])
    assert "cut.xodr.gz" in reads("cut.xodr.gz")
    (folder / "cut.xodr").write_text(road()[:400])
    assert "cut.xodr" in reads("cut.xodr")
    data = ring.read_bytes()
    (folder / "cut.npz").write_bytes(data[: len(data) // 2])
    assert "cut.npz" in reads("cut.npz")
    (folder / "town.xodr").write_bytes(data)
    assert "town.xodr" in reads("town.xodr")


def test_hostile_xml_is_refused(reads, folder):
    (folder / "bomb.xodr").write_text(road(BOMB, name="&j;"))
    assert "bomb.xodr" in reads("bomb.xodr")
    (folder / "fetches.xodr").write_text(road(FETCHES, name="&a;"))
    line = reads("fetches.xodr")
    assert "fetches.xodr" in line
    assert Path("/etc/hostname").read_text().strip() not in line


def test_map_without_a_drivable_lane_is_refused(reads, folder):
    (folder / "path.xodr").write_text(road(type="sidewalk"))
    line = reads("path.xodr")
    assert "path.xodr" in line
    assert "lane" in line


def test_number_that_is_none_is_refused_where_it_stands(reads, folder):
    (folder / "wide.xodr").write_text(road(width="nan"))
    line = reads("wide.xodr")
    assert "wide.xodr" in line
    assert 'road "1", lane section 0, lane -1' in line
    assert "width" in line


@pytest.mark.parametrize("words", [("evaluate", "idm"), ("train", "run", "--world.worlds", "4")])
def test_map_too_short_for_any_goal_is_refused(refused, folder, words):
    save_compiled(maps.straight_road(length=15.0), folder / "short.npz")
    line = refused(*words, "--map", "short.npz")
    assert "straight" in line
    assert "no room or no route" in line
    assert "use fewer agents or a larger map" in line


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (("--agents", "400"), "found no room"),
        (("--agents", "100000"), "it must be 0 to 512"),
        (("--density", "900"), "at most 512 are possible: give --agents, or a lower --density"),
        (("--agents", "0"), "at least one road user must drive"),
        (("--agents", "-1"), "at least one road user must drive"),
        (("--agents", "3", "--density", "3"), "not both"),
        (("--density", "-2"), "density is -2.0"),
        (("--density", "0"), "density is 0.0"),
        (("--density", "inf"), "--density is inf; give a finite number"),
        (("--density", "nan"), "--density is nan; give a finite number"),
        (("--dt", "0"), "dt is 0.0"),
        (("--dt", "-0.1"), "dt is -0.1"),
        (("--dt", "2"), "dt is 2.0; it must be 0.01 to 1"),
        (("--dt", "nan"), "--dt is nan"),
        (("--seconds", "nan"), "--seconds is nan"),
        (("--seconds", "inf"), "--seconds is inf"),
        (("--seconds", "0"), "seconds is 0.0"),
        (("--episodes", "-1"), "episodes is -1"),
        (("--episodes", "0"), "episodes is 0"),
        (("--episodes", "many"), "--episodes"),
        (("--seed", "-1"), "seed is -1"),
        (("--record", "-1", "--out", "found"), "record is -1"),
        (("--record", "1"), "--record needs --out"),
        (("--suite", "procedural"), "--suite or --map, not both"),
        (("--dt",), "--dt"),
    ],
)
def test_evaluation_that_cannot_be_run_is_refused(refused, ring, words, part):
    assert part in refused("evaluate", "idm", "--map", ring, *words)


def test_suites_are_named_and_need_their_data(refused, monkeypatch, folder):
    assert "there are procedural," in refused("evaluate", "idm", "--suite", "everything")
    for value, said in (("", "is not set"), ("nowhere", "is no folder: nowhere")):
        monkeypatch.setenv("GIGALANE_DATA", value)
        line = refused("evaluate", "idm", "--suite", "unseen-dense")
        assert "GIGALANE_DATA" in line
        assert said in line
    monkeypatch.setenv("GIGALANE_DATA", str(folder))
    assert "Town05.xodr.gz: there is no such file" in refused(
        "evaluate", "idm", "--suite", "unseen-dense"
    )


def test_policy_that_is_none_is_refused(refused, folder, ring, policy):
    def refusal(file):
        return refused("evaluate", file, "--map", ring)

    known = "default, default-camera, default-coach, idm"
    assert f"nobody: is neither a file nor one of {known}" in refusal("nobody")
    (folder / "folder.safetensors").mkdir()
    assert "folder.safetensors" in refusal("folder.safetensors")
    (folder / "pickle.safetensors").write_bytes(pickle.dumps({"weight": np.zeros(3)}))
    assert "pickle.safetensors: is not a whole safetensors file" in refusal("pickle.safetensors")
    torch.save({"weight": torch.zeros(3)}, folder / "weights.pt")
    assert "weights.pt: is not a whole safetensors file" in refusal("weights.pt")
    save_file({"weight": torch.zeros(3)}, folder / "foreign.safetensors")
    assert "not a gigalane-policy file" in refusal("foreign.safetensors")
    (folder / "cut.safetensors").write_bytes(policy.read_bytes()[:5000])
    assert "cut.safetensors: is not a whole safetensors file" in refusal("cut.safetensors")
    later = policy.read_bytes().replace(b'"version":"1"', b'"version":"9"')
    (folder / "later.safetensors").write_bytes(later)
    assert "is version 9, this gigalane reads 1" in refusal("later.safetensors")


def test_policy_of_another_shape_is_refused(refused, folder, ring, monkeypatch):
    from gigalane.policies.checkpoint import save_policy
    from gigalane.policies.entity import EntityPolicy, EntitySettings
    from gigalane.sim.control import ACTION_SPACES
    from gigalane.sim.settings import SimulatorSettings

    layout = SimulatorSettings().layout(road_tokens=7)
    other = EntityPolicy(layout, ACTION_SPACES["jerk12"], EntitySettings(trunk=(8,)))
    save_policy(other, folder / "other.safetensors")
    line = refused("evaluate", "other.safetensors", "--map", ring)
    assert "road=7" in line
    state = {name: tensor[..., :3] for name, tensor in other.state_dict().items()}
    monkeypatch.setattr(other, "state_dict", lambda: state)
    save_policy(other, folder / "torn.safetensors")
    line = refused("evaluate", "torn.safetensors", "--map", ring)
    assert "torn.safetensors: action_head.bias: has shape (3,)" in line
    assert load_file(folder / "torn.safetensors")["action_head.bias"].shape == (3,)


def test_places_that_cannot_be_written_are_refused(refused, folder, ring):
    (folder / "file").touch()
    for out, cure in (
        ("nowhere/out", "there is no such file or folder"),
        ("file/out", "leads through a file"),
    ):
        assert cure in refused("map", "view", ring, "-o", f"{out}.png")
        assert cure in refused("map", "view", ring, "-o", f"{out}.svg")
        line = refused("map", "import", ring, "-o", f"{out}.npz")
        assert f"{out}.npz" in line
    (folder / "out.npz").mkdir()
    assert "out.npz: saved maps are .npz files" in refused("map", "import", ring, "-o", "out.npz")
    few = ("--agents", "3", "--episodes", "4", "--seconds", "1")
    for words in (
        ("evaluate", "idm", "--map", ring, *few, "-o"),
        ("train", "--map", ring, "--world.worlds", "2", "--world.agents", "3", "--run"),
        ("demo", "-o"),
    ):
        place = words[:-1] if words[-1] == "--run" else words
        assert "file: is a file where a folder is needed" in refused(*place, "file")
        assert "leads through a file" in refused(*place, "file/below")


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (("map", "import", "town:1", "-o", "map.xodr"), "saved maps are .npz files"),
        (("map", "view", "town:1", "-o", "map.gif"), "pictures are .png or .svg"),
        (("map", "view", "town:1", "--width", "0"), "give 64 to 20000 pixels"),
        (("map", "view", "town:1", "--width", "100000000"), "give 64 to 20000 pixels"),
        (("map", "info", "town:one"), "towns are written town:SEED or town:FIRST-LAST"),
        (("map", "info", "town:5-3"), "give a range of 1 to 1000 seeds"),
        (("map", "info", "town:1-1001"), "give a range of 1 to 1000 seeds"),
        (("map", "import", "town:1"), "-o"),
        (("view", "nowhere"), "nowhere: there is no such file"),
        (("view", "."), "holds no recording; make one with evaluate --record"),
        (("view", ".", "--follow", "x"), "--follow"),
        (("bench", "everything"), "there are sim, train, render, latency, compare, sweep"),
        (("bench", "sim", "--workload", "huge"), "there are small, large, default"),
        (("bench", "sim", "--device", "gpu"), "device 'gpu'"),
        (("bench", "sim", "--threads", "-1"), "--threads is -1"),
        (("demo", "--minutes", "nan"), "--minutes is nan"),
        (("demo", "--minutes", "-1"), "minutes is -1"),
        (("demo", "--seed", "-1"), "seed is -1"),
        (("train", "run", "--device", "cuda:99"), "device 'cuda:99': this machine has only"),
        (("evaluate", "idm", "--device", "tpu"), "device 'tpu': this machine has only"),
        (("train", "run", "--world.agents", "0"), "1 to 512 agents"),
        (("train", "run", "--world.agents", "100000"), "1 to 512 agents"),
        (("train", "run", "--world.spawn.car-length", "5", "3"), "give the smaller number first"),
        (("train", "run", "--world.spawn.cyclists", "7"), "spawn.cyclists=7.0: must be 0 to 1"),
        (("train", "run", "--world.episode-s", "-1"), "episode_s=-1.0"),
        (("train", "run", "--world.time-steps", "0"), "time_steps=(0.0,)"),
        (("train", "run", "--world.time-steps"), "time_steps=()"),
        (("train", "run", "--world.action", "fly"), "'jerk12'"),
        (("train", "run", "--world.lights.red", "nan", "1"), "lights.red"),
        (("train", "run", "--world.wheels", "3"), "Unrecognized options: --world.wheels"),
        (("train", "run", "--train.samples", "0"), "samples"),
        (("train", "run", "--train.samples", "1e6"), "--train.samples"),
        (("train", "run", "--train.discount", "1.5"), "discount"),
        (("train", "run", "--train.ppo.learning-rate", "nan"), "learning"),
        (("train", "run", "--train.ppo.minibatch", "0"), "minibatch"),
        (("train", "run", "--train.policy.trunk", "-3"), "trunk"),
        (("train", "run", "--train.filter.keep-share", "3"), "keep_share"),
        (("train", "run", "--train.precision", "fp8"), "'bf16'"),
        (("train",), "RUN"),
    ],
)
def test_arguments_that_cannot_be_used_are_refused(refused, words, part):
    assert part in refused(*words)


def test_folder_and_file_that_hold_no_recording_are_refused(refused, ring, folder):
    assert "ring.npz: header: not a gigalane recording" in refused("view", ring)
    (folder / "recording-0.npz").write_bytes(b"PK\x03\x04 and nothing")
    assert "recording-0.npz" in refused("view", ".")
    np.savez(folder / "recording-0.npz", weights=np.zeros(3))
    assert "recording-0.npz: header: not a gigalane recording" in refused("view", ".")
