"""Draws the pictures of a film of a recording, from above."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from gigalane.sim.recording import Recording
from gigalane.viewer.figures import BRAKING, figure_seen, rounded_box
from gigalane.viewer.film_camera import FilmCamera
from gigalane.viewer.map_levels import Decks
from gigalane.viewer.map_shapes import map_shapes
from gigalane.viewer.moment import moment_at, step_at
from gigalane.viewer.palette import DARK, Palette
from gigalane.viewer.raster import Window, paint_shapes, stroke_outline
from gigalane.viewer.shape import MapShape, Points, placed

FOLLOW_SCALE = 11.0
"""Pixels a metre when a road user is followed, in a picture 720 pixels high."""
TILE = 512
"""Side of the squares in which the map is painted, when first seen, in pixels."""
MAX_TILES = 96
"""Most squares kept: 75 MB."""
OVERSAMPLE = 3
FLASH_SECONDS = 2.0
"""How long the place of an event is marked."""


@dataclass(frozen=True)
class _User:
    """A road user at one moment; see `Recording` for units."""

    agent: int
    position: NDArray[np.float64]
    heading: float
    speed: float
    length: float
    width: float
    kind_name: str
    driver: int
    is_braking: bool
    level: int


def film_frames(
    recording: Recording,
    follow: int | None,
    size: tuple[int, int],
    fps: int,
    palette: Palette = DARK,
    camera: FilmCamera | None = None,
    seconds: float | None = None,
) -> Iterator[Image.Image]:
    """The pictures, RGB, one after another.

    Args:
        recording: what to film.
        follow: slot of the road user to keep in the middle, or None for the whole map.
        size: width and height in pixels.
        fps: pictures a second.
        palette: colours.
        camera: what a road user sees, shown beside the map; made for pictures of this size.
        seconds: how much of the recording; all by default.
    """
    whole, size = size, camera.map_size if camera else size
    decks = Decks(recording.road_map.lanes)
    shapes = map_shapes(recording.road_map, decks)
    window = _whole_map(recording, size)
    if follow is not None:
        window = replace(window, scale=FOLLOW_SCALE * whole[1] / 720)
    ground = _Tiles([s for s in shapes if s.level == 0], window.scale, palette)
    full = _Tiles(shapes, window.scale, palette) if decks else None
    veil = _Tiles([s for s in shapes if s.level and s.is_area], window.scale, _white(palette))
    lines = [s for s in shapes if s.index >= 0 and s.role == "stop_line"]
    duration = min(recording.duration, recording.duration if seconds is None else seconds)
    frames = round(duration * fps) + 1
    for frame in range(frames):
        time = min(frame / fps, duration)
        users = _users(recording, time, decks)
        middle = next((u.position for u in users if u.agent == follow), None)
        if middle is not None:
            window = _around(middle, window)
        picture = ground.picture(window)
        _draw_lights(picture, window, recording, time, [s for s in lines if not s.level], palette)
        _draw_views(picture, window, [u for u in users if not u.level], camera, palette)
        _draw_users(picture, window, [u for u in users if not u.level], follow, palette)
        if full is not None:
            picture.paste(full.picture(window), mask=veil.picture(window).convert("L"))
            _draw_lights(picture, window, recording, time, [s for s in lines if s.level], palette)
            _draw_views(picture, window, [u for u in users if u.level], camera, palette)
            _draw_users(picture, window, [u for u in users if u.level], follow, palette)
        _draw_flashes(picture, window, recording, time, palette)
        if camera is None:
            _draw_caption(picture, recording, time, users, follow, palette)
        else:
            picture = camera.page(picture, time, palette)
            box = camera.caption_box
            _draw_caption(picture, recording, time, users, camera.agent, palette, box)
        yield picture


class _Tiles:
    """The map at one scale, painted square by square as the camera sees it."""

    def __init__(self, shapes: Sequence[MapShape], scale: float, palette: Palette) -> None:
        self.shapes, self.scale, self.palette = list(shapes), scale, palette
        self.boxes = [
            (np.min([r.min(axis=0) for r in s.rings], axis=0) - 1.0,
             np.max([r.max(axis=0) for r in s.rings], axis=0) + 1.0)
            for s in self.shapes
        ]  # fmt: skip
        self.tiles: dict[tuple[int, int], Image.Image] = {}

    def picture(self, window: Window) -> Image.Image:
        """What a window shows; its corner lies on a whole pixel of the map."""
        left, top = round(window.left * self.scale), round(-window.top * self.scale)
        picture = Image.new("RGB", (window.width, window.height))
        for column in range(left // TILE, (left + window.width - 1) // TILE + 1):
            for row in range(top // TILE, (top + window.height - 1) // TILE + 1):
                picture.paste(self._tile(column, row), (column * TILE - left, row * TILE - top))
        return picture

    def _tile(self, column: int, row: int) -> Image.Image:
        key = column, row
        if key not in self.tiles:
            if len(self.tiles) >= MAX_TILES:
                self.tiles.pop(next(iter(self.tiles)))
            square = Window(column * TILE / self.scale, -row * TILE / self.scale, self.scale,
                            TILE, TILE)  # fmt: skip
            near = [s for s, box in zip(self.shapes, self.boxes, strict=True) if square.sees(*box)]
            self.tiles[key] = paint_shapes(near, square, self.palette, OVERSAMPLE)
        return self.tiles[key]


def _white(palette: Palette) -> Palette:
    """Everything white on black: where something is painted at all."""
    return replace(
        palette, map_colors=dict.fromkeys(palette.map_colors, "#ffffff") | {"land": "#000000"}
    )


def _whole_map(recording: Recording, size: tuple[int, int]) -> Window:
    low, high = recording.road_map.extent[:, :2]
    scale = 0.94 * min(np.array(size) / np.maximum(high - low, 1.0))
    window = Window(0.0, 0.0, float(scale), *size)
    return _around((low + high) / 2, window)


def _around(middle: NDArray[np.float64], window: Window) -> Window:
    """The window with something in its middle, moved by whole pixels so that tiles fit."""
    left = round(middle[0] * window.scale - window.width / 2) / window.scale
    top = round(middle[1] * window.scale + window.height / 2) / window.scale
    return replace(window, left=left, top=top)


def _users(recording: Recording, time: float, decks: Decks) -> list[_User]:
    """Everyone on the road at a moment, between steps interpolated."""
    moment = moment_at(recording, time)
    step, position, heading = moment.step, moment.position, moment.heading
    levels = decks.levels(recording.position_map[step].astype(np.float64))
    return [
        _User(
            agent=int(agent),
            position=position[agent, :2],
            heading=float(heading[agent]),
            speed=float(recording.speed[step, agent]),
            length=float(recording.size[step, agent, 0]),
            width=float(recording.size[step, agent, 1]),
            kind_name=recording.kind_names[recording.kind[step, agent]],
            driver=int(recording.driver[step, agent]),
            is_braking=bool(recording.acceleration[step, agent, 0] < BRAKING),
            level=int(levels[agent]),
        )
        for agent in np.flatnonzero(moment.shown)
    ]


def _patch(picture: Image.Image, window: Window, polygons: list[tuple[Points, str]]) -> None:
    """Fills small polygons (map metres) smooth-edged: enlarges what lies there and shrinks it."""
    pixels = [window.to_pixels(points) for points, _ in polygons]
    everything = np.concatenate(pixels)
    low = np.maximum(np.floor(everything.min(axis=0)).astype(int) - 1, 0)
    high = np.minimum(np.ceil(everything.max(axis=0)).astype(int) + 2, picture.size)
    if (high <= low).any():
        return
    box = (int(low[0]), int(low[1]), int(high[0]), int(high[1]))
    width, height = (box[2] - box[0]) * OVERSAMPLE, (box[3] - box[1]) * OVERSAMPLE
    patch = picture.crop(box).resize((width, height), Image.Resampling.NEAREST)
    pen = ImageDraw.Draw(patch)
    for points, (_, color) in zip(pixels, polygons, strict=True):
        pen.polygon([tuple(p) for p in ((points - low) * OVERSAMPLE).tolist()], fill=color)
    picture.paste(patch.reduce(OVERSAMPLE), box[:2])


def _draw_users(
    picture: Image.Image, window: Window, users: list[_User], follow: int | None, palette: Palette
) -> None:
    for user in users:
        if not window.sees(user.position - 10.0, user.position + 10.0):
            continue
        if user.agent == follow:
            _draw_halo(picture, window, user, palette)
        body = palette.driver_colors[user.driver % len(palette.driver_colors)]
        parts = figure_seen(user.kind_name, (user.length, user.width), window.scale, palette,
                            body, user.is_braking)  # fmt: skip
        _patch(picture, window, [(placed(points, user.position, user.heading), color)
                                 for color, points in parts])  # fmt: skip


def _draw_views(
    picture: Image.Image,
    window: Window,
    users: list[_User],
    camera: FilmCamera | None,
    palette: Palette,
) -> None:
    """Shades what the film's cameras look at, if one of these road users carries them."""
    eye = next((u for u in users if camera and u.agent == camera.agent), None)
    if camera and eye:
        camera.draw_views(picture, window, eye.position, eye.heading, palette)


