"""The character as arrays; where its bodies are, and how forces on bodies become a gradient of the variables."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from parc_kinopt.compiled.jit import kernel
from parc_motion.compiled import (
    apply_matrix,
    cross_product,
    place_bodies,
    write_expmap_quat,
    write_left_jacobian,
    write_matrix,
)
from parc_motion.kinematics import SurfacePoints, body_masses, surface_points
from parc_motion.skeletons import JointKind, Skeleton

__all__ = ["Pose", "Tree", "gradient_of_forces", "make_pose", "pose_bodies", "tree_of"]


class Tree(NamedTuple):
    """Bodies in depth-first order; variables are root position (3), root exponential map (3), dofs (D); V = 6 + D."""

    parent: np.ndarray  # [B] int64
    offset: np.ndarray  # [B, 3] m
    width: np.ndarray  # [B] int64, variables that turn the body against its parent: 0, 1 or 3
    first: np.ndarray  # [B] int64, the first of them
    axis: np.ndarray  # [B, 3], of hinges
    lower: np.ndarray  # [D] rad
    upper: np.ndarray  # [D] rad
    center: np.ndarray  # [V] int64, body in whose origin a variable turns
    chain: np.ndarray  # [B, L] int64, turning variables that move a body, in tree order
    chain_length: np.ndarray  # [B] int64
    mass: np.ndarray  # [B] share of the whole
    com: np.ndarray  # [B, 3] m, body frame
    point: np.ndarray  # [P, 3] m, surface points, body frame
    start: np.ndarray  # [B + 1] int64, where the points of a body begin


class Pose(NamedTuple):
    """Bodies in every frame, filled by `pose_bodies`."""

    pos: np.ndarray  # [T, B, 3] m
    quat: np.ndarray  # [T, B, 4]
    matrix: np.ndarray  # [T, B, 3, 3]
    joint: np.ndarray  # [T, B, 4] rotation against the parent
    axis: np.ndarray  # [T, V, 3] world axis about which a turning variable turns; the first 3 are not used


def tree_of(skeleton: Skeleton, surface: SurfacePoints | None = None) -> Tree:
    """The arrays of a character.

    Args:
        surface: its surface points; those of `parc_motion.kinematics.surface` when not given.
    """
    surface = surface or surface_points(skeleton, dtype=torch.float64)
    mass, com = body_masses(skeleton)
    bodies = skeleton.num_bodies
    width, first, axis = np.zeros(bodies, np.int64), np.zeros(bodies, np.int64), np.zeros((bodies, 3))
    width[0], first[0] = 3, 3
    center = np.zeros(6 + skeleton.num_dofs, np.int64)
    for body, (joint, where) in enumerate(zip(skeleton.joints, skeleton.dof_slices), start=1):
        width[body], first[body] = joint.kind.num_dofs, 6 + where.start
        center[6 + where.start : 6 + where.stop] = body
        if joint.kind is JointKind.HINGE:
            axis[body] = np.asarray(joint.axis, np.float64) / np.linalg.norm(joint.axis)
    chains: list[list[int]] = []
    for body in range(bodies):
        before = chains[skeleton.parents[body]] if body else []
        chains.append(before + list(range(first[body], first[body] + width[body])))
    longest = max(len(chain) for chain in chains)
    return Tree(
        parent=np.array(skeleton.parents, np.int64),
        offset=skeleton.offsets.astype(np.float64),
        width=width,
        first=first,
        axis=axis,
        lower=skeleton.dof_lower.astype(np.float64),
        upper=skeleton.dof_upper.astype(np.float64),
        center=center,
        chain=np.array([chain + [0] * (longest - len(chain)) for chain in chains], np.int64),
        chain_length=np.array([len(chain) for chain in chains], np.int64),
        mass=mass / mass.sum(),
        com=np.ascontiguousarray(com, np.float64),
        point=surface.points.double().cpu().numpy(),
        start=np.concatenate([[0], np.cumsum(surface.counts)]).astype(np.int64),
    )


def make_pose(frames: int, tree: Tree) -> Pose:
    """Room for the bodies of `frames` frames."""
    bodies, variables = len(tree.parent), len(tree.center)
    return Pose(
        pos=np.zeros((frames, bodies, 3)),
        quat=np.zeros((frames, bodies, 4)),
        matrix=np.zeros((frames, bodies, 3, 3)),
        joint=np.zeros((frames, bodies, 4)),
        axis=np.zeros((frames, variables, 3)),
    )


@kernel()
def pose_bodies(x: np.ndarray, tree: Tree, pose: Pose) -> None:
    """Fill `pose` for the variables ``[T, V]``."""
    for t in range(len(x)):
        for b in range(len(tree.parent)):
            k = tree.first[b]
            joint = pose.joint[t, b]
            if tree.width[b] == 3:
                write_expmap_quat(x[t, k], x[t, k + 1], x[t, k + 2], joint)
            elif tree.width[b] == 1:
                angle = x[t, k]
                write_expmap_quat(
                    tree.axis[b, 0] * angle, tree.axis[b, 1] * angle, tree.axis[b, 2] * angle, joint
                )
            else:
                joint[0] = joint[1] = joint[2] = 0.0
                joint[3] = 1.0
        pose.pos[t, 0] = x[t, :3]
        pose.quat[t, 0] = pose.joint[t, 0]
    place_bodies(tree.parent, tree.offset, pose.joint, pose.pos, pose.quat)
    for t in range(len(x)):
        for b in range(len(tree.parent)):
            write_matrix(pose.quat[t, b], pose.matrix[t, b])
        _write_axes(x[t], tree, pose.matrix[t], pose.axis[t])


@kernel()
def _write_axes(x: np.ndarray, tree: Tree, matrix: np.ndarray, axis: np.ndarray) -> None:
    """The world axis of each turning variable of one frame: columns of left Jacobians, hinge axes."""
    jacobian = np.empty((3, 3))
    for b in range(len(tree.parent)):
        k = tree.first[b]
        if tree.width[b] == 3:
            write_left_jacobian(x[k], x[k + 1], x[k + 2], jacobian)
            for c in range(3):
                ax, ay, az = jacobian[0, c], jacobian[1, c], jacobian[2, c]
                if b > 0:
                    ax, ay, az = apply_matrix(matrix[tree.parent[b]], ax, ay, az)
                axis[k + c, 0], axis[k + c, 1], axis[k + c, 2] = ax, ay, az
        elif tree.width[b] == 1:
            ax, ay, az = apply_matrix(
                matrix[tree.parent[b]], tree.axis[b, 0], tree.axis[b, 1], tree.axis[b, 2]
            )
            axis[k, 0], axis[k, 1], axis[k, 2] = ax, ay, az


@kernel()
def gradient_of_forces(
    tree: Tree, pose: Pose, force: np.ndarray, torque: np.ndarray, grad: np.ndarray
) -> None:
    """Add what forces and torques on bodies do to the variables.

    Args:
        force: derivative of the loss by the bodies' positions, ``[T, B, 3]``; overwritten.
        torque: derivative by their rotation about their own origins (world axes), ``[T, B, 3]``; overwritten.
        grad: ``[T, V]``, added to.
    """
    for t in range(len(grad)):
        # moments about the world's origin add up along the tree
        for b in range(len(tree.parent) - 1, -1, -1):
            p, f = pose.pos[t, b], force[t, b]
            mx, my, mz = cross_product(p[0], p[1], p[2], f[0], f[1], f[2])
            torque[t, b, 0] += mx
            torque[t, b, 1] += my
            torque[t, b, 2] += mz
        for b in range(len(tree.parent) - 1, 0, -1):
            for i in range(3):
                force[t, tree.parent[b], i] += force[t, b, i]
                torque[t, tree.parent[b], i] += torque[t, b, i]
        for i in range(3):
            grad[t, i] += force[t, 0, i]
        for k in range(3, len(tree.center)):
            c = tree.center[k]
            p, f = pose.pos[t, c], force[t, c]
            mx, my, mz = cross_product(p[0], p[1], p[2], f[0], f[1], f[2])
            axis = pose.axis[t, k]
            grad[t, k] += (
                axis[0] * (torque[t, c, 0] - mx)
                + axis[1] * (torque[t, c, 1] - my)
                + axis[2] * (torque[t, c, 2] - mz)
            )
