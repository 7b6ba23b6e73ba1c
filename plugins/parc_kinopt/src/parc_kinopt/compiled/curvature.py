"""Curvature of bodies as curvature of the variables: a symmetric matrix of V by V blocks, four wide over time."""

from __future__ import annotations

import numpy as np

from parc_kinopt.compiled.goal import LossDerivatives
from parc_kinopt.compiled.jit import kernel
from parc_kinopt.compiled.tree import Pose, Tree
from parc_motion.compiled import apply_matrix, cross_product

__all__ = ["fill_blocks"]

_SECOND = (1.0, -2.0, 1.0)


@kernel()
def fill_blocks(tree: Tree, pose: Pose, loss: LossDerivatives, blocks: np.ndarray) -> None:
    """Write the curvature's lower blocks, ``[T, 4, V, V]``: (t, k) holds rows of frame t + k, columns of frame t.

    Body b moves by J_b = [movement; turn] per variable; blocks of the matrix are sums of J_b[t + k]^T G_b^T J_b[t].
    Of the diagonal blocks only the lower triangle is written.
    """
    frames, bodies = pose.pos.shape[0], pose.pos.shape[1]
    longest = tree.chain.shape[1] + 3
    blocks[:] = 0.0
    blocks[:, 0] = loss.own
    rows = np.zeros((4, longest, 6))
    weighted = np.zeros((longest, 6))
    for b in range(bodies):
        count = tree.chain_length[b] + 3
        for t in range(frames):
            for k in range(min(4, frames - t)):
                if t == 0 or k == 3 or t + 3 >= frames:
                    _jacobian(tree, pose, t + k, b, rows[(t + k) % 4])
            here = rows[t % 4]
            for k in range(min(4, frames - t)):
                there = rows[(t + k) % 4]
                if not _weigh(loss, t, b, k, count, there, weighted):
                    continue
                reach = 6 if k < 2 else 3
                for j in range(count):
                    row = blocks[t, k, j if j < 3 else tree.chain[b, j - 3]]
                    for i in range(j + 1 if k == 0 else count):
                        total = 0.0
                        for r in range(reach):
                            total += here[i, r] * weighted[j, r]
                        row[i if i < 3 else tree.chain[b, i - 3]] += total
    _mass(tree, pose, loss, blocks)


@kernel()
def _jacobian(tree: Tree, pose: Pose, t: int, b: int, out: np.ndarray) -> None:
    """Movement and turn of a body per variable that moves it, ``[3 + chain, 6]``."""
    for i in range(3):
        out[i] = 0.0
        out[i, i] = 1.0
    for i in range(tree.chain_length[b]):
        k = tree.chain[b, i]
        axis, c = pose.axis[t, k], pose.pos[t, tree.center[k]]
        p = pose.pos[t, b]
        mx, my, mz = cross_product(axis[0], axis[1], axis[2], p[0] - c[0], p[1] - c[1], p[2] - c[2])
        row = out[3 + i]
        row[0], row[1], row[2] = mx, my, mz
        row[3], row[4], row[5] = axis[0], axis[1], axis[2]


@kernel()
def _weigh(
    loss: LossDerivatives, t: int, b: int, k: int, count: int, there: np.ndarray, out: np.ndarray
) -> bool:
    """G J of frame t + k, ``[3 + chain, 6]``; False when the block is empty."""
    block = loss.same[t, b] if k == 0 else (loss.next[t, b] if k == 1 else loss.far[k - 2, t, b])
    reach = 6 if k < 2 else 3
    empty = True
    for i in range(reach):
        if block[i, i] != 0.0:
            empty = False
    if empty:
        return False
    for j in range(count):
        for r in range(reach):
            total = 0.0
            for s in range(reach):
                total += block[r, s] * there[j, s]
            out[j, r] = total
    return True


@kernel()
def _mass(tree: Tree, pose: Pose, loss: LossDerivatives, blocks: np.ndarray) -> None:
    """Terms in the center of mass couple all bodies."""
    frames, bodies = pose.pos.shape[0], pose.pos.shape[1]
    size = len(tree.center)
    if not loss.com.any():
        return
    com = np.zeros((frames, size, 3))
    for t in range(frames):
        for b in range(bodies):
            m = tree.mass[b]
            lx, ly, lz = apply_matrix(pose.matrix[t, b], tree.com[b, 0], tree.com[b, 1], tree.com[b, 2])
            x, y, z = pose.pos[t, b, 0] + lx, pose.pos[t, b, 1] + ly, pose.pos[t, b, 2] + lz
            for i in range(3):
                com[t, i, i] += m
            for i in range(tree.chain_length[b]):
                k = tree.chain[b, i]
                axis, c = pose.axis[t, k], pose.pos[t, tree.center[k]]
                mx, my, mz = cross_product(axis[0], axis[1], axis[2], x - c[0], y - c[1], z - c[2])
                com[t, k, 0] += m * mx
                com[t, k, 1] += m * my
                com[t, k, 2] += m * mz
    # all windows that couple frames t and t + k at once
    for t in range(frames):
        for k in range(min(3, frames - t)):
            weight = 0.0
            for i in range(3 - k):
                if 0 <= t - i < frames - 2:
                    weight += loss.com[t - i] * _SECOND[i] * _SECOND[i + k]
            if weight == 0.0:
                continue
            for a in range(size):
                row = blocks[t, k, a]
                x, y, z = weight * com[t + k, a, 0], weight * com[t + k, a, 1], weight * com[t + k, a, 2]
                for c in range(a + 1 if k == 0 else size):
                    row[c] += x * com[t, c, 0] + y * com[t, c, 1] + z * com[t, c, 2]
