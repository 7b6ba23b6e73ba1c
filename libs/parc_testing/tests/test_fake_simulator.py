from __future__ import annotations

import pytest

from parc_testing.contracts.simulator import SimulatorInterfaceContract
from parc_testing.fake_simulator import FakeSimulator


class TestFakeSimulator(SimulatorInterfaceContract):
    @pytest.fixture
    def make(self):
        return FakeSimulator
