"""Terrain for motions that come without: level, or plateaus under the stance phases.

A stance phase is a period in which a hand or foot has a contact label or, without labels, in which a foot is still. A
foot that hangs in the air may be still too; so an unlabeled stance phase counts only if it is the lowest one for a
moment, or at the height of one that is, and if no body was ever far below it nearby.

Level ground has the median height of the stance phases. Plateaus: stance phases whose heights differ by a few
centimeters form one level; a cell under a stance phase takes its level, cells around it the level of the nearest such
cell, all others the lowest level; and no cell remains above the lowest point that a body ever had over it.
"""

from __future__ import annotations

from typing import Literal

import attrs
import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from parc_core.config import setting
from parc_data.box_terrain import LARGEST_CELL, PADDING, best_grid, level_grids
from parc_data.contacts import clip_points, point_speed
from parc_data.runs import runs
from parc_motion.clips import MotionClip
from parc_motion.errors import DataError
from parc_motion.skeletons import Skeleton
from parc_motion.terrains import Terrain

__all__ = ["FitConfig", "TerrainFit", "fit_clip", "fit_terrain"]

_STILL = 0.3  # m/s: a foot whose slowest low point is slower counts as still
_SLIDING = 0.5  # m/s: a faster labeled body slides along a wall or is landing
_ALONE_S = 0.1  # an unlabeled stance phase has to be the lowest one for this long
_LEAST_S = 0.12  # shorter unlabeled stance phases do not count
_BAND = 0.02  # m: points this close to the lowest point of a body support it, too
_CLOSE = 0.1  # m: a body within this horizontal distance and
_BELOW = 0.08  # m below a stance phase shows that there was no ground
_SQUARE = 0.02  # m: points are thinned to one per square of this size
_LABEL = 0.5


@attrs.frozen(kw_only=True)
class FitConfig:
    """How terrain is fitted."""

    mode: Literal["auto", "flat", "boxes"] = setting(
        "auto",
        choices=("auto", "flat", "boxes"),
        help="Level ground, plateaus, or (auto) level ground if all stance phases allow it.",
    )
    flat_m: float = setting(
        0.08,
        ge=1e-6,
        le=1000,
        unit="m",
        help="Auto: ground is level if all stance phases are this close to the median height.",
    )
    level_m: float = setting(
        0.05, ge=1e-6, le=1000, unit="m", help="Stance phases whose heights differ by less share a plateau."
    )
    sink_m: float = setting(
        0.01, ge=0, le=1000, unit="m", help="Points may be this far below a plateau (soft soles, noise)."
    )
    reach_m: float = setting(
        0.6, ge=0, le=1000, unit="m", help="Plateaus extend this far around their stance phases."
    )
    padding_m: float = setting(
        PADDING, ge=0, le=1000, unit="m", help="Width of the terrain around the path of the root."
    )


@attrs.frozen(kw_only=True, eq=False)
class TerrainFit:
    """Fitted terrain and how well it fits."""

    terrain: Terrain
    mode: Literal["flat", "boxes"]
    residual_m: float  # m: 95th percentile of the distance between supporting points and their ground
    max_depth_m: float  # m: the deepest point of any body below the ground
    num_stances: int


@attrs.frozen(kw_only=True, eq=False)
class _Stance:
    """One stance phase: a body in contact from frame `first` to `stop` - 1."""

    first: int
    stop: int
    height: float  # m
    points: np.ndarray  # [n, 3] m, its low points in all its frames

    @property
    def frames(self) -> int:
        return self.stop - self.first


@attrs.frozen(kw_only=True, eq=False)
class _Stances:
    """Supporting points of all stance phases, one row per point and frame."""

    points: np.ndarray  # [n, 3] m
    stance: np.ndarray  # [n] int64
    height: np.ndarray  # [S] m, of each stance phase
    frames: np.ndarray  # [S] how long it lasts


def fit_clip(
    clip: MotionClip, skeleton: Skeleton, config: FitConfig = FitConfig(), use_labels: bool | None = None
) -> TerrainFit:
    """Terrain for a clip, whatever terrain it has; from its contact labels if it has any.

    Args:
        use_labels: False ignores the labels; None uses those of hands and feet where there are any.

    Raises:
        SkeletonMismatch: it belongs to another character.
        DataError: it covers too large an area.
    """
    points, body = clip_points(clip, skeleton)
    feet = np.array(skeleton.need_feet(), dtype=np.int64)
    labels = np.zeros_like(clip.contacts)
    labels[:, list(skeleton.key_bodies)] = clip.contacts[:, list(skeleton.key_bodies)]
    known = bool((labels > _LABEL).any()) if use_labels is None else use_labels
    try:
        return fit_terrain(points, body, clip.root_pos, clip.fps, feet, labels if known else None, config)
    except DataError as err:
        raise DataError(f"clip '{clip.name}': {err}") from err


