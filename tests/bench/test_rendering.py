"""The drawing benchmark: what it counts, what it sees, and what it refuses to call a speed."""

import json
from dataclasses import replace

import numpy as np
import pytest

from gigalane.bench import rendering
from gigalane.bench.in_view import count_in_view
from gigalane.bench.rendering import RENDER_WORKLOADS, RenderWorkload, bench_rendering
from gigalane.bench.speed import Timed
from gigalane.bench.workloads import workload_named
from gigalane.cli.main import main
from gigalane.core.settings import RunError, SettingsError
from gigalane.render.birdview import BirdviewSettings
from gigalane.render.camera import Rig, load_rig, looking
from gigalane.render.lenses import Reach
from gigalane.render.quads import box, join, make_quads
from gigalane.render.renderer import CameraRenderer
from gigalane.render.scenery import lay_out
from gigalane.sim.settings import SimulatorSettings
from gigalane.sim.simulator import Simulator
from reference.placed import clear, place

TINY = RenderWorkload(
    "tiny",
    "6 road users in a town",
    maps=("town:2",),
    world=SimulatorSettings(worlds=2, agents=3),
    warm_up=60,
    rig="front",
    size=(24, 16),
    outputs=("class_id", "depth"),
    frames=24,
)


@pytest.fixture(scope="module")
def drawn():
    return bench_rendering(TINY, threads=1, repeats=3)


def test_record_has_the_rate_and_all_it_depends_on(drawn):
    found = drawn.as_json()
    assert found["benchmark"] == "render"
    assert 0 < found["low"] <= found["frames_per_s"] <= found["high"]
    assert found["cpu_us_per_frame"] > 0
    assert (found["device"], found["threads"], found["repeats"]) == ("cpu", 1, 3)
    assert found["peak_memory_mb"] > 10
    settings = found["settings"]
    assert settings["workload"] == "tiny"
    assert settings["rig"]["cameras"][0]["width"] == 24
    assert settings["outputs"] == ["class_id", "depth"]
    assert settings["reach"]["road"] == pytest.approx(1.6 * 40.2768 * 24 / 96)


def test_record_says_how_much_was_in_view(drawn):
    outcome = drawn.outcome
    assert outcome["boxes_in_view"] >= outcome["road_users_in_view"]
    assert outcome["quadrilaterals_in_view"] > outcome["strips_in_view"] > 1
    assert outcome["road"] > 0.5
    assert outcome["kinds"] > 2


def test_stepped_workload_counts_agent_steps_and_frames_of_every_camera():
    workload = replace(TINY, rig="four", is_stepped=True, frames=12, outputs=("rgb",))
    found = bench_rendering(workload, threads=1, repeats=2)
    figures = found.figures
    assert list(figures) == ["agent_steps_per_s", "frames_per_s", "cpu_us_per_agent_step"]
    assert figures["frames_per_s"].value == pytest.approx(4 * figures["agent_steps_per_s"].value)


@pytest.mark.parametrize("settings", [BirdviewSettings.small(), BirdviewSettings(pixels=64)])
def test_rasters_are_measured_and_looked_at(settings):
    workload = replace(TINY, rig="", birdview=settings)
    found = bench_rendering(workload, threads=1, repeats=2)
    assert found.figures["frames_per_s"].value > 0
    assert found.outcome["road"] > 0.5
    assert found.settings["birdview"]["pixels"] == 64


def test_rate_is_pictures_by_the_wall_and_cost_is_time_computed(monkeypatch):
    parts = [Timed(2.0, 1.0), Timed(1.0, 2.0)]
    monkeypatch.setattr(rendering, "_time_pictures", lambda *given: parts)
    figures = bench_rendering(TINY, threads=1).figures
    # 24 pictures of 6 road users are four rounds.
    assert figures["frames_per_s"].value == pytest.approx((24 / 2 + 24 / 1) / 2)
    assert figures["cpu_us_per_frame"].value == pytest.approx(1.5 / 24 * 1e6)


def test_every_picture_of_a_repeat_is_of_another_moment(monkeypatch):
    clocks = []
    render = CameraRenderer.render

    def watched(self):
        clocks.append(self.simulator.scene.clock.numpy()[0])
        return render(self)

    monkeypatch.setattr(CameraRenderer, "render", watched)
    bench_rendering(TINY, threads=1, repeats=2)
    # Three to warm up, four rounds twice, and one that is looked at.
    assert len(clocks) == 3 + 2 * 4 + 1
    assert np.all(np.diff(clocks[:-1]) != 0)


def test_pictures_that_show_nothing_fail_in_a_line(monkeypatch):
    def nothing(self):
        return {}

    monkeypatch.setattr(CameraRenderer, "render", nothing)
    with pytest.raises(RunError, match=r"workload tiny: .*its speed means nothing"):
        bench_rendering(TINY, threads=1, repeats=1)


