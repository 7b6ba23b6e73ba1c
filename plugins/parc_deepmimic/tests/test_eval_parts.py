"""What evaluations are made of: settings, policies, clips, intervals."""

from __future__ import annotations

import attrs
import pytest
import torch

from parc_core.config import dump
from parc_core.errors import ConfigError, UnknownProvider
from parc_core.interfaces import Policy
from parc_core.plugins import Registry
from parc_deepmimic.evaluate.clips import load_clips, load_files
from parc_deepmimic.evaluate.evaluation_envs import EvaluationEnvs, EvaluationSetup
from parc_deepmimic.evaluate.intervals import bootstrap_ratio, wilson
from parc_deepmimic.evaluate.trained_in import find_policy, load_setup
from parc_motion.clips import DatasetEntry, MotionDataset, save_clip
from parc_motion.errors import DataError, SkeletonMismatch
from parc_motion.skeletons import load_skeleton
from parc_motion.storage import digest_file, write_json, write_text
from parc_testing.builders import make_clip
from parc_testing.fake_env import FakeTrackerEnv

REGISTRY = Registry.discover()
SKELETON = load_skeleton("humanoid")
CPU_GROUPS = {"own_state": 81, "targets": 147, "target_contacts": 45, "contacts": 15, "terrain_grid": 35}


def make_policy(folder, agent="ppo", **fields):
    action = {"kind": "residual", "size": 28}
    given = {"skeleton": "humanoid", "observation": CPU_GROUPS, "action": action, **fields}
    return Policy(folder=folder, agent=agent, **given).save()


def task(**env):
    return {
        "character": "humanoid",
        "env": {"use": "deepmimic", **env},
        "simulator": {"use": "mujoco", "num_envs": 32},
        "agent": {"use": "ppo", "max_samples": 77},
    }


# --- intervals


def test_wilsons_interval_of_known_shares():
    # 8 of 10 and 0 of 10 as tables of the score interval give them
    assert wilson(8, 10) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert wilson(0, 10) == pytest.approx((0.0, 0.2775), abs=1e-4)
    assert wilson(0, 0) == (None, None)


def test_motions_are_drawn_again_as_wholes():
    # of two motions, one always followed: a resample holds none, one or two of it
    assert bootstrap_ratio([10, 0], [10, 10]) == (0.0, 1.0)
    assert bootstrap_ratio([1.0, 1.0], [4.0, 4.0]) == (0.25, 0.25)
    assert bootstrap_ratio([3], [4]) == (None, None)


def test_a_share_of_one_is_no_certainty():
    assert bootstrap_ratio([5] * 10, [5] * 10, is_share=True) == pytest.approx((0.7225, 1.0), abs=1e-4)


# --- settings


def test_settings_are_those_that_the_policy_records(tmp_path):
    policy = make_policy(tmp_path, extra={"trained_in": task(preset="cpu", action_scale=0.5)})
    setup, source = load_setup(REGISTRY, policy)
    assert (setup.env.config.action_scale, setup.agent.config.max_samples) == (0.5, 77)
    assert source == str(tmp_path / "policy.json")


def test_recorded_settings_can_be_changed(tmp_path):
    policy = make_policy(tmp_path, extra={"trained_in": task()})
    setup, _ = load_setup(REGISTRY, policy, overrides=["env.action_scale=0.7", "simulator.kd_scale=0.5"])
    assert (setup.env.config.action_scale, setup.simulator.config.kd_scale) == (0.7, 0.5)


def test_what_a_settings_class_dumps_is_read_back(tmp_path):
    wanted, _ = load_setup(REGISTRY, None, agent="mpc", overrides=["env.preset=cpu"])
    recorded = {name: dump(getattr(wanted, name)) for name in ("env", "simulator", "agent", "character")}
    policy = make_policy(tmp_path, agent="mpc", extra={"trained_in": recorded})
    assert load_setup(REGISTRY, policy)[0] == wanted


def test_settings_beside_the_policy_serve_where_it_records_none(tmp_path):
    policy = make_policy(tmp_path / "policy")
    write_json(tmp_path / "env.yaml", {key: task(action_scale=0.4)[key] for key in ("env", "simulator")})
    write_json(tmp_path / "agent.yaml", {"agent": {"use": "ppo", "max_samples": 5}})
    setup, source = load_setup(REGISTRY, policy)
    assert (setup.env.config.action_scale, setup.agent.config.max_samples) == (0.4, 5)
    assert source == str(tmp_path / "env.yaml")


def test_an_iteration_file_goes_before_what_the_policy_records(tmp_path):
    policy = make_policy(tmp_path / "policy", extra={"trained_in": task(action_scale=0.5)})
    file = tmp_path / "x.yaml"
    write_text(file, "parc: 1\nname: x\ntrain_tracker:\n  env: {use: deepmimic, action_scale: 0.6}\n")
    setup, source = load_setup(REGISTRY, policy, env_from=file)
    assert (setup.env.config.action_scale, source) == (0.6, str(file))


def test_settings_of_another_agent_are_not_taken_for_the_policys(tmp_path):
    policy = make_policy(tmp_path, agent="dmppo", extra={"trained_in": task()})
    setup, _ = load_setup(REGISTRY, policy)
    assert setup.agent.name == "dmppo"
    assert setup.agent.config.max_samples != 77


def test_a_policy_that_nobody_knows_the_environment_of_needs_one(tmp_path):
    policy = make_policy(tmp_path)
    with pytest.raises(DataError, match=r"policy\.json: does not say in which environment .* --env-from"):
        load_setup(REGISTRY, policy)
    assert load_setup(REGISTRY, policy, overrides=["env.preset=cpu"])[1] == "defaults"


