"""Rotations in torch, any leading batch axes; quaternions are xyzw, of length 1.

Source: conventions of `parc_motion.published` (exponential maps, tan-norm features, heading); formulas are
the textbook ones. Where it returns an un-normalized midpoint from slerp of near-equal rotations, this one
interpolates linearly and normalizes.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = [
    "angle_between",
    "expmap_to_quat",
    "heading",
    "heading_quat",
    "hinge_angle",
    "identity_like",
    "inverse",
    "left_jacobian",
    "matrix_to_quat",
    "multiply",
    "normalize",
    "quat_about_axis",
    "quat_to_expmap",
    "quat_to_matrix",
    "quat_to_rot6d",
    "rot6d_to_quat",
    "rotate",
    "rotate_inverse",
    "rotation_angle",
    "slerp",
    "squared_length",
    "yaw_quat",
]

_SMALL = 1e-8


def multiply(a: Tensor, b: Tensor) -> Tensor:
    """Rotation b followed by a: ``[..., 4]``."""
    ax, ay, az, aw = a.unbind(-1)
    bx, by, bz, bw = b.unbind(-1)
    return torch.stack(
        [
            aw * bx + ax * bw + ay * bz - az * by,
            aw * by - ax * bz + ay * bw + az * bx,
            aw * bz + ax * by - ay * bx + az * bw,
            aw * bw - ax * bx - ay * by - az * bz,
        ],
        dim=-1,
    )


def inverse(q: Tensor) -> Tensor:
    """The opposite rotation (conjugate), ``[..., 4]``."""
    return torch.cat([-q[..., :3], q[..., 3:]], dim=-1)


def normalize(q: Tensor) -> Tensor:
    """The quaternion at length 1, ``[..., 4]``."""
    return q / q.norm(dim=-1, keepdim=True).clamp_min(_SMALL)


def identity_like(q: Tensor) -> Tensor:
    """No rotation, in the shape, type and device of `q`."""
    result = torch.zeros_like(q)
    result[..., 3] = 1.0
    return result


def rotate(q: Tensor, v: Tensor) -> Tensor:
    """The vectors turned by the rotations: ``[..., 3]``."""
    xyz, w = q[..., :3], q[..., 3:]
    t = 2.0 * torch.linalg.cross(*torch.broadcast_tensors(xyz, v), dim=-1)
    return v + w * t + torch.linalg.cross(xyz.expand_as(t), t, dim=-1)


def rotate_inverse(q: Tensor, v: Tensor) -> Tensor:
    """The vectors turned back by the rotations: ``[..., 3]``."""
    return rotate(inverse(q), v)


def expmap_to_quat(v: Tensor) -> Tensor:
    """Quaternion of an exponential map (axis * angle, rad); exact at zero and with a gradient there: ``[..., 4]``."""
    square = (v * v).sum(dim=-1, keepdim=True)
    small = square < 1e-8
    angle = torch.where(small, torch.ones_like(square), square).sqrt()
    scale = torch.where(small, 0.5 - square / 48.0, torch.sin(0.5 * angle) / angle)
    w = torch.where(small, 1.0 - square / 8.0, torch.cos(0.5 * angle))
    return torch.cat([v * scale, w], dim=-1)


def quat_to_expmap(q: Tensor) -> Tensor:
    """Exponential map of a rotation, angle in [0, pi]: ``[..., 3]`` rad."""
    q = torch.where(q[..., 3:] < 0.0, -q, q)
    xyz, w = q[..., :3], q[..., 3:]
    square = (xyz * xyz).sum(dim=-1, keepdim=True)
    small = square < 1e-8
    norm = torch.where(small, torch.ones_like(square), square).sqrt()
    scale = torch.where(small, 2.0 / w.clamp_min(0.5), 2.0 * torch.atan2(norm, w) / norm)
    return xyz * scale


def left_jacobian(v: Tensor) -> Tensor:
    """Rotation in the parent's frame per change of an exponential map ``[..., 3]`` rad: ``[..., 3, 3]``.

    Source: the left Jacobian of SO(3), e.g. J. Sola et al., "A micro Lie theory" (2018), equation 145.
    """
    square = (v * v).sum(dim=-1)[..., None, None]
    small = square < 1e-6
    safe = torch.where(small, torch.ones_like(square), square)
    angle = safe.sqrt()
    first = torch.where(small, 0.5 - square / 24.0, (1.0 - torch.cos(angle)) / safe)
    second = torch.where(small, 1.0 / 6.0 - square / 120.0, (angle - torch.sin(angle)) / (safe * angle))
    x, y, z = v.unbind(-1)
    zero = torch.zeros_like(x)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=-1).unflatten(-1, (3, 3))
    return torch.eye(3, dtype=v.dtype, device=v.device) + first * cross + second * (cross @ cross)


def angle_between(a: Tensor, b: Tensor) -> Tensor:
    """Angle of the rotation from a to b, in [0, pi], with a finite gradient at zero: ``[...]`` rad."""
    delta = multiply(b, inverse(a))
    return 2.0 * torch.atan2(_safe_norm(delta[..., :3]), delta[..., 3].abs())


def rotation_angle(a: Tensor, b: Tensor) -> Tensor:
    """Angle of the rotation between unit quaternions, 0..pi: ``[...]`` rad for ``[..., 4]``.

    As `angle_between`, but cheaper and exact for small angles as well, and not for gradients, which are infinite where
    the rotations are equal. From the chord: |a - b| = 2 sin(angle / 4).
    """
    chord = squared_length(a - b).minimum(squared_length(a + b))
    return chord.sqrt_().mul_(0.5).clamp_(max=1.0).asin_().mul_(4.0)


def squared_length(v: Tensor) -> Tensor:
    """Squared length along a short last axis: ``[...]`` for ``[..., K]``.

    Adds column to column: for three or four of them that takes a quarter of the time of a reduction.
    """
    first, *others = (v * v).unbind(-1)
    for column in others:
        first = first + column
    return first


def quat_about_axis(axis: Tensor, angle: Tensor) -> Tensor:
    """Rotation about a unit axis: ``[..., 4]`` for axis ``[..., 3]`` and angle ``[...]`` rad."""
    half = 0.5 * angle[..., None]
    axis, half = torch.broadcast_tensors(axis, half.expand(*half.shape[:-1], 3))
    return torch.cat([axis * torch.sin(half), torch.cos(half[..., :1])], dim=-1)


def hinge_angle(q: Tensor, axis: Tensor) -> Tensor:
    """Signed angle of a rotation about a unit axis, in (-pi, pi]; what turns off the axis is dropped: ``[...]`` rad.

    Source: twist of the swing-twist decomposition. `parc_motion.published` takes the full rotation angle with the
    sign of the axis product; both agree for a rotation about the axis.
    """
    twist = (q[..., :3] * axis).sum(dim=-1)
    angle = 2.0 * torch.atan2(twist, q[..., 3])
    return torch.atan2(torch.sin(angle), torch.cos(angle))


def heading(q: Tensor) -> Tensor:
    """Direction of the rotated x axis in the ground plane: ``[...]`` rad."""
    x, y, z, w = q.unbind(-1)
    return torch.atan2(2.0 * (x * y + w * z), 1.0 - 2.0 * (y * y + z * z))


def yaw_quat(angle: Tensor) -> Tensor:
    """Rotation about z: ``[..., 4]``."""
    zero = torch.zeros_like(angle)
    return torch.stack([zero, zero, torch.sin(0.5 * angle), torch.cos(0.5 * angle)], dim=-1)


def heading_quat(q: Tensor) -> Tensor:
    """The part of a rotation about z that gives its heading: ``[..., 4]``."""
    return yaw_quat(heading(q))


def quat_to_matrix(q: Tensor) -> Tensor:
    """Rotation matrix: ``[..., 3, 3]``."""
    x, y, z, w = q.unbind(-1)
    rows = [
        1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
        2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
        2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y),
    ]  # fmt: skip
    return torch.stack(rows, dim=-1).unflatten(-1, (3, 3))


def quat_to_rot6d(q: Tensor) -> Tensor:
    """The "tan-norm" feature: the rotated x axis and the rotated z axis, ``[..., 6]``."""
    x, y, z, w = q.unbind(-1)
    columns = [
        1 - 2 * (y * y + z * z), 2 * (x * y + w * z), 2 * (x * z - w * y),
        2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y),
    ]  # fmt: skip
    return torch.stack(columns, dim=-1)


def rot6d_to_quat(feature: Tensor) -> Tensor:
    """Rotation whose x axis is the feature's first vector and whose z axis is nearest its second: ``[..., 4]``."""
    x = torch.nn.functional.normalize(feature[..., :3], dim=-1)
    z = feature[..., 3:] - (feature[..., 3:] * x).sum(dim=-1, keepdim=True) * x
    z = torch.nn.functional.normalize(z, dim=-1)
    y = torch.linalg.cross(z, x, dim=-1)
    return matrix_to_quat(torch.stack([x, y, z], dim=-1))


