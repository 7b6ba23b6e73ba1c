"""What every tracking environment promises to agents and recorders."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
import torch

from parc_core.interfaces import Done, Parallel, TrackerEnv
from parc_testing.processes import run_threads

__all__ = ["TrackerEnvContract"]

_MAX_STEPS = 400


class TrackerEnvContract:
    """Subclass it and give a fixture `make`: ``make(num_envs=8, seed=0)`` returns a fresh env with two or more motions
    of less than 4 s; equal arguments give equal envs.

    >>> class TestMyEnv(TrackerEnvContract):
    ...     @pytest.fixture
    ...     def make(self):
    ...         return lambda num_envs=8, seed=0: MyEnv(...)
    """

    @pytest.fixture
    def make(self) -> Callable[..., TrackerEnv]:
        """A function that returns a fresh env; give your own."""
        raise NotImplementedError("give a fixture `make` that returns a function making a fresh env")

    def test_observations_have_the_declared_size_and_are_finite(self, make) -> None:
        env = make()
        obs = env.reset()
        assert obs.shape == (env.num_envs, env.obs_size)
        assert torch.isfinite(obs).all()

    def test_groups_have_different_names_and_sizes_above_zero(self, make) -> None:
        groups = make().observation
        assert len({group.name for group in groups}) == len(groups)
        assert all(group.size > 0 for group in groups)

    def test_a_step_has_the_promised_shapes(self, make) -> None:
        env = make()
        env.reset()
        step = env.step(_nothing(env))
        n = env.num_envs
        assert step.obs.shape == step.final_obs.shape == (n, env.obs_size)
        assert step.reward.shape == step.done.shape == (n,)
        assert step.done.dtype == torch.int8
        assert step.errors
        assert step.reward_terms
        for value in [*step.errors.values(), *step.reward_terms.values()]:
            assert value.shape == (n,)
            assert torch.isfinite(value).all()

    def test_final_observations_are_those_of_the_step_where_nothing_ended(self, make) -> None:
        env = make()
        env.reset()
        for _ in range(20):
            step = env.step(_nothing(env))
            going = step.done == int(Done.NULL)
            assert torch.equal(step.obs[going], step.final_obs[going])

    def test_training_episodes_end_and_restart_by_themselves(self, make) -> None:
        env = make()
        env.reset()
        ended = torch.zeros(env.num_envs, dtype=torch.bool)
        for _ in range(_MAX_STEPS):
            step = env.step(_nothing(env))
            assert torch.isfinite(step.obs).all()
            ended |= (step.done != int(Done.NULL)).cpu()
            if ended.all():
                return
        pytest.fail(f"{int((~ended).sum())} environments did not end an episode in {_MAX_STEPS} steps")

    def test_equal_seeds_give_equal_episodes(self, make) -> None:
        a, b = make(seed=3), make(seed=3)
        assert torch.equal(a.reset(), b.reset())
        for _ in range(15):
            one, other = a.step(_nothing(a)), b.step(_nothing(b))
            assert torch.equal(one.obs, other.obs)
            assert torch.equal(one.reward, other.reward)

    def test_training_goes_on_exactly_from_a_curriculum_state(self, make) -> None:
        env, other = make(seed=1), make(seed=2)
        env.reset()
        for _ in range(25):
            env.step(_nothing(env))
        state = json.loads(json.dumps(env.curriculum_state()))
        other.load_curriculum(state)
        assert torch.equal(env.reset(), other.reset())
        for _ in range(25):
            assert torch.equal(env.step(_nothing(env)).obs, other.step(_nothing(other)).obs)
        assert env.curriculum_state() == other.curriculum_state()

    def test_processes_that_train_together_agree_on_the_curriculum(self, make) -> None:
        env, other = make(seed=1), make(seed=2)
        if not env.data_parallel:
            pytest.skip("this environment is for one process")
        run_threads([env.synchronize, other.synchronize])
        for one in (env, other):
            one.reset()
            for _ in range(25):
                one.step(_nothing(one))
        run_threads([env.synchronize, other.synchronize])
        env.reseed(5)
        other.reseed(5)
        assert env.curriculum_state() == other.curriculum_state()
        assert torch.equal(env.reset(), other.reset())
        env.reseed(6)
        assert not torch.equal(env.reset(), other.reset())

    def test_one_process_synchronizes_with_nobody(self, make) -> None:
        env = make(seed=1)
        env.reset()
        for _ in range(25):
            env.step(_nothing(env))
        before = env.curriculum_state()
        env.synchronize(Parallel())
        assert env.curriculum_state() == before

    def test_playback_starts_exactly_on_the_reference(self, make) -> None:
        env = make()
        ids, times = _every_motion(env, 0.4)
        env.playback(ids, times)
        state, ref = env.read(), env.reference(ids, times)
        n = len(ids)
        torch.testing.assert_close(state.root_pos[:n], ref.root_pos, atol=1e-4, rtol=0)
        torch.testing.assert_close(state.body_pos[:n], ref.body_pos, atol=1e-4, rtol=0)
        assert torch.equal(env.motion_ids[:n], ids)
        torch.testing.assert_close(env.motion_times[:n], times)

    def test_a_noisy_playback_starts_near_the_reference_and_repeats_with_its_generator(self, make) -> None:
        env = make()
        ids, times = _every_motion(env, 0.4)
        poses = []
        for seed in (0, 0, 1):
            env.playback(ids, times, noise=torch.Generator().manual_seed(seed))
            poses.append(env.read().body_pos[: len(ids)].clone())
        off = (poses[0] - env.reference(ids, times).body_pos).norm(dim=-1).amax(dim=-1)
        assert (off > 1e-4).all()
        assert (off < 1.0).all()
        assert torch.equal(poses[0], poses[1])
        assert not torch.equal(poses[0], poses[2])

    def test_joint_noise_sets_how_far_noisy_playbacks_start_from_the_reference(self, make) -> None:
        env = make()
        ids, times = _every_motion(env, 0.4)
        off = []
        for joint_noise in (0.02, 0.2):
            env.set_joint_noise(joint_noise)
            env.playback(ids, times, noise=torch.Generator().manual_seed(0))
            difference = env.read().joint_rot[: len(ids)] - env.reference(ids, times).joint_rot
            off.append(float(difference.abs().mean()))
        # an environment without such a parameter leaves both as they are
        assert off[0] == off[1] or 2.0 * off[0] < off[1]

    def test_active_marks_the_environments_that_follow_a_motion(self, make) -> None:
        env = make()
        env.reset()
        assert env.active.shape == (env.num_envs,)
        assert env.active.dtype == torch.bool
        assert env.active.all()
        ids, times = _every_motion(env, 0.0)
        env.playback(ids, times)
        expected = torch.arange(env.num_envs) < len(ids)
        for _ in range(_MAX_STEPS):
            assert torch.equal(env.active.cpu(), expected)
            if not expected.any():
                return
            done = env.step(_nothing(env)).done.cpu()
            expected = expected & (done == int(Done.NULL))
        pytest.fail(f"{int(expected.sum())} playbacks did not end in {_MAX_STEPS} steps")

    def test_timed_parts_are_methods_of_the_environment(self, make) -> None:
        env = make()
        assert all(callable(getattr(env, method)) for method in env.timed_parts)
        assert all(part and isinstance(part, str) for part in env.timed_parts.values())

    def test_a_snapshot_shows_state_and_reference_of_one_instant(self, make) -> None:
        env = make()
        ids, times = _every_motion(env, 0.4)
        env.playback(ids, times)
        now, n = env.snapshot(), len(ids)
        assert torch.equal(now.motion_ids[:n], ids)
        torch.testing.assert_close(now.motion_times[:n], times)
        torch.testing.assert_close(now.state.body_pos[:n], now.reference.body_pos[:n], atol=1e-4, rtol=0)
        env.step(_nothing(env))
        torch.testing.assert_close(now.motion_times[:n], times)  # it stays what it was

    def test_statistics_are_json_values_and_are_cleared_by_each_call(self, make) -> None:
        env = make()
        env.reset()
        json.dumps(env.statistics())
        assert not env.statistics()

    def test_each_playback_ends_once_and_then_stands_still(self, make) -> None:
        env = make()
        ids, times = _every_motion(env, 0.0)
        env.playback(ids, times)
        count, ends = len(ids), torch.zeros(len(ids), dtype=torch.long)
        stopped = torch.zeros(len(ids))
        for _ in range(_MAX_STEPS):
            before = env.motion_times[:count].clone()
            step = env.step(_nothing(env))
            over = ends > 0
            assert torch.equal(env.motion_times[:count][over], before[over])
            ends += (step.done[:count] != int(Done.NULL)).long()
            stopped = torch.where(ends > 0, stopped, env.motion_times[:count])
            assert (step.done[count:] == int(Done.NULL)).all()
            if (ends > 0).all():
                break
        assert ends.tolist() == [1] * count
        assert (env.motion_times[:count] <= env.motion_lengths[ids] + 1.0 / env.control_hz).all()

    def test_playback_repeats_itself(self, make) -> None:
        env = make()
        ids, times = _every_motion(env, 0.2)
        runs = []
        for _ in range(2):
            obs = [env.playback(ids, times)]
            obs += [env.step(_nothing(env)).obs for _ in range(10)]
            runs.append(torch.stack(obs)[:, : len(ids)])
        assert torch.equal(runs[0], runs[1])

    def test_actions_and_servo_targets_stand_for_each_other(self, make) -> None:
        env = make()
        env.reset()
        action = 0.05 * torch.ones_like(_nothing(env))
        torch.testing.assert_close(env.action_for(env.dof_target(action)), action, atol=1e-4, rtol=0)

    def test_the_reference_rests_beyond_its_end(self, make) -> None:
        env = make()
        ids = torch.zeros(1, dtype=torch.long)
        end = env.reference(ids, env.motion_lengths[ids])
        later = env.reference(ids, env.motion_lengths[ids] + 5.0)
        torch.testing.assert_close(end.body_pos, later.body_pos)

    def test_close_may_be_called_twice(self, make) -> None:
        env = make()
        env.close()
        env.close()


def _nothing(env: TrackerEnv) -> torch.Tensor:
    return torch.zeros(env.num_envs, len(env.action.lower))


def _every_motion(env: TrackerEnv, seconds: float) -> tuple[torch.Tensor, torch.Tensor]:
    ids = torch.arange(env.num_motions)
    return ids, torch.full((env.num_motions,), seconds)
