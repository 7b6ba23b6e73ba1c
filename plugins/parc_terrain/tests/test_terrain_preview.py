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
from parc_motion.draw import WARNING, HeightScale, png_bytes
from parc_motion.terrains import Path, SegmentKind, Terrain
from parc_terrain.preview.sample import Tile, sample_tiles, tile_counts
from parc_terrain.preview.settings import load_ground
from parc_terrain.preview.sheet import draw_sheet

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


def near(picture: np.ndarray, color, tolerance: int = 40) -> np.ndarray:
    return np.abs(picture - np.array(color)).max(axis=-1) < tolerance


# --- what is counted


def test_steps_and_jumps_of_a_path_are_counted():
    terrain = Terrain(height=np.zeros((9, 5)))
    cells = [[1, 2], [2, 2], [3, 2], [5, 2], [7, 2]]
    kinds = [SegmentKind[name] for name in ("CLIMB", "DROP", "JUMP", "WALK")]
    path = Path(points=terrain.center_of(np.array(cells)), kinds=[int(kind) for kind in kinds], cost=1.0)
    counts = [tile_counts(Tile(number=0, source="x", terrain=terrain, path=p)) for p in (path, None)]
    assert counts == [{"climbs": 1, "drops": 1, "jumps": 1}, {}]


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
