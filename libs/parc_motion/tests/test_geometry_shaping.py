"""Other heights on the same grid."""

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

from parc_motion.errors import DataError, ShapeError
from parc_motion.geometry.shaping import draw_line, fit_under, line_cells, max_pool, min_pool
from parc_motion.terrains import Terrain

PROPERTY = hypothesis.settings(max_examples=80, deadline=None, derandomize=True)
SEEDS = st.integers(0, 10_000)


def make_ground(seed, bounded=False):
    rng = np.random.default_rng(seed)
    height = rng.uniform(-1, 1, rng.integers(1, 9, 2)).astype(np.float32)
    bounds = np.stack(
        [height - rng.uniform(0, 0.5, height.shape), height + rng.uniform(0, 0.5, height.shape)], -1
    )
    return Terrain(height=height, origin_xy=rng.normal(size=2), cell=0.4, bounds=bounds if bounded else None)


def assert_within_bounds(terrain):
    assert (terrain.bounds[..., 0] <= terrain.height).all()
    assert (terrain.height <= terrain.bounds[..., 1]).all()


@hypothesis.given(SEEDS, st.integers(0, 12), st.sampled_from([None, 0, 1]))
@PROPERTY
def test_pools_are_the_extremes_of_each_window(seed, radius, axis):
    terrain = make_ground(seed)
    reach = [radius if axis in (None, k) else 0 for k in range(2)]
    highest, lowest = max_pool(terrain, radius, axis).height, min_pool(terrain, radius, axis).height
    for i, j in np.ndindex(terrain.shape):
        window = terrain.height[
            max(i - reach[0], 0) : i + reach[0] + 1, max(j - reach[1], 0) : j + reach[1] + 1
        ]
        assert highest[i, j] == window.max()
        assert lowest[i, j] == window.min()


@hypothesis.given(SEEDS, st.integers(0, 3))
@PROPERTY
def test_pools_stay_in_bounds(seed, radius):
    assert_within_bounds(max_pool(make_ground(seed, bounded=True), radius))
    assert_within_bounds(min_pool(make_ground(seed, bounded=True), radius))


@pytest.mark.parametrize("radius, axis", [(-1, None), (1, 2)])
def test_impossible_pool_is_refused(radius, axis):
    with pytest.raises(
        DataError, match=rf"pool: radius is {radius} cells and axis {axis}, expected 0 or more"
    ):
        max_pool(make_ground(0), radius, axis)


CELLS = st.tuples(st.integers(-20, 20), st.integers(-20, 20))


@hypothesis.given(CELLS, CELLS)
@PROPERTY
def test_line_follows_the_straight_one_cell_by_cell(start, stop):
    cells = line_cells(start, stop)
    assert tuple(cells[0]) == start
    assert tuple(cells[-1]) == stop
    move = np.subtract(stop, start)
    assert len(cells) == np.abs(move).max() + 1
    assert (np.abs(np.diff(cells, axis=0)).max(axis=1, initial=0) == 1).all()
    # along the shorter axis it stays within half a cell of the straight line
    part = np.arange(len(cells))[:, None] / max(len(cells) - 1, 1)
    assert np.abs(cells - (start + part * move)).max() <= 0.5 + 1e-9


def test_line_by_hand():
    terrain = draw_line(Terrain(height=np.zeros((4, 7))), (0, 0), (2, 6), height=0.5)
    # one third of a cell down for each cell across: rows 0, 0, 1, 1, 1, 2, 2
    assert np.argwhere(terrain.height == 0.5).tolist() == [
        [0, 0],
        [0, 1],
        [1, 2],
        [1, 3],
        [1, 4],
        [2, 5],
        [2, 6],
    ]
    assert np.count_nonzero(terrain.height) == 7


def test_wide_line_is_cut_at_the_border():
    terrain = draw_line(Terrain(height=np.zeros((5, 4))), (1, 0), (1, 3), height=-1.0, width=4)
    assert (terrain.height[:4] == -1).all()  # rows 0 .. 3 around row 1: one before, two behind
    assert (terrain.height[4] == 0).all()


def test_line_takes_places_through_their_cells():
    terrain = Terrain(height=np.zeros((5, 5)), origin_xy=(2.0, 2.0), cell=0.5)
    start, stop = terrain.cell_of([[2.1, 2.6], [3.9, 2.4]])
    assert np.argwhere(draw_line(terrain, start, stop, 1.0).height).tolist() == [[i, 1] for i in range(5)]


