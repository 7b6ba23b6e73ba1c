"""Routes over terrain."""

import itertools

import attrs
import numpy as np
import pytest
from parc_terrain.astar import AStarConfig, AStarPlanner, cheapest_paths, trace_path
from parc_terrain.boxes import BoxConfig, BoxTerrain
from parc_terrain.graph import Edges, bumpiness, jump_edges, neighbour_edges
from parc_terrain.simplify import is_level_pad
from parc_terrain.straight import StraightConfig, StraightPlanner

from parc_core.data.path import SegmentKind
from parc_core.data.terrain import Terrain
from parc_core.errors import ConfigError, NoPathFound
from parc_core.testing.contracts.planner import PlannerContract


class TestAStar(PlannerContract):
    @pytest.fixture
    def make(self):
        return lambda: AStarPlanner(AStarConfig())


class TestStraight(PlannerContract):
    @pytest.fixture
    def make(self):
        return lambda: StraightPlanner(StraightConfig())


def corridor(heights):
    """Cells in a row along x, 1 m wide, the row three times so that its middle is off the border."""
    return Terrain(height=np.repeat(np.array(heights, dtype=float)[:, None], 3, axis=1), cell=1.0)


def pairs(edges, terrain):
    ny = terrain.shape[1]
    return {(divmod(int(a), ny), divmod(int(b), ny)) for a, b in zip(edges.start, edges.stop)}


def plan(terrain, seed=0, **settings):
    return AStarPlanner(AStarConfig(**settings)).plan(terrain, np.random.default_rng(seed))


def test_level_grid_has_all_neighbour_moves():
    # 3 x 4 cells: 2*4 + 3*3 straight and 2 * 2*3 diagonal pairs, both ways: 2 * (17 + 12)
    terrain = Terrain(height=np.zeros((3, 4)))
    edges = neighbour_edges(terrain, 0.1, corner_cutting=False)
    assert len(pairs(edges, terrain)) == len(edges.start) == 58
    assert edges.length.max() == pytest.approx(0.4 * 2**0.5)


def test_steps_above_the_limit_are_closed_both_ways():
    terrain = Terrain(height=[[0.0, 0.5, 1.1]])
    assert pairs(neighbour_edges(terrain, 0.5, False), terrain) == {((0, 0), (0, 1)), ((0, 1), (0, 0))}


def test_diagonals_past_a_wall_are_closed():
    terrain = Terrain(height=[[0.0, 5.0], [0.0, 0.0]])
    diagonal = ((0, 0), (1, 1))
    assert diagonal not in pairs(neighbour_edges(terrain, 0.5, corner_cutting=False), terrain)
    assert diagonal in pairs(neighbour_edges(terrain, 0.5, corner_cutting=True), terrain)


def test_gap_is_jumped_and_level_ground_is_not():
    terrain = corridor([0, 0, 0, -3, 0, 0, 0])
    jumps = pairs(jump_edges(terrain, 2.0, -1.0, 0.5), terrain)
    assert jumps == {((2, 1), (4, 1)), ((4, 1), (2, 1))}


def test_jump_distance_counts_to_the_full_reach():
    # the published search window leaves out its upper end
    terrain = corridor([0, 0, -3, -3, 0, 0])
    assert len(jump_edges(terrain, 3.0, -1.0, 0.5).start) == 2
    assert len(jump_edges(terrain, 2.99, -1.0, 0.5).start) == 0


@pytest.mark.parametrize("landing, ups, downs", [(0.4, 1, 1), (0.8, 0, 1), (1.5, 0, 0)])
def test_jumps_keep_their_rise(landing, ups, downs):
    # at most 0.5 up and 1.0 down
    terrain = corridor([0, 0, -3, landing, landing, -3])
    rise = jump_edges(terrain, 2.0, -1.0, 0.5).rise
    assert ((rise > 0).sum(), (rise < 0).sum()) == (ups, downs)


def test_nobody_jumps_through_a_wall():
    height = np.zeros((7, 5))
    height[2:5, 1:4], height[3, 2] = -1.0, 2.0
    terrain = Terrain(height=height, cell=1.0)
    jumps = pairs(jump_edges(terrain, 4.0, -1.0, 0.5), terrain)
    assert ((1, 2), (5, 2)) not in jumps
    assert ((1, 1), (5, 1)) in jumps


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
    total, _ = cheapest_paths(edges, cost, 6, 0)
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


def test_wall_across_the_terrain_stops_the_planner():
    height = np.zeros((24, 7))
    height[12] = 9.0
    with pytest.raises(NoPathFound) as error:
        plan(Terrain(height=height), min_start_end_xy_dist=8.0)
    assert str(error.value) == (
        "astar: none of 10 starts leads to a goal 8.0 m away for at most 1000.0 on a terrain of 24 x 7 cells; "
        "raise max_z_diff (2.1 m) or max_jump_xy_dist (3.0 m)."
    )


def test_expensive_paths_are_not_taken():
    with pytest.raises(NoPathFound, match=r"for at most 0\.5 on a terrain"):
        plan(Terrain(height=np.zeros((16, 16))), max_cost=0.5)


def test_small_terrain_is_told():
    terrain, planner = Terrain(height=np.zeros((6, 6))), AStarPlanner(AStarConfig())
    message = (
        "astar: no two level squares of 4 cells lie 5.0 m apart on a terrain of 2.4 x 2.4 m; "
        "lower min_start_end_xy_dist or make the terrain larger."
    )
    with pytest.raises(NoPathFound) as error:
        planner.plan(planner.prepare(terrain, np.random.default_rng(0)), np.random.default_rng(0))
    assert str(error.value) == message


def test_presets_are_valid_settings():
    for values in AStarConfig.PRESETS.values():
        attrs.evolve(AStarConfig(), **values)


def test_exchanged_limits_are_refused():
    with pytest.raises(ConfigError) as error:
        AStarConfig(min_jump_z=1.0)
    assert str(error.value) == "astar: min_jump_z is 1.0, more than max_jump_z 0.5. Exchange the two."


def test_straight_path_needs_room():
    planner = StraightPlanner(StraightConfig(length=20.0))
    with pytest.raises(
        NoPathFound,
        match=r"straight: a path of 20.0 m in direction .* does not fit on a terrain of 6.0 x 6.0 m",
    ):
        planner.plan(Terrain(height=np.zeros((16, 16))), np.random.default_rng(0))


def test_straight_path_names_climbs_and_drops():
    height = np.zeros((40, 40))
    height[::4] = 1.0
    kinds = (
        StraightPlanner(StraightConfig(length=9.0))
        .plan(Terrain(height=height), np.random.default_rng(3))
        .kinds
    )
    assert {SegmentKind.CLIMB, SegmentKind.DROP} <= set(kinds.tolist())
