"""Stance phases of a motion, and how the root follows when the ground under them rises or sinks.

A stance phase is an uninterrupted run of contact labels of one body. Its points are the surface points of the body that
lie on the ground below them: a sole that reaches over an edge counts with the part on the ground, a hand against a wall
does not count.
"""

from __future__ import annotations

import attrs
import numpy as np
from scipy.linalg import solveh_banded

from parc_data.runs import runs
from parc_motion.terrains import Terrain

__all__ = ["Stances", "find_stances", "root_rise"]

_LABEL = 0.5
_NEAR = 0.06  # m: a point this close to the ground, above or below, is supported by it
_BAND = 0.02  # m: and not higher than this above the lowest point of its body
_CUTOFF_HZ = 1.0  # of the low-pass filter between the height of the ground and that of the root
_FREE = 1e3  # factor of the curvature weight in frames without a stance phase
_LEVEL = (
    1e-3  # weight of first differences: the rise is constant before the first and after the last stance phase
)


@attrs.frozen(kw_only=True, eq=False)
class Stances:
    """S stance phases with n supporting points in all, one row per point and frame."""

    first: np.ndarray  # [S] first frame
    stop: np.ndarray  # [S] frame after the last
    stance: np.ndarray  # [n] stance phase of the row
    frame: np.ndarray  # [n]
    point: np.ndarray  # [n] index of the surface point
    ground: np.ndarray  # [n] m, height of the ground under it

    @property
    def count(self) -> int:
        """S."""
        return len(self.first)

    def means(self, values: np.ndarray) -> np.ndarray:
        """Mean over the rows of each stance phase: ``[S]`` for ``[n]``."""
        rows = np.bincount(self.stance, minlength=self.count)
        return np.bincount(self.stance, values, minlength=self.count) / np.maximum(rows, 1)

    def most_frequent(self, values: np.ndarray) -> np.ndarray:
        """The most frequent value of the rows of each stance phase: ``[S]`` for ``[n]``."""
        levels, which = np.unique(values, return_inverse=True)
        votes = np.zeros((self.count, len(levels)))
        np.add.at(votes, (self.stance, which), 1.0)
        return levels[votes.argmax(axis=1)]


def find_stances(points: np.ndarray, body: np.ndarray, contacts: np.ndarray, terrain: Terrain) -> Stances:
    """The stance phases of a posed motion.

    Args:
        points: surface points, ``[T, P, 3]`` m.
        body: body of each, ``[P]``.
        contacts: labels, ``[T, B]`` 0..1.
    """
    ground = terrain.height_at(points[..., :2]).astype(np.float64)
    near = np.abs(points[..., 2] - ground) <= _NEAR
    spans: list[tuple[int, int]] = []
    rows: list[np.ndarray] = []
    for one in np.unique(body):
        mine = np.flatnonzero(body == one)
        low = points[:, mine, 2] <= points[:, mine, 2].min(axis=1, keepdims=True) + _BAND
        for first, stop in runs(contacts[:, one] > _LABEL):
            frame, column = np.nonzero((near[:, mine] & low)[first:stop])
            if len(frame):
                frame, point = frame + first, mine[column]
                rows.append(np.column_stack([np.full(len(frame), len(spans)), frame, point]))
                spans.append((first, stop))
    table = np.concatenate(rows) if rows else np.zeros((0, 3), dtype=np.int64)
    first, stop = np.array(spans, dtype=np.int64).reshape(-1, 2).T
    return Stances(
        first=first,
        stop=stop,
        stance=table[:, 0],
        frame=table[:, 1],
        point=table[:, 2],
        ground=ground[table[:, 1], table[:, 2]],
    )


def root_rise(stances: Stances, rise: np.ndarray, frames: int, fps: float) -> np.ndarray:
    """How far the root rises in each frame when the ground under each stance phase rises: ``[T]`` m.

    A smoothing spline through the rises of the stance phases: it minimizes the squared distances to them plus weighted
    squares of second differences. The weight is larger in frames without a stance phase, so that a flight is raised
    along a straight line and keeps its ballistic acceleration.

    Args:
        rise: ``[S]`` m.
    """
    if stances.count == 0 or not rise.any() or frames < 3:
        return np.full(frames, rise.mean() if stances.count else 0.0)
    weight, pull = np.zeros(frames), np.zeros(frames)
    for first, stop, value in zip(stances.first, stances.stop, rise):
        weight[first:stop] += 1.0
        pull[first:stop] += value
    stiffness = (fps / (2.0 * np.pi * _CUTOFF_HZ)) ** 4
    bends = np.where(weight[1:-1] > 0.0, stiffness, stiffness * _FREE)
    band = np.zeros((3, frames))  # matrix of the normal equations, upper form
    band[2] = weight
    _add_squares(band, np.array([1.0, -2.0, 1.0]), bends)
    _add_squares(band, np.array([1.0, -1.0]), np.full(frames - 1, _LEVEL))
    return solveh_banded(band, pull)


def _add_squares(band: np.ndarray, stencil: np.ndarray, weight: np.ndarray) -> None:
    """Add the weighted squares of a finite difference to a symmetric band matrix (upper form)."""
    frames = len(weight)
    for offset in range(len(stencil)):
        for k in range(len(stencil) - offset):
            column = k + offset
            band[2 - offset, column : column + frames] += weight * stencil[k] * stencil[column]
