"""Triangles of blocky ground."""

from collections import Counter

import hypothesis
import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import numpy as np
import pytest

from parc_motion.errors import DataError
from parc_motion.geometry.mesh import blocky_mesh
from parc_motion.terrains import Terrain

LEVELS = np.array([0.0, 0.3, -0.5, 1.2], dtype=np.float32)
GROUNDS = hnp.arrays(
    np.int64, hnp.array_shapes(min_dims=2, max_dims=2, max_side=7), elements=st.integers(0, 3)
).map(lambda level: Terrain(height=LEVELS[level], origin_xy=(0.37, -1.9), cell=0.4))
PROPERTY = hypothesis.settings(max_examples=80, deadline=None, derandomize=True)


def area_vectors(vertices, triangles):
    """Outward normal of each triangle times its area, ``[F, 3]`` m2."""
    a, b, c = (vertices[triangles[:, k]] for k in range(3))
    return np.cross(b - a, c - a) / 2


def open_ends(vertices, triangles):
    """Where the edges of the triangles do not cancel; none if they close up.

    An edge from a to b counts +1 at a and -1 at b on the line that it lies on, so edges of different length along one
    axis cancel where they lie on each other in opposite directions. Diagonals have a line of their own.
    """
    ends = Counter()
    for triangle in triangles:
        corners = [tuple(corner) for corner in vertices[triangle]]
        for a, b in zip(corners, corners[1:] + corners[:1]):
            moved = [k for k in range(3) if a[k] != b[k]]
            line = (
                (moved[0], *(a[k] for k in range(3) if k not in moved))
                if len(moved) == 1
                else tuple(sorted((a, b)))
            )
            ends[line, a] += 1
            ends[line, b] -= 1
    return [end for end, count in ends.items() if count]


def test_level_ground_is_two_triangles_and_a_slab_of_it_twelve():
    terrain = Terrain(height=np.full((4, 6), 0.5), cell=0.5)
    vertices, triangles = blocky_mesh(terrain)
    assert triangles.tolist() == [[0, 1, 2], [0, 2, 3]]
    # x: -0.25 .. 1.75, y: -0.25 .. 2.75, counter-clockwise seen from above
    expected = [[-0.25, -0.25, 0.5], [1.75, -0.25, 0.5], [1.75, 2.75, 0.5], [-0.25, 2.75, 0.5]]
    np.testing.assert_allclose(vertices, expected)
    vertices, triangles = blocky_mesh(terrain, floor_depth=1.0, skirt=2.0)
    assert (vertices.dtype, triangles.dtype, triangles.shape) == (np.float64, np.int64, (12, 3))
    np.testing.assert_allclose(vertices.min(axis=0), [-2.25, -2.25, -0.5])
    np.testing.assert_allclose(vertices.max(axis=0), [3.75, 4.75, 0.5])


def test_block_on_a_field_is_nine_rectangles():
    # the top, four walls, and the field around it in four
    height = np.zeros((6, 6))
    height[2:4, 2:4] = 1.0
    assert blocky_mesh(Terrain(height=height))[1].shape == (18, 3)


def test_walls_merge_only_while_both_sides_stay_level():
    # a wall of four cells whose far side has one step: two walls; the step itself: one
    height = np.array([[1.0, 1.0, 1.0, 1.0], [0.0, 0.0, 0.5, 0.5]])
    assert blocky_mesh(Terrain(height=height))[1].shape == (2 * (3 + 3), 3)


@hypothesis.given(GROUNDS)
@PROPERTY
def test_closed_mesh_closes_up_around_the_solid(terrain):
    vertices, triangles = blocky_mesh(terrain, floor_depth=0.7)
    assert open_ends(vertices, triangles) == []
    corners = vertices[triangles]
    volume = np.linalg.det(corners).sum() / 6  # divergence theorem: tetrahedra to the origin
    height = terrain.height.astype(np.float64)
    assert volume == pytest.approx((height - height.min() + 0.7).sum() * terrain.cell**2)


@hypothesis.given(GROUNDS, st.booleans())
@PROPERTY
def test_surface_has_the_area_of_the_grid_and_of_every_step(terrain, transposed):
    if transposed:
        terrain = Terrain(height=terrain.height.T, cell=terrain.cell)
    vertices, triangles = blocky_mesh(terrain)
    area = area_vectors(vertices, triangles)
    assert (np.linalg.norm(area, axis=1) > 1e-9).all()  # no triangle without area
    assert (np.count_nonzero(np.abs(area) > 1e-12, axis=1) == 1).all()  # each level or upright
    assert area[:, 2].min() >= 0
    height, cell = terrain.height.astype(np.float64), terrain.cell
    assert area[:, 2].sum() == pytest.approx(height.size * cell**2)
    for axis in (0, 1):
        assert np.abs(area[:, axis]).sum() == pytest.approx(np.abs(np.diff(height, axis=axis)).sum() * cell)


@hypothesis.given(GROUNDS)
@PROPERTY
def test_walls_face_the_lower_side(terrain):
    vertices, triangles = blocky_mesh(terrain)
    area = area_vectors(vertices, triangles)
    outward = area / np.linalg.norm(area, axis=1, keepdims=True)
    middle = vertices[triangles].mean(axis=1)
    for side, solid in ((1e-4, False), (-1e-4, True)):
        beside = middle + side * outward
        assert ((beside[:, 2] < terrain.height_at(beside[:, :2])) == solid).all()


def test_rectangles_are_no_more_than_one_for_each_cell_and_each_step():
    rng = np.random.default_rng(0)
    height = rng.uniform(size=(9, 5))  # nothing to merge
    assert len(blocky_mesh(Terrain(height=height))[1]) == 2 * (9 * 5 + 8 * 5 + 9 * 4)


@pytest.mark.parametrize("options", [{"floor_depth": 0.0}, {"floor_depth": np.inf}, {"skirt": -1.0}])
def test_impossible_extent_is_refused(options):
    with pytest.raises(
        DataError, match=r"blocky_mesh got floor_depth .* m and skirt .* m, expected more than 0"
    ):
        blocky_mesh(Terrain(height=[[0.0]]), **options)
