"""Simulators with one world for all: the env sees no difference, and the world is one terrain without holes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from parc_core.interfaces import Scene
from parc_deepmimic.config import DeepMimicConfig
from parc_deepmimic.env import DeepMimicEnv
from parc_deepmimic.one_world import ONE_WORLD, OneWorld, in_own_coordinates
from parc_motion.errors import DataError
from parc_motion.skeletons import load_skeleton
from parc_motion.terrains import Terrain, lay_out
from parc_testing.builders import make_clip, make_terrain
from parc_testing.fake_simulator import FakeSimulator


class FakeOneWorld(FakeSimulator):
    """A simulator that builds scenes of a single terrain only."""

    capabilities = frozenset({"rollout", ONE_WORLD})

    def build(self, scene):
        """Refuses what a simulator with one world cannot do."""
        assert len(scene.terrains) == 1
        super().build(scene)


def hilly(seed, shape=(9, 7), origin=(-1.0, 0.6), cell=0.4):
    height = np.random.default_rng(seed).uniform(-1.0, 2.0, shape)
    return Terrain(height=height, origin_xy=origin, cell=cell)


def make_env(simulator, num_envs=8, seed=0):
    high = make_terrain(steps=[((slice(3, 9), slice(0, 10)), 0.3)])
    clips = [
        make_clip(40, name="level"),
        make_clip(50, name="glide", speed=0.6, terrain=high),
        make_clip(30, name="far", terrain=make_terrain((30, 20), origin_xy=(-5.0, -3.0))),
    ]
    return DeepMimicEnv(
        DeepMimicConfig(), clips=clips, weights=np.ones(3), simulator=simulator, num_envs=num_envs,
        skeleton=load_skeleton("humanoid"), rng=torch.Generator().manual_seed(seed),
    )  # fmt: skip


def test_every_tile_has_the_heights_of_its_terrain():
    terrains = [hilly(0), hilly(1, (4, 12), (3.0, -7.0)), hilly(2), hilly(3, (1, 1)), hilly(4)]
    grid = lay_out(terrains, margin=1.0)
    for terrain, offset, corner in zip(terrains, grid.offsets, grid.corners):
        i, j = corner
        tile = grid.terrain.height[i : i + terrain.shape[0], j : j + terrain.shape[1]]
        assert np.array_equal(tile, terrain.height)
        centers = terrain.center_of(np.argwhere(np.ones(terrain.shape)).reshape(-1, 2))[:, :2]
        assert np.array_equal(grid.terrain.height_at(centers + offset), terrain.height_at(centers))


def test_ground_around_a_terrain_goes_on_in_the_grid_as_it_does_by_itself():
    terrains = [hilly(0), hilly(1, (4, 12))]
    grid = lay_out(terrains, margin=1.2)
    rng = np.random.default_rng(0)
    for terrain, offset in zip(terrains, grid.offsets):
        low, high = (
            terrain.origin_xy - 1.39,
            terrain.max_xy + 1.39,
        )  # half a cell and the margin, less a rounding
        points = rng.uniform(low, high, (500, 2))
        assert np.array_equal(grid.terrain.height_at(points + offset), terrain.height_at(points))


def test_the_grid_has_no_holes_and_its_middle_is_the_origin():
    # five terrains on 3 x 2 slots: the unused one is level and as low as the lowest cell, never lower
    terrains = [hilly(seed) for seed in range(5)]
    grid = lay_out(terrains)
    assert np.isfinite(grid.terrain.height).all()
    assert grid.terrain.height.min() == min(t.height.min() for t in terrains)
    assert grid.terrain.shape == (2 * (9 + 10), 3 * (7 + 10))  # margin 2 m: five cells to each side
    np.testing.assert_allclose(grid.terrain.origin_xy, -grid.terrain.max_xy, atol=1e-5)


def test_cells_of_different_size_are_refused():
    with pytest.raises(
        DataError, match=r"cells of 0\.4 m, 0\.5 m do not fit into one grid; resample them to one size"
    ):
        lay_out([hilly(0), hilly(1, cell=0.5)])


def test_an_empty_grid_is_refused():
    with pytest.raises(DataError, match=r"lay_out got no terrain; give at least one\."):
        lay_out([])


def test_only_simulators_with_one_world_are_translated():
    plain = FakeSimulator()
    assert in_own_coordinates(plain) is plain
    assert isinstance(in_own_coordinates(FakeOneWorld()), OneWorld)


def test_a_capability_that_does_not_exist_is_an_error():
    class Misspelled(FakeSimulator):
        capabilities = frozenset({"one-world"})

    with pytest.raises(
        DataError, match="Misspelled: its capability 'one-world' does not exist; there are one_world"
    ):
        in_own_coordinates(Misspelled())


def test_one_world_and_many_give_the_same_training():
    one, many = make_env(FakeOneWorld()), make_env(FakeSimulator())
    torch.testing.assert_close(one.reset(), many.reset(), atol=2e-5, rtol=0)
    # the rest are heights, which jump where a point falls on the border of two cells, and contacts
    smooth = sum(group.size for group in one.observation if group.normalize)
    assert len(one.simulator.inner.scene.terrains) == 1
    for _ in range(12):
        a, b = one.step(torch.zeros(8, 28)), many.step(torch.zeros(8, 28))
        assert torch.equal(a.done, b.done)
        torch.testing.assert_close(a.reward, b.reward, atol=1e-4, rtol=0)
        torch.testing.assert_close(a.obs[:, :smooth], b.obs[:, :smooth], atol=1e-3, rtol=0)


def test_rollouts_come_back_in_the_terrains_own_coordinates():
    one, many = make_env(FakeOneWorld()), make_env(FakeSimulator())
    rollouts = []
    for env in (one, many):
        env.playback(torch.tensor([0, 1, 2]), torch.zeros(3))
        states = env.simulator.save_state(torch.tensor([1, 2]))
        rollouts.append(env.simulator.rollout(states, 2, torch.zeros(4, 3, 28)))
    torch.testing.assert_close(rollouts[0].root_pos, rollouts[1].root_pos, atol=2e-5, rtol=0)


def test_unknown_terrain_is_refused():
    simulator = OneWorld(FakeOneWorld())
    scene = Scene(skeleton=load_skeleton("humanoid"), terrains=[hilly(0), hilly(1)], num_envs=2)
    simulator.build(scene)
    with pytest.raises(DataError, match=r"terrain ids 0\.\.2; the scene has 0\.\.1"):
        simulator.set_terrains(torch.tensor([0, 1]), torch.tensor([0, 2]))
