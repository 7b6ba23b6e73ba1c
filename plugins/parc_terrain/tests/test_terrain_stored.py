"""Terrain out of files, and mixtures of sources."""

import numpy as np
import pytest

from parc_core.config import Use
from parc_core.errors import ConfigError, UnknownProvider
from parc_motion.clips import save_clip, save_terrain
from parc_motion.errors import DataError
from parc_motion.storage import write_bytes
from parc_motion.terrains import Terrain
from parc_terrain.boxes import BoxConfig, BoxTerrain
from parc_terrain.flat import FlatConfig
from parc_terrain.from_file import FileConfig, FileTerrain
from parc_terrain.mixture import MixtureConfig, MixtureTerrain
from parc_testing.builders import make_clip
from parc_testing.contracts.terrain_source import TerrainSourceContract

NUMBERED = np.arange(20 * 12, dtype=float).reshape(20, 12)


def numbered(path, add=0.0, **override):
    """A stored terrain in which every cell has its own height."""
    save_terrain(
        path, Terrain(**{"height": NUMBERED + add, "origin_xy": (-3.0, 2.0), "cell": 0.5, **override})
    )
    return path


def windows(path, count=40, **settings):
    rng, source = np.random.default_rng(0), FileTerrain(FileConfig(path=str(path), **settings))
    return [source.sample(rng) for _ in range(count)]


class TestFile(TerrainSourceContract):
    @pytest.fixture
    def make(self, tmp_path):
        numbered(tmp_path / "a.npz"), numbered(tmp_path / "b.npz", add=1000.0)
        return lambda: FileTerrain(FileConfig(path=str(tmp_path), dim_x=5, dim_y=4))


class TestMixture(TerrainSourceContract):
    @pytest.fixture
    def make(self):
        inner = Use("mixture", MixtureConfig(sources=(Use("flat"), Use("paths"))), 2.0)
        return lambda: MixtureTerrain(MixtureConfig(sources=(Use("boxes"), inner)))


def test_window_is_a_part_of_the_stored_terrain_at_its_place(tmp_path):
    path = numbered(tmp_path / "ground.npz")
    for window in windows(path, dim_x=5, dim_y=4):
        assert window.cell == 0.5
        # the stored terrain begins at (-3, 2)
        i, j = np.round((window.origin_xy - np.array([-3.0, 2.0])) / 0.5).astype(int)
        np.testing.assert_array_equal(window.height, NUMBERED[i : i + 5, j : j + 4])


def test_every_place_of_the_window_is_drawn(tmp_path):
    # 20 - 18 + 1 = 3 places along x, 12 - 11 + 1 = 2 along y
    places = {tuple(w.origin_xy.tolist()) for w in windows(numbered(tmp_path / "g.npz"), dim_x=18, dim_y=11)}
    assert places == {(-3.0 + 0.5 * i, 2.0 + 0.5 * j) for i in range(3) for j in range(2)}


def test_window_as_large_as_the_terrain_is_the_terrain(tmp_path):
    (window,) = windows(numbered(tmp_path / "ground.npz"), count=1, dim_x=20, dim_y=12)
    np.testing.assert_array_equal(window.height, NUMBERED)


