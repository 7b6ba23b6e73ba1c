"""The planner `astar` against a second, plain implementation of the published rules.

Nothing here shares code with the planner: moves are told one pair of cells at a time, the search is the textbook's.
"""

import heapq
import math
from collections import deque

import numpy as np
import pytest

from parc_core.errors import NoPathFound
from parc_motion.terrains import SegmentKind
from parc_terrain.astar import AStarConfig, AStarPlanner
from parc_terrain.boxes import BoxConfig, BoxTerrain
from parc_terrain.paths import PathsConfig, PathsTerrain
from parc_terrain.stairs import StairConfig, StairTerrain

SOURCES = {
    "boxes": BoxTerrain(BoxConfig()),
    "stairs": StairTerrain(StairConfig()),
    "paths": PathsTerrain(PathsConfig()),
}
KINDS = pytest.mark.parametrize("kind", SOURCES)
COUNT = 500


# --- the published rules, for one pair of cells


def is_neighbor_move(h, a, b, config):
    """One of the eight neighbors, the step within the limit, and no wall beside a diagonal."""
    (i, j), (k, m) = a, b
    if max(abs(i - k), abs(j - m)) != 1 or abs(h[k][m] - h[i][j]) > config.max_z_diff:
        return False
    if i != k and j != m and not config.corner_cutting:
        return max(h[i][m], h[k][j]) <= max(h[i][j], h[k][m]) + 1e-3
    return True


def is_cliff(h, a):
    """Off the border, and one of the four cells beside it is lower."""
    i, j = a
    if not (0 < i < len(h) - 1 and 0 < j < len(h[0]) - 1):
        return False
    return any(h[i][j] - h[i + di][j + dj] > 1e-3 for di, dj in ((1, 0), (-1, 0), (0, 1), (0, -1)))


def line_between(a, b):
    """Bresenham's line from a to b, both included."""
    (x, y), (dx, dy) = a, (abs(b[0] - a[0]), abs(b[1] - a[1]))
    sx, sy = (1 if b[0] > a[0] else -1), (1 if b[1] > a[1] else -1)
    error, cells = dx - dy, [a]
    while (x, y) != b:
        twice = 2 * error
        if twice > -dy:
            error, x = error - dy, x + sx
        if twice < dx:
            error, y = error + dx, y + sy
        cells.append((x, y))
    return cells


def is_jump(h, a, b, cell, config):
    """Between cliff cells that are no neighbors, within all limits, above everything on the line."""
    (i, j), (k, m) = a, b
    distance = math.hypot(i - k, j - m) * cell
    if max(abs(i - k), abs(j - m)) < 2 or distance > config.max_jump_xy_dist:
        return False
    if not config.min_jump_z <= h[k][m] - h[i][j] <= config.max_jump_z or not (
        is_cliff(h, a) and is_cliff(h, b)
    ):
        return False
    return all(h[x][y] < h[i][j] + config.max_jump_z + 1e-3 for x, y in line_between(a, b))


