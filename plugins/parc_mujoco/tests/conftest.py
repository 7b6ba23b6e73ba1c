from __future__ import annotations

import pathlib
import tempfile

import filelock
import pytest
import torch

from parc_core.interfaces import Scene
from parc_motion.skeletons import load_skeleton
from parc_testing.builders import make_terrain
from parc_testing.contracts.simulator import character_state


@pytest.fixture(scope="session")
def warp_ready():
    """MuJoCo Warp with its kernels compiled for the CPU; about 25 s where no cache has them, else 2 s."""
    wp = pytest.importorskip("warp", reason="MuJoCo Warp is not installed: pip install 'parc-mujoco[warp]'")
    pytest.importorskip("mujoco_warp", reason="MuJoCo Warp is not installed: pip install 'parc-mujoco[warp]'")
    from parc_mujoco.config import MujocoWarpConfig
    from parc_mujoco.warp.provider import mujoco_warp

    # the tests take few steps: compiling without optimization halves the wait and doubles a step
    before, wp.config.optimization_level = wp.config.optimization_level, 0
    # workers side by side would each compile the same
    with filelock.FileLock(pathlib.Path(tempfile.gettempdir()) / "parc_warp_kernels.lock"):
        sim = mujoco_warp(MujocoWarpConfig(), device="cpu")
        sim.build(Scene(skeleton=load_skeleton("humanoid"), terrains=[make_terrain()], num_envs=1))
        sim.reset(torch.tensor([0]), character_state(1))
        sim.read()
        sim.step()
        sim.close()
    yield
    wp.config.optimization_level = before
