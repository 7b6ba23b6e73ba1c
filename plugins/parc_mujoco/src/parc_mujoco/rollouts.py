"""Rollouts: many copies of saved states under target sequences, for agents that plan."""

from __future__ import annotations

import attrs
import numpy as np
import torch
from mujoco.batch import Batch, SimulationError

from parc_core.interfaces import Rollout
from parc_motion.errors import ShapeError
from parc_mujoco.convert import StateLayout, to_xyzw
from parc_mujoco.ground import TerrainModels

__all__ = ["Rollouts", "SavedStates"]


@attrs.frozen(kw_only=True, eq=False)
class SavedStates:
    """What `MujocoSimulator.save_state` hands out."""

    rows: np.ndarray  # [M, S] complete integration states
    terrain_ids: np.ndarray  # [M]


class Rollouts:
    """A batch beside the environments' own; it grows to the largest number of copies asked for."""

    def __init__(
        self, models: TerrainModels, layout: StateLayout, substeps: int, threads: int, device: torch.device
    ) -> None:
        self._models, self._layout, self._substeps = models, layout, substeps
        self._threads, self._device = threads, device
        self._batch: Batch | None = None
        self._terrain_ids = np.zeros(0, dtype=np.int64)
        self._out: dict[str, np.ndarray] = {}

    def run(self, states: SavedStates, copies: int, dof_targets: np.ndarray) -> Rollout:
        """See `parc_core.interfaces.simulator.Simulator.rollout`."""
        num = len(states.rows) * copies
        if dof_targets.shape[0] != num:
            raise ShapeError(
                f"rollout: dof_targets has shape {list(dof_targets.shape)}, expected [{num}, H, D] "
                f"for {copies} copies of {len(states.rows)} states."
            )
        batch = self._prepare(np.repeat(states.terrain_ids, copies))
        batch.state[:num] = np.repeat(states.rows, copies, axis=0)
        batch.warning[:num] = 0
        control = np.repeat(dof_targets.astype(np.float64), self._substeps, axis=1)
        ids = None if num == batch.nsim else np.arange(num)
        failed = np.zeros(num, dtype=bool)
        record = ("qpos", "qvel")
        out = {name: self._buffer(name, batch, num, control.shape[1]) for name in record}
        try:
            batch.rollout(control.shape[1], control, record=record, ids=ids, out=out)
        except SimulationError as err:
            failed[err.ids] = True
        last = self._substeps - 1
        return self._result(
            out["qpos"][:, last :: self._substeps], out["qvel"][:, last :: self._substeps], failed
        )

    def close(self) -> None:
        """Give the threads back."""
        self._batch = None
        self._out = {}

    def _prepare(self, terrain_ids: np.ndarray) -> Batch:
        num = len(terrain_ids)
        if self._batch is None or self._batch.nsim < num:
            self._batch = Batch(self._models[int(terrain_ids[0])], num, nthread=self._threads)
            self._terrain_ids = np.full(num, -1)
        if not np.array_equal(self._terrain_ids[:num], terrain_ids):
            self._terrain_ids[:num] = terrain_ids
            rest = np.where(self._terrain_ids < 0, terrain_ids[0], self._terrain_ids)
            self._batch.set_models([self._models[t] for t in rest.tolist()])
        return self._batch

    def _buffer(self, name: str, batch: Batch, num: int, steps: int) -> np.ndarray:
        # kept between calls: fresh pages for some megabytes cost more than the conversion
        shape = (num, steps, batch.bind(name).shape[1])
        if name not in self._out or self._out[name].shape != shape:
            self._out[name] = np.empty(shape)
        return self._out[name]

    def _result(self, qpos: np.ndarray, qvel: np.ndarray, failed: np.ndarray) -> Rollout:
        finite = np.isfinite(qpos).all(axis=(1, 2)) & np.isfinite(qvel).all(axis=(1, 2)) & ~failed
        layout = self._layout
        qpos, qvel = qpos.astype(np.float32), qvel.astype(np.float32)

        def tensor(values: np.ndarray) -> torch.Tensor:
            return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32)).to(self._device)

        return Rollout(
            root_pos=tensor(qpos[..., :3]),
            root_rot=tensor(to_xyzw(qpos[..., 3:7])),
            root_vel=tensor(qvel[..., :3]),
            root_ang_vel=tensor(layout.root_ang_vel(qpos, qvel)),
            joint_rot=tensor(layout.joint_rot(qpos)),
            dof_vel=tensor(qvel[..., 6:]),
            finite=torch.from_numpy(finite).to(self._device),
        )
