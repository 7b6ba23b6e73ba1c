"""Windows and coarser grids of a terrain."""

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

from parc_motion.clips import mirror_terrain
from parc_motion.errors import DataError, ShapeError
from parc_motion.terrains import Terrain, crop, downsample, pad, slice_around

PROPERTY = hypothesis.settings(max_examples=60, deadline=None, derandomize=True)
SEEDS = st.integers(0, 10_000)
SIDES = st.tuples(st.integers(0, 4), st.integers(0, 4))


def make_ground(seed, bounded=True, shape=None):
    """Random heights, each within its own bounds; the margins are multiples of 1/64 m."""
    rng = np.random.default_rng(seed)
    height = rng.integers(-100, 100, shape or rng.integers(1, 9, 2)) / 64
    margin = rng.integers(0, 64, (*height.shape, 2)) / 64 * [-1, 1]
    return Terrain(
        height=height,
        origin_xy=rng.normal(size=2),
        cell=rng.uniform(0.2, 0.6),
        bounds=height[..., None] + margin if bounded else None,
    )


def assert_same(one, other):
    np.testing.assert_array_equal(one.height, other.height)
    np.testing.assert_allclose(one.origin_xy, other.origin_xy, atol=1e-6)
    assert one.cell == other.cell
    assert (one.bounds is None) == (other.bounds is None)
    if one.bounds is not None:
        np.testing.assert_array_equal(one.bounds, other.bounds)


def assert_within_bounds(terrain):
    assert (terrain.bounds[..., 0] <= terrain.height).all()
    assert (terrain.height <= terrain.bounds[..., 1]).all()


def queries(terrain, count=200, margin=2.0):
    """Places around the terrain that are not within a thousandth of a cell of a border."""
    rng = np.random.default_rng(5)
    cells = np.array(terrain.shape) + 2 * int(margin / terrain.cell)
    index = rng.integers(0, cells, (count, 2)) - int(margin / terrain.cell)
    return terrain.origin_xy + (index + rng.uniform(-0.499, 0.499, (count, 2))) * terrain.cell


@hypothesis.given(SEEDS, st.booleans(), SIDES, SIDES, st.sampled_from([None, 0.5]))
@PROPERTY
def test_crop_undoes_pad(seed, bounded, along_x, along_y, height):
    terrain = make_ground(seed, bounded)
    padded = pad(terrain, (along_x, along_y), height)
    first = (along_x[0], along_y[0])
    assert_same(crop(padded, first, np.add(first, terrain.shape)), terrain)


@hypothesis.given(SEEDS, SIDES, SIDES)
@PROPERTY
def test_padding_with_the_border_changes_no_answer(seed, along_x, along_y):
    terrain = make_ground(seed)
    padded = pad(terrain, (along_x, along_y))
    assert padded.shape == (terrain.shape[0] + sum(along_x), terrain.shape[1] + sum(along_y))
    xy = queries(terrain)
    np.testing.assert_array_equal(padded.height_at(xy), terrain.height_at(xy))
    assert_within_bounds(padded)


def test_padding_by_nothing_is_the_same_ground():
    assert_same(pad(make_ground(3), 0), make_ground(3))


def test_padding_with_a_height_lies_around_the_old_cells():
    terrain = Terrain(height=[[1.0, 2.0]], cell=0.5, bounds=[[[0.5, 1.5], [2.0, 2.0]]])
    padded = pad(terrain, ((1, 0), (0, 2)), height=3.0)
    assert padded.height.tolist() == [[3.0, 3.0, 3.0, 3.0], [1.0, 2.0, 3.0, 3.0]]
    assert padded.origin_xy.tolist() == [-0.5, 0.0]
    assert padded.bounds[0, 0].tolist() == [0.5, 3.0]  # lowest and highest of all, and the new height
    assert padded.bounds[1, 1].tolist() == [2.0, 2.0]


def test_crop_keeps_coordinates():
    terrain = make_ground(1, shape=(6, 5))
    part = crop(terrain, (2, 1), (5, 4))
    np.testing.assert_allclose(part.center_of([0, 0]), terrain.center_of([2, 1]), atol=1e-6)
    np.testing.assert_allclose(part.center_of([2, 2]), terrain.center_of([4, 3]), atol=1e-6)
    np.testing.assert_array_equal(part.bounds, terrain.bounds[2:5, 1:4])


@pytest.mark.parametrize(
    "first, stop", [((2, 2), (2, 3)), ((-1, 0), (2, 2)), ((0, 0), (3, 6)), ((3, 0), (1, 2))]
)
def test_window_that_is_empty_or_outside_is_refused(first, stop):
    with pytest.raises(
        DataError, match=r"crop: cells \(.*\) to \(.*\) \(excluded\) are not inside a grid of 5 x 5"
    ):
        crop(make_ground(0, shape=(5, 5)), first, stop)


def test_negative_padding_is_refused():
    with pytest.raises(DataError, match=r"pad: got \(\(0, -1\), \(0, 0\)\) cells, expected 0 or more"):
        pad(make_ground(0), ((0, -1), (0, 0)))


@hypothesis.given(SEEDS, st.floats(0.0, 2.0), st.booleans())
@PROPERTY
def test_slice_answers_as_the_terrain_wherever_the_motion_goes(seed, padding, to_start):
    terrain = make_ground(seed)
    rng = np.random.default_rng(seed)
    root_pos = rng.uniform(-2, 4, (20, 3))  # in and out of the grid
    part = slice_around(terrain, root_pos, padding, to_start)
    around = rng.uniform(root_pos.min(axis=0) - padding, root_pos.max(axis=0) + padding, (200, 3))
    place = (around[:, :2] - terrain.origin_xy) / terrain.cell + 0.5
    around = around[(np.abs(place - np.round(place)) > 1e-3).all(axis=1)]  # not on a border of cells
    here = part.terrain.height_at(around[:, :2] + part.shift[:2])
    np.testing.assert_array_equal(here, terrain.height_at(around[:, :2]) + np.float32(part.shift[2]))
    assert_within_bounds(part.terrain)
    # no more cells than the box around the motion touches
    size = np.ptp(root_pos[:, :2], axis=0) + 2 * padding
    assert (np.array(part.terrain.shape) <= np.floor(size / terrain.cell + 1e-6) + 2).all()


