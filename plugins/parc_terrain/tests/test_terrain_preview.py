"""`parc terrain preview`."""

import io
import json

import numpy as np
import pytest
from PIL import Image

from parc_core.cli import main as cli_main
from parc_core.config import IterationConfig, load_settings
from parc_core.plugins import Registry
from parc_core.stages import kin_gen
from parc_core.stages.context import RunContext
from parc_motion.terrains import Path, SegmentKind, Terrain
from parc_terrain.preview.colors import KIND_COLORS, WARNING, HeightScale
from parc_terrain.preview.sample import Tile, jump_spans, sample_tiles, tile_counts
from parc_terrain.preview.settings import load_ground
from parc_terrain.preview.sheet import draw_sheet, png_bytes
from parc_terrain.preview.text import font, wrap
from parc_terrain.preview.tile import draw_tile

WALK, CLIMB, JUMP, DROP = (SegmentKind[name] for name in ("WALK", "CLIMB", "JUMP", "DROP"))
JUMP_COLOR = np.array(KIND_COLORS[JUMP])
ITERATION = """\
parc: 1
name: seen
seed: 5
dataset: [{use: procedural}]
kin_gen:
  terrain: [{use: boxes, num_boxes: 3}, {use: stairs, weight: 2}]
  planner: {use: astar, preset: moderate}
"""


@pytest.fixture
def parc(capsys):
    """Runs `parc terrain preview` in this process: (exit code, stdout, stderr)."""

    def parc(*arguments):
        with pytest.raises(SystemExit) as end:
            cli_main.main(["terrain", "preview", *map(str, arguments)])
        shown = capsys.readouterr()
        return end.value.code, shown.out, shown.err

    return parc


@pytest.fixture(scope="module")
def registry():
    return Registry.discover()


def gap_terrain() -> Terrain:
    """9 x 5 cells at 0 with a ditch of 1 m at x = 1.2 and 1.6 m."""
    height = np.zeros((9, 5))
    height[3:5] = -1.0
    return Terrain(height=height, cell=0.4)


def make_tile(terrain: Terrain, cells, kinds, **fields) -> Tile:
    path = Path(points=terrain.center_of(np.array(cells)), kinds=[int(kind) for kind in kinds], cost=1.0)
    return Tile(**{"number": 0, "source": "gap", "terrain": terrain, "path": path, **fields})


def jump_tile() -> Tile:
    """Along y = 0.8 m: a walk of one cell, a jump over the ditch in three parts, a walk to x = 2.8 m."""
    terrain = gap_terrain()
    points = terrain.center_of(np.array([[1, 2], [2, 2], [3, 2], [4, 2], [5, 2], [7, 2]]))
    points[2:4, 2] = 0.0  # in the air
    path = Path(points=points, kinds=[WALK, JUMP, JUMP, JUMP, WALK])
    return Tile(number=0, source="gap", terrain=terrain, path=path)


def pixels(tile: Tile, side: int = 270) -> np.ndarray:
    scale = HeightScale.of([tile.terrain.height])
    return np.asarray(draw_tile(tile, scale, side)).astype(int)


def near(picture: np.ndarray, color, tolerance: int = 40) -> np.ndarray:
    return np.abs(picture - np.array(color)).max(axis=-1) < tolerance


# --- what a tile shows


def test_jump_is_drawn_between_its_ends_and_nowhere_else():
    # 270 / 9 = 30 pixels a cell: take-off in cell 2 at x = 75, landing in cell 5 at x = 165, y = 75 of 150
    rows, columns = np.nonzero(near(pixels(jump_tile()), JUMP_COLOR))
    assert columns.min() == pytest.approx(75, abs=6) and columns.max() == pytest.approx(165, abs=6)
    assert np.abs(rows - 75).max() <= 6
    along = near(pixels(jump_tile())[75, 82:158], JUMP_COLOR)
    assert 2 <= np.abs(np.diff(along.astype(int))).sum() / 2 <= 6, "dashes with gaps between"


