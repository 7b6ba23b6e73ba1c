"""Copying of motions between characters of the same build: only rest poses differ, each body by a constant rotation.

AMP and DeepMimic files move the humanoid of PARC with its arms hanging at rest, ours stretch to the sides. A body b
whose rest bones point the other way by A_b takes the joint rotation A_parent^-1 q_b A_b. Where no body differs, the
file's numbers are taken as they are.

Source: rest poses of the DeepMimic and AMP humanoids against that of PARC.
"""

from __future__ import annotations

import attrs
import numpy as np
import torch
from scipy.spatial.transform import Rotation

from parc_data.retarget.frames import swing
from parc_data.retarget.solver import limits_of
from parc_data.source_motion import SourceMotion
from parc_motion.kinematics import Kinematics
from parc_motion.kinematics.rotations import hinge_angle
from parc_motion.skeletons import JointKind, Skeleton

__all__ = ["Copied", "copy_motion", "rest_rotations"]

_TOLERANCE = 0.01  # m that a bone may differ
_SAME_REST = 1e-5  # m: the same rest pose
_CLAMP = 0.1  # rad beyond a limit up to which a coordinate is moved to it
_OFF_AXIS = 0.1  # rad that a hinge may turn off its axis and still be copied


@attrs.frozen(kw_only=True, eq=False)
class Copied:
    """A copied motion, and what the copy changed."""

    root_rot: np.ndarray  # [T, 4]
    joint_rot: np.ndarray  # [T, J, 4]
    exact: bool  # the numbers are those of the source
    off_axis_rad: float  # most that a hinge turned off its axis, dropped
    clamped_frames: int  # frames in which a coordinate was moved to its limit
    beyond_frames: int  # frames in which one is further beyond its limit than is moved


def rest_rotations(motion: SourceMotion, skeleton: Skeleton) -> np.ndarray | None:
    """Constant rotation A of each body of the skeleton, ``[B, 3, 3]``; None where the builds differ.

    The builds agree where names and parents do and one rotation per body turns its rest bones into the source's.
    """
    if not motion.has_rotations or motion.local_pos is not None:
        return None
    if sorted(motion.body_names) != sorted(skeleton.body_names):
        return None
    order = [motion.body_names.index(name) for name in skeleton.body_names]
    parents = [motion.parents[b] for b in order]
    wanted = [-1 if p < 0 else order[p] for p in skeleton.parents]
    if parents != wanted or motion.offsets is None:
        return None
    theirs, ours = motion.offsets[order], skeleton.offsets.astype(np.float64)
    turns: list[np.ndarray] = []
    for body, parent in enumerate(skeleton.parents):
        children = [c for c, p in enumerate(skeleton.parents) if p == body]
        before = turns[parent] if parent >= 0 else np.eye(3)
        turn = _turn(ours[children], theirs[children], before)
        if turn is None:
            return None
        turns.append(turn)
    return np.stack(turns)


def copy_motion(motion: SourceMotion, skeleton: Skeleton, turns: np.ndarray) -> Copied | None:
    """The motion with the skeleton's rest pose; None where a hinge turns off its axis too far to be copied."""
    order = [motion.body_names.index(name) for name in skeleton.body_names]
    local = np.asarray(motion.local_rot)[:, order]
    if np.abs(turns - np.eye(3)).max() < _SAME_REST:
        return Copied(
            root_rot=local[:, 0],
            joint_rot=local[:, 1:],
            exact=True,
            off_axis_rad=0.0,
            clamped_frames=0,
            beyond_frames=0,
        )
    found = np.empty_like(local)
    for body, parent in enumerate(skeleton.parents):
        before = turns[parent] if parent >= 0 else np.eye(3)
        turned = (
            Rotation.from_matrix(before.T)
            * Rotation.from_quat(local[:, body])
            * Rotation.from_matrix(turns[body])
        )
        found[:, body] = turned.as_quat()
    off_axis = _off_axis(found[:, 1:], skeleton)
    if off_axis > _OFF_AXIS:
        return None
    kinematics = Kinematics(skeleton, dtype=torch.float64)
    dof = kinematics.joint_rot_to_dof(torch.from_numpy(found[:, 1:]))
    limits = limits_of(skeleton)
    lower, upper = limits.lower[6:], limits.upper[6:]
    near = torch.minimum(torch.maximum(dof, lower), upper)
    moved = (near - dof).abs()
    clamp = (moved > 0) & (moved < _CLAMP)
    joint_rot = kinematics.dof_to_joint_rot(torch.where(clamp, near, dof)).numpy()
    return Copied(
        root_rot=found[:, 0],
        joint_rot=joint_rot,
        exact=False,
        off_axis_rad=off_axis,
        clamped_frames=int(((moved > 2e-4) & clamp).any(dim=1).sum()),
        beyond_frames=int((moved >= _CLAMP).any(dim=1).sum()),
    )


def _turn(ours: np.ndarray, theirs: np.ndarray, before: np.ndarray) -> np.ndarray | None:
    """The rotation that turns our rest bones into theirs, nearest to the parent's where they leave a choice."""
    lengths = np.linalg.norm(ours, axis=-1)
    if np.abs(lengths - np.linalg.norm(theirs, axis=-1)).max(initial=0.0) > _TOLERANCE:
        return None
    long = lengths > _TOLERANCE
    if not long.any():
        return before
    if long.sum() == 1:
        start = ours[long][0] @ before.T
        turn = swing(start, theirs[long][0]) @ before
        if np.linalg.norm(np.cross(ours[long][0], theirs[long][0])) < 1e-9 * lengths[long][0] ** 2:
            turn = np.eye(3) if ours[long][0] @ theirs[long][0] > 0 else turn
    else:
        turn = Rotation.align_vectors(theirs, ours)[0].as_matrix()
        turn = np.eye(3) if np.abs(turn - np.eye(3)).max() < 1e-6 else turn
    fits = np.linalg.norm(ours @ turn.T - theirs, axis=-1).max() <= _TOLERANCE
    return turn if fits else None


def _off_axis(joint_rot: np.ndarray, skeleton: Skeleton) -> float:
    worst = 0.0
    for joint, spec in enumerate(skeleton.joints):
        if spec.kind is JointKind.BALL:
            continue
        q = Rotation.from_quat(joint_rot[:, joint])
        if spec.kind is JointKind.HINGE:
            axis = torch.tensor(spec.axis, dtype=torch.float64)
            angle = hinge_angle(torch.from_numpy(np.array(joint_rot[:, joint])), axis).numpy()
            q = Rotation.from_rotvec(angle[:, None] * axis.numpy()).inv() * q
        worst = max(worst, float(q.magnitude().max()))
    return worst
