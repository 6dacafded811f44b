import math

import numpy as np
import torch

from gigalane.acting.poses import along_arc, distance_share, point_ahead, seen_from, wrapped


def test_a_pose_seen_from_another_frame_by_hand():
    # Facing north at (10, 5): two metres east of it is on the right, a metre north is ahead.
    frame = torch.tensor([10.0, 5.0, math.pi / 2])
    seen = seen_from(frame, torch.tensor([12.0, 6.0, 0.0]))
    assert torch.allclose(seen, torch.tensor([1.0, -2.0, -math.pi / 2]), atol=1e-6)


def test_going_ahead_and_back_again_leads_to_the_same_point():
    pose = torch.tensor([[3.0, -2.0, 2.5], [0.0, 0.0, -3.0]])
    ahead = torch.tensor([1.4, 0.3])
    back = point_ahead(point_ahead(pose, ahead), -ahead)
    assert torch.allclose(back, pose, atol=1e-6)


def test_what_lies_on_an_arc_lies_on_its_circle():
    radius, start, turn = 12.0, 3.0, 0.9  # begins near pi, so yaw wraps on the way
    angles = start + turn * np.linspace(0.0, 1.0, 7)
    circle = np.stack(
        (radius * np.sin(angles), -radius * np.cos(angles), (angles + np.pi) % (2 * np.pi) - np.pi),
        -1,
    )
    poses = torch.from_numpy(circle).float()
    between = along_arc(poses[:1], poses[-1:], torch.linspace(0.0, 1.0, 7))
    assert torch.allclose(between, poses, atol=2e-5)


def test_a_straight_arc_is_a_line_also_backwards():
    start, end = torch.tensor([1.0, 1.0, 0.0]), torch.tensor([-3.0, 1.0, 0.0])
    half = along_arc(start, end, torch.tensor(0.25))
    assert torch.equal(half, torch.tensor([0.0, 1.0, 0.0]))


def test_the_share_of_the_way_is_the_integral_of_the_speed():
    times = np.linspace(0.0, 1.0, 100_001)
    for before, after in ((4.0, 8.0), (5.0, 0.0), (0.0, 2.0), (-1.0, -2.0), (7.0, 7.0)):
        speed = before + (after - before) * times
        way = np.concatenate(([0.0], np.cumsum(0.5 * (speed[1:] + speed[:-1]))))
        way /= way[-1]
        for share in (0.0, 0.3, 0.5, 1.0):
            found = distance_share(*(torch.tensor(v) for v in (before, after, share)))
            assert abs(float(found) - way[round(share * 100_000)]) < 1e-5
    nowhere = distance_share(torch.tensor(0.0), torch.tensor(0.0), torch.tensor(0.3))
    assert float(nowhere) == np.float32(0.3)


def test_angles_within_half_a_turn_are_left_as_they_are():
    small = torch.tensor([1e-7, -3.1, 3.1])
    assert torch.equal(wrapped(small), small)
    assert torch.allclose(wrapped(torch.tensor([7.0])), torch.tensor([7.0 - math.tau]))
