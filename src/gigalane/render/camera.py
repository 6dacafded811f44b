"""Cameras and rigs: what they see how, and where they sit; read from and written to JSON files.

Frames. The ego frame of a road user: origin at the middle of its box on the ground, x forward,
y left, z up [m]. The camera frame: origin in the lens, x right, y down, z forward along the
axis. Pixel (column, row) covers [column, column + 1) x [row, row + 1); u runs right, v down.

Pinhole: u = fx X / Z + cx, v = fy Y / Z + cy. Fisheye (J. Kannala and S. Brandt, PAMI 2006, in
the form that OpenCV has): at an angle t from the axis a point lies fx, fy times
t (1 + k1 t² + k2 t⁴ + k3 t⁶ + k4 t⁸) from (cx, cy); without k it is equidistant. Panorama: u and
v grow by fx and fy times the azimuth to the right and the elevation downwards (see
`gigalane.render.range_scan`).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gigalane.core.files import replacing
from gigalane.core.settings import SettingsError, rebuild

MODELS = ("pinhole", "fisheye", "panorama")
PRESETS = ("front", "four", "six", "surround", "surround-small")
"""Rigs that ship: one wide front camera; four as DrivoR has; six as nuScenes has; one strip all
around of 192 x 56 pixels, each 1.9 degrees wide and 1 high, from 22 above to 34 below the horizon
(how far the car ahead is shows in rows; lights hang high); the same strip in 96 x 28 pixels, for
a quarter of the time."""
MOST_PIXELS = 4_000_000
"""Of one camera; a larger number is a typing error."""

_FOLDER = Path(__file__).parent / "rigs"
_FORMAT = "gigalane rig 1"


@dataclass(frozen=True)
class Camera:
    """One camera.

    Attributes:
        name: unique in its rig.
        width: of the image [pixels].
        height: of the image [pixels].
        fx: focal length [pixels].
        fy: focal length [pixels].
        cx: where the axis meets the image [pixels].
        cy: where the axis meets the image [pixels].
        position_ego: of the lens [m].
        rotation_ego: quaternion w, x, y, z that turns camera axes into ego axes.
        model: one of `MODELS`.
        distortion: k1 to k4 of a fisheye.
        near: nearest depth that is drawn [m].
        far: depth of what is farther, and of the sky [m].
    """

    name: str
    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    position_ego: tuple[float, float, float]
    rotation_ego: tuple[float, float, float, float]
    model: str = "pinhole"
    distortion: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    near: float = 0.2
    far: float = 200.0

    def __post_init__(self) -> None:
        """Refuses cameras that cannot make a picture.

        Raises:
            SettingsError: which number, and what would do.
        """
        if not isinstance(self.name, str) or not self.name:
            raise SettingsError(f"camera name: {self.name!r}; give it a name")
        place = f"camera {self.name!r}"
        if self.model not in MODELS:
            raise SettingsError(f"{place}, model: {self.model!r}; use one of {', '.join(MODELS)}")
        for name in ("width", "height"):
            size = getattr(self, name)
            if type(size) is not int or size < 1:
                raise SettingsError(f"{place}, {name}: {size!r}; give a number of pixels")
        if self.width * self.height > MOST_PIXELS:
            raise SettingsError(f"{place}: {self.width} x {self.height} is too large; "
                                f"at most {MOST_PIXELS} pixels")  # fmt: skip
        for name, count in (("position_ego", 3), ("rotation_ego", 4), ("distortion", 4)):
            _check_numbers(place, name, getattr(self, name), count)
        numbers = [self.fx, self.fy, self.cx, self.cy, self.near, self.far]
        _check_numbers(place, "fx, fy, cx, cy, near, far", numbers, 6)
        if self.fx <= 0.0 or self.fy <= 0.0:
            raise SettingsError(f"{place}: focal length {self.fx}, {self.fy}; give more than 0")
        if not 0.01 <= self.near < self.far:
            raise SettingsError(f"{place}: near {self.near} and far {self.far}; "
                                "0.01 <= near < far is needed")  # fmt: skip
        length = math.hypot(*self.rotation_ego)
        if abs(length - 1.0) > 1e-3:
            raise SettingsError(f"{place}, rotation_ego: length {length:.4g}; a rotation has 1")

    @property
    def matrix(self) -> NDArray[np.float64]:
        """Intrinsics, (3, 3) [pixels]."""
        return np.array([[self.fx, 0.0, self.cx], [0.0, self.fy, self.cy], [0.0, 0.0, 1.0]])

    @property
    def ego_from_camera(self) -> NDArray[np.float64]:
        """Rotation, (3, 3): its columns are the camera's axes in the ego frame."""
        w, x, y, z = np.array(self.rotation_ego) / math.hypot(*self.rotation_ego)
        return np.array(
            [
                [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
                [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
                [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
            ]
        )

    def resized(self, width: int, height: int) -> Camera:
        """The same camera with another number of pixels."""
        across, down = width / self.width, height / self.height
        return replace(self, width=width, height=height, fx=self.fx * across, cx=self.cx * across,
                       fy=self.fy * down, cy=self.cy * down)  # fmt: skip


def looking(yaw: float, pitch: float = 0.0) -> tuple[float, float, float, float]:
    """Quaternion of a camera whose axis points somewhere, its rows level.

    Args:
        yaw: to the left of straight ahead [rad].
        pitch: downwards [rad].

    Returns:
        w, x, y, z for `Camera.rotation_ego`.
    """
    # Straight ahead: camera x is ego -y, camera y is ego -z, camera z is ego x.
    ahead = (0.5, -0.5, 0.5, -0.5)
    turn = (math.cos(yaw / 2), 0.0, 0.0, math.sin(yaw / 2))
    nod = (math.cos(pitch / 2), 0.0, math.sin(pitch / 2), 0.0)
    w, x, y, z = _product(_product(turn, nod), ahead)
    return w, x, y, z


def _product(a: Sequence[float], b: Sequence[float]) -> tuple[float, float, float, float]:
    """Hamilton product of quaternions w, x, y, z."""
    return (
        a[0] * b[0] - a[1] * b[1] - a[2] * b[2] - a[3] * b[3],
        a[0] * b[1] + a[1] * b[0] + a[2] * b[3] - a[3] * b[2],
        a[0] * b[2] - a[1] * b[3] + a[2] * b[0] + a[3] * b[1],
        a[0] * b[3] + a[1] * b[2] - a[2] * b[1] + a[3] * b[0],
    )


@dataclass(frozen=True)
class Rig:
    """The cameras of a car; all images have one size.

    Attributes:
        name: for reports.
        cameras: in the order of the images.
    """

    name: str
    cameras: tuple[Camera, ...]

    def __post_init__(self) -> None:
        """Refuses rigs that cannot be rendered.

        Raises:
            SettingsError: no camera, two of one name, or images of different sizes.
        """
        if not self.cameras:
            raise SettingsError(f"rig {self.name!r}: it has no camera; add at least one")
        names = [camera.name for camera in self.cameras]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise SettingsError(f"rig {self.name!r}: two cameras are called {twice[0]!r}")
        for camera in self.cameras[1:]:
            if (camera.width, camera.height) != self.size:
                raise SettingsError(
                    f"rig {self.name!r}: camera {camera.name!r} has {camera.width} x "
                    f"{camera.height} pixels, {names[0]!r} has {self.size[0]} x {self.size[1]}; "
                    "give all cameras of a rig one size"
                )

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of every image [pixels]."""
        return self.cameras[0].width, self.cameras[0].height

    def resized(self, width: int, height: int) -> Rig:
        """The same rig with another number of pixels."""
        return replace(self, cameras=tuple(c.resized(width, height) for c in self.cameras))

    def save(self, path: str | Path) -> None:
        """Writes it as JSON."""
        words = {"format": _FORMAT, "name": self.name, "cameras": [asdict(c) for c in self.cameras]}
        with replacing(path) as place:
            place.write_text(json.dumps(words, indent=2) + "\n", encoding="utf-8")


def load_rig(source: str | Path) -> Rig:
    """Reads a rig.

    Args:
        source: a file, or one of `PRESETS`.

    Raises:
        SettingsError: the file is missing or cannot be used.
    """
    path = _FOLDER / f"{source}.json" if str(source) in PRESETS else Path(source)
    try:
        words: Any = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(
            f"{source}: {error.strerror or 'cannot be read'}; give a rig file or one of "
            f"{', '.join(PRESETS)}"
        ) from None
    except ValueError as error:
        raise SettingsError(f"{source}: not a JSON file ({error})".replace("\n", " ")) from None
    if not isinstance(words, dict) or words.get("format") != _FORMAT:
        raise SettingsError(f'{source}: not a rig; it begins with "format": "{_FORMAT}"')
    try:
        return rebuild_rig({"name": path.stem, **words}, str(source))
    except SettingsError as error:
        told = str(error)
        raise SettingsError(told if told.startswith(str(source)) else f"{source}: {told}") from None


def rebuild_rig(words: Mapping[str, Any], place: str) -> Rig:
    """A rig from what `dataclasses.asdict` made of it.

    Args:
        words: "name" and "cameras".
        place: where they were found, for errors.

    Raises:
        SettingsError: they make no rig.
    """
    given = words.get("cameras") if isinstance(words, Mapping) else None
    if not isinstance(given, list | tuple):
        raise SettingsError(f"{place}: cameras is {given!r} where a list is needed")
    cameras = [rebuild(Camera, one, f"{place}: camera {k}") for k, one in enumerate(given)]
    return Rig(str(words.get("name", "")), tuple(cameras))


def _check_numbers(place: str, name: str, values: object, count: int) -> None:
    is_row = isinstance(values, list | tuple) and len(values) == count
    if not is_row or not all(_is_number(value) for value in values):  # pyright: ignore
        raise SettingsError(f"{place}, {name}: {values!r}; give {count} finite numbers")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
