"""Fail rates, start probabilities, tracking errors and body positions against numbers worked out by hand."""

from __future__ import annotations

import attrs
import pytest
import torch

from parc_deepmimic.errors import tracking_errors
from parc_deepmimic.fail_rates import decayed, start_probabilities
from parc_motion.kinematics import rotations as rot
from parc_testing.frames import make_tracking_frame


def test_tracking_errors_by_hand():
    frame = make_tracking_frame(1, error=0.0)
    state, ref = frame.state, frame.reference
    pos, vel, ang_vel = state.body_pos.clone(), state.body_vel.clone(), state.body_ang_vel.clone()
    pos += torch.tensor([0.0, 0.3, 0.4])  # root: 3-4-5; all bodies move along with it
    pos[:, 1] += torch.tensor(
        [0.0, 1.4, 0.0]
    )  # one of 14 bodies 1.4 m off relative to the root: 0.1 m on average
    vel[:, 0] = ref.root_vel + torch.tensor([1.0, 0.0, 0.0])
    ang_vel[:, 0] = ref.root_ang_vel + torch.tensor([0.0, 3.0, -6.0])
    turn = rot.yaw_quat(torch.tensor([[0.7] + 7 * [0.2] + 7 * [0.4]]))  # root; mean 0.3 over the others
    dof_vel = ref.dof_vel + torch.tensor(14 * [1.0, -3.0])
    moved = attrs.evolve(
        state, body_pos=pos, body_vel=vel, body_ang_vel=ang_vel, dof_vel=dof_vel,
        body_rot=rot.multiply(turn, state.body_rot),
    )  # fmt: skip
    found = {name: float(value) for name, value in tracking_errors(attrs.evolve(frame, state=moved)).items()}
    expected = {
        "root_pos": 0.5, "root_rot": 0.7, "body_pos": 0.1, "body_rot": 0.3, "dof_vel": 2.0, "root_vel": 1 / 3,
        "root_ang_vel": 3.0,
    }  # fmt: skip
    assert found == pytest.approx(expected, abs=1e-5)


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
