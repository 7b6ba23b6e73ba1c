"""Terrain by itself in a file."""

import numpy as np
import pytest

from parc_motion.clips import load_terrain, save_clip, save_terrain
from parc_motion.errors import DataError, ShapeError
from parc_motion.storage import read_arrays, write_arrays
from parc_motion.terrains import Terrain
from parc_testing.builders import make_clip, make_terrain


def stored(path, **header):
    """A terrain file with another header."""
    arrays = {"height": np.zeros((2, 3)), "origin_xy": np.zeros(2)}
    fields = {"kind": "parc.terrain", "format": 1, "cell": 0.4, **header}
    write_arrays(path, arrays, {name: value for name, value in fields.items() if value is not None})
    return path


def failure(path):
    with pytest.raises(DataError) as error:
        load_terrain(path)
    return str(error.value)


@pytest.mark.parametrize("bounds", [None, np.zeros((3, 4, 2))], ids=["without bounds", "with bounds"])
def test_terrain_survives_a_round_trip(tmp_path, bounds):
    height = np.random.default_rng(0).normal(size=(3, 4))
    terrain = Terrain(height=height, origin_xy=(1.5, -2.0), cell=0.25, bounds=bounds)
    save_terrain(tmp_path / "ground.npz", terrain)
    again = load_terrain(tmp_path / "ground.npz")
    np.testing.assert_array_equal(again.height, terrain.height)
    np.testing.assert_array_equal(again.origin_xy, terrain.origin_xy)
    assert again.cell == 0.25
    assert (again.bounds is None) == (bounds is None)


def test_equal_terrains_give_equal_files(tmp_path):
    terrain = make_terrain()
    assert save_terrain(tmp_path / "a.npz", terrain) == save_terrain(tmp_path / "b.npz", terrain)


def test_ground_of_a_clip_can_be_read(tmp_path):
    clip = make_clip(3)
    save_clip(tmp_path / "clip.npz", clip)
    np.testing.assert_array_equal(load_terrain(tmp_path / "clip.npz").height, clip.terrain.height)


def test_clip_without_ground_is_refused(tmp_path):
    path = tmp_path / "clip.npz"
    save_clip(path, make_clip(3, terrain=None))
    assert failure(path) == f"{path}: the clip has no terrain. Leave the file out."


def test_other_kinds_of_file_are_refused(tmp_path):
    path = stored(tmp_path / "a.npz", kind="parc.policy")
    assert failure(path) == f"{path}: holds 'parc.policy', expected 'parc.terrain' or 'parc.clip'."


def test_newer_format_says_what_to_do(tmp_path):
    path = stored(tmp_path / "a.npz", format=2)
    assert failure(path) == f"{path}: terrain format 2; this version reads 1. Upgrade parc-core."


def test_missing_field_is_told(tmp_path):
    path = stored(tmp_path / "a.npz", cell=None)
    assert failure(path) == f"{path}: field 'cell' is missing."


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        (-1.0, "Terrain.cell is -1 m, expected 0.001 to 1000."),
        ("wide", "field 'cell' is 'wide', expected a number."),
    ],
)
def test_impossible_cell_is_told(tmp_path, cell, message):
    path = stored(tmp_path / "a.npz", cell=cell)
    assert failure(path) == f"{path}: {message}"


def test_arrays_that_do_not_fit_are_told(tmp_path):
    path = tmp_path / "a.npz"
    save_terrain(path, make_terrain())
    arrays, header = read_arrays(path)
    write_arrays(path, {**arrays, "origin_xy": np.zeros(3)}, header)
    with pytest.raises(ShapeError) as error:
        load_terrain(path)
    assert str(error.value) == f"{path}: Terrain.origin_xy has shape [3], expected [2]."


def test_heights_that_are_no_numbers_are_told_with_their_place(tmp_path):
    path = tmp_path / "a.npz"
    height = np.zeros((4, 4))
    height[1:3, 1:3] = np.nan
    write_arrays(
        path, {"height": height, "origin_xy": np.zeros(2)}, {"kind": "parc.terrain", "format": 1, "cell": 0.4}
    )
    assert failure(path) == f"{path}: Terrain.height holds nan at index [1, 1] (4 such values)."
