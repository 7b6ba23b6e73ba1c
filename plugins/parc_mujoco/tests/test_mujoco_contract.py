from __future__ import annotations

import pytest

from parc_mujoco.config import MujocoWarpConfig
from parc_mujoco.cpu import MujocoConfig, MujocoSimulator
from parc_mujoco.warp.provider import mujoco_warp
from parc_testing.contracts.simulator import SimulatorContract


class TestMujocoSimulator(SimulatorContract):
    @pytest.fixture
    def make(self, tmp_path):
        return lambda: MujocoSimulator(MujocoConfig(dump_dir=str(tmp_path)), device="cpu", threads=1)


class TestMujocoSimulatorTwoThreads(SimulatorContract):
    @pytest.fixture
    def make(self, tmp_path):
        return lambda: MujocoSimulator(MujocoConfig(dump_dir=str(tmp_path)), device="cpu", threads=2)


class TestMujocoWarpSimulator(SimulatorContract):
    @pytest.fixture
    def make(self, warp_ready, tmp_path):
        return lambda: mujoco_warp(MujocoWarpConfig(dump_dir=str(tmp_path)), device="cpu", threads=1)
