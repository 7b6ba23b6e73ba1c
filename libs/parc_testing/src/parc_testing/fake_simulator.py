"""A simulator without physics, for tests of what stands above a simulator: environments, agents, recorders.

It cannot replace a physical simulator in a run: joints jump a fixed share of the way to their targets
in each control step, the root drifts on with the velocity it was given, the ground does not support the character.
"""

from __future__ import annotations

import attrs
import torch
from torch import Tensor

from parc_core.interfaces import BodyState, CharacterState, Rollout, Scene, Simulator
from parc_motion.errors import DataError, ShapeError
from parc_motion.kinematics import Kinematics
from parc_motion.kinematics import rotations as rot

__all__ = ["FakeSimulator"]

_VELOCITY_STEP = 1e-3  # s, over which body velocities are taken as differences
_STATE = ("root_pos", "root_rot", "joint_rot", "root_vel", "root_ang_vel", "dof_vel")


class FakeSimulator(Simulator):
    """Kinematic copies of a character that reach their servo targets (at once, unless `gain` is below 1).

    A body whose origin is less than `contact_height` above (or below) the ground reports `contact_force`
    newtons upwards. `poison` makes copies diverge, as a real simulator may.
    """

    capabilities = frozenset({"rollout"})

    def __init__(
        self,
        config: object = None,
        *,
        device: str = "cpu",
        threads: int = 1,
        gain: float = 1.0,
        contact_height: float = 0.07,
        contact_force: float = 100.0,
    ) -> None:
        self.config, self.device, self.threads = config, torch.device(device), threads
        self._gain, self._contact_height, self._contact_force = gain, contact_height, contact_force
        self.closed = False

    def build(self, scene: Scene) -> None:
        """All copies at the origin, joints straight, on terrain 0."""
        self.scene, self._dt = scene, 1.0 / scene.control_hz
        self._kin = Kinematics(scene.skeleton, self.device)
        n, joints, dofs = scene.num_envs, scene.skeleton.num_joints, scene.skeleton.num_dofs
        at = self.device
        no_turn = torch.tensor([0.0, 0.0, 0.0, 1.0], device=at)
        self._state = CharacterState(
            root_pos=torch.zeros(n, 3, device=at),
            root_rot=no_turn.repeat(n, 1),
            joint_rot=no_turn.repeat(n, joints, 1),
            root_vel=torch.zeros(n, 3, device=at),
            root_ang_vel=torch.zeros(n, 3, device=at),
            dof_vel=torch.zeros(n, dofs, device=at),
        )
        self._targets = torch.zeros(n, dofs, device=at)
        self._broken = torch.zeros(n, dtype=torch.bool, device=at)
        self.num_diverged = 0
        self.terrain_ids = torch.zeros(n, dtype=torch.long, device=at)

    def set_terrains(self, env_ids: Tensor, terrain_ids: Tensor) -> None:
        """Remember who stands where."""
        if len(terrain_ids) and int(terrain_ids.max()) >= len(self.scene.terrains):
            count = len(self.scene.terrains)
            raise DataError(
                f"set_terrains: terrain {int(terrain_ids.max())} of a scene with {count} terrains."
            )
        self.terrain_ids[env_ids] = terrain_ids

    def reset(self, env_ids: Tensor, state: CharacterState) -> None:
        """Take over the states; servo targets of the envs become the present joint angles."""
        for name in _STATE:
            getattr(self._state, name)[env_ids] = getattr(state, name)
        self._targets[env_ids] = self._kin.joint_rot_to_dof(state.joint_rot)
        self._broken[env_ids] = False
        self._count_broken()

    def set_targets(self, dof_target: Tensor) -> None:
        """Held until changed."""
        if dof_target.shape != self._targets.shape:
            shape, expected = list(dof_target.shape), list(self._targets.shape)
            raise ShapeError(f"set_targets: dof_target has shape {shape}, expected {expected}.")
        self._targets = dof_target.clone()

    def step(self, env_ids: Tensor | None = None) -> None:
        """Joints towards their targets, root along its velocity."""
        after = self._advance(self._state, self._targets)
        if env_ids is None:
            self._state = after
        else:
            for field in attrs.fields(CharacterState):
                getattr(self._state, field.name)[env_ids] = getattr(after, field.name)[env_ids]
        lost = ~torch.isfinite(self._targets).all(dim=-1)
        if env_ids is not None:
            lost &= torch.isin(torch.arange(len(lost), device=self.device), env_ids)
        self._state.root_pos[lost] = float("nan")
        self._count_broken()

    def poison(self, env_ids: Tensor) -> None:
        """Let copies diverge: their numbers become NaN until they are reset."""
        self._state.root_pos[env_ids] = float("nan")
        self._count_broken()

    def read(self) -> BodyState:
        """Forward kinematics of the present state."""
        s = self._state
        body_pos, body_rot = self._kin.forward(s.root_pos, s.root_rot, s.joint_rot)
        later_pos, later_rot = self._kin.forward(*_drift(s, self._kin, _VELOCITY_STEP))
        turned = rot.quat_to_expmap(rot.multiply(later_rot, rot.inverse(body_rot)))
        body_vel = (later_pos - body_pos) / _VELOCITY_STEP
        body_ang_vel = turned / _VELOCITY_STEP
        body_vel[:, 0], body_ang_vel[:, 0] = s.root_vel, s.root_ang_vel
        force = torch.zeros_like(body_pos)
        force[..., 2] = self._contact_force * (
            body_pos[..., 2] - self._ground(body_pos) < self._contact_height
        )
        return BodyState(
            body_pos=body_pos,
            body_rot=body_rot,
            body_vel=body_vel,
            body_ang_vel=body_ang_vel,
            joint_rot=s.joint_rot.clone(),
            dof_vel=s.dof_vel.clone(),
            contact_force=force,
            ground_force=force.clone(),
            finite=torch.isfinite(body_pos).all(dim=-1).all(dim=-1),
        )

    def save_state(self, env_ids: Tensor) -> CharacterState:
        """Copies of the states."""
        return CharacterState(**{name: getattr(self._state, name)[env_ids].clone() for name in _STATE})

    def rollout(self, states: CharacterState, copies: int, dof_targets: Tensor) -> Rollout:
        """`step`, H times, from the saved states."""
        state = CharacterState(**{n: getattr(states, n).repeat_interleave(copies, dim=0) for n in _STATE})
        frames = []
        for h in range(dof_targets.shape[1]):
            state = self._advance(state, dof_targets[:, h])
            frames.append(state)
        fields = {name: torch.stack([getattr(f, name) for f in frames], dim=1) for name in _STATE}
        return Rollout(**fields, finite=torch.isfinite(fields["root_pos"]).all(dim=-1).all(dim=-1))

    def close(self) -> None:
        """Remember that it was called."""
        self.closed = True

    def _count_broken(self) -> None:
        sums = sum(getattr(self._state, name).flatten(1).sum(dim=-1) for name in _STATE)
        broken = ~torch.isfinite(sums)
        self.num_diverged += int((broken & ~self._broken).sum())
        self._broken |= broken

    def _advance(self, s: CharacterState, targets: Tensor) -> CharacterState:
        goal = self._kin.dof_to_joint_rot(targets)
        share = torch.full(goal.shape[:-1], self._gain, device=self.device)
        joint_rot = rot.slerp(s.joint_rot, goal, share)
        ang_vel = rot.quat_to_expmap(rot.multiply(rot.inverse(s.joint_rot), joint_rot)) / self._dt
        turn = rot.expmap_to_quat(s.root_ang_vel * self._dt)
        return CharacterState(
            root_pos=s.root_pos + s.root_vel * self._dt,
            root_rot=rot.normalize(rot.multiply(turn, s.root_rot)),
            joint_rot=joint_rot,
            root_vel=s.root_vel.clone(),
            root_ang_vel=s.root_ang_vel.clone(),
            dof_vel=self._kin.joint_ang_vel_to_dof_vel(ang_vel),
        )

    def _ground(self, body_pos: Tensor) -> Tensor:
        height = torch.zeros(body_pos.shape[:-1], device=self.device)
        for i in self.terrain_ids.unique().tolist():
            here = self.terrain_ids == i
            xy = body_pos[here][..., :2].nan_to_num().cpu().numpy()
            height[here] = torch.as_tensor(self.scene.terrains[i].height_at(xy), device=self.device)
        return height


def _drift(s: CharacterState, kin: Kinematics, seconds: float) -> tuple[Tensor, Tensor, Tensor]:
    turn = rot.expmap_to_quat(s.root_ang_vel * seconds)
    bend = kin.dof_to_joint_rot(s.dof_vel * seconds)  # small angles: velocities add up as exponential maps
    root_rot = rot.multiply(turn, s.root_rot)
    return s.root_pos + s.root_vel * seconds, root_rot, rot.multiply(s.joint_rot, bend)