def test_climb_and_drop_have_their_own_colors():
    height = np.zeros((6, 4))
    height[2:4] = 0.5
    tile = make_tile(
        Terrain(height=height),
        [[0, 1], [1, 1], [2, 1], [3, 1], [4, 1], [5, 1]],
        [WALK, CLIMB, WALK, DROP, WALK],
    )
    picture = pixels(tile, 240)  # 40 pixels a cell; y = 1 is the third row from the top, at 100
    for kind, x in ((CLIMB, 80), (DROP, 160), (WALK, 120)):
        assert near(picture[100, x], KIND_COLORS[kind]), kind
    assert not near(picture[:90], KIND_COLORS[CLIMB]).any()


def test_axes_are_those_of_a_map():
    """x to the right and y up: the start in cell (0, 0) is at the lower left."""
    tile = make_tile(Terrain(height=np.zeros((6, 4))), [[0, 0], [5, 3]], [WALK])
    picture = pixels(tile, 240)
    assert picture.shape == (160, 240, 3)
    assert near(picture[140, 20], (255, 255, 255), 5), "start, a white disc"
    assert near(picture[20, 220], (33, 37, 44), 5), "goal, a dark disc"


def test_cell_has_the_color_of_its_height():
    height = np.arange(12.0).reshape(4, 3) / 10
    tile = Tile(number=0, source="x", terrain=Terrain(height=height), path=None)
    scale = HeightScale.of([height])
    middles = pixels(tile, 120)[15::30, 15::30]
    np.testing.assert_allclose(middles, scale.colors(height.T[::-1].astype(np.float32)), atol=1)


def strip_width(step: float) -> float:
    """Pixels at the foot of a step that are darker than the ground."""
    tile = Tile(number=0, source="x", terrain=Terrain(height=[[step], [0.0]]), path=None)
    row = pixels(tile, 120)[30, 60:].sum(axis=-1)
    return float((row < row[30] - 30).sum())


def test_higher_steps_have_wider_edges():
    assert 0 == strip_width(0.0) < strip_width(0.2) < strip_width(1.0) < strip_width(2.0)


@pytest.mark.parametrize("shape", [(1, 1), (16, 16), (100, 100), (3, 250), (1000, 900)], ids=str)
def test_tile_of_any_grid_fits(shape):
    tile = Tile(number=0, source="x", terrain=Terrain(height=np.zeros(shape)), path=None)
    picture = draw_tile(tile, HeightScale(low=0.0, high=1.0), 270)
    assert max(picture.size) <= 800 and min(picture.size) >= 1
    if max(shape) <= 270:
        assert max(picture.size) > 180


# --- the scale


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


# --- jumps


def test_jump_in_several_parts_is_one():
    tile = jump_tile()
    assert jump_spans(tile.terrain, tile.path) == [(1, 4)]
    assert tile_counts(tile) == {"climbs": 0, "drops": 0, "jumps": 1}


def test_jump_over_level_ground_is_one():
    tile = make_tile(Terrain(height=np.zeros((7, 3))), [[1, 1], [2, 1], [3, 1]], [JUMP, JUMP])
    assert jump_spans(tile.terrain, tile.path) == [(0, 2)]


def test_jumps_that_follow_each_other_are_two():
    height = np.zeros((7, 7))
    height[2], height[4, 2:] = -1.0, -1.0
    terrain = Terrain(height=height)
    straight = make_tile(terrain, [[1, 3], [3, 3], [5, 3]], [JUMP, JUMP])  # lands in cell (3, 3)
    bent = make_tile(terrain, [[1, 3], [3, 3], [5, 5]], [JUMP, JUMP])
    assert [tile_counts(tile)["jumps"] for tile in (straight, bent)] == [2, 2]


# --- what is sampled


