"""Rotations as numbers that a network can predict, and back.

Forms, by numbers per rotation: exponential map 3, quaternion 4, two columns of the matrix 6, matrix 9, axis and angle
4. Whatever a network says becomes a rotation: quaternions are normalized, matrices made orthonormal, axes are
given length 1.

Source: the forms of `parc_motion.published`. Its axis-angle form does not work; here it is the axis, which
is x where there is no rotation, followed by the angle 0..pi.
"""

from __future__ import annotations

import torch
from torch import Tensor

from parc_motion.kinematics import rotations as rot

__all__ = ["FORMS", "rotation_numbers", "rotation_of"]

FORMS = {"expmap": 3, "quat": 4, "rot6d": 6, "rotmat": 9, "axis_angle": 4}  # numbers of each form
_TINY = 1e-6  # rad or length; below it an axis is not known


def rotation_numbers(q: Tensor, form: str) -> Tensor:
    """Quaternions ``[..., 4]`` in a form of `FORMS`: ``[..., k]``; of q and -q the same."""
    if form == "expmap":
        return rot.quat_to_expmap(q)
    if form == "quat":
        return torch.where(q[..., 3:] < 0.0, -q, q)
    if form == "rot6d":
        return rot.quat_to_rot6d(q)
    if form == "rotmat":
        return rot.quat_to_matrix(q).flatten(-2)
    expmap = rot.quat_to_expmap(q)
    angle = expmap.norm(dim=-1, keepdim=True)
    x = torch.zeros_like(expmap)
    x[..., 0] = 1.0
    return torch.cat([torch.where(angle < _TINY, x, expmap / angle.clamp_min(_TINY)), angle], dim=-1)


def rotation_of(numbers: Tensor, form: str) -> Tensor:
    """Unit quaternions ``[..., 4]`` of numbers ``[..., k]``, which need not be exactly a rotation."""
    if form == "expmap":
        return rot.expmap_to_quat(numbers)
    if form == "quat":
        length = numbers.norm(dim=-1, keepdim=True)
        return torch.where(length < _TINY, rot.identity_like(numbers), numbers / length.clamp_min(_TINY))
    if form == "rot6d":
        return rot.rot6d_to_quat(numbers)
    if form == "rotmat":  # the columns say twice where z is; the mean of both uses all nine numbers
        x, y, z = numbers.unflatten(-1, (3, 3)).unbind(-1)
        return rot.rot6d_to_quat(torch.cat([x, z + torch.linalg.cross(x, y, dim=-1)], dim=-1))
    axis, angle = numbers[..., :3], numbers[..., 3:]
    return rot.expmap_to_quat(axis / axis.norm(dim=-1, keepdim=True).clamp_min(_TINY) * angle)
