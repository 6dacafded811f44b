"""What the world looks like today: colours, sun, fog, exposure, noise, and how cameras sit.

Everything is drawn by counters: a world's look from its seed, a camera's seat from (world seed,
road user, camera), the noise of a pixel also from the world's clock. So a picture does not
depend on which other pictures are made with it. A world keeps its look until it is reset.
"""

# pyright: reportGeneralTypeIssues=false, reportInvalidTypeForm=false, reportCallIssue=false
# pyright: reportOperatorIssue=false, reportReturnType=false, reportArgumentType=false
# pyright: reportAttributeAccessIssue=false, reportIndexIssue=false

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import warp as wp

from gigalane.core.rng import between, mix, normal, stream, unit
from gigalane.core.settings import SettingsError
from gigalane.render.classes import FIRST_LIT
from gigalane.render.finish import FOG, FOG_DENSITY, NOISE
from gigalane.render.rasterize import AMBIENT, PALETTE, SUN

Range = tuple[float, float]

LOOK = wp.constant(301)
"""Random stream: the look of a world."""
SEAT = wp.constant(302)
"""Random stream: how a camera sits on its car."""
GRAIN = wp.constant(303)
"""Random stream: noise of an image."""

_LIT_FROM = wp.constant(int(FIRST_LIT))


@dataclass(frozen=True)
class Appearance:
    """What may differ from world to world; the defaults are one fixed clear day.

    Attributes:
        seed: other looks for the same worlds.
        palette: how far colours may leave their own, share of full brightness.
        brightness: of each material, as a factor drawn between these.
        sun_azimuth: direction of the light, counter-clockwise from +x [rad].
        sun_elevation: above the horizon [rad].
        ambient: share of light that comes from everywhere.
        fog: density [1/m]; 0.02 leaves an eighth of the contrast at 100 m.
        exposure: factor on all colours.
        noise: half the range of the noise of a pixel, share of full brightness.
        camera_shift: standard deviation of each camera's place along each axis [m].
        camera_turn: standard deviation of each camera's turn around each axis [rad].
    """

    seed: int = 0
    palette: float = 0.0
    brightness: Range = (1.0, 1.0)
    sun_azimuth: Range = (0.9, 0.9)
    sun_elevation: Range = (0.8, 0.8)
    ambient: Range = (0.62, 0.62)
    fog: Range = (0.0, 0.0)
    exposure: Range = (1.0, 1.0)
    noise: Range = (0.0, 0.0)
    camera_shift: float = 0.0
    camera_turn: float = 0.0

    def __post_init__(self) -> None:
        """Refuses ranges that make no picture.

        Raises:
            SettingsError: which one.
        """
        for name in ("brightness", "sun_azimuth", "sun_elevation", "ambient", "fog", "exposure",
                     "noise"):  # fmt: skip
            limits = getattr(self, name)
            if len(limits) != 2 or not all(map(math.isfinite, limits)) or limits[0] > limits[1]:
                raise SettingsError(f"appearance.{name}: {limits}; give the lower limit first")
            if limits[0] < 0.0 and name not in ("sun_azimuth", "sun_elevation"):
                raise SettingsError(f"appearance.{name}: {limits}; it cannot be negative")
        for name in ("palette", "camera_shift", "camera_turn"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0.0):
                raise SettingsError(f"appearance.{name}: {value}; give 0 or more")
        if self.ambient[1] > 1.0:
            raise SettingsError(f"appearance.ambient: {self.ambient}; it is a share, at most 1")


VARIED = Appearance(
    palette=0.07,
    brightness=(0.75, 1.2),
    sun_azimuth=(-math.pi, math.pi),
    sun_elevation=(0.25, 1.3),
    ambient=(0.45, 0.8),
    fog=(0.0, 0.012),
    exposure=(0.75, 1.2),
    noise=(0.0, 0.05),
    camera_shift=0.03,
    camera_turn=0.008,
)
"""Looks to train on; ranges chosen so that every class stays recognisable by eye."""

DUSK = Appearance(
    palette=0.14,
    brightness=(0.5, 0.72),
    sun_azimuth=(-math.pi, math.pi),
    sun_elevation=(0.05, 0.2),
    ambient=(0.3, 0.42),
    fog=(0.014, 0.024),
    exposure=(0.6, 0.72),
    noise=(0.05, 0.08),
    camera_shift=0.05,
    camera_turn=0.012,
)
"""Looks to be tested on: darker, foggier and noisier than any that `VARIED` draws."""


@dataclass(frozen=True)
class Textured(Appearance):
    """A world with textures, cast shadows, clouds and a camera's faults, on the same geometry.

    It stands in for real images (see `gigalane.render.textured`); it is no model of any camera.

    Attributes:
        clouds: share of the sky that they take, about.
        warmth: of the sensor: red over green, and green over blue.
        vignette: share of the light that the corners miss.
        blur: share of a pixel's light that its neighbours get.
        grain: spread of the noise at full light, share of full brightness.
        contrast: of the curve, 0 is straight, 1 an S.
    """

    clouds: Range = (0.5, 0.5)
    warmth: Range = (0.02, 0.02)
    vignette: Range = (0.3, 0.3)
    blur: Range = (0.3, 0.3)
    grain: Range = (0.02, 0.02)
    contrast: Range = (0.5, 0.5)

    def __post_init__(self) -> None:
        """Refuses ranges that make no picture.

        Raises:
            SettingsError: which one.
        """
        super().__post_init__()
        for name in ("clouds", "warmth", "vignette", "blur", "grain", "contrast"):
            limits = getattr(self, name)
            least = -1.0 if name == "warmth" else 0.0
            if len(limits) != 2 or not least <= limits[0] <= limits[1] <= 1.0:
                raise SettingsError(
                    f"appearance.{name}: {limits}; give two numbers from {least:g} to 1, the "
                    "lower first"
                )


