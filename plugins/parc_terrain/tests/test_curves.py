"""The planners `straight` and `spline`, and the ground under a line."""

import itertools

import numpy as np
import pytest

from parc_core.errors import NoPathFound
from parc_motion.terrains import SegmentKind, Terrain
from parc_terrain.boxes import BoxConfig, BoxTerrain
from parc_terrain.ground import highest_step
from parc_terrain.spline import SplineConfig, SplinePlanner, catmull_rom
from parc_terrain.straight import StraightConfig, StraightPlanner
from parc_testing.contracts.planner import PlannerContract

LEVEL = Terrain(height=np.zeros((16, 16)))


class TestStraight(PlannerContract):
    @pytest.fixture
    def make(self):
        return lambda: StraightPlanner(StraightConfig())


class TestSpline(PlannerContract):
    @pytest.fixture
    def make(self):
        return lambda: SplinePlanner(SplineConfig())


class TestGentleSpline(PlannerContract):
    @pytest.fixture
    def make(self):
        return lambda: SplinePlanner(SplineConfig(max_z_diff=0.7))


def plan(planner, terrain, seed=0):
    return planner.plan(terrain, np.random.default_rng(seed))


def reason(planner, terrain, seed=0):
    with pytest.raises(NoPathFound) as error:
        plan(planner, terrain, seed)
    return str(error.value)


def walls(every, height=1.0, shape=(40, 40)):
    """Walls across x, one cell thick."""
    ground = np.zeros(shape)
    ground[::every] = height
    return Terrain(height=ground)


def test_straight_path_needs_room():
    with pytest.raises(
        NoPathFound,
        match=r"straight: a path of 20.0 m in direction .* does not fit on a terrain of 6.0 x 6.0 m",
    ):
        plan(StraightPlanner(StraightConfig(length=20.0)), LEVEL)


def test_straight_path_names_climbs_and_drops():
    kinds = plan(StraightPlanner(StraightConfig(length=9.0)), walls(4), 3).kinds
    assert {SegmentKind.CLIMB, SegmentKind.DROP} <= set(kinds.tolist())


def test_straight_path_over_a_wall_is_told_with_the_place():
    # the wall is at x = 2 m, cells of 0.4 m reach 0.2 m to each side: its faces are at 1.8 m and 2.2 m
    height = np.zeros((11, 3))
    height[5] = 1.5
    planner = StraightPlanner(StraightConfig(length=3.9, max_z_diff=1.0))
    for seed in range(200):
        rng = np.random.default_rng(seed)
        if abs(np.cos(rng.uniform(0, 2 * np.pi))) > 0.999:  # the others do not fit
            break
    text = reason(planner, Terrain(height=height), seed)
    assert text.startswith("straight: a step of 1.50 m at (")
    assert text.endswith(") m is higher than max_z_diff (1.0 m); raise it or take gentler terrain.")
    assert 1.8 - 0.4 < float(text.split("(")[1].split(",")[0]) < 2.2 + 0.4


def test_curve_passes_through_its_points():
    points = np.random.default_rng(0).uniform(size=(6, 2))
    curve = catmull_rom(points, per_piece=10)
    np.testing.assert_allclose(curve[::10], points, atol=1e-12)


def test_curve_by_hand():
    # in the middle of a piece: (-before + 9 start + 9 stop - after) / 16; the ends count twice
    points = np.array([[0.0, 0.0], [1.0, 2.0], [3.0, 2.0], [4.0, 0.0]])
    first, second, third = catmull_rom(points, per_piece=2)[1::2]
    np.testing.assert_allclose(first, (8 * points[0] + 9 * points[1] - points[2]) / 16)
    np.testing.assert_allclose(second, (-points[0] + 9 * points[1] + 9 * points[2] - points[3]) / 16)
    np.testing.assert_allclose(third, (-points[1] + 9 * points[2] + 8 * points[3]) / 16)


def test_curve_of_two_points_is_a_line():
    curve = catmull_rom(np.array([[0.0, 0.0], [3.0, 1.0]]))
    np.testing.assert_allclose(curve[:, 0], 3 * curve[:, 1], atol=1e-12)


