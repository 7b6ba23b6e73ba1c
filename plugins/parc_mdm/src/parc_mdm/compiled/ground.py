"""The ground around a batch of windows, with what is changed about it, one window after the other.

Rows of a patch are kept as long as whole registers, so that every loop along them is a few instructions; what stands
beyond their ends is never written out.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from parc_mdm.compiled.jit import kernel

__all__ = ["Changes", "Ground", "Views", "look"]

_LANES = 16  # float32 numbers in the longest vector registers


class Ground(NamedTuple):
    """The terrains and what the clips leave free; see `parc_mdm.store.MotionStore`."""

    height: np.ndarray  # [M, X, Y] m
    shape: np.ndarray  # [M, 2] int64
    origin_xy: np.ndarray  # [M, 2] m
    cell: np.ndarray  # [M] m
    bounds: np.ndarray  # [M, X * Y, 2] m
    touched: np.ndarray  # [C] int32
    touched_end: np.ndarray  # [F] int64


class Views(NamedTuple):
    """Where each window looks from."""

    clip: np.ndarray  # [N] int64
    frame: np.ndarray  # [N] int64, first frame of the window
    num_frames: int
    origin: np.ndarray  # [N, 3] m
    heading: np.ndarray  # [N] rad
    slope: np.ndarray  # [N] shear, see `parc_mdm.ground`
    ahead: np.ndarray  # [px] m, of the points of a patch
    left: np.ndarray  # [py] m
    free: float  # m, ground that nothing touches may lie so far above or below the root


class Changes(NamedTuple):
    """What is drawn for each window; see `parc_mdm.augment.Changes`."""

    is_flat: np.ndarray  # [N] bool
    level: np.ndarray  # [N] m
    radius_x: np.ndarray  # [N, 3] int64
    radius_y: np.ndarray  # [N, 3] int64
    boxes: np.ndarray  # [N, most, 6]: center, half sides, angle, height
    num_boxes: np.ndarray  # [N] int64


@kernel()
def look(first: int, last: int, ground: Ground, views: Views, changes: Changes, out: np.ndarray) -> None:
    """Write the changed heights over the root of windows first .. last - 1, ``[N, px, py]`` m."""
    nx, ny = out.shape[1:]
    shape = (nx, -(-ny // _LANES) * _LANES)
    patch, low, high = np.empty(shape, np.float32), np.empty(shape, np.float32), np.empty(shape, np.float32)
    limits = np.empty((ground.bounds.shape[1], 2), np.float32)  # of each cell, for the window at hand
    limits[:, 0], limits[:, 1] = -views.free, views.free
    for n in range(first, last):
        _mark(ground, views, n, limits, True)
        _read(ground, views, n, limits, patch, low, high)
        _mark(ground, views, n, limits, False)
        if changes.is_flat[n]:
            patch[:] = changes.level[n]
        _clamp(patch, low, high)
        for k in range(changes.radius_x.shape[1]):
            radius_x, radius_y = changes.radius_x[n, k], changes.radius_y[n, k]
            if radius_x > 0:
                _pool_ahead(patch, radius_x)
            if radius_y > 0:
                _pool_aside(patch, ny, radius_y)
            if radius_x + radius_y > 0:
                _clamp(patch, low, high)
        for k in range(changes.num_boxes[n]):
            _box(patch, changes.boxes[n, k])
        _clamp(patch, low, high)
        for a in range(nx):
            out[n, a] = patch[a, :ny]


@kernel()
def _mark(ground: Ground, views: Views, n: int, limits: np.ndarray, value: bool) -> None:
    """Write the limits of the cells that a window touches, or those of free ground."""
    m, z, frame = views.clip[n], views.origin[n, 2], views.frame[n]
    begin = ground.touched_end[frame - 1] if frame > 0 else 0
    for k in range(begin, ground.touched_end[frame + views.num_frames - 1]):
        cell = ground.touched[k]
        limits[cell, 0] = ground.bounds[m, cell, 0] - z if value else -views.free
        limits[cell, 1] = ground.bounds[m, cell, 1] - z if value else views.free


@kernel()
def _read(
    ground: Ground,
    views: Views,
    n: int,
    limits: np.ndarray,
    patch: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
) -> None:
    m, zero = views.clip[n], np.float32(0.0)
    cell, slope, columns = ground.cell[m], views.slope[n], np.int32(ground.height.shape[2])
    last_i, last_j = np.float32(ground.shape[m, 0] - 1), np.float32(ground.shape[m, 1] - 1)
    from_x, from_y = views.origin[n, 0] - ground.origin_xy[m, 0], views.origin[n, 1] - ground.origin_xy[m, 1]
    cos, sin, z = np.cos(views.heading[n]), np.sin(views.heading[n]), views.origin[n, 2]
    heights, ny = ground.height[m].reshape(-1), len(views.left)
    left = np.zeros(patch.shape[1], np.float32)
    left[:ny] = views.left
    place = np.empty(patch.shape[1], np.int32)
    for a in range(patch.shape[0]):
        for b in range(patch.shape[1]):
            y = left[b]
            x = views.ahead[a] + slope * y
            i = np.floor((from_x + cos * x - sin * y) / cell + np.float32(0.5))
            j = np.floor((from_y + sin * x + cos * y) / cell + np.float32(0.5))
            # numbers that are none compare as false and become 0
            row, column = min(i if i > zero else zero, last_i), min(j if j > zero else zero, last_j)
            place[b] = np.int32(row) * columns + np.int32(column)
        for b in range(patch.shape[1]):
            at = np.uint32(place[b])
            patch[a, b], low[a, b], high[a, b] = heights[at] - z, limits[at, 0], limits[at, 1]


@kernel()
def _clamp(patch: np.ndarray, low: np.ndarray, high: np.ndarray) -> None:
    for a in range(patch.shape[0]):
        for b in range(patch.shape[1]):
            patch[a, b] = min(max(patch[a, b], low[a, b]), high[a, b])


@kernel()
def _pool_ahead(patch: np.ndarray, radius: int) -> None:
    """Highest point within the radius along x."""
    nx, length = patch.shape
    line = np.full((nx + 2 * radius) * length, -np.inf, np.float32)
    inner = line[radius * length : (radius + nx) * length].reshape(patch.shape)
    inner[:] = patch
    _highest(line, length, 2 * radius + 1)
    patch[:] = line[: nx * length].reshape(patch.shape)


@kernel()
def _pool_aside(patch: np.ndarray, count: int, radius: int) -> None:
    """Highest of the first `count` points of a row within the radius along y."""
    nx, length = patch.shape
    line = np.full((nx, length + 2 * radius), -np.inf, np.float32)
    line[:, radius : radius + count] = patch[:, :count]
    _highest(line.reshape(-1), 1, 2 * radius + 1)
    patch[:] = line[:, :length]


@kernel()
def _highest(line: np.ndarray, step: int, count: int) -> None:
    """Every number becomes the highest of `count` numbers, itself and those that follow it at distances of `step`.

    The highest of 2, 4, 8 and more numbers comes from those of half as many.
    """
    done = 1
    while done < count:
        more = min(done, count - done)
        shifted = line[more * step :]
        for k in range(len(shifted)):
            line[k] = max(line[k], shifted[k])
        done += more


@kernel()
def _box(patch: np.ndarray, box: np.ndarray) -> None:
    """Draw a box; only rows that it reaches are looked at."""
    cos, sin = np.cos(box[4]), np.sin(box[4])
    reach = abs(cos) * box[2] + abs(sin) * box[3] + np.float32(1.0)
    first, last = max(int(box[0] - reach), 0), min(int(box[0] + reach) + 1, patch.shape[0])
    for a in range(first, last):
        dx, row = np.float32(a) - box[0], patch[a]
        for b in range(patch.shape[1]):
            dy = np.float32(b) - box[1]
            is_inside = abs(cos * dx + sin * dy) < box[2] and abs(cos * dy - sin * dx) < box[3]
            row[b] = box[5] if is_inside else row[b]
