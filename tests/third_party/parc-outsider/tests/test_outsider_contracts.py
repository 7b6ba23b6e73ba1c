"""The contract suites on the providers of this package."""

import pytest
from parc_outsider.agent import RidgeAgent, RidgeConfig
from parc_outsider.executor import ThreadsConfig, ThreadsExecutor
from parc_outsider.recorder import FirstTryConfig, FirstTryRecorder

from parc_testing.contracts.agent import AgentContract
from parc_testing.contracts.executor import ExecutorContract
from parc_testing.contracts.recorder import RecorderContract


class TestRidge(AgentContract):
    @pytest.fixture
    def make(self):
        return lambda: RidgeAgent(RidgeConfig(), device="cpu")


class TestThreads(ExecutorContract):
    @pytest.fixture
    def make(self):
        return lambda: ThreadsExecutor(ThreadsConfig())


class TestFirstTry(RecorderContract):
    @pytest.fixture
    def make(self):
        def recorder(skeleton, second_chance=None):
            return FirstTryRecorder(FirstTryConfig(), skeleton=skeleton, second_chance=second_chance)

        return recorder