def _draw_halo(picture: Image.Image, window: Window, user: _User, palette: Palette) -> None:
    gap = max(0.6, 5 / window.scale)
    length, width = user.length + 2 * gap, user.width + 2 * gap
    ring = rounded_box(0, 0, 1, 1, 0.25, length / width) * [length, width]
    ring = placed(np.concatenate([ring, ring[:1]]), user.position, user.heading)
    _patch(picture, window, _outline(ring, 2 / window.scale, palette.highlight))


def _outline(ring: Points, width: float, color: str) -> list[tuple[Points, str]]:
    """A closed line, as the polygons of its sides; a little longer, so that corners close."""
    step = np.diff(ring, axis=0)
    step *= width / 4 / np.maximum(np.linalg.norm(step, axis=1, keepdims=True), 1e-9)
    sides = np.stack([ring[:-1] - step, ring[1:] + step], axis=1)
    return [(stroke_outline(side, width), color) for side in sides]


def _draw_lights(
    picture: Image.Image,
    window: Window,
    recording: Recording,
    time: float,
    lines: list[MapShape],
    palette: Palette,
) -> None:
    step = step_at(recording, time)
    for line in lines:
        state = int(recording.light_state[step, line.index])
        ring = line.rings[0]
        if state and window.sees(ring.min(axis=0) - 1.0, ring.max(axis=0) + 1.0):
            width = max(line.width, 2.5 / window.scale)
            outline = stroke_outline(ring, width)
            _patch(picture, window, [(outline, palette.light_colors[state])])


