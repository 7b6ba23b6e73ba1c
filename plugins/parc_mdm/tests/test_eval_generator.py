"""`parc eval generator`: figures on motions whose measures are known, intervals, and what is printed."""

import json
import pathlib

import attrs
import numpy as np
import pytest
from click.testing import CliRunner

from parc_core.errors import NoPathFound
from parc_mdm.evaluate.command import generator as verb
from parc_mdm.evaluate.measure import bootstrap_mean, evaluate
from parc_mdm.evaluate.parts import Parts
from parc_mdm.evaluate.picture import draw_sheet
from parc_mdm.evaluate.table import table
from parc_motion.draw import png_bytes
from parc_motion.errors import DataError
from parc_motion.skeletons import load_skeleton
from parc_motion.terrains import Path
from parc_testing.builders import make_clip, make_terrain

SKELETON = load_skeleton()
PRETRAINED = pathlib.Path(__file__).parents[3] / "examples" / "pretrained" / "generator"


class Ground:
    """Flat ground, drawn with one random number."""

    def sample(self, rng):
        return make_terrain((30, 30), height=np.full((30, 30), 0.0 * rng.random()))


class Straight:
    """A path of 1 m along x; refuses the first terrains."""

    def __init__(self, refusals: int = 0) -> None:
        self.refusals = refusals

    def prepare(self, terrain, rng):
        return terrain

    def plan(self, terrain, rng):
        if self.refusals:
            self.refusals -= 1
            raise NoPathFound("a wall everywhere.")
        return Path(points=[[0, 0, 0], [1, 0, 0]], kinds=[0])


class Standing:
    """Candidate i stands still at the start but for its root's place, which is 0.4 i m along the path."""

    def propose(self, terrain, path, count, rng):
        shift = rng.random() * 1e-3
        return [self._clip(i, shift, terrain, path) for i in range(count)]

    def _clip(self, i, shift, terrain, path):
        clip = make_clip(30, name=f"candidate_{i}", terrain=terrain)
        root_pos = clip.root_pos + np.array([0.4 * i + shift, 0.0, 0.0])
        return attrs.evolve(clip, root_pos=root_pos, path=path)


def parts(planner=None) -> Parts:
    return Parts(
        folder=pathlib.Path("somewhere"),
        generator=Standing(),
        terrain=Ground(),
        planner=planner or Straight(),
        skeleton=SKELETON,
        settings={"generator": "standing", "terrain": "flat", "planner": "straight"},
    )


def test_figures_of_known_motions():
    document, shown = evaluate(parts(), 4, 3, 0)
    figures = document["figures"]
    # ends at 0, 0.4 and 0.8 m of 1 m: 1, 0.6 and 0.2 m away (less up to 1 mm), one within 0.5 m
    assert figures["FWD"]["mean"] == pytest.approx(0.6, abs=1e-3)
    assert figures["arrived"]["mean"] == pytest.approx(1 / 3)
    assert figures["HJF"]["mean"] == 0.0 and figures["TPL"]["mean"] == pytest.approx(0.0, abs=1e-3)
    assert len(shown) == 4 and document["terrains"] * document["motions"] == 12


def test_larger_evaluation_contains_the_smaller_one():
    small, large = evaluate(parts(), 1, 2, 7)[0], evaluate(parts(), 3, 2, 7)[0]
    assert large["rows"][0] == small["rows"][0]
    assert large["rows"][1]["FWD"] != large["rows"][0]["FWD"]


def test_terrain_without_path_is_counted_and_another_one_drawn():
    document, _ = evaluate(parts(Straight(refusals=2)), 2, 1, 0)
    assert document["terrains_without_path"] == 2 and len(document["rows"]) == 2


def test_planner_that_never_finds_a_path_ends_the_evaluation():
    with pytest.raises(NoPathFound, match="no path on 20 terrains in a row; the last one: a wall everywhere"):
        evaluate(parts(Straight(refusals=100)), 1, 1, 0)


def test_interval_of_equal_terrains_is_their_value():
    assert bootstrap_mean(np.full((5, 3), 2.0)) == (2.0, 2.0)


def test_one_terrain_has_no_interval():
    assert bootstrap_mean(np.ones((1, 8))) == (None, None)


def test_terrains_are_drawn_again_not_motions():
    # two terrains, 0 and 1: a quarter of the draws has one of them twice, which 2.5 % and 97.5 % both see
    assert bootstrap_mean(np.array([[0.0] * 50, [1.0] * 50])) == (0.0, 1.0)


def test_interval_has_the_width_of_a_mean_of_many():
    values = np.random.default_rng(0).normal(size=(400, 1))
    low, high = bootstrap_mean(values)
    # normal approximation: 2 * 1.96 / sqrt(400) deviations of the sample
    assert high - low == pytest.approx(3.92 * values.std() / 20, rel=0.1)


def test_table_names_every_figure_with_its_interval():
    lines = table(evaluate(parts(), 2, 2, 0)[0])
    assert [line.split()[0] for line in lines[1:]] == ["FWD", "TPL", "TCL", "HJF", "arrived"]


def test_picture_is_drawn_the_same_twice():
    shown = evaluate(parts(), 5, 2, 0)[1]
    first = png_bytes(draw_sheet(shown, SKELETON))
    assert first[:4] == b"\x89PNG" and png_bytes(draw_sheet(shown, SKELETON)) == first


def test_folder_without_generator_is_refused(tmp_path):
    found = CliRunner().invoke(verb, [str(tmp_path)])
    assert isinstance(found.exception, DataError)
    assert str(found.exception).startswith(f"{tmp_path}: no generator here (generator.json is missing).")


def test_trained_generator_is_evaluated_with_settings_by_name(tmp_path):
    if not (PRETRAINED / "generator.json").is_file():
        pytest.skip("the examples have no trained generator here")
    options = [
        "--terrains",
        "1",
        "--motions",
        "2",
        "--terrain",
        "{use: boxes, num_boxes: 2}",
        "--planner",
        "straight",
    ]
    options += ["--set", "generator.max_motion_length=1.0", "-o", str(tmp_path / "sheet.png"), "--json"]
    found = CliRunner().invoke(verb, [str(PRETRAINED), *options], catch_exceptions=False)
    document = json.loads(found.stdout)
    assert document["terrain"]["num_boxes"] == 2 and document["planner"]["use"] == "straight"
    assert document["generator"]["max_motion_length"] == 1.0
    assert len(document["rows"][0]["FWD"]) == 2 and (tmp_path / "sheet.png").is_file()
