"""The frames of a batch of windows, seen from their anchors."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from parc_mdm.compiled.jit import kernel

__all__ = ["Clips", "Parts", "gather"]


class Clips(NamedTuple):
    """Frames of all clips; see `parc_mdm.store.MotionStore`."""

    root_pos: np.ndarray  # [F, 3] m
    root_rot: np.ndarray  # [F, 4]
    joint_rot: np.ndarray  # [F, J, 4]
    dof: np.ndarray  # [F, D] rad
    body_pos: np.ndarray  # [F, B, 3] m
    body_rot: np.ndarray  # [F, B, 4]
    contacts: np.ndarray  # [F, B]
    first: np.ndarray  # [M] int64
    num_frames: np.ndarray  # [M] int64


class Parts(NamedTuple):
    """What is written of each window; see `parc_mdm.windows.Windows`."""

    features: np.ndarray  # [N, S, D] in the layout `default`, without velocities
    joint_rot: np.ndarray  # [N, S, J, 4]
    body_pos: np.ndarray  # [N, S, B, 3] m
    body_rot: np.ndarray  # [N, S, B, 4]


@kernel()
def gather(
    first: int,
    last: int,
    clips: Clips,
    frames: np.ndarray,
    origin: np.ndarray,
    heading: np.ndarray,
    parts: Parts,
) -> None:
    """Write windows first .. last - 1.

    Args:
        frames: frames of the clips, ``[N, S]`` int64.
        origin: of the anchors, ``[N, 3]`` m.
        heading: of the anchors, ``[N]`` rad.
    """
    joint_rot = clips.joint_rot.reshape(len(clips.joint_rot), -1)
    joints = parts.joint_rot.reshape(-1, joint_rot.shape[1])
    features = parts.features.reshape(-1, parts.features.shape[2])
    dofs = 3 + 3 * clips.body_pos.shape[1]  # columns before them
    contacts = dofs + clips.dof.shape[1]
    for n in range(first, last):
        half = np.float32(0.5) * heading[n]
        cos, sin, w, z = np.cos(heading[n]), np.sin(heading[n]), np.cos(half), np.sin(half)
        for s in range(frames.shape[1]):
            frame, row = frames[n, s], n * frames.shape[1] + s
            _positions(clips.body_pos[frame], origin[n], cos, sin, parts.body_pos[n, s], features[row])
            _rotations(clips.body_rot[frame], w, z, parts.body_rot[n, s], features[row])
            _copy(joint_rot, frame, joints, row, 0)
            _copy(clips.dof, frame, features, row, dofs)
            _copy(clips.contacts, frame, features, row, contacts)


@kernel()
def _positions(
    pos: np.ndarray, origin: np.ndarray, cos: float, sin: float, to: np.ndarray, features: np.ndarray
) -> None:
    """Positions of bodies, from an origin and turned about z by minus an angle."""
    x0, y0, z0 = origin[0], origin[1], origin[2]
    for b in range(len(pos)):
        east, north, z = pos[b, 0] - x0, pos[b, 1] - y0, pos[b, 2] - z0
        x, y = cos * east + sin * north, cos * north - sin * east
        at = 3 * b + 3 if b else 0  # the root's rotation lies between the root and the others
        to[b, 0], to[b, 1], to[b, 2] = x, y, z
        features[at], features[at + 1], features[at + 2] = x, y, z


@kernel()
def _rotations(q: np.ndarray, w: float, z: float, to: np.ndarray, features: np.ndarray) -> None:
    """Rotations of bodies, turned about z by minus the angle whose half has the cosine w and the sine z.

    The root's is a feature, as `parc_motion.kinematics.rotations.quat_to_expmap` gives it.
    """
    for b in range(len(q)):
        q0, q1, q2, q3 = q[b, 0], q[b, 1], q[b, 2], q[b, 3]
        to[b, 0], to[b, 1], to[b, 2], to[b, 3] = (
            w * q0 + z * q1,
            w * q1 - z * q0,
            w * q2 - z * q3,
            w * q3 + z * q2,
        )
    x, y, z, w = to[0, 0], to[0, 1], to[0, 2], to[0, 3]
    sign = np.float32(-1.0) if w < np.float32(0.0) else np.float32(1.0)
    square, w = x * x + y * y + z * z, sign * w
    if square < np.float32(1e-8):
        scale = np.float32(2.0) / max(w, np.float32(0.5))
    else:
        norm = np.sqrt(square)
        scale = np.float32(2.0) * np.arctan2(norm, w) / norm
    scale *= sign
    features[3], features[4], features[5] = scale * x, scale * y, scale * z


@kernel()
def _copy(source: np.ndarray, row: int, to: np.ndarray, to_row: int, at: int) -> None:
    """Copy a row to columns `at` .. of another."""
    for k in range(source.shape[1]):
        to[to_row, np.uint32(at + k)] = source[row, k]
