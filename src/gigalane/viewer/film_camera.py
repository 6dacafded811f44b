"""The half of a film's pictures that shows what a road user sees, beside or below the map."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from gigalane.render.appearance import Appearance
from gigalane.render.camera import Rig
from gigalane.sim.recording import Recording
from gigalane.viewer.moment import step_at
from gigalane.viewer.mosaic import Mosaic, span_of, yaw_of
from gigalane.viewer.palette import Palette, mixed
from gigalane.viewer.raster import Window

SIDE_SHARE = 0.56
"""Of the width, for pictures beside the map …"""
STRIP_SHARE = 0.46
"""… and of the height, at most, for pictures below it."""
SMOOTHING = 2
"""Pictures are drawn this many times too large and averaged, where their size is ours to choose."""
VIEW_METRES = 38.0
"""How far the map shows a camera's view."""
VIEW_OPACITY = 0.30
VIEW_RINGS = 30


class FilmCamera:
    """What the cameras of one road user see, fitted into a film.

    Attributes:
        agent: the slot that is looked from.
        size: width and height of the film's pictures.
        map_size: of the part that is left for the map.
        caption_box: where to write: left, top, right, bottom [pixels].
    """

    def __init__(
        self,
        recording: Recording,
        rig: Rig,
        agent: int,
        size: tuple[int, int] = (1280, 720),
        *,
        appearance: Appearance | None = None,
        keep_size: bool = False,
        threads: int | None = None,
    ) -> None:
        """Divides the picture and compiles what the cameras see.

        Args:
            recording: what is filmed.
            rig: the cameras.
            agent: slot that is looked from.
            size: width and height of the film's pictures.
            appearance: what the world looks like; one fixed clear day by default.
            keep_size: draw with the rig's own number of pixels, as a policy would see it;
                otherwise with as many as the film has room for.
            threads: CPU threads; all cores by default.

        Raises:
            SettingsError: a slot that the recording does not have.
            MapError: the recording's map has no drivable lane.
        """
        from gigalane.viewer.recorded_eyes import RecordedEyes

        self.recording, self.agent, self.size = recording, agent, size
        mosaic = Mosaic.of(rig)
        self.is_strip = mosaic.is_strip
        width, height = size
        room = (width, STRIP_SHARE * height) if self.is_strip else (SIDE_SHARE * width, height)
        tile = mosaic.fitting(*room)
        self._mosaic = Mosaic(mosaic.rows, tile)
        if not keep_size:
            rig = rig.resized(SMOOTHING * tile[0], SMOOTHING * tile[1])
        self._eyes = RecordedEyes(recording, rig, (agent,), appearance=appearance, threads=threads)
        covered = self._mosaic.size
        if self.is_strip:
            self.map_size = width, height - covered[1]
            self.caption_box = 0, 0, *self.map_size
        else:
            self.map_size = width - covered[0], height
            self.caption_box = 0, covered[1], covered[0], height

    def page(self, map_picture: Image.Image, time: float, palette: Palette) -> Image.Image:
        """One picture of the film, but for its caption.

        Args:
            map_picture: the map of `map_size`.
            time: since the first recorded moment [s].
            palette: colours.
        """
        whole = Image.new("RGB", self.size, mixed(palette.map_colors["land"], "#000000", 0.35))
        seen = self._seen(time)
        if self.is_strip:
            whole.paste(map_picture, (0, 0))
            whole.paste(seen, ((self.size[0] - seen.width) // 2, self.map_size[1]))
            return whole
        whole.paste(map_picture, (seen.width, 0))
        whole.paste(seen, (0, 0))
        left, top, right, bottom = self.caption_box
        if bottom - top > 110 * self.size[1] / 720:
            self._draw_speed(whole, (left, top, right, bottom), time, palette)
        return whole

    def _seen(self, time: float) -> Image.Image:
        """The cameras' pictures at a time, with their names."""
        tile = self._mosaic.tile
        pictures = []
        for picture in self._eyes.at(time)[0]:
            image = Image.fromarray(picture)
            is_larger = image.width > tile[0]
            how = Image.Resampling.BOX if is_larger else Image.Resampling.NEAREST
            pictures.append(np.asarray(image.resize(tile, how)))
        whole = Image.fromarray(self._mosaic.joined(np.stack(pictures)))
        if len(pictures) > 1:
            pen, unit = ImageDraw.Draw(whole), self.size[1] / 720
            font = ImageFont.load_default(12 * unit)
            for k, (left, top) in self._mosaic.places().items():
                name = self._eyes.rig.cameras[k].name.replace("_", " ")
                pen.text((left + 9 * unit, top + 6 * unit), name, font=font, fill="#ffffff",
                         stroke_width=round(unit), stroke_fill="#1c2129")  # fmt: skip
        return whole

    def draw_views(
        self,
        picture: Image.Image,
        window: Window,
        position: NDArray[np.float64],
        heading: float,
        palette: Palette,
    ) -> None:
        """Shades what the cameras look at on a map picture.

        Args:
            picture: drawn on.
            window: the part of the map it shows.
            position: of the road user's middle [m], map frame.
            heading: of the road user [rad].
            palette: colours.
        """
        reach = VIEW_METRES * window.scale
        side = 2 * int(reach) + 2
        ahead = np.array([math.cos(heading), math.sin(heading)])
        left = np.array([-ahead[1], ahead[0]])
        for camera in self._eyes.rig.cameras:
            lens = position[:2] + camera.position_ego[0] * ahead + camera.position_ego[1] * left
            x, y = window.to_pixels(lens[None])[0] - side / 2
            yaw = math.degrees(heading + yaw_of(camera))
            half = math.degrees(span_of(camera)) / 2
            mask = Image.new("L", (side, side))
            pen = ImageDraw.Draw(mask)
            for ring in range(VIEW_RINGS):  # fades out with distance
                radius = reach * (1 - ring / VIEW_RINGS)
                box = [side / 2 - radius, side / 2 - radius, side / 2 + radius, side / 2 + radius]
                shade = round(255 * VIEW_OPACITY * ring / VIEW_RINGS)
                pen.pieslice(box, -yaw - half, -yaw + half, fill=shade)
            picture.paste(palette.highlight, (round(x), round(y)), mask)

    def _draw_speed(
        self, whole: Image.Image, box: tuple[int, int, int, int], time: float, palette: Palette
    ) -> None:
        """The road user's speed over the whole recording, and where the film is in it."""
        recording, agent = self.recording, self.agent
        unit = self.size[1] / 720
        left, right = box[0] + 24 * unit, box[2] - 24 * unit
        top, bottom = box[1] + 22 * unit, box[3] - 78 * unit
        speed = np.abs(recording.speed[:, agent])
        alive = recording.alive[:, agent] & np.isfinite(speed)
        most = max(float(speed[alive].max()) if alive.any() else 0.0, 5.0)
        x = np.linspace(left, right, recording.steps)
        y = bottom - (bottom - top) * np.where(alive, speed, 0.0) / most
        pen = ImageDraw.Draw(whole)
        pen.line([(left, bottom), (right, bottom)], fill=palette.muted, width=1)
        now = step_at(recording, time)
        for first, last, color in ((0, recording.steps - 1, mixed(palette.muted, "#000000", 0.55)),
                                   (0, now, palette.highlight)):  # fmt: skip
            for step in range(first, last):
                if alive[step] and alive[step + 1]:
                    ends = [(x[step], y[step]), (x[step + 1], y[step + 1])]
                    pen.line(ends, fill=color, width=max(1, round(2 * unit)))
        radius = 4 * unit
        pen.ellipse([x[now] - radius, y[now] - radius, x[now] + radius, y[now] + radius],
                    fill=palette.highlight)  # fmt: skip
