"""Rewards, errors and terminations against numbers worked out by hand, and what must not change them."""

from __future__ import annotations

import math

import pytest
import torch
from parc_deepmimic import rewards, terminations
from parc_deepmimic.errors import rotation_angle
from parc_deepmimic.fail_rates import decayed, start_probabilities

from parc_core.kinematics import rotations as rot


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
    ref = _about_z(0.0, 0.0)[None]
    joint_rot = _about_z(1.0, -2.0)[None]
    reward = rewards.pose_reward(joint_rot, ref, torch.tensor([1.0, 0.5]), 0.25)
    torch.testing.assert_close(reward, torch.tensor([0.47237]), atol=1e-4, rtol=0)


def test_vel_reward_by_hand():
    # differences 3 and -4 rad/s, weights 1 and 0.6, k 0.01: exp(-0.01 (9 + 9.6)) = exp(-0.186) = 0.8303
    reward = rewards.vel_reward(
        torch.tensor([[3.0, 0.0]]), torch.tensor([[0.0, 4.0]]), torch.tensor([1.0, 0.6]), 0.01
    )
    torch.testing.assert_close(reward, torch.tensor([0.83027]), atol=1e-4, rtol=0)


def test_root_reward_by_hand():
    # 0.3 m off (0.09 m^2) and turned by 0.5 rad: exp(-5 (0.09 + 0.1*0.25)) = exp(-0.575) = 0.5627
    pos, turned = torch.tensor([[0.0, 0.3, 0.0]]), _about_z(0.5)
    reward = rewards.root_reward(pos, torch.zeros(1, 3), turned, _about_z(0.0), 5.0, 0.1)
    torch.testing.assert_close(reward, torch.tensor([0.56270]), atol=1e-4, rtol=0)


def test_root_vel_reward_by_hand():
    # 1 m/s and 2 rad/s off: exp(-(1 + 0.1*4)) = exp(-1.4) = 0.2466
    one, zero = torch.tensor([[1.0, 0.0, 0.0]]), torch.zeros(1, 3)
    reward = rewards.root_vel_reward(one, zero, 2 * one, zero, 1.0, 0.1)
    torch.testing.assert_close(reward, torch.tensor([0.24660]), atol=1e-4, rtol=0)


def test_key_reward_by_hand():
    # two bodies off by 0.1 m each: exp(-10 * 0.02) = exp(-0.2) = 0.8187
    offset = torch.tensor([[[0.1, 0.0, 0.0], [0.0, -0.1, 0.0]]])
    reward = rewards.key_reward(offset, torch.zeros(1, 2, 3), 10.0)
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
    off = torch.tensor([[[0.0, 0.0, 0.69], [5.0, 0.0, 0.0]], [[0.0, 0.5, 0.5], [0.0, 0.0, 0.0]]])
    lost = terminations.body_lost(off, torch.zeros_like(off), torch.tensor([0.7, 10.0]))
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


@pytest.mark.parametrize("seed", [0, 1])
def test_perfect_match_gives_one(seed):
    generator = torch.Generator().manual_seed(seed)
    q = rot.normalize(torch.randn(3, 14, 4, generator=generator))
    v = torch.randn(3, 28, generator=generator)
    one = torch.ones(3)
    torch.testing.assert_close(rewards.pose_reward(q, q, torch.ones(14), 0.25), one)
    torch.testing.assert_close(rewards.vel_reward(v, v, torch.ones(28), 0.01), one)
    torch.testing.assert_close(rewards.key_reward(v[:, None, :3], v[:, None, :3], 10.0), one)
