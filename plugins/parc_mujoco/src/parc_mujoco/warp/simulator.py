"""Simulator `mujoco_warp`: all copies on one NVIDIA GPU, one terrain per copy."""

from __future__ import annotations

import logging
import pathlib

import mujoco
import torch
import warp as wp
from torch import Tensor

from parc_core.interfaces import BodyState, CharacterState, Rollout, Scene, Simulator
from parc_motion.errors import DataError, ShapeError
from parc_mujoco.config import MujocoWarpConfig
from parc_mujoco.convert import tensor_to_xyzw
from parc_mujoco.divergence import MAX_DUMPS, Divergence, DivergenceLog, Simulated
from parc_mujoco.messages import messages_to_log
from parc_mujoco.model import build_spec, count_substeps
from parc_mujoco.warp.ground import GroundTable
from parc_mujoco.warp.layout import DeviceLayout
from parc_mujoco.warp.rollouts import WarpRollouts
from parc_mujoco.warp.watch import Watch
from parc_mujoco.warp.worlds import Worlds, WorldSettings, WorldState

__all__ = ["MujocoWarpSimulator"]

_NOT_BUILT = "simulator mujoco_warp: it was not built, or is closed. Call build(scene) first."
log = logging.getLogger(__name__)


class MujocoWarpSimulator(Simulator):
    """The GPU simulator. A control step is one CUDA graph; nothing waits for the device in a rollout.

    The model is that of simulator `mujoco`, in single precision. What `read` gives, and what becomes of a copy that
    diverges, is as there; contact forces after a reset are those of the state it was reset to.
    """

    capabilities = frozenset({"rollout"})

    def __init__(
        self, config: MujocoWarpConfig, *, device: str = "cuda", dumps: pathlib.Path | None = None
    ) -> None:
        """A simulator without copies.

        Args:
            dumps: folder for the steps in which copies diverge; None: they are not kept.
        """
        self._dumps = dumps
        self.config, self.device = config, torch.device(device)
        if self.device.type == "cuda" and self.device.index is None:  # Warp wants to know which
            self.device = torch.device("cuda", torch.cuda.current_device())
        self._worlds: Worlds | None = None
        self._watch: Watch | None = None
        self._diverged_before_close = 0

    @property  # the interface has a plain attribute, which cannot wait for the device
    def num_diverged(self) -> int:  # type: ignore[override]
        """How many times a copy has diverged since `build`; asking waits for the device."""
        return self._diverged_before_close if self._watch is None else self._watch.look_closely()

    def build(self, scene: Scene) -> None:
        """Make the copies, all on terrain 0, standing nowhere in particular until `reset`."""
        self.close()
        messages_to_log()
        self.scene, n = scene, scene.num_envs
        substeps = count_substeps(self.config.sim_hz, scene.control_hz)
        if not scene.terrains:
            raise DataError("the simulator's scene has no terrain; every environment needs ground.")
        if self.device.type == "cpu":
            log.info(
                "simulator mujoco_warp on a CPU is many times slower than simulator mujoco; it is for tests"
            )
        log.info(
            "simulator mujoco_warp: its kernels are compiled once per machine, which takes a minute or so"
        )
        self._wp_device = wp.device_from_torch(self.device)
        self._ground = GroundTable(scene.terrains, self.device)
        self._model = _compile(scene, self.config, self._ground)
        self._settings = WorldSettings(
            substeps=substeps,
            nconmax=self.config.nconmax,
            njmax=self.config.njmax,
            deterministic=self.config.deterministic,
        )
        self._layout = DeviceLayout(scene.skeleton, self.device)
        self._worlds = self._make_worlds(n)
        self._fresh = torch.ones(n, dtype=torch.int32, device=self.device)  # reset, and not stepped since
        self._any_fresh = True
        about = Simulated(
            simulator="mujoco_warp",
            config=self.config,
            skeleton=scene.skeleton,
            control_hz=scene.control_hz,
            num_boxes=self._ground.num_boxes,
        )
        self._log, self._dumped = DivergenceLog(about, self._dumps), 0
        self._watch = Watch(self._worlds, f"{n} environments", self._on_diverged)
        self._rollouts = WarpRollouts(self._make_worlds, self._layout)

    @property
    def _built(self) -> Worlds:
        if self._worlds is None:
            raise DataError(_NOT_BUILT)
        return self._worlds

    @property
    def _watched(self) -> Watch:
        if self._watch is None:
            raise DataError(_NOT_BUILT)
        return self._watch

    def set_terrains(self, env_ids: Tensor, terrain_ids: Tensor) -> None:
        """Put envs on other terrains: the boxes of those are written over theirs."""
        if len(terrain_ids) == 0:
            return
        least, most = (int(value) for value in torch.aminmax(terrain_ids))
        if least < 0 or most >= len(self._ground):
            raise DataError(
                f"set_terrains: terrain ids {least}..{most}; the scene has 0..{len(self._ground) - 1}."
            )
        self._built.place(env_ids.to(self.device), terrain_ids.to(self.device))

    def reset(self, env_ids: Tensor, state: CharacterState) -> None:
        """Put envs into states; their servos hold the pose until `set_targets`."""
        if len(env_ids) == 0:
            return
        ids = env_ids.to(self.device)
        state = CharacterState(
            **{k: getattr(state, k).to(self.device) for k in CharacterState.__annotations__}
        )
        self._built.put(ids, self._layout.qpos(state), self._layout.qvel(state))
        self._built.targets[ids] = self._layout.dof(state)
        self._fresh[ids] = 1
        self._any_fresh = True

    def set_targets(self, dof_target: Tensor) -> None:
        """Targets of the servos, ``[num_envs, D]`` rad."""
        expected = self._built.targets.shape
        if dof_target.shape != expected:
            raise ShapeError(
                f"set_targets: dof_target has shape {list(dof_target.shape)}, expected {list(expected)}."
            )
        self._built.targets.copy_(dof_target)

    def step(self, env_ids: Tensor | None = None) -> None:
        """One control step of all envs or of some; diverged copies stand still until they are reset."""
        worlds = self._built
        if env_ids is None:
            worlds.wanted.fill_(1)
        else:
            worlds.wanted.zero_()
            worlds.wanted[env_ids.to(self.device)] = 1
        worlds.step()
        if self._any_fresh:
            self._fresh *= 1 - worlds.wanted
            self._any_fresh = env_ids is not None
        self._watched.look()

    def read(self) -> BodyState:
        """The state after the last physics step."""
        worlds = self._built
        if self._any_fresh:
            worlds.forward(self._fresh)
            self._fresh.zero_()
            self._any_fresh = False
        pos, spin = worlds.xpos[:, 1:], worlds.cvel[:, 1:, :3]
        # cvel is the velocity of the point of the body that lies at the character's center of mass
        arm = pos - worlds.subtree_com[:, 1:2]
        return BodyState(
            body_pos=pos.clone(),
            body_rot=tensor_to_xyzw(worlds.xquat[:, 1:]),
            body_vel=worlds.cvel[:, 1:, 3:] + torch.linalg.cross(spin, arm),
            body_ang_vel=spin.clone(),
            joint_rot=self._layout.joint_rot(worlds.qpos),
            dof_vel=worlds.qvel[:, 6:].clone(),
            contact_force=worlds.body_force[:, 1:].clone(),
            ground_force=worlds.ground_force[:, 1:].clone(),
            finite=worlds.sound != 0,
        )

    def save_state(self, env_ids: Tensor) -> WorldState:
        """The complete states of envs, and the terrains they stand on."""
        return self._built.state(env_ids.to(self.device))

    def rollout(self, states: WorldState, copies: int, dof_targets: Tensor) -> Rollout:
        """Copies of saved states under target sequences, in separate worlds."""
        return self._rollouts.run(states, copies, dof_targets.to(self.device))

    def close(self) -> None:
        """Give the memory back, after saying what has not been said yet."""
        if self._worlds is None:
            return
        self._diverged_before_close = self._watched.look_closely()
        self._rollouts.close()
        self._worlds = self._watch = None

    def _make_worlds(self, count: int) -> Worlds:
        return Worlds(self._model, count, self._ground, self._settings, self._wp_device)

    def _on_diverged(self, in_steps: int, total: int) -> None:
        worlds, nq, nv = self._built, self._model.nq, self._model.nv
        cases, rows = worlds.cases.cpu(), worlds.case_rows.cpu().numpy()
        for slot in range(self._dumped, min(in_steps, MAX_DUMPS)):
            parts = torch.from_numpy(rows[slot]).split([nq, nv, nv, 1, nq, nv, self._model.nu])
            qpos, qvel, warmstart, time, qpos_after, qvel_after, targets = (part.numpy() for part in parts)
            env_id, terrain_id = cases[slot].tolist()
            # the step alone: the history of thousands of copies would take the device's memory
            before = {"qpos": qpos, "qvel": qvel, "qacc_warmstart": warmstart, "time": time}
            case = Divergence(
                env_id=env_id,
                terrain_id=terrain_id,
                before={name: value[None] for name, value in before.items()},
                targets=targets[None],
                after={"qpos": qpos_after, "qvel": qvel_after},
            )
            self._log.dump(case, self.scene.terrains[terrain_id])
        self._dumped = min(in_steps, MAX_DUMPS)
        self._log.count(total, self.scene.num_envs)


def _compile(scene: Scene, config: MujocoWarpConfig, ground: GroundTable) -> mujoco.MjModel:
    # every box is a real one here: which pairs of geoms may meet is decided once for all copies
    spec = build_spec(scene.skeleton, config, ground.first, ground.num_boxes, contact_sensors=False)
    # MuJoCo Warp has no silent reset of diverged copies, nor a flag against it
    spec.option.disableflags &= ~mujoco.mjtDisableBit.mjDSBL_AUTORESET.value
    # makes it collide boxes as MuJoCo does; its general method, in single precision, finds fewer contacts with
    # slanted normals between a foot and a box of many meters
    spec.option.disableflags |= mujoco.mjtDisableBit.mjDSBL_NATIVECCD.value
    return spec.compile()
