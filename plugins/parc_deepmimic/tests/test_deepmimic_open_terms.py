"""Terms in the settings: old files, terms of a plain file, and groups that a policy depends on."""

from __future__ import annotations

import json
import logging
import pathlib

import numpy as np
import pytest
import torch
import yaml

from parc_core.config import InvalidConfig, load_settings
from parc_core.errors import ConfigError
from parc_core.interfaces import ObservationGroup, Policy
from parc_core.plugins import Registry
from parc_deepmimic.env import DeepMimicEnv
from parc_deepmimic.evaluate.evaluation_envs import EvaluationEnvs, EvaluationSetup
from parc_deepmimic.evaluate.trained_in import find_policy, load_setup
from parc_motion.errors import DataError, ShapeError
from parc_motion.skeletons import load_skeleton
from parc_testing.builders import make_clip
from parc_testing.fake_simulator import FakeSimulator

REGISTRY = Registry.discover()
README = pathlib.Path(__file__).parents[1] / "README.md"
PRETRAINED = pathlib.Path(__file__).parents[3] / "examples" / "pretrained" / "policy"
TERMS = '''
import torch
from parc_core.interfaces import TrackingFrame, observation_group


def smooth(frame: TrackingFrame, *, k: float = 1.0):
    """Small changes of the action.

    Args:
        k: Sharpness of the term.
    """
    return torch.exp(-k * (frame.action - frame.previous_action).square().mean(dim=-1))


def low(frame: TrackingFrame, *, height: float = 0.3):
    root = frame.state.root_pos
    return root[:, 2] - frame.ground_height(root[:, :2]) < height


@observation_group(size=2, normalize=False, description="time in the motion and height of the root, s and m")
def clock(frame: TrackingFrame):
    return torch.stack([frame.motion_times, frame.state.root_pos[:, 2]], dim=-1)


@observation_group(size=3)
def wrong_size(frame: TrackingFrame):
    return frame.motion_times[:, None]


def undeclared(frame: TrackingFrame):
    return frame.action
'''


def env_config(settings, base=None):
    text = json.dumps({"env": {"use": "deepmimic", **settings}})
    return load_settings(text, "test.yaml", EvaluationSetup, REGISTRY, base=base)[0].env.config


def make(settings, base=None, num_envs=4):
    clips = [make_clip(40, name="stand"), make_clip(50, name="glide", speed=0.6)]
    return DeepMimicEnv(
        env_config(settings, base),
        clips=clips,
        weights=np.ones(2),
        simulator=FakeSimulator(gain=0.6),
        num_envs=num_envs,
        skeleton=load_skeleton("humanoid"),
        rng=torch.Generator().manual_seed(0),
    )


@pytest.fixture
def terms_file(tmp_path):
    (tmp_path / "my_terms.py").write_text(TERMS)
    return tmp_path


def test_old_names_of_reward_and_termination_settings_are_read():
    config = env_config({
        "preset": "cpu",
        "reward": {
            "w_body_pos": 0.2, "k_body_pos": 7.0, "w_key": 0.0, "k_root_rot": 0.3, "k_root_ang_vel": 0.4,
            "joint_weights": {"torso": 0.3}, "key_contact_weight": 2.0,
        },
        "termination": {"root_pos": 0.3, "root_rot": 1.0, "body_pos": 0.5, "body_pos_of": {}, "fall_bodies": ["head"]},
    })  # fmt: skip
    terms = {name: use.config for name, use in config.reward.terms.items()}
    assert "body_rot" not in terms  # as the preset says
    assert (terms["body_pos"].weight, terms["body_pos"].k, terms["key"].weight) == (0.2, 7.0, 0.0)
    assert (terms["root"].k_rot, terms["root_vel"].k_ang) == (0.3, 0.4)
    assert terms["pose"].joint_weights == terms["vel"].joint_weights == {"torso": 0.3}
    assert terms["contact"].key_weight == 2.0
    ends = {name: use.config for name, use in config.termination.terms.items()}
    assert (ends["root"].max_pos, ends["root"].max_rot) == (0.3, 1.0)
    assert (ends["body"].max_pos, ends["body"].max_pos_of, ends["fall"].bodies) == (0.5, {}, ("head",))