def test_line_stays_in_bounds_and_changes_no_other_cell():
    terrain = make_ground(6, bounded=True)
    drawn = draw_line(terrain, (0, 0), (terrain.shape[0] - 1, 0), height=9.0)
    assert_within_bounds(drawn)
    np.testing.assert_array_equal(drawn.height[:, 0], terrain.bounds[:, 0, 1])
    np.testing.assert_array_equal(drawn.height[:, 1:], terrain.height[:, 1:])


def test_line_out_of_the_grid_is_refused():
    terrain = Terrain(height=np.zeros((3, 3)))
    with pytest.raises(
        DataError, match=r"draw_line: cells \[0, 0\] to \[3, 1\] are not both in the grid of 3 x 3"
    ):
        draw_line(terrain, (0, 0), (3, 1), 1.0)
    with pytest.raises(
        DataError, match=r"draw_line: width is 0 cells and height 1\.0 m, expected at least 1"
    ):
        draw_line(terrain, (0, 0), (1, 1), 1.0, width=0)


def test_fit_lowers_what_is_pierced_and_raises_what_should_hold():
    terrain = Terrain(height=[[0.0, 0.0, 0.0, 0.0]], cell=1.0)
    points = [[0, 0, -0.2], [0, 0.1, 0.4], [0, 1, 0.7], [0, 2, 0.5]]  # pierces, flies, is about to stand
    fitted = fit_under(terrain, points, support=[[0, 2, 0.3], [0, 2, 0.6]])
    np.testing.assert_allclose(fitted.height, [[-0.2, 0.0, 0.3, 0.0]], atol=1e-6)


def test_support_never_lifts_ground_into_another_body():
    terrain = Terrain(height=[[0.0]])
    fitted = fit_under(terrain, [[0, 0, 0.2]], support=[[0, 0, 0.5]])
    assert fitted.height[0, 0] == pytest.approx(0.2)


def test_points_outside_count_for_the_border_cell():
    terrain = Terrain(height=[[0.0, 0.0]], cell=1.0)
    assert fit_under(terrain, [[-5.0, 9.0, -0.5]]).height.tolist() == [[0.0, -0.5]]


@hypothesis.given(SEEDS)
@PROPERTY
def test_fitted_ground_is_below_every_point_and_right_under_lone_supports(seed):
    terrain, rng = make_ground(seed), np.random.default_rng(seed)
    points, support = rng.uniform(-1.5, 3, (2, 12, 3))
    fitted = fit_under(terrain, points, support)
    everything = np.concatenate([points, support])
    assert (fitted.height_at(points[:, :2]) <= points[:, 2]).all()  # to the last bit
    assert (fitted.height_at(support[:, :2]) <= support[:, 2]).all()
    cells = terrain.cell_of(everything[:, :2])
    for n in range(12, 24):
        if (cells == cells[n]).all(axis=1).sum() == 1:
            assert fitted.height[tuple(cells[n])] == pytest.approx(everything[n, 2], abs=1e-6)
    touched = np.zeros(terrain.shape, dtype=bool)
    touched[tuple(cells.T)] = True
    np.testing.assert_array_equal(fitted.height[~touched], terrain.height[~touched])
    np.testing.assert_array_equal(fit_under(fitted, points, support).height, fitted.height)


@hypothesis.given(SEEDS)
@PROPERTY
def test_fit_stays_in_bounds(seed):
    terrain = make_ground(seed, bounded=True)
    points, support = np.random.default_rng(seed).uniform(-3, 3, (2, 20, 3))
    assert_within_bounds(fit_under(terrain, points, support))


def test_points_of_wrong_shape_are_refused():
    with pytest.raises(ShapeError, match=r"fit_under: support has shape \[4, 2\], expected \[\.\.\., 3\]\."):
        fit_under(make_ground(0), np.zeros((1, 3)), np.zeros((4, 2)))
    with pytest.raises(DataError, match=r"fit_under: points holds inf at index \[0, 2\]"):
        fit_under(make_ground(0), [[0.0, 0.0, np.inf]])


def test_arguments_stay_as_they_are():
    terrain = make_ground(1, bounded=True)
    before, points = terrain.height.copy(), np.zeros((3, 3))
    for _ in (max_pool(terrain, 1), min_pool(terrain, 1), draw_line(terrain, (0, 0), (0, 0), 5.0)):
        np.testing.assert_array_equal(terrain.height, before)
    fit_under(terrain, points, points)
    np.testing.assert_array_equal(terrain.height, before)