def test_a_place_without_settings_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="no settings of a tracker here"):
        load_setup(REGISTRY, None, agent="mpc", env_from=tmp_path)
    write_text(tmp_path / "clips.yaml", "motions: []\n")
    with pytest.raises(ConfigError, match="says neither `train_tracker` nor `env`"):
        load_setup(REGISTRY, None, agent="mpc", env_from=tmp_path / "clips.yaml")


# --- policies


def test_a_policy_is_found_in_its_run(tmp_path):
    policy = make_policy(tmp_path / "iter_001" / "p3_tracker" / "policy")
    for place in (policy.folder, policy.folder.parent, tmp_path / "iter_001"):
        assert find_policy(place).folder == policy.folder
    with pytest.raises(DataError, match=r"no policy here .* --agent mpc"):
        find_policy(tmp_path)


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"skeleton": "arm", "observation": {}}, "dof_error none numbers in training, 4 here"),
        (
            {"skeleton": "arm", "observation": {"dof_error": 4, "target": 9, "contacts": 1}},
            "target 9 numbers in",
        ),
        (
            {"skeleton": "arm", "observation": {"target": 4, "dof_error": 4, "contacts": 1}},
            "the order target, dof_",
        ),
        ({"skeleton": "humanoid"}, "made for character 'humanoid', but 'arm' is simulated"),
    ],
)
def test_a_policy_that_does_not_fit_is_refused_and_the_group_named(tmp_path, fields, text):
    envs = EvaluationEnvs(registry=REGISTRY, setup=attrs.evolve(load_setup(REGISTRY, None, agent="ppo")[0]))
    with pytest.raises(DataError, match=text):
        envs.make_agents(FakeTrackerEnv(), make_policy(tmp_path, **fields), 1)


def test_an_agent_that_was_trained_needs_its_policy():
    setup, _ = load_setup(REGISTRY, None, agent="ppo")
    with pytest.raises(DataError, match="agent 'ppo' needs a trained policy"):
        EvaluationEnvs(registry=REGISTRY, setup=setup).make_agents(FakeTrackerEnv(), None, 1)


def test_an_agent_with_a_seed_is_made_once_for_each():
    setup, _ = load_setup(REGISTRY, None, agent="random", overrides=["agent.seed=5"])
    agents = EvaluationEnvs(registry=REGISTRY, setup=setup).make_agents(FakeTrackerEnv(), None, 3)
    env = FakeTrackerEnv()
    actions = []
    for agent in agents:
        agent.start(env)
        actions.append(agent.act(env, torch.zeros(env.num_envs, env.obs_size)))
    other, _ = load_setup(REGISTRY, None, agent="random", overrides=["agent.seed=6"])
    (seed_6,) = EvaluationEnvs(registry=REGISTRY, setup=other).make_agents(env, None, 1)
    seed_6.start(env)
    assert torch.equal(actions[1], seed_6.act(env, torch.zeros(env.num_envs, env.obs_size)))
    assert not torch.equal(actions[0], actions[1])
    assert len(actions) == 3
    steady = EvaluationEnvs(registry=REGISTRY, setup=EvaluationSetup()).make_agents(FakeTrackerEnv(), None, 3)
    assert len(steady) == 1


# --- clips


def write_clips(folder, *names, **fields):
    for name in names:
        save_clip(folder / f"{name}.npz", make_clip(name=name, **fields))
    return folder


def test_clips_come_from_files_folders_manifests_and_sources(tmp_path):
    folder = write_clips(tmp_path / "lean", "a", "b", motion_class="")
    file = write_clips(tmp_path / "more", "c", motion_class="stand") / "c.npz"
    entry = DatasetEntry(
        file=write_clips(tmp_path / "set", "d", motion_class="") / "d.npz",
        name="d", motion_class="listed", num_frames=30, fps=30.0, digest=digest_file(tmp_path / "set" / "d.npz"),
    )  # fmt: skip
    manifest = tmp_path / "dataset.yaml"
    MotionDataset(entries=(entry,)).save(manifest)
    given = [str(folder), str(file), str(manifest), "{use: procedural, classes: [run]}"]
    clips = load_clips(given, REGISTRY, SKELETON)
    assert [(clip.name, clip.motion_class) for clip in clips[:4]] == [
        ("a", "lean"), ("b", "lean"), ("c", "stand"), ("d", "listed"),
    ]  # fmt: skip
    assert {clip.motion_class for clip in clips[4:]} == {"run"}


def test_a_data_set_that_is_not_there_is_refused():
    with pytest.raises(DataError, match="no/clips: no such file or folder"):
        load_clips(["no/clips"], REGISTRY, SKELETON)
    with pytest.raises(ConfigError, match=r"closest +procedural"):
        load_clips(["procedurel"], REGISTRY, SKELETON)


def test_clips_of_equal_names_are_refused(tmp_path):
    given = [str(write_clips(tmp_path / name, "a")) for name in ("x", "y")]
    with pytest.raises(DataError, match="holds 2 clips called 'a'"):
        load_clips(given, REGISTRY, SKELETON)


def test_clips_of_another_character_are_refused(tmp_path):
    folder = write_clips(tmp_path, "a", skeleton="robot")
    with pytest.raises(SkeletonMismatch, match="clip 'a' was made for character 'robot'"):
        load_clips([str(folder)], REGISTRY, SKELETON)


def test_a_run_folder_is_no_data_set(tmp_path):
    write_text(tmp_path / "config.yaml", "parc: 1\n")
    with pytest.raises(DataError, match=r"a run, which holds .*/dataset\.yaml"):
        load_files(tmp_path)


def test_an_unknown_agent_is_explained():
    with pytest.raises((ConfigError, UnknownProvider), match="no agent is called 'mpcc'"):
        load_setup(REGISTRY, None, agent="mpcc")
