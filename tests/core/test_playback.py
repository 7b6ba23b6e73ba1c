"""The playback loop on a task whose best actions are known."""

from __future__ import annotations

import torch

from parc_core.interfaces import Done
from parc_motion.playback import Playback
from parc_testing.contracts.recorder import ScriptedAgent
from parc_testing.fake_env import FakeTrackerEnv


def test_each_motion_is_followed_to_its_end_or_its_loss():
    env = FakeTrackerEnv(num_envs=4)
    playback = Playback(env, ScriptedAgent({0, 2}), torch.tensor([0, 1, 2]), torch.tensor([0.5, 0.0, 0.0]))
    steps = list(playback)
    assert playback.success.tolist() == [True, False, True]
    # motion 0 is 1.5 s long and starts at 0.5 s, motion 2 is 1.9 s long, at 30 steps per second
    assert playback.num_steps[[0, 2]].tolist() == [30, 57]
    assert len(steps) == 57
    torch.testing.assert_close(playback.times[[0, 2]], torch.tensor([1.5, 1.9]))
    assert 0.0 < float(playback.times[1]) < 1.0
    assert not playback.running.any()


def test_a_motion_that_has_ended_takes_no_part_in_later_steps():
    env = FakeTrackerEnv(num_envs=2)
    playback = Playback(env, ScriptedAgent({0, 2}), torch.tensor([0, 2]), torch.tensor([1.4, 0.0]))
    moved = torch.stack([playback.moved.clone() for _ in playback])
    assert moved[:, 0].tolist() == [True] * 3 + [False] * 54
    assert moved[:, 1].all()


def test_a_step_shows_how_the_motion_ended():
    env = FakeTrackerEnv(num_envs=1)
    playback = Playback(env, ScriptedAgent({0}), torch.tensor([0]), torch.tensor([0.0]))
    done = [int(step.done[0]) for step in playback]
    assert done == [int(Done.NULL)] * 44 + [int(Done.SUCCESS)]


def test_the_agent_is_told_after_the_start_was_prepared():
    env, order = FakeTrackerEnv(num_envs=1), []
    agent = ScriptedAgent({0})
    agent.start = lambda env: order.append("agent")
    Playback(env, agent, torch.tensor([0]), torch.tensor([0.0]), at_start=lambda: order.append("start"))
    assert order == ["start", "agent"]


def test_noise_perturbs_the_starts():
    env = FakeTrackerEnv(num_envs=3)
    noise = torch.Generator().manual_seed(0)
    Playback(env, ScriptedAgent(set()), torch.arange(3), torch.zeros(3), noise=noise)
    exact = env.reference(torch.arange(3), torch.zeros(3)).body_pos
    assert (env.read().body_pos - exact).abs().amax(dim=(1, 2)).min() > 1e-4