def fit_terrain(
    points: np.ndarray,
    body: np.ndarray,
    root_pos: np.ndarray,
    fps: float,
    feet: np.ndarray,
    contacts: np.ndarray | None = None,
    config: FitConfig = FitConfig(),
) -> TerrainFit:
    """Terrain for posed bodies.

    Args:
        points: points on the surface of the bodies, ``[T, P, 3]`` m.
        body: body of each point, ``[P]``.
        root_pos: ``[T, 3]`` m.
        feet: bodies whose stance phases are searched for if there are no labels.
        contacts: contact labels, ``[T, B]``; None if they are unknown.

    Raises:
        DataError: the motion covers too large an area, or a number is not finite.
    """
    points, root_pos = np.asarray(points, dtype=np.float64), np.asarray(root_pos, dtype=np.float64)
    if not np.isfinite(points).all():
        raise DataError("terrain fit: positions of the bodies are not finite.")
    stances = _find_stances(points, body, fps, feet, contacts, config)
    level = _level(points, stances, config.flat_m)
    flat = len(stances.height) and np.abs(stances.height - _median(stances)).max() <= config.flat_m
    if config.mode == "flat" or not len(stances.height) or (config.mode == "auto" and flat):
        grid = next(level_grids(root_pos, LARGEST_CELL, config.padding_m))
        terrain = attrs.evolve(grid, height=np.full(grid.shape, level))
        mode: Literal["flat", "boxes"] = "flat"
    else:
        terrain, mode = _plateaus(points, root_pos, stances, config), "boxes"
    over = points[..., 2] - terrain.height_at(points[..., :2])
    gaps = _gaps(stances, terrain)
    return TerrainFit(
        terrain=terrain,
        mode=mode,
        residual_m=float(np.quantile(gaps, 0.95)) if len(gaps) else 0.0,
        max_depth_m=max(0.0, -float(over.min())),
        num_stances=len(stances.height),
    )


def _find_stances(
    points: np.ndarray,
    body: np.ndarray,
    fps: float,
    feet: np.ndarray,
    contacts: np.ndarray | None,
    config: FitConfig,
) -> _Stances:
    found: list[_Stance] = []
    bodies = feet if contacts is None else np.flatnonzero((contacts > _LABEL).any(axis=0))
    for one in (b for b in bodies if (body == b).any()):
        found += _stances_of(
            points[:, body == one], fps, None if contacts is None else contacts[:, one] > _LABEL
        )
    if contacts is None and found:
        enough = [s for s in found if s.frames >= _LEAST_S * fps or s.first == 0 or s.stop == len(points)]
        found = _free_below(points, enough) or enough
        found = _lowest(found, fps, config.level_m)
    return _Stances(
        points=np.concatenate([s.points for s in found]) if found else np.zeros((0, 3)),
        stance=np.repeat(np.arange(len(found)), [len(s.points) for s in found]),
        height=np.array([s.height for s in found]),
        frames=np.array([s.frames for s in found], dtype=np.int64),
    )


def _stances_of(points: np.ndarray, fps: float, labeled: np.ndarray | None) -> list[_Stance]:
    """Stance phases of one body with the points ``[T, p, 3]``."""
    lowest = points[..., 2].min(axis=1)
    low = points[..., 2] <= lowest[:, None] + _BAND
    speed = np.where(low, point_speed(points, fps), np.inf).min(axis=1)
    held = speed < _STILL if labeled is None else labeled & (speed < _SLIDING)
    return [
        _Stance(first=a, stop=b, height=float(np.median(lowest[a:b])), points=points[a:b][low[a:b]])
        for a, b in runs(held)
    ]


def _thinned(points: np.ndarray) -> np.ndarray:
    """The lowest point over each small square, ``[n, 3]`` m."""
    points = points.reshape(-1, 3)
    square = np.round(points[:, :2] / _SQUARE)
    order = np.lexsort((points[:, 2], square[:, 1], square[:, 0]))
    first = np.concatenate([[True], (np.diff(square[order], axis=0) != 0).any(axis=1)])
    return points[order][first]


def _free_below(points: np.ndarray, stances: list[_Stance]) -> list[_Stance]:
    """The stance phases that have no body far below half of their points or more."""
    lowest = _thinned(points)
    tree = cKDTree(lowest[:, :2])
    kept = []
    for stance in stances:
        around = tree.query_ball_point(_thinned(stance.points)[:, :2], _CLOSE)
        lower = [bool(near) and lowest[near, 2].min() < stance.height - _BELOW for near in around]
        if np.mean(lower) < 0.5:
            kept.append(stance)
    return kept


