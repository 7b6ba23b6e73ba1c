"""Pictures: what is drawn where, and in which colors."""

from __future__ import annotations

import numpy as np
import pytest

from parc_motion.draw import KIND_COLORS, HeightScale, draw_terrain, fit, font, jump_spans, wrap
from parc_motion.terrains import Path, SegmentKind, Terrain

WALK, CLIMB, JUMP, DROP = (SegmentKind[name] for name in ("WALK", "CLIMB", "JUMP", "DROP"))
JUMP_COLOR = np.array(KIND_COLORS[JUMP])


def gap_terrain() -> Terrain:
    """9 x 5 cells at 0 with a ditch of 1 m at x = 1.2 and 1.6 m."""
    height = np.zeros((9, 5))
    height[3:5] = -1.0
    return Terrain(height=height, cell=0.4)


def with_path(terrain: Terrain, cells, kinds) -> tuple[Terrain, Path]:
    """The terrain and a path from cell to cell."""
    return terrain, Path(
        points=terrain.center_of(np.array(cells)), kinds=[int(kind) for kind in kinds], cost=1.0
    )


def jump() -> tuple[Terrain, Path]:
    """Along y = 0.8 m: a walk of one cell, a jump over the ditch in three parts, a walk to x = 2.8 m."""
    terrain = gap_terrain()
    points = terrain.center_of(np.array([[1, 2], [2, 2], [3, 2], [4, 2], [5, 2], [7, 2]]))
    points[2:4, 2] = 0.0  # in the air
    path = Path(points=points, kinds=[WALK, JUMP, JUMP, JUMP, WALK])
    return terrain, path


def pixels(terrain: Terrain, path: Path | None = None, side: int = 270) -> np.ndarray:
    scale = HeightScale.of([terrain.height])
    return np.asarray(draw_terrain(terrain, scale, side, path)).astype(int)


def near(picture: np.ndarray, color, tolerance: int = 40) -> np.ndarray:
    return np.abs(picture - np.array(color)).max(axis=-1) < tolerance


def test_jump_is_drawn_between_its_ends_and_nowhere_else():
    # 270 / 9 = 30 pixels a cell: take-off in cell 2 at x = 75, landing in cell 5 at x = 165, y = 75 of 150
    rows, columns = np.nonzero(near(pixels(*jump()), JUMP_COLOR))
    assert columns.min() == pytest.approx(75, abs=6) and columns.max() == pytest.approx(165, abs=6)
    assert np.abs(rows - 75).max() <= 6
    along = near(pixels(*jump())[75, 82:158], JUMP_COLOR)
    assert 2 <= np.abs(np.diff(along.astype(int))).sum() / 2 <= 6, "dashes with gaps between"


def test_climb_and_drop_have_their_own_colors():
    height = np.zeros((6, 4))
    height[2:4] = 0.5
    tile = with_path(
        Terrain(height=height),
        [[0, 1], [1, 1], [2, 1], [3, 1], [4, 1], [5, 1]],
        [WALK, CLIMB, WALK, DROP, WALK],
    )
    picture = pixels(*tile, 240)  # 40 pixels a cell; y = 1 is the third row from the top, at 100
    for kind, x in ((CLIMB, 80), (DROP, 160), (WALK, 120)):
        assert near(picture[100, x], KIND_COLORS[kind]), kind
    assert not near(picture[:90], KIND_COLORS[CLIMB]).any()


def test_axes_are_those_of_a_map():
    """x to the right and y up: the start in cell (0, 0) is at the lower left."""
    tile = with_path(Terrain(height=np.zeros((6, 4))), [[0, 0], [5, 3]], [WALK])
    picture = pixels(*tile, 240)
    assert picture.shape == (160, 240, 3)
    assert near(picture[140, 20], (255, 255, 255), 5), "start, a white disc"
    assert near(picture[20, 220], (33, 37, 44), 5), "goal, a dark disc"


def test_cell_has_the_color_of_its_height():
    height = np.arange(12.0).reshape(4, 3) / 10
    tile = Terrain(height=height)
    scale = HeightScale.of([height])
    middles = pixels(tile, side=120)[15::30, 15::30]
    np.testing.assert_allclose(middles, scale.colors(height.T[::-1].astype(np.float32)), atol=1)


