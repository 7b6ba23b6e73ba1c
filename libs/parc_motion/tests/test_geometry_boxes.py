"""Boxes that make the same solid as a terrain."""

import hypothesis
import hypothesis.extra.numpy as hnp
import numpy as np
import pytest

from parc_motion.errors import DataError
from parc_motion.geometry import box_cover
from parc_motion.geometry.boxes import _largest_rectangles
from parc_motion.terrains import Terrain


def random_terrain(seed):
    rng = np.random.default_rng(seed)
    return Terrain(
        height=rng.choice([0, 0, 0, 0.3, -0.5, 1.2], rng.integers(1, 10, 2)),
        origin_xy=rng.normal(size=2),
        cell=rng.uniform(0.2, 0.6),
    )


def tops_over(centers, half_sizes, xy):
    """Tops of the boxes over each point, ``[n, K]``, -inf where a box is beside it."""
    inside = (np.abs(xy[:, None] - centers[None, :, :2]) <= half_sizes[None, :, :2]).all(axis=-1)
    return np.where(inside, (centers + half_sizes)[None, :, 2], -np.inf)


@pytest.mark.parametrize("layered", [True, False])
@pytest.mark.parametrize("seed", range(6))
def test_boxes_reach_up_to_the_ground_everywhere(seed, layered):
    terrain = random_terrain(seed)
    centers, half_sizes = box_cover(terrain, floor_depth=0.7, skirt=1.5, layered=layered)
    low, high = terrain.origin_xy - terrain.cell / 2, terrain.max_xy + terrain.cell / 2
    xy = np.random.default_rng(9).uniform(low - 1.49, high + 1.49, (2000, 2))
    tops = tops_over(centers, half_sizes, xy)
    np.testing.assert_allclose(tops.max(axis=1), terrain.height_at(xy), atol=1e-6)
    np.testing.assert_allclose((centers - half_sizes)[:, 2], terrain.height.min() - 0.7, atol=1e-6)
    if not layered:
        assert (np.isfinite(tops).sum(axis=1) == 1).all()  # exactly one box over each point


def test_level_ground_is_one_box():
    centers, half_sizes = box_cover(
        Terrain(height=np.full((4, 6), 0.5), cell=0.5), floor_depth=1.0, skirt=2.0
    )
    # x: -0.25 .. 1.75 and 2 m more on both sides; y: -0.25 .. 2.75; z: -0.5 .. 0.5
    np.testing.assert_allclose(centers, [[0.75, 1.25, 0.0]])
    np.testing.assert_allclose(half_sizes, [[3.0, 3.5, 0.5]])


def test_box_on_a_field_takes_two_boxes_layered_and_five_apart():
    height = np.zeros((6, 6))
    height[2:4, 2:4] = 1.0
    assert len(box_cover(Terrain(height=height))[0]) == 2
    assert len(box_cover(Terrain(height=height), layered=False)[0]) == 5


def test_pit_takes_five_boxes():
    height = np.zeros((6, 6))
    height[2:4, 2:4] = -1.0
    assert len(box_cover(Terrain(height=height))[0]) == 5


def test_bad_depth_is_refused():
    with pytest.raises(
        DataError,
        match=r"box_cover got floor_depth 0 m and skirt 2.0 m, expected more than 0 and at least 0\.",
    ):
        box_cover(Terrain(height=[[0.0]]), floor_depth=0)


@hypothesis.given(hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, max_side=6)))
@hypothesis.settings(max_examples=80, deadline=None, derandomize=True)
def test_candidates_are_all_rectangles_that_cannot_grow(allowed):
    rows, columns = ([(a, b) for b in range(n + 1) for a in range(b)] for n in allowed.shape)
    fitting = {(*i, *j) for i in rows for j in columns if allowed[slice(*i), slice(*j)].all()}
    grown = np.array([[-1, 0, 0, 0], [0, 1, 0, 0], [0, 0, -1, 0], [0, 0, 0, 1]])
    expected = {
        one for one in fitting if not fitting.intersection(tuple(larger) for larger in (one + grown).tolist())
    }
    found = [tuple(rectangle) for rectangle in _largest_rectangles(allowed)]
    assert len(found) == len(expected)
    assert set(found) == expected
