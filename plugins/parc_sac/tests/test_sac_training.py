"""Trainings that are interrupted, that diverge, that go on from a policy, and settings that cannot work."""

import random

import attrs
import pytest
import torch

from parc_core.errors import ConfigError, StageFailed, TrainingDiverged
from parc_core.interfaces import Policy, Stopped
from parc_motion.errors import DataError
from parc_motion.storage import digest_folder, read_tensors
from parc_sac.config import ModelConfig, OptimizerConfig, SacConfig
from parc_sac.policy_io import load_network
from parc_sac.sac import SacAgent
from parc_testing.context import make_context
from parc_testing.fake_env import FakeTrackerEnv

SMALL = SacConfig(
    max_samples=1024,
    updates_per_iter=2,
    batch_size=32,
    replay_size=640,  # it forgets on the way
    learning_starts=64,
    discount=0.8,
    n_steps=3,
    policy_delay=2,
    iters_per_checkpoint=4,
    iters_per_output=3,
    reward_bounds=(0.0, 1.0),
    eval_every_iters=5,
    average_decay=0.9,
    select="best",
    overlap=True,
    model=ModelConfig(actor_units=(16,), critic_units=(16,), num_atoms=11),
    optimizer=OptimizerConfig(learning_rate=5e-3, final_fraction=0.5),
)


def stop_after(calls: int):
    left = iter(range(calls))
    return lambda: next(left, None) is None


def train(folder, config=SMALL, **context):
    agent = SacAgent(config)
    return agent, agent.train(FakeTrackerEnv(), make_context(folder, **context))


@pytest.mark.parametrize("overlap", [True, False])
def test_five_random_interruptions_change_no_bit(tmp_path, overlap):
    config = attrs.evolve(SMALL, overlap=overlap, max_samples=2048)
    _, whole = train(tmp_path / "whole", config)
    rng = random.Random(0)
    for _ in range(5):
        with pytest.raises(Stopped):
            # of 64 iterations, with a checkpoint every 4
            train(tmp_path / "parts", config, should_stop=stop_after(rng.randint(5, 14)))
    _, parts = train(tmp_path / "parts", config)
    assert digest_folder(whole.folder) == digest_folder(parts.folder)
    last = [make_context(tmp_path / name).checkpoints.latest() for name in ("whole", "parts")]
    assert last[0].state == last[1].state
    assert set(last[0].tensors) == set(last[1].tensors)
    for name, tensor in last[0].tensors.items():  # the replay among them
        assert torch.equal(tensor, last[1].tensors[name]), name
    assert "replay/obs" in last[0].tensors


def test_another_seed_gives_another_policy(tmp_path):
    one, two = (train(tmp_path / str(seed), seed=seed)[1] for seed in (0, 1))
    assert digest_folder(one.folder) != digest_folder(two.folder)


def test_training_goes_on_from_a_policy_whose_normalizer_stays(tmp_path):
    _, first = train(tmp_path / "first")
    agent, env = SacAgent(attrs.evolve(SMALL, select="last", average_decay=0.0)), FakeTrackerEnv()
    agent.restore(first, env)
    second = agent.train(env, make_context(tmp_path / "second", seed=5))
    before, after = (read_tensors(policy.folder / "policy.safetensors") for policy in (first, second))
    changed = {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"actor", "critics", "target_critics", "log_alpha"}


def test_only_critics_learn_before_actor_starts(tmp_path):
    config = attrs.evolve(SMALL, actor_starts=10_000, select="last", average_decay=0.0, eval_every_iters=0)
    _, policy = train(tmp_path, config)
    start = SacAgent(attrs.evolve(config, max_samples=32, learning_starts=10_000))
    untrained = start.train(FakeTrackerEnv(), make_context(tmp_path / "untrained"))
    before, after = (read_tensors(each.folder / "policy.safetensors") for each in (untrained, policy))
    changed = {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"normalizer", "critics", "target_critics"}


def test_the_best_policy_is_kept_and_said(tmp_path):
    agent, policy = train(tmp_path)
    kept = policy.extra["kept"]
    assert kept["select"] == "best" and 0 < kept["samples"] <= 1024
    assert policy.extra["evaluation"]["motions"]
    env = FakeTrackerEnv()
    network, _ = load_network(policy, SMALL, env, "cpu")
    obs = env.reset()
    torch.testing.assert_close(agent.act(env, obs), network.act(obs), rtol=0, atol=0)


