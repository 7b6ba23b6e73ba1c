"""Ground under a motion that comes without: level, or plateaus under what it stood on.

Everything starts from *stands*: stretches of time in which a body of interest (hands and feet) is labeled, or,
without labels, in which a foot is still. A foot that hangs or is held up is still too; so an unlabeled stand counts
only if it is the lowest one for a moment, or as high as one that is, and if no body was ever well below it close by.

Level ground has the median height of the stands. Plateaus: heights of stands within a few centimeters become one
level; a cell under a stand takes its level, cells around it the level of the nearest such cell, all others the lowest
level; and no cell stays above the lowest point that a body ever had over it.
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

_STILL = 0.3  # m/s, of the slowest low point of a standing foot
_SLIDING = 0.5  # m/s: a labeled body that is faster slides along a wall or lands
_ALONE_S = 0.1  # an unlabeled stand has to carry the body alone for this long
_LEAST_S = 0.12  # shorter unlabeled stands do not count
_BAND = 0.02  # m: points this close to the lowest one of a body stand with it
_CLOSE = 0.1  # m: a body this close by and
_BELOW = 0.08  # m below a stand shows that no ground was there
_SQUARE = 0.02  # m: points are thinned to one per square of this size
_LABEL = 0.5


@attrs.frozen(kw_only=True)
class FitConfig:
    """How ground is fitted."""

    mode: Literal["auto", "flat", "boxes"] = setting(
        "auto",
        choices=("auto", "flat", "boxes"),
        help="level ground, plateaus, or level where all stands allow it",
    )
    flat_m: float = setting(
        0.08, gt=0, unit="m", help="auto: level if no stand is further than this from their median"
    )
    level_m: float = setting(
        0.05, gt=0, unit="m", help="stands whose heights differ by less are on one plateau"
    )
    sink_m: float = setting(
        0.01, ge=0, unit="m", help="points may be this far below a plateau: soft soles, noise"
    )
    reach_m: float = setting(0.6, ge=0, unit="m", help="plateaus reach this far around what stood on them")
    padding_m: float = setting(PADDING, ge=0, unit="m", help="ground around the motion of the root")


@attrs.frozen(kw_only=True, eq=False)
class TerrainFit:
    """Fitted ground and how well it fits."""

    terrain: Terrain
    mode: Literal["flat", "boxes"]
    residual_m: float  # m: 95 % of the standing frames are at most this far over or under their ground
    max_depth_m: float  # m: the deepest point of any body below the ground
    num_stands: int


@attrs.frozen(kw_only=True, eq=False)
class _Stand:
    """One body that stands from frame `first` up to `stop`."""

    first: int
    stop: int
    height: float  # m
    points: np.ndarray  # [n, 3] m, its low points in all its frames

    @property
    def frames(self) -> int:
        return self.stop - self.first


@attrs.frozen(kw_only=True, eq=False)
class _Stands:
    """Low points of standing bodies, one row per point and frame, and the stand that each belongs to."""

    points: np.ndarray  # [n, 3] m
    stand: np.ndarray  # [n] int64
    height: np.ndarray  # [S] m, of each stand
    frames: np.ndarray  # [S] how long it lasts


def fit_clip(
    clip: MotionClip, skeleton: Skeleton, config: FitConfig = FitConfig(), use_labels: bool | None = None
) -> TerrainFit:
    """Ground under a clip, whatever its own is; from its labels where it has some.

    Args:
        use_labels: False ignores the labels; None uses those of hands and feet where there are any.

    Raises:
        SkeletonMismatch: it belongs to another character.
        DataError: it spreads too far.
    """
    points, body = clip_points(clip, skeleton)
    feet = np.array([i for i in skeleton.key_bodies if "foot" in skeleton.body_names[i]], dtype=np.int64)
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
    """Ground under posed bodies.

    Args:
        points: points on the surface of the bodies, ``[T, P, 3]`` m.
        body: body of each point, ``[P]``.
        root_pos: ``[T, 3]`` m.
        feet: bodies that stand, where there are no labels.
        contacts: labels of the bodies that may stand, ``[T, B]``; None where nobody knows.

    Raises:
        DataError: the motion spreads too far, or a number is not finite.
    """
    points, root_pos = np.asarray(points, dtype=np.float64), np.asarray(root_pos, dtype=np.float64)
    if not np.isfinite(points).all():
        raise DataError("terrain fit: the bodies have places that are not finite.")
    stands = _stands(points, body, fps, feet, contacts, config)
    level = _level(points, stands, config.flat_m)
    flat = len(stands.height) and np.abs(stands.height - _median(stands)).max() <= config.flat_m
    if config.mode == "flat" or not len(stands.height) or (config.mode == "auto" and flat):
        grid = next(level_grids(root_pos, LARGEST_CELL, config.padding_m))
        terrain = attrs.evolve(grid, height=np.full(grid.shape, level))
        mode: Literal["flat", "boxes"] = "flat"
    else:
        terrain, mode = _plateaus(points, root_pos, stands, config), "boxes"
    over = points[..., 2] - terrain.height_at(points[..., :2])
    gaps = _gaps(stands, terrain)
    return TerrainFit(
        terrain=terrain,
        mode=mode,
        residual_m=float(np.quantile(gaps, 0.95)) if len(gaps) else 0.0,
        max_depth_m=max(0.0, -float(over.min())),
        num_stands=len(stands.height),
    )


def _stands(
    points: np.ndarray,
    body: np.ndarray,
    fps: float,
    feet: np.ndarray,
    contacts: np.ndarray | None,
    config: FitConfig,
) -> _Stands:
    found: list[_Stand] = []
    bodies = feet if contacts is None else np.flatnonzero((contacts > _LABEL).any(axis=0))
    for one in (b for b in bodies if (body == b).any()):
        found += _stands_of(
            points[:, body == one], fps, None if contacts is None else contacts[:, one] > _LABEL
        )
    if contacts is None and found:
        enough = [s for s in found if s.frames >= _LEAST_S * fps or s.first == 0 or s.stop == len(points)]
        found = _free_below(points, enough) or enough
        found = _carrying(found, fps, config.level_m)
    return _Stands(
        points=np.concatenate([s.points for s in found]) if found else np.zeros((0, 3)),
        stand=np.repeat(np.arange(len(found)), [len(s.points) for s in found]),
        height=np.array([s.height for s in found]),
        frames=np.array([s.frames for s in found], dtype=np.int64),
    )


def _stands_of(points: np.ndarray, fps: float, labeled: np.ndarray | None) -> list[_Stand]:
    """Stands of one body with the points ``[T, p, 3]``."""
    lowest = points[..., 2].min(axis=1)
    low = points[..., 2] <= lowest[:, None] + _BAND
    speed = np.where(low, point_speed(points, fps), np.inf).min(axis=1)
    held = speed < _STILL if labeled is None else labeled & (speed < _SLIDING)
    return [
        _Stand(first=a, stop=b, height=float(np.median(lowest[a:b])), points=points[a:b][low[a:b]])
        for a, b in runs(held)
    ]


def _thinned(points: np.ndarray) -> np.ndarray:
    """The lowest point over each small square, ``[n, 3]`` m."""
    points = points.reshape(-1, 3)
    square = np.round(points[:, :2] / _SQUARE)
    order = np.lexsort((points[:, 2], square[:, 1], square[:, 0]))
    first = np.concatenate([[True], (np.diff(square[order], axis=0) != 0).any(axis=1)])
    return points[order][first]


def _free_below(points: np.ndarray, stands: list[_Stand]) -> list[_Stand]:
    """The stands that had no body well below them close to half of their places or more."""
    lowest = _thinned(points)
    tree = cKDTree(lowest[:, :2])
    kept = []
    for stand in stands:
        around = tree.query_ball_point(_thinned(stand.points)[:, :2], _CLOSE)
        lower = [bool(near) and lowest[near, 2].min() < stand.height - _BELOW for near in around]
        if np.mean(lower) < 0.5:
            kept.append(stand)
    return kept


def _carrying(stands: list[_Stand], fps: float, same: float) -> list[_Stand]:
    """The stands that are the only one or the lowest for a moment, and others of their heights."""
    if not stands:
        return stands
    lowest = np.full(max(s.stop for s in stands), np.inf)
    for s in stands:
        lowest[s.first : s.stop] = np.minimum(lowest[s.first : s.stop], s.height)
    sure = [s.height for s in stands if (s.height <= lowest[s.first : s.stop] + same).sum() >= _ALONE_S * fps]
    return [s for s in stands if not sure or min(abs(s.height - height) for height in sure) <= same]


def _level(points: np.ndarray, stands: _Stands, most: float) -> float:
    """Height of level ground: the median of the stands by time, unless bodies often are `most` lower."""
    often = float(np.quantile(points[..., 2].min(axis=1), 0.05))
    if not len(stands.height):
        return often
    median = _median(stands)
    return median if median <= often + most else often


def _median(stands: _Stands) -> float:
    """Median height of the stands by their time."""
    order = np.argsort(stands.height)
    share = np.cumsum(stands.frames[order])
    return float(stands.height[order][np.searchsorted(share, 0.5 * share[-1])])


def _plateaus(points: np.ndarray, root_pos: np.ndarray, stands: _Stands, config: FitConfig) -> Terrain:
    levels = _levels(stands, config.level_m)
    lowest = _thinned(points)
    some = np.unique(np.column_stack([np.round(stands.points[:, :2] / _SQUARE), stands.stand]), axis=0)
    where, which = some[:, :2] * _SQUARE, some[:, 2].astype(np.int64)

    def fill(grid: Terrain) -> np.ndarray:
        return _fill(grid, lowest, where, levels[which], config)

    def error(grid: Terrain) -> float:
        # stands that lose their plateau, by their time; among equals as few points as possible over the edge
        filled = attrs.evolve(grid, height=fill(grid))
        off = np.abs(filled.height_at(where) - levels[which]) > 0.5 * config.level_m
        share = np.bincount(which, off, len(levels)) / np.bincount(which, minlength=len(levels))
        return float((stands.frames * (share > 0.5)).sum() / stands.frames.sum() + 0.02 * off.mean())

    grid, _ = best_grid(root_pos, error, config.padding_m)
    lowest = points.reshape(-1, 3)  # near a cell's border the thinned ones do not do
    return attrs.evolve(grid, height=fill(grid))


def _levels(stands: _Stands, apart: float) -> np.ndarray:
    """Level of each stand ``[S]`` m: the median of the stands in its group; groups are `apart` from each other."""
    order = np.argsort(stands.height)
    group = np.concatenate([[0], np.cumsum(np.diff(stands.height[order]) > apart)])
    levels = np.empty(len(order))
    for one in range(int(group[-1]) + 1):
        members = order[group == one]
        levels[members] = np.median(np.repeat(stands.height[members], stands.frames[members]))
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
    # an unknown cell that is too high steps down to the next level that leaves room
    fits = steps[:, None, None] <= bound + config.sink_m
    lower = np.where(fits, steps[:, None, None], -np.inf).max(axis=0)
    height = np.where(
        known | (height <= bound + config.sink_m), height, np.where(np.isfinite(lower), lower, bound)
    )
    return np.where(height > bound + config.sink_m, bound, height)


def _gaps(stands: _Stands, terrain: Terrain) -> np.ndarray:
    """Distance of every standing point to its ground, at most its stand's height off, ``[n]`` m."""
    return np.abs(stands.points[:, 2] - terrain.height_at(stands.points[:, :2]))
