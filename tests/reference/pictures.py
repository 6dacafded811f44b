"""What cameras see, one ray a pixel through every quadrilateral: slow, nothing like a raster."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gigalane.render.classes import CLASS
from gigalane.render.lenses import pixel_rays

COVER = 0.98
LAYERS_THAT_COVER = 3
PART_PIXELS = 4.0
CLASS_OF_KIND = ("car", "truck", "cyclist", "pedestrian")


@dataclass
class Face:
    """A quadrilateral in the map's local frame."""

    corners: np.ndarray  # (4, 3)
    class_id: int
    instance: int = 0
    keep: float = 1.0


@dataclass
class Picture:
    """Images of one view, (height, width) each."""

    class_id: np.ndarray
    depth: np.ndarray
    instance: np.ndarray


def faces_of_scenery(scenery, light_states=None) -> list[Face]:
    """All quadrilaterals, layer by layer; light k shows `light_states[k]`."""
    layers = 6
    layer_of = np.repeat(np.arange(len(scenery.offsets) - 1) % layers, np.diff(scenery.offsets))
    faces = []
    for layer in range(layers):
        for quad in np.flatnonzero(layer_of == layer):
            corners = scenery.quads[quad].reshape(3, 4).T.astype(float)
            class_id = int(scenery.looks[quad]) & 255
            if scenery.links[quad] >= 0:
                class_id = CLASS["light_off"] + int(light_states[scenery.links[quad]])
            keep = COVER if layer < LAYERS_THAT_COVER else 1.0
            faces.append(Face(corners, class_id, 0, keep))
    return faces


def box_faces(pose, rear, front, half_width, low, high, class_id, instance) -> list[Face]:
    """Walls and top of a box in the frame of a road user; pose x, y, z, cos, sin."""
    x, y, z, cos, sin = pose

    def at(along, aside, above):
        return [x + along * cos - aside * sin, y + along * sin + aside * cos, z + above]

    ring = [(rear, -half_width), (front, -half_width), (front, half_width), (rear, half_width)]
    walls = [
        [at(*ring[k], low), at(*ring[k - 3], low), at(*ring[k - 3], high), at(*ring[k], high)]
        for k in range(4)
    ]
    walls.append([at(*corner, high) for corner in ring])
    return [Face(np.array(wall), class_id, instance) for wall in walls]


def faces_of_road_user(pose, kind, length, width, height, braking, instance, has_parts):
    """A road user as boxes: written down anew from what each is made of."""
    half, half_width = length / 2, width / 2
    own = CLASS[CLASS_OF_KIND[kind]]

    def boxes(*parts):
        return [face for part in parts for face in box_faces(pose, *part, own, instance)]

    def plate(along, right, left, low, high, class_id):
        flat = box_faces(pose, along, along, 1.0, low, high, class_id, instance)[1]
        x, y, z, cos, sin = pose
        flat.corners = np.array(
            [[x + along * cos - a * sin, y + along * sin + a * cos, z + h]
             for a, h in ((right, low), (left, low), (left, high), (right, high))]
        )  # fmt: skip
        return flat

    def lamps(low, high):
        behind = CLASS["lamp_brake" if braking else "lamp_rear"]
        return [
            plate(end * (half + 0.02), side * 0.5 * half_width, side * 0.96 * half_width, low, high,
                  CLASS["lamp_front"] if end > 0 else behind)
            for end in (1, -1)
            for side in (1, -1)
        ]  # fmt: skip

    if not has_parts:
        return boxes((-half, half, half_width, 0.0, height))
    if kind == 0:
        waist = 0.58 * height
        return boxes(
            (-half, half, half_width, 0.15, waist),
            (-0.42 * length, 0.22 * length, 0.86 * half_width, waist, height),
        ) + lamps(0.36 * height, 0.52 * height)
    if kind == 1:
        return [
            *boxes(
                (-half, 0.24 * length, half_width, 0.35, height),
                (0.28 * length, half, 0.94 * half_width, 0.35, 0.78 * height),
            ),
            plate(half + 0.02, -0.8 * half_width, 0.8 * half_width, 0.48 * height, 0.72 * height,
                  own),
            *lamps(0.55, 0.85),
        ]  # fmt: skip
    if kind == 2:
        return boxes(
            (-half, half, 0.12, 0.0, 0.42 * height),
            (-0.22 * length, 0.16 * length, 0.85 * half_width, 0.42 * height, 0.86 * height),
            (-0.04 * length, 0.12 * length, 0.12, 0.86 * height, height),
        )
    return boxes(
        (-0.8 * half, 0.8 * half, half_width, 0.0, 0.84 * height),
        (-0.12, 0.12, 0.12, 0.84 * height, height),
    )


