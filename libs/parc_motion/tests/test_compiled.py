"""The Numba form of rotations and forward kinematics against the torch form."""

from __future__ import annotations

import numpy as np
import torch
from numba import njit
from numpy.testing import assert_allclose

from parc_motion import compiled
from parc_motion.kinematics import Kinematics
from parc_motion.kinematics import rotations as rot
from parc_motion.skeletons import load_skeleton

RNG = np.random.default_rng(3)
SKELETON = load_skeleton()
EXPMAPS = np.concatenate(
    [RNG.normal(size=(50, 3)), 1e-5 * RNG.normal(size=(5, 3)), np.zeros((1, 3)), [[np.pi - 1e-6, 0.0, 0.0]]]
)


def quats(*shape: int) -> np.ndarray:
    found = RNG.normal(size=(*shape, 4))
    return found / np.linalg.norm(found, axis=-1, keepdims=True)


@njit
def write_expmaps(v, quat, jacobian):
    for n in range(len(v)):
        compiled.write_expmap_quat(v[n, 0], v[n, 1], v[n, 2], quat[n])
        compiled.write_left_jacobian(v[n, 0], v[n, 1], v[n, 2], jacobian[n])


@njit
def write_quats(a, b, v, product, matrix, turned):
    for n in range(len(v)):
        compiled.write_product(a[n], b[n], product[n])
        compiled.write_matrix(a[n], matrix[n])
        compiled.write_rotated(a[n], v[n, 0], v[n, 1], v[n, 2], turned[n])


def test_quaternions_and_left_jacobians_of_exponential_maps():
    quat, jacobian = np.empty((len(EXPMAPS), 4)), np.empty((len(EXPMAPS), 3, 3))
    write_expmaps(EXPMAPS, quat, jacobian)
    v = torch.from_numpy(EXPMAPS)
    assert_allclose(quat, rot.expmap_to_quat(v), rtol=0, atol=1e-14)
    assert_allclose(jacobian, rot.left_jacobian(v), rtol=0, atol=1e-12)


def test_left_jacobian_is_the_derivative_of_the_rotation():
    v, step = torch.from_numpy(EXPMAPS), 1e-6
    for axis in range(3):
        ends = []
        for sign in (1.0, -1.0):
            moved = v.clone()
            moved[:, axis] += sign * step
            ends.append(rot.expmap_to_quat(moved))
        change = rot.quat_to_expmap(rot.multiply(ends[0], rot.inverse(ends[1]))) / (2.0 * step)
        assert_allclose(rot.left_jacobian(v)[:, :, axis], change, rtol=0, atol=1e-8)


def test_products_matrices_and_turned_vectors():
    a, b, v = quats(40), quats(40), RNG.normal(size=(40, 3))
    product, matrix, turned = np.empty((40, 4)), np.empty((40, 3, 3)), np.empty((40, 3))
    write_quats(a, b, v, product, matrix, turned)
    ta, tb, tv = (torch.from_numpy(value) for value in (a, b, v))
    assert_allclose(product, rot.multiply(ta, tb), rtol=0, atol=1e-14)
    assert_allclose(matrix, rot.quat_to_matrix(ta), rtol=0, atol=1e-14)
    assert_allclose(turned, rot.rotate(ta, tv), rtol=0, atol=1e-14)
    assert_allclose(
        rot.multiply(rot.matrix_to_quat(torch.from_numpy(matrix)), rot.inverse(ta))[:, :3], 0, atol=1e-14
    )


def test_rotation_between_two_quaternions():
    @njit
    def call(a, b):
        return compiled.expmap_between(a, b)

    a, b = quats(40), quats(40)
    b[0] = a[0]
    found = np.array([call(x, y) for x, y in zip(a, b)])
    delta = rot.multiply(torch.from_numpy(b), rot.inverse(torch.from_numpy(a)))
    assert_allclose(found[:, 1:], rot.quat_to_expmap(delta), rtol=0, atol=1e-12)
    assert_allclose(found[:, 0], np.linalg.norm(found[:, 1:], axis=1), rtol=0, atol=1e-12)


def pose(frames: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return RNG.normal(size=(frames, 3)), quats(frames), quats(frames, SKELETON.num_joints)


def placed(root_pos, root_rot, joint_rot):
    frames, bodies = len(root_pos), SKELETON.num_bodies
    joint = np.zeros((frames, bodies, 4))
    pos, turn = np.full((frames, bodies, 3), np.nan), np.full((frames, bodies, 4), np.nan)
    joint[:, 1:], pos[:, 0], turn[:, 0] = joint_rot, root_pos, root_rot
    parents, offsets = np.array(SKELETON.parents), SKELETON.offsets.astype(np.float64)
    compiled.place_bodies(parents, offsets, joint, pos, turn)
    return pos, turn


def test_bodies_are_those_of_the_torch_form():
    values = pose(20)
    expected = Kinematics(SKELETON, dtype=torch.float64).forward(*map(torch.from_numpy, values))
    for found, wanted in zip(placed(*values), expected):
        assert_allclose(found, wanted, rtol=0, atol=1e-13)


def test_velocities_are_the_change_of_the_bodies():
    step = 1e-6
    root_pos, root_rot, joint_rot = pose(10)
    pos, turn = placed(root_pos, root_rot, joint_rot)
    vel, ang_vel = np.zeros_like(pos), np.zeros_like(pos)
    own = RNG.normal(size=pos.shape)
    vel[:, 0], ang_vel[:, 0] = RNG.normal(size=(10, 3)), RNG.normal(size=(10, 3))
    compiled.add_body_velocities(np.array(SKELETON.parents), own, pos, turn, vel, ang_vel)

    def spun(quat, ang_vel, local):
        change = rot.expmap_to_quat(torch.from_numpy(ang_vel * step))
        quat = torch.from_numpy(quat)
        return (rot.multiply(quat, change) if local else rot.multiply(change, quat)).numpy()

    later = placed(
        root_pos + step * vel[:, 0],
        spun(root_rot, ang_vel[:, 0], local=False),
        spun(joint_rot, own[:, 1:], local=True),
    )
    assert_allclose((later[0] - pos) / step, vel, rtol=0, atol=1e-5)
    delta = rot.multiply(torch.from_numpy(later[1]), rot.inverse(torch.from_numpy(turn)))
    assert_allclose(rot.quat_to_expmap(delta) / step, ang_vel, rtol=0, atol=1e-5)