def test_the_settings_that_an_old_policy_records_are_read_without_a_word(caplog):
    with caplog.at_level(logging.WARNING):
        setup, source = load_setup(REGISTRY, find_policy(PRETRAINED))
    assert caplog.messages == []  # its user did not write the old names and cannot change them
    assert source.endswith("policy.json")
    weights = {name: use.config.weight for name, use in setup.env.config.reward.terms.items()}
    assert weights == {
        "pose": 0.5, "vel": 0.1, "root": 0.15, "root_vel": 0.1, "key": 0.15, "body_pos": 0.0, "body_rot": 0.0,
        "contact": 0.1,
    }  # fmt: skip
    assert setup.env.config.termination.training_share == 0.5


def test_terms_of_a_plain_file_are_rewarded_shown_and_end_episodes(terms_file):
    env = make(
        {
            "preset": "cpu",
            "reward": {"terms": {"smooth": {"use": "my_terms.py:smooth", "weight": 0.25, "k": 2.0}}},
            "termination": {"terms": {"low": {"use": "my_terms.py:low", "height": 5.0}}},
            "observation": {"terms": {"clock": "my_terms.py:clock"}},
        },
        terms_file,
    )
    assert env.observation[-1] == ObservationGroup(
        name="clock",
        size=2,
        normalize=False,
        description="time in the motion and height of the root, s and m",
    )
    assert env.obs_size == 391 + 2
    assert env.reward_range is None  # the term does not declare its range
    obs = env.playback(torch.tensor([0, 1]), torch.tensor([0.2, 0.4]))
    torch.testing.assert_close(obs[:2, -2:], torch.tensor([[0.2, 0.881416], [0.4, 0.881416]]))
    action = torch.full((4, 28), 0.1)
    step = env.step(action)
    torch.testing.assert_close(step.reward_terms["smooth"][:2], torch.ones(2))  # no action came before
    torch.testing.assert_close(step.obs[:2, -2], torch.tensor([0.2, 0.4]) + 1 / 30)
    assert step.done[:2].tolist() == [1, 1]  # the root is less than 5 m above the ground


def test_terms_see_the_action_of_the_step_before(terms_file):
    env = make(
        {"preset": "cpu", "reward": {"terms": {"smooth": {"use": "my_terms.py:smooth", "k": 2.0}}}},
        terms_file,
    )
    env.playback(torch.tensor([0, 1]), torch.tensor([0.2, 0.4]))
    action = torch.full((4, 28), 0.1)
    env.step(action)
    action.mul_(-1.0)  # an agent may reuse its memory
    later = env.step(action).reward_terms["smooth"][:2]
    torch.testing.assert_close(later, torch.exp(torch.tensor([-2.0 * 0.2**2] * 2)))
    env.playback(torch.tensor([0, 1]), torch.tensor([0.2, 0.4]))
    torch.testing.assert_close(env.step(-action).reward_terms["smooth"][:2], torch.ones(2))


def test_the_example_of_the_readme_works(tmp_path):
    section = README.read_text().partition("## Your own terms")[2].partition("\n## ")[0]
    code, settings = (
        section.partition(f"```{language}\n")[2].partition("```")[0] for language in ("python", "text")
    )
    (tmp_path / "my_terms.py").write_text(code)
    env = make(yaml.safe_load(settings)["train_tracker"]["env"], tmp_path)
    env.reset()
    step = env.step(torch.zeros(4, 28))
    assert {"pose", "smooth"} < set(step.reward_terms)
    assert "vel" not in step.reward_terms
    assert env.observation[-1].name == "clock"


def test_further_groups_are_shown_of_starts_in_training(terms_file):
    settings = {
        "preset": "cpu",
        "observation": {"terms": {"clock": "my_terms.py:clock"}},
        "episode_length_s": 0.1,
    }
    env = make(settings, terms_file)
    obs = env.reset()
    torch.testing.assert_close(obs[:, -2], env.motion_times)
    before = env.motion_times
    steps = [env.step(torch.zeros(4, 28)) for _ in range(3)]
    torch.testing.assert_close(steps[-1].final_obs[:, -2], before + 0.1)  # where the episodes ended
    torch.testing.assert_close(steps[-1].obs[:, -2], env.motion_times)  # where the next ones start