def strip_width(step: float) -> float:
    """Pixels at the foot of a step that are darker than the ground."""
    tile = Terrain(height=[[step], [0.0]])
    row = pixels(tile, side=120)[30, 60:].sum(axis=-1)
    return float((row < row[30] - 30).sum())


def test_higher_steps_have_wider_edges():
    assert 0 == strip_width(0.0) < strip_width(0.2) < strip_width(1.0) < strip_width(2.0)


@pytest.mark.parametrize("shape", [(1, 1), (16, 16), (100, 100), (3, 250), (1000, 900)], ids=str)
def test_tile_of_any_grid_fits(shape):
    tile = Terrain(height=np.zeros(shape))
    picture = draw_terrain(tile, HeightScale(low=0.0, high=1.0), 270)
    assert max(picture.size) <= 800 and min(picture.size) >= 1
    if max(shape) <= 270:
        assert max(picture.size) > 180


def test_colors_get_darker_away_from_zero_on_both_sides():
    scale = HeightScale(low=-1.0, high=2.0)
    rgb = scale.colors(np.linspace(-1.0, 2.0, 31)).astype(float)
    luminance = rgb @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(luminance[:11]) > 0).all() and (np.diff(luminance[10:]) < 0).all()
    assert rgb[0, 2] > rgb[0, 0] and rgb[-1, 0] > rgb[-1, 2], "blue below, ochre above"


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (-2.0, 2.0, [-2, -1.5, -1, -0.5, 0, 0.5, 1, 1.5, 2]),
        (-0.03, 0.31, [0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3]),
        (7, 7, [7]),
    ],
)
def test_ticks_are_round(low, high, ticks):
    assert HeightScale(low=low, high=high).ticks() == pytest.approx(ticks)


def test_jump_in_several_parts_is_one():
    assert jump_spans(*jump()) == [(1, 4)]


def test_jump_over_level_ground_is_one():
    tile = with_path(Terrain(height=np.zeros((7, 3))), [[1, 1], [2, 1], [3, 1]], [JUMP, JUMP])
    assert jump_spans(*tile) == [(0, 2)]


def test_jumps_that_follow_each_other_are_two():
    height = np.zeros((7, 7))
    height[2], height[4, 2:] = -1.0, -1.0
    terrain = Terrain(height=height)
    straight = with_path(terrain, [[1, 3], [3, 3], [5, 3]], [JUMP, JUMP])  # lands in cell (3, 3)
    bent = with_path(terrain, [[1, 3], [3, 3], [5, 5]], [JUMP, JUMP])
    assert [len(jump_spans(*path)) for path in (straight, bent)] == [2, 2]


def test_wrapped_lines_fit_and_a_cut_shows():
    text = "one two threeeeeeeeeeeeeeeeeeeeeeeeeeeeee four five six seven eight nine ten"
    lines = wrap(text, 80, 13, 20)
    assert max(font(13).getlength(line) for line in lines) <= 80
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert len(wrap(text, 80, 13, 2)) == 2 and wrap(text, 80, 13, 2)[-1].endswith("...")


def test_ways_lie_under_the_path():
    terrain, path = with_path(Terrain(height=np.zeros((9, 5))), [[1, 2], [7, 2]], [WALK])
    across = np.array([[1.6, 0.0], [1.6, 1.6]])
    scale = HeightScale.of([terrain.height])
    picture = np.asarray(draw_terrain(terrain, scale, 270, path, [(across, (30, 100, 190))])).astype(int)
    # x = 1.6 m is the middle of cell 4, at 135 pixels
    assert near(picture[20:60, 134:136], (30, 100, 190)).any(axis=1).all()
    assert near(picture[75, 135], KIND_COLORS[WALK])


def test_text_that_is_too_wide_is_cut():
    assert fit("short", 100, 13) == "short"
    cut = fit("a text that is too wide", 60, 13)
    assert cut.endswith("...") and font(13).getlength(cut) <= 60
