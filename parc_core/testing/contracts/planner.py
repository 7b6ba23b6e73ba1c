"""What every `planner` promises."""

from __future__ import annotations

import numpy as np
import pytest

from parc_core.data.path import Path
from parc_core.data.terrain import Terrain
from parc_core.errors import NoPathFound
from parc_core.interfaces.planner import Planner

__all__ = ["PlannerContract"]


class PlannerContract:
    """Subclass it in a test module and give a fixture `make` that returns a fresh planner.

    class TestStraight(PlannerContract):
        @pytest.fixture
        def make(self):
            return lambda: StraightPlanner(StraightConfig())
    """

    @pytest.fixture
    def level(self) -> Terrain:
        """Level ground of 8 x 8 m that every planner finds a way over."""
        return Terrain(height=np.full((20, 20), 0.5), origin_xy=(-3.0, 2.0), cell=0.4)

    @pytest.fixture
    def bumpy(self) -> Terrain:
        """Low boxes, passable for a walker."""
        height = np.zeros((20, 20))
        height[4:9, 3:12], height[11:17, 8:15] = 0.3, -0.3
        return Terrain(height=height, origin_xy=(-3.0, 2.0), cell=0.4)

    def test_level_ground_has_a_path(self, make, level) -> None:
        planner = make()
        assert isinstance(planner, Planner)
        for seed in range(10):
            rng = np.random.default_rng(seed)
            assert isinstance(planner.plan(planner.prepare(level, rng), rng), Path)

    def test_prepare_keeps_the_grid(self, make, bumpy) -> None:
        prepared = make().prepare(bumpy, np.random.default_rng(0))
        assert prepared.shape == bumpy.shape
        assert prepared.cell == bumpy.cell
        np.testing.assert_array_equal(prepared.origin_xy, bumpy.origin_xy)

    def test_path_lies_on_the_terrain(self, make, bumpy) -> None:
        planner = make()
        for seed in range(10):
            rng = np.random.default_rng(seed)
            terrain = planner.prepare(bumpy, rng)
            points = planner.plan(terrain, rng).points
            half = terrain.cell / 2 + 1e-4
            assert (points[:, :2] >= terrain.origin_xy - half).all()
            assert (points[:, :2] <= terrain.max_xy + half).all()
            ends = points[[0, -1]]
            np.testing.assert_allclose(ends[:, 2], terrain.height_at(ends[:, :2]), atol=1e-4)

    def test_points_are_about_a_cell_apart(self, make, bumpy) -> None:
        planner, rng = make(), np.random.default_rng(1)
        terrain = planner.prepare(bumpy, rng)
        steps = np.linalg.norm(np.diff(planner.plan(terrain, rng).points[:, :2], axis=0), axis=1)
        assert steps.max() <= 1.5 * terrain.cell  # a diagonal neighbour is 1.41 cells away

    def test_equal_generators_give_equal_paths(self, make, bumpy) -> None:
        paths = []
        for _ in range(2):
            planner, rng = make(), np.random.default_rng(5)
            paths.append(planner.plan(planner.prepare(bumpy, rng), rng))
        np.testing.assert_array_equal(paths[0].points, paths[1].points)
        np.testing.assert_array_equal(paths[0].kinds, paths[1].kinds)
        assert paths[0].cost == paths[1].cost

    def test_no_path_is_told_with_a_reason(self, make) -> None:
        """On a grid of needles 50 m high a planner gives a path or says why not; nothing else."""
        rng = np.random.default_rng(0)
        needles = Terrain(height=rng.uniform(0.0, 50.0, (20, 20)))
        planner = make()
        try:
            path = planner.plan(needles, rng)
        except NoPathFound as reason:
            assert len(str(reason)) > 20
        else:
            assert isinstance(path, Path)