def _draw_flashes(
    picture: Image.Image, window: Window, recording: Recording, time: float, palette: Palette
) -> None:
    """A ring that opens where an event began a moment ago."""
    step = step_at(recording, time)
    first = max(0, int(np.ceil((time - FLASH_SECONDS) / recording.dt)))
    before = np.zeros_like(recording.events[0])
    if first:
        before = recording.events[first - 1]
    masks = np.concatenate([before[None], recording.events[first : step + 1]])
    begun = masks[1:] & ~masks[:-1]
    for row, agent in np.argwhere(begun):
        age = max(0.0, time - (first + row) * recording.dt) / FLASH_SECONDS
        position = recording.position_map[first + row, agent, :2].astype(np.float64)
        if not np.isfinite(position).all():
            continue
        bit = int(begun[row, agent]).bit_length() - 1
        events = palette.event_colors
        color = events.get(recording.event_names[bit], events[""])
        radius = max(2.5, 11 / window.scale) * (0.6 + 1.1 * age**0.5)
        turn = np.linspace(0, 2 * np.pi, 40)
        circle = position + radius * np.stack([np.cos(turn), np.sin(turn)], axis=1)
        _patch(picture, window, _outline(circle, (3.5 - 2.5 * age) / window.scale, color))


def _draw_caption(
    picture: Image.Image,
    recording: Recording,
    time: float,
    users: list[_User],
    follow: int | None,
    palette: Palette,
    box: tuple[int, int, int, int] | None = None,
) -> None:
    """Writes time, title, speed and name along the lower edge of a box, by default of it all."""
    pen = ImageDraw.Draw(picture)
    unit = picture.height / 720
    large, small = ImageFont.load_default(22 * unit), ImageFont.load_default(15 * unit)
    left, _, edge, bottom = box or (0, 0, *picture.size)
    x, y = left + 24 * unit, bottom - 58 * unit
    rim = {"stroke_width": round(2 * unit), "stroke_fill": palette.map_colors["land"]}
    minutes, seconds = divmod(time, 60)
    pen.text((x, y), f"{int(minutes)}:{seconds:04.1f}", font=large, fill=palette.ink, **rim)
    pen.text((x, y + 28 * unit), recording.title, font=small, fill=palette.muted, **rim)
    user = next((u for u in users if u.agent == follow), None)
    if user is not None:
        right = edge - 24 * unit
        text = f"{abs(user.speed) * 3.6:.0f} km/h"
        pen.text((right, y), text, font=large, fill=palette.ink, anchor="ra", **rim)
        text = f"#{user.agent} {user.kind_name}, {recording.driver_names[user.driver]}"
        pen.text((right, y + 28 * unit), text, font=small, fill=palette.muted, anchor="ra", **rim)
