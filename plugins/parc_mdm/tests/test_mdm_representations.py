"""Rotations as numbers: every form gives the rotation back, and takes whatever a network says."""

import math

import pytest
import torch

from parc_mdm.features import FeatureLayout, Frames, decode, encode, project
from parc_mdm.representations import FORMS, rotation_numbers, rotation_of
from parc_motion.kinematics import Kinematics
from parc_motion.kinematics import rotations as rot
from parc_motion.skeletons import load_skeleton

SKELETON = load_skeleton()
KIN = Kinematics(SKELETON)
EVERY = ["default", *FORMS]


def some_rotations() -> torch.Tensor:
    """Random ones, none, half turns about each axis, and a tiny one."""
    generator = torch.Generator().manual_seed(0)
    random = torch.nn.functional.normalize(torch.randn(50, 4, generator=generator), dim=-1)
    special = torch.tensor([[0.0, 0, 0, 1], [1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [1e-5, 0, 0, 1]])
    return torch.cat([random, special])


def poses() -> Frames:
    generator = torch.Generator().manual_seed(1)
    dof = 0.5 * torch.randn(3, 5, SKELETON.num_dofs, generator=generator)
    return Frames(
        root_pos=torch.randn(3, 5, 3, generator=generator),
        root_rot=rot.expmap_to_quat(torch.randn(3, 5, 3, generator=generator)),
        joint_rot=KIN.dof_to_joint_rot(dof),
        contacts=torch.rand(3, 5, SKELETON.num_bodies, generator=generator),
    )


@pytest.mark.parametrize("form", FORMS)
def test_form_gives_the_rotation_back(form):
    q = some_rotations()
    numbers = rotation_numbers(q, form)
    assert numbers.shape == (len(q), FORMS[form])
    # float32: half turns lie where the exponential map is least certain
    assert rot.angle_between(rotation_of(numbers, form), q).max() < 2e-3


@pytest.mark.parametrize("form", FORMS)
def test_both_quaternions_of_a_rotation_are_the_same_numbers(form):
    q = some_rotations()[:50]
    torch.testing.assert_close(rotation_numbers(q, form), rotation_numbers(-q, form), atol=1e-5, rtol=0.0)


@pytest.mark.parametrize("form", FORMS)
def test_any_numbers_become_a_unit_quaternion(form):
    numbers = torch.randn(200, FORMS[form], generator=torch.Generator().manual_seed(2))
    numbers[0] = 0.0
    torch.testing.assert_close(rotation_of(numbers, form).norm(dim=-1), torch.ones(200), atol=1e-5, rtol=0.0)


@pytest.mark.parametrize("form", FORMS)
def test_form_has_finite_gradients_at_rest(form):
    numbers = rotation_numbers(torch.tensor([[0.0, 0.0, 0.0, 1.0]]), form).requires_grad_()
    rot.quat_to_expmap(rotation_of(numbers, form)).sum().backward()
    assert torch.isfinite(numbers.grad).all() and numbers.grad.abs().sum() > 0.0


def test_quarter_turn_about_z_by_hand():
    half = math.sqrt(0.5)
    q = torch.tensor([[0.0, 0.0, half, half]])
    expected = {
        "expmap": [0, 0, math.pi / 2],
        "quat": [0, 0, half, half],
        "rot6d": [0, 1, 0, 0, 0, 1],  # where x and z point
        "rotmat": [0, -1, 0, 1, 0, 0, 0, 0, 1],
        "axis_angle": [0, 0, 1, math.pi / 2],
    }
    for form, numbers in expected.items():
        assert rotation_numbers(q, form)[0].tolist() == pytest.approx(numbers, abs=1e-6), form


def test_axis_of_no_rotation_is_x():
    assert rotation_numbers(torch.tensor([[0.0, 0.0, 0.0, 1.0]]), "axis_angle")[0].tolist() == [1, 0, 0, 0]


def test_matrix_with_one_wrong_column_is_a_compromise():
    # z says 0.2 rad more than x and y do: the mean of both is taken
    numbers = torch.eye(3)
    numbers[:, 2] = torch.tensor([math.sin(0.2), 0.0, math.cos(0.2)])
    numbers[:, 0] = torch.tensor([1.0, 0.0, 0.0])
    q = rotation_of(numbers.flatten()[None], "rotmat")
    assert rot.angle_between(q, torch.tensor([[0.0, 0, 0, 1]]))[0] < 0.2


@pytest.mark.parametrize(
    ("form", "width"),
    # 3 root place, k root, 42 places, 14 k joints, 15 contacts
    [("default", 91), ("expmap", 105), ("quat", 120), ("rot6d", 150), ("rotmat", 195), ("axis_angle", 120)],
)
def test_widths_of_the_humanoids_features(form, width):
    assert FeatureLayout.of(SKELETON, form).width == width
    assert FeatureLayout.of(SKELETON, form, velocities=True).width == width + 42


@pytest.mark.parametrize("form", EVERY)
def test_features_of_every_form_give_the_poses_back(form):
    layout, frames = FeatureLayout.of(SKELETON, form), poses()
    again = decode(KIN, layout, encode(KIN, layout, frames))
    assert rot.angle_between(again.root_rot, frames.root_rot).max() < 2e-3
    assert rot.angle_between(again.joint_rot, frames.joint_rot).max() < 2e-3


@pytest.mark.parametrize("form", EVERY)
def test_projection_keeps_features_of_real_poses(form):
    layout = FeatureLayout.of(SKELETON, form, velocities=True)
    features = encode(KIN, layout, poses())
    torch.testing.assert_close(project(KIN, layout, features), features, atol=5e-3, rtol=1e-3)


@pytest.mark.parametrize("form", FORMS)
def test_hinge_turns_about_its_axis_whatever_the_features_say(form):
    layout = FeatureLayout.of(SKELETON, form)
    features = torch.randn(2, 3, layout.width, generator=torch.Generator().manual_seed(3))
    joint_rot = decode(KIN, layout, features).joint_rot
    again = KIN.dof_to_joint_rot(KIN.joint_rot_to_dof(joint_rot))
    assert rot.angle_between(joint_rot, again).max() < 2e-3


def test_velocities_are_differences_of_the_positions():
    layout, frames = FeatureLayout.of(SKELETON, velocities=True), poses()
    frames.root_pos[:] = torch.arange(5.0)[:, None] * torch.tensor([0.1, 0.0, 0.0])
    frames.root_rot[:] = torch.tensor([0.0, 0.0, 0.0, 1.0])
    frames.joint_rot[:] = torch.tensor([0.0, 0.0, 0.0, 1.0])
    found = layout.body_velocities(encode(KIN, layout, frames))
    # 0.1 m per frame at 30 frames per second
    torch.testing.assert_close(found, torch.tensor([3.0, 0.0, 0.0]).expand(3, 5, 14, 3), atol=1e-4, rtol=0.0)
