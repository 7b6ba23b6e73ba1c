"""The cheapest route over the cells of a terrain, by walking, climbing, dropping and jumping.

Source: published PARC implementation: moves, limits, step cost and default values. Unlike there the answer is the
true optimum of the drawn costs (its heuristic overestimates), a search never ends early with a part of a path, and
every move's random cost is drawn once, so that equal generators give equal paths.
"""

from __future__ import annotations

from typing import Any, ClassVar

import attrs
import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra

from parc_core.config.fields import setting
from parc_core.data.path import Path, SegmentKind
from parc_core.data.terrain import Terrain
from parc_core.errors import ConfigError, NoPathFound
from parc_core.interfaces.planner import Planner
from parc_terrain.graph import Edges, bumpiness, jump_edges, neighbour_edges
from parc_terrain.simplify import flat_maxpool_2x2, is_level_pad, level_pad

__all__ = ["AStarConfig", "AStarPlanner", "cheapest_paths", "trace_path"]


@attrs.frozen(kw_only=True)
class AStarConfig:
    """Settings of `astar`."""

    max_z_diff: float = setting(2.1, ge=0, unit="m", help="highest step to a neighbouring cell, up or down")
    max_jump_xy_dist: float = setting(3.0, ge=0, unit="m", help="longest jump over a gap; 0 for no jumps")
    min_jump_z: float = setting(-1.0, unit="m", help="lowest landing of a jump, from its take-off")
    max_jump_z: float = setting(0.5, unit="m", help="highest landing of a jump, and of the ground below it")
    w_xy: float = setting(1.0, ge=0, help="cost of a move per square metre of its horizontal length")
    w_z: float = setting(0.15, ge=0, help="cost of a move per square metre of its rise")
    w_bumpy: float = setting(0.0, ge=0, help="cost of a move per metre of bumpiness where it ends")
    max_bumpy: float = setting(0.2, ge=0, unit="m", help="bumpiness beyond which it costs no more")
    uniform_cost_min: float = setting(0.0, ge=0, help="least random cost of a move")
    uniform_cost_max: float = setting(0.5, ge=0, help="largest random cost of a move")
    max_cost: float = setting(1000.0, gt=0, help="paths that cost more are not taken")
    min_start_end_xy_dist: float = setting(5.0, ge=0, unit="m", help="least distance between start and goal")
    walk_z: float = setting(
        0.2, ge=0, unit="m", help="steps up to this count as walking, not as climb or drop"
    )
    corner_cutting: bool = setting(False, help="whether a diagonal may pass the corner of a higher cell")
    simplify: bool = setting(True, help="raise every block of 2 x 2 cells to its highest before planning")
    pad: int = setting(4, ge=0, help="side of the level squares around start and goal, in cells; 0 for none")
    tries: int = setting(10, ge=1, help="starts that are tried on a terrain")

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "paper": {"corner_cutting": True},
        # what a walker does without hands: knee-high steps and a leap of two cells
        "moderate": {"max_z_diff": 0.5, "max_jump_xy_dist": 1.0, "min_jump_z": -0.5, "max_jump_z": 0.3},
    }

    def __attrs_post_init__(self) -> None:
        for low, high in (("uniform_cost_min", "uniform_cost_max"), ("min_jump_z", "max_jump_z")):
            if getattr(self, low) > getattr(self, high):
                values = f"{low} is {getattr(self, low)}, more than {high} {getattr(self, high)}"
                raise ConfigError(f"astar: {values}. Exchange the two.")


