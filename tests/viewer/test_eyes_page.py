"""What the car sees, in the replay page, in a real browser."""

from __future__ import annotations

import io

import numpy as np
import pytest
import synthetic_world
from PIL import Image

from gigalane.render.camera import Rig, load_rig
from gigalane.sim.recording import RecordingError
from gigalane.viewer.eyes import Eyes, take_pictures
from gigalane.viewer.palette import LIGHT
from gigalane.viewer.recorded_eyes import RecordedEyes
from gigalane.viewer.replay import write_replay

pytestmark = pytest.mark.browser
HOSTILE = "</script><b>rig</b>"
COLORS = np.array([[200, 30, 30], [30, 160, 60], [40, 60, 200], [220, 190, 40]])


def painted(color, rig):
    """A WebP picture of one colour, of the size of a rig's mosaic."""
    stream = io.BytesIO()
    width, height = Eyes(rig, 1.0, {}).mosaic.size
    flat = np.full((height, width, 3), color, np.uint8)
    Image.fromarray(flat).save(stream, "WEBP", lossless=True)
    return stream.getvalue()


@pytest.fixture(scope="module")
def agents(drive):
    """Two that are there at the first two moments of the pictures."""
    there = drive.alive[:25].all(axis=0)
    return [int(agent) for agent in np.flatnonzero(there)[:2]]


@pytest.fixture(scope="module")
def page(drive, agents, tmp_path_factory):
    """Pictures of one colour: each road user has two, a second apart; the third world has none."""
    one = load_rig("front")
    six = load_rig("six")
    six = Rig(HOSTILE, six.cameras)
    films = {agent: [painted(COLORS[2 * k + n], one) for n in range(2)]
             for k, agent in enumerate(agents)}  # fmt: skip
    wide = {agents[0]: [painted(COLORS[0], six), b""]}
    bare = synthetic_world.traffic(synthetic_world.crossroads(), agents=3, seconds=2.0)
    path = tmp_path_factory.mktemp("eyes") / "replay.html"
    write_replay([drive, drive, bare], path, [Eyes(one, 1.0, films), Eyes(six, 1.0, wide), None])
    return path


def open_at(browser, page, fragment, picture):
    browser.open(page, f"autoplay=0&{fragment}")
    browser.wait(f"document.documentElement.dataset.picture === '{picture}'")


def middle_of_eyes(browser):
    """The colour in the middle of the camera's picture."""
    x, y = browser.evaluate(
        "(() => { const b = document.getElementById('eyes-canvas').getBoundingClientRect();"
        "return [b.x + b.width * 0.45, b.y + b.height * 0.6]; })()"
    )
    image = Image.open(io.BytesIO(browser.screenshot())).convert("RGB")
    return np.array(image.getpixel((round(x), round(y))))


def test_the_page_opens_on_the_one_with_the_camera_without_errors_or_network(browser, page, agents):
    open_at(browser, page, "t=0.5", f"{agents[0]}:0")
    assert browser.said()["follow"] == str(agents[0])
    assert np.abs(middle_of_eyes(browser) - COLORS[0]).max() <= 2
    assert browser.problems() == []


def test_the_picture_keeps_up_with_time_and_with_whom_is_followed(browser, page, agents):
    open_at(browser, page, "t=0", f"{agents[0]}:0")
    for fragment, picture, color in (
        (f"t=1.4&follow={agents[0]}", f"{agents[0]}:1", COLORS[1]),
        (f"t=1.4&follow={agents[1]}", f"{agents[1]}:1", COLORS[3]),
        (f"t=0.9&follow={agents[1]}", f"{agents[1]}:0", COLORS[2]),
    ):
        browser.evaluate(f"location.hash = '#{fragment}'")
        browser.wait(f"document.documentElement.dataset.picture === '{picture}'")
        browser.wait(f"document.documentElement.dataset.follow === '{picture.split(':')[0]}'")
        assert np.abs(middle_of_eyes(browser) - color).max() <= 2


def test_real_pictures_keep_up_while_it_plays_to_the_end(browser, drive, tmp_path):
    last = drive.steps - 1
    agent = int(np.flatnonzero(drive.alive[[0, last]].all(axis=0))[0])
    rig = load_rig("front").resized(48, 32)
    eyes = take_pictures(RecordedEyes(drive, rig, [agent]))
    write_replay([drive], tmp_path / "replay.html", [eyes])
    browser.open(tmp_path / "replay.html", "t=0&rate=16")
    browser.wait(f"document.documentElement.dataset.picture === '{agent}:{last}'")
    browser.wait("document.documentElement.dataset.playing === '0'")
    assert browser.problems() == []


def test_one_without_a_camera_is_told_and_offered_those_with_one(browser, page, agents, drive):
    other = next(a for a in range(drive.agents) if a not in agents and drive.alive[0, a])
    browser.open(page, f"t=0&autoplay=0&follow={other}")
    note = "document.getElementById('eyes-note')"
    browser.wait(f"!{note}.hidden && {note}.textContent.includes('#{other} has no camera')")
    offers = browser.evaluate(f"[...{note}.querySelectorAll('button')].map((b) => b.textContent)")
    assert [text.split("#")[1] for text in offers] == [str(agent) for agent in agents]
    browser.evaluate(f"{note}.querySelectorAll('button')[1].click()")
    browser.wait(f"document.documentElement.dataset.picture === '{agents[1]}:0'")
    browser.wait(f"{note}.hidden")