def _lowest(stances: list[_Stance], fps: float, same: float) -> list[_Stance]:
    """The stance phases that are the lowest for a moment, and others at the same heights."""
    if not stances:
        return stances
    lowest = np.full(max(s.stop for s in stances), np.inf)
    for s in stances:
        lowest[s.first : s.stop] = np.minimum(lowest[s.first : s.stop], s.height)
    sure = [
        s.height for s in stances if (s.height <= lowest[s.first : s.stop] + same).sum() >= _ALONE_S * fps
    ]
    return [s for s in stances if not sure or min(abs(s.height - height) for height in sure) <= same]


def _level(points: np.ndarray, stances: _Stances, most: float) -> float:
    """Height of level ground: the time-weighted median of the stance phases, unless bodies are often `most` lower."""
    often = float(np.quantile(points[..., 2].min(axis=1), 0.05))
    if not len(stances.height):
        return often
    median = _median(stances)
    return median if median <= often + most else often


def _median(stances: _Stances) -> float:
    """Time-weighted median height of the stance phases."""
    order = np.argsort(stances.height)
    share = np.cumsum(stances.frames[order])
    return float(stances.height[order][np.searchsorted(share, 0.5 * share[-1])])


def _plateaus(points: np.ndarray, root_pos: np.ndarray, stances: _Stances, config: FitConfig) -> Terrain:
    levels = _levels(stances, config.level_m)
    lowest = _thinned(points)
    some = np.unique(np.column_stack([np.round(stances.points[:, :2] / _SQUARE), stances.stance]), axis=0)
    where, which = some[:, :2] * _SQUARE, some[:, 2].astype(np.int64)

    def fill(grid: Terrain) -> np.ndarray:
        return _fill(grid, lowest, where, levels[which], config)

    def error(grid: Terrain) -> float:
        # share of time in stance phases that lose their plateau; ties: share of points beyond the edge
        filled = attrs.evolve(grid, height=fill(grid))
        off = np.abs(filled.height_at(where) - levels[which]) > 0.5 * config.level_m
        share = np.bincount(which, off, len(levels)) / np.bincount(which, minlength=len(levels))
        return float((stances.frames * (share > 0.5)).sum() / stances.frames.sum() + 0.02 * off.mean())

    grid, _ = best_grid(root_pos, error, config.padding_m)
    lowest = points.reshape(
        -1, 3
    )  # all of them: near the border of a cell the thinned ones are not exact enough
    return attrs.evolve(grid, height=fill(grid))


def _levels(stances: _Stances, apart: float) -> np.ndarray:
    """Level of each stance phase ``[S]`` m: the median of its group; groups are `apart` from each other."""
    order = np.argsort(stances.height)
    group = np.concatenate([[0], np.cumsum(np.diff(stances.height[order]) > apart)])
    levels = np.empty(len(order))
    for one in range(int(group[-1]) + 1):
        members = order[group == one]
        levels[members] = np.median(np.repeat(stances.height[members], stances.frames[members]))
    return levels


def _fill(
    grid: Terrain, lowest: np.ndarray, where: np.ndarray, levels: np.ndarray, config: FitConfig
) -> np.ndarray:
    bound = np.full(grid.shape, np.inf)
    np.minimum.at(bound, tuple(grid.cell_of(lowest[:, :2]).T), lowest[:, 2])
    steps = np.unique(levels)
    votes = np.zeros((len(steps), *grid.shape))
    np.add.at(votes, (np.searchsorted(steps, levels), *grid.cell_of(where).T), 1.0)
    possible = steps[:, None, None] <= bound + config.level_m
    votes[~possible] = 0.0
    known = votes.max(axis=0) > 0
    if not known.any():
        return np.minimum(np.full(grid.shape, steps[0]), bound)
    best = steps[votes.argmax(axis=0)]
    away, near = ndimage.distance_transform_edt(~known, sampling=grid.cell, return_indices=True)
    height = np.where(away <= config.reach_m, best[tuple(near)], steps[0])
    # an unknown cell that is too high gets the next lower level that frees the body
    fits = steps[:, None, None] <= bound + config.sink_m
    lower = np.where(fits, steps[:, None, None], -np.inf).max(axis=0)
    height = np.where(
        known | (height <= bound + config.sink_m), height, np.where(np.isfinite(lower), lower, bound)
    )
    return np.where(height > bound + config.sink_m, bound, height)


def _gaps(stances: _Stances, terrain: Terrain) -> np.ndarray:
    """Vertical distance of each supporting point to its ground, ``[n]`` m."""
    return np.abs(stances.points[:, 2] - terrain.height_at(stances.points[:, :2]))