def test_terrains_are_those_of_a_run(registry, tmp_path):
    """The oracle is stage 2 itself, with a generator that only looks."""
    file = tmp_path / "seen.yaml"
    file.write_text(ITERATION)
    seen = []

    class Looks:
        def propose(self, terrain, path, count, rng):
            seen.append((terrain, path))
            return []

    class Refuses:
        def select(self, candidates, terrain, path):
            return []

    config, _ = load_settings(ITERATION + "  max_tries_per_motion: 1\n", "x", IterationConfig, registry)
    maker = object.__new__(kin_gen._Maker)
    maker.settings, maker.generator, maker.selector = config.kin_gen, Looks(), Refuses()
    maker.sources = [registry.create("terrain_source", use) for use in config.kin_gen.terrain]
    maker.share, maker.planner = np.array([1, 2]) / 3, registry.create("planner", config.kin_gen.planner)
    maker.seeds = RunContext.seeds(
        type("Run", (), {"config": config, "iteration": 1, "stages": None})(), kin_gen.STAGE
    )
    for motion in range(8):
        maker.make(motion, tmp_path / "raw")
    with_path = [tile for tile in sample_tiles(load_ground(registry, file), registry, 8) if tile.path]
    assert len(with_path) == len(seen) > 3
    for tile, (terrain, path) in zip(with_path, seen):
        np.testing.assert_array_equal(tile.terrain.height, terrain.height)
        np.testing.assert_array_equal(tile.path.points, path.points)


def test_file_options_and_overrides_lie_over_each_other(registry, tmp_path):
    file = tmp_path / "seen.yaml"
    file.write_text(ITERATION)
    plain = load_ground(registry, file)
    assert [use.name for use in plain.terrain] == ["boxes", "stairs"]
    assert (plain.seed, plain.planner.config.max_z_diff) == (5, 0.5)
    changed = load_ground(
        registry, file, ["{use: boxes, num_boxes: 9}"], "astar", ["kin_gen.terrain.min_height=-1.5"], seed=6
    )
    (boxes,) = changed.terrain
    assert (boxes.config.num_boxes, boxes.config.min_height) == (9, -1.5)
    assert (changed.seed, changed.planner.config.max_z_diff) == (6, 2.1)


def test_settings_can_be_changed_without_a_file(registry):
    ground = load_ground(registry, overrides=["kin_gen.terrain.num_boxes=20", "kin_gen.planner.tries=3"])
    assert (ground.terrain[0].config.num_boxes, ground.planner.config.tries) == (20, 3)
    several = load_ground(registry, sources=["boxes", "[{use: stairs, weight: 3}, flat]"])
    assert [(use.name, use.weight) for use in several.terrain] == [("boxes", 1), ("stairs", 3), ("flat", 1)]


# --- the sheet


def test_sheet_shows_every_terrain(registry):
    ground = load_ground(registry)
    tiles = sample_tiles(ground, registry, 12)
    sheet = draw_sheet(ground, tiles)
    picture = np.asarray(sheet)
    # four columns of 16 cells x 17 pixels with three gaps of 22 and margins of 28
    assert picture.shape[1] == 4 * 272 + 3 * 22 + 2 * 28
    assert len(sheet.getcolors(1 << 20)) > 500
    scale = HeightScale.of(tile.terrain.height for tile in tiles)
    for tile in tiles:
        top = scale.colors(tile.terrain.height.max())
        assert (picture == top).all(axis=-1).sum() > 100, tile.number


def test_equal_settings_give_equal_bytes_and_another_seed_others(registry):
    def made(seed: int) -> bytes:
        ground = load_ground(registry, seed=seed)
        return png_bytes(draw_sheet(ground, sample_tiles(ground, registry, 2)))

    assert made(0) == made(0) != made(1)
    assert Image.open(io.BytesIO(made(0))).format == "PNG"


def test_terrain_without_a_path_says_why(registry):
    ground = load_ground(registry)
    reason = "astar: no way. " * 3
    small = Tile(number=0, source="x", terrain=Terrain(height=np.zeros((50, 1))), path=None, reason=reason)
    large = Tile(number=0, source="x", terrain=Terrain(height=np.zeros((50, 50))), path=None, reason=reason)
    for tile in (small, large):
        picture = np.asarray(draw_sheet(ground, [tile])).astype(int)
        assert near(picture, WARNING, 10).sum() > 300, "the line above the reason"


