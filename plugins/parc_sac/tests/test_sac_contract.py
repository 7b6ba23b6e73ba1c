"""The agent keeps what every agent promises."""

import attrs
import pytest
import torch

from parc_sac.config import ModelConfig, OptimizerConfig, SacConfig
from parc_sac.sac import SacAgent
from parc_testing.contracts.agent import AgentContract

SMALL = SacConfig(
    max_samples=2048,
    steps_per_iter=1,
    updates_per_iter=8,
    batch_size=64,
    replay_size=2048,
    learning_starts=128,
    discount=0.8,
    n_steps=2,
    tau=0.1,
    policy_delay=2,
    iters_per_checkpoint=24,
    iters_per_output=8,
    reward_bounds=(0.0, 1.0),
    init_alpha=0.01,
    target_std=0.1,
    model=ModelConfig(actor_units=(32,), critic_units=(32,), num_atoms=21, critic_action_scale=4.0),
    optimizer=OptimizerConfig(learning_rate=5e-3, alpha_learning_rate=5e-3, weight_decay=0.0),
)


class TestSacAgent(AgentContract):
    @pytest.fixture
    def make(self):
        return lambda: SacAgent(SMALL, device="cpu")


class TestOverlappedUnsquashedWithAverage(AgentContract):
    @pytest.fixture
    def make(self):
        config = attrs.evolve(
            SMALL,
            overlap=True,
            average_decay=0.9,
            select="best",
            eval_every_iters=32,
            target_values="min",
            model=attrs.evolve(SMALL.model, squash=False),
        )
        return lambda: SacAgent(config, device="cpu")


def test_the_global_generator_is_not_used(tmp_path):
    from parc_testing.context import make_context
    from parc_testing.fake_env import FakeTrackerEnv

    before = torch.get_rng_state()
    SacAgent(attrs.evolve(SMALL, max_samples=512)).train(FakeTrackerEnv(), make_context(tmp_path))
    assert torch.equal(torch.get_rng_state(), before)
