"""A plugin that somebody else wrote, installed as its README says."""

import json
import pathlib

import pytest

EXAMPLE = pathlib.Path(__file__).parents[2] / "examples" / "parc-spiral-terrain"
pytestmark = pytest.mark.xdist_group("wheels")


def test_plugin_is_listed_under_its_name(stranger, tmp_path):
    where = stranger.run("python", "-c", "import parc_spiral_terrain as s; print(s.__file__)", cwd=tmp_path)
    assert str(stranger.folder) in where, "installed, not found in the checkout"
    listed = json.loads(stranger.run("parc", "plugins", "--kind", "terrain_source", "--json", cwd=tmp_path))
    assert listed["problems"] == []
    assert ("spiral", "parc-spiral-terrain") in {(row["name"], row["dist"]) for row in listed["providers"]}


def test_iteration_file_uses_it(stranger, tmp_path):
    plan = json.loads(
        stranger.run("parc", "run", EXAMPLE / "iteration.yaml", "--dry-run", "--json", cwd=tmp_path)
    )
    assert [job["stage"] for job in plan["jobs"]][:3] == ["inputs", "train_gen", "kin_gen"]


def test_preview_draws_it(stranger, tmp_path):
    command = ["parc", "terrain", "preview", EXAMPLE / "iteration.yaml", "--count", "4", "--json"]
    sheet = json.loads(stranger.run(*command, "-o", tmp_path / "sheet.png", cwd=tmp_path))
    assert [row["source"] for row in sheet["tiles"]] == ["spiral"] * 4
    assert all(row["highest_m"] - row["lowest_m"] > 1.0 for row in sheet["tiles"]), "no level ground"
    assert sheet["with_path"] > 0
    assert (tmp_path / "sheet.png").read_bytes().startswith(b"\x89PNG")


def test_its_own_tests_pass(stranger):
    tests = stranger.sources[EXAMPLE.name] / "tests"
    shown = stranger.run("python", "-m", "pytest", "-p", "no:cacheprovider", "-v", tests, cwd=tests)
    assert "TestSpiral::test_sample_is_a_terrain[plain] PASSED" in shown, "the contract suite"