def faces_of_others(scene, world, viewer, eye, fy) -> list[Face]:
    """Every road user but the one that looks."""
    boxes, traits = scene.boxes.numpy()[world], scene.traits.numpy()[world]
    body = scene.body.numpy()[world]
    faces = []
    for agent in range(boxes.shape[1]):
        x, y, z, cos, sin, _, half_length, half_width, kind = boxes[:, agent].astype(float)
        if agent == viewer or kind < 0:
            continue
        height = float(traits["height"][agent])
        away = np.linalg.norm([x - eye[0], y - eye[1], z + 1.0 - eye[2]])
        faces += faces_of_road_user(
            (x, y, z, cos, sin), int(kind), 2 * half_length, 2 * half_width, height,
            body["acceleration"][agent] < -0.7, agent + 1, height * fy > PART_PIXELS * away,
        )  # fmt: skip
    return faces


def eye_of(scene, world, agent, camera):
    """Place of a camera, and what turns its axes into the map's, (3,) and (3, 3)."""
    x, y, z, cos, sin = scene.boxes.numpy()[world, :5, agent].astype(float)
    turn = np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])
    eye = np.array([x, y, z]) + turn @ np.array(camera.position_ego)
    return eye, turn @ camera.ego_from_camera, z


def draw(camera, eye, map_from_camera, ground_z, faces, shift=(0.0, 0.0)) -> Picture:
    """One ray through each pixel, `shift` [pixels] beside its middle.

    Depth is along the axis for a pinhole, whose rays have z = 1, and along the ray otherwise.
    """
    from dataclasses import replace

    moved = replace(camera, cx=camera.cx - shift[0], cy=camera.cy - shift[1])
    rays, is_lens = pixel_rays(moved)
    rays = rays.reshape(-1, 3) @ map_from_camera.T
    inverse = np.zeros(len(rays))
    class_id = np.full(len(rays), CLASS["sky"])
    instance = np.zeros(len(rays), int)
    for face in faces:
        a = face.corners - eye
        normal = np.cross(a[1] - a[0], a[2] - a[0])
        height = normal @ a[0]
        is_behind = (a @ map_from_camera[:, 2]).max() < 0.0 and camera.model == "pinhole"
        if abs(height) < 1e-9 or is_behind:
            continue
        w = rays @ normal / height
        in_front = w > 1e-6
        points = np.where(in_front[:, None], rays / np.where(in_front, w, 1.0)[:, None], 0.0)
        sides = np.stack(
            [np.cross(a[(k + 1) % 4] - a[k], points - a[k]) @ normal for k in range(4)]
        )
        inside = (sides >= 0.0).all(axis=0) | (sides <= 0.0).all(axis=0)
        wins = in_front & inside & (w < 1.0 / camera.near) & (w > face.keep * inverse)
        inverse[wins], class_id[wins], instance[wins] = w[wins], face.class_id, face.instance
    down = -rays[:, 2] / (eye[2] - ground_z)
    ground = (inverse == 0.0) & (down > 1.0 / camera.far)
    inverse[ground], class_id[ground] = down[ground], CLASS["ground"]
    class_id[~is_lens.ravel()] = CLASS["void"]
    inverse[~is_lens.ravel()] = 0.0
    shape = (camera.height, camera.width)
    depth = 1.0 / np.maximum(inverse, 1.0 / camera.far)
    return Picture(class_id.reshape(shape), depth.reshape(shape), instance.reshape(shape))


def draw_with_edges(camera, eye, map_from_camera, ground_z, faces, slack=0.2):
    """The picture, and where rays up to `slack` pixels away meet something else."""
    picture = draw(camera, eye, map_from_camera, ground_z, faces)
    unsure = np.zeros(picture.class_id.shape, bool)
    for shift in ((slack, slack), (slack, -slack), (-slack, slack), (-slack, -slack)):
        other = draw(camera, eye, map_from_camera, ground_z, faces, shift)
        unsure |= (other.class_id != picture.class_id) | (other.instance != picture.instance)
        unsure |= np.abs(other.depth - picture.depth) > 0.3 * picture.depth
    return picture, unsure
