"""Why there is no path: every reason as the user reads it."""

import numpy as np
import pytest

from parc_core.errors import NoPathFound
from parc_motion.terrains import Terrain
from parc_terrain.astar import AStarConfig, AStarPlanner

LEVEL = Terrain(height=np.zeros((16, 16)))
ADVICE = "raise max_z_diff (2.1 m) or max_jump_xy_dist (3.0 m)."


def between(start, goal, terrain=LEVEL, **settings):
    return AStarPlanner(AStarConfig(**settings)).plan_between(terrain, start, goal, np.random.default_rng(0))


def reason(start, goal, terrain=LEVEL, **settings):
    with pytest.raises(NoPathFound) as error:
        between(start, goal, terrain, **settings)
    return str(error.value)


def plan_reason(terrain, **settings):
    planner, rng = AStarPlanner(AStarConfig(**settings)), np.random.default_rng(0)
    with pytest.raises(NoPathFound) as error:
        planner.plan(terrain, rng)
    return str(error.value)


def with_wall(row, shape=(16, 16)):
    """Level ground with a wall 9 m high across it."""
    height = np.zeros(shape)
    height[row] = 9.0
    return Terrain(height=height)


def with_cells(cells):
    """Level ground with some cells at other heights."""
    height = np.zeros((16, 16))
    for cell, value in cells.items():
        height[cell] = value
    return Terrain(height=height)


def test_path_between_given_cells_has_these_ends():
    path = between((1, 2), (14, 3))
    np.testing.assert_allclose(path.points[[0, -1], :2], [[0.4, 0.8], [5.6, 1.2]], atol=1e-6)


def test_neighbors_are_joined_by_one_move():
    # 1.0 * 0.4^2, no random part
    path = between((3, 3), (3, 4), uniform_cost_max=0.0)
    assert len(path.points) == 2
    assert path.cost == pytest.approx(0.16)


@pytest.mark.parametrize("cell", [(16, 3), (3, -1)], ids=str)
def test_start_outside_the_grid(cell):
    assert reason(cell, (3, 3)) == (
        f"astar: the start cell {cell} lies outside the grid of 16 x 16 cells; expected (0, 0) to (15, 15)."
    )


def test_goal_outside_the_grid():
    assert reason((3, 3), (3, 16)) == (
        "astar: the goal cell (3, 16) lies outside the grid of 16 x 16 cells; expected (0, 0) to (15, 15)."
    )


def test_start_that_is_the_goal():
    assert reason((3, 3), (3, 3)) == "astar: start and goal are the same cell (3, 3); a path needs two."


def test_no_move_out_of_the_start():
    terrain = with_cells({(5, 5): -4.0})
    assert reason((5, 5), (12, 5), terrain) == f"astar: no move leads out of the start cell (5, 5); {ADVICE}"


def test_no_move_into_the_goal():
    terrain = with_cells({(5, 5): 4.0})
    assert reason((12, 5), (5, 5), terrain) == f"astar: no move leads into the goal cell (5, 5); {ADVICE}"


def test_goal_in_another_part():
    # a wall one cell thick: 8 of 16 rows lie before it
    terrain = with_wall(8)
    assert reason((1, 2), (14, 3), terrain) == (
        "astar: the goal cell (14, 3) lies in another part of the terrain: "
        f"from (1, 2) 128 of 256 cells can be reached; {ADVICE}"
    )


def test_too_dear():
    # 13 straight moves of 0.16
    assert reason((1, 2), (14, 2), uniform_cost_max=0.0, max_cost=2.0) == (
        "astar: the cheapest path from (1, 2) to (14, 2) costs 2.08, more than max_cost (2.0); raise max_cost."
    )


@pytest.mark.parametrize("shape", [(1, 1), (2, 2), (1, 2)], ids=str)
def test_tiny_terrain_is_too_small(shape):
    size = " x ".join(f"{0.4 * n:.1f}" for n in shape)
    assert plan_reason(Terrain(height=np.zeros(shape))) == (
        f"astar: no two level squares of 4 cells near the border lie 5.0 m apart on a terrain of {size} m; "
        "lower min_start_end_xy_dist or make the terrain larger."
    )


def test_no_two_cells_far_enough_apart_anywhere():
    assert plan_reason(LEVEL, pad=0, ends="anywhere", min_start_end_xy_dist=20.0) == (
        "astar: no two cells lie 20.0 m apart on a terrain of 6.4 x 6.4 m; "
        "lower min_start_end_xy_dist or make the terrain larger."
    )


def test_plan_tells_the_reason_of_all_starts():
    # ends at least 8 m apart on either side of a wall; 12 of 24 rows lie before it, 11 behind
    terrain = with_wall(12, shape=(24, 7))
    text = plan_reason(terrain, min_start_end_xy_dist=8.0)
    assert text.startswith(
        "astar: none of 10 starts leads to a goal; all of them for this reason: the goal cell ("
    )
    assert text.endswith(f"of 168 cells can be reached; {ADVICE}")


def test_plan_tells_the_most_common_reason():
    # 40 cells in a row, ends at least 35 cells apart: 0 to 4 on one side, 35 to 39 on the other. Nothing leads out of
    # 0 and 1; 2, 3 and 4 are joined, but reach nothing else; from the five others nothing leads into 0
    height = np.zeros((1, 40))
    height[0, :5] = 10.0, 20.0, 30.0, 30.0, 30.0
    assert plan_reason(Terrain(height=height), pad=0, min_start_end_xy_dist=14.0) == (
        "astar: none of 10 starts leads to a goal; 5 of them for this reason: "
        f"no move leads into the goal cell (0, 0); {ADVICE}"
    )


def test_plan_tells_the_cost():
    # two cells 5 m apart, nothing else is far enough: 13 straight moves of 0.16
    terrain = Terrain(height=np.zeros((1, 14)))
    text = plan_reason(terrain, pad=0, uniform_cost_max=0.0, max_cost=2.0)
    assert text in {
        "astar: none of 2 starts leads to a goal; all of them for this reason: the cheapest path from "
        f"{a} to {b} costs 2.08, more than max_cost (2.0); raise max_cost."
        for a, b in (((0, 0), (0, 13)), ((0, 13), (0, 0)))
    }
