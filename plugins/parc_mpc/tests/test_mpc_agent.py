"""The agent on the real task: needs the distributions parc-mujoco and parc-deepmimic beside it."""

from __future__ import annotations

import pathlib
import tempfile

import attrs
import filelock
import numpy as np
import pytest
import torch

from parc_core.interfaces import Policy
from parc_motion.errors import DataError
from parc_motion.skeletons import load_skeleton
from parc_mpc.agent import MpcAgent
from parc_mpc.config import MpcConfig
from parc_testing.builders import make_clip

mujoco_cpu = pytest.importorskip("parc_mujoco.cpu", reason="the agent plans with a simulator")
deepmimic = pytest.importorskip("parc_deepmimic.env", reason="the agent tracks in an environment")

QUICK = MpcConfig(samples=12, horizon=6, knots=3, first_iterations=1)
REAL = (
    pathlib.Path(__file__).resolve().parents[4]
    / "shared"
    / "data"
    / "parc"
    / "dec2024_teaser_717_1_opt_dm.pkl"
)


@pytest.fixture
def make_env():
    made = []

    def build(*clips, simulator=None):
        from parc_deepmimic.config import DeepMimicConfig

        env = deepmimic.DeepMimicEnv(
            DeepMimicConfig(),
            clips=clips,
            weights=np.ones(len(clips)),
            simulator=simulator or mujoco_cpu.MujocoSimulator(mujoco_cpu.MujocoConfig(), threads=1),
            num_envs=len(clips),
            skeleton=load_skeleton("humanoid"),
            rng=torch.Generator().manual_seed(0),
        )
        made.append(env)
        return env

    yield build
    for env in made:
        env.close()


def clips(count: int):
    return [make_clip(16, speed=0.1 * i, name=f"clip{i}") for i in range(count)]


def play(env, agent, steps: int, ids=None) -> torch.Tensor:
    """Actions of the first steps, ``[steps, N, A]``."""
    ids = torch.arange(env.num_envs) if ids is None else ids
    obs = env.playback(ids, torch.zeros(len(ids)))
    agent.start(env)
    actions = []
    for _ in range(steps):
        actions.append(agent.act(env, obs))
        obs = env.step(actions[-1]).obs
    return torch.stack(actions)


def test_standing_clip_is_followed_to_its_end(make_env):
    result = MpcAgent(QUICK).evaluate(make_env(*clips(1)))
    assert result["success_rate"] == 1.0


def test_a_playback_repeats_itself_bit_for_bit(make_env):
    env, agent = make_env(*clips(2)), MpcAgent(QUICK)
    assert torch.equal(play(env, agent, 4), play(env, agent, 4))


def test_plans_do_not_depend_on_who_else_is_planned_for(make_env):
    three = play(make_env(*clips(3)), MpcAgent(QUICK), 8)[:, 1]
    alone = play(make_env(clips(3)[1]), MpcAgent(QUICK), 8)[:, 0]
    other = play(make_env(clips(3)[1]), MpcAgent(attrs.evolve(QUICK, seed=1)), 8)[:, 0]
    # on some processors products of matrices round differently in batches of another size, and physics amplifies that;
    # other random numbers make a difference of the order of sigma, 0.05 rad
    assert float((three - alone).abs().max()) < 0.1 * float((other - alone).abs().max())


def test_only_expensive_plans_are_improved_again(make_env, monkeypatch):
    env, calls = make_env(*clips(2)), []
    rollout = env.simulator.rollout
    monkeypatch.setattr(env.simulator, "rollout", lambda *args: (calls.append(1), rollout(*args))[1])
    # the first step is improved `first_iterations` times, here once; then once, or twice where no cost is good enough
    play(env, MpcAgent(attrs.evolve(QUICK, iterations=2, good_cost=1e9)), 4)
    assert len(calls) == 1 + 3
    calls.clear()
    play(env, MpcAgent(attrs.evolve(QUICK, iterations=2, good_cost=0.0)), 4)
    assert len(calls) == 1 + 3 * 2


def test_two_seconds_of_a_published_run_are_followed_closely(make_env):
    source = pytest.importorskip("parc_data.parc_ms", reason="reads the published file")
    if not REAL.is_file():
        pytest.skip("the published motion-terrain file is not beside the repository")
    skeleton = load_skeleton("humanoid")
    settings = source.PublishedConfig(path=str(REAL), cut_s=(0.0, 2.0))
    (clip,) = source.PublishedSource(settings, skeleton=skeleton, seeds=None).clips()
    result = MpcAgent(MpcConfig()).evaluate(make_env(clip))
    assert result["success_rate"] == 1.0
    assert result["errors"]["root_pos"] < 0.1
    assert result["errors"]["body_pos"] < 0.1


@pytest.fixture
def warp_simulator():
    """Simulator `mujoco_warp` on the CPU; its kernels take about 25 s to compile where no cache has them."""
    reason = "MuJoCo Warp is not installed: pip install 'parc-mujoco[warp]'"
    warp = pytest.importorskip("warp", reason=reason)
    pytest.importorskip("mujoco_warp", reason=reason)
    from parc_mujoco.config import MujocoWarpConfig
    from parc_mujoco.warp.provider import mujoco_warp

    # few steps: compiling without optimization takes half as long; test workers must not compile side by side
    before, warp.config.optimization_level = warp.config.optimization_level, 0
    with filelock.FileLock(pathlib.Path(tempfile.gettempdir()) / "parc_warp_kernels.lock"):
        yield mujoco_warp(MujocoWarpConfig(), device="cpu")
    warp.config.optimization_level = before


def test_plans_on_mujoco_warp_are_those_on_mujoco(make_env, warp_simulator):
    settings = attrs.evolve(QUICK, samples=4, horizon=4, knots=2)
    on_warp = play(make_env(*clips(2), simulator=warp_simulator), MpcAgent(settings), 2)
    on_mujoco = play(make_env(*clips(2)), MpcAgent(settings), 2)
    assert on_mujoco.abs().max() > 0.01
    # single precision there, double here, and the feet touch the ground
    assert torch.allclose(on_warp, on_mujoco, atol=5e-3)


def test_environments_that_are_not_followed_are_not_simulated(make_env, monkeypatch):
    env, agent, sizes = make_env(*clips(3)), MpcAgent(QUICK), []
    rollout = env.simulator.rollout

    def counted(states, copies, targets):
        sizes.append(len(targets) // copies)
        return rollout(states, copies, targets)

    monkeypatch.setattr(env.simulator, "rollout", counted)
    play(env, agent, 1, ids=torch.tensor([0, 2]))
    assert sizes == [2]


def test_escalated_settings_change_the_plan_from_the_next_start_on(make_env):
    env, agent = make_env(*clips(1)), MpcAgent(QUICK)
    first = play(env, agent, 2)
    agent.escalate(1)
    assert not torch.equal(play(env, agent, 2), first)
    agent.escalate(0)
    assert torch.equal(play(env, agent, 2), first)
    assert agent.num_attempts == 4


def test_training_writes_a_policy_without_weights_that_can_be_restored(make_env, tmp_path):
    @attrs.frozen
    class Ctx:
        folder = tmp_path

    env, agent = make_env(*clips(1)), MpcAgent(QUICK)
    policy = agent.train(env, Ctx())
    assert [file.name for file in policy.folder.iterdir()] == ["policy.json"]
    agent.restore(Policy.load(policy.folder), env)
    with pytest.raises(DataError, match="a policy of agent 'ppo'"):
        agent.restore(attrs.evolve(policy, agent="ppo"), env)
