"""The observation against the numbers that the published tracker recorded beside one of its motions.

The file holds the simulated states of a clip and, for each of its 142 frames, what the published tracker saw. Its
velocities and the reference that it tracked are not in the file; those parts of the observation are covered by tests
with numbers worked out by hand.
"""

from __future__ import annotations

import pathlib

import numpy as np
import pytest
import torch

from parc_deepmimic.config import ObservationConfig
from parc_deepmimic.layout import ObservationLayout
from parc_deepmimic.observations import ray_offsets
from parc_deepmimic.observed_state import ObservedState
from parc_deepmimic.reference import MotionLibrary
from parc_motion.clips import MotionClip
from parc_motion.geometry import PackedTerrains
from parc_motion.kinematics import rotations as rot
from parc_motion.skeletons import load_skeleton

formats = pytest.importorskip("parc_data.formats.parc_ms", reason="parc-data reads the published files")

FILE = (
    pathlib.Path(__file__).parents[3].parent / "shared" / "data" / "parc" / "dec2024_teaser_717_1_opt_dm.pkl"
)
SKELETON = load_skeleton("humanoid")
# published order of the own state: root axes, root velocities, joints (14 of 6), joint velocities, key bodies
AXES, JOINTS, KEYS = slice(0, 6), slice(12, 96), slice(124, 136)
SHOULDERS = {"right_upper_arm": 2, "left_upper_arm": 5}
ELBOWS = {"right_lower_arm": 3, "left_lower_arm": 6}
QUARTER = 0.5**0.5  # sine and cosine of 45 degrees


@pytest.fixture(scope="module")
def recorded():
    """The file, and for each frame the observation that it holds and the one computed of its state."""
    if not FILE.is_file():
        pytest.skip(f"{FILE.name} is not here")
    file = formats.read_file(FILE)
    clip = MotionClip(
        name="recorded", root_pos=file.root_pos, root_rot=file.root_rot, joint_rot=file.joint_rot,
        contacts=file.contacts, fps=file.fps, terrain=file.terrain,
    )  # fmt: skip
    library = MotionLibrary([clip], SKELETON)
    terrains = PackedTerrains.of([file.terrain])
    layout = ObservationLayout(ObservationConfig(), SKELETON, library, terrains, control_hz=file.fps)
    theirs = torch.tensor(file.misc["obs"])
    assert theirs.shape == (142, layout.size)
    return file, layout, theirs, layout(_observed(library, layout), on_frames=True)


def test_the_groups_are_those_of_the_file(recorded):
    file, layout, _, _ = recorded
    theirs = [
        (int(np.prod(group["shape"])), group["use_normalizer"]) for group in file.misc["obs_shapes"].values()
    ]
    assert [(group.size, group.normalize) for group in layout.groups] == theirs


def test_root_rotation_is_reproduced(recorded):
    _, _, theirs, ours = recorded
    torch.testing.assert_close(ours[:, AXES], theirs[:, AXES], atol=1e-5, rtol=0)


def test_torso_neck_hand_and_leg_joints_are_reproduced(recorded):
    _, _, theirs, ours = recorded
    arms = {*SHOULDERS.values(), *ELBOWS.values()}
    kept = [joint for joint in range(14) if joint not in arms]
    assert len(kept) == 10
    torch.testing.assert_close(_joints(ours)[:, kept], _joints(theirs)[:, kept], atol=1e-5, rtol=0)


@pytest.mark.parametrize(("side", "sign"), [("right", -1.0), ("left", 1.0)])
def test_arms_are_reproduced_after_a_quarter_turn_of_the_shoulder(recorded, side, sign):
    # the recording rig's arms hang down where the humanoid's point sideways: its shoulders are turned by 90 degrees
    # about the local x axis, after them its elbows are seen in the turned frame
    file, _, theirs, _ = recorded
    turn = torch.tensor([sign * QUARTER, 0.0, 0.0, QUARTER]).expand(142, 4)
    shoulder, elbow = SHOULDERS[f"{side}_upper_arm"], ELBOWS[f"{side}_lower_arm"]
    joint_rot = torch.tensor(file.joint_rot)
    as_recorded = rot.multiply(joint_rot[:, shoulder], turn)
    torch.testing.assert_close(
        rot.quat_to_rot6d(as_recorded), _joints(theirs)[:, shoulder], atol=1e-5, rtol=0
    )
    in_turned = rot.multiply(rot.multiply(rot.inverse(turn), joint_rot[:, elbow]), turn)
    torch.testing.assert_close(rot.quat_to_rot6d(in_turned), _joints(theirs)[:, elbow], atol=1e-5, rtol=0)


def test_hands_and_feet_are_where_they_were_seen(recorded):
    _, _, theirs, ours = recorded
    torch.testing.assert_close(ours[:, KEYS], theirs[:, KEYS], atol=1e-4, rtol=0)


def test_contacts_are_exactly_those_recorded(recorded):
    _, layout, theirs, ours = recorded
    place = layout.columns["contacts"]
    assert torch.equal(ours[:, place], theirs[:, place])


def test_rays_are_exact_wherever_the_file_still_has_the_ground(recorded):
    # the terrain in the file is cropped around the motion; beyond its border the recording saw ground that is lost
    file, layout, theirs, ours = recorded
    place = layout.columns["terrain_rays"]
    inside = _ray_points_inside(file).flatten(1)
    assert inside.float().mean() == pytest.approx(0.848, abs=0.001)
    # heights minus the root's height: half a float32 step of heights up to 3 m is 1.2e-7 m
    difference = (ours[:, place] - theirs[:, place]).abs()[inside]
    assert difference.max() <= 2.4e-7


def _observed(library, layout):
    frames = library.frames
    count = len(frames.root_pos)
    return ObservedState(
        root_pos=frames.root_pos, root_rot=frames.root_rot, root_vel=frames.root_vel,
        root_ang_vel=frames.root_ang_vel, joint_rot=frames.joint_rot, dof_vel=frames.dof_vel,
        key_pos=frames.body_pos[:, layout.key_bodies], contacts=frames.contacts > 0.5,
        motion_ids=torch.zeros(count, dtype=torch.long), motion_times=torch.arange(count) / 30.0,
        terrain_ids=torch.zeros(count, dtype=torch.long), extra=torch.zeros(count, 0),
    )  # fmt: skip


def _joints(obs):
    return obs[:, JOINTS].unflatten(1, (14, 6))


def _ray_points_inside(file):
    """Which of the 7 x 63 ray points of each frame lie on the grid of the file's terrain."""
    offsets = ray_offsets(7, -0.1, 3.0, 0.05, "cpu").reshape(-1, 2).double()
    yaw = rot.heading(torch.tensor(file.root_rot).double())[:, None]
    root = torch.tensor(file.root_pos).double()
    x = root[:, :1] + torch.cos(yaw) * offsets[:, 0] - torch.sin(yaw) * offsets[:, 1]
    y = root[:, 1:2] + torch.sin(yaw) * offsets[:, 0] + torch.cos(yaw) * offsets[:, 1]
    points, half = torch.stack([x, y], dim=-1), 0.5 * file.terrain.cell
    low, high = torch.tensor(file.terrain.origin_xy) - half, torch.tensor(file.terrain.max_xy) + half
    return ((points >= low) & (points <= high)).all(dim=-1)