class AStarPlanner(Planner):
    """Plans between two random level places near the border."""

    def __init__(self, config: AStarConfig) -> None:
        self.config = config

    def prepare(self, terrain: Terrain, rng: np.random.Generator) -> Terrain:
        """The terrain made coarser, with level squares around two random places that are far enough apart.

        A terrain too small for two such places gets none; `plan` says so.
        """
        height = flat_maxpool_2x2(terrain.height) if self.config.simplify else terrain.height
        if self.config.pad > 1:
            cells = _border_cells(terrain.shape)
            for pick in rng.permutation(len(cells)):
                goals = cells[self._far_enough(terrain, cells, cells[pick])]
                if len(goals):
                    for cell in (cells[pick], goals[rng.integers(len(goals))]):
                        height = level_pad(height, cell, self.config.pad)
                    break
        return attrs.evolve(terrain, height=height, bounds=None)

    def plan(self, terrain: Terrain, rng: np.random.Generator) -> Path:
        """The cheapest path from a random start near the border to a random goal that can be reached from it.

        Raises:
            NoPathFound: no two level places far enough apart, or none of the tried starts leads to one.
        """
        config = self.config
        cells = _border_cells(terrain.shape)
        if config.pad > 1:
            cells = cells[is_level_pad(terrain.height, cells, config.pad)]
        edges, cost = self._graph(terrain, rng)
        number = cells[:, 0] * terrain.shape[1] + cells[:, 1]
        paired = False
        for pick in rng.permutation(len(cells))[: config.tries]:
            far = self._far_enough(terrain, cells, cells[pick])
            if not far.any():
                continue
            paired = True
            total, before = cheapest_paths(edges, cost, terrain.height.size, int(number[pick]))
            goals = number[far & (total[number] <= config.max_cost)]
            if len(goals):
                goal = int(goals[rng.integers(len(goals))])
                return trace_path(terrain, before, int(number[pick]), goal, float(total[goal]), config.walk_z)
        if not paired:
            raise NoPathFound(self._too_small(terrain))
        raise NoPathFound(
            f"astar: none of {config.tries} starts leads to a goal {config.min_start_end_xy_dist} m away for at most "
            f"{config.max_cost} on a terrain of {terrain.shape[0]} x {terrain.shape[1]} cells; "
            f"raise max_z_diff ({config.max_z_diff} m) or max_jump_xy_dist ({config.max_jump_xy_dist} m)."
        )

    def _graph(self, terrain: Terrain, rng: np.random.Generator) -> tuple[Edges, np.ndarray]:
        config = self.config
        walks = neighbour_edges(terrain, config.max_z_diff, config.corner_cutting)
        jumps = jump_edges(terrain, config.max_jump_xy_dist, config.min_jump_z, config.max_jump_z)
        edges = Edges.join([walks, jumps])
        cost = config.w_xy * edges.length**2 + config.w_z * edges.rise**2
        if config.w_bumpy > 0:
            bumpy = np.minimum(bumpiness(terrain.height), config.max_bumpy).ravel()
            cost = cost + config.w_bumpy * bumpy[edges.stop]
        return edges, cost + rng.uniform(config.uniform_cost_min, config.uniform_cost_max, len(cost))

    def _far_enough(self, terrain: Terrain, cells: np.ndarray, start: np.ndarray) -> np.ndarray:
        distance = np.linalg.norm((cells - start) * terrain.cell, axis=1)
        return (distance >= self.config.min_start_end_xy_dist - 1e-4) & (cells != start).any(axis=1)

    def _too_small(self, terrain: Terrain) -> str:
        size = " x ".join(f"{n * terrain.cell:.1f}" for n in terrain.shape)
        place = (
            f"level squares of {self.config.pad} cells" if self.config.pad > 1 else "cells near the border"
        )
        return (
            f"astar: no two {place} lie {self.config.min_start_end_xy_dist} m apart on a terrain of {size} m; "
            f"lower min_start_end_xy_dist or make the terrain larger."
        )


def cheapest_paths(
    edges: Edges, cost: np.ndarray, num_cells: int, start: int
) -> tuple[np.ndarray, np.ndarray]:
    """Least cost from one cell to every cell, and the cell before each on the way.

    Args:
        cost: ``[E]``, none negative.

    Returns:
        Cost ``[num_cells]``, infinite where there is no way, and cell before ``[num_cells]``, negative likewise.
    """
    order = np.argsort(edges.start, kind="stable")
    first = np.concatenate([[0], np.cumsum(np.bincount(edges.start, minlength=num_cells))])
    matrix = csr_array((cost[order], edges.stop[order], first), shape=(num_cells, num_cells))
    return dijkstra(matrix, indices=start, return_predecessors=True)


def trace_path(
    terrain: Terrain, before: np.ndarray, start: int, goal: int, cost: float, walk_z: float
) -> Path:
    """The path to one goal; long moves get points between, at most a cell apart, on the straight line.

    Args:
        before: cell before each cell, ``[num_cells]``.
        walk_z: larger rises are climbs, larger falls drops, m.
    """
    cells = [goal]
    while cells[-1] != start:
        cells.append(int(before[cells[-1]]))
    index = np.array(np.unravel_index(cells[::-1], terrain.shape)).T
    nodes = terrain.centre_of(index).astype(np.float64)
    move = np.abs(np.diff(index, axis=0)).max(axis=1)
    rise = np.diff(nodes[:, 2])
    kinds = np.select(
        [move > 1, rise > walk_z + 1e-4, rise < -walk_z - 1e-4],
        [SegmentKind.JUMP, SegmentKind.CLIMB, SegmentKind.DROP],
        SegmentKind.WALK,
    )
    distance = np.linalg.norm(np.diff(index, axis=0), axis=1)
    parts = np.where(move > 1, np.ceil(distance - 1e-6), 1).astype(np.int64)
    segment = np.repeat(np.arange(len(parts)), parts)
    fraction = (np.arange(parts.sum()) - np.repeat(np.cumsum(parts) - parts, parts)) / parts[segment]
    between = nodes[segment] + fraction[:, None] * (nodes[1:] - nodes[:-1])[segment]
    return Path(points=np.concatenate([between, nodes[-1:]]), kinds=kinds[segment], cost=cost)


def _border_cells(shape: tuple[int, int]) -> np.ndarray:
    """Cells one or two cells inside the border, ``[n, 2]``; all cells of a grid that has none."""
    i, j = np.meshgrid(*(np.arange(n) for n in shape), indexing="ij")
    inside, near = np.ones(shape, dtype=bool), np.zeros(shape, dtype=bool)
    for index, count in ((i, shape[0]), (j, shape[1])):
        inside &= (index >= 1) & (index <= count - 2)
        near |= (index <= 2) | (index >= count - 3)
    cells = np.argwhere(inside & near)
    return cells if len(cells) else np.argwhere(np.ones(shape, dtype=bool))