TEXTURED = Textured(
    palette=0.03,
    brightness=(0.8, 1.15),
    sun_azimuth=(-math.pi, math.pi),
    sun_elevation=(0.3, 1.1),
    ambient=(0.42, 0.6),
    fog=(0.001, 0.006),
    exposure=(1.1, 1.45),
    clouds=(0.1, 0.9),
    warmth=(-0.04, 0.07),
    vignette=(0.2, 0.45),
    blur=(0.15, 0.45),
    grain=(0.01, 0.03),
    contrast=(0.1, 0.6),
)
"""Looks that play the real camera: textured and lit, chosen by eye; cameras sit as in `plain`."""

LOOKS = {"plain": Appearance(), "varied": VARIED, "dusk": DUSK, "textured": TEXTURED}
"""Appearances by the name that people give them."""

UNSEEN_LOOKS = 1_000_000
"""Seed of the looks that drivers are measured in; lessons draw looks from 0 on."""


def look_named(name: str, seed: int = 0) -> Appearance:
    """An appearance by its name.

    Args:
        name: one of `LOOKS`.
        seed: other looks of that kind.

    Raises:
        SettingsError: there is none of that name.
    """
    if name not in LOOKS:
        raise SettingsError(f"appearance: {name!r}; choose one of {', '.join(LOOKS)}")
    return replace(LOOKS[name], seed=seed)


@wp.struct
class Looks:
    """An `Appearance` as kernels read it."""

    seed: wp.uint32
    palette: float
    brightness: wp.vec2
    sun_azimuth: wp.vec2
    sun_elevation: wp.vec2
    ambient: wp.vec2
    fog: wp.vec2
    exposure: wp.vec2
    noise: wp.vec2
    camera_shift: float
    camera_turn: float
    is_textured: int
    clouds: wp.vec2
    warmth: wp.vec2
    vignette: wp.vec2
    blur: wp.vec2
    grain: wp.vec2
    contrast: wp.vec2


def looks_of(appearance: Appearance) -> Any:  # noqa: ANN401
    """An appearance as kernels read it."""
    looks = Looks()
    for name in Looks.vars.keys() - {"is_textured"}:
        value = getattr(appearance, name, (0.0, 0.0))  # a world without textures has no clouds
        setattr(looks, name, wp.vec2(*value) if isinstance(value, tuple) else value)
    looks.is_textured = int(isinstance(appearance, Textured))
    looks.seed = wp.uint32(appearance.seed & 0xFFFFFFFF)
    return looks


@wp.func
def look_seed(looks: Looks, world_seed: wp.uint32) -> wp.uint32:
    """What a world's look is drawn from."""
    return mix(world_seed ^ mix(looks.seed))


@wp.func
def dress(
    looks: Looks,
    world_seed: wp.uint32,
    colors: wp.array(dtype=wp.vec3),
    view: wp.array(dtype=float),
) -> wp.vec3:
    """Writes a world's light, fog and colours into a view.

    Args:
        looks: the appearance.
        world_seed: of the world.
        colors: (materials) colours by default.
        view: where to.

    Returns:
        Colour of the sky at the zenith.
    """
    draw = stream(look_seed(looks, world_seed), 0, 0, LOOK)
    azimuth = between(draw, 0, looks.sun_azimuth)
    elevation = between(draw, 1, looks.sun_elevation)
    view[SUN] = wp.cos(elevation) * wp.cos(azimuth)
    view[SUN + 1] = wp.cos(elevation) * wp.sin(azimuth)
    view[SUN + 2] = wp.sin(elevation)
    view[AMBIENT] = between(draw, 2, looks.ambient)
    exposure = between(draw, 3, looks.exposure)
    view[FOG_DENSITY] = between(draw, 4, looks.fog)
    view[NOISE] = between(draw, 5, looks.noise)
    for material in range(colors.shape[0]):
        color = colors[material]
        if material < _LIT_FROM:
            bright = between(draw, 16 + 4 * material, looks.brightness)
            for k in range(3):
                color[k] = bright * color[k] + looks.palette * (
                    2.0 * unit(draw, 17 + 4 * material + k) - 1.0
                )
        for k in range(3):
            view[PALETTE + 3 * material + k] = wp.clamp(exposure * color[k], 0.0, 1.0)
    # Haze is the sky's colour made paler.
    sky = wp.vec3(view[PALETTE + 3], view[PALETTE + 4], view[PALETTE + 5])
    for k in range(3):
        view[FOG + k] = 0.45 * sky[k] + 0.55 * wp.min(exposure * 0.86, 1.0)
    return sky


@wp.func
def seat(looks: Looks, world_seed: wp.uint32, agent: int, camera: int, first: int) -> wp.vec3:
    """Three standard normal numbers of a camera's seat; `first` 0 for its shift, 3 for its turn."""
    draw = stream(look_seed(looks, world_seed), 64 * agent + camera, 0, SEAT)
    return wp.vec3(normal(draw, first), normal(draw, first + 1), normal(draw, first + 2))
