"""Settings: everything inside the ranges works, everything outside is refused by a sentence that names the range."""

import attrs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as effort
from hypothesis import strategies as st

from parc_core.config import Use
from parc_core.errors import ConfigError
from parc_motion.clips import save_terrain
from parc_motion.errors import DataError
from parc_motion.terrains import Terrain
from parc_terrain.astar import AStarConfig
from parc_terrain.boxes import BoxConfig, BoxTerrain
from parc_terrain.flat import FlatConfig, FlatTerrain
from parc_terrain.from_file import FileConfig, FileTerrain
from parc_terrain.mixture import MixtureConfig, MixtureTerrain
from parc_terrain.paths import PathsConfig, PathsTerrain
from parc_terrain.spline import SplineConfig
from parc_terrain.stairs import StairConfig, StairTerrain
from parc_terrain.straight import StraightConfig

SOURCES = [
    (BoxTerrain, BoxConfig),
    (StairTerrain, StairConfig),
    (PathsTerrain, PathsConfig),
    (FlatTerrain, FlatConfig),
]
CONFIGS = [config for _, config in SOURCES] + [FileConfig, AStarConfig, StraightConfig, SplineConfig]
# Sizes and counts are drawn small so that many examples are quick; the test of the extremes has them in full.
SMALL = {"dim_x": 40, "dim_y": 40, "num_boxes": 60, "num_stairs": 8, "num_paths": 8}
REQUIRED = {FileConfig: {"path": "ground.npz"}}


def numbers(config):
    """Settings that are numbers: name -> (type, lower bound, upper bound, whether the lower bound is left out)."""
    found = {}
    for field in attrs.fields(config):
        plain = str(field.type).split(" | ")[0]
        if plain in ("int", "float"):
            low = field.metadata["ge"] if field.metadata["ge"] is not None else field.metadata["gt"]
            found[field.name] = plain, low, field.metadata["le"], field.metadata["gt"] is not None
    return found


def in_order(values):
    """The values with every pair of a lowest and a highest the right way round."""
    for low in [name for name in values if "min" in name.split("_")]:
        high = low.replace("min", "max")
        values[low], values[high] = sorted([values[low], values[high]])
    return values


@st.composite
def inside(draw, config):
    values = {}
    for name, (kind, low, high, open_) in numbers(config).items():
        high = SMALL.get(name, high)
        values[name] = draw(
            st.integers(low, high) if kind == "int" else st.floats(low, high, exclude_min=open_, width=64)
        )
    return in_order(values)


@pytest.mark.parametrize(("source", "config"), SOURCES, ids=lambda cls: cls.__name__)
def test_settings_inside_the_ranges_give_a_terrain_of_the_asked_size(source, config):
    @effort(max_examples=60, deadline=None, derandomize=True, database=None)
    @given(values=inside(config), seed=st.integers(0, 2**32))
    def check(values, seed):
        terrain = source(config(**values)).sample(np.random.default_rng(seed))
        assert terrain.shape == (values["dim_x"], values["dim_y"])
        assert terrain.cell == values["cell"]
        assert np.isfinite(terrain.height).all()

    check()


@pytest.mark.parametrize(
    ("source", "config", "values"),
    [
        (BoxTerrain, BoxConfig, {"num_boxes": 2000, "max_angle": 6.28}),
        (StairTerrain, StairConfig, {"num_stairs": 5}),
        (PathsTerrain, PathsConfig, {"num_paths": 1000, "maxpool_size": 100}),
        (FlatTerrain, FlatConfig, {"height": -100.0}),
    ],
    ids=["boxes", "stairs", "paths", "flat"],
)
def test_largest_terrains_work(source, config, values):
    terrain = source(config(dim_x=1000, dim_y=1000, **values)).sample(np.random.default_rng(0))
    assert terrain.shape == (1000, 1000)


@effort(max_examples=40, deadline=None, derandomize=True, database=None)
@given(
    stored=st.tuples(st.integers(1, 12), st.integers(1, 12)),
    window=st.tuples(st.integers(1, 12), st.integers(1, 12)),
    seed=st.integers(0, 2**32),
)
def test_windows_of_files_have_the_asked_size_or_are_refused(tmp_path_factory, stored, window, seed):
    path = tmp_path_factory.mktemp("stored") / "ground.npz"
    save_terrain(path, Terrain(height=np.random.default_rng(seed).normal(size=stored), cell=0.3))
    config = FileConfig(path=str(path), dim_x=window[0], dim_y=window[1])
    if window[0] > stored[0] or window[1] > stored[1]:
        with pytest.raises(DataError, match=f"has {stored[0]} x {stored[1]} cells, the window {window[0]} x"):
            FileTerrain(config)
        return
    terrain = FileTerrain(config).sample(np.random.default_rng(seed))
    assert terrain.shape == window
    assert np.isfinite(terrain.height).all()


@effort(max_examples=20, deadline=None, derandomize=True, database=None)
@given(weights=st.lists(st.floats(0, 1e6), min_size=1, max_size=4), seed=st.integers(0, 2**32))
def test_mixtures_of_any_weights_work_unless_all_are_zero(weights, seed):
    uses = tuple(Use("flat", FlatConfig(dim_x=3 + k), weight) for k, weight in enumerate(weights))
    if sum(weights) == 0:
        with pytest.raises(ConfigError, match="all weights are 0"):
            MixtureConfig(sources=uses)
        return
    shape = MixtureTerrain(MixtureConfig(sources=uses)).sample(np.random.default_rng(seed)).shape
    assert weights[shape[0] - 3] > 0


def beyond():
    for config in CONFIGS:
        for name, (kind, low, high, open_) in numbers(config).items():
            step = 1 if kind == "int" else 1e-3
            yield pytest.param(config, name, low if open_ else low - step, id=f"{config.__name__}-{name}-low")
            yield pytest.param(config, name, high + step, id=f"{config.__name__}-{name}-high")
            if kind == "float":
                for value in (float("nan"), float("inf"), float("-inf")):
                    yield pytest.param(config, name, value, id=f"{config.__name__}-{name}-{value}")


@pytest.mark.parametrize(("config", "name", "value"), list(beyond()))
def test_settings_outside_the_ranges_are_refused_by_their_range(config, name, value):
    _, low, high, open_ = numbers(config)[name]
    with pytest.raises(ValueError) as error:
        config(**{**REQUIRED.get(config, {}), name: value})
    expected = f"{name}: {value!r} is out of range, expected {'>' if open_ else '>='} {low:g} and <= {high:g}"
    assert str(error.value).startswith(expected)