def test_divergence_goes_back_once_and_then_ends(tmp_path, monkeypatch, caplog):
    from parc_sac import trainer

    calls, real = [], trainer.learn

    def learn(state, config, **options):
        calls.append(state.learning_rate_factor)
        if len(calls) in (9, 20):
            with torch.no_grad():
                state.network.actor.net[0].weight[0, 0] = float("nan")
        return real(state, config, **options)

    monkeypatch.setattr(trainer, "learn", learn)
    with pytest.raises(
        TrainingDiverged, match=r"gone back to the checkpoint at 256 samples.*learning_rate=0\.00125"
    ):
        train(tmp_path)
    assert "It goes back to the checkpoint at 256 samples, once" in caplog.text
    assert set(calls[:9]) == {1.0} and set(calls[9:]) == {0.5}


def test_checkpoint_of_other_networks_is_refused(tmp_path):
    with pytest.raises(Stopped):
        train(tmp_path, should_stop=stop_after(6))
    other = attrs.evolve(SMALL, model=attrs.evolve(SMALL.model, actor_units=(8,)))
    with pytest.raises(DataError, match="Set them back, or remove the checkpoints"):
        train(tmp_path, other)


def test_checkpoint_of_a_larger_replay_is_refused(tmp_path):
    with pytest.raises(Stopped):
        train(tmp_path, should_stop=stop_after(20))
    with pytest.raises(DataError, match=r"expected at most 10 for 32\. Set num_envs and replay_size back"):
        train(tmp_path, attrs.evolve(SMALL, replay_size=320))


def test_replay_that_is_too_small_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"replay_size is 100, that is 3 for each of 32.*at least 192"):
        train(tmp_path, attrs.evolve(SMALL, replay_size=100))


def test_unknown_rewards_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="Set reward_bounds"):
        train(tmp_path, attrs.evolve(SMALL, reward_bounds="auto"))


def test_policy_of_another_agent_is_refused(tmp_path):
    _, policy = train(tmp_path)
    with pytest.raises(DataError, match="made by agent 'dmppo'; this agent takes over policies of sac"):
        SacAgent(SMALL).restore(attrs.evolve(policy, agent="dmppo"), FakeTrackerEnv())


def test_policy_that_describes_no_network_is_refused(tmp_path):
    _, policy = train(tmp_path)
    for extra in ({}, {**policy.extra, "model": {"actor_units": [0]}}):
        with pytest.raises(DataError, match="describes no network"):
            SacAgent(SMALL).restore(attrs.evolve(policy, extra=extra), FakeTrackerEnv())
    other = {**policy.extra, "model": {**policy.extra["model"], "actor_units": [8]}}
    with pytest.raises(DataError, match="does not fit the network"):
        SacAgent(SMALL).restore(attrs.evolve(policy, extra=other), FakeTrackerEnv())


def test_acting_without_a_policy_is_an_error():
    env = FakeTrackerEnv()
    with pytest.raises(StageFailed, match="Call train or restore first"):
        SacAgent(SMALL).act(env, env.reset())
    with pytest.raises(StageFailed, match="no training whose policy"):
        SacAgent(SMALL).write_policy(None)


def test_fail_rates_lie_beside_the_checkpoints(tmp_path):
    train(tmp_path)
    written = sorted(path.name for path in (tmp_path / "out").glob("fail_rates_*.json"))
    assert "fail_rates_0.json" in written and "fail_rates_1024.json" in written


@pytest.mark.parametrize("name", ["actor_units", "critic_units"])
def test_networks_without_hidden_layers_are_refused(name):
    with pytest.raises(ConfigError, match=f"agent.model.{name} is empty"):
        ModelConfig(**{name: ()})


def test_policy_loads_after_a_copy(tmp_path):
    agent, policy = train(tmp_path)
    env = FakeTrackerEnv()
    other = SacAgent(attrs.evolve(SMALL, model=ModelConfig()))  # the policy brings its own networks
    other.restore(Policy.load(policy.folder), env)
    obs = env.reset()
    torch.testing.assert_close(other.act(env, obs), agent.act(env, obs), rtol=0, atol=0)
    other.start(env)
    sampled = other.act(env, obs, deterministic=False)
    assert not torch.equal(sampled, other.act(env, obs))
    other.start(env)
    assert torch.equal(other.act(env, obs, deterministic=False), sampled)
