"""Further terrains under a motion: they differ, but never where the motion would notice."""

from __future__ import annotations

import attrs
import numpy as np
import torch

from parc_deepmimic.config import DeepMimicConfig, StartConfig, VariantConfig
from parc_deepmimic.env import DeepMimicEnv
from parc_deepmimic.variants import terrain_bounds, terrains_of, variant
from parc_motion.kinematics import Kinematics
from parc_motion.skeletons import load_skeleton
from parc_testing.builders import make_clip, make_terrain
from parc_testing.fake_simulator import FakeSimulator

SKELETON = load_skeleton("humanoid")
KINEMATICS = Kinematics(SKELETON)
MANY = VariantConfig(per_motion=5, boxes=6)


def test_ground_under_the_body_stays_and_free_ground_changes():
    clip = make_clip(20, speed=0.5, terrain=make_terrain((20, 20), origin_xy=(-3.0, -3.8)))
    bounds = terrain_bounds(clip, clip.terrain, KINEMATICS)
    own, *others = terrains_of(clip, MANY, KINEMATICS, seed=0)
    assert own is clip.terrain
    assert len(others) == 4
    fixed = bounds[..., 0] == bounds[..., 1]
    # the character stands 1 m wide with arms stretched out, on cells of 0.4 m: some cells, by far not all
    assert 4 <= fixed.sum() <= 60
    changed = np.stack([other.height != own.height for other in others])
    assert not changed[:, fixed].any()
    assert changed.any(axis=(1, 2)).sum() >= 3  # a draw of no box at all has chance 1 in 7


def test_a_box_keeps_within_the_bounds():
    terrain = make_terrain((6, 6))
    bounds = np.stack([np.full((6, 6), -0.1), np.full((6, 6), 0.2)], axis=-1)
    rng = np.random.default_rng(0)
    heights = np.stack([variant(terrain, bounds, MANY, rng).height for _ in range(50)])
    assert heights.min() == np.float32(-0.1)
    assert heights.max() == np.float32(0.2)


def test_equal_seeds_give_equal_terrains_and_others_differ():
    clip = make_clip(20, terrain=make_terrain((20, 20), origin_xy=(-3.0, -3.8)))

    def heights(seed):
        return np.stack([terrain.height for terrain in terrains_of(clip, MANY, KINEMATICS, seed)])

    assert np.array_equal(heights(1), heights(1))
    assert not np.array_equal(heights(1), heights(2))


def test_stored_bounds_of_a_terrain_are_kept_to():
    bounds = np.zeros((12, 10, 2))  # nothing may change
    clip = make_clip(20, terrain=make_terrain(bounds=bounds))
    assert all(not terrain.height.any() for terrain in terrains_of(clip, MANY, KINEMATICS, seed=0))


def test_training_draws_among_the_terrains_and_playback_takes_the_motions_own():
    env = _env(DeepMimicConfig(terrains=MANY), num_envs=200)
    env.reset()
    own = len(env.simulator.scene.terrains) > 2
    assert own
    drawn = env.simulator.terrain_ids[env.motion_ids == 0]
    assert len(drawn.unique()) >= 4  # of five, equal draws of no box count once
    env.playback(torch.tensor([0, 1, 0]), torch.zeros(3))
    assert env.simulator.terrain_ids[:3].tolist() == env._terrain_choices[[0, 1, 0], 0].tolist()


def test_one_terrain_a_motion_draws_nothing():
    # the stream of random numbers is that of an env without variants
    plain, single = (
        _env(config) for config in (DeepMimicConfig(), DeepMimicConfig(terrains=VariantConfig()))
    )
    assert torch.equal(plain.reset(), single.reset())
    assert plain.curriculum_state()["rng"] == single.curriculum_state()["rng"]


def test_clips_without_terrain_stay_on_level_ground():
    clip = attrs.evolve(make_clip(20), terrain=None)
    assert [terrain.height.tolist() for terrain in terrains_of(clip, MANY, KINEMATICS, seed=0)] == [
        [[0, 0]] * 2
    ]


def _env(config, num_envs=8):
    free = make_terrain((20, 20), origin_xy=(-3.0, -3.8))
    clips = [make_clip(40, name="a", terrain=free), make_clip(40, name="b", speed=0.3, terrain=free)]
    return DeepMimicEnv(
        attrs.evolve(config, start=StartConfig(perturbed_frac=0.0)), clips=clips, weights=np.ones(2),
        simulator=FakeSimulator(), num_envs=num_envs, skeleton=SKELETON, rng=torch.Generator().manual_seed(0),
    )  # fmt: skip
