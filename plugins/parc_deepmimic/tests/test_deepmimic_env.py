"""The environment's own rules, on a simulator without physics."""

from __future__ import annotations

import attrs
import numpy as np
import pytest
import torch

from parc_core.config import load_settings
from parc_core.errors import ConfigError
from parc_core.interfaces import CharacterState, Done
from parc_core.plugins import Registry
from parc_deepmimic.config import (
    DeepMimicConfig,
    ObservationConfig,
    RewardConfig,
    StartConfig,
    TerminationConfig,
)
from parc_deepmimic.env import DeepMimicEnv
from parc_deepmimic.evaluate.evaluation_envs import EvaluationSetup
from parc_motion.errors import DataError
from parc_motion.kinematics import rotations as rot
from parc_motion.skeletons import load_skeleton
from parc_testing.builders import make_clip, make_terrain
from parc_testing.fake_simulator import FakeSimulator

SMALL = DeepMimicConfig(observation=ObservationConfig(**DeepMimicConfig.PRESETS["cpu"]["observation"]))
EXACT = StartConfig(perturbed_frac=0.0)


def make(config=SMALL, clips=None, num_envs=6, seed=0, weights=None):
    clips = clips or [make_clip(40, name="stand"), make_clip(50, name="glide", speed=0.6)]
    return DeepMimicEnv(
        config,
        clips=clips,
        weights=np.ones(len(clips)) if weights is None else weights,
        simulator=FakeSimulator(),
        num_envs=num_envs,
        skeleton=load_skeleton("humanoid"),
        rng=torch.Generator().manual_seed(seed),
    )


def without(*names):
    """The default reward terms but these; `null` in a file."""
    return {name: use for name, use in RewardConfig().terms.items() if name not in names}


def lost(name, **changes):
    """The default terminations, one of them with other settings."""
    terms = dict(TerminationConfig().terms)
    terms[name] = attrs.evolve(terms[name], config=attrs.evolve(terms[name].complete().config, **changes))
    return TerminationConfig(terms=terms)


def nothing(env):
    return torch.zeros(env.num_envs, 28)


def test_the_default_observation_is_the_published_one():
    sizes = {group.name: (group.size, group.normalize) for group in make(DeepMimicConfig()).observation}
    assert sizes == {
        "own_state": (136, True),
        "targets": (630, True),
        "target_contacts": (90, False),
        "contacts": (15, False),
        "terrain_rays": (441, False),
    }
    assert sum(size for size, _ in sizes.values()) == 1312


