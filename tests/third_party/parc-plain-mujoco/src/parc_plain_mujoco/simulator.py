"""Simulator `plain_mujoco`: one `MjData` per environment, stepped one after the other."""

from __future__ import annotations

import attrs
import mujoco
import numpy as np
import torch
from torch import Tensor

from parc_core.config import setting
from parc_core.interfaces import BodyState, CharacterState, Scene, Simulator
from parc_motion.errors import DataError, ShapeError
from parc_motion.kinematics import Kinematics
from parc_motion.kinematics import rotations as rot
from parc_plain_mujoco.model import build_model, to_wxyz, to_xyzw

__all__ = ["PlainMujoco", "PlainMujocoConfig"]


@attrs.frozen(kw_only=True)
class PlainMujocoConfig:
    """Settings of `plain_mujoco`."""

    num_envs: int = setting(16, ge=1, help="Environments that a training runs side by side.")
    substeps: int = setting(4, ge=1, help="Physics steps per control step.")


class PlainMujoco(Simulator):
    """A copy that diverges keeps the numbers of its last finite state and waits until it is reset."""

    def __init__(self, config: PlainMujocoConfig, *, device: str, threads: int) -> None:
        self.config, self.device = config, torch.device(device)

    def build(self, scene: Scene) -> None:
        """One model per terrain, one set of data per environment."""
        if not scene.terrains:
            raise DataError("plain_mujoco: the scene has no terrain. Give every environment ground.")
        self.scene, skeleton = scene, scene.skeleton
        timestep = 1.0 / (scene.control_hz * self.config.substeps)
        self.models = [build_model(skeleton, terrain, timestep) for terrain in scene.terrains]
        self.kin = Kinematics(skeleton)
        self.terrain = [0] * scene.num_envs
        self.data = [mujoco.MjData(self.models[0]) for _ in range(scene.num_envs)]
        self.finite = np.ones(scene.num_envs, dtype=bool)
        self.targets = np.zeros((scene.num_envs, skeleton.num_dofs))
        self.num_diverged = 0

    def set_terrains(self, env_ids: Tensor, terrain_ids: Tensor) -> None:
        """New data on the terrain's model; the envs are reset afterwards."""
        for env, terrain in zip(env_ids.tolist(), terrain_ids.tolist()):
            if not 0 <= terrain < len(self.models):
                raise DataError(f"set_terrains: terrain {terrain}; the scene has 0..{len(self.models) - 1}.")
            if self.terrain[env] != terrain:
                self.terrain[env] = terrain
                self.data[env] = mujoco.MjData(self.models[terrain])

    def reset(self, env_ids: Tensor, state: CharacterState) -> None:
        """Servos hold the pose until `set_targets`."""
        dof = self.kin.joint_rot_to_dof(state.joint_rot.cpu()).numpy().astype(float)
        local = rot.rotate(rot.inverse(state.root_rot), state.root_ang_vel)
        qvel = torch.cat([state.root_vel, local, state.dof_vel], dim=-1).cpu().numpy().astype(float)
        qpos = self._qpos(state, dof)
        for row, env in enumerate(env_ids.tolist()):
            sound = np.isfinite(qpos[row]).all() and np.isfinite(qvel[row]).all()
            self.finite[env] = sound
            self.num_diverged += not sound
            if sound:
                data = self.data[env]
                mujoco.mj_resetData(self.models[self.terrain[env]], data)
                data.qpos[:], data.qvel[:], data.ctrl[:] = qpos[row], qvel[row], dof[row]
                self.targets[env] = dof[row]
                mujoco.mj_forward(self.models[self.terrain[env]], data)

    def set_targets(self, dof_target: Tensor) -> None:
        """Held until changed."""
        if tuple(dof_target.shape) != self.targets.shape:
            raise ShapeError(
                f"set_targets: dof_target has shape {list(dof_target.shape)}, expected {list(self.targets.shape)}."
            )
        self.targets = dof_target.cpu().numpy().astype(float)

    def step(self, env_ids: Tensor | None = None) -> None:
        """All physics steps of one environment, then the next one's."""
        for env in range(self.scene.num_envs) if env_ids is None else env_ids.tolist():
            if not self.finite[env]:
                continue
            model, data = self.models[self.terrain[env]], self.data[env]
            before = data.qpos.copy(), data.qvel.copy()
            if np.isfinite(self.targets[env]).all():
                data.ctrl[:] = self.targets[env]
                mujoco.mj_step(model, data, self.config.substeps)
                if np.isfinite(data.qpos).all() and np.isfinite(data.qvel).all():
                    mujoco.mj_forward(model, data)
                    continue
            data.qpos[:], data.qvel[:] = before
            self.finite[env] = False
            self.num_diverged += 1

    def read(self) -> BodyState:
        """Bodies by forward kinematics of the joints; forces of all contacts and of those with the ground."""
        qpos = torch.tensor(np.stack([data.qpos for data in self.data]), dtype=torch.float32)
        qvel = torch.tensor(np.stack([data.qvel for data in self.data]), dtype=torch.float32)
        root_pos, root_rot = qpos[:, :3], torch.from_numpy(to_xyzw(qpos[:, 3:7].numpy()).copy())
        joint_rot = self._joint_rot(qpos[:, 7:])
        body_pos, body_rot = self.kin.forward(root_pos, root_rot, joint_rot)
        vel, ang_vel = (torch.tensor(part, dtype=torch.float32) for part in self._velocities())
        forces = torch.tensor(
            np.stack([self._forces(env) for env in range(len(self.data))]), dtype=torch.float32
        )
        tensors = {
            "body_pos": body_pos,
            "body_rot": body_rot,
            "body_vel": vel,
            "body_ang_vel": ang_vel,
            "joint_rot": joint_rot,
            "dof_vel": qvel[:, 6:],
            "contact_force": forces[:, 0],
            "ground_force": forces[:, 1],
            "finite": torch.tensor(self.finite.copy()),
        }
        return BodyState(**{name: value.to(self.device) for name, value in tensors.items()})

    def close(self) -> None:
        """Let go of the data."""
        self.data = []

    def _qpos(self, state: CharacterState, dof: np.ndarray) -> np.ndarray:
        unit = rot.normalize(state.root_rot).cpu().numpy()
        parts = [state.root_pos.cpu().numpy(), to_wxyz(unit)]
        joint_rot = rot.normalize(state.joint_rot).cpu().numpy()
        for j, (joint, place) in enumerate(zip(self.scene.skeleton.joints, self.scene.skeleton.dof_slices)):
            if joint.kind.num_dofs == 3:
                parts.append(to_wxyz(joint_rot[:, j]))
            elif joint.kind.num_dofs == 1:
                parts.append(dof[:, place])
        return np.concatenate(parts, axis=-1, dtype=float)

    def _joint_rot(self, qpos: Tensor) -> Tensor:
        rotations, at = [], 0
        for joint in self.scene.skeleton.joints:
            if joint.kind.num_dofs == 3:
                rotations.append(torch.roll(qpos[:, at : at + 4], -1, dims=-1))
                at += 4
            elif joint.kind.num_dofs == 1:
                axis = torch.from_numpy(joint.axis.copy()).expand(len(qpos), 3)
                rotations.append(rot.quat_about_axis(axis, qpos[:, at]))
                at += 1
            else:
                rotations.append(torch.tensor([0.0, 0.0, 0.0, 1.0]).expand(len(qpos), 4))
        return torch.stack(rotations, dim=1)

    def _velocities(self) -> tuple[np.ndarray, np.ndarray]:
        """World velocities of the bodies' origins and their angular velocities, ``[N, B, 3]`` each."""
        bodies = self.scene.skeleton.num_bodies
        found = np.zeros((len(self.data), bodies, 6))
        for env, data in enumerate(self.data):
            model = self.models[self.terrain[env]]
            for body in range(bodies):
                kind = mujoco.mjtObj.mjOBJ_XBODY
                mujoco.mj_objectVelocity(model, data, kind, body + 1, found[env, body], 0)
        return found[..., 3:], found[..., :3]

    def _forces(self, env: int) -> np.ndarray:
        """Force on each body of all its contacts, and of those with the ground; world frame, ``[2, B, 3]`` N."""
        model, data = self.models[self.terrain[env]], self.data[env]
        forces, wrench = np.zeros((2, self.scene.skeleton.num_bodies, 3)), np.zeros(6)
        for number in range(data.ncon):
            contact = data.contact[number]
            mujoco.mj_contactForce(model, data, number, wrench)
            world = contact.frame.reshape(3, 3).T @ wrench[:3]  # on the second geom
            first, second = (model.geom_bodyid[geom] - 1 for geom in contact.geom)
            kinds = slice(None) if min(first, second) < 0 else 0  # the ground is the world's body
            if second >= 0:
                forces[kinds, second] += world
            if first >= 0:
                forces[kinds, first] -= world
        return forces