def test_worlds_without_road_users_fail_in_a_line(monkeypatch):
    monkeypatch.setattr(Simulator, "step", lambda self, actions=None: clear(self))
    with pytest.raises(RunError, match="only 0% of the slots are occupied"):
        bench_rendering(TINY, threads=1, repeats=1)


def test_pictures_that_do_not_fit_in_memory_are_refused_before_maps_are_opened():
    huge = replace(TINY, world=SimulatorSettings(worlds=10**7), maps=("/nowhere/at/all.xodr",))
    with pytest.raises(SettingsError, match=r"workload tiny: needs about .* GB"):
        bench_rendering(huge, threads=1)


def test_shipped_workloads_are_what_the_issue_asks_for():
    front = RENDER_WORKLOADS["front-class-depth"]
    rig = front.eyes()
    assert rig is not None
    assert (rig.size, front.outputs) == ((96, 64), ("class_id", "depth"))
    assert RENDER_WORKLOADS["front-rgb"].eyes() == rig
    four = RENDER_WORKLOADS["four-cameras"].eyes()
    assert four == load_rig("four")
    assert RENDER_WORKLOADS["four-cameras"].is_stepped
    square = RENDER_WORKLOADS["square64-rgb"].eyes()
    assert square is not None
    assert square.size == (64, 64)
    sides = [RENDER_WORKLOADS[name].birdview.pixels for name in ("birdview", "birdview-small")]
    assert sides == [192, 64]


def test_unknown_workload_is_refused_with_the_known_ones():
    with pytest.raises(SettingsError, match="workload 'small': there are front-class-depth, "):
        workload_named("small", RENDER_WORKLOADS)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--workload", "small"), "workload 'small': there are front-class-depth, "),
        (("--device", "cuda:9"), "device 'cuda:9': this machine has only "),
        (("--trace",), "bench render: has no stages; leave out --trace"),
    ],
)
def test_what_cannot_be_drawn_is_refused_on_the_command_line_in_one_line(capsys, words, told):
    assert main(["bench", "render", *words]) == 2
    answer = capsys.readouterr()
    assert told in answer.err
    assert answer.err.count("\n") == 1
    assert not answer.out


def test_command_prints_the_record_of_the_workload_it_is_given(capsys, monkeypatch, tmp_path):
    monkeypatch.setitem(RENDER_WORKLOADS, "tiny", TINY)
    place = tmp_path / "tiny.json"
    words = ["--workload", "tiny", "--threads", "1", "--repeats", "1", "--json", "-o", str(place)]
    assert main(["bench", "render", *words]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["frames_per_s"] > 0
    assert json.loads(place.read_text()) == found
    assert main(["bench", "render", "--workload", "list"]) == 0
    listed = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert listed == list(RENDER_WORKLOADS)


def test_what_is_in_view_is_counted_by_hand(straight):
    simulator = Simulator(straight, SimulatorSettings(worlds=1, agents=3), threads=1)
    clear(simulator)
    place(simulator, 0, 0, 0, 100.0, 0.0)  # looks along +x
    place(simulator, 0, 1, 0, 120.0, 0.0)  # before it
    place(simulator, 0, 2, 0, 80.0, 0.0)  # behind it
    nothing = make_quads(np.zeros((0, 4, 3)), 0)
    tile = np.array([[-1.0, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]])
    ahead, behind, far = (tile + np.array([x, 0.0, 0.0]) for x in (110.0, 90.0, 170.0))
    house = make_quads(box((115.0, 6.0, 0.0), 0.3, (4.0, 3.0, 5.0)), 1)
    layers = [nothing, join([make_quads(one, 1) for one in (ahead, behind, far)]), nothing,
              nothing, house, nothing]  # fmt: skip
    reach = Reach(50.0, 50.0, 50.0, 50.0, 50.0, 50.0, 50.0)
    scenery = lay_out("by hand", layers, 0)
    found = count_in_view(simulator, [scenery], load_rig("front"), reach)
    # From x = 100, 120 and 80 m, 50 m ahead: one car, none, both; the house, none, the house; the
    # tile at 110 m, the one at 170 m, those at 90 and 110 m.
    eye = replace(load_rig("front").cameras[0], rotation_ego=looking(np.pi))
    back = count_in_view(simulator, [scenery], Rig("back", (eye,)), reach)
    assert found.road_users_in_view == pytest.approx((1 + 0 + 2) / 3)
    assert back.road_users_in_view == pytest.approx((1 + 2 + 0) / 3)
    assert found.boxes_in_view - found.road_users_in_view == pytest.approx((1 + 0 + 1) / 3)
    assert found.strips_in_view == pytest.approx((1 + 1 + 2) / 3)
    assert back.strips_in_view == pytest.approx((1 + 2 + 0) / 3)
    # The five faces of the house count one by one, as do the tiles.
    assert found.quadrilaterals_in_view == pytest.approx((6 + 1 + 7) / 3)
