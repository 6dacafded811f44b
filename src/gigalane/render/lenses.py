"""Cameras as kernels read them: a pinhole is one face, other lenses are gathered from several.

Their faces are the sides of a cube around the lens, 90° wide, as many as the image shows.
Each pixel of the image takes the class of the nearest pixel of the face that its ray goes
through, and the depth where the ray meets the plane seen there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import warp as wp
from numpy.typing import NDArray

from gigalane.core.settings import SettingsError
from gigalane.render.camera import Camera, Rig
from gigalane.render.canvas import CameraRecord, FaceRecord, Reaches, RigArrays
from gigalane.render.classes import BASE_COLORS

Floats = NDArray[np.float64]

_SIDES = np.array(
    [
        [[1, 0, 0], [0, 1, 0], [0, 0, 1]],  # ahead: right, down and forward axes as rows
        [[0, 0, -1], [0, 1, 0], [1, 0, 0]],  # to the right
        [[0, 0, 1], [0, 1, 0], [-1, 0, 0]],  # to the left
        [[1, 0, 0], [0, 0, -1], [0, 1, 0]],  # down
        [[1, 0, 0], [0, 0, 1], [0, -1, 0]],  # up
        [[-1, 0, 0], [0, 1, 0], [0, 0, -1]],  # behind
    ],
    float,
)


@dataclass(frozen=True)
class Reach:
    """How far things are drawn [m].

    Attributes:
        surface: pavements, medians, shoulders.
        road: lanes.
        paint: marks, crossings, stop lines.
        small: kerbs, barriers, poles, signs.
        upright: houses and trees.
        light: faces of traffic lights.
        road_user: cars, trucks, cyclists, walkers.
    """

    surface: float
    road: float
    paint: float
    small: float
    upright: float
    light: float
    road_user: float

    @classmethod
    def of(cls, rig: Rig) -> Reach:
        """As far as the sharpest camera of a rig can tell something apart.

        A thing of `size` covers one pixel at `focal length * size`. The multiples are chosen:
        ground seen from 1.6 m has one row of pixels left at 1.6 focal lengths; beyond the others
        a lane mark is a fifth of a pixel wide, a pole a sixth, a car half a pixel high.
        """
        focal = max(max(camera.fx, camera.fy) for camera in rig.cameras)
        multiples = (1.25, 1.6, 0.75, 1.0, 2.5, 1.5, 2.5)
        return cls(*(min(focal * multiple, 130.0) for multiple in multiples))


def pixel_rays(camera: Camera) -> tuple[Floats, NDArray[np.bool_]]:
    """Directions of a camera's pixels.

    Args:
        camera: any.

    Returns:
        rays: (height, width, 3) camera frame; of unit length, but with z = 1 for a
            pinhole, so that depth times ray is the point seen.
        is_lens: (height, width) whether the lens shows anything there.
    """
    row, column = np.mgrid[: camera.height, : camera.width].astype(np.float64)
    x = (column + 0.5 - camera.cx) / camera.fx
    y = (row + 0.5 - camera.cy) / camera.fy
    if camera.model == "pinhole":
        return np.stack([x, y, np.ones_like(x)], axis=-1), np.ones(x.shape, bool)
    if camera.model == "panorama":
        rays = [np.sin(x) * np.cos(y), np.sin(y), np.cos(x) * np.cos(y)]
        return np.stack(rays, axis=-1), (np.abs(x) <= np.pi) & (np.abs(y) <= 0.5 * np.pi)
    radius = np.hypot(x, y)
    angle, known = _angles(radius, camera)
    share = np.where(radius > 1e-9, np.sin(angle) / np.maximum(radius, 1e-9), 1.0)
    return np.stack([x * share, y * share, np.cos(angle)], axis=-1), known


def _angles(radius: Floats, camera: Camera) -> tuple[Floats, NDArray[np.bool_]]:
    """Angles from the axis [rad] that a fisheye shows at radii; and where it shows any."""
    angle = np.linspace(0.0, np.pi, 4001)
    square = angle**2
    factor = np.ones_like(angle)
    for k, weight in enumerate(camera.distortion):
        factor += weight * square ** (k + 1)
    shown = angle * factor
    # Where the curve turns back the lens has ended.
    falling = np.flatnonzero(np.diff(shown) <= 0.0)
    end = int(falling[0]) + 1 if len(falling) else len(angle)
    if end < 2:
        raise SettingsError(f"camera {camera.name!r}, distortion: {camera.distortion}; "
                            "angles must grow with the radius")  # fmt: skip
    return np.interp(radius, shown[:end], angle[:end]), radius <= shown[end - 1]


def rig_arrays(rig: Rig, reach: Reach, device: str) -> tuple[Any, int]:
    """A rig as kernels read it.

    Args:
        rig: the cameras.
        reach: how far things are drawn.
        device: Warp device name.

    Returns:
        A `RigArrays`, and how many pixels a canvas needs.
    """
    cameras, faces = [], []
    remap_from: list[NDArray[np.int32]] = []
    remap_ray: list[NDArray[np.float32]] = []
    need = 0
    for camera in rig.cameras:
        is_lens = camera.model != "pinhole"
        own = _cube_faces(camera) if is_lens else [_face(camera, _SIDES[0], 0)]
        record = CameraRecord()
        record.position = wp.vec3(*camera.position_ego)
        record.near, record.far = camera.near, camera.far
        record.first_face, record.face_count = len(faces), len(own)
        record.remap_start = sum(map(len, remap_from)) if is_lens else -1
        if is_lens:
            source, ray = _gather(camera, own)
            remap_from.append(source)
            remap_ray.append(ray)
        cameras.append(record)
        faces += own
        need = max(need, own[-1].start + own[-1].width * own[-1].height)
    arrays = RigArrays()
    arrays.cameras = wp.array(cameras, dtype=CameraRecord, device=device)
    arrays.faces = wp.array(faces, dtype=FaceRecord, device=device)
    sources = np.concatenate([np.zeros(0, np.int32), *remap_from])
    rays = np.concatenate([np.zeros((0, 3), np.float32), *remap_ray])
    arrays.remap_from = wp.array(sources, dtype=int, device=device)
    arrays.remap_ray = wp.array(rays, dtype=wp.vec3, device=device)
    arrays.colors = wp.array(BASE_COLORS, dtype=wp.vec3, device=device)
    arrays.reaches = Reaches(
        reach.surface, reach.road, reach.paint, reach.small, reach.upright, reach.light
    )
    arrays.farthest = max(arrays.reaches)
    arrays.body_reach = reach.road_user
    arrays.pixels = rig.size[0] * rig.size[1]
    return arrays, max(need, arrays.pixels)


def _face(camera: Camera, side: Floats, start: int, size: int | None = None) -> Any:  # noqa: ANN401
    """One pinhole view of a camera; with a size a side of its cube."""
    axes = camera.ego_from_camera @ side.T
    face = FaceRecord()
    face.right, face.down, face.forward = (wp.vec3(*axis) for axis in axes.T)
    if size is None:
        face.fx, face.fy, face.cx, face.cy = camera.fx, camera.fy, camera.cx, camera.cy
        face.width, face.height = camera.width, camera.height
    else:
        face.fx = face.fy = face.cx = face.cy = 0.5 * size
        face.width = face.height = size
    face.start = start
    return face


def _side_of(rays: Floats) -> NDArray[np.intp]:
    """Which side of the cube each ray goes through."""
    return np.stack([rays @ side[2] for side in _SIDES], axis=-1).argmax(axis=-1)


def _cube_faces(camera: Camera) -> list[Any]:
    rays, is_lens = pixel_rays(camera)
    sides = np.unique(_side_of(rays)[is_lens])
    # As fine as the image at its middle; the cube is finer towards its edges.
    size = int(np.ceil(2.0 * max(camera.fx, camera.fy)))
    return [
        _face(camera, _SIDES[side], place * size * size, size) for place, side in enumerate(sides)
    ]


def _gather(camera: Camera, faces: list[Any]) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """For each pixel of a lens the canvas pixel it shows, and how its ray passes that."""
    rays, is_lens = pixel_rays(camera)
    rays = rays.reshape(-1, 3)
    side = _side_of(rays)
    present = np.unique(side[is_lens.ravel()])
    place = np.searchsorted(present, side).clip(0, len(faces) - 1)
    axes = _SIDES[side]
    x, y, z = np.einsum("nij,nj->in", axes, rays)
    size = faces[0].width
    u, v = 0.5 * size * (x / z + 1.0), 0.5 * size * (y / z + 1.0)
    column = np.clip(np.floor(u), 0, size - 1).astype(np.int32)
    row = np.clip(np.floor(v), 0, size - 1).astype(np.int32)
    is_inner = (column > 0) & (column < size - 1) & (row > 0) & (row < size - 1)
    off = np.stack([u - column - 0.5, v - row - 0.5]) * is_inner
    source = place * size * size + row * size + column
    source = np.where(is_lens.ravel(), source, -1).astype(np.int32)
    return source, np.stack([*off, z], axis=1).astype(np.float32)
