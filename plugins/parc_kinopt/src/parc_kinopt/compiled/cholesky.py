"""Cholesky factor of a symmetric matrix of V by V blocks that couples each frame with the next three."""

from __future__ import annotations

import math

import numpy as np

from parc_kinopt.compiled.jit import kernel

__all__ = ["factor", "solve_with"]

_REACH = 4  # blocks per column, the diagonal one included


@kernel()
def factor(blocks: np.ndarray, ridge: float, inverses: np.ndarray) -> bool:
    """Replace the lower blocks ``[T, 4, V, V]`` by those of their Cholesky factor; False when there is none.

    Args:
        ridge: added to the diagonal.
        inverses: ``[T, V, V]``, filled with the inverses of the factor's diagonal blocks.
    """
    frames, size = blocks.shape[0], blocks.shape[2]
    panel = np.empty(((_REACH - 1) * size, size))
    for t in range(frames):
        if not _factor_block(blocks[t, 0], ridge):
            return False
        _invert_lower(blocks[t, 0], inverses[t])
        below = min(_REACH - 1, frames - 1 - t)
        if below == 0:
            continue
        rows = below * size
        stacked = blocks[t, 1:].copy().reshape(((_REACH - 1) * size, size))[:rows]
        np.dot(stacked, inverses[t].T, panel[:rows])
        update = np.dot(panel[:rows], panel[:rows].T)
        for k in range(1, below + 1):
            blocks[t, k] = panel[(k - 1) * size : k * size]
            for other in range(1, k + 1):
                part = update[(k - 1) * size : k * size, (other - 1) * size : other * size]
                target = blocks[t + other, k - other]
                for i in range(size):
                    for j in range(size):
                        target[i, j] -= part[i, j]
    return True


@kernel()
def solve_with(blocks: np.ndarray, inverses: np.ndarray, right: np.ndarray) -> None:
    """Replace the right side ``[T, V]`` by the solution, with what `factor` made."""
    frames = blocks.shape[0]
    for t in range(frames):
        right[t] = np.dot(inverses[t], right[t])
        for k in range(1, min(_REACH, frames - t)):
            right[t + k] -= np.dot(blocks[t, k], right[t])
    for t in range(frames - 1, -1, -1):
        for k in range(1, min(_REACH, frames - t)):
            right[t] -= np.dot(blocks[t, k].T, right[t + k])
        right[t] = np.dot(inverses[t].T, right[t])


@kernel()
def _factor_block(a: np.ndarray, ridge: float) -> bool:
    """Lower Cholesky factor of one block in place; reads the lower triangle, clears the upper one."""
    size = len(a)
    for i in range(size):
        a[i, i] += ridge
        for j in range(i + 1):
            total = a[i, j]
            for k in range(j):
                total -= a[i, k] * a[j, k]
            if i == j:
                if not total > 0.0:
                    return False
                a[i, i] = math.sqrt(total)
            else:
                a[i, j] = total / a[j, j]
        for j in range(i + 1, size):
            a[i, j] = 0.0
    return True


@kernel()
def _invert_lower(a: np.ndarray, out: np.ndarray) -> None:
    """Inverse of a lower triangular block."""
    size = len(a)
    out[:] = 0.0
    for i in range(size):
        scale = 1.0 / a[i, i]
        for k in range(i):
            share = a[i, k] * scale
            for j in range(k + 1):
                out[i, j] -= share * out[k, j]
        out[i, i] = scale
