"""Rotations against SciPy, forward kinematics against MuJoCo, the humanoid against its data sheet."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from parc_motion.errors import DataError
from parc_motion.kinematics import (
    Kinematics,
    angular_velocity,
    joint_angular_velocity,
    linear_velocity,
    surface_points,
)
from parc_motion.kinematics import rotations as rot
from parc_motion.skeletons import load_skeleton, parse_skeleton

F64 = torch.float64


def random_quats(count: int, seed: int = 0) -> tuple[torch.Tensor, Rotation]:
    rotation = Rotation.random(count, rng=np.random.default_rng(seed))
    return torch.tensor(rotation.as_quat()), rotation


def same(quat: torch.Tensor, rotation: Rotation) -> None:
    assert (Rotation.from_quat(quat.numpy()) * rotation.inv()).magnitude().max() < 1e-7


def test_product_rotation_and_matrix_agree_with_scipy():
    (a, ra), (b, rb) = random_quats(100), random_quats(100, 1)
    same(rot.multiply(a, b), ra * rb)
    v = np.random.default_rng(2).normal(size=(100, 3))
    np.testing.assert_allclose(rot.rotate(a, torch.tensor(v)).numpy(), ra.apply(v), atol=1e-12)
    np.testing.assert_allclose(rot.rotate_inverse(a, torch.tensor(v)).numpy(), ra.inv().apply(v), atol=1e-12)
    np.testing.assert_allclose(rot.quat_to_matrix(a).numpy(), ra.as_matrix(), atol=1e-12)


def test_exponential_map_agrees_with_scipy_and_is_exact_near_zero():
    q, rotation = random_quats(200)
    np.testing.assert_allclose(rot.quat_to_expmap(q).numpy(), rotation.as_rotvec(), atol=1e-9)
    vectors = torch.tensor([[0, 0, 0], [1e-6, 0, 0], [0, 1e-4, 0], [0, 0, 3.0]], dtype=F64)
    same(rot.expmap_to_quat(vectors), Rotation.from_rotvec(vectors.numpy()))
    np.testing.assert_allclose(
        rot.quat_to_expmap(rot.expmap_to_quat(vectors)).numpy(), vectors.numpy(), atol=1e-12
    )


@pytest.mark.parametrize("angle", [0.0, 1e-9, 0.3])
def test_exponential_map_and_angle_have_finite_gradients(angle):
    v = torch.tensor([angle, 0.0, 0.0], dtype=F64, requires_grad=True)
    q = rot.expmap_to_quat(v)
    (rot.angle_between(q, rot.identity_like(q)) + rot.quat_to_expmap(q).sum()).backward()
    assert torch.isfinite(v.grad).all()


def test_tan_norm_feature_round_trip():
    q, rotation = random_quats(100)
    same(rot.rot6d_to_quat(rot.quat_to_rot6d(q)), rotation)


def test_slerp_takes_the_short_way_and_hits_the_quarter():
    a = rot.yaw_quat(torch.tensor(0.0, dtype=F64))
    b = -rot.yaw_quat(torch.tensor(1.0, dtype=F64))  # the same rotation, other sign
    assert float(rot.heading(rot.slerp(a, b, torch.tensor(0.25, dtype=F64)))) == pytest.approx(0.25)
    near = rot.yaw_quat(torch.tensor(1e-3, dtype=F64))
    assert float(rot.heading(rot.slerp(a, near, torch.tensor(0.25, dtype=F64)))) == pytest.approx(
        2.5e-4, rel=1e-6
    )


def test_hinge_angle_drops_what_turns_off_the_axis():
    axis = torch.tensor([0.0, 1.0, 0.0], dtype=F64)
    q = rot.quat_about_axis(axis, torch.tensor([0.5, -2.5], dtype=F64))
    torch.testing.assert_close(rot.hinge_angle(q, axis), torch.tensor([0.5, -2.5], dtype=F64))


def test_humanoid_is_the_published_character():
    skeleton = load_skeleton()
    assert skeleton.num_bodies == 15 and skeleton.num_dofs == 28
    assert surface_points(skeleton).counts == (24, 44, 12, 16, 16, 12, 16, 16, 12, 16, 16, 36, 16, 16, 36)
    knee = skeleton.joints[skeleton.body_id("right_shin") - 1]
    assert (knee.kp, knee.kd, knee.gear) == (500, 50, 150)
    assert np.degrees(knee.upper).tolist() == pytest.approx([160])
    assert [skeleton.body_names[b] for b in skeleton.key_bodies] == [
        "right_hand",
        "left_hand",
        "right_foot",
        "left_foot",
    ]
    assert skeleton.body_names[skeleton.mirror_bodies[skeleton.body_id("left_foot")]] == "right_foot"


def test_forward_kinematics_agrees_with_mujoco_on_the_hinge_model():
    mujoco = pytest.importorskip("mujoco")
    skeleton = load_skeleton()
    model = mujoco.MjModel.from_xml_string(skeleton.mjcf)
    data = mujoco.MjData(model)
    assert model.body_mass.sum() == pytest.approx(50.05, abs=0.01)
    kin, rng = Kinematics(skeleton, dtype=F64), np.random.default_rng(0)
    for _ in range(20):
        data.qpos[:] = rng.uniform(-1.5, 1.5, model.nq)
        data.qpos[3:7] /= np.linalg.norm(data.qpos[3:7])
        mujoco.mj_kinematics(model, data)
        pos, quat = kin.forward(
            torch.tensor(data.qpos[:3]),
            torch.tensor(data.qpos[[4, 5, 6, 3]]),
            _joint_rot(skeleton, data.qpos[7:]),
        )
        np.testing.assert_allclose(pos.numpy(), data.xpos[1:], atol=1e-6)
        same(quat, Rotation.from_quat(data.xquat[1:][:, [1, 2, 3, 0]]))


def _joint_rot(skeleton, angles) -> torch.Tensor:
    """Joint rotations of hinge angles: three hinges of a ball joint turn about x, then y, then z."""
    result = torch.zeros(14, 4, dtype=F64)
    for j, (joint, place) in enumerate(zip(skeleton.joints, skeleton.dof_slices)):
        if joint.kind.num_dofs == 3:
            turn = Rotation.from_euler("XYZ", angles[place])
        else:
            turn = (
                Rotation.from_rotvec(joint.axis * angles[place.start])
                if joint.kind.num_dofs
                else Rotation.identity()
            )
        result[j] = torch.tensor(turn.as_quat())
    return result


def test_dof_round_trip():
    skeleton = load_skeleton()
    kin = Kinematics(skeleton, dtype=F64)
    limits = (
        0.5 * skeleton.dof_lower,
        0.5 * skeleton.dof_upper,
    )  # half, so that no exponential map is longer than pi
    dof = torch.tensor(np.random.default_rng(0).uniform(*limits, (50, 28)))
    torch.testing.assert_close(kin.joint_rot_to_dof(kin.dof_to_joint_rot(dof)), dof)


def test_velocities_of_a_steady_turn():
    # 0.1 rad per frame about z at 30 fps: 3 rad/s; the last frame repeats the one before
    q = rot.yaw_quat(torch.arange(5, dtype=F64) * 0.1)
    expected = torch.tensor([[0.0, 0.0, 3.0]], dtype=F64).expand(5, 3)
    torch.testing.assert_close(angular_velocity(q, 30.0), expected)
    torch.testing.assert_close(joint_angular_velocity(q, 30.0), expected)
    pos = torch.tensor([[0.0], [1.0], [3.0]], dtype=F64)
    assert linear_velocity(pos, 2.0).flatten().tolist() == [2.0, 4.0, 4.0]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            '<body name="a"><body name="b"><joint type="slide"/></body></body>',
            "supported: none, one hinge, three hinges",
        ),
        (
            '<body name="a"><body name="b"><joint name="j" axis="1 0 0"/></body></body>',
            "joint 'j' has no range",
        ),
        ('<body name="a"><body name="a"/></body>', "two bodies are called 'a'"),
        (
            '<body name="a"><geom type="mesh"/></body>',
            "geom of type 'mesh'; supported: sphere, capsule, cylinder, box",
        ),
    ],
)
def test_unsupported_character_is_refused_by_name(body, message):
    text = f"<mujoco><worldbody>{body}</worldbody></mujoco>"
    with pytest.raises(DataError, match=message):
        parse_skeleton(text, "x", "x.xml")


def test_unknown_character_lists_what_exists():
    with pytest.raises(
        DataError, match=r"character 'dragon' does not exist. Built in: humanoid; or give the path"
    ):
        load_skeleton("dragon")


def test_entity_bomb_is_refused():
    with pytest.raises(DataError, match=r"document type declarations are not read"):
        parse_skeleton('<!DOCTYPE a [<!ENTITY b "c">]><mujoco/>', "x", "x.xml")


FEET = '<custom><text name="parc_feet" data="{}"/></custom>'
TWO_BODIES = """<mujoco model="two">{}<worldbody><body name="base"><freejoint/><geom type="sphere" size="0.1"/>
<body name="sole" pos="0 0 -1"><joint name="j" axis="1 0 0" range="-1 1"/><geom type="sphere" size="0.1"/></body>
</body></worldbody></mujoco>"""


def test_character_says_which_bodies_are_hands_and_feet():
    humanoid = load_skeleton("humanoid")
    names = [humanoid.body_names[body] for body in (*humanoid.hands, *humanoid.feet)]
    assert names == ["right_hand", "left_hand", "right_foot", "left_foot"]
    assert humanoid.key_bodies == (*humanoid.hands, *humanoid.feet)
    assert parse_skeleton(TWO_BODIES.format(FEET.format("sole")), "two", "two.xml").feet == (1,)


def test_character_without_feet_says_what_to_do():
    skeleton = parse_skeleton(TWO_BODIES.format(""), "two", "two.xml")
    assert skeleton.feet == ()
    with pytest.raises(
        DataError, match=r"skeleton 'two' declares no feet\. Add <custom><text name=.parc_feet."
    ):
        skeleton.need_feet()


def test_declared_foot_that_is_not_a_body_is_named():
    with pytest.raises(DataError, match=r"two\.xml: parc_feet lists 'toe', but the bodies are base, sole"):
        parse_skeleton(TWO_BODIES.format(FEET.format("toe")), "two", "two.xml")
