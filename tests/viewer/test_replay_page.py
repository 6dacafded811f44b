"""The replay page in a real browser, from disk."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
import synthetic_world
from PIL import Image

from gigalane.maps.road import RoadMap
from gigalane.viewer.palette import DARK, LIGHT
from gigalane.viewer.replay import write_replay

pytestmark = pytest.mark.browser
HOSTILE = "</script><img src=x onerror=\"document.title='owned'\"><b>bold</b>"


@pytest.fixture(scope="module")
def page(drive, tmp_path_factory):
    """Two worlds: the drive, and one whose every text is hostile."""
    hostile = synthetic_world.traffic(synthetic_world.crossroads(HOSTILE), agents=3, seconds=2.0)
    hostile = replace(
        hostile, title=HOSTILE, settings={HOSTILE: HOSTILE}, kind_names=(HOSTILE,) * 4,
        driver_names=(HOSTILE,) * 3, event_names=(HOSTILE,) * 5, reward_names=(HOSTILE,) * 7,
        persona_names=(HOSTILE,) * 5,
    )  # fmt: skip
    path = tmp_path_factory.mktemp("page") / "replay.html"
    write_replay([drive, hostile], path)
    return path


def shown(browser):
    image = Image.open(io.BytesIO(browser.screenshot())).convert("RGB")
    return np.asarray(image).astype(int)


def center_of(browser, name):
    return browser.evaluate(
        f"(() => {{ const b = document.getElementById('{name}').getBoundingClientRect();"
        "return [b.x + b.width / 2, b.y + b.height / 2]; })()"
    )


def place_of(browser, recording, agent, step):
    """Where on the screen the page must draw a road user, by its own camera."""
    x, y = (float(v) for v in recording.position_map[step, agent, :2])
    return browser.evaluate(
        f"(() => {{ const [x, y] = camera.toScreen({x}, {y});"
        "const b = camera.canvas.getBoundingClientRect(); return [x + b.x, y + b.y]; })()"
    )


def visible(recording, step):
    return int(np.argmax(recording.alive[step] & (recording.kind[step] == 0)))


def test_the_page_opens_from_disk_without_errors_or_network(browser, page, drive):
    browser.open(page, "t=4.0&autoplay=0")
    said = browser.said()
    assert said["status"] == "ready"
    assert float(said["time"]) == pytest.approx(4.0)
    assert int(said["users"]) == int(drive.alive[40].sum())
    assert browser.problems() == []


def test_the_address_chooses_time_world_and_whom_to_follow(browser, page, drive):
    agent = visible(drive, 30)
    browser.open(page, f"t=3&follow={agent}&autoplay=0")
    assert browser.said()["follow"] == str(agent)
    speed = browser.evaluate("document.getElementById('speed').textContent")
    assert int(speed) == round(abs(float(drive.speed[30, agent])) * 3.6)
    facts = browser.evaluate("document.getElementById('facts').textContent")
    assert drive.driver_names[drive.driver[30, agent]] in facts
    browser.evaluate("location.hash = '#world=1&t=1.5'")
    browser.wait("document.documentElement.dataset.world === '1'")
    browser.wait("document.documentElement.dataset.time === '1.500'")


def test_a_followed_road_user_is_drawn_in_the_middle_with_its_driver_colour(browser, page, drive):
    agent = visible(drive, 30)
    browser.open(page, f"t=3&follow={agent}&autoplay=0&zoom=30&theme=light")
    x, y = (round(v) for v in center_of(browser, "canvas"))
    pixels = shown(browser)[y - 3 : y + 4, x - 3 : x + 4].reshape(-1, 3)
    body = LIGHT.driver_colors[drive.driver[30, agent]]
    roof = [round(int(body[k : k + 2], 16) * 0.74 + 255 * 0.26) for k in (1, 3, 5)]
    assert np.abs(np.median(pixels, axis=0) - roof).max() <= 3


def test_a_click_on_a_road_user_follows_it(browser, page, drive):
    step = 20
    agent = visible(drive, step)
    browser.open(page, f"t={step / 10}&autoplay=0")
    browser.click(*place_of(browser, drive, agent, step))
    browser.wait("document.documentElement.dataset.follow !== ''")
    followed = int(browser.said()["follow"])
    gap = drive.position_map[step, followed] - drive.position_map[step, agent]
    assert np.linalg.norm(gap[:2]) < 6.0  # it, or one in the same place
    browser.press("Escape")
    browser.wait("document.documentElement.dataset.follow === ''")


def test_it_plays_by_itself_and_stops_at_the_end(browser, page, drive):
    browser.open(page, f"t={drive.duration - 0.4}")
    browser.wait("document.documentElement.dataset.playing === '0'")
    assert float(browser.said()["time"]) == pytest.approx(drive.duration, abs=1e-3)


def test_keys_play_step_and_change_the_speed(browser, page):
    browser.open(page, "t=2&autoplay=0")
    browser.press("ArrowRight")
    browser.wait("document.documentElement.dataset.time === '2.100'")
    browser.press("ArrowLeft")
    browser.press("ArrowLeft")
    browser.wait("document.documentElement.dataset.time === '1.900'")
    browser.press("+")
    assert browser.evaluate("document.getElementById('rate').value") == "2"
    browser.press("-")
    browser.press("-")
    assert browser.evaluate("document.getElementById('rate').value") == "0.5"
    browser.press(" ")
    browser.wait("Number(document.documentElement.dataset.time) > 2.0")
    browser.press(" ")
    browser.wait("document.documentElement.dataset.playing === '0'")
    browser.press("End")
    browser.wait("document.documentElement.dataset.time === '8.000'")


def test_the_slider_seeks(browser, page):
    browser.open(page, "t=0&autoplay=0")
    browser.click(*center_of(browser, "slider"))
    browser.wait("Number(document.documentElement.dataset.time) > 3.8")
    assert float(browser.said()["time"]) == pytest.approx(4.0, abs=0.1)


def test_the_log_lists_every_event_and_jumps_to_it(browser, page, drive):
    browser.open(page, "t=0&autoplay=0&tab=log")
    held = (drive.events[..., None] >> np.arange(5, dtype=np.uint32) & 1).astype(bool)
    rising = int((held[1:] & ~held[:-1]).sum() + held[0].sum())
    rows = browser.evaluate("document.querySelectorAll('#log button').length")
    assert rows == rising > 0
    step, agent = (int(v) for v in np.argwhere(drive.events)[0])
    browser.evaluate("document.querySelector('#log button').click()")
    browser.wait(f"document.documentElement.dataset.time === '{step / 10:.3f}'")
    assert browser.said()["follow"] == str(agent)


def test_the_strip_under_the_slider_jumps_to_events(browser, page, drive):
    step, _ = (int(v) for v in np.argwhere(drive.events)[0])
    browser.open(page, "t=0&autoplay=0")
    x = browser.evaluate(f"timeline.x({step / 10})")
    left, top = browser.evaluate(
        "(() => { const b = document.getElementById('strip').getBoundingClientRect();"
        "return [b.x, b.y]; })()"
    )
    browser.click(left + x, top + 7)
    browser.wait(f"document.documentElement.dataset.time === '{step / 10:.3f}'")
    assert browser.said()["follow"] != ""


def test_reward_sums_run_over_the_drive(browser, page, drive):
    agent = visible(drive, 40)
    browser.open(page, f"t=4&follow={agent}&autoplay=0")
    cells = browser.evaluate(
        "[...document.querySelectorAll('#rewards tr')].map((r) => r.lastElementChild.textContent)"
    )
    first = 40
    while (
        first
        and drive.alive[first - 1, agent]
        and (drive.episode[first - 1, agent] == drive.episode[40, agent])
    ):
        first -= 1
    sums = drive.reward_terms[first:41, agent].sum(axis=0)
    written = [float(c.replace("\u2212", "-")) for c in cells]
    assert written[:-1] == pytest.approx(list(sums), rel=0.03, abs=1e-3)
    assert written[-1] == pytest.approx(float(sums.sum()), rel=0.03, abs=2e-3)


def test_dragging_moves_the_map_and_the_wheel_zooms_at_the_pointer(browser, page):
    browser.open(page, "t=1&autoplay=0&follow=0&zoom=10")
    before = browser.evaluate("[camera.x, camera.y]")
    browser.drag((400, 400), (500, 430))
    after = browser.evaluate("[camera.x, camera.y, app.isAttached]")
    assert after == pytest.approx([before[0] - 10.0, before[1] + 3.0, False], abs=1e-6)
    under = browser.evaluate("camera.toMap(300, 200)")
    top = browser.evaluate("camera.canvas.getBoundingClientRect().y")
    browser.mouse("mouseWheel", 300, 200 + top, deltaX=0, deltaY=-240)
    browser.wait("camera.scale > 11")
    assert browser.evaluate("camera.toMap(300, 200)") == pytest.approx(under, abs=1e-6)


def test_heading_up_turns_the_map_so_that_the_followed_looks_up(browser, page, drive):
    agent = visible(drive, 30)
    browser.open(page, f"t=3&follow={agent}&autoplay=0&zoom=10&turn=1")
    heading = float(drive.heading[30, agent])
    x, y = drive.position_map[30, agent, :2].astype(float)
    ahead = f"camera.toScreen({x + 10 * np.cos(heading)}, {y + 10 * np.sin(heading)})"
    middle = browser.evaluate(f"camera.toScreen({x}, {y})")
    assert np.subtract(browser.evaluate(ahead), middle) == pytest.approx([0, -100], abs=1.0)


def test_it_follows_the_colour_scheme_of_the_reader(browser, page):
    for scheme, palette in (("light", LIGHT), ("dark", DARK)):
        browser.prefer(scheme)
        browser.open(page, "t=1&autoplay=0")
        land = palette.map_colors["land"]
        pixel = shown(browser)[100, 20]
        assert pixel.tolist() == [int(land[k : k + 2], 16) for k in (1, 3, 5)]
    browser.prefer("light")


def test_hostile_names_are_text_and_nothing_else(browser, page):
    for tab in ("user", "log", "run"):
        browser.open(page, f"world=1&t=1&autoplay=0&follow=0&tab={tab}")
        assert browser.said()["status"] == "ready"
        assert browser.evaluate("document.title").startswith("</script>")
        assert (
            browser.evaluate("document.querySelectorAll('img, b:not(#log-count, #limit)').length")
            == 0
        )
        assert browser.problems() == []


@pytest.mark.parametrize("size", [(390, 844), (844, 390), (1920, 1080)])
def test_it_fits_phones_and_large_screens(browser, page, size):
    browser.resize(*size)
    browser.open(page, "t=2&autoplay=0&follow=0")
    width, height = browser.evaluate(
        "[document.documentElement.scrollWidth, document.documentElement.scrollHeight]"
    )
    stage = browser.evaluate(
        "(() => { const b = camera.canvas.getBoundingClientRect(); return [b.width, b.height]; })()"
    )
    canvas = browser.evaluate("[camera.canvas.width, camera.canvas.height]")
    browser.resize(1280, 800)
    assert (width, height) == size
    assert min(stage) >= 200
    assert canvas == pytest.approx(stage, abs=1)  # neither blurred nor stretched


def test_an_empty_world_of_one_moment_is_shown(browser, drive, tmp_path):
    nothing = {
        name: getattr(drive, name)[:1, :1]
        for name in drive.__dataclass_fields__
        if isinstance(getattr(drive, name), np.ndarray) and name != "light_state"
    }
    nothing |= {"events": np.zeros((1, 1)), "alive": np.zeros((1, 1)),
                "reward_terms": np.zeros((1, 1, 0)), "persona": np.zeros((1, 1, 0)),
                "waypoints_map": np.zeros((1, 1, 0, 2)), "light_state": np.zeros((1, 0)),
                "road_map": RoadMap("Nowhere", ())}  # fmt: skip
    names = dict.fromkeys(("event_names", "reward_names", "persona_names"), ())
    write_replay([replace(drive, **nothing, **names)], tmp_path / "replay.html")
    browser.open(tmp_path / "replay.html", "follow=0")
    said = browser.said()
    assert (said["status"], said["users"], said["time"]) == ("ready", "0", "0.000")
    assert browser.problems() == []


def test_damaged_data_is_told_in_words(browser, page, tmp_path):
    text = page.read_text(encoding="utf-8").replace('"data":"H4sI', '"data":"AAAA', 1)
    (tmp_path / "bad.html").write_text(text, encoding="utf-8")
    browser.open(tmp_path / "bad.html")
    assert browser.said()["status"] == "error"
    assert "cannot be shown" in browser.evaluate("document.getElementById('failure').textContent")