@pytest.mark.parametrize("pattern", ["", "*.npz", "**/*.npz"], ids=["folder", "pattern", "deep pattern"])
def test_files_of_folders_and_patterns_are_drawn_alike(tmp_path, pattern):
    for k in range(3):
        numbered(tmp_path / f"{k}.npz", add=1000.0 * k)
    drawn = [int(w.height[0, 0] // 1000) for w in windows(tmp_path / pattern, count=300, dim_x=2, dim_y=2)]
    # 300 draws of 3 files: 100 each, standard deviation 8
    assert min(drawn.count(k) for k in range(3)) > 65


def test_pattern_leaves_other_files_out(tmp_path):
    numbered(tmp_path / "wanted_0.npz"), numbered(tmp_path / "other.npz", add=1000.0)
    assert max(w.height.max() for w in windows(tmp_path / "wanted_*.npz", dim_x=20, dim_y=12)) < 1000


def test_order_of_writing_does_not_matter(tmp_path):
    for folder, order in (("x", (0, 1, 2)), ("y", (2, 0, 1))):
        (tmp_path / folder).mkdir()
        for k in order:
            numbered(tmp_path / folder / f"{k}.npz", add=1000.0 * k)
    one, two = (windows(tmp_path / folder, dim_x=3, dim_y=3) for folder in ("x", "y"))
    assert all((a.height == b.height).all() for a, b in zip(one, two))


def test_ground_of_a_clip_is_a_terrain(tmp_path):
    clip = make_clip(4)
    save_clip(tmp_path / "clip.npz", clip)
    nx, ny = clip.terrain.shape
    (window,) = windows(tmp_path / "clip.npz", count=1, dim_x=nx, dim_y=ny)
    np.testing.assert_array_equal(window.height, clip.terrain.height)
    np.testing.assert_array_equal(window.origin_xy, clip.terrain.origin_xy)


def failure(path, **settings):
    with pytest.raises(DataError) as error:
        FileTerrain(FileConfig(path=str(path), **settings))
    return str(error.value)


def test_small_terrain_is_refused_with_file_and_sizes(tmp_path):
    numbered(tmp_path / "a.npz"), numbered(tmp_path / "b.npz", height=np.zeros((16, 9)))
    assert failure(tmp_path, dim_y=10) == (
        f"{tmp_path}/b.npz: its terrain has 16 x 9 cells, the window 16 x 10. "
        "Lower dim_x and dim_y or leave the file out."
    )


def test_missing_path_is_told(tmp_path):
    text = failure(tmp_path / "nowhere*")
    assert text.startswith(
        f"{tmp_path}/nowhere*: no such file or folder, and no file fits the pattern (looked from /"
    )
    assert text.endswith("). Correct `path`.")


def test_empty_folder_is_told(tmp_path):
    assert failure(tmp_path).startswith(f"{tmp_path}: a folder without .npz files (looked from /")


def test_damaged_file_is_told(tmp_path):
    write_bytes(tmp_path / "a.npz", b"PK\x03\x04 and no more")
    assert failure(tmp_path).startswith(f"{tmp_path}/a.npz: damaged")


def test_shares_of_a_mixture_are_those_of_its_weights():
    uses = [Use("flat", FlatConfig(dim_x=k), weight) for k, weight in ((1, 1.0), (2, 3.0), (3, 0.0))]
    source, rng = MixtureTerrain(MixtureConfig(sources=tuple(uses))), np.random.default_rng(0)
    drawn = [source.sample(rng).shape[0] for _ in range(400)]
    # 300 of 400 expected, standard deviation 8.7
    assert 265 < drawn.count(2) < 335
    assert drawn.count(3) == 0


def test_mixture_draws_the_source_and_hands_the_generator_on():
    config = BoxConfig(num_boxes=3)
    mixed = MixtureTerrain(MixtureConfig(sources=(Use("boxes", config),))).sample(np.random.default_rng(4))
    rng = np.random.default_rng(4)
    rng.choice(1, p=[1.0])
    np.testing.assert_array_equal(mixed.height, BoxTerrain(config).sample(rng).height)


def test_default_mixture_has_boxes_stairs_and_paths():
    names = [type(source).__name__ for source in MixtureTerrain(MixtureConfig()).sources]
    assert names == ["BoxTerrain", "StairTerrain", "PathsTerrain"]


@pytest.mark.parametrize(
    ("sources", "message"),
    [
        ((), "mixture: sources is empty, expected at least one terrain source."),
        (
            (Use("boxes", None, 0.0), Use("flat", None, 0.0)),
            "mixture: all weights are 0 ('boxes', 'flat'), expected one above 0.",
        ),
        ((Use("flat"), Use("boxes", None, -1.0)), "mixture: the weight of 'boxes' is -1.0, expected >= 0."),
        ((Use("boxes", None, float("nan")),), "mixture: the weight of 'boxes' is nan, expected >= 0."),
    ],
    ids=["empty", "zero", "negative", "nan"],
)
def test_mixture_of_nothing_is_refused(sources, message):
    with pytest.raises(ConfigError) as error:
        MixtureConfig(sources=sources)
    assert str(error.value) == message


def test_unknown_source_of_a_mixture_is_told():
    with pytest.raises(UnknownProvider, match="no terrain_source is called 'boxen'\n  closest     boxes"):
        MixtureTerrain(MixtureConfig(sources=(Use("boxen"),)))