def test_wrapped_lines_fit_and_a_cut_shows():
    text = "one two threeeeeeeeeeeeeeeeeeeeeeeeeeeeee four five six seven eight nine ten"
    lines = wrap(text, 80, 13, 20)
    assert max(font(13).getlength(line) for line in lines) <= 80
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert len(wrap(text, 80, 13, 2)) == 2 and wrap(text, 80, 13, 2)[-1].endswith("...")


# --- the command


def test_command_writes_the_picture_and_says_how_many(parc, tmp_path):
    code, out, err = parc("--count", 3, "-o", tmp_path / "sheet.png")
    assert (code, out, err) == (0, f"{tmp_path / 'sheet.png'}: 3 of 3 terrains with a path\n", "")
    assert Image.open(tmp_path / "sheet.png").mode == "RGB"


def test_json_has_a_row_for_every_terrain(parc, tmp_path):
    code, out, _ = parc("--source", "stairs", "--count", 2, "-o", tmp_path / "a.png", "--json")
    document = json.loads(out)
    assert code == 0
    assert (document["count"], document["with_path"], document["seed"]) == (2, 2, 0)
    assert document["terrain"][0]["num_stairs"] == 4 and document["planner"]["use"] == "astar"
    assert [(row["number"], row["source"], row["ok"]) for row in document["tiles"]] == [
        (0, "stairs", True),
        (1, "stairs", True),
    ]
    row = document["tiles"][0]
    assert row["length_m"] > 5 and row["cost"] > 0 and row["reason"] is None
    assert row["terrain_ms"] > 0 and row["plan_ms"] > 0
    assert {"climbs", "drops", "jumps"} <= set(row)


def test_no_path_anywhere_is_an_answer_and_no_error(parc, tmp_path):
    code, out, _ = parc(
        "--source", "{use: flat, dim_x: 4, dim_y: 4}", "--count", 2, "-o", tmp_path / "a.png", "--json"
    )
    document = json.loads(out)
    assert (code, document["with_path"]) == (0, 0)
    assert document["tiles"][0]["reason"].startswith("astar: no two level squares of 4 cells")
    assert document["tiles"][0]["length_m"] is None and document["tiles"][0]["jumps"] is None


def test_unknown_source_names_the_closest(parc, tmp_path):
    code, _, err = parc("--source", "boxs", "-o", tmp_path / "a.png")
    assert code == 2
    assert err.startswith("--source boxs: kin_gen.terrain.0: no terrain_source is called 'boxs'")
    assert "closest     boxes" in err and not (tmp_path / "a.png").exists()


def test_everything_wrong_is_reported_at_once(parc, tmp_path):
    code, _, err = parc(
        "--source", "{use: boxes, num_boxs: 3}", "--planner", "nowhere", "-o", tmp_path / "a.png"
    )
    assert code == 2
    assert "--planner nowhere: kin_gen.planner: no planner is called 'nowhere'" in err
    assert "kin_gen.terrain.0.num_boxs: unknown key 'num_boxs', closest is 'num_boxes'" in err


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["--count", "0"], 2, "0 is not in the range 1<=x<=400"),
        (["-o", "sheet.jpg"], 2, "--output sheet.jpg: its suffix is '.jpg', expected .png."),
        (["--source", "{use: boxes"], 2, "--source {use: boxes: not YAML"),
        (["--source", "[]"], 2, "the list is empty, expected at least one terrain source"),
        (["--set", "kin_gen.candidates=3"], 2, "unknown key 'candidates', known are terrain, planner"),
        (["nowhere.yaml"], 2, "nowhere.yaml: cannot read: No such file or directory"),
    ],
    ids=["count", "suffix", "yaml", "no source", "no such key", "no file"],
)
def test_mistakes_are_named(parc, tmp_path, arguments, code, text):
    given = arguments if "-o" in arguments else [*arguments, "-o", tmp_path / "a.png"]
    got, _, err = parc(*given)
    assert (got, text in err) == (code, True), err


def test_file_that_cannot_be_written_is_exit_code_73(parc, tmp_path):
    (tmp_path / "file").write_text("")
    code, _, err = parc("--count", 1, "-o", tmp_path / "file" / "a.png")
    assert code == 73 and "cannot write" in err
