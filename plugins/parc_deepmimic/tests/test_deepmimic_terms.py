"""The built-in terms: kernels against numbers worked out by hand, and what every term promises."""

from __future__ import annotations

import math

import attrs
import pytest
import torch

from parc_core.config import Use
from parc_core.errors import ConfigError
from parc_core.plugins import Registry
from parc_deepmimic.config import RewardConfig, TerminationConfig
from parc_deepmimic.scoring import RewardModel, TerminationModel
from parc_deepmimic.terms.bodies import body_pos_reward, body_rot_reward, key_reward
from parc_deepmimic.terms.contacts import contact_agreement, published_contact_reward
from parc_deepmimic.terms.joints import pose_reward, vel_reward
from parc_deepmimic.terms.lost import body_lost, fallen, root_lost
from parc_deepmimic.terms.root import root_reward, root_vel_reward
from parc_motion.errors import ShapeError
from parc_motion.kinematics import rotations as rot
from parc_motion.kinematics.rotations import rotation_angle
from parc_motion.skeletons import load_skeleton
from parc_testing.contracts.tracking_terms import RewardTermContract, TerminationTermContract
from parc_testing.frames import make_tracking_frame

SKELETON = load_skeleton("humanoid")
REGISTRY = Registry.discover()
REWARDS, TERMINATIONS = (
    sorted(item.provider.name for item in REGISTRY.providers(kind) if item.dist == "parc-deepmimic")
    for kind in ("reward_term", "termination_term")
)


class TestRewardTerms(RewardTermContract):
    @pytest.fixture(params=REWARDS)
    def term(self, request):
        return REGISTRY.create("reward_term", Use(request.param), skeleton=SKELETON, device="cpu")


class TestTerminationTerms(TerminationTermContract):
    @pytest.fixture(params=TERMINATIONS)
    def term(self, request):
        return REGISTRY.create("termination_term", Use(request.param), skeleton=SKELETON, device="cpu")


@pytest.mark.parametrize("name", sorted(set(REWARDS) - {"contact", "published_contact"}))
def test_a_perfect_match_has_the_value_1(name):
    term = REGISTRY.create("reward_term", Use(name), skeleton=SKELETON, device="cpu")
    assert torch.equal(term(make_tracking_frame(3, error=0.0)), torch.ones(3))
    assert (term(make_tracking_frame(3, error=0.1)) < 1.0).all()


def test_the_default_reward_has_every_term_but_the_published_one():
    assert sorted(RewardConfig().terms) == sorted(set(REWARDS) - {"published_contact"})
    assert sorted(TerminationConfig().terms) == TERMINATIONS


def test_the_reward_is_the_mean_of_the_terms_by_weight():
    terms = {name: reward_term(name, weight) for name, weight in (("pose", 3.0), ("root", 1.0), ("key", 0.0))}
    model = RewardModel(RewardConfig(terms=terms), SKELETON, "cpu")
    reward, values = model(make_tracking_frame())
    assert set(values) == {"pose", "root"}
    torch.testing.assert_close(reward, 0.75 * values["pose"] + 0.25 * values["root"])
    assert model.value_range == (0.0, 1.0)


def test_the_published_contact_term_is_added_outside_the_weights():
    config = RewardConfig(terms={"pose": reward_term("pose", 0.5)}, contact="published")
    model = RewardModel(config, SKELETON, "cpu")
    reward, values = model(make_tracking_frame())
    assert set(values) == {"pose", "contact"}
    torch.testing.assert_close(reward, values["pose"] + values["contact"])
    assert model.value_range == (-5.0, 6.0)


def test_weights_that_are_all_0_are_refused():
    with pytest.raises(ConfigError) as caught:
        RewardModel(RewardConfig(terms={"pose": reward_term("pose", 0.0)}), SKELETON, "cpu")
    assert (
        str(caught.value) == "reward: all weights are 0; give at least one of reward.terms a weight above 0."
    )