def test_curve_never_leaves_the_terrain():
    terrain = Terrain(height=np.zeros((16, 9)), origin_xy=(-7.0, 3.0))
    planner = SplinePlanner(SplineConfig(num_points=12))
    for seed in range(200):
        xy = plan(planner, terrain, seed).points[:, :2]
        assert (xy >= terrain.origin_xy - 1e-5).all()
        assert (xy <= terrain.max_xy + 1e-5).all()


def test_points_of_a_curve_are_evenly_spaced_about_a_cell_apart():
    path = plan(SplinePlanner(SplineConfig()), LEVEL)
    steps = np.linalg.norm(np.diff(path.points[:, :2], axis=0), axis=1)
    assert steps.max() <= 0.4 + 1e-5
    assert np.median(steps) > 0.38
    assert path.cost == pytest.approx(path.length, rel=0.02)


def test_curve_stands_on_the_ground_under_it():
    terrain = BoxTerrain(BoxConfig()).sample(np.random.default_rng(0))
    points = plan(SplinePlanner(SplineConfig()), terrain).points
    np.testing.assert_allclose(points[:, 2], terrain.height_at(points[:, :2]))


def test_short_curve_is_told():
    assert reason(SplinePlanner(SplineConfig()), Terrain(height=[[0.0]])) == (
        "spline: none of 10 curves fits; the last: a curve is 0.00 m long, shorter than min_length (2.0 m), on a "
        "terrain of 0.0 x 0.0 m; lower min_length or make the terrain larger."
    )


def test_curve_over_a_wall_is_told():
    text = reason(SplinePlanner(SplineConfig(max_z_diff=0.3)), walls(3))
    assert text.startswith("spline: none of 10 curves fits; the last: a step of 1.00 m at (")
    assert text.endswith(") m is higher than max_z_diff (0.3 m); raise it or take gentler terrain.")


def test_curves_with_a_limit_cross_no_higher_step():
    # between two points every cell counts: the line is looked at again, a hundredth of a cell at a time
    planner, found = SplinePlanner(SplineConfig(num_points=3, max_z_diff=0.8)), 0
    for seed in range(30):
        rng = np.random.default_rng(seed)
        terrain = BoxTerrain(BoxConfig(num_boxes=4)).sample(rng)
        try:
            points = planner.plan(terrain, rng).points[:, :2].astype(float)
        except NoPathFound:
            continue
        found += 1
        fine = np.linspace(0, 1, 100)[:, None]
        line = np.concatenate([a + fine * (b - a) for a, b in itertools.pairwise(points)])
        assert np.abs(np.diff(terrain.height_at(line))).max() <= 0.8 + 1e-5
    assert found > 10


@pytest.mark.parametrize(
    ("start", "stop", "step"),
    [
        ((0.1, 0.0), (0.9, 0.0), 1.0),
        ((0.0, 0.0), (0.4, 0.0), 0.0),
        ((0.4, 0.0), (1.0, 0.55), 3.0),
        ((0.0, 0.0), (0.0, 1.0), 2.0),
    ],
    ids=["over a side", "within a cell", "past a corner", "along y"],
)
def test_highest_step_looks_at_every_cell_crossed(start, stop, step):
    # cell (1, 0) is 1 m high, (0, 1) 2 m; (1, 1) is -2 m, touched after (1, 0) on the way past the corner
    terrain = Terrain(height=[[0.0, 2.0], [1.0, -2.0]], cell=1.0)
    found, place = highest_step(terrain, np.array([start, stop], dtype=float))
    assert found == step
    if step:
        assert np.linalg.norm(place - np.array([0.5, 0.5])) < 0.8


def test_diagonal_through_a_corner_touches_neither_side():
    terrain = Terrain(height=[[0.0, 9.0], [9.0, 0.0]], cell=1.0)
    assert highest_step(terrain, np.array([[0.0, 0.0], [0.5, 0.5], [1.0, 1.0]]))[0] == 0.0