def slerp(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    """Rotation at fraction t of the shorter way from a to b: ``[..., 4]`` for t ``[...]``."""
    dot = (a * b).sum(dim=-1, keepdim=True)
    b = torch.where(dot < 0.0, -b, b)
    dot = dot.abs().clamp(max=1.0)
    angle = torch.acos(dot.clamp(max=1.0 - 1e-7))
    t = t[..., None]
    near = dot > 0.9995
    sine = torch.sin(angle)
    wa = torch.where(near, 1.0 - t, torch.sin((1.0 - t) * angle) / sine)
    wb = torch.where(near, t.expand_as(dot), torch.sin(t * angle) / sine)
    return normalize(wa * a + wb * b)


def matrix_to_quat(m: Tensor) -> Tensor:
    """Quaternion of a rotation matrix ``[..., 3, 3]``: ``[..., 4]``."""
    # the largest of the four components is computed first, so nothing is divided by a number near zero
    m00, m11, m22 = m[..., 0, 0], m[..., 1, 1], m[..., 2, 2]
    squares = torch.stack(
        [1 + m00 - m11 - m22, 1 - m00 + m11 - m22, 1 - m00 - m11 + m22, 1 + m00 + m11 + m22], dim=-1
    )
    xy, xz, yz = m[..., 0, 1] + m[..., 1, 0], m[..., 0, 2] + m[..., 2, 0], m[..., 1, 2] + m[..., 2, 1]
    wx, wy, wz = m[..., 2, 1] - m[..., 1, 2], m[..., 0, 2] - m[..., 2, 0], m[..., 1, 0] - m[..., 0, 1]
    sx, sy, sz, sw = squares.unbind(-1)
    rows = torch.stack(
        [
            torch.stack([sx, xy, xz, wx], dim=-1),
            torch.stack([xy, sy, yz, wy], dim=-1),
            torch.stack([xz, yz, sz, wz], dim=-1),
            torch.stack([wx, wy, wz, sw], dim=-1),
        ],
        dim=-2,
    )
    best = squares.argmax(dim=-1)[..., None, None].expand(*squares.shape[:-1], 1, 4)
    return normalize(rows.gather(-2, best).squeeze(-2))


def _safe_norm(v: Tensor) -> Tensor:
    square = (v * v).sum(dim=-1)
    zero = square == 0.0
    return torch.where(
        zero, torch.zeros_like(square), torch.where(zero, torch.ones_like(square), square).sqrt()
    )
