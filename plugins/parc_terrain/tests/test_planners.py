"""The planner `astar`: its moves, jumps, paths and settings, by hand."""

import itertools

import attrs
import numpy as np
import pytest

from parc_core.errors import ConfigError, NoPathFound
from parc_motion.terrains import SegmentKind, Terrain
from parc_terrain.astar import AStarConfig, AStarPlanner
from parc_terrain.boxes import BoxConfig, BoxTerrain
from parc_terrain.ends import EndPicker
from parc_terrain.graph import Edges, bumpiness, neighbor_edges
from parc_terrain.jumps import JumpRule, bresenham, jump_edges
from parc_terrain.search import cheapest_paths, move_costs, trace_path
from parc_terrain.simplify import is_level_pad
from parc_testing.contracts.planner import PlannerContract


class TestAStar(PlannerContract):
    @pytest.fixture
    def make(self):
        return lambda: AStarPlanner(AStarConfig())


class TestModerate(PlannerContract):
    @pytest.fixture
    def make(self):
        return lambda: AStarPlanner(AStarConfig(**AStarConfig.PRESETS["moderate"]))


class TestAnywhere(PlannerContract):
    @pytest.fixture
    def make(self):
        return lambda: AStarPlanner(AStarConfig(ends="anywhere", pad=0, **AStarConfig.PRESETS["paper"]))


def corridor(heights):
    """Cells in a row along x, 1 m wide, the row three times so that its middle is off the border."""
    return Terrain(height=np.repeat(np.array(heights, dtype=float)[:, None], 3, axis=1), cell=1.0)


def pairs(edges, terrain):
    ny = terrain.shape[1]
    return {(divmod(int(a), ny), divmod(int(b), ny)) for a, b in zip(edges.start, edges.stop)}


def plan(terrain, seed=0, **settings):
    return AStarPlanner(AStarConfig(**settings)).plan(terrain, np.random.default_rng(seed))


def test_level_grid_has_all_neighbor_moves():
    # 3 x 4 cells: 2*4 + 3*3 straight and 2 * 2*3 diagonal pairs, both ways: 2 * (17 + 12)
    terrain = Terrain(height=np.zeros((3, 4)))
    edges = neighbor_edges(terrain, 0.1, corner_cutting=False)
    assert len(pairs(edges, terrain)) == len(edges.start) == 58
    assert edges.length.max() == pytest.approx(0.4 * 2**0.5)


def test_steps_above_the_limit_are_closed_both_ways():
    terrain = Terrain(height=[[0.0, 0.5, 1.1]])
    assert pairs(neighbor_edges(terrain, 0.5, False), terrain) == {((0, 0), (0, 1)), ((0, 1), (0, 0))}


def test_diagonals_past_a_wall_are_closed():
    terrain = Terrain(height=[[0.0, 5.0], [0.0, 0.0]])
    diagonal = ((0, 0), (1, 1))
    assert diagonal not in pairs(neighbor_edges(terrain, 0.5, corner_cutting=False), terrain)
    assert diagonal in pairs(neighbor_edges(terrain, 0.5, corner_cutting=True), terrain)


def jumps(terrain, distance, lines="careful", low=-1.0, high=0.5):
    rule = JumpRule(max_distance=distance, min_rise=low, max_rise=high, lines=lines)
    return jump_edges(terrain, rule)


def test_gap_is_jumped_and_level_ground_is_not():
    terrain = corridor([0, 0, 0, -3, 0, 0, 0])
    assert pairs(jumps(terrain, 2.0), terrain) == {((2, 1), (4, 1)), ((4, 1), (2, 1))}


def test_published_jumps_need_cliffs_but_no_gap():
    # cells 1 and 5 have a lower cell beside them, 2 to 4 have not; nothing lies lower between the two
    terrain = corridor([-1, 0, 0, 0, 0, 0, -1])
    assert pairs(jumps(terrain, 4.0, "published"), terrain) == {((1, 1), (5, 1)), ((5, 1), (1, 1))}
    assert len(jumps(terrain, 4.0).start) == 0


