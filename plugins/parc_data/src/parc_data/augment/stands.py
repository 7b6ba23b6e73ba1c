"""What a motion stands on, and how its height follows when that ground rises or sinks.

A stand is a run of contact labels of one body. Its points are those of the body's surface that lie on the ground below
them; soles that reach over an edge count with the part that does not, hands against a wall do not count.
"""

from __future__ import annotations

import attrs
import numpy as np
from scipy.linalg import solveh_banded

from parc_data.runs import runs
from parc_motion.terrains import Terrain

__all__ = ["Stands", "find_stands", "follow"]

_LABEL = 0.5
_NEAR = 0.06  # m: a point so close over or under the ground stands on it
_BAND = 0.02  # m: and no higher than this over the lowest one of its body
_CUTOFF_HZ = 1.0  # the root follows changes of the ground that are slower than this
_FREE = 1e3  # how much more a bend weighs where nothing stands
_LEVEL = 1e-3  # weight of first differences: beyond the first and last stand the rise stays as it is


@attrs.frozen(kw_only=True, eq=False)
class Stands:
    """S stands with n standing points in all, one row per point and frame."""

    first: np.ndarray  # [S] first frame
    stop: np.ndarray  # [S] the one after the last
    stand: np.ndarray  # [n] stand of the row
    frame: np.ndarray  # [n]
    point: np.ndarray  # [n] index of the surface point
    ground: np.ndarray  # [n] m, height of the ground under it

    @property
    def count(self) -> int:
        """S."""
        return len(self.first)

    def means(self, values: np.ndarray) -> np.ndarray:
        """Mean over the rows of each stand: ``[S]`` for ``[n]``."""
        rows = np.bincount(self.stand, minlength=self.count)
        return np.bincount(self.stand, values, minlength=self.count) / np.maximum(rows, 1)

    def most_frequent(self, values: np.ndarray) -> np.ndarray:
        """The value that most rows of each stand have: ``[S]`` for ``[n]``."""
        levels, which = np.unique(values, return_inverse=True)
        votes = np.zeros((self.count, len(levels)))
        np.add.at(votes, (self.stand, which), 1.0)
        return levels[votes.argmax(axis=1)]


def find_stands(points: np.ndarray, body: np.ndarray, contacts: np.ndarray, terrain: Terrain) -> Stands:
    """The stands of a posed motion.

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
    return Stands(
        first=first,
        stop=stop,
        stand=table[:, 0],
        frame=table[:, 1],
        point=table[:, 2],
        ground=ground[table[:, 1], table[:, 2]],
    )


def follow(stands: Stands, rise: np.ndarray, frames: int, fps: float) -> np.ndarray:
    """How far the root rises in each frame when the ground under each stand rises: ``[T]`` m.

    The smoothest curve that is close to the rises of the stands of each frame: sum of squares plus weighted squares of
    second differences. Those without a stand weigh more, so a flight is raised along a line and keeps its fall.

    Args:
        rise: ``[S]`` m.
    """
    if stands.count == 0 or not rise.any() or frames < 3:
        return np.full(frames, rise.mean() if stands.count else 0.0)
    weight, pull = np.zeros(frames), np.zeros(frames)
    for first, stop, value in zip(stands.first, stands.stop, rise):
        weight[first:stop] += 1.0
        pull[first:stop] += value
    stiff = (fps / (2.0 * np.pi * _CUTOFF_HZ)) ** 4
    bends = np.where(weight[1:-1] > 0.0, stiff, stiff * _FREE)
    band = np.zeros((3, frames))  # of the symmetric matrix of the normal equations, upper form
    band[2] = weight
    _add_squares(band, np.array([1.0, -2.0, 1.0]), bends)
    _add_squares(band, np.array([1.0, -1.0]), np.full(frames - 1, _LEVEL))
    return solveh_banded(band, pull)


def _add_squares(band: np.ndarray, stencil: np.ndarray, weight: np.ndarray) -> None:
    """Add the squares of a difference at all its places, each with its weight."""
    frames = len(weight)
    for offset in range(len(stencil)):
        for k in range(len(stencil) - offset):
            column = k + offset
            band[2 - offset, column : column + frames] += weight * stencil[k] * stencil[column]
