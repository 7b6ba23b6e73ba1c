"""The ground around a batch of windows, with what is changed about it, one window after the other."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from parc_mdm.compiled.jit import kernel

__all__ = ["Changes", "Ground", "Views", "look"]


class Ground(NamedTuple):
    """The terrains and what the clips leave free; see `parc_mdm.store.MotionStore`."""

    height: np.ndarray  # [M, X, Y] m
    shape: np.ndarray  # [M, 2] int64
    origin_xy: np.ndarray  # [M, 2] m
    cell: np.ndarray  # [M] m
    bounds: np.ndarray  # [M, X * Y, 2] m
    touched: np.ndarray  # [F, K] int64


class Views(NamedTuple):
    """Where each window looks from."""

    clip: np.ndarray  # [N] int64
    frame: np.ndarray  # [N] int64, first frame of the window
    num_frames: int
    origin: np.ndarray  # [N, 3] m
    turn: np.ndarray  # [N, 2] cosine and sine of the heading
    slope: np.ndarray  # [N] shear, see `parc_mdm.windows`
    offsets: np.ndarray  # [px, py, 2] m
    free: float  # m, ground that nothing touches may lie so far above or below the root


class Changes(NamedTuple):
    """What is drawn for each window; see `parc_mdm.augment.Changes`."""

    is_flat: np.ndarray  # [N] bool
    level: np.ndarray  # [N] m
    radius_x: np.ndarray  # [N, 3] int64
    radius_y: np.ndarray  # [N, 3] int64
    boxes: np.ndarray  # [N, most, 6]: centre, half sides, angle, height
    num_boxes: np.ndarray  # [N] int64


@kernel()
def look(first: int, last: int, ground: Ground, views: Views, changes: Changes, out: np.ndarray) -> None:
    """Write the changed heights over the root of windows first .. last - 1, ``[N, px, py]`` m."""
    nx, ny = out.shape[1:]
    low, high, line = (
        np.empty((nx, ny), np.float32),
        np.empty((nx, ny), np.float32),
        np.empty((nx, ny), np.float32),
    )
    is_touched = np.zeros(ground.bounds.shape[1], np.bool_)
    for n in range(first, last):
        patch = out[n]
        _mark(ground, views, n, is_touched, True)
        _read(ground, views, n, is_touched, patch, low, high)
        _mark(ground, views, n, is_touched, False)
        if changes.is_flat[n]:
            patch[:] = changes.level[n]
        _clamp(patch, low, high)
        for k in range(changes.radius_x.shape[1]):
            _pool(patch, line, changes.radius_x[n, k], changes.radius_y[n, k])
            _clamp(patch, low, high)
        for k in range(changes.num_boxes[n]):
            _box(patch, changes.boxes[n, k])
        _clamp(patch, low, high)


@kernel()
def _mark(ground: Ground, views: Views, n: int, is_touched: np.ndarray, value: bool) -> None:
    for frame in range(views.frame[n], views.frame[n] + views.num_frames):
        for k in range(ground.touched.shape[1]):
            is_touched[ground.touched[frame, k]] = value


@kernel()
def _read(
    ground: Ground,
    views: Views,
    n: int,
    is_touched: np.ndarray,
    patch: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
) -> None:
    m = views.clip[n]
    cell, last_i, last_j = ground.cell[m], ground.shape[m, 0] - 1, ground.shape[m, 1] - 1
    x0, y0, z = views.origin[n, 0], views.origin[n, 1], views.origin[n, 2]
    cos, sin, columns = views.turn[n, 0], views.turn[n, 1], ground.height.shape[2]
    for a in range(patch.shape[0]):
        for b in range(patch.shape[1]):
            y = views.offsets[a, b, 1]
            x = views.offsets[a, b, 0] + views.slope[n] * y
            i = np.floor((x0 + cos * x - sin * y - ground.origin_xy[m, 0]) / cell + np.float32(0.5))
            j = np.floor((y0 + sin * x + cos * y - ground.origin_xy[m, 1]) / cell + np.float32(0.5))
            row, column = min(max(int(i), 0), last_i), min(max(int(j), 0), last_j)
            patch[a, b] = ground.height[m, row, column] - z
            place = row * columns + column
            if is_touched[place]:
                low[a, b], high[a, b] = ground.bounds[m, place, 0] - z, ground.bounds[m, place, 1] - z
            else:
                low[a, b], high[a, b] = -views.free, views.free


@kernel()
def _clamp(patch: np.ndarray, low: np.ndarray, high: np.ndarray) -> None:
    for a in range(patch.shape[0]):
        for b in range(patch.shape[1]):
            patch[a, b] = min(max(patch[a, b], low[a, b]), high[a, b])


@kernel()
def _pool(patch: np.ndarray, line: np.ndarray, radius_x: int, radius_y: int) -> None:
    """Highest point within the radii, first along x, then along y."""
    nx, ny = patch.shape
    if radius_x > 0:
        line[:] = patch
        for a in range(nx):
            for other in range(max(a - radius_x, 0), min(a + radius_x + 1, nx)):
                for b in range(ny):
                    patch[a, b] = max(patch[a, b], line[other, b])
    if radius_y > 0:
        line[:] = patch
        for a in range(nx):
            for b in range(ny):
                for other in range(max(b - radius_y, 0), min(b + radius_y + 1, ny)):
                    patch[a, b] = max(patch[a, b], line[a, other])


@kernel()
def _box(patch: np.ndarray, box: np.ndarray) -> None:
    cos, sin = np.cos(box[4]), np.sin(box[4])
    for a in range(patch.shape[0]):
        for b in range(patch.shape[1]):
            dx, dy = np.float32(a) - box[0], np.float32(b) - box[1]
            if abs(cos * dx + sin * dy) < box[2] and abs(cos * dy - sin * dx) < box[3]:
                patch[a, b] = box[5]
