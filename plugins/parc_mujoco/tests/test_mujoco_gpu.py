"""The contract on an NVIDIA GPU."""

from __future__ import annotations

import attrs
import pytest
import torch

from parc_mujoco.config import MujocoWarpConfig
from parc_mujoco.warp.provider import mujoco_warp
from parc_testing.contracts.simulator import SimulatorContract

if not torch.cuda.is_available():
    pytest.skip("no NVIDIA GPU", allow_module_level=True)
pytest.importorskip("mujoco_warp", reason="MuJoCo Warp is not installed: pip install 'parc-mujoco[warp]'")


@pytest.mark.gpu
class TestMujocoWarpSimulatorOnGpu(SimulatorContract):
    @pytest.fixture
    def make(self, tmp_path):
        config = MujocoWarpConfig(dump_dir=str(tmp_path), deterministic=True)
        return lambda: ReadOnHost(mujoco_warp(config, device="cuda", threads=1))


class ReadOnHost:
    """A simulator whose answers the tests can compare with tensors of their own."""

    def __init__(self, sim):
        self._sim = sim

    def __getattr__(self, name):
        return getattr(self._sim, name)

    def read(self):
        return on_host(self._sim.read())

    def rollout(self, *args):
        return on_host(self._sim.rollout(*args))


def on_host(record):
    return type(record)(
        **{field.name: getattr(record, field.name).cpu() for field in attrs.fields(type(record))}
    )
