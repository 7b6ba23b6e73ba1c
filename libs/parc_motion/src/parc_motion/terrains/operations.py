"""Another window or another grid on the same ground: crop, pad, slice around a motion, coarsen.

Every function returns a new terrain and leaves its argument as it is. Bounds of the heights go with their cells.
`parc_motion.clips.mirror.mirror_terrain` mirrors a terrain.
"""

from __future__ import annotations

import attrs
import numpy as np

from parc_motion.checks import check_finite
from parc_motion.errors import DataError, ShapeError
from parc_motion.terrains.terrain import Terrain

__all__ = ["TerrainSlice", "crop", "downsample", "pad", "slice_around"]


@attrs.frozen(kw_only=True, eq=False)
class TerrainSlice:
    """A window of a terrain, and how to move what belongs to it.

    Positions, path nodes too, move by `shift`; cell (i, j) of the old grid is (i, j) - `first_cell` here.
    """

    terrain: Terrain
    first_cell: np.ndarray  # [2] int64, where (0, 0) is in the old grid; negative beyond its border
    shift: np.ndarray  # [3] float64 m, add it to positions; 0 unless the slice was moved


def crop(terrain: Terrain, first: tuple[int, int], stop: tuple[int, int]) -> Terrain:
    """The cells from `first` up to `stop`, which is excluded; coordinates stay those of the terrain.

    Raises:
        DataError: the window is empty, or reaches out of the grid.
    """
    inside = all(0 <= a < b <= count for a, b, count in zip(first, stop, terrain.shape))
    if not inside:
        raise DataError(
            f"crop: cells {_pair(first)} to {_pair(stop)} (excluded) are not inside a grid of "
            f"{terrain.shape[0]} x {terrain.shape[1]} cells; give one that holds a cell and stays inside."
        )
    return _window(terrain, np.array(first), np.array(stop))


def pad(
    terrain: Terrain,
    cells: int | tuple[tuple[int, int], tuple[int, int]],
    height: float | None = None,
) -> Terrain:
    """The terrain with more cells around it; coordinates stay those of the terrain.

    Args:
        cells: how many at every side, or ((before, after) along x, (before, after) along y); 0 or more.
        height: of the new cells, m. None continues the border cells, with their bounds; so what the ground answers
            stays the same everywhere. With a height the new cells may range as far as any old one.

    Raises:
        DataError: a number of cells is negative, or the height is not finite.
    """
    cells = ((cells, cells), (cells, cells)) if isinstance(cells, (int, np.integer)) else cells
    before, after = np.array(cells).T
    if min(*before, *after) < 0:
        raise DataError(f"pad: got {cells} cells, expected 0 or more at every side; `crop` takes cells away.")
    wider = _window(terrain, -before, np.array(terrain.shape) + after)
    if height is None:
        return wider
    new = np.ones(wider.shape, dtype=bool)
    new[before[0] : before[0] + terrain.shape[0], before[1] : before[1] + terrain.shape[1]] = False
    bounds = wider.bounds
    if bounds is not None:
        reach = [min(bounds[..., 0].min(), height), max(bounds[..., 1].max(), height)]
        bounds = np.where(new[..., None], reach, bounds)
    return attrs.evolve(wider, height=np.where(new, height, wider.height), bounds=bounds)


def slice_around(
    terrain: Terrain, root_pos: np.ndarray, padding: float, to_start: bool = False
) -> TerrainSlice:
    """The cells that lie within `padding` of the box around a motion, on the same grid of cells.

    Where the motion is near the border or beyond it, border heights continue outward, as they do for every query.

    Args:
        root_pos: ``[T, 3]`` or ``[T, 2]`` m; z is not used.
        padding: m; 0 or more.
        to_start: move the slice so that the motion starts at x = y = 0, over ground at z = 0.

    Raises:
        ShapeError: `root_pos` has another shape, or no frame.
        DataError: a position is not finite, or `padding` is negative.
    """
    xy = np.asarray(root_pos, dtype=np.float64)
    if xy.ndim != 2 or xy.shape[1] not in (2, 3) or len(xy) == 0:
        raise ShapeError(
            f"slice_around: root_pos has shape {list(xy.shape)}, expected [T, 3] or [T, 2] and a frame."
        )
    xy = xy[:, :2]
    check_finite(xy, "slice_around: root_pos")
    if not 0 <= padding < np.inf:
        raise DataError(f"slice_around: padding is {padding} m, expected 0 or more.")
    corners = np.array([xy.min(axis=0) - padding, xy.max(axis=0) + padding])
    first, last = np.floor((corners - terrain.origin_xy) / terrain.cell + 0.5).astype(np.int64)
    part, shift = _window(terrain, first, last + 1), np.zeros(3)
    if to_start:
        shift = 0.0 - np.append(xy[0], terrain.height_at(xy[0]))
        part = _moved(part, shift)
    return TerrainSlice(terrain=part, first_cell=first, shift=shift)


def downsample(terrain: Terrain, factor: int) -> Terrain:
    """Blocks of `factor` x `factor` cells as one cell each, at their highest.

    Cells left over at the far borders form a smaller block. Its cell is as wide as the others and reaches out
    of the old grid.

    Raises:
        DataError: `factor` is less than 1, or the bounds of a block's cells have no height in common.
    """
    if factor < 1:
        raise DataError(f"downsample: factor is {factor}, expected 1 or more.")
    height, bounds = _blocks(np.maximum, terrain.height, factor), None
    if terrain.bounds is not None:
        low = _blocks(np.maximum, terrain.bounds[..., 0], factor)
        high = _blocks(np.minimum, terrain.bounds[..., 1], factor)
        if (low > high).any():
            i, j = (int(index) for index in np.argwhere(low > high)[0])
            raise DataError(
                f"downsample: the cells of block ({i}, {j}) may be no lower than {low[i, j]:g} m and no higher than "
                f"{high[i, j]:g} m, so no height fits all. Take a smaller factor than {factor}, or drop the bounds."
            )
        height, bounds = height.clip(low, high), np.stack([low, high], axis=-1)
    origin = terrain.origin_xy + 0.5 * (factor - 1) * terrain.cell
    return attrs.evolve(terrain, height=height, bounds=bounds, origin_xy=origin, cell=terrain.cell * factor)


def _window(terrain: Terrain, first: np.ndarray, stop: np.ndarray) -> Terrain:
    """Cells `first` to `stop`, excluded; beyond the border the nearest border cell."""
    grid = np.ix_(*(np.arange(a, b).clip(0, n - 1) for a, b, n in zip(first, stop, terrain.shape)))
    return attrs.evolve(
        terrain,
        height=terrain.height[grid],
        bounds=None if terrain.bounds is None else terrain.bounds[grid],
        origin_xy=terrain.origin_xy + first * terrain.cell,
    )


def _moved(terrain: Terrain, shift: np.ndarray) -> Terrain:
    up = np.float32(shift[2])
    return attrs.evolve(
        terrain,
        height=terrain.height + up,
        bounds=None if terrain.bounds is None else terrain.bounds + up,
        origin_xy=terrain.origin_xy + shift[:2],
    )


def _blocks(reduce: np.ufunc, values: np.ndarray, factor: int) -> np.ndarray:
    for axis, count in enumerate(values.shape):
        values = reduce.reduceat(values, np.arange(0, count, factor), axis=axis)
    return values


def _pair(cell: tuple[int, int]) -> str:
    return f"({', '.join(str(int(index)) for index in cell)})"
