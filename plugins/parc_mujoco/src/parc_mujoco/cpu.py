"""Simulator `mujoco`: MuJoCo's batch of simulations on CPU threads, one terrain per environment."""

from __future__ import annotations

import pathlib

import mujoco
import numpy as np
import torch
from mujoco.batch import Batch, SimulationError
from torch import Tensor

from parc_core.interfaces import BodyState, CharacterState, Rollout, Scene, Simulator
from parc_motion.errors import DataError, ShapeError
from parc_mujoco.bodies import BodyMotion
from parc_mujoco.config import MujocoConfig
from parc_mujoco.convert import StateLayout
from parc_mujoco.divergence import FASTEST, KEPT, MAX_DUMPS, Divergence, DivergenceLog, Simulated
from parc_mujoco.ground import TerrainModels
from parc_mujoco.history import History
from parc_mujoco.messages import messages_to_log
from parc_mujoco.model import count_substeps
from parc_mujoco.rollouts import Rollouts, SavedStates

__all__ = ["MujocoConfig", "MujocoSimulator"]

_NOTHING = mujoco.mjtStage.mjSTAGE_NONE.value  # after the last physics step: `read` computes what it needs
_FORCES = mujoco.mjtStage.mjSTAGE_ACC.value
_NOT_BUILT = "simulator mujoco: it was not built, or is closed. Call build(scene) first."