def test_neighbors_are_never_jumped_to():
    # a ridge two cells wide: its cells are cliffs and neighbors
    terrain = corridor([0, 0, 1, 1, 0, 0])
    assert len(jumps(terrain, 3.0, "published").start) == 0


@pytest.mark.parametrize("lines", ["published", "careful"])
def test_jump_distance_counts_to_the_full_reach(lines):
    # the published search window leaves out its upper end
    terrain = corridor([0, 0, -3, -3, 0, 0])
    assert len(jumps(terrain, 3.0, lines).start) == 2
    assert len(jumps(terrain, 2.99, lines).start) == 0


@pytest.mark.parametrize("landing, ups, downs", [(0.4, 1, 1), (0.8, 0, 1), (1.5, 0, 0)])
@pytest.mark.parametrize("lines", ["published", "careful"])
def test_jumps_keep_their_rise(landing, ups, downs, lines):
    # at most 0.5 up and 1.0 down
    terrain = corridor([0, 0, -3, landing, landing, -3])
    rise = jumps(terrain, 2.0, lines).rise
    assert ((rise > 0).sum(), (rise < 0).sum()) == (ups, downs)


@pytest.mark.parametrize(("high", "low", "count"), [(0.3, -0.3, 2), (0.29, -0.3, 1), (0.3, -0.29, 1)])
def test_limits_of_the_rise_are_inclusive(high, low, count):
    # 0.4 - 0.1 is not exactly 0.3 in float32
    terrain = corridor([0.1, 0.1, -3, 0.4, 0.4])
    assert len(jumps(terrain, 2.0, "published", low, high).start) == count


def test_steps_of_exactly_the_limit_are_open():
    # 0.4 - 0.1 is not exactly 0.3 in float32
    assert len(neighbor_edges(Terrain(height=[[0.1, 0.4]]), 0.3, False).start) == 2


@pytest.mark.parametrize(("between", "count"), [(0.5, 2), (0.502, 0)])
def test_ground_below_a_jump_may_be_as_high_as_its_landing(between, count):
    # lower than the take-off + 0.5 m + 1 mm
    terrain = corridor([-1, 0, between, 0, -1])
    assert len(jumps(terrain, 2.0, "published").start) == count


def test_nobody_jumps_through_a_wall():
    height = np.zeros((7, 5))
    height[2:5, 1:4], height[3, 2] = -1.0, 2.0
    terrain = Terrain(height=height, cell=1.0)
    for lines in ("published", "careful"):
        found = pairs(jumps(terrain, 4.0, lines), terrain)
        assert ((1, 2), (5, 2)) not in found
        assert ((1, 1), (5, 1)) in found


def test_careful_jumps_look_at_every_cell_that_they_cross():
    # from (1, 1) to (3, 2) the line passes exactly between (2, 1) and (2, 2), of which Bresenham's takes one
    height = np.full((6, 5), -2.0)
    height[1, 1] = height[3, 2] = 0.0
    height[2, 2] = 3.0
    terrain = Terrain(height=height, cell=1.0)
    jump = ((1, 1), (3, 2))
    assert jump in pairs(jumps(terrain, 3.0, "published"), terrain)
    assert jump not in pairs(jumps(terrain, 3.0, "careful"), terrain)


def test_jump_is_judged_on_the_line_from_its_take_off():
    # as above: the line from (1, 1) passes by way of (2, 1), the one from (3, 2) by way of (2, 2), a wall
    height = np.full((6, 5), -2.0)
    height[1, 1] = height[3, 2] = 0.0
    height[2, 2] = 3.0
    terrain = Terrain(height=height, cell=1.0)
    found = pairs(jumps(terrain, 2.5, "published"), terrain)
    assert ((1, 1), (3, 2)) in found
    assert ((3, 2), (1, 1)) not in found


def test_no_jumps_at_distance_zero():
    terrain = corridor([0, 0, -3, 0, 0])
    assert len(jumps(terrain, 0.0, "published").start) == 0


