"""Values by hand, and the contract suites."""

import functools

import pytest
import torch

from parc_core.interfaces import LossInput, MotionWindows
from parc_custom_terms.losses import standing_feet
from parc_custom_terms.networks import ResidualMlp, ResidualMlpConfig
from parc_custom_terms.tracking import PreviousAction, PreviousActionConfig, smooth_actions
from parc_motion.skeletons import load_skeleton
from parc_testing.contracts.policy_network import PolicyNetworkContract
from parc_testing.contracts.tracking_terms import ObservationTermContract, RewardTermContract

HUMANOID = load_skeleton("humanoid")


class TestSmoothActions(RewardTermContract):
    @pytest.fixture
    def term(self):
        return functools.partial(smooth_actions, k=2.0)


class TestPreviousAction(ObservationTermContract):
    @pytest.fixture
    def term(self):
        return PreviousAction(PreviousActionConfig(), skeleton=HUMANOID, device="cpu")


class TestResidualMlp(PolicyNetworkContract):
    @pytest.fixture
    def make(self):
        return lambda **given: ResidualMlp(ResidualMlpConfig(units=16), **given)


def windows(body_pos: torch.Tensor, contacts: torch.Tensor) -> MotionWindows:
    n, s, b = contacts.shape
    turn = torch.tensor([0.0, 0.0, 0.0, 1.0])
    return MotionWindows(
        root_pos=body_pos[:, :, 0],
        root_rot=turn.expand(n, s, 4),
        joint_rot=turn.expand(n, s, b - 1, 4),
        contacts=contacts,
        body_pos=body_pos,
        body_rot=turn.expand(n, s, b, 4),
    )


def test_standing_feet_by_hand():
    # one hand or foot stands for three frames and moves 0.05 and 0.03 m: beyond 0.01 m that is 0.04 + 0.02 m
    body = HUMANOID.key_bodies[0]
    body_pos, contacts = torch.zeros(1, 3, HUMANOID.num_bodies, 3), torch.zeros(1, 3, HUMANOID.num_bodies)
    body_pos[0, 1:, body, 0] = torch.tensor([0.05, 0.08])
    contacts[:, :, body] = 1.0
    batch = LossInput(
        predicted=windows(body_pos, contacts),
        truth=windows(torch.zeros_like(body_pos), contacts),
        height_patch=torch.zeros(1, 31, 31),
        target=torch.zeros(1, 2),
        fps=30.0,
        skeleton=HUMANOID,
    )
    assert float(standing_feet(batch)) == pytest.approx(0.06, abs=1e-6)
