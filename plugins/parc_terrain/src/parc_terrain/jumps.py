"""Jumps between the cells of a terrain, under either of two rules.

``published``: between cliff cells, no higher and no lower than the limits, and no cell of the Bresenham line from
take-off to landing as high as the highest landing. Nothing asks for a gap, so a jump may also lead over level ground.

``careful``: as `published`, and besides there is a gap: a cell on the way is lower than both ends. Every cell counts
that the straight line crosses, not only those of the Bresenham line.

Source: `parc_motion.published` (cliff cells, limits, line test). Unlike there the search window has no exclusive
upper end, no cell jumps to itself, and a neighbor is reached by a neighbor move or not at all.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import attrs
import numpy as np

from parc_core.errors import ConfigError
from parc_motion.terrains import Terrain
from parc_terrain.graph import LEVEL, ROUNDING, Edges

__all__ = ["JumpRule", "bresenham", "jump_edges"]

_MAX_REACH = 50  # cells; the lines of all longer jumps would fill the memory
_AT_ONCE = 1 << 22  # cells times offsets that are looked at in one go


@attrs.frozen(kw_only=True)
class JumpRule:
    """What counts as a jump."""

    max_distance: float  # m, horizontal
    min_rise: float  # m, lowest rise from take-off to landing; negative: down
    max_rise: float  # m, highest rise, not negative
    lines: Literal["published", "careful"] = "published"


def jump_edges(terrain: Terrain, rule: JumpRule) -> Edges:
    """Jumps from one cliff cell to another.

    A cliff cell lies off the border and has a lower cell beside it. The cells between the two ends must be lower than
    the take-off plus `max_rise`; the ends themselves are, where the limits are kept.

    Raises:
        ConfigError: `max_distance` is more than 50 cells, on a terrain that is larger still.
    """
    nx, ny = terrain.shape
    height = terrain.height.astype(np.float64)
    cliffs = _cliff_cells(height)
    cells = np.argwhere(cliffs)
    max_cells = _max_cells(terrain, rule)
    # the first and the last row hold no cliff, so no jump is longer than the grid less two rows
    offsets, lines = _jump_offsets(max_cells, max(nx - 3, 0), max(ny - 3, 0), rule.lines == "careful")
    if len(cells) == 0 or len(offsets) == 0:
        empty = np.zeros(0, dtype=np.int64)
        return Edges(start=empty, stop=empty, length=np.zeros(0), rise=np.zeros(0))
    reach = int(np.abs(offsets).max())
    # a border of cells without landings, so that no index leaves the grid
    framed = np.pad(cliffs, reach)
    from_cell = (cells[:, 0] + reach) * framed.shape[1] + cells[:, 1] + reach
    to_offset = offsets[:, 0] * framed.shape[1] + offsets[:, 1]
    number, move = cells[:, 0] * ny + cells[:, 1], offsets[:, 0] * ny + offsets[:, 1]
    line = lines[..., 0] * ny + lines[..., 1]
    flat, landing = height.ravel(), framed.ravel()
    starts, chosen = [], []
    step = max(_AT_ONCE // len(offsets), 1)
    for first in range(0, len(cells), step):
        part = slice(first, first + step)
        which, offset = np.nonzero(landing[from_cell[part, None] + to_offset])
        start = number[part][which]
        ok = _allowed(flat, start, start + move[offset], offset, line, rule)
        starts.append(start[ok])
        chosen.append(offset[ok])
    start, offset = np.concatenate(starts), np.concatenate(chosen)
    stop = start + move[offset]
    length = terrain.cell * np.hypot(offsets[offset, 0], offsets[offset, 1])
    return Edges(start=start, stop=stop, length=length, rise=flat[stop] - flat[start])


def bresenham(a: int, b: int) -> np.ndarray:
    """Cells of Bresenham's line from (0, 0) to (a, b), both ends included, in order: ``[max(|a|, |b|) + 1, 2]`` int64.

    Where the line passes right between two cells the one nearer to the start's row or column is taken. The line back
    starts at the other end, so it may take the other cell there: a jump is judged on the line from its take-off.

    Source: J. E. Bresenham, "Algorithm for computer control of a digital plotter", IBM Systems Journal 4 (1965); the
    choice between two equally near cells is that of the published PARC implementation.
    """
    long, short = max(abs(a), abs(b)), min(abs(a), abs(b))
    k = np.arange(long + 1)
    # k * short / long rounded to the nearest cell, a half down
    across = (2 * k * short + long - 1) // max(2 * long, 1)
    x, y = (k, across) if abs(a) >= abs(b) else (across, k)
    return np.stack([np.sign(a) * x, np.sign(b) * y], axis=1).astype(np.int64)


def _allowed(
    flat: np.ndarray,
    start: np.ndarray,
    stop: np.ndarray,
    offset: np.ndarray,
    line: np.ndarray,
    rule: JumpRule,
) -> np.ndarray:
    """Which pairs of cliff cells ``[E]`` keep the rule: their positions.

    Args:
        line: cells between the ends, relative to the take-off, ``[K, L]``; shorter ones repeat a cell.
    """
    careful = rule.lines == "careful"
    slack = LEVEL if careful else ROUNDING
    rise = flat[stop] - flat[start]
    fits = np.flatnonzero((rise >= rule.min_rise - slack) & (rise <= rule.max_rise + slack))
    between = flat[start[fits, None] + line[offset[fits]]]
    ok = between.max(axis=1) < flat[start[fits]] + rule.max_rise + LEVEL
    if careful:
        ok &= between.min(axis=1) < np.minimum(flat[start[fits]], flat[stop[fits]]) - LEVEL
    return fits[ok]


def _cliff_cells(height: np.ndarray) -> np.ndarray:
    cliffs = np.zeros(height.shape, dtype=bool)
    inner = height[1:-1, 1:-1]
    lowest = np.minimum(
        np.minimum(height[:-2, 1:-1], height[2:, 1:-1]), np.minimum(height[1:-1, :-2], height[1:-1, 2:])
    )
    cliffs[1:-1, 1:-1] = lowest < inner - LEVEL
    return cliffs


def _max_cells(terrain: Terrain, rule: JumpRule) -> float:
    cells = round(rule.max_distance / terrain.cell, 9)
    if min(cells, max(terrain.shape)) > _MAX_REACH:
        raise ConfigError(
            f"astar: max_jump_xy_dist is {rule.max_distance} m, {cells:.0f} cells of {terrain.cell} m, expected at "
            f"most {_MAX_REACH} cells. Lower max_jump_xy_dist or make the cells larger."
        )
    return cells


@lru_cache(maxsize=16)
def _jump_offsets(
    max_cells: float, reach_x: int, reach_y: int, careful: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Every offset beyond the neighbors ``[K, 2]``, and the cells between along it ``[K, L, 2]``.

    The first cell between repeats to equal length.
    """
    reach = int(np.floor(max_cells + 1e-9))
    span = (np.arange(-min(reach, limit), min(reach, limit) + 1) for limit in (reach_x, reach_y))
    a, b = (grid.ravel() for grid in np.meshgrid(*span, indexing="ij"))
    far = (np.maximum(np.abs(a), np.abs(b)) >= 2) & (np.hypot(a, b) <= max_cells + 1e-9)
    offsets = np.stack([a[far], b[far]], axis=1)
    if len(offsets) == 0:
        return offsets, np.zeros((0, 1, 2), dtype=np.int64)
    between = _crossed if careful else _on_bresenham_line
    lines = [between(int(x), int(y)) for x, y in offsets]
    longest = max(len(line) for line in lines)
    padded = [np.concatenate([line, np.repeat(line[:1], longest - len(line), axis=0)]) for line in lines]
    return offsets, np.stack(padded)


def _on_bresenham_line(a: int, b: int) -> np.ndarray:
    return bresenham(a, b)[1:-1]


def _crossed(a: int, b: int) -> np.ndarray:
    """Cells whose inside the line from (0, 0) to (a, b) crosses, both ends left out: ``[L, 2]`` int64."""
    # the line changes its cell where it crosses a half-integer coordinate; look between two such places
    crossings = [0.0, 1.0]
    for step in (abs(a), abs(b)):
        crossings += [(k + 0.5) / step for k in range(step)]
    times = np.unique(np.round(crossings, 12))
    middle = (times[1:] + times[:-1]) / 2
    cells = np.unique(np.floor(middle[:, None] * np.array([a, b]) + 0.5).astype(np.int64), axis=0)
    ends = (cells == 0).all(axis=1) | (cells == np.array([a, b])).all(axis=1)
    return cells[~ends]