class MujocoSimulator(Simulator):
    """The CPU simulator. Results do not depend on the number of threads.

    Positions and velocities that `read` gives are those after the last physics step; contact forces are those
    that acted during it. A copy that diverges is put back to the state of its last reset and waits there, marked
    in `BodyState.finite`, until it is reset again.
    """

    capabilities = frozenset({"rollout"})

    def __init__(
        self,
        config: MujocoConfig,
        *,
        device: str = "cpu",
        threads: int = 1,
        dumps: pathlib.Path | None = None,
    ) -> None:
        """A simulator without copies.

        Args:
            dumps: folder for the last steps of copies that diverge; None: they are not kept.
        """
        self.config, self.device, self.threads = config, torch.device(device), threads
        self._dumps = dumps
        self._batch: Batch | None = None
        self._rollouts: Rollouts | None = None

    def build(self, scene: Scene) -> None:
        """Make the copies, all on terrain 0, standing nowhere in particular until `reset`."""
        self.close()
        messages_to_log()
        self.scene = scene
        self.substeps = count_substeps(self.config.sim_hz, scene.control_hz)
        if not scene.terrains:
            raise DataError("the simulator's scene has no terrain; every environment needs ground.")
        self._models = TerrainModels(scene.skeleton, scene.terrains, self.config)
        self._layout = StateLayout.of(scene.skeleton)
        self._bodies = BodyMotion(scene.skeleton, self._layout)
        self._terrain_ids = np.zeros(scene.num_envs, dtype=np.int64)
        self._standing = [self._models[0]] * scene.num_envs  # the model of each env
        self._moved = True
        self._alive = np.ones(scene.num_envs, dtype=bool)
        self._unmeasured = np.ones(scene.num_envs, dtype=bool)  # put somewhere since forces were computed
        about = Simulated(
            simulator="mujoco",
            config=self.config,
            skeleton=scene.skeleton,
            control_hz=scene.control_hz,
            num_boxes=self._models.num_boxes,
        )
        self.num_diverged, self._log = 0, DivergenceLog(about, self._dumps)
        self._batch = Batch(self._models[0], scene.num_envs, nthread=self.threads)
        names = (
            "qpos",
            "qvel",
            "ctrl",
            "time",
            "qacc_warmstart",
            "sensordata",
        )
        self._field = {name: self._batch.bind(name) for name in names}
        self._rollouts = Rollouts(self._models, self._layout, self.substeps, self.threads, self.device)
        self._start = {name: self._field[name].copy() for name in ("qpos", "qvel")}
        self._history = History({name: self._field[name] for name in KEPT}, self._field["ctrl"])

    @property
    def _running(self) -> Batch:
        if self._batch is None:
            raise DataError(_NOT_BUILT)
        return self._batch

    def set_terrains(self, env_ids: Tensor, terrain_ids: Tensor) -> None:
        """Put envs on other terrains; a pointer per environment, so it is cheap at every reset."""
        terrains = _numpy(terrain_ids).astype(np.int64)
        if terrains.size and (terrains.min() < 0 or terrains.max() >= len(self._models)):
            raise DataError(
                f"set_terrains: terrain ids {terrains.min()}..{terrains.max()}; "
                f"the scene has 0..{len(self._models) - 1}."
            )
        ids = _numpy(env_ids)
        self._terrain_ids[ids] = terrains
        for env_id, terrain_id in zip(ids.tolist(), terrains.tolist()):
            self._standing[env_id] = self._models[terrain_id]
        self._moved = True

    def reset(self, env_ids: Tensor, state: CharacterState) -> None:
        """Put envs into states; their servos hold the pose until `set_targets`."""
        ids = _numpy(env_ids).astype(np.int64)
        if ids.size == 0:
            return
        order = np.argsort(ids, kind="stable")
        ids = ids[order]
        root_rot, joint_rot = _numpy(state.root_rot)[order], _numpy(state.joint_rot)[order]
        qpos = self._layout.qpos(_numpy(state.root_pos)[order], root_rot, joint_rot)
        velocities = (_numpy(v)[order] for v in (state.root_vel, state.root_ang_vel, state.dof_vel))
        field = self._field
        field["qpos"][ids], field["qvel"][ids] = qpos, self._layout.qvel(root_rot, *velocities)
        field["ctrl"][ids] = self._layout.dof(joint_rot)
        field["time"][ids], field["qacc_warmstart"][ids] = 0.0, 0.0
        self._alive[ids] = sound = self._is_finite(ids)
        # what is not finite never gets into the physics: such a copy stays where it was reset before
        for name, start in self._start.items():
            start[ids[sound]] = field[name][ids[sound]]
            field[name][ids[~sound]] = start[ids[~sound]]
        self._unmeasured[ids[sound]] = True
        self._history.forget(ids)
        self._count(int((~sound).sum()))

    def set_targets(self, dof_target: Tensor) -> None:
        """Targets of the servos, ``[num_envs, D]`` rad."""
        expected = self._field["ctrl"].shape
        if tuple(dof_target.shape) != expected:
            raise ShapeError(
                f"set_targets: dof_target has shape {list(dof_target.shape)}, expected {list(expected)}."
            )
        self._field["ctrl"][:] = _numpy(dof_target)

    def step(self, env_ids: Tensor | None = None) -> None:
        """One control step of all envs or of some; diverged copies stand still until they are reset."""
        self._settle()
        moving = self._alive.copy()
        if env_ids is not None:
            moving &= np.isin(np.arange(len(moving)), _numpy(env_ids))
        self._history.begin(moving)
        # MuJoCo would replace targets that are not finite by zeros and say nothing
        lost = moving & ~_rows_below(self._field["ctrl"], np.inf)
        moving &= ~lost
        try:
            if moving.any():
                ids = None if moving.all() else np.flatnonzero(moving)
                self._unmeasured &= ~moving
                self._running.step(ids, nstep=self.substeps, stage=_NOTHING)
        except SimulationError as err:  # the others have stepped
            lost[err.ids] = True
        lost |= moving & ~self._is_finite(slice(None))
        if lost.any():
            self._put_back(np.flatnonzero(lost))

    def read(self) -> BodyState:
        """The state after the last physics step."""
        if self._unmeasured.any():
            self._forward(np.flatnonzero(self._unmeasured))
            self._unmeasured[:] = False
        field = self._field
        joint_rot = self._layout.joint_rot(field["qpos"])
        pos, rot, vel, spin = self._bodies(field["qpos"], field["qvel"], joint_rot)
        sensors = field["sensordata"].reshape(len(pos), 2, -1, 4)
        return BodyState(
            body_pos=self._tensor(pos),
            body_rot=self._tensor(rot),
            body_vel=self._tensor(vel),
            body_ang_vel=self._tensor(spin),
            joint_rot=self._tensor(joint_rot),
            dof_vel=self._tensor(field["qvel"][:, 6:]),
            contact_force=self._tensor(-sensors[:, 0, :, 1:4]),
            ground_force=self._tensor(-sensors[:, 1, :, 1:4]),
            finite=torch.from_numpy(self._alive.copy()).to(self.device),
        )

    def save_state(self, env_ids: Tensor) -> SavedStates:
        """The complete integration states of envs, and the terrains they stand on."""
        ids = _numpy(env_ids)
        return SavedStates(rows=self._running.state[ids].copy(), terrain_ids=self._terrain_ids[ids].copy())

    def rollout(self, states: SavedStates, copies: int, dof_targets: Tensor) -> Rollout:
        """Copies of saved states under target sequences; the numbers are those that `step` would give."""
        if self._rollouts is None:
            raise DataError(_NOT_BUILT)
        return self._rollouts.run(states, copies, _numpy(dof_targets))

    def close(self) -> None:
        """Give the threads back."""
        if self._rollouts is not None:
            self._rollouts.close()
        self._batch = self._rollouts = None
        self._field = {}

    def _put_back(self, ids: np.ndarray) -> None:
        """Count diverged copies, keep the states of some, and put them where they were last reset."""
        field = self._field
        for i in ids[:MAX_DUMPS].tolist():
            terrain_id, steps = int(self._terrain_ids[i]), self._history.of(i)
            case = Divergence(
                env_id=i,
                terrain_id=terrain_id,
                before={name: steps[name] for name in KEPT},
                targets=steps["targets"],
                after={name: field[name][i].copy() for name in self._start},
                clip=self.scene.label(i) if self.scene.label is not None else "",
            )
            self._log.dump(case, self.scene.terrains[terrain_id], self._models.mjcf(terrain_id))
        for name, start in self._start.items():
            field[name][ids] = start[ids]
        field["time"][ids], field["qacc_warmstart"][ids], field["ctrl"][ids] = 0.0, 0.0, 0.0
        self._alive[ids] = False
        self._unmeasured[ids] = True
        self._count(len(ids))

    def _count(self, more: int) -> None:
        if more:
            self.num_diverged += more
            self._log.count(self.num_diverged, len(self._alive))

    def _settle(self) -> None:
        if self._moved:
            self._running.set_models(self._standing)
            self._moved = False

    def _forward(self, ids: np.ndarray) -> None:
        """Contact forces of copies that were put somewhere and have not stepped since."""
        self._settle()
        warm_start = self._field["qacc_warmstart"][ids]
        try:
            self._running.forward(ids, stage=_FORCES)
        except SimulationError as err:
            self._alive[err.ids] = False
        self._field["qacc_warmstart"][ids] = warm_start  # looking changes nothing

    def _is_finite(self, ids: np.ndarray | slice) -> np.ndarray:
        return _rows_below(self._field["qvel"][ids], FASTEST) & _rows_below(self._field["qpos"][ids], np.inf)

    def _tensor(self, values: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32)).to(self.device)


def _rows_below(values: np.ndarray, limit: float) -> np.ndarray:
    """Which rows of ``[N, K]`` have no number of that size or more, nor NaN: ``[N]`` bool."""
    size = np.abs(values)
    # comparisons with NaN are false, so one bound does for NaN, infinity and the merely absurd
    if size.max() < limit:  # nearly always; looking at every row takes several times as long
        return np.ones(len(values), dtype=bool)
    return size.max(axis=-1) < limit


def _numpy(tensor: Tensor) -> np.ndarray:
    return tensor.detach().cpu().numpy()
