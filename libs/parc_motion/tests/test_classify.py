"""The class of a clip by what is done in it, each rule at both sides of its limit."""

from __future__ import annotations

import attrs
import numpy as np
import pytest
import torch

from parc_motion.clips import ACTION_CLASSES, MotionClip, action_class, mirror_clip
from parc_motion.clips.classify import _body_pos
from parc_motion.errors import SkeletonMismatch
from parc_motion.kinematics import Kinematics
from parc_motion.skeletons import load_skeleton
from parc_motion.terrains import Terrain
from parc_testing.builders import STANDING_HEIGHT, make_clip

SKELETON = load_skeleton("humanoid")
FPS = 30.0
RIGHT_HAND = SKELETON.body_id("right_hand")
HAND_HEIGHT = 1.1  # m, of the arm's hand in the first frames of `make_clip`, less the radius of a hand


def class_of(clip: MotionClip) -> str:
    return action_class(clip, SKELETON)


def ground(*heights: float) -> Terrain:
    """Strips across x, 0.8 m long each, the first one around x = 0."""
    height = np.repeat(np.array(heights)[:, None], 2, axis=0) * np.ones((1, 5))
    return Terrain(height=height, origin_xy=(-0.2, -0.8), cell=0.4)


def follow(terrain: Terrain, hands: int = 0, wall: bool = True) -> MotionClip:
    """A clip that goes over the strips along x at 1 m/s, its root at one height over them.

    Args:
        hands: frames at the start in which the right hand, held out sideways, has a contact label.
        wall: whether there is a wall at its side, up to the hand.
    """
    frames = round((terrain.shape[0] * 0.4 - 0.8) * FPS)
    clip = make_clip(frames, speed=1.0, terrain=terrain)
    root_pos = np.array(clip.root_pos)
    root_pos[:, 2] = STANDING_HEIGHT + terrain.height_at(root_pos[:, :2])
    contacts = np.array(clip.contacts)
    contacts[:hands, RIGHT_HAND] = 1.0
    if wall:
        height = np.array(terrain.height)
        height[:, 0] += HAND_HEIGHT
        terrain = attrs.evolve(terrain, height=height)
    return make_clip(frames, terrain=terrain, root_pos=root_pos, contacts=contacts)


@pytest.mark.parametrize(
    ("heights", "hands", "expected"),
    [
        ((0, 0.11, 0, 0), 0, "walk"),
        ((0, 0.13, 0.13, 0.13), 0, "box"),
        ((0, -0.13, -0.13, -0.13), 0, "box"),
        ((0, 0.2, 0.4, 0.4), 0, "box"),  # two steps are no stairs
        ((0, 0.2, 0.4, 0.6), 0, "stairs"),
        ((0, -0.2, -0.4, -0.6), 0, "stairs"),
        ((0, 0.2, 0.0, 0.2), 0, "box"),  # not in one direction
        ((0, 0.4, 0.8, 1.2), 0, "box"),  # too high for stairs, too low for a climb
        ((0, 0.2, 0.2, 0.2, 0.4, 0.4, 0.4, 0.6), 0, "box"),  # treads of 2.4 m
        ((0, 0.65, 0.65, 0.65), 0, "climb"),
        ((0, 0.55, 0.55, 0.55), 0, "box"),
        ((0, 0.35, 0.35, 0.35), 4, "climb"),
        ((0, 0.35, 0.35, 0.35), 2, "box"),  # arms that brush along
        ((0, 0.25, 0.25, 0.25), 4, "box"),
        ((0, -0.65, -0.65, -0.65), 0, "jump"),
        ((0, -0.65, -0.65, -0.65), 4, "climb"),
        ((0, 0, 0, 0), 4, "other"),
    ],
)
def test_steps_of_the_ground_tell_boxes_stairs_and_climbs(heights, hands, expected):
    assert class_of(follow(ground(*heights), hands=hands)) == expected


@pytest.mark.parametrize(
    ("heights", "expected"),
    [
        ((0, -0.8, 0, 0), "gap"),
        ((0.4, -0.8, 0, 0), "gap"),
        ((0, -0.8, -0.8, -0.8), "walk"),  # the clip ends in the air
        ((0, 0, 0, 0), "walk"),
    ],
)
def test_lower_ground_between_two_sides_is_a_gap(heights, expected):
    clip = follow(ground(*heights))
    root_pos = np.array(clip.root_pos)
    root_pos[:, 2] = STANDING_HEIGHT  # level, whatever is below
    level = make_clip(clip.num_frames, terrain=clip.terrain, root_pos=root_pos)
    assert class_of(level) == expected


def test_hand_that_touches_the_own_body_is_no_climb():
    terrain = ground(0, 0.35, 0.35, 0.35)
    assert class_of(follow(terrain, hands=10, wall=True)) == "climb"
    assert class_of(follow(terrain, hands=10, wall=False)) == "box"


