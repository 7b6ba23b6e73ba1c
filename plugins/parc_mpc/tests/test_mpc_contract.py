from __future__ import annotations

import pytest

from parc_mpc.agent import MpcAgent
from parc_mpc.config import MpcConfig
from parc_testing.contracts.agent import AgentContract


class TestMpcAgent(AgentContract):
    @pytest.fixture
    def make(self):
        return lambda: MpcAgent(MpcConfig(samples=16, horizon=4, knots=2), device="cpu")
