"""The agents keep what every agent promises."""

import attrs
import pytest

from parc_ppo.config import DmPpoConfig, ModelConfig, OptimizerConfig, PpoConfig
from parc_ppo.dmppo import DmPpoAgent
from parc_ppo.ppo import PpoAgent
from parc_testing.contracts.agent import AgentContract

SMALL = {
    "max_samples": 4 * 512,
    "steps_per_iter": 16,
    "batch_size": 128,
    "iters_per_checkpoint": 2,
    "iters_per_output": 2,
    "model": ModelConfig(actor_net="mlp_32", critic_net="mlp_32", activation="elu", actor_std_type="FIXED"),
    "optimizer": OptimizerConfig(learning_rate=5e-3),
    "exp_prob_end": 1.0,
}


class TestPpoAgent(AgentContract):
    @pytest.fixture
    def make(self):
        return lambda: PpoAgent(PpoConfig(**SMALL), device="cpu")


class TestDmPpoAgent(AgentContract):
    @pytest.fixture
    def make(self):
        config = DmPpoConfig(
            **SMALL, select="best", eval_every_iters=2, normalizer_warmup_steps=4, average_decay=0.5
        )
        return lambda: DmPpoAgent(config, device="cpu")


class TestSgdWithLearnedSpread(AgentContract):
    @pytest.fixture
    def make(self):
        config = PpoConfig(
            **{**SMALL, "max_samples": 6 * 512, "exp_prob_beg": 0.9, "exp_prob_end": 0.8, "test_episodes": 8},
        )
        model = attrs.evolve(config.model, actor_std_type="VARIABLE")
        optimizer = OptimizerConfig(type="sgd", learning_rate=0.02)
        config = attrs.evolve(config, model=model, optimizer=optimizer)
        return lambda: PpoAgent(config, device="cpu")
