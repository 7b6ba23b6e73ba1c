"""What every `planner` promises."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

from parc_core.errors import NoPathFound
from parc_core.interfaces import Planner
from parc_motion.terrains import Path, SegmentKind, Terrain

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
        for terrain, path in _plans(make(), bumpy):
            half = terrain.cell / 2 + 1e-4
            assert (path.points[:, :2] >= terrain.origin_xy - half).all()
            assert (path.points[:, :2] <= terrain.max_xy + half).all()

    def test_path_keeps_to_the_ground_but_for_jumps(self, make, bumpy) -> None:
        """Start, goal and every point that is not in the middle of a jump stand on their cells."""
        for terrain, path in _plans(make(), bumpy):
            jump = path.kinds == SegmentKind.JUMP
            flying = np.zeros(len(path.points), dtype=bool)
            flying[1:-1] = jump[:-1] & jump[1:]
            ground = path.points[~flying]
            np.testing.assert_allclose(ground[:, 2], terrain.height_at(ground[:, :2]), atol=1e-4)

    def test_kinds_agree_with_the_ground(self, make, bumpy) -> None:
        """Climbs lead up, drops down, and nothing counts as walking that rises or falls more than these."""
        for _, path in _plans(make(), bumpy):
            rise = np.diff(path.points[:, 2])
            walk, climb, drop = (
                rise[path.kinds == kind] for kind in (SegmentKind.WALK, SegmentKind.CLIMB, SegmentKind.DROP)
            )
            assert (climb > 0).all() and (drop < 0).all()
            assert walk.max(initial=0.0) <= climb.min(initial=np.inf) + 1e-4
            assert walk.min(initial=0.0) >= drop.max(initial=-np.inf) - 1e-4

    def test_path_leads_somewhere(self, make, bumpy) -> None:
        for terrain, path in _plans(make(), bumpy):
            assert path.length > terrain.cell / 2
            assert np.isfinite(path.cost) and path.cost >= 0

    def test_points_are_about_a_cell_apart(self, make, bumpy) -> None:
        for terrain, path in _plans(make(), bumpy):
            steps = np.linalg.norm(np.diff(path.points[:, :2], axis=0), axis=1)
            assert steps.max() <= 1.5 * terrain.cell  # a diagonal neighbor is 1.41 cells away

    def test_equal_generators_give_equal_paths(self, make, bumpy) -> None:
        _assert_same(_one(make(), bumpy, 5), _one(make(), bumpy, 5))

    def test_planner_keeps_no_memory(self, make, bumpy, level) -> None:
        planner = make()
        first = _one(planner, bumpy, 5)
        _one(planner, level, 6)
        _assert_same(first, _one(planner, bumpy, 5))

    def test_terrain_is_not_written_into(self, make, bumpy) -> None:
        planner, rng, before = make(), np.random.default_rng(2), bumpy.height.copy()
        prepared = planner.prepare(bumpy, rng)
        ready = prepared.height.copy()
        planner.plan(prepared, rng)
        np.testing.assert_array_equal(bumpy.height, before)
        np.testing.assert_array_equal(prepared.height, ready)

    def test_global_random_state_is_left_alone(self, make, bumpy) -> None:
        np.random.seed(0)
        before, plain = _numpy_state(), random.getstate()
        _one(make(), bumpy, 1)
        np.testing.assert_array_equal(before, _numpy_state())
        assert random.getstate() == plain

    def test_no_path_is_told_with_a_reason(self, make, level) -> None:
        """On a grid of needles 50 m high a planner gives a path or says why not, and works on afterwards."""
        planner = make()
        for seed in range(5):
            height = np.random.default_rng(seed).uniform(0.0, 50.0, (20, 20))
            _path_or_reason(planner, Terrain(height=height), seed)
        assert isinstance(_one(planner, level, 0), Path)

    @pytest.mark.parametrize("shape", [(1, 1), (1, 2), (2, 2), (1, 40), (3, 3)], ids=str)
    def test_tiny_terrain_is_answered(self, make, shape) -> None:
        """However small or narrow the terrain, the answer is a path or a reason."""
        for height in (np.zeros(shape), np.random.default_rng(0).uniform(-1.0, 1.0, shape)):
            _path_or_reason(make(), Terrain(height=height), 0)


def _one(planner: Planner, ground: Terrain, seed: int) -> Path:
    rng = np.random.default_rng(seed)
    return planner.plan(planner.prepare(ground, rng), rng)


def _plans(planner: Planner, ground: Terrain) -> list[tuple[Terrain, Path]]:
    """Ten prepared terrains with their paths; a planner may find none on some, but not on all."""
    found = []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        terrain = planner.prepare(ground, rng)
        try:
            found.append((terrain, planner.plan(terrain, rng)))
        except NoPathFound:
            continue
    assert found
    return found


def _path_or_reason(planner: Planner, ground: Terrain, seed: int) -> None:
    try:
        path = _one(planner, ground, seed)
    except NoPathFound as reason:
        assert len(str(reason)) > 20, "a reason is a sentence"
        assert "\n" not in str(reason), "reasons are counted and listed, one line each"
    else:
        assert isinstance(path, Path)


def _assert_same(first: Path, again: Path) -> None:
    np.testing.assert_array_equal(first.points, again.points)
    np.testing.assert_array_equal(first.kinds, again.kinds)
    assert first.cost == again.cost


def _numpy_state() -> np.ndarray:
    """NumPy's global random state."""
    state: Any = np.random.get_state()
    return state[1].copy()
