from __future__ import annotations

import pytest
from parc_mujoco.cpu import MujocoConfig, MujocoSimulator

from parc_core.testing.contracts.simulator import SimulatorContract


class TestMujocoSimulator(SimulatorContract):
    @pytest.fixture
    def make(self):
        return lambda: MujocoSimulator(MujocoConfig(), device="cpu", threads=1)


class TestMujocoSimulatorTwoThreads(SimulatorContract):
    @pytest.fixture
    def make(self):
        return lambda: MujocoSimulator(MujocoConfig(), device="cpu", threads=2)
