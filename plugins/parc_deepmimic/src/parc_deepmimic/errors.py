"""Tracking errors: how far a state is from its reference, pure functions of tensors.

Source: published implementation, the errors that its evaluation reports.
"""

from __future__ import annotations

import torch
from torch import Tensor

from parc_core.interfaces.simulator import BodyState
from parc_core.interfaces.tracker_env import Reference

__all__ = ["rotation_angle", "tracking_errors"]


def rotation_angle(a: Tensor, b: Tensor) -> Tensor:
    """Angle of the rotation between unit quaternions, 0..pi: ``[...]`` rad for ``[..., 4]``.

    From the chord |a - b| = 2 sin(angle / 4): a few cheap operations, exact for small angles as well.
    """
    chord = torch.minimum((a - b).square().sum(dim=-1), (a + b).square().sum(dim=-1))
    return 4.0 * torch.asin((0.5 * chord.sqrt()).clamp(max=1.0))


def tracking_errors(state: BodyState, ref: Reference) -> dict[str, Tensor]:
    """Mean errors of each character by name, ``[N]`` each.

    ``root_pos`` m, ``root_rot`` rad, ``body_pos`` m (both relative to their roots), ``body_rot`` rad, ``dof_vel``
    rad/s, ``root_vel`` m/s, ``root_ang_vel`` rad/s (the last three: means of absolute components).
    """
    body = state.body_pos - state.root_pos[:, None]
    ref_body = ref.body_pos - ref.root_pos[:, None]
    body_angle = rotation_angle(state.body_rot, ref.body_rot)
    return {
        "root_pos": (state.root_pos - ref.root_pos).norm(dim=-1),
        "root_rot": body_angle[:, 0],
        "body_pos": (body - ref_body)[:, 1:].norm(dim=-1).mean(dim=-1),
        "body_rot": body_angle[:, 1:].mean(dim=-1),
        "dof_vel": (state.dof_vel - ref.dof_vel).abs().mean(dim=-1),
        "root_vel": (state.root_vel - ref.root_vel).abs().mean(dim=-1),
        "root_ang_vel": (state.root_ang_vel - ref.root_ang_vel).abs().mean(dim=-1),
    }