def test_slice_to_start_begins_at_the_origin_over_level_zero():
    terrain = make_ground(8, shape=(20, 20))
    root_pos = terrain.center_of([[7, 9], [12, 11]]) + np.float32([0.05, -0.05, 0.9])
    part = slice_around(terrain, root_pos, 1.0, to_start=True)
    np.testing.assert_allclose((root_pos + part.shift)[0, :2], 0, atol=1e-6)
    assert part.terrain.height_at([0.0, 0.0]) == 0
    assert part.shift[2] == -terrain.height[7, 9]
    np.testing.assert_array_equal(
        part.terrain.bounds - part.terrain.height[..., None],
        crop(terrain, part.first_cell, part.first_cell + part.terrain.shape).bounds
        - crop(terrain, part.first_cell, part.first_cell + part.terrain.shape).height[..., None],
    )


def test_slice_tells_where_cells_went():
    terrain = make_ground(2, shape=(9, 9))
    part = slice_around(terrain, terrain.center_of([[4, 1]]), 2.2 * terrain.cell)
    assert part.first_cell.tolist() == [2, -1]  # two cells around (4, 1): rows 2 .. 6, columns -1 .. 3
    assert part.terrain.shape == (5, 5)
    cells = np.array([[4, 1], [2, 3], [6, 0]])
    moved = cells - part.first_cell
    np.testing.assert_allclose(part.terrain.center_of(moved), terrain.center_of(cells), atol=1e-6)


def test_slice_takes_plan_positions():
    terrain = make_ground(4)
    root_pos = np.random.default_rng(0).uniform(0, 2, (5, 3))
    whole, plan = slice_around(terrain, root_pos, 0.5), slice_around(terrain, root_pos[:, :2], 0.5)
    assert_same(whole.terrain, plan.terrain)
    assert whole.shift.tolist() == [0.0, 0.0, 0.0]


def test_slice_around_nothing_is_refused():
    terrain = make_ground(0)
    with pytest.raises(
        ShapeError, match=r"slice_around: root_pos has shape \[0, 3\], expected \[T, 3\] or \[T, 2\]"
    ):
        slice_around(terrain, np.zeros((0, 3)), 1.0)
    with pytest.raises(DataError, match=r"slice_around: root_pos holds nan at index \[0, 1\]"):
        slice_around(terrain, [[0.0, np.nan, 0.0]], 1.0)
    with pytest.raises(DataError, match=r"slice_around: padding is -0\.5 m, expected 0 or more\."):
        slice_around(terrain, np.zeros((1, 3)), -0.5)


@hypothesis.given(SEEDS, st.integers(1, 5))
@PROPERTY
def test_downsampling_keeps_the_maximum_of_each_block(seed, factor):
    terrain = make_ground(seed, bounded=False)
    coarse = downsample(terrain, factor)
    assert coarse.shape == tuple(-(-n // factor) for n in terrain.shape)
    for i in range(coarse.shape[0]):
        for j in range(coarse.shape[1]):
            block = terrain.height[i * factor : (i + 1) * factor, j * factor : (j + 1) * factor]
            assert coarse.height[i, j] == block.max()
    # every old cell lies in the new cell of its block
    cells = np.argwhere(np.ones(terrain.shape, dtype=bool))
    np.testing.assert_array_equal(coarse.cell_of(terrain.center_of(cells)[:, :2]), cells // factor)


def test_coarse_cell_is_centered_on_its_block():
    coarse = downsample(Terrain(height=np.zeros((4, 6)), origin_xy=(1.0, -1.0), cell=0.4), 2)
    np.testing.assert_allclose(coarse.origin_xy, [1.2, -0.8], atol=1e-6)
    assert coarse.cell == pytest.approx(0.8)


def test_coarse_cell_stays_in_the_bounds_that_all_its_cells_share():
    # the maximum 1.0 is more than the first cell bears
    terrain = Terrain(height=[[0.0, 1.0]], bounds=[[[-1.0, 0.25], [-0.5, 2.0]]])
    coarse = downsample(terrain, 2)
    assert coarse.height.tolist() == [[0.25]]
    assert coarse.bounds.tolist() == [[[-0.5, 0.25]]]


def test_block_without_a_common_height_is_refused():
    terrain = Terrain(
        height=[[0.0, 0.0, 0.0], [0.0, 0.0, 1.0]], bounds=[[[0, 0]] * 3, [[0, 0], [0, 0], [1, 1]]]
    )
    with pytest.raises(DataError, match=r"block \(0, 1\) may be no lower than 1 m and no higher than 0 m"):
        downsample(terrain, 2)


def test_factor_below_one_is_refused():
    with pytest.raises(DataError, match=r"downsample: factor is 0, expected 1 or more\."):
        downsample(make_ground(0), 0)


@hypothesis.given(SEEDS)
@PROPERTY
def test_mirrored_ground_answers_at_the_mirrored_place(seed):
    terrain = make_ground(seed)
    mirrored = mirror_terrain(terrain)
    xy = queries(terrain)
    np.testing.assert_array_equal(mirrored.height_at(xy * [1, -1]), terrain.height_at(xy))
    assert_within_bounds(mirrored)
    assert_same(mirror_terrain(mirrored), terrain)
