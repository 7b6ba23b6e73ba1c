"""Rotations on plain numbers, the twins of `parc_motion.kinematics.rotations`; quaternions xyzw.

Everything is inlined where it is called.
"""

from __future__ import annotations

import math

import numpy as np

from parc_motion.compiled.jit import kernel

__all__ = [
    "apply_matrix",
    "cross_product",
    "expmap_between",
    "write_expmap_quat",
    "write_left_jacobian",
    "write_matrix",
    "write_product",
    "write_rotated",
]

_SMALL = 1e-6  # squared angle below which series take over, rad^2


@kernel(inline="always")
def cross_product(
    ax: float, ay: float, az: float, bx: float, by: float, bz: float
) -> tuple[float, float, float]:
    """a x b."""
    return ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx


@kernel(inline="always")
def write_product(a: np.ndarray, b: np.ndarray, out: np.ndarray) -> None:
    """a * b (b is applied first), ``[4]`` each."""
    ax, ay, az, aw = a[0], a[1], a[2], a[3]
    bx, by, bz, bw = b[0], b[1], b[2], b[3]
    out[0] = aw * bx + ax * bw + ay * bz - az * by
    out[1] = aw * by - ax * bz + ay * bw + az * bx
    out[2] = aw * bz + ax * by - ay * bx + az * bw
    out[3] = aw * bw - ax * bx - ay * by - az * bz


@kernel(inline="always")
def write_expmap_quat(vx: float, vy: float, vz: float, out: np.ndarray) -> None:
    """Quaternion ``[4]`` of an exponential map, rad."""
    square = vx * vx + vy * vy + vz * vz
    if square < 1e-8:
        scale, w = 0.5 - square / 48.0, 1.0 - square / 8.0
    else:
        angle = math.sqrt(square)
        scale, w = math.sin(0.5 * angle) / angle, math.cos(0.5 * angle)
    out[0], out[1], out[2], out[3] = vx * scale, vy * scale, vz * scale, w


@kernel(inline="always")
def write_matrix(q: np.ndarray, out: np.ndarray) -> None:
    """Matrix ``[3, 3]`` of a unit quaternion."""
    x, y, z, w = q[0], q[1], q[2], q[3]
    out[0, 0], out[0, 1], out[0, 2] = 1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)
    out[1, 0], out[1, 1], out[1, 2] = 2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)
    out[2, 0], out[2, 1], out[2, 2] = 2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)


@kernel(inline="always")
def apply_matrix(m: np.ndarray, x: float, y: float, z: float) -> tuple[float, float, float]:
    """Matrix ``[3, 3]`` times a vector."""
    return (
        m[0, 0] * x + m[0, 1] * y + m[0, 2] * z,
        m[1, 0] * x + m[1, 1] * y + m[1, 2] * z,
        m[2, 0] * x + m[2, 1] * y + m[2, 2] * z,
    )


@kernel(inline="always")
def write_rotated(q: np.ndarray, x: float, y: float, z: float, out: np.ndarray) -> None:
    """Vector ``[3]`` turned by a unit quaternion ``[4]``."""
    qx, qy, qz, w = q[0], q[1], q[2], q[3]
    tx, ty, tz = 2.0 * (qy * z - qz * y), 2.0 * (qz * x - qx * z), 2.0 * (qx * y - qy * x)
    out[0] = x + w * tx + qy * tz - qz * ty
    out[1] = y + w * ty + qz * tx - qx * tz
    out[2] = z + w * tz + qx * ty - qy * tx


@kernel(inline="always")
def expmap_between(a: np.ndarray, b: np.ndarray) -> tuple[float, float, float, float]:
    """Angle in [0, pi] of the rotation that takes a to b, and its axis times that angle: (angle, x, y, z) rad."""
    ax, ay, az, aw = -a[0], -a[1], -a[2], a[3]
    bx, by, bz, bw = b[0], b[1], b[2], b[3]
    x = bw * ax + bx * aw + by * az - bz * ay
    y = bw * ay - bx * az + by * aw + bz * ax
    z = bw * az + bx * ay - by * ax + bz * aw
    w = bw * aw - bx * ax - by * ay - bz * az
    if w < 0.0:
        x, y, z, w = -x, -y, -z, -w
    size = math.sqrt(x * x + y * y + z * z)
    if size < 1e-9:
        return 2.0 * size, 2.0 * x, 2.0 * y, 2.0 * z
    angle = 2.0 * math.atan2(size, w)
    scale = angle / size
    return angle, x * scale, y * scale, z * scale


@kernel(inline="always")
def write_left_jacobian(vx: float, vy: float, vz: float, out: np.ndarray) -> None:
    """Rotation in the parent frame per change of an exponential map, ``[3, 3]``."""
    square = vx * vx + vy * vy + vz * vz
    if square < _SMALL:
        first, second = 0.5 - square / 24.0, 1.0 / 6.0 - square / 120.0
    else:
        angle = math.sqrt(square)
        first = (1.0 - math.cos(angle)) / square
        second = (angle - math.sin(angle)) / (square * angle)
    # 1 + first K + second K^2 with K the cross-product matrix of v; K^2 = v v^T - |v|^2
    out[0, 0] = 1.0 + second * (vx * vx - square)
    out[1, 1] = 1.0 + second * (vy * vy - square)
    out[2, 2] = 1.0 + second * (vz * vz - square)
    out[0, 1], out[1, 0] = second * vx * vy - first * vz, second * vx * vy + first * vz
    out[0, 2], out[2, 0] = second * vx * vz + first * vy, second * vx * vz - first * vy
    out[1, 2], out[2, 1] = second * vy * vz - first * vx, second * vy * vz + first * vx
