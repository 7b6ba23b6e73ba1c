"""Terrains by rule."""

import numpy as np
import pytest

from parc_core.errors import ConfigError
from parc_terrain.boxes import BoxConfig, BoxTerrain
from parc_terrain.flat import FlatConfig, FlatTerrain
from parc_terrain.paths import PathsConfig, PathsTerrain
from parc_terrain.rectangles import draw_rectangles, inside_rectangles
from parc_terrain.simplify import flat_maxpool_2x2, is_level_pad, level_pad, pad_start
from parc_terrain.stairs import StairConfig, StairTerrain
from parc_testing.contracts.terrain_source import TerrainSourceContract

SOURCES = {
    "boxes": (BoxTerrain, BoxConfig(max_angle=3.0)),
    "flat": (FlatTerrain, FlatConfig()),
    "stairs": (StairTerrain, StairConfig()),
    "paths": (PathsTerrain, PathsConfig()),
}


@pytest.mark.parametrize("name", SOURCES)
class TestSources(TerrainSourceContract):
    @pytest.fixture
    def make(self, name):
        kind, config = SOURCES[name]
        return lambda: kind(config)

    def test_grid_has_the_configured_size(self, make, name):
        terrain = make().sample(np.random.default_rng(0))
        assert (terrain.shape, terrain.cell) == ((16, 16), 0.4)


def sample(kind, config, seed=0):
    return kind(config).sample(np.random.default_rng(seed)).height


def test_flat_ground_has_its_height():
    assert (sample(FlatTerrain, FlatConfig(height=0.7, dim_x=3)) == np.float32(0.7)).all()


def test_rectangle_holds_cells_strictly_inside():
    # center (2, 1), 2 x 4 cells: x strictly between 1 and 3, y strictly between -1 and 3
    inside = inside_rectangles((5, 5), np.array([[2.0, 1.0]]), np.array([[2.0, 4.0]]), np.zeros(1))
    assert np.argwhere(inside[0]).tolist() == [[2, 0], [2, 1], [2, 2]]


def test_quarter_turn_exchanges_the_sides():
    center, angle = np.array([[4.3, 4.1]]), np.array([np.pi / 2])
    turned = inside_rectangles((9, 9), center, np.array([[2.0, 6.0]]), angle)
    straight = inside_rectangles((9, 9), center, np.array([[6.0, 2.0]]), np.zeros(1))
    np.testing.assert_array_equal(turned, straight)


def test_later_rectangles_overwrite_earlier_ones():
    # cells 0 and 1 lie in the first, cell 1 in the second
    center, size = np.array([[0.0, 0.0], [1.0, 0.0]]), np.array([[2.1, 1.0], [1.0, 1.0]])
    height = draw_rectangles(np.zeros((3, 1)), center, size, np.zeros(2), np.array([1.0, -2.0]))
    assert height[:, 0].tolist() == [1.0, -2.0, 0.0]


@pytest.mark.parametrize("turn", [0.0, 3.0], ids=["straight", "turned"])
def test_rectangles_of_large_terrains_are_drawn_one_by_one_with_the_same_result(turn, monkeypatch):
    rng = np.random.default_rng(0)
    center, size = rng.uniform(-5, 45, (60, 2)), rng.uniform(0, 12, (60, 2))
    angle, value = rng.uniform(-turn, turn, 60), rng.uniform(-1, 1, 60)
    together = draw_rectangles(np.zeros((40, 30)), center, size, angle, value)
    monkeypatch.setattr("parc_terrain.rectangles._AT_ONCE", 0)
    one_by_one = draw_rectangles(np.zeros((40, 30)), center, size, angle, value)
    np.testing.assert_array_equal(together, one_by_one)
    assert len(np.unique(together)) > 20


def test_boxes_stay_within_their_heights():
    heights = np.stack(
        [sample(BoxTerrain, BoxConfig(min_height=-0.3, max_height=0.4), seed) for seed in range(30)]
    )
    assert heights.min() >= -0.3 - 1e-6
    assert heights.max() <= 0.4 + 1e-6
    assert len(np.unique(heights[0])) > 3


def test_no_boxes_leave_level_ground():
    assert (sample(BoxTerrain, BoxConfig(num_boxes=0)) == 0).all()


def test_stairs_rise_by_the_step_height():
    config = StairConfig(num_stairs=1, min_start_height=5.0, max_start_height=5.0, max_step_height=0.15)
    for seed in range(10):
        steps = np.unique(sample(StairTerrain, config, seed))
        treads = steps[steps > 1]  # the field is at 0
        np.testing.assert_allclose((treads - 5.0) / 0.15, np.round((treads - 5.0) / 0.15), atol=1e-4)


def test_tracks_lie_on_the_floor():
    height = sample(PathsTerrain, PathsConfig(num_paths=1, dim_x=40, dim_y=40))
    assert len(np.unique(height)) == 2
    assert height.min() == -2.0


@pytest.mark.parametrize(
    "make, message",
    [
        (
            lambda: BoxConfig(min_height=3.0),
            "boxes: min_height is 3.0, more than max_height 2.0. Exchange the two.",
        ),
        (
            lambda: StairConfig(max_width=1.0),
            "stairs: min_width is 2.0, more than max_width 1.0. Exchange the two.",
        ),
        (
            lambda: PathsConfig(path_max_height=-1.8),
            "paths: path_min_height is -1.6, more than path_max_height -1.8. Exchange the two.",
        ),
    ],
)
def test_exchanged_limits_are_refused(make, message):
    with pytest.raises(ConfigError) as error:
        make()
    assert str(error.value) == message


def test_pool_raises_blocks_to_their_highest():
    height = np.array([[1.0, 2.0, 0.0, 0.0], [0.0, 3.0, 0.0, 5.0]])
    assert flat_maxpool_2x2(height).tolist() == [[3.0, 3.0, 5.0, 5.0]] * 2


def test_pool_joins_an_odd_last_column_to_its_neighbors():
    assert flat_maxpool_2x2(np.array([[1.0, 2.0, 7.0]])).tolist() == [[7.0, 7.0, 7.0]]
    assert flat_maxpool_2x2(np.array([[4.0]])).tolist() == [[4.0]]


@pytest.mark.parametrize(
    "cell, start",
    [((6, 7), (4, 6)), ((1, 2), (0, 0)), ((0, 15), (0, 12)), ((14, 13), (12, 12))],
    ids=["middle", "low", "corner", "high"],
)
def test_pads_begin_at_even_cells_and_stay_inside(cell, start):
    assert pad_start(np.array(cell), (16, 16), 4).tolist() == list(start)


def test_level_pad_takes_the_height_of_its_cell():
    height = np.random.default_rng(0).uniform(size=(16, 16))
    for cell in ([0, 15], [6, 7], [14, 1]):
        level = level_pad(height, np.array(cell), 4)
        assert (level == height[tuple(cell)]).sum() == 16
        assert is_level_pad(level, np.array([cell]), 4).all()
        assert not is_level_pad(height, np.array([cell]), 4).any()
