"""Provider `mujoco_warp`: says what is missing before anything heavy is imported."""

from __future__ import annotations

import pathlib

import torch

from parc_core.errors import ConfigError, ProviderUnavailable
from parc_core.interfaces import Simulator
from parc_mujoco.config import MujocoWarpConfig

__all__ = ["mujoco_warp"]


def mujoco_warp(
    config: MujocoWarpConfig, *, device: str = "cpu", threads: int = 1, dumps: pathlib.Path | None = None
) -> Simulator:
    """The simulator on a device: ``cuda``, ``cuda:1``, or ``cpu``, which is for tests. `threads` is not used.

    Args:
        dumps: folder for the steps in which copies diverge.

    Raises:
        ProviderUnavailable: MuJoCo Warp is not installed.
        ConfigError: the device cannot be used here.
    """
    try:
        import warp as wp

        from parc_mujoco.warp.simulator import MujocoWarpSimulator
    except ModuleNotFoundError as err:
        if (err.name or "").split(".")[0] not in ("warp", "mujoco_warp"):
            raise
        raise ProviderUnavailable(
            f"simulator 'mujoco_warp' needs MuJoCo Warp, which is not installed (no module '{err.name}').\n"
            "  to do       pip install 'parc-mujoco[warp]', or use simulator 'mujoco', which needs no GPU"
        ) from err
    # Warp would print a banner and a line per kernel to the standard output, where `--json` belongs
    wp.config.log_level = max(wp.config.log_level, wp.LOG_WARNING)
    wp.init()
    _check_device(device)
    return MujocoWarpSimulator(config, device=device, dumps=dumps)


def _check_device(device: str) -> None:
    wanted = torch.device(device)
    if wanted.type == "cpu":
        return
    if wanted.type != "cuda":
        raise ConfigError(
            f"simulator 'mujoco_warp' cannot run on device '{device}'. Use cuda (an NVIDIA GPU) or cpu."
        )
    import warp as wp

    index, seen = wanted.index or 0, (torch.cuda.device_count(), wp.get_cuda_device_count())
    if index >= min(seen):
        raise ConfigError(
            f"simulator 'mujoco_warp' on device '{device}': torch sees {seen[0]} NVIDIA GPU(s), Warp sees {seen[1]}. "
            "Install the NVIDIA driver and a torch that was built for CUDA, or use simulator 'mujoco' on the CPU."
        )
    if not wp.is_conditional_graph_supported():
        raise ConfigError(
            f"simulator 'mujoco_warp' on device '{device}': the NVIDIA driver is too old for the solver's loop inside "
            "a CUDA graph. Install a driver for CUDA 12.4 or newer, or use simulator 'mujoco' on the CPU."
        )
