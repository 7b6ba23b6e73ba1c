"""Feature vectors and the frame that they are relative to."""

import math

import torch

from parc_mdm.features import Anchor, FeatureLayout, Frames, decode, encode, project
from parc_motion.kinematics import Kinematics
from parc_motion.kinematics import rotations as rot
from parc_motion.skeletons import load_skeleton

SKELETON = load_skeleton()
KIN = Kinematics(SKELETON)
LAYOUT = FeatureLayout.of(SKELETON)


def random_frames(shape: tuple[int, ...] = (3, 5)) -> Frames:
    generator = torch.Generator().manual_seed(0)
    dof = 0.5 * torch.randn(*shape, SKELETON.num_dofs, generator=generator)
    return Frames(
        root_pos=torch.randn(*shape, 3, generator=generator),
        root_rot=rot.expmap_to_quat(torch.randn(*shape, 3, generator=generator)),
        joint_rot=KIN.dof_to_joint_rot(dof),
        contacts=torch.rand(*shape, SKELETON.num_bodies, generator=generator),
    )


def test_humanoid_features_are_91_numbers_in_the_published_order():
    assert LAYOUT.width == 91
    assert LAYOUT.sizes == (3, 3, 42, 0, 28, 15)
    assert LAYOUT.contacts == slice(76, 91)


def test_features_give_the_poses_back():
    frames = random_frames()
    again = decode(KIN, LAYOUT, encode(KIN, LAYOUT, frames))
    torch.testing.assert_close(again.root_pos, frames.root_pos)
    assert (
        rot.angle_between(again.root_rot, frames.root_rot).max() < 1e-3
    )  # float32 angle of nearly equal rotations
    assert rot.angle_between(again.joint_rot, frames.joint_rot).max() < 1e-3
    torch.testing.assert_close(again.contacts, frames.contacts)


def test_projection_makes_body_positions_follow_from_rotations():
    features = encode(KIN, LAYOUT, random_frames())
    broken = features.clone()
    broken[..., 6:48] += 1.0
    broken[..., 76] = 7.0
    fixed = project(KIN, LAYOUT, broken)
    torch.testing.assert_close(fixed[..., 6:48], features[..., 6:48], atol=1e-4, rtol=1e-4)
    assert fixed[..., 76].max() == 1.0


def test_anchor_puts_its_root_at_the_origin_facing_x():
    frames = random_frames((4, 2))
    anchor = Anchor.of(frames.root_pos[:, 1], frames.root_rot[:, 1])
    local = anchor.frames_to_local(frames)
    torch.testing.assert_close(local.root_pos[:, 1], torch.zeros(4, 3))
    torch.testing.assert_close(rot.heading(local.root_rot[:, 1]), torch.zeros(4), atol=1e-5, rtol=0.0)


def test_anchor_by_hand():
    # facing +y at (1, 2, 3): a point one meter ahead of it is at (1, 3, 3)
    anchor = Anchor(origin=torch.tensor([[1.0, 2.0, 3.0]]), heading=torch.tensor([math.pi / 2]))
    torch.testing.assert_close(
        anchor.to_world(torch.tensor([[[1.0, 0.0, 0.0]]])), torch.tensor([[[1.0, 3.0, 3.0]]])
    )
    torch.testing.assert_close(
        anchor.to_local(torch.tensor([[1.0, 3.0, 3.0]])), torch.tensor([[1.0, 0.0, 0.0]]), atol=1e-6, rtol=0.0
    )


def test_anchor_there_and_back_changes_nothing():
    frames = random_frames((4, 2))
    anchor = Anchor.of(frames.root_pos[:, 1], frames.root_rot[:, 1])
    again = anchor.frames_to_world(anchor.frames_to_local(frames))
    torch.testing.assert_close(again.root_pos, frames.root_pos, atol=1e-5, rtol=0.0)
    torch.testing.assert_close(again.root_rot, frames.root_rot, atol=1e-5, rtol=0.0)