def test_a_training_with_further_groups_repeats_itself(terms_file):
    settings = {"preset": "cpu", "observation": {"terms": {"clock": "my_terms.py:clock"}}}
    one, other = make(settings, terms_file), make(settings, terms_file)
    assert torch.equal(one.reset(), other.reset())
    for _ in range(40):
        assert torch.equal(one.step(torch.zeros(4, 28)).obs, other.step(torch.zeros(4, 28)).obs)


def test_a_policy_of_a_further_group_is_refused_where_the_group_is_missing(terms_file, tmp_path):
    with_group = make({"preset": "cpu", "observation": {"terms": {"clock": "my_terms.py:clock"}}}, terms_file)
    policy = Policy(
        folder=tmp_path,
        agent="dmppo",
        skeleton="humanoid",
        observation={group.name: group.size for group in with_group.observation},
        action={"kind": "residual", "size": 28},
    )
    envs = EvaluationEnvs(registry=REGISTRY, setup=load_setup(REGISTRY, None, agent="dmppo")[0])
    with pytest.raises(DataError, match="clock 2 numbers in training, none here"):
        envs.make_agents(make({"preset": "cpu"}), policy, 1)


def test_a_name_without_an_implementation_is_refused_when_the_file_is_read():
    with pytest.raises(InvalidConfig, match=r"env\.reward\.terms\.feet"):
        env_config({"reward": {"terms": {"feet": {"weight": 0.1}}}})


def test_a_group_without_a_size_is_refused(terms_file):
    with pytest.raises(ConfigError) as caught:
        make({"observation": {"terms": {"mine": "my_terms.py:undeclared"}}}, terms_file)
    assert "observation.terms.mine: " in str(caught.value)
    assert "declares size None, expected the number of values per environment." in str(caught.value)


def test_a_group_of_another_size_than_declared_is_refused(terms_file):
    env = make({"observation": {"terms": {"mine": "my_terms.py:wrong_size"}}}, terms_file)
    with pytest.raises(ShapeError) as caught:
        env.reset()
    assert str(caught.value) == (
        "observation.terms.mine: the term returns shape [4, 1], expected [4, 3] as it declares. Change what it "
        "declares or flatten what it returns."
    )


def test_a_group_called_like_a_built_in_one_is_refused(terms_file):
    with pytest.raises(ConfigError, match=r"observation\.terms\.contacts: a built-in group has this name"):
        make({"observation": {"terms": {"contacts": "my_terms.py:clock"}}}, terms_file)


# means over 20 steps of 8 environments before terms could be chosen; the terms and their sum must stay what they were
GOLDEN = {
    "default": (
        {
            "reward": 0.790437,
            "pose": 0.919329,
            "vel": 0.041449,
            "root": 1.0,
            "root_vel": 1.0,
            "key": 0.371618,
            "body_pos": 0.893796,
            "body_rot": 0.727276,
            "contact": 0.907407,
        },
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    ),
    "cpu": (
        {
            "reward": 0.782084,
            "pose": 0.919329,
            "vel": 0.041449,
            "root": 1.0,
            "root_vel": 1.0,
            "key": 0.371618,
            "contact": 0.907407,
        },
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    ),
    "paper": (
        {
            "reward": 0.42544,
            "pose": 0.346687,
            "vel": 0.0,
            "root": 1.0,
            "root_vel": 1.0,
            "key": 8.8e-05,
            "contact": 0.002083,
        },
        [0, 5, 2, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    ),
}


@pytest.mark.parametrize("preset", ["default", "cpu", "paper"])
def test_rewards_and_ends_are_those_of_the_closed_list(preset):
    found, ends = _means({} if preset == "default" else {"preset": preset})
    expected, expected_ends = GOLDEN[preset]
    assert found == pytest.approx(expected, abs=2e-5)
    assert ends == expected_ends


def _means(settings):
    env = make(settings, num_envs=8)
    rng = torch.Generator().manual_seed(5)
    env.playback(torch.arange(8) % 2, torch.linspace(0.0, 0.5, 8))
    sums: dict[str, float] = {}
    ends = []
    for _ in range(20):
        step = env.step(0.7 * torch.randn(8, 28, generator=rng))
        ends.append(int((step.done != 0).sum()))
        for name, value in {"reward": step.reward, **step.reward_terms}.items():
            sums[name] = sums.get(name, 0.0) + float(value.mean()) / 20
    return sums, ends
