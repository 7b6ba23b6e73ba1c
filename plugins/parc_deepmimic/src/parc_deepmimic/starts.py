"""States that episodes start from: those of the reference, with or without noise."""

from __future__ import annotations

import attrs
import torch
from torch import Tensor

from parc_core.interfaces import BodyState, CharacterState, Reference
from parc_deepmimic.config import StartConfig
from parc_motion.kinematics import Kinematics
from parc_motion.kinematics import rotations as rot

__all__ = ["body_state", "is_exact", "perturb", "state_of", "without_broken"]


def state_of(ref: Reference) -> CharacterState:
    """The reference as a state to start from."""
    return CharacterState(
        root_pos=ref.root_pos,
        root_rot=ref.root_rot,
        joint_rot=ref.joint_rot,
        root_vel=ref.root_vel,
        root_ang_vel=ref.root_ang_vel,
        dof_vel=ref.dof_vel,
    )


def perturb(
    state: CharacterState,
    config: StartConfig,
    kinematics: Kinematics,
    rng: torch.Generator,
    mastery: Tensor | None = None,
) -> CharacterState:
    """The states with noise: in pose and velocities for a share of them, and a shift in the ground plane for all.

    Source: `parc_motion.published` for the shift; the noise is ours: policies trained on exact starts alone lose 60 %
    of perturbed ones.

    Args:
        mastery: factor on `perturbed_frac` for each of them, ``[N]`` 0..1; None: 1.
    """
    n, dofs = state.dof_vel.shape
    device = state.dof_vel.device
    share = config.perturbed_frac if mastery is None else config.perturbed_frac * mastery[:, None]
    chosen = torch.rand(n, 1, generator=rng, device=device) < share
    noise = torch.randn(n, 2 * dofs + 9, generator=rng, device=device) * chosen
    joint, dof_vel, root_rot, root_vel, root_ang_vel = noise.split([dofs, dofs, 3, 3, 3], dim=1)
    shift = torch.zeros(n, 3, device=device)
    shift[:, :2] = (2.0 * torch.rand(n, 2, generator=rng, device=device) - 1.0) * config.xy_offset
    if is_exact(
        config
    ):  # random numbers are sampled all the same, so that the sequence does not depend on the noise
        return state
    bend = kinematics.dof_to_joint_rot(joint * config.joint_noise)
    turn = rot.expmap_to_quat(root_rot * config.root_rot_noise)
    # the root rotates in the world frame, joints in their own frames; one product for all of them
    first = torch.cat([turn[:, None], state.joint_rot], dim=1)
    turned = rot.multiply(first, torch.cat([state.root_rot[:, None], bend], dim=1))
    return CharacterState(
        root_pos=state.root_pos + shift,
        root_rot=turned[:, 0],
        joint_rot=turned[:, 1:],
        root_vel=state.root_vel + root_vel * config.root_vel_noise,
        root_ang_vel=state.root_ang_vel + root_ang_vel * config.root_ang_vel_noise,
        dof_vel=state.dof_vel + dof_vel * config.dof_vel_noise,
    )


def is_exact(config: StartConfig) -> bool:
    """Whether every start is exactly on the reference."""
    noise = (
        config.joint_noise,
        config.dof_vel_noise,
        config.root_rot_noise,
        config.root_vel_noise,
        config.root_ang_vel_noise,
    )
    return config.xy_offset == 0.0 and (config.perturbed_frac == 0.0 or not any(noise))


def body_state(state: CharacterState, kinematics: Kinematics) -> BodyState:
    """The state as a simulator would return it, but with forces and velocities of bodies after the root set to 0."""
    body_pos, body_rot = kinematics.forward(state.root_pos, state.root_rot, state.joint_rot)
    still = torch.zeros_like(body_pos)
    body_vel, body_ang_vel = still.clone(), still.clone()
    body_vel[:, 0], body_ang_vel[:, 0] = state.root_vel, state.root_ang_vel
    return BodyState(
        body_pos=body_pos,
        body_rot=body_rot,
        body_vel=body_vel,
        body_ang_vel=body_ang_vel,
        joint_rot=state.joint_rot,
        dof_vel=state.dof_vel,
        contact_force=still,
        ground_force=still,
        finite=torch.ones(len(body_pos), dtype=torch.bool, device=body_pos.device),
    )


def without_broken(state: BodyState, substitute: BodyState) -> BodyState:
    """The state with the rows of diverged copies taken from a substitute, so that every number is finite."""
    sound: Tensor = state.finite

    def pick(a: Tensor, b: Tensor) -> Tensor:
        return torch.where(sound.reshape(-1, *[1] * (a.ndim - 1)), a, b)

    names = [field.name for field in attrs.fields(BodyState) if field.name != "finite"]
    return attrs.evolve(
        state, **{name: pick(getattr(state, name), getattr(substitute, name)) for name in names}
    )
