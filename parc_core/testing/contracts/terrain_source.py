"""What every `terrain_source` promises."""

from __future__ import annotations

import numpy as np

from parc_core.data.terrain import Terrain
from parc_core.interfaces.terrain_source import TerrainSource

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
            terrain = source.sample(np.random.default_rng(seed))
            assert isinstance(terrain, Terrain)
            assert np.isfinite(terrain.height).all()

    def test_equal_generators_give_equal_terrains(self, make) -> None:
        first = make().sample(np.random.default_rng(3))
        again = make().sample(np.random.default_rng(3))
        np.testing.assert_array_equal(first.height, again.height)
        np.testing.assert_array_equal(first.origin_xy, again.origin_xy)
        assert first.cell == again.cell

    def test_sample_keeps_no_memory(self, make) -> None:
        source = make()
        first = source.sample(np.random.default_rng(3))
        source.sample(np.random.default_rng(4))
        np.testing.assert_array_equal(first.height, source.sample(np.random.default_rng(3)).height)

    def test_global_random_state_is_left_alone(self, make) -> None:
        np.random.seed(0)
        before = np.random.get_state()[1].copy()
        make().sample(np.random.default_rng(3))
        np.testing.assert_array_equal(before, np.random.get_state()[1])