def test_after_the_last_picture_the_page_says_so(browser, page, agents):
    open_at(browser, page, f"t=4&follow={agents[0]}", "")
    note = "document.getElementById('eyes-note')"
    browser.wait(f"!{note}.hidden && {note}.textContent.includes('Pictures end at 0:01.0')")


def test_keys_hide_and_enlarge_it_and_a_world_without_pictures_has_none(browser, page, agents):
    open_at(browser, page, "t=0", f"{agents[0]}:0")
    width = "document.getElementById('eyes-canvas').getBoundingClientRect().width"
    usual = browser.evaluate(width)
    assert usual > 300
    browser.press("l")
    browser.wait(f"{width} > {1.3 * usual}")
    browser.press("v")
    browser.wait("document.getElementById('eyes').hidden")
    browser.press("v")
    browser.wait("!document.getElementById('eyes').hidden")
    browser.open(page, "t=0&autoplay=0&world=2")
    browser.wait("document.documentElement.dataset.world === '2'")
    assert "picture" not in browser.said()
    assert browser.evaluate("document.getElementById('eyes').hidden")
    assert browser.evaluate("document.getElementById('eyes-toggle').hidden")
    assert browser.problems() == []


@pytest.mark.parametrize("size", [(390, 844), (844, 390), (1280, 800), (1920, 1080)])
@pytest.mark.parametrize("world", [0, 1])
def test_map_and_pictures_both_have_room_on_every_screen(browser, page, agents, size, world):
    browser.resize(*size)
    open_at(browser, page, f"t=0&world={world}&follow={agents[0]}", f"{agents[0]}:0")
    boxes = browser.evaluate(
        "['canvas', 'eyes-canvas', 'transport', 'panel'].map((name) => { const b = document"
        ".getElementById(name).getBoundingClientRect(); return [b.x, b.y, b.right, b.bottom]; })"
    )
    page_size = browser.evaluate(
        "[document.documentElement.scrollWidth, document.documentElement.scrollHeight]"
    )
    ratio, problems = browser.evaluate("eyes.data.size[0] / eyes.data.size[1]"), browser.problems()
    browser.resize(1280, 800)
    assert tuple(page_size) == size
    assert problems == []
    for left, top, right, bottom in boxes:
        assert min(left, top) >= 0
        assert right <= size[0] + 0.5
        assert bottom <= size[1] + 0.5
    chart, seen = ([b[2] - b[0], b[3] - b[1]] for b in boxes[:2])
    assert min(chart) >= 110
    assert seen[0] * seen[1] > 0.08 * size[0] * size[1]
    # The box is hardly larger than the picture in it.
    shown = min(seen[0], seen[1] * ratio) * min(seen[1], seen[0] / ratio)
    assert shown > 0.6 * seen[0] * seen[1]


def test_names_of_rigs_are_text_and_nothing_else(browser, page, agents):
    open_at(browser, page, "t=0&world=1", f"{agents[0]}:0")
    assert "rig</b>" in browser.evaluate("document.getElementById('eyes-rig').textContent")
    assert browser.evaluate("document.querySelectorAll('#eyes b').length") == 0
    assert browser.problems() == []


def test_the_map_shades_what_the_camera_looks_at(browser, page, agents, drive):
    agent = agents[0]
    x, y = (float(v) for v in drive.position_map[0, agent, :2])
    heading = float(drive.heading[0, agent])
    highlight = np.array([int(LIGHT.highlight[k : k + 2], 16) for k in (1, 3, 5)])
    nearer = {}
    for direction in (0.0, np.pi):
        place = (x + 9 * np.cos(heading + direction), y + 9 * np.sin(heading + direction))
        seen = []
        for camera in (1, 0):
            browser.open(page, f"t=0&autoplay=0&theme=light&zoom=14&camera={camera}")
            browser.wait("document.documentElement.dataset.time === '0.000'")
            left, top = browser.evaluate(
                f"(() => {{ const [x, y] = camera.toScreen({place[0]}, {place[1]});"
                "const b = camera.canvas.getBoundingClientRect(); return [x + b.x, y + b.y]; })()"
            )
            image = Image.open(io.BytesIO(browser.screenshot())).convert("RGB")
            around = np.asarray(image)[round(top) - 8 : round(top) + 9]
            around = around[:, round(left) - 8 : round(left) + 9].reshape(-1, 3)
            seen.append(np.abs(around.mean(axis=0) - highlight).sum())
        nearer[direction] = seen[1] - seen[0]
    assert nearer[0.0] > 20
    assert abs(nearer[np.pi]) < 8


def test_eyes_that_match_no_recording_are_refused(drive, tmp_path):
    eyes = Eyes(load_rig("front"), 1.0, {0: []})
    with pytest.raises(RecordingError, match="give one, or None, for each"):
        write_replay([drive], tmp_path / "replay.html", [eyes, None])
    assert not list(tmp_path.iterdir())