def test_many_jumps_are_looked_at_in_parts_with_the_same_result(monkeypatch):
    terrain = BoxTerrain(BoxConfig(dim_x=24, dim_y=20)).sample(np.random.default_rng(0))
    together = jumps(terrain, 3.0, "published")
    monkeypatch.setattr("parc_terrain.jumps._AT_ONCE", 1000)
    parts = jumps(terrain, 3.0, "published")
    for name in ("start", "stop", "length", "rise"):
        np.testing.assert_array_equal(getattr(together, name), getattr(parts, name))
    assert len(together.start) > 1000


def test_jumps_of_too_many_cells_are_refused():
    with pytest.raises(ConfigError) as error:
        plan(Terrain(height=np.zeros((60, 60)), cell=0.05))
    assert str(error.value) == (
        "astar: max_jump_xy_dist is 3.0 m, 60 cells of 0.05 m, expected at most 50 cells. "
        "Lower max_jump_xy_dist or make the cells larger."
    )


def test_bresenham_is_the_integer_algorithm():
    # the error term of all octants; strictly more or less than the limit, so an exact middle stays where it is
    for a, b in itertools.product(range(-12, 13), repeat=2):
        cells, x, y, error = [(0, 0)], 0, 0, abs(a) - abs(b)
        while (x, y) != (a, b):
            double = 2 * error
            if double > -abs(b):
                error, x = error - abs(b), x + np.sign(a)
            if double < abs(a):
                error, y = error + abs(a), y + np.sign(b)
            cells.append((x, y))
        assert bresenham(a, b).tolist() == [list(cell) for cell in cells]


def test_bumpiness_by_definition():
    height = np.random.default_rng(0).uniform(size=(5, 6))
    expected = np.zeros_like(height)
    for i, j in np.ndindex(*height.shape):
        wide = np.pad(height, 2, mode="edge")[i : i + 5, j : j + 5]
        for a, b, u, v in itertools.product(range(3), repeat=4):
            expected[i, j] += abs(wide[1 + u, 1 + v] - wide[u + a, v + b]) / 81
    np.testing.assert_allclose(bumpiness(height), expected, atol=1e-12)


def test_route_is_the_cheapest_of_all():
    # every simple route on a small random graph of 6 cells
    rng = np.random.default_rng(2)
    links = [(a, b) for a in range(6) for b in range(6) if a != b and rng.uniform() < 0.5]
    start, stop = np.array(links).T
    cost = rng.uniform(0.1, 1.0, len(links))
    edges = Edges(start=start, stop=stop, length=cost, rise=cost)
    price = dict(zip(links, cost))
    total, _ = cheapest_paths(move_costs(edges, cost, 6), 0)
    for goal in range(1, 6):
        others = [c for c in range(1, 6) if c != goal]
        routes = [(0, *way, goal) for k in range(5) for way in itertools.permutations(others, k)]
        costs = [sum(price.get(step, np.inf) for step in itertools.pairwise(route)) for route in routes]
        assert total[goal] == pytest.approx(min(costs))


def test_kinds_and_points_of_a_route():
    # cells 0 .. 6 at heights 0, 0.1, 0.6, 0.6, (gap), 0.3, -0.2; the jump from 0.6 to 0.3 takes two pieces of 1 m
    terrain = corridor([0, 0.1, 0.6, 0.6, -3, 0.3, -0.2])
    cells = [np.ravel_multi_index((i, 1), terrain.shape) for i in (0, 1, 2, 3, 5, 6)]
    before = np.full(terrain.height.size, -9)
    before[cells[1:]] = cells[:-1]
    path = trace_path(terrain, before, cells[0], cells[-1], 1.0, walk_z=0.2)
    kind = SegmentKind
    assert path.kinds.tolist() == [kind.WALK, kind.CLIMB, kind.WALK, kind.JUMP, kind.JUMP, kind.DROP]
    np.testing.assert_allclose(path.points[:, 0], [0, 1, 2, 3, 4, 5, 6])
    np.testing.assert_allclose(path.points[:, 2], [0, 0.1, 0.6, 0.6, 0.45, 0.3, -0.2], atol=1e-6)


