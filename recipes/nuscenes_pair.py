"""A pair of images from an annotated nuScenes key frame: its photograph, and our render of it.

    python recipes/nuscenes_pair.py OUT [--width 400] [--data FOLDER]

Shows how pairs for `gigalane adapt --pairs` are made of annotated photographs. Road users are put
where the annotation has them and looked at through the same camera; the ground is flat. A single
key frame knows of no road, so what is drawn around them is a road of one of our towns, and no
buildings match. The numbers the car is given are those of a car that stands there. Cones and
barriers are left out: the box world has none.

The frame is the one that mmdetection3d ships for its tests; `--data` is its `nuscenes` folder, by
default the one below GIGALANE_DATA. nuScenes may only be used for research.
"""

import argparse
import json
import os
from pathlib import Path

import numpy as np
from PIL import Image

from gigalane.maps.sources import open_maps
from gigalane.render.camera import Camera, Rig
from gigalane.render.renderer import CameraRenderer
from gigalane.sim.scene import CAR, CYCLIST, PEDESTRIAN, TRUCK
from gigalane.sim.settings import SimulatorSettings
from gigalane.sim.simulator import Simulator
from gigalane.teach.image_pairs import PairWriter
from gigalane.worlds.vector import VectorWorld

INFO = "nus_infos_mono3d.coco.json"
KINDS = {
    "car": CAR, "truck": TRUCK, "trailer": TRUCK, "bus": TRUCK, "construction_vehicle": TRUCK,
    "bicycle": CYCLIST, "motorcycle": CYCLIST, "pedestrian": PEDESTRIAN,
}  # fmt: skip
AXLE_TO_MIDDLE = 1.4
"""From the rear axle, where nuScenes has its origin, to the middle of the car [m]."""


def main() -> None:
    """Makes the pair."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="folder of the pairs")
    parser.add_argument("--width", type=int, default=400, help="pixels across")
    parser.add_argument("--data", type=Path, help="folder with " + INFO)
    options = parser.parse_args()
    below = "research_only/camera/mmdet3d/tests/data/nuscenes"
    data = options.data or Path(os.environ.get("GIGALANE_DATA", ".")) / below
    if not (data / INFO).is_file():
        raise SystemExit(f"{data}: holds no {INFO}; name the folder with --data")
    words = json.loads((data / INFO).read_text(encoding="utf-8"))
    frame = next(one for one in words["images"] if (data / one["file_name"]).is_file())
    boxes = [a for a in words["annotations"] if a["file_name"] == frame["file_name"]]
    camera = camera_of(frame, options.width)
    with Image.open(data / frame["file_name"]) as picture:
        small = picture.convert("RGB").resize((camera.width, camera.height), Image.Resampling.BOX)
    rig = Rig("nuscenes", (camera,))
    render, given = draw(rig, boxes)
    writer = PairWriter(options.out, rig)
    writer.add(frame["token"], render[None], np.asarray(small)[None], given)
    writer.close()
    print(f"{options.out}: {len(boxes)} annotated boxes through camera {camera.name}")


def camera_of(frame: dict, width: int) -> Camera:
    """The camera of a photograph, in our ego frame, with fewer pixels."""
    (fx, _, cx), (_, fy, cy), _ = frame["cam_intrinsic"]
    x, y, z = frame["cam2ego_translation"]
    camera = Camera(
        name=frame["file_name"].split("/")[1].lower(),
        width=frame["width"], height=frame["height"], fx=fx, fy=fy, cx=cx, cy=cy,
        position_ego=(x - AXLE_TO_MIDDLE, y, z),
        rotation_ego=tuple(frame["cam2ego_rotation"]),
    )  # fmt: skip
    return camera.resized(width, round(width * frame["height"] / frame["width"]))


def draw(rig: Rig, boxes: list[dict]) -> tuple[np.ndarray, list[float]]:
    """Our render of annotated boxes, (height, width, 3), and the `given` numbers of the car."""
    maps = open_maps(("town:3",))
    settings = SimulatorSettings(worlds=1, agents=1 + len(boxes))
    simulator = Simulator(maps, settings, seed=0, threads=1)
    world = VectorWorld(simulator)
    given = world.observation[0, : world.layout.given].float().tolist()
    scene = simulator.scene
    channels, traits = scene.boxes.numpy()[0], scene.traits.numpy()
    channels[8, 1:] = -1.0
    x, y, z, cos, sin = channels[:5, 0]
    camera = rig.cameras[0]
    for agent, box in enumerate(boxes, 1):
        if box["category_name"] not in KINDS:
            continue
        *middle, width, length, height, yaw = box["bbox_cam3d"]
        ego = camera.ego_from_camera @ middle + camera.position_ego
        # The camera's y axis points down: a yaw about it turns x towards -z.
        ahead = camera.ego_from_camera @ [np.cos(yaw), 0.0, -np.sin(yaw)]
        size = np.hypot(ahead[0], ahead[1])
        channels[:, agent] = (
            x + cos * ego[0] - sin * ego[1],
            y + sin * ego[0] + cos * ego[1],
            z + ego[2] - 0.5 * height,
            (cos * ahead[0] - sin * ahead[1]) / size,
            (sin * ahead[0] + cos * ahead[1]) / size,
            0.0,
            0.5 * length,
            0.5 * width,
            KINDS[box["category_name"]],
        )
        traits["kind"][0, agent] = KINDS[box["category_name"]]
        traits["height"][0, agent] = height
    renderer = CameraRenderer(simulator, rig, maps, agents=[0], threads=1)
    return renderer.render()["rgb"][0, 0, 0].copy(), given


if __name__ == "__main__":
    main()