def test_joint_weights_of_another_character_are_refused():
    config = attrs.evolve(REGISTRY.load_config_class("reward_term", "pose")(), joint_weights={"tail": 1.0})
    with pytest.raises(
        ConfigError, match=r"terms\.pose\.joint_weights: .* has no body 'tail'; it has pelvis"
    ):
        RewardModel(RewardConfig(terms={"pose": Use("pose", config)}), SKELETON, "cpu")


def test_a_term_that_gives_one_number_for_all_is_refused(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text("def whole(frame):\n    return frame.root_pos_error.square().sum()\n")
    model = RewardModel(RewardConfig(terms={"mine": Use(f"{file}:whole")}), SKELETON, "cpu")
    with pytest.raises(ShapeError) as caught:
        model(make_tracking_frame(4))
    assert str(caught.value) == (
        "reward.terms.mine: the term returns shape [] for 4 environments, expected [4]. Reduce the axes after the "
        "first, e.g. with .mean(dim=-1)."
    )


def test_a_termination_term_that_gives_numbers_is_refused(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text("def far(frame):\n    return frame.root_pos_error_squared\n")
    model = TerminationModel(TerminationConfig(terms={"mine": Use(f"{file}:far")}), SKELETON, "cpu")
    with pytest.raises(ShapeError) as caught:
        model(make_tracking_frame(4))
    assert str(caught.value) == (
        "termination.terms.mine: the term returns torch.float32, expected bool, True where an episode is lost. Compare "
        "with a limit, e.g. `distance > 0.5`."
    )


def test_a_term_that_declares_no_range_leaves_the_range_of_the_reward_unknown(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(
        "def still(frame, *, k: float = 2.0):\n    return -k * frame.action.square().mean(dim=-1)\n"
    )
    terms = {"pose": reward_term("pose", 1.0), "still": Use(f"{file}:still")}
    model = RewardModel(RewardConfig(terms=terms), SKELETON, "cpu")
    reward, values = model(frame := make_tracking_frame())
    torch.testing.assert_close(values["still"], -2.0 * frame.action.square().mean(dim=-1))
    torch.testing.assert_close(reward, 0.5 * values["pose"] + 0.5 * values["still"])
    assert model.value_range is None


def test_limits_are_scaled_in_training():
    model = TerminationModel(TerminationConfig(), SKELETON, "cpu")
    frame = make_tracking_frame(1, error=0.0)
    for distance, scale, lost in (
        (0.29, 0.5, False),
        (0.31, 0.5, True),
        (0.59, 1.0, False),
        (0.61, 1.0, True),
    ):
        body_pos = frame.state.body_pos + torch.tensor([distance, 0.0, 0.0])
        moved = attrs.evolve(frame, state=attrs.evolve(frame.state, body_pos=body_pos), limit_scale=scale)
        assert bool(model(moved)) is lost


def test_a_common_shift_changes_no_body_error():
    frame = make_tracking_frame()
    shifted = attrs.evolve(frame.state, body_pos=frame.state.body_pos + torch.tensor([3.0, -2.0, 0.5]))
    moved = attrs.evolve(frame, state=shifted)
    torch.testing.assert_close(moved.body_pos_error, frame.body_pos_error, atol=1e-5, rtol=0)
    torch.testing.assert_close(
        moved.root_pos_error, frame.root_pos_error + torch.tensor([3.0, -2.0, 0.5]), atol=1e-5, rtol=0
    )


def reward_term(name, weight):
    return Use(name, attrs.evolve(REGISTRY.load_config_class("reward_term", name)(), weight=weight))


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
    reward = pose_reward(angle, torch.tensor([1.0, 0.5]), 0.25)
    torch.testing.assert_close(reward, torch.tensor([0.47237]), atol=1e-4, rtol=0)


def test_vel_reward_by_hand():
    # differences 3 and -4 rad/s, weights 1 and 0.6, k 0.01: exp(-0.01 (9 + 9.6)) = exp(-0.186) = 0.8303
    reward = vel_reward(torch.tensor([[3.0, -4.0]]), torch.tensor([1.0, 0.6]), 0.01)
    torch.testing.assert_close(reward, torch.tensor([0.83027]), atol=1e-4, rtol=0)


def test_root_reward_by_hand():
    # 0.3 m off (0.09 m^2) and turned by 0.5 rad: exp(-5 (0.09 + 0.1*0.25)) = exp(-0.575) = 0.5627
    reward = root_reward(torch.tensor([0.09]), torch.tensor([0.5]), 5.0, 0.1)
    torch.testing.assert_close(reward, torch.tensor([0.56270]), atol=1e-4, rtol=0)


def test_root_vel_reward_by_hand():
    # 1 m/s and 2 rad/s off: exp(-(1 + 0.1*4)) = exp(-1.4) = 0.2466
    one = torch.tensor([[1.0, 0.0, 0.0]])
    reward = root_vel_reward(one, 2 * one, 1.0, 0.1)
    torch.testing.assert_close(reward, torch.tensor([0.24660]), atol=1e-4, rtol=0)


def test_key_reward_by_hand():
    # two bodies off by 0.1 m each: exp(-10 * 0.02) = exp(-0.2) = 0.8187
    offset = torch.tensor([[[0.1, 0.0, 0.0], [0.0, -0.1, 0.0]]])
    reward = key_reward(offset, 10.0)
    torch.testing.assert_close(reward, torch.tensor([0.81873]), atol=1e-4, rtol=0)


def test_body_position_reward_by_hand():
    # two bodies off by 0.1 m and 0.3 m: exp(-10 * (0.01 + 0.09) / 2) = exp(-0.5) = 0.6065
    reward = body_pos_reward(torch.tensor([[0.01, 0.09]]), 10.0)
    torch.testing.assert_close(reward, torch.tensor([0.60653]), atol=1e-4, rtol=0)


def test_body_rotation_reward_by_hand():
    # turned by 0.2 and 0.6 rad: exp(-3.5 * (0.04 + 0.36) / 2) = exp(-0.7) = 0.4966
    reward = body_rot_reward(torch.tensor([[0.2, 0.6]]), 3.5)
    torch.testing.assert_close(reward, torch.tensor([0.49659]), atol=1e-4, rtol=0)


def test_contact_agreement_by_hand():
    # bodies: wanted and touching (1), wanted and half touching (0.5), unwanted and touching (0), free and free (1);
    # weights 4, 1, 1, 2: (4 + 0.5 + 0 + 2) / 8 = 0.8125
    force = torch.tensor([[200.0, 0.5, 3.0, 0.0]])
    wanted = torch.tensor([[1.0, 1.0, 0.0, 0.0]])
    reward = contact_agreement(force, wanted, torch.tensor([4.0, 1.0, 1.0, 2.0]))
    torch.testing.assert_close(reward, torch.tensor([0.8125]))


def test_published_contact_term_by_hand():
    # 5 * mean(+1, +0.5, -1, 0) = 5 * 0.125 = 0.625
    force = torch.tensor([[200.0, 0.5, 3.0, 0.0]])
    wanted = torch.tensor([[1.0, 1.0, 0.0, 0.0]])
    torch.testing.assert_close(5.0 * published_contact_reward(force, wanted), torch.tensor([0.625]))


def test_root_is_lost_beyond_either_limit():
    lost = root_lost(
        torch.tensor([0.59, 0.61, 0.0]), torch.tensor([1.30, 0.0, 1.31]), max_distance=0.6, max_angle=1.309
    )
    assert lost.tolist() == [False, True, True]


def test_a_body_is_lost_beyond_its_own_limit():
    # limits 0.7 and 10 m; the first character's far body has the wide limit, the second's has the narrow one
    distance = torch.tensor([[0.69, 5.0], [0.71, 0.0]])
    lost = body_lost(distance.square(), torch.tensor([0.7, 10.0]))
    assert lost.tolist() == [False, True]


def test_a_forbidden_body_that_touches_is_a_fall():
    contacts = torch.tensor([[False, True, False], [True, False, False]])
    assert fallen(contacts, torch.tensor([0, 2])).tolist() == [False, True]