def test_start_and_goal_are_level_and_far_apart():
    source, planner = BoxTerrain(BoxConfig()), AStarPlanner(AStarConfig())
    for seed in range(20):
        rng = np.random.default_rng(seed)
        terrain = planner.prepare(source.sample(rng), rng)
        ends = planner.plan(terrain, rng).points[[0, -1]]
        assert np.linalg.norm(ends[1, :2] - ends[0, :2]) >= 5.0 - 1e-4
        assert is_level_pad(terrain.height, terrain.cell_of(ends[:, :2]), 4).all()


def test_cost_is_that_of_the_moves():
    # no random part: k straight moves of 0.16 and m diagonal ones of 0.32
    terrain = Terrain(height=np.zeros((16, 16)))
    for seed in range(5):
        path = plan(terrain, seed, uniform_cost_max=0.0)
        steps = np.abs(np.diff(path.points[:, :2], axis=0)) > 0.1
        assert path.cost == pytest.approx(0.16 * steps.sum())


def test_every_route_keeps_the_limits():
    source = BoxTerrain(BoxConfig(min_height=-0.6, max_height=0.8))
    settings = AStarConfig(**{**AStarConfig.PRESETS["moderate"], "pad": 0})
    planner, kinds = AStarPlanner(settings), set()
    for seed in range(40):
        rng = np.random.default_rng(seed)
        terrain = planner.prepare(source.sample(rng), rng)
        try:
            path = planner.plan(terrain, rng)
        except NoPathFound:
            continue
        walked = path.kinds != SegmentKind.JUMP
        assert np.abs(np.diff(path.points[:, 2])[walked]).max() <= 0.5 + 1e-4
        kinds |= set(path.kinds.tolist())
    assert kinds >= {SegmentKind.WALK, SegmentKind.CLIMB, SegmentKind.DROP}


def test_moves_may_cost_nothing():
    free = {"w_xy": 0.0, "w_z": 0.0, "uniform_cost_max": 0.0}
    path = plan(Terrain(height=np.zeros((16, 16))), **free)
    assert path.cost == 0
    assert path.length >= 5.0 - 1e-4


def test_ends_lie_near_the_border_or_anywhere():
    terrain = Terrain(height=np.zeros((16, 16)))
    near, every = (
        EndPicker(where=where, distance=1.0, pad=0).cells(terrain) for where in ("border", "anywhere")
    )
    # rows and columns 1 and 2 from each side, without the outermost: 14 x 14 cells less the inner 10 x 10
    assert (len(near), len(every)) == (96, 256)
    assert near.min() == 1 and near.max() == 14


def test_starts_without_a_goal_are_not_counted_as_tries():
    # 10 x 10 cells of 1 m: only near the corners there is something 9.5 m away
    terrain = Terrain(height=np.zeros((10, 10)), cell=1.0)
    for seed in range(10):
        path = plan(terrain, seed, min_start_end_xy_dist=9.5, tries=1, pad=0, max_jump_xy_dist=0.0)
        assert np.linalg.norm(path.points[-1, :2] - path.points[0, :2]) >= 9.5


@pytest.mark.parametrize("where", ["border", "anywhere"])
def test_level_squares_do_not_spoil_each_other(where):
    for seed in range(30):
        rng = np.random.default_rng(seed)
        terrain = Terrain(height=rng.uniform(size=(9, 7)))
        picker = EndPicker(where=where, distance=0.5, pad=4)
        level = Terrain(height=picker.level_two(terrain, rng))
        cells = picker.cells(level)
        assert any(picker.far_from(level, cells, cell).any() for cell in cells)


@pytest.mark.parametrize("shape", [(1, 30), (2, 30), (3, 30)], ids=str)
def test_narrow_terrain_is_planned_on(shape):
    path = plan(Terrain(height=np.zeros(shape)))
    assert path.length >= 5.0 - 1e-4


def test_presets_are_valid_settings():
    for values in AStarConfig.PRESETS.values():
        attrs.evolve(AStarConfig(), **values)


def test_exchanged_limits_are_refused():
    with pytest.raises(ConfigError) as error:
        AStarConfig(min_jump_z=1.0)
    assert str(error.value) == "astar: min_jump_z is 1.0, more than max_jump_z 0.5. Exchange the two."
