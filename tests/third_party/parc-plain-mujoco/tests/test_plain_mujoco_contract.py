"""The contract suite on the simulator of this package."""

import pytest
from parc_plain_mujoco.simulator import PlainMujoco, PlainMujocoConfig

from parc_testing.contracts.simulator import SimulatorContract


class TestPlainMujoco(SimulatorContract):
    @pytest.fixture
    def make(self):
        return lambda: PlainMujoco(PlainMujocoConfig(), device="cpu", threads=1)
