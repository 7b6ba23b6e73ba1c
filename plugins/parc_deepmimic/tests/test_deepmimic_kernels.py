"""Rewards, errors and terminations against numbers worked out by hand, and what must not change them."""

from __future__ import annotations

import math

import pytest
import torch

from parc_core.interfaces import BodyState, Reference
from parc_deepmimic import rewards, terminations
from parc_deepmimic.difference import Difference, difference, rotation_angle
from parc_deepmimic.errors import tracking_errors
from parc_deepmimic.fail_rates import decayed, start_probabilities
from parc_deepmimic.placing import BodyPlaces
from parc_motion.kinematics import Kinematics
from parc_motion.kinematics import rotations as rot
from parc_motion.skeletons import load_skeleton


def _about_z(*angles: float) -> torch.Tensor:
    return rot.yaw_quat(torch.tensor(angles))


def test_rotation_angle_is_exact_for_small_and_large_turns_and_either_sign():
    a = _about_z(0.0, 0.0, 0.0, 0.3)
    b = _about_z(1e-3, 1.5, math.pi, 0.1)
    expected = torch.tensor([1e-3, 1.5, math.pi, 0.2])
    torch.testing.assert_close(rotation_angle(a, b), expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(rotation_angle(a, -b), expected, atol=1e-5, rtol=0)


def test_rotation_angle_agrees_with_the_core():
    q = rot.normalize(torch.randn(2, 50, 4, generator=torch.Generator().manual_seed(0)))
    torch.testing.assert_close(rotation_angle(q[0], q[1]), rot.angle_between(q[0], q[1]), atol=2e-3, rtol=0)


def test_pose_reward_by_hand():
    # two joints, turned by 1 and 2 rad, weights 1 and 0.5, k 0.25: exp(-0.25 (1*1 + 0.5*4)) = exp(-0.75) = 0.4724
    angle = rotation_angle(_about_z(1.0, -2.0), _about_z(0.0, 0.0))[None]
    reward = rewards.pose_reward(angle, torch.tensor([1.0, 0.5]), 0.25)
    torch.testing.assert_close(reward, torch.tensor([0.47237]), atol=1e-4, rtol=0)


def test_vel_reward_by_hand():
    # differences 3 and -4 rad/s, weights 1 and 0.6, k 0.01: exp(-0.01 (9 + 9.6)) = exp(-0.186) = 0.8303
    reward = rewards.vel_reward(torch.tensor([[3.0, -4.0]]), torch.tensor([1.0, 0.6]), 0.01)
    torch.testing.assert_close(reward, torch.tensor([0.83027]), atol=1e-4, rtol=0)


def test_root_reward_by_hand():
    # 0.3 m off (0.09 m^2) and turned by 0.5 rad: exp(-5 (0.09 + 0.1*0.25)) = exp(-0.575) = 0.5627
    reward = rewards.root_reward(torch.tensor([0.09]), torch.tensor([0.5]), 5.0, 0.1)
    torch.testing.assert_close(reward, torch.tensor([0.56270]), atol=1e-4, rtol=0)


def test_root_vel_reward_by_hand():
    # 1 m/s and 2 rad/s off: exp(-(1 + 0.1*4)) = exp(-1.4) = 0.2466
    one = torch.tensor([[1.0, 0.0, 0.0]])
    reward = rewards.root_vel_reward(one, 2 * one, 1.0, 0.1)
    torch.testing.assert_close(reward, torch.tensor([0.24660]), atol=1e-4, rtol=0)


def test_key_reward_by_hand():
    # two bodies off by 0.1 m each: exp(-10 * 0.02) = exp(-0.2) = 0.8187
    offset = torch.tensor([[[0.1, 0.0, 0.0], [0.0, -0.1, 0.0]]])
    reward = rewards.key_reward(offset, 10.0)
    torch.testing.assert_close(reward, torch.tensor([0.81873]), atol=1e-4, rtol=0)


def test_contact_agreement_by_hand():
    # bodies: wanted and touching (1), wanted and half touching (0.5), unwanted and touching (0), free and free (1);
    # weights 4, 1, 1, 2: (4 + 0.5 + 0 + 2) / 8 = 0.8125
    force = torch.tensor([[200.0, 0.5, 3.0, 0.0]])
    wanted = torch.tensor([[1.0, 1.0, 0.0, 0.0]])
    reward = rewards.contact_agreement(force, wanted, torch.tensor([4.0, 1.0, 1.0, 2.0]))
    torch.testing.assert_close(reward, torch.tensor([0.8125]))


def test_published_contact_term_by_hand():
    # 5 * mean(+1, +0.5, -1, 0) = 5 * 0.125 = 0.625
    force = torch.tensor([[200.0, 0.5, 3.0, 0.0]])
    wanted = torch.tensor([[1.0, 1.0, 0.0, 0.0]])
    torch.testing.assert_close(rewards.published_contact_term(force, wanted, 5.0), torch.tensor([0.625]))


def test_root_is_lost_beyond_either_limit():
    lost = terminations.root_lost(
        torch.tensor([0.59, 0.61, 0.0]), torch.tensor([1.30, 0.0, 1.31]), max_distance=0.6, max_rotation=1.309
    )
    assert lost.tolist() == [False, True, True]


def test_a_body_is_lost_beyond_its_own_limit():
    # limits 0.7 and 10 m; the first character's far body has the wide limit, the second's has the narrow one
    distance = torch.tensor([[0.69, 5.0], [0.71, 0.0]])
    lost = terminations.body_lost(distance.square(), torch.tensor([0.7, 10.0]))
    assert lost.tolist() == [False, True]


def test_a_forbidden_body_that_touches_is_a_fall():
    force = torch.tensor([[0.0, 5.0, 0.0], [9.0, 0.0, 0.5]])
    assert terminations.fallen(force, torch.tensor([0, 2]), 1.0).tolist() == [False, True]


def test_fail_rates_by_hand():
    # motion 0: one failure, 0.99*0.5 + 0.01 = 0.505; motion 1: nothing; motion 2: a failure and a success together,
    # 0.99^2*1 + (1 - 0.99^2)*0.5 = 0.9801 + 0.00995 = 0.99005
    rate = decayed(
        torch.tensor([0.5, 0.7, 1.0]), torch.tensor([0, 2, 2]), torch.tensor([1.0, 1.0, 0.0]), decay=0.99
    )
    torch.testing.assert_close(rate, torch.tensor([0.505, 0.7, 0.99005]), atol=1e-6, rtol=0)


def test_start_probabilities_share_a_motions_chance_among_its_bins():
    # motions 3 : 1; the first has bins 1 : 2, the second a single one: 3/4*1/3, 3/4*2/3, 1/4
    chance = start_probabilities(
        torch.tensor([3.0, 1.0]), torch.tensor([0.1, 0.2, 7.0]), torch.tensor([0, 0, 1])
    )
    torch.testing.assert_close(chance, torch.tensor([0.25, 0.5, 0.25]))


def test_body_position_reward_by_hand():
    # two bodies off by 0.1 m and 0.3 m: exp(-10 * (0.01 + 0.09) / 2) = exp(-0.5) = 0.6065
    reward = rewards.body_pos_reward(torch.tensor([[0.01, 0.09]]), 10.0)
    torch.testing.assert_close(reward, torch.tensor([0.60653]), atol=1e-4, rtol=0)


def test_body_rotation_reward_by_hand():
    # turned by 0.2 and 0.6 rad: exp(-3.5 * (0.04 + 0.36) / 2) = exp(-0.7) = 0.4966
    reward = rewards.body_rot_reward(torch.tensor([[0.2, 0.6]]), 3.5)
    torch.testing.assert_close(reward, torch.tensor([0.49659]), atol=1e-4, rtol=0)


def test_tracking_errors_by_hand():
    # root: 3-4-5; bodies 0.5 m and 0.1 m off, mean 0.3; bodies after the root turned by 0.2 and 0.4, mean 0.3
    one, two = torch.tensor([[1.0, 0.0, 0.0]]), torch.tensor([[0.0, 3.0, -6.0]])
    off = Difference(
        root_pos=torch.tensor([[0.0, 0.3, 0.4]]),
        root_vel=one,
        root_ang_vel=two,
        dof_vel=torch.tensor([[1.0, -3.0]]),
        body_pos=torch.tensor([[[0.3, 0.0, 0.4], [0.0, 0.1, 0.0]]]),
        body_angle=torch.tensor([[0.7, 0.2, 0.4]]),
        joint_angle=torch.zeros(1, 2),
    )
    expected = {
        "root_pos": 0.5, "root_rot": 0.7, "body_pos": 0.3, "body_rot": 0.3, "dof_vel": 2.0, "root_vel": 1 / 3,
        "root_ang_vel": 3.0,
    }  # fmt: skip
    found = {name: float(value) for name, value in tracking_errors(off).items()}
    assert found == pytest.approx(expected, abs=1e-6)


def test_nothing_off_gives_the_whole_of_every_term():
    zero = torch.zeros(3, 28)
    body = torch.zeros(3, 14, 3)
    terms = [
        rewards.pose_reward(zero[:, :14], torch.ones(14), 0.25),
        rewards.vel_reward(zero, torch.ones(28), 0.01),
        rewards.root_reward(zero[:, 0], zero[:, 0], 5.0, 0.1),
        rewards.root_vel_reward(zero[:, :3], zero[:, :3], 1.0, 0.1),
        rewards.key_reward(body[:, :4], 10.0),
        rewards.body_pos_reward(body[..., 0], 10.0),
        rewards.body_rot_reward(zero[:, :15], 3.5),
    ]
    assert all(torch.equal(term, torch.ones(3)) for term in terms)


def test_a_difference_does_not_depend_on_where_both_stand():
    generator = torch.Generator().manual_seed(0)
    kinematics = Kinematics(load_skeleton("humanoid"))
    joint_rot = rot.normalize(torch.randn(2, 14, 4, generator=generator))
    root_rot = rot.normalize(torch.randn(2, 4, generator=generator))

    def at(place):
        return kinematics.forward(torch.tensor([place] * 2), root_rot, joint_rot)

    here, there = at([0.0, 0.0, 1.0]), at([3.0, -2.0, 1.5])
    state, ref = _state(*here, joint_rot), _reference(*there, joint_rot)
    off = difference(state, ref)
    torch.testing.assert_close(off.root_pos, torch.tensor([[-3.0, 2.0, -0.5]] * 2), atol=1e-5, rtol=0)
    assert off.body_pos.abs().max() < 1e-5
    assert off.body_angle.abs().max() < 1e-5
    assert off.joint_angle.abs().max() < 1e-5


def _state(body_pos, body_rot, joint_rot):
    n = len(body_pos)
    return BodyState(
        body_pos=body_pos, body_rot=body_rot, body_vel=torch.zeros_like(body_pos),
        body_ang_vel=torch.zeros_like(body_pos), joint_rot=joint_rot, dof_vel=torch.zeros(n, 28),
        contact_force=torch.zeros_like(body_pos), finite=torch.ones(n, dtype=torch.bool),
    )  # fmt: skip


def _reference(body_pos, body_rot, joint_rot):
    zero = torch.zeros(len(body_pos), 3)
    return Reference(
        root_pos=body_pos[:, 0], root_rot=body_rot[:, 0], joint_rot=joint_rot, root_vel=zero, root_ang_vel=zero,
        dof_vel=torch.zeros(len(body_pos), 28), contacts=torch.zeros(len(body_pos), 15), body_pos=body_pos,
        body_rot=body_rot,
    )  # fmt: skip


def test_bodies_of_a_few_poses_are_where_forward_kinematics_puts_them():
    generator = torch.Generator().manual_seed(1)
    skeleton = load_skeleton("humanoid")
    place = torch.randn(5, 3, generator=generator)
    rotation = rot.normalize(torch.randn(5, skeleton.num_bodies, 4, generator=generator))
    expected, _ = Kinematics(skeleton).forward(place, rotation[:, 0], rotation[:, 1:])
    torch.testing.assert_close(BodyPlaces(skeleton)(place, rotation), expected, atol=2e-6, rtol=0)