def test_place_of_a_hand_is_that_of_the_kinematics():
    clip = turned(1, np.linspace(0.0, 1.0, 30))
    body_pos, _ = Kinematics(SKELETON).forward(
        *(torch.tensor(array) for array in (clip.root_pos, clip.root_rot, clip.joint_rot))
    )
    for hand in SKELETON.hands:
        assert _body_pos(clip, SKELETON, hand) == pytest.approx(body_pos[:, hand].numpy(), abs=1e-5)


def test_valley_that_is_walked_through_is_no_gap():
    assert class_of(follow(ground(0, -0.4, 0, 0))) == "box"


@pytest.mark.parametrize(
    ("flight_s", "gravity", "expected"),
    [(0.5, 9.81, "jump"), (0.2, 9.81, "walk"), (0.5, 3.0, "walk")],
    ids=["jump", "flight of a run", "hanging in the air"],
)
def test_free_fall_is_a_jump(flight_s, gravity, expected):
    assert class_of(hop(flight_s, gravity)) == expected


def test_free_fall_in_contact_is_no_jump():
    clip = hop(0.5, 9.81)
    held = make_clip(clip.num_frames, root_pos=clip.root_pos)
    assert class_of(held) == "walk"


def hop(flight_s: float, gravity: float) -> MotionClip:
    """Two seconds at 1 m/s with a flight in the middle, up and down again."""
    clip = make_clip(60, speed=1.0)
    time = np.arange(60) / FPS - 1.0
    up = 0.5 * gravity * (0.25 * flight_s**2 - time**2)
    flies = up > 0
    root_pos, contacts = np.array(clip.root_pos), np.array(clip.contacts)
    root_pos[:, 2] += np.where(flies, up, 0.0)
    contacts[flies] = 0.0
    return make_clip(60, root_pos=root_pos, contacts=contacts)


@pytest.mark.parametrize(
    ("speed", "expected"),
    [(0.0, "stand"), (0.15, "stand"), (0.4, "walk"), (1.0, "walk"), (1.9, "walk"), (2.1, "run")],
)
def test_speed_tells_standing_walking_and_running(speed, expected):
    assert class_of(make_clip(60, speed=speed)) == expected


@pytest.mark.parametrize(("order", "expected"), [(1, "start_stop"), (-1, "start_stop")])
def test_standing_at_one_end_is_start_stop(order, expected):
    speed = np.where(np.arange(90) < 40, 0.0, 1.0)[::order]
    clip = make_clip(90)
    root_pos = np.array(clip.root_pos)
    root_pos[:, 0] = np.cumsum(speed) / FPS
    assert class_of(make_clip(90, root_pos=root_pos)) == expected


@pytest.mark.parametrize(("degrees", "expected"), [(50, "walk"), (70, "turn"), (-70, "turn"), (720, "turn")])
def test_change_of_heading_is_a_turn(degrees, expected):
    assert class_of(turned(2, np.linspace(0.0, np.radians(degrees), 60))) == expected


@pytest.mark.parametrize(("degrees", "expected"), [(50, "walk"), (70, "other"), (180, "other")])
def test_tilt_of_the_pelvis_is_no_gait(degrees, expected):
    assert class_of(turned(1, np.linspace(0.0, np.radians(degrees), 60))) == expected


def turned(axis: int, angle: np.ndarray) -> MotionClip:
    root_rot = np.zeros((len(angle), 4))
    root_rot[:, axis], root_rot[:, 3] = np.sin(0.5 * angle), np.cos(0.5 * angle)
    return make_clip(len(angle), speed=1.0, root_rot=root_rot)


def test_mirrored_and_slower_sampled_clips_have_the_same_class():
    for clip in (follow(ground(0, 0.2, 0.4, 0.6)), turned(2, np.linspace(0.0, 1.5, 60)), hop(0.5, 9.81)):
        assert class_of(mirror_clip(clip, SKELETON)) == class_of(clip)
        half = make_clip(
            len(clip.root_pos[::2]), fps=15.0, root_pos=clip.root_pos[::2], root_rot=clip.root_rot[::2],
            contacts=clip.contacts[::2], terrain=clip.terrain,
        )  # fmt: skip
        assert class_of(half) == class_of(clip)


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_shortest_clips_have_a_class(frames):
    assert class_of(make_clip(frames, terrain=None)) == "stand"


def test_clip_of_another_character_is_refused():
    with pytest.raises(SkeletonMismatch):
        class_of(make_clip(skeleton="other"))


def test_names_of_classes_are_fit_for_folders():
    assert [make_clip(motion_class=name).motion_class for name in ACTION_CLASSES] == list(ACTION_CLASSES)
