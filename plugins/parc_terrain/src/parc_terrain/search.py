"""The cheapest way over a graph of moves, exactly, and the path that it makes.

Every plan has one start and many possible goals, so one search without a goal (Dijkstra's, which is A* with the
heuristic 0) answers them all. A heuristic would have to stay below the true costs to keep the answer exact, and costs
of squared lengths leave it little: a row of short moves is far cheaper than its distance.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra

from parc_motion.terrains import Path, SegmentKind, Terrain
from parc_terrain.graph import Edges
from parc_terrain.ground import kinds_by_rise

__all__ = ["cheapest_paths", "move_costs", "trace_path"]


def move_costs(edges: Edges, cost: np.ndarray, num_cells: int) -> csr_array:
    """The graph that `cheapest_paths` searches: cost of the move from row to column.

    Args:
        cost: ``[E]``, none negative; a move may cost nothing.
    """
    order = np.argsort(edges.start, kind="stable")
    first = np.concatenate([[0], np.cumsum(np.bincount(edges.start, minlength=num_cells))])
    return csr_array((cost[order], edges.stop[order], first), shape=(num_cells, num_cells))


def cheapest_paths(graph: csr_array, start: int) -> tuple[np.ndarray, np.ndarray]:
    """Least cost from one cell to every cell, and the cell before each on the way.

    Returns:
        Cost ``[num_cells]``, infinite where there is no way, and cell before ``[num_cells]``, negative likewise.
    """
    return dijkstra(graph, indices=start, return_predecessors=True)


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
    nodes = terrain.center_of(index).astype(np.float64)
    move = np.abs(np.diff(index, axis=0)).max(axis=1)
    kinds = np.where(move > 1, SegmentKind.JUMP, kinds_by_rise(np.diff(nodes[:, 2]), walk_z))
    distance = np.linalg.norm(np.diff(index, axis=0), axis=1)
    parts = np.where(move > 1, np.ceil(distance - 1e-6), 1).astype(np.int64)
    segment = np.repeat(np.arange(len(parts)), parts)
    fraction = (np.arange(parts.sum()) - np.repeat(np.cumsum(parts) - parts, parts)) / parts[segment]
    between = nodes[segment] + fraction[:, None] * (nodes[1:] - nodes[:-1])[segment]
    return Path(points=np.concatenate([between, nodes[-1:]]), kinds=kinds[segment], cost=cost)