@pytest.mark.parametrize(
    ("setting", "gone"),
    [
        ({"own_state": False}, "own_state"),
        ({"targets": False}, "targets"),
        ({"target_contacts": False}, "target_contacts"),
        ({"contacts": False}, "contacts"),
        ({"terrain": "none"}, "terrain_rays"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_each_group_can_be_switched_off_and_leaves_the_others_as_they_are(setting, gone):
    whole = make(DeepMimicConfig(start=EXACT))
    part = make(DeepMimicConfig(start=EXACT, observation=ObservationConfig(**setting)))
    ids, times = torch.tensor([0, 1]), torch.tensor([0.2, 0.4])
    kept = [columns for name, columns in whole._layout.columns.items() if name != gone]
    obs = whole.playback(ids, times)
    assert torch.equal(part.playback(ids, times), torch.cat([obs[:, columns] for columns in kept], dim=1))


def test_nothing_to_see_is_refused():
    with pytest.raises(ValueError, match="every group is switched off"):
        ObservationConfig(
            own_state=False, targets=False, target_contacts=False, contacts=False, terrain="none"
        )


def test_every_group_says_what_it_shows():
    for config in (DeepMimicConfig(), SMALL):
        assert all(group.description for group in make(config).observation)


def test_more_environments_than_are_observed_at_once_see_the_same():
    few, many = make(DeepMimicConfig(), num_envs=2), make(DeepMimicConfig(), num_envs=1100)
    ids, times = torch.tensor([0, 1]), torch.tensor([0.2, 0.4])
    obs = few.playback(ids, times)
    repeated = many.playback(ids.repeat(550), times.repeat(550))
    torch.testing.assert_close(repeated, obs.repeat(550, 1), atol=1e-6, rtol=0)


def test_terms_of_weight_zero_are_not_reported():
    env = make(attrs.evolve(SMALL, reward=RewardConfig(terms=without("body_pos", "key"))))
    env.reset()
    terms = set(env.step(nothing(env)).reward_terms)
    assert terms == {"pose", "vel", "root", "root_vel", "body_rot", "contact"}


def test_statistics_tell_what_ended_in_training():
    env = make(attrs.evolve(SMALL, episode_length_s=0.1, start=EXACT))
    env.reset()
    for _ in range(3):
        step = env.step(nothing(env))
    assert (step.done == Done.TIMEOUT).all()
    found = env.statistics()
    assert found["episodes"] == 6
    assert found["length_s"] == pytest.approx(0.1)
    assert found["fail_frac"] == 0.0
    assert found["fail_rates"]["classes"]["stand"]["max"] == pytest.approx(float(env.fail_rates.max()))
    assert env.statistics() == {}


def test_the_small_observation_has_391_numbers():
    assert make(SMALL).obs_size == 391


@pytest.mark.parametrize("pose", ["dof", "rot6d"])
def test_differences_are_those_to_the_reference_of_the_same_instant(pose):
    only = ObservationConfig(
        pose=pose, own_state=False, targets=False, target_contacts=False, contacts=False, terrain="none",
        differences=True,
    )  # fmt: skip
    env = make(
        attrs.evolve(SMALL, observation=only), clips=[make_clip(40, name="glide", speed=0.6)], num_envs=2
    )
    obs = env.playback(torch.zeros(2, dtype=torch.long), torch.tensor([0.2, 0.4]))
    assert obs.shape == (2, 12 + 2 * 28)
    torch.testing.assert_close(obs, torch.zeros_like(obs), atol=1e-5, rtol=0)
    for _ in range(3):
        obs = env.step(nothing(env)).obs
    state, ref = env.read(), env.reference(env.motion_ids, env.motion_times)
    # the character heads along x all the time: its heading frame has the world's axes
    torch.testing.assert_close(obs[:, :3], ref.root_pos - state.root_pos, atol=1e-5, rtol=0)
    torch.testing.assert_close(obs[:, 6:9], ref.root_vel - state.root_vel, atol=1e-5, rtol=0)
    torch.testing.assert_close(obs[:, 40:], ref.dof_vel - state.dof_vel, atol=1e-5, rtol=0)


def test_limits_are_tighter_in_training_than_in_playbacks():
    env = make(attrs.evolve(SMALL, termination=TerminationConfig(training_share=0.5), start=EXACT))
    ends = {}
    for mode in ("training", "playback"):
        if mode == "training":
            env.reset()
        else:
            env.playback(torch.tensor([0, 1]), torch.tensor([0.2, 0.4]))
        # 0.45 m in a control step: beyond half of the limit of 0.6 m, within the whole
        env.simulator._state = attrs.evolve(
            env.simulator._state, root_vel=torch.tensor([0.0, 0.0, 0.45 * 30]).repeat(6, 1)
        )
        ends[mode] = env.step(nothing(env)).done[:2].tolist()
    assert ends == {"training": [int(Done.FAIL)] * 2, "playback": [int(Done.NULL)] * 2}


@pytest.mark.parametrize("config", [DeepMimicConfig(), SMALL], ids=["published", "cpu"])
def test_turning_the_world_changes_neither_observation_nor_reward(config):
    config = attrs.evolve(config, feed_forward_s=0.0)
    flat = [make_clip(40, name="glide", speed=0.6)]
    level = attrs.evolve(flat[0], terrain=make_terrain())
    turned = _turned_about_z(level, angle=1.1)
    action = torch.randn(2, 28, generator=torch.Generator().manual_seed(1)) * 0.3
    steps = []
    for clip in (level, turned):
        env = make(config, [clip], num_envs=2)
        obs = env.playback(torch.tensor([0, 0]), torch.tensor([0.0, 0.5]))
        step = env.step(action)
        steps.append((obs, step.obs, step.reward, step.errors["body_pos"]))
    for one, other in zip(*steps):
        torch.testing.assert_close(one, other, atol=2e-4, rtol=0)


def test_a_perfect_follower_earns_the_whole_reward():
    env = make(attrs.evolve(SMALL, feed_forward_s=0.0, reward=RewardConfig(terms=without("contact"))))
    env.playback(torch.tensor([0, 1]), torch.zeros(2))
    step = env.step(nothing(env))  # the fake servo reaches the reference's pose at once
    # its joint velocities are those of the way to the pose, the reference's those of the way on from it: almost 1
    assert (step.reward[:2] > 0.999).all()
    assert (step.errors["body_pos"][:2] < 1e-4).all()


def test_residual_actions_correct_the_next_pose():
    env = make(attrs.evolve(SMALL, feed_forward_s=0.0, action_scale=0.3))
    env.playback(torch.tensor([0, 1]), torch.tensor([0.2, 0.3]))
    action = torch.zeros(6, 28)
    action[:, 9] = 0.5  # right elbow: 0.5 * 0.3 rad = 0.15 rad
    target = env.dof_target(action)
    ahead = env.reference(env.motion_ids, env.motion_times + 1 / 30)
    expected = env._library.kinematics.joint_rot_to_dof(ahead.joint_rot)
    expected[:, 9] += 0.15
    torch.testing.assert_close(target, expected, atol=1e-5, rtol=0)


def test_absolute_actions_are_held_within_the_published_bounds():
    env = make(attrs.evolve(SMALL, action_mode="absolute"))
    # abdomen: 1.2 * 90 deg = 1.885 rad; knee (0..160 deg): 80 + 0.7*160 = 192 deg = 3.351 rad, 80 - 112 = -0.559 rad
    assert env.action.upper[0] == pytest.approx(1.885, abs=1e-3)
    assert env.action.upper[17] == pytest.approx(3.351, abs=1e-3)
    assert env.action.lower[17] == pytest.approx(-0.559, abs=1e-3)
    env.reset()
    torch.testing.assert_close(env.dof_target(torch.full((6, 28), 99.0)), env.action.upper.expand(6, -1))


def test_losing_the_reference_is_a_failure_and_counts_against_the_motion():
    env = make(attrs.evolve(SMALL, termination=lost("root", max_pos=0.05), start=EXACT))
    env.reset()
    env.simulator._state = attrs.evolve(env.simulator._state, root_vel=torch.full((6, 3), 3.0))
    env.load_curriculum({**env.curriculum_state(), "fail_rates": {"stand": 0.5, "glide": 0.5}})
    step = env.step(nothing(env))
    assert (step.done == Done.FAIL).all()
    counts = torch.bincount(env.motion_ids, minlength=2)
    assert counts.sum() == 6
    assert (env.fail_rates > 0.5).any()


@pytest.mark.parametrize(("end_is_fail", "done"), [(False, Done.TIMEOUT), (True, Done.FAIL)])
def test_the_end_of_a_reference_in_training(end_is_fail, done):
    termination = TerminationConfig(end_is_fail=end_is_fail)
    env = make(attrs.evolve(SMALL, termination=termination, start=attrs.evolve(EXACT, sampling="first")))
    env.reset()
    ends = []
    for _ in range(60):
        step = env.step(nothing(env))
        ends += step.done[step.done != Done.NULL].tolist()
        if ends:
            break
    assert set(ends) == {int(done)}
    assert (env.fail_rates <= 1.0).all()
    assert env.fail_rates.min() < 1.0  # reaching the end is never held against a motion


def test_long_episodes_time_out():
    env = make(attrs.evolve(SMALL, episode_length_s=0.2, start=attrs.evolve(EXACT, sampling="first")))
    env.reset()
    for _ in range(5):
        assert (env.step(nothing(env)).done == Done.NULL).all()
    assert (env.step(nothing(env)).done == Done.TIMEOUT).all()


def test_final_observation_is_taken_before_the_reset():
    env = make(attrs.evolve(SMALL, episode_length_s=0.1, start=EXACT))
    env.reset()
    for _ in range(2):
        env.step(nothing(env))
    step = env.step(nothing(env))
    assert (step.done == Done.TIMEOUT).all()
    assert not torch.allclose(step.obs, step.final_obs)


def test_diverged_copies_fail_alone_and_start_afresh():
    env = make(attrs.evolve(SMALL, start=attrs.evolve(EXACT, sampling="first")))
    env.reset()
    env.step(nothing(env))
    env.simulator.poison(torch.tensor([1, 4]))
    step = env.step(nothing(env))
    assert step.done.tolist() == [0, 1, 0, 0, 1, 0]
    for value in [step.obs, step.final_obs, step.reward, *step.errors.values(), *step.reward_terms.values()]:
        assert torch.isfinite(value).all()
    assert env.read().finite.all()
    assert (step.reward[[1, 4]] == 0.0).all()


def test_diverged_copies_in_a_playback_fail_and_do_not_spread():
    env = make()
    env.playback(torch.tensor([0, 1, 0]), torch.zeros(3))
    env.simulator.poison(torch.tensor([1]))
    step = env.step(nothing(env))
    assert step.done.tolist() == [0, 1, 0, 0, 0, 0]
    assert env.active.tolist() == [True, False, True, False, False, False]
    assert torch.isfinite(env.step(nothing(env)).obs).all()


def test_a_playback_that_reaches_the_end_is_a_success():
    env = make(attrs.evolve(SMALL, feed_forward_s=0.0))
    env.playback(torch.tensor([1]), torch.tensor([1.0]))
    dones = [int(env.step(nothing(env)).done[0]) for _ in range(20)]
    # motion 1 is 49/30 s long: from 30/30 s it takes 19 steps
    assert dones == [0] * 18 + [int(Done.SUCCESS), 0]


def test_every_env_stands_on_the_terrain_of_its_motion():
    high = make_terrain(height=np.full((12, 10), 0.5))
    clips = [make_clip(40, name="low"), make_clip(40, name="high", terrain=high), make_clip(40, name="low2")]
    env = make(clips=clips)
    assert len(env.simulator.scene.terrains) == 2  # equal terrains are made once
    env.playback(torch.tensor([0, 1, 2, 1]), torch.zeros(4))
    assert env.simulator.terrain_ids.tolist()[:4] == [0, 1, 0, 1]


def test_the_height_under_the_root_is_seen():
    high = make_terrain(height=np.full((12, 10), 0.5))
    clips = [make_clip(40, name="low"), make_clip(40, name="high", terrain=high)]
    env = make(clips=clips)
    obs = env.playback(torch.tensor([0, 1]), torch.zeros(2))
    assert obs[0, 0] - obs[1, 0] == pytest.approx(0.5, abs=1e-5)
    last = env._layout.columns["terrain_grid"].stop - 1
    assert obs[1, last] - obs[0, last] == pytest.approx(0.5, abs=1e-5)


def test_starts_prefer_what_fails_and_keep_the_floor():
    env = make(clips=[make_clip(40, name="easy"), make_clip(40, name="hard")], num_envs=2000)
    state = env.curriculum_state()
    env.load_curriculum({**state, "fail_rates": {"easy": 0.0, "hard": 0.25}})
    env.reset()
    # shares max(0, .01) : .25, so 1 of 26 is easy: 77 of 2000, standard deviation 8.6
    assert 40 < int((env.motion_ids == 0).sum()) < 120


def test_a_tenth_of_the_starts_is_the_first_frame():
    env = make(clips=[make_clip(91, name="long")], num_envs=3000)
    env.reset()
    first = int((env.motion_times == 0).sum())
    # 10 % forced, and of the others 1 of 84 startable frames: 300 + 32, standard deviation 17
    assert 260 < first < 410
    assert float(env.motion_times.max()) <= 3.0 - 0.2 + 1e-4


def test_starts_are_noisy_in_the_configured_share():
    noise = StartConfig(perturbed_frac=0.25, sampling="first")
    env = make(attrs.evolve(SMALL, start=noise), num_envs=2000)
    env.reset()
    ref = env.reference(env.motion_ids, env.motion_times)
    off = (env.read().joint_rot - ref.joint_rot).abs().amax(dim=(1, 2)) > 1e-4
    assert 430 < int(off.sum()) < 570  # 500, standard deviation 19


@pytest.mark.parametrize(("rate", "noisy"), [(1.0, (0, 0)), (0.5, (430, 570)), (0.0, (920, 1080))])
def test_noise_comes_with_the_success_of_the_bin_that_is_started_from(rate, noisy):
    # half of all where nothing fails (1,000 of 2,000, standard deviation 22), a quarter where half fails, else none
    start = StartConfig(perturbed_frac=0.5, perturbed_when_mastered=True, sampling="first")
    env = make(attrs.evolve(SMALL, start=start), num_envs=2000)
    state = env.curriculum_state()
    state["bin_rates"] = {name: [rate] * len(bins) for name, bins in state["bin_rates"].items()}
    env.load_curriculum(state)
    env.reset()
    ref = env.reference(env.motion_ids, env.motion_times)
    off = (env.read().joint_rot - ref.joint_rot).abs().amax(dim=(1, 2)) > 1e-4
    assert noisy[0] <= int(off.sum()) <= noisy[1]


def test_unaligned_starts_are_exact_and_observations_are_continuous():
    env = make()
    obs = [env.playback(torch.tensor([1]), torch.tensor([t]))[0] for t in (0.5, 0.5001, 0.51)]
    assert env.motion_times[0] == pytest.approx(0.51)
    assert (obs[0] - obs[1]).abs().max() < 0.02
    state, ref = env.read(), env.reference(torch.tensor([1]), torch.tensor([0.51]))
    torch.testing.assert_close(state.root_pos[:1], ref.root_pos)


def test_rates_of_equal_names_are_taken_over_by_another_set():
    env, other = make(), make(clips=[make_clip(50, name="glide", speed=0.6), make_clip(20, name="new")])
    state = {**env.curriculum_state(), "fail_rates": {"stand": 0.2, "glide": 0.3}}
    before = other.curriculum_state()["rng"]
    other.load_curriculum(state)
    assert other.fail_rates.tolist() == pytest.approx([0.3, 1.0])
    assert other.curriculum_state()["rng"] == before  # another set is another run


def test_equal_names_are_refused():
    with pytest.raises(DataError, match="got two clips called 'a'; names must differ"):
        make(clips=[make_clip(10, name="a"), make_clip(10, name="a")])


def test_too_many_playbacks_are_refused():
    with pytest.raises(DataError, match="playback of 7 motions from 7 times in 6 environments"):
        make().playback(torch.zeros(7, dtype=torch.long), torch.zeros(7))


def test_unknown_body_in_the_settings_is_refused_with_those_that_exist():
    with pytest.raises(ConfigError, match="has no body 'tail'; it has pelvis, torso"):
        make(attrs.evolve(SMALL, termination=lost("body", max_pos_of={"tail": 1.0})))


def test_differences_of_rotation_axes_are_refused():
    with pytest.raises(ValueError, match="set `pose: dof`"):
        ObservationConfig(target_difference=True)


def _turned_about_z(clip, angle):
    turn = rot.yaw_quat(torch.tensor(angle))
    root_pos = rot.rotate(turn.expand(clip.num_frames, 4), torch.tensor(clip.root_pos))
    root_rot = rot.multiply(turn.expand(clip.num_frames, 4), torch.tensor(clip.root_rot))
    return attrs.evolve(clip, root_pos=root_pos.numpy(), root_rot=root_rot.numpy())


def test_fake_simulator_state_is_what_was_reset():
    sim = make(num_envs=1).simulator
    saved = sim.save_state(torch.tensor([0]))
    assert isinstance(saved, CharacterState)


def test_targets_are_seen_ahead_in_the_heading_frame():
    glide = make_clip(60, name="glide", speed=0.6)
    turned = attrs.evolve(_turned_about_z(glide, 2.0), name="turned")
    env = make(clips=[glide, turned])
    obs = env.playback(torch.tensor([0, 1]), torch.tensor([0.1, 0.5]))
    first = obs[
        :2, 81 : 81 + 3
    ]  # own state: 1 + 6 + 6 + 28 + 28 + 12 = 81 numbers; then the first target's root
    # one control step of 1/30 s at 0.6 m/s: 0.02 m straight ahead
    torch.testing.assert_close(first, torch.tensor([[0.02, 0.0, 0.0]] * 2), atol=1e-5, rtol=0)
    third = obs[
        :2, 81 + 2 * 49 : 81 + 2 * 49 + 3
    ]  # a target has 3 + 6 + 28 + 12 = 49 numbers; five steps ahead
    torch.testing.assert_close(third, torch.tensor([[0.1, 0.0, 0.0]] * 2), atol=1e-5, rtol=0)


def test_rays_see_a_step_where_it_is():
    # the root at x = 0, cells of 0.4 m centered on multiples of it: cells from 1.2 m on, thus beyond x = 1.0, are high
    height = np.zeros((12, 10))
    height[5:] = 0.3
    env = make(DeepMimicConfig(), [make_clip(40, name="step", terrain=make_terrain(height=height))])
    obs = env.playback(torch.tensor([0]), torch.zeros(1))
    ahead = obs[0, -441:].reshape(7, 63)[3] + env.read().root_pos[0, 2]
    distance = torch.arange(63) * 0.05 - 0.1
    torch.testing.assert_close(ahead, torch.where(distance > 0.99, 0.3, 0.0), atol=1e-5, rtol=0)


@pytest.mark.parametrize("preset", ["cpu", "paper"])
def test_presets_name_settings_that_exist(preset):
    text = f"env: {{use: deepmimic, preset: {preset}}}"
    settings, _ = load_settings(text, "test", EvaluationSetup, Registry.discover())
    env = make(settings.env.config)
    assert torch.isfinite(env.reset()).all()
    step = env.step(nothing(env))
    assert torch.isfinite(step.reward).all()


def test_weights_of_motions_are_handed_on_and_sum_to_one():
    env = make(clips=[make_clip(40, name="a"), make_clip(40, name="b")], weights=np.array([1.0, 3.0]))
    assert env.motion_weights.tolist() == [0.25, 0.75]


def test_in_a_playback_only_what_still_follows_is_simulated():
    env = make(clips=[make_clip(10, name="short"), make_clip(40, name="long")], num_envs=3)
    env.playback(torch.tensor([0, 1]), torch.zeros(2))
    stepped = []
    step = env.simulator.step
    env.simulator.step = lambda env_ids=None: (stepped.append(env_ids), step(env_ids))
    for _ in range(12):
        env.step(torch.zeros(3, env.action.lower.numel()))
    # the short motion ends after 9 steps; the third environment is idle throughout
    assert [ids.tolist() for ids in stepped] == [[0, 1]] * 9 + [[1]] * 3
