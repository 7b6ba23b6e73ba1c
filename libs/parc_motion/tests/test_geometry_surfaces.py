"""Terrain and its box cover are the same ground."""

import numpy as np
import pytest

from parc_core.config import Use
from parc_core.plugins import Registry
from parc_motion.geometry import box_cover
from parc_motion.terrains import Terrain, downsample

SKIRT = 1.5  # m
SOURCE = Registry.discover().create("terrain_source", Use("boxes"))  # default settings


def scattered_boxes(seed, coarse=False):
    """A terrain of `boxes`; coarse: in blocks of 2 x 2 cells at their highest, as plans are made on."""
    terrain = SOURCE.sample(np.random.default_rng(seed))
    if coarse:
        return Terrain(height=np.kron(downsample(terrain, 2).height, np.ones((2, 2))), cell=terrain.cell)
    return terrain


def noise(shape, levels, seed=0):
    rng = np.random.default_rng(seed)
    return Terrain(
        height=rng.choice(rng.uniform(-2, 2, levels), shape),
        origin_xy=rng.normal(size=2),
        cell=rng.uniform(0.2, 0.6),
    )


def tops_of_boxes(centers, half_sizes, xy):
    inside = (np.abs(xy[:, None] - centers[None, :, :2]) <= half_sizes[None, :, :2]).all(axis=-1)
    return np.where(inside, (centers + half_sizes)[None, :, 2], -np.inf).max(axis=1)


def rays(terrain, count=1500):
    """Places all over the terrain and its skirt, half of them a hundredth of a millimeter off a border of cells."""
    rng = np.random.default_rng(7)
    low = terrain.origin_xy.astype(np.float64) - terrain.cell / 2
    size = np.array(terrain.shape) * terrain.cell
    xy = rng.uniform(low - SKIRT, low + size + SKIRT, (count, 2))
    edge = low + rng.integers(0, np.array(terrain.shape) + 1, (count, 2)) * terrain.cell
    near = edge + rng.choice([-1e-5, 1e-5], (count, 2))
    axis = rng.integers(0, 3, count)  # near a border along x, along y, or near a corner
    near = np.where(axis[:, None] == [0, 1], xy, near)
    return np.concatenate([xy, near])


GROUNDS = {
    "one-cell": noise((1, 1), 1),
    "row": noise((1, 12), 4),
    "column": noise((9, 1), 4),
    "all-different": noise((8, 7), 999),
    "two-levels": noise((12, 10), 2),
    "few-levels": noise((15, 16), 4),
    "boxes": scattered_boxes(0),
    "boxes-coarse": scattered_boxes(1, coarse=True),
}


@pytest.mark.parametrize("layered", [True, False], ids=["layered", "apart"])
@pytest.mark.parametrize("terrain", GROUNDS.values(), ids=GROUNDS)
def test_rays_from_above_meet_terrain_and_boxes_at_one_height(terrain, layered):
    xy = rays(terrain)
    centers, half_sizes = box_cover(terrain, skirt=SKIRT + 0.01, layered=layered)
    np.testing.assert_allclose(
        tops_of_boxes(centers, half_sizes, xy), terrain.height_at(xy), rtol=0, atol=1e-6
    )


@pytest.mark.parametrize("coarse", [False, True], ids=["as-made", "coarse"])
def test_cover_of_scattered_boxes_needs_a_third_of_the_cells_at_most(coarse):
    for seed in range(200):
        terrain = scattered_boxes(seed, coarse)
        assert len(box_cover(terrain)[0]) <= terrain.height.size / 3
