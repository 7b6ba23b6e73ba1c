"""What actions mean: servo targets in exponential map coordinates.

Source: bounds of `parc_motion.published`. Residual actions with a feed-forward for the servos' lag are ours;
measured: targets that are poses of the next step plus 0.03 s of their velocity follow real clips several times longer
than poses alone.
"""

from __future__ import annotations

import torch
from torch import Tensor

from parc_core.interfaces import ActionSpec, Reference
from parc_motion.kinematics import Kinematics
from parc_motion.kinematics import rotations as rot
from parc_motion.skeletons import JointKind, Skeleton

__all__ = ["absolute_bounds", "action_spec", "lead_targets"]

_BALL_MARGIN = 1.2  # of the largest limit of any axis
_HINGE_MARGIN = 0.7  # of the range, to each side of its middle


def absolute_bounds(skeleton: Skeleton) -> tuple[Tensor, Tensor]:
    """Lowest and highest servo targets, ``[D]`` rad each; beyond the joint limits, so that servos exert force there."""
    lower, upper = [], []
    for joint in skeleton.joints:
        low, high = torch.tensor(joint.lower), torch.tensor(joint.upper)
        if joint.kind is JointKind.BALL:
            reach = _BALL_MARGIN * torch.maximum(low.abs(), high.abs()).max()
            lower.append(-reach.expand(3))
            upper.append(reach.expand(3))
        elif joint.kind is JointKind.HINGE:
            middle, reach = 0.5 * (low + high), _HINGE_MARGIN * (high - low)
            lower.append(middle - reach)
            upper.append(middle + reach)
    return torch.cat(lower), torch.cat(upper)


def action_spec(mode: str, bounds: tuple[Tensor, Tensor]) -> ActionSpec:
    """Absolute actions are targets within the bounds; residual ones are corrections, in units of their scale."""
    if mode == "absolute":
        return ActionSpec(lower=bounds[0], upper=bounds[1], kind=mode)
    one = torch.ones_like(bounds[0])
    return ActionSpec(lower=-one, upper=one, kind=mode)


def lead_targets(ref: Reference, kinematics: Kinematics, seconds: float) -> Tensor:
    """Servo targets that are `seconds` ahead of the reference's poses along their velocities: ``[N, D]`` rad."""
    ahead = kinematics.dof_to_joint_rot(ref.dof_vel * seconds)
    return kinematics.joint_rot_to_dof(rot.multiply(ref.joint_rot, ahead))
