"""Rollouts on a device: worlds beside the environments' own."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from parc_core.interfaces import Rollout
from parc_motion.errors import ShapeError
from parc_mujoco.convert import tensor_to_xyzw
from parc_mujoco.warp.layout import DeviceLayout
from parc_mujoco.warp.watch import Watch
from parc_mujoco.warp.worlds import Worlds, WorldState

__all__ = ["WarpRollouts"]


class WarpRollouts:
    """Many copies of saved states under target sequences; the worlds grow to the largest number asked for."""

    def __init__(self, make_worlds: Callable[[int], Worlds], layout: DeviceLayout) -> None:
        self._make_worlds, self._layout = make_worlds, layout
        self._worlds: Worlds | None = None

    def run(self, states: WorldState, copies: int, dof_targets: Tensor) -> Rollout:
        """See `parc_core.interfaces.simulator.Simulator.rollout`."""
        num = len(states.qpos) * copies
        if dof_targets.shape[0] != num:
            raise ShapeError(
                f"rollout: dof_targets has shape {list(dof_targets.shape)}, expected [{num}, H, D] "
                f"for {copies} copies of {len(states.qpos)} states."
            )
        worlds = self._fill(states, copies)
        frames = []
        for h in range(dof_targets.shape[1]):
            worlds.targets[:num] = dof_targets[:, h]
            worlds.step()
            frames.append((worlds.qpos[:num].clone(), worlds.qvel[:num].clone()))
        self._watch.look()
        qpos, qvel = (torch.stack(part, dim=1) for part in zip(*frames))
        return self._result(qpos, qvel, worlds.sound[:num] != 0)

    def close(self) -> None:
        """Give the memory back."""
        self._worlds = None

    def _fill(self, states: WorldState, copies: int) -> Worlds:
        num = len(states.qpos) * copies
        if self._worlds is None or self._worlds.num_worlds < num:
            self._worlds = None  # give the old memory back before taking more
            self._worlds = self._make_worlds(num)
            self._watch = Watch(self._worlds, "rollouts")
        worlds = self._worlds
        ids = torch.arange(num, device=worlds.qpos.device)
        worlds.place(ids, states.terrain_ids.long().repeat_interleave(copies))
        worlds.put(ids, states.qpos.repeat_interleave(copies, 0), states.qvel.repeat_interleave(copies, 0))
        worlds.warmstart[:num] = states.warmstart.repeat_interleave(copies, 0)
        worlds.wanted.zero_()
        worlds.wanted[:num] = 1
        return worlds

    def _result(self, qpos: Tensor, qvel: Tensor, finite: Tensor) -> Rollout:
        return Rollout(
            root_pos=qpos[..., :3],
            root_rot=tensor_to_xyzw(qpos[..., 3:7]),
            root_vel=qvel[..., :3],
            root_ang_vel=self._layout.root_ang_vel(qpos, qvel),
            joint_rot=self._layout.joint_rot(qpos),
            dof_vel=qvel[..., 6:],
            finite=finite,
        )
