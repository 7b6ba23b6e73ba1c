"""What every agent promises, on a small task that needs no physics."""

from __future__ import annotations

import pathlib
from collections.abc import Callable

import pytest
import torch

from parc_core.interfaces import Agent, Policy, Stopped
from parc_motion.errors import DataError
from parc_motion.storage import digest_folder
from parc_testing.context import make_context
from parc_testing.fake_env import FakeTrackerEnv

__all__ = ["AgentContract"]


class AgentContract:
    """Subclass it and give a fixture `make`: a function that returns a fresh agent.

    >>> class TestMyAgent(AgentContract):
    ...     @pytest.fixture
    ...     def make(self):
    ...         return lambda: MyAgent(MyConfig(max_samples=4096), device="cpu")

    The agent should train on the task of `FakeTrackerEnv` in a second or two (some thousand samples suffice:
    the best action is a linear function of the observation) and write at least two checkpoints on the way. What
    only concerns training is left out for agents whose `trains` is False.
    """

    @pytest.fixture
    def make(self) -> Callable[[], Agent]:
        """A function that returns a fresh agent; give your own."""
        raise NotImplementedError("give a fixture `make` that returns a function making a fresh agent")

    def test_training_writes_a_policy_that_loads(
        self, make: Callable[[], Agent], tmp_path: pathlib.Path
    ) -> None:
        env = FakeTrackerEnv()
        context = make_context(tmp_path)
        agent = make()
        policy = agent.train(env, context)
        assert policy.folder == context.folder / "policy"
        loaded = Policy.load(policy.folder)
        assert loaded.skeleton == env.skeleton.id
        assert loaded.agent
        if agent.trains:
            assert list(loaded.observation.values()) == [group.size for group in env.observation]
            assert list(loaded.observation) == [group.name for group in env.observation]
            assert loaded.num_samples > 0

    def test_actions_have_the_shape_of_the_env_and_are_finite(self, make, tmp_path) -> None:
        env, agent, obs = _trained(make, tmp_path)
        action = agent.act(env, obs, deterministic=True)
        assert action.shape == (env.num_envs, len(env.action.lower))
        assert torch.isfinite(action).all()

    def test_restored_policy_acts_as_the_trained_one(self, make, tmp_path) -> None:
        env, agent, obs = _trained(make, tmp_path)
        wanted = agent.act(env, obs, deterministic=True)
        other = make()
        other.restore(Policy.load(tmp_path / "out" / "policy"), env)
        obs = _play_all(env)
        other.start(env)
        torch.testing.assert_close(other.act(env, obs, deterministic=True), wanted, rtol=0, atol=0)

    def test_same_seed_gives_the_same_policy(self, make, tmp_path) -> None:
        digests = []
        for name in ("a", "b"):
            policy = make().train(FakeTrackerEnv(), make_context(tmp_path / name))
            digests.append(digest_folder(policy.folder))
        assert digests[0] == digests[1]

    def test_policy_of_another_observation_is_refused(self, make, tmp_path) -> None:
        if not make().trains:
            pytest.skip("an agent that plans does not depend on the observation")
        env = FakeTrackerEnv()
        policy = make().train(env, make_context(tmp_path))
        env.observation = (*env.observation[:-1],)
        with pytest.raises(DataError):
            make().restore(policy, env)

    def test_evaluation_follows_the_waves_better_than_doing_nothing(self, make, tmp_path) -> None:
        env, agent, _ = _trained(make, tmp_path)
        result = agent.evaluate(env)
        idle = _tracked_seconds_doing_nothing(FakeTrackerEnv())
        assert len(result["motions"]) == env.num_motions
        assert 0.0 <= result["success_rate"] <= 1.0
        assert sum(row["tracked_s"] for row in result["motions"]) > idle

    def test_stopped_training_goes_on_to_the_same_policy(self, make, tmp_path) -> None:
        if not make().trains:
            pytest.skip("an agent that plans has nothing to continue")
        whole = make().train(FakeTrackerEnv(), make_context(tmp_path / "whole"))
        with pytest.raises(Stopped):
            make().train(FakeTrackerEnv(), make_context(tmp_path / "parts", should_stop=_after_calls(2)))
        # another seed in the env: its generator must come back from the checkpoint
        parts = make().train(FakeTrackerEnv(seed=99), make_context(tmp_path / "parts"))
        assert digest_folder(whole.folder) == digest_folder(parts.folder)


def _trained(make, folder):
    env, agent = FakeTrackerEnv(), make()
    agent.train(env, make_context(folder))
    obs = _play_all(env)
    agent.start(env)
    return env, agent, obs


def _play_all(env: FakeTrackerEnv) -> torch.Tensor:
    ids = torch.arange(env.num_envs) % env.num_motions
    return env.playback(ids, torch.zeros(env.num_envs))


def _tracked_seconds_doing_nothing(env: FakeTrackerEnv) -> float:
    env.playback(torch.arange(env.num_motions), torch.zeros(env.num_motions))
    while env.active.any():
        env.step(torch.zeros(env.num_envs, len(env.action.lower)))
    return float(env.motion_times[: env.num_motions].sum())


def _after_calls(count: int) -> Callable[[], bool]:
    calls = iter(range(count))
    return lambda: next(calls, None) is None