def plain_cost(h, a, b, cell, config):
    """Cost of a move without its random part."""
    squared = ((a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2) * cell**2
    return config.w_xy * squared + config.w_z * (h[b[0]][b[1]] - h[a[0]][a[1]]) ** 2


def all_moves(h, cell, config):
    """Every allowed move."""
    nx, ny, reach = len(h), len(h[0]), math.ceil(config.max_jump_xy_dist / cell)
    cells = [(i, j) for i in range(nx) for j in range(ny)]
    cliffs = [a for a in cells if is_cliff(h, a)]
    moves = set()
    for i, j in cells:
        around = [(k, m) for k in (i - 1, i, i + 1) for m in (j - 1, j, j + 1) if 0 <= k < nx and 0 <= m < ny]
        moves |= {((i, j), b) for b in around if is_neighbor_move(h, (i, j), b, config)}
    for a in cliffs:
        near = [b for b in cliffs if abs(a[0] - b[0]) <= reach and abs(a[1] - b[1]) <= reach]
        moves |= {(a, b) for b in near if is_jump(h, a, b, cell, config)}
    return moves


# --- the planner's side


def prepared(kind, planner, seed):
    rng = np.random.default_rng(seed)
    return planner.prepare(SOURCES[kind].sample(rng), rng)


class Priced:
    """The planner's moves with the costs that a plan with this seed draws; cells by number, i * ny + j."""

    def __init__(self, planner, terrain, seed):
        edges, cost = planner.moves(terrain, np.random.default_rng(seed))
        self.ny, self.num_cells = terrain.shape[1], terrain.height.size
        order = np.lexsort((edges.start, edges.stop))
        self.start, self.stop, self.cost = edges.start[order], edges.stop[order], cost[order]
        self.key = self.stop * self.num_cells + self.start
        assert (np.diff(self.key) > 0).all(), "a move occurs twice"

    def number(self, cell):
        return cell[0] * self.ny + cell[1]

    def of(self, a, b):
        """Cost of the move between two cells."""
        key = self.number(b) * self.num_cells + self.number(a)
        k = int(np.searchsorted(self.key, key))
        assert self.key[k] == key, f"the planner has no move {a} to {b}"
        return float(self.cost[k])

    def by_cells(self):
        """(from, to) -> cost."""
        rows = zip(self.start.tolist(), self.stop.tolist(), self.cost.tolist())
        return {(divmod(a, self.ny), divmod(b, self.ny)): cost for a, b, cost in rows}

    def cheapest(self, start, goal):
        """Cost of the cheapest way by Dijkstra's search with a heap; infinite where there is none."""
        out = [[] for _ in range(self.num_cells)]
        for a, b, cost in zip(self.start.tolist(), self.stop.tolist(), self.cost.tolist()):
            out[a].append((b, cost))
        best, queue, done = {self.number(start): 0.0}, [(0.0, self.number(start))], set()
        while queue:
            cost, cell = heapq.heappop(queue)
            if cell == self.number(goal):
                return cost
            if cell in done:
                continue
            done.add(cell)
            for other, price in out[cell]:
                if cost + price < best.get(other, math.inf):
                    best[other] = cost + price
                    heapq.heappush(queue, (cost + price, other))
        return math.inf

    def cheapest_by_relaxing(self, start, goal):
        """The same by Bellman and Ford's rule: no cell can be reached for less by way of one more move."""
        best = np.full(self.num_cells, np.inf)
        best[self.number(start)] = 0.0
        first = np.flatnonzero(np.diff(self.stop, prepend=-1))  # the moves are in order of their ends
        ends = self.stop[first]
        while True:
            better = np.minimum(best[ends], np.minimum.reduceat(best[self.start] + self.cost, first))
            if (better == best[ends]).all():
                return float(best[self.number(goal)])
            best[ends] = better


def stretches_of(kinds):
    """Single moves on the ground and whole runs of jump pieces: (first point, last point)."""
    found, k = [], 0
    while k < len(kinds):
        stop = k + 1
        while kinds[k] == SegmentKind.JUMP and stop < len(kinds) and kinds[stop] == SegmentKind.JUMP:
            stop += 1
        found.append((k, stop))
        k = stop
    return found


def cheapest_reading(path, terrain, h, config, priced):
    """Cost of the path, every move of it checked against the published rules; jumps read in the cheapest way."""
    cells = [tuple(cell) for cell in terrain.cell_of(path.points[:, :2]).tolist()]
    total = 0.0
    for first, stop in stretches_of(path.kinds.tolist()):
        if path.kinds[first] != SegmentKind.JUMP:
            a, b = cells[first], cells[stop]
            assert is_neighbor_move(h, a, b, config), (a, b)
            total += priced.of(a, b)
            continue
        best = {first: 0.0}
        for begin in range(first, stop):
            for end in range(begin + 1, stop + 1):
                a, b = cells[begin], cells[end]
                if begin in best and is_flight(path.points[begin : end + 1], a, b, terrain, h, config):
                    best[end] = min(best.get(end, math.inf), best[begin] + priced.of(a, b))
        assert stop in best, f"no jumps explain the points {first} to {stop}"
        total += best[stop]
    return total


def is_flight(points, a, b, terrain, h, config):
    """Whether points are those of one jump: an allowed one, straight, at most a cell apart, from ground to ground."""
    if not is_jump(h, a, b, terrain.cell, config):
        return False
    if len(points) != math.ceil(math.hypot(a[0] - b[0], a[1] - b[1]) - 1e-6) + 1:
        return False
    ends = terrain.center_of(np.array([a, b]))
    line = ends[0] + np.linspace(0, 1, len(points))[:, None] * (ends[1] - ends[0])
    return bool(np.abs(points - line).max() < 1e-4)


def on_level_square(h, cell, side=4):
    """The square begins two cells before an even cell, one before an odd one, and is moved into the grid."""
    (i, j), height = cell, np.array(h)
    first = [min(max(k - 2 + k % 2, 0), n - side) for k, n in zip((i, j), height.shape)]
    block = height[first[0] : first[0] + side, first[1] : first[1] + side]
    return block.shape == (side, side) and np.ptp(block) <= 1e-3


# --- the tests


@KINDS
def test_moves_are_those_of_the_published_rules(kind):
    jumps = 0
    for seed in range(60):
        planner = AStarPlanner(AStarConfig(corner_cutting=bool(seed % 2)))
        terrain = prepared(kind, planner, seed)
        h = terrain.height.astype(float).tolist()
        priced = Priced(planner, terrain, seed).by_cells()
        expected = all_moves(h, terrain.cell, planner.config)
        assert set(priced) == expected
        noise = [cost - plain_cost(h, a, b, terrain.cell, planner.config) for (a, b), cost in priced.items()]
        assert min(noise) >= -1e-9 and max(noise) <= 0.5 + 1e-9
        jumps += sum(max(abs(a[0] - b[0]), abs(a[1] - b[1])) > 1 for a, b in expected)
    assert jumps > 60 * 100


@KINDS
def test_plans_are_valid_complete_and_the_cheapest(kind):
    planner, planned = AStarPlanner(AStarConfig()), 0
    for seed in range(COUNT):
        terrain = prepared(kind, planner, seed)
        try:
            path = planner.plan(terrain, np.random.default_rng(seed))
        except NoPathFound:
            continue
        planned += 1
        h = terrain.height.astype(float).tolist()
        priced = Priced(planner, terrain, seed)
        start, goal = (tuple(cell) for cell in terrain.cell_of(path.points[[0, -1], :2]).tolist())
        assert math.dist(start, goal) * terrain.cell >= 5.0 - 1e-4
        assert on_level_square(h, start) and on_level_square(h, goal)
        assert path.cost == pytest.approx(priced.cheapest_by_relaxing(start, goal), rel=1e-9), seed
        assert path.cost == pytest.approx(
            cheapest_reading(path, terrain, h, planner.config, priced), rel=1e-9
        ), seed
    assert planned >= 0.95 * COUNT


@KINDS
def test_where_no_path_is_told_there_is_none(kind):
    planner, refused = AStarPlanner(AStarConfig(tries=10_000, max_z_diff=0.4, max_jump_xy_dist=1.0)), 0
    for seed in range(25):
        terrain = prepared(kind, planner, seed)
        h = terrain.height.astype(float).tolist()
        try:
            planner.plan(terrain, np.random.default_rng(seed))
            continue
        except NoPathFound:
            refused += 1
        out = {}
        for a, b in all_moves(h, terrain.cell, planner.config):
            out.setdefault(a, []).append(b)
        near = [(i, j) for i in range(1, 15) for j in range(1, 15) if {i, j} & {1, 2, 13, 14}]
        ends = [cell for cell in near if on_level_square(h, cell)]
        for start in ends:
            reached, queue = {start}, deque([start])
            while queue:
                fresh = set(out.get(queue.popleft(), ())) - reached
                reached |= fresh
                queue.extend(fresh)
            assert not [g for g in ends if g in reached and math.dist(start, g) * terrain.cell >= 5.0 - 1e-4]
    assert refused > 0


@KINDS
def test_plans_between_given_cells_reach_them(kind):
    planner, reached = AStarPlanner(AStarConfig()), 0
    for seed in range(60):
        terrain, rng = prepared(kind, planner, seed), np.random.default_rng(seed)
        start, goal = (tuple(rng.integers(0, 16, 2).tolist()) for _ in range(2))
        priced = Priced(planner, terrain, seed)
        best = priced.cheapest(start, goal) if start != goal else math.inf
        try:
            path = planner.plan_between(terrain, start, goal, np.random.default_rng(seed))
        except NoPathFound:
            assert best == math.inf
            continue
        reached += 1
        assert [tuple(cell) for cell in terrain.cell_of(path.points[[0, -1], :2]).tolist()] == [start, goal]
        assert path.cost == pytest.approx(best, rel=1e-9)
    assert reached > 50
