"""What every agent promises, on a small task that needs no physics."""

from __future__ import annotations

import math
import pathlib
from collections.abc import Callable

import pytest
import torch

from parc_core.interfaces import Agent, Policy, Stopped
from parc_motion.errors import DataError
from parc_motion.storage import digest_folder
from parc_testing.context import KeptMetrics, make_context
from parc_testing.fake_env import FakeTrackerEnv

__all__ = ["AgentContract"]


class AgentContract:
    """Subclass it and give a fixture `make`: a function that returns a fresh agent.

    >>> class TestMyAgent(AgentContract):
    ...     @pytest.fixture
    ...     def make(self):
    ...         return lambda: MyAgent(MyConfig(max_samples=4096), device="cpu")

    The agent should train on the task of `FakeTrackerEnv` in a second or two (some thousand samples suffice:
    the best action is a linear function of the observation) and write at least two checkpoints on the way. Tests
    that only concern training are skipped for agents whose `trains` is False.
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
        assert loaded.agent == agent.name != ""
        if agent.trains:
            assert list(loaded.observation.values()) == [group.size for group in env.observation]
            assert list(loaded.observation) == [group.name for group in env.observation]
            assert loaded.num_samples > 0

    def test_actions_have_the_shape_of_the_env_and_are_finite(
        self, make: Callable[[], Agent], tmp_path: pathlib.Path
    ) -> None:
        env, agent, obs = _trained(make, tmp_path)
        action = agent.act(env, obs, deterministic=True)
        assert action.shape == (env.num_envs, len(env.action.lower))
        assert torch.isfinite(action).all()

    def test_equal_playbacks_get_equal_actions(
        self, make: Callable[[], Agent], tmp_path: pathlib.Path
    ) -> None:
        env, agent, obs = _trained(make, tmp_path)
        first = _actions(agent, env, obs, steps=3)
        obs = _play_all(env)
        agent.start(env)
        torch.testing.assert_close(_actions(agent, env, obs, steps=3), first, rtol=0, atol=0)

    def test_actions_are_finite_where_some_environments_follow_nothing(
        self, make: Callable[[], Agent], tmp_path: pathlib.Path
    ) -> None:
        env, agent, _ = _trained(make, tmp_path)
        obs = env.playback(torch.zeros(1, dtype=torch.int64), torch.zeros(1))
        agent.start(env)
        assert env.active.tolist() == [True] + [False] * (env.num_envs - 1)
        assert torch.isfinite(agent.act(env, obs)).all()

    def test_every_attempt_acts_and_attempt_0_is_the_configured_one(
        self, make: Callable[[], Agent], tmp_path: pathlib.Path
    ) -> None:
        env, agent, obs = _trained(make, tmp_path)
        configured = agent.act(env, obs)
        assert agent.num_attempts >= 1
        for attempt in range(agent.num_attempts):
            agent.escalate(attempt)
            obs = _play_all(env)
            agent.start(env)
            assert torch.isfinite(agent.act(env, obs)).all()
        agent.escalate(0)
        obs = _play_all(env)
        agent.start(env)
        torch.testing.assert_close(agent.act(env, obs), configured, rtol=0, atol=0)

    def test_seed_changes_the_actions_of_a_seeded_agent_and_seed_0_is_the_configured_one(
        self, make: Callable[[], Agent], tmp_path: pathlib.Path
    ) -> None:
        if not make().is_seeded:
            pytest.skip("actions of this agent do not depend on a seed")
        env, agent, obs = _trained(make, tmp_path)
        found = [agent.act(env, obs)]
        for number in (1, 0):
            agent.reseed(number)
            obs = _play_all(env)
            agent.start(env)
            found.append(agent.act(env, obs))
        assert not torch.equal(found[1], found[0])
        torch.testing.assert_close(found[2], found[0], rtol=0, atol=0)

    def test_metrics_of_training_are_finite_and_called_tracker(
        self, make: Callable[[], Agent], tmp_path: pathlib.Path
    ) -> None:
        if not make().trains:
            pytest.skip("an agent that plans writes no metrics of training")
        context = make_context(tmp_path)
        make().train(FakeTrackerEnv(), context)
        assert isinstance(context.metrics, KeptMetrics)
        written = {name: value for _, row in context.metrics.rows for name, value in row.items()}
        assert written
        assert {name for name in written if not name.startswith("tracker/")} == set()
        assert {name: value for name, value in written.items() if not math.isfinite(value)} == {}
        times = [value for name, value in written.items() if name.startswith("tracker/time/")]
        assert all(value >= 0.0 for value in times)

    def test_restored_policy_acts_as_the_trained_one(
        self, make: Callable[[], Agent], tmp_path: pathlib.Path
    ) -> None:
        env, agent, obs = _trained(make, tmp_path)
        wanted = agent.act(env, obs, deterministic=True)
        other = make()
        other.restore(Policy.load(tmp_path / "out" / "policy"), env)
        obs = _play_all(env)
        other.start(env)
        torch.testing.assert_close(other.act(env, obs, deterministic=True), wanted, rtol=0, atol=0)

    def test_same_seed_gives_the_same_policy(self, make: Callable[[], Agent], tmp_path: pathlib.Path) -> None:
        digests = []
        for name in ("a", "b"):
            policy = make().train(FakeTrackerEnv(), make_context(tmp_path / name))
            digests.append(digest_folder(policy.folder))
        assert digests[0] == digests[1]

    def test_policy_of_another_observation_is_refused(
        self, make: Callable[[], Agent], tmp_path: pathlib.Path
    ) -> None:
        if not make().trains:
            pytest.skip("an agent that plans does not depend on the observation")
        env = FakeTrackerEnv()
        policy = make().train(env, make_context(tmp_path))
        env.observation = (*env.observation[:-1],)
        with pytest.raises(DataError):
            make().restore(policy, env)

    def test_evaluation_follows_the_waves_better_than_doing_nothing(
        self, make: Callable[[], Agent], tmp_path: pathlib.Path
    ) -> None:
        env, agent, _ = _trained(make, tmp_path)
        result = agent.evaluate(env)
        idle = _tracked_seconds_doing_nothing(FakeTrackerEnv())
        assert len(result["motions"]) == env.num_motions
        assert 0.0 <= result["success_rate"] <= 1.0
        assert sum(row["tracked_s"] for row in result["motions"]) > idle

    def test_robustness_counts_every_start(self, make: Callable[[], Agent], tmp_path: pathlib.Path) -> None:
        env, agent, _ = _trained(make, tmp_path)
        found = agent.robustness(env, every=10, tries=2)
        assert set(found) == {"survival", "perturbed"}
        assert found["perturbed"]["starts"] == 2 * env.num_motions
        assert found["survival"]["starts"] >= env.num_motions
        assert all(0 <= part["survived"] <= part["starts"] for part in found.values())
        assert agent.robustness(env) == {}

    def test_stopped_training_goes_on_to_the_same_policy(
        self, make: Callable[[], Agent], tmp_path: pathlib.Path
    ) -> None:
        if not make().trains:
            pytest.skip("an agent that plans has nothing to continue")
        whole = make().train(FakeTrackerEnv(), make_context(tmp_path / "whole"))
        with pytest.raises(Stopped):
            make().train(FakeTrackerEnv(), make_context(tmp_path / "parts", should_stop=_after_calls(2)))
        # another seed in the env: its generator must come back from the checkpoint
        parts = make().train(FakeTrackerEnv(seed=99), make_context(tmp_path / "parts"))
        assert digest_folder(whole.folder) == digest_folder(parts.folder)


def _trained(make: Callable[[], Agent], folder: pathlib.Path) -> tuple[FakeTrackerEnv, Agent, torch.Tensor]:
    env, agent = FakeTrackerEnv(), make()
    agent.train(env, make_context(folder))
    obs = _play_all(env)
    agent.start(env)
    return env, agent, obs


def _actions(agent: Agent, env: FakeTrackerEnv, obs: torch.Tensor, steps: int) -> torch.Tensor:
    """Actions of the first control steps of a playback, ``[steps, N, A]``."""
    found = []
    for _ in range(steps):
        found.append(agent.act(env, obs).clone())
        obs = env.step(found[-1]).obs
    return torch.stack(found)


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
