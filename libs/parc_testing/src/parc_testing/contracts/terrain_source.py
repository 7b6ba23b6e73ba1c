"""What every `terrain_source` promises."""

from __future__ import annotations

import random
from typing import Any

import numpy as np

from parc_core.interfaces import TerrainSource
from parc_motion.terrains import Terrain

__all__ = ["TerrainSourceContract"]


class TerrainSourceContract:
    """Subclass it in a test module and give a fixture `make` that returns a fresh terrain source.

    class TestSpiral(TerrainSourceContract):
        @pytest.fixture
        def make(self):
            return lambda: SpiralTerrain(SpiralConfig())
    """

    def test_sample_is_a_terrain(self, make) -> None:
        source = make()
        assert isinstance(source, TerrainSource)
        for seed in range(20):
            assert isinstance(source.sample(np.random.default_rng(seed)), Terrain)

    def test_heights_are_those_of_a_landscape(self, make) -> None:
        source = make()
        for seed in range(20):
            terrain = source.sample(np.random.default_rng(seed))
            assert np.isfinite(terrain.height).all()
            assert np.abs(terrain.height).max() <= 1e4  # m; float32 resolves a millimeter there

    def test_equal_generators_give_equal_terrains(self, make) -> None:
        _assert_same(make().sample(np.random.default_rng(3)), make().sample(np.random.default_rng(3)))

    def test_sample_keeps_no_memory(self, make) -> None:
        source = make()
        first = source.sample(np.random.default_rng(3))
        for seed in range(4, 10):
            source.sample(np.random.default_rng(seed))
        _assert_same(first, source.sample(np.random.default_rng(3)))

    def test_terrains_handed_out_do_not_change_later(self, make) -> None:
        source = make()
        first = source.sample(np.random.default_rng(3))
        height = first.height.copy()
        for seed in range(4, 10):
            source.sample(np.random.default_rng(seed))
        np.testing.assert_array_equal(first.height, height)

    def test_one_generator_gives_a_sequence(self, make) -> None:
        """What comes second depends on what the first took from the generator, and on nothing else."""
        sequences = []
        for _ in range(2):
            source, rng = make(), np.random.default_rng(5)
            sequences.append([source.sample(rng) for _ in range(3)])
        for first, again in zip(*sequences):
            _assert_same(first, again)

    def test_global_random_state_is_left_alone(self, make) -> None:
        np.random.seed(0)
        before, plain = _numpy_state(), random.getstate()
        make().sample(np.random.default_rng(3))
        np.testing.assert_array_equal(before, _numpy_state())
        assert random.getstate() == plain


def _assert_same(first: Terrain, again: Terrain) -> None:
    np.testing.assert_array_equal(first.height, again.height)
    np.testing.assert_array_equal(first.origin_xy, again.origin_xy)
    assert first.cell == again.cell


def _numpy_state() -> np.ndarray:
    """NumPy's global random state."""
    state: Any = np.random.get_state()
    return state[1].copy()
