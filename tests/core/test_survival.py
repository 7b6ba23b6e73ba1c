"""Shares of starts from which an agent follows motions to their end; the env's motions have 45, 51 and 57 steps."""

import pytest
import torch

from parc_core.interfaces import Agent
from parc_core.interfaces.evaluation import evaluate, follow
from parc_core.interfaces.survival import perturbed_starts, survival, survival_report
from parc_testing.fake_env import ACTION_SCALE, FakeTrackerEnv


class Follower(Agent):
    """Follows a motion from starts at or after a time of its own, and loses it at once from others.

    Args:
        from_s: motion -> earliest start that is followed, s; motions that are not in it are always lost.
        exact: lose what does not start exactly on the reference.
    """

    def __init__(self, from_s, exact=False):
        self.from_s, self.exact = from_s, exact
        self.starts = []

    def train(self, env, ctx):
        raise NotImplementedError

    def restore(self, policy, env):
        raise NotImplementedError

    def start(self, env):
        earliest = torch.tensor([self.from_s.get(m, 1e9) for m in range(env.num_motions)])
        self.follows = env.motion_times >= earliest[env.motion_ids] - 1e-4
        self.starts += env.motion_times[env.active].tolist()
        self.first = True

    def act(self, env, obs, deterministic=True):
        assert deterministic
        if self.first and self.exact:
            self.follows &= (obs[:, :4].abs() < 1e-5).all(dim=-1)
        self.first = False
        target = obs[:, 4:8]
        away = torch.where(target > 0, -1.0, 1.0)
        return torch.where(self.follows[:, None], target / ACTION_SCALE, away)


@pytest.mark.parametrize("num_envs", [40, 200])
def test_survival_counts_every_frame_from_which_a_step_remains(num_envs):
    # motion 2 from 1.0 s on: frames 30..56
    found = survival(Follower({0: 0.0, 2: 1.0}), FakeTrackerEnv(num_envs), every=1)
    assert (found["survived"], found["starts"]) == (45 + 27, 45 + 51 + 57)
    assert found["share"] == pytest.approx(72 / 153)
    assert found["motions"] == {
        "wave_0": {"share": 1.0, "survived": 45, "starts": 45},
        "wave_1": {"share": 0.0, "survived": 0, "starts": 51},
        "wave_2": {"share": 27 / 57, "survived": 27, "starts": 57},
    }


def test_survival_of_every_tenth_frame_starts_at_the_first():
    # frames 0, 10, .. 40 of motion 0 and .. 50 of the others; motion 2 is followed from 30, 40 and 50
    found = survival(Follower({0: 0.0, 2: 1.0}), FakeTrackerEnv(), every=10)
    assert (found["survived"], found["starts"]) == (5 + 3, 5 + 6 + 6)


def test_perturbed_starts_are_off_the_reference_and_at_the_first_frame():
    agent, env = Follower({0: 0.0, 1: 0.0, 2: 0.0}), FakeTrackerEnv()
    found = perturbed_starts(agent, env, 4, torch.Generator().manual_seed(0))
    assert (found["survived"], found["starts"]) == (12, 12)
    assert agent.starts == [0.0] * 12
    exact = Follower({0: 0.0, 1: 0.0, 2: 0.0}, exact=True)
    assert perturbed_starts(exact, env, 4, torch.Generator().manual_seed(0))["survived"] == 0
    assert survival(exact, env, every=20)["share"] == 1.0


def test_a_report_has_both_shares_and_repeats_itself():
    agent = Follower({0: 0.0, 2: 1.0})
    found = survival_report(agent, FakeTrackerEnv(), every=10, perturbed=2)
    assert found["survival"]["share"] == pytest.approx(8 / 17)
    assert (found["perturbed"]["survived"], found["perturbed"]["starts"]) == (2, 6)
    assert survival_report(agent, FakeTrackerEnv(), every=10, perturbed=2) == found


def test_following_gives_a_row_per_start_in_order():
    env = FakeTrackerEnv(num_envs=2)
    ids, starts = torch.tensor([2, 0, 1]), torch.tensor([1.0, 0.5, 0.0])
    rows = follow(Follower({0: 0.0, 2: 1.0}), env, ids, starts)
    assert [(row["motion"], row["start_s"], row["success"], row["steps"]) for row in rows] == [
        ("wave_2", 1.0, True, 27), ("wave_0", 0.5, True, 30), ("wave_1", 0.0, False, 1),
    ]  # fmt: skip


def test_an_evaluation_is_what_follows_from_fractions_of_the_motions():
    found = evaluate(Follower({0: 0.0, 2: 0.9}), FakeTrackerEnv(), (0.0, 0.5))
    assert [(row["motion"], row["start_fraction"], row["success"]) for row in found["motions"]] == [
        ("wave_0", 0.0, True), ("wave_0", 0.5, True), ("wave_1", 0.0, False), ("wave_1", 0.5, False),
        ("wave_2", 0.0, False), ("wave_2", 0.5, True),
    ]  # fmt: skip
    assert found["success_rate"] == 0.5
    assert "start_s" not in found["motions"][0]
