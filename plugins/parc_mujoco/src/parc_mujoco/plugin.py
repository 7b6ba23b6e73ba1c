"""What this distribution offers."""

from __future__ import annotations

from parc_core.plugins import Command, Provider, hookimpl

PARC_API = (1, 0)


@hookimpl
def parc_providers() -> list[Provider]:
    """The providers of this distribution."""
    return [
        Provider(
            kind="simulator",
            name="mujoco",
            target="parc_mujoco.cpu:MujocoSimulator",
            config="parc_mujoco.config:MujocoConfig",
            summary="MuJoCo on the CPU, one terrain per environment",
        ),
        Provider(
            kind="simulator",
            name="mujoco_warp",
            target="parc_mujoco.warp.provider:mujoco_warp",
            config="parc_mujoco.config:MujocoWarpConfig",
            summary="MuJoCo Warp on an NVIDIA GPU, one terrain per environment",
        ),
    ]


@hookimpl
def parc_commands() -> list[Command]:
    """The verbs of this distribution."""
    return [
        Command(
            name="render", target="parc_mujoco.render.command:render", summary="draw clips to PNG, MP4 or GIF"
        ),
        Command(
            name="debug",
            target="parc_mujoco.debug.command:debug",
            summary="replay the last steps of a simulation that diverged",
        ),
    ]
