"""Several paths over several terrains at once, and the ends of candidates."""

import numpy as np
import pytest
import torch

from parc_mdm.config import MdmConfig
from parc_mdm.features import FeatureLayout, decode
from parc_mdm.generator import MdmGenerator
from parc_mdm.model import MotionModel
from parc_mdm.path_guide import PathGuide
from parc_mdm.path_guides import PathGuides
from parc_mdm.rollout import _Walk
from parc_motion.geometry import PackedTerrains
from parc_motion.skeletons import load_skeleton
from parc_motion.terrains import Path
from parc_testing.builders import make_terrain

SKELETON = load_skeleton()


def path_of(*points) -> Path:
    return Path(points=np.array(points, dtype=float), kinds=np.zeros(len(points) - 1, dtype=int))


ALONG_X = path_of(*[(0.4 * k, 0.0, 0.0) for k in range(8)])
ALONG_Y = path_of(*[(0.0, 0.5 * k, 1.0) for k in range(5)])


def generator(**override) -> MdmGenerator:
    """A generator with fixed random weights, whose windows stay near where they begin."""
    torch.manual_seed(0)
    made = MdmGenerator(MdmConfig.preset("tiny", **override), skeleton=SKELETON)
    made.model = MotionModel.of(made.config, SKELETON, "cpu")
    made.model.std.fill_(0.05)
    made.model.std[:, FeatureLayout.of(SKELETON).contacts] = 1.0
    return made


def tasks():
    high = make_terrain((30, 30), height=np.full((30, 30), 1.0))
    return [(make_terrain((30, 30)), ALONG_X), (high, ALONG_Y)]


def test_candidates_of_several_paths_are_guided_each_by_their_own():
    guides = PathGuides.of([ALONG_X, ALONG_Y], 2)
    singles = [PathGuide.of(ALONG_X), PathGuide.of(ALONG_Y)]
    progress = torch.tensor([0.1, 1.0, 0.2, 1.5])
    xy = torch.tensor([[0.5, 0.0], [1.2, 0.1], [0.1, 0.9], [0.0, 1.9]])
    for found, one in (
        (guides.advance(progress, xy, 2.0), lambda g, k: g.advance(progress[k], xy[k], 2.0)),
        (guides.target(progress, 2, 1.0), lambda g, k: g.target(progress[k], 2, 1.0)),
    ):
        expected = [one(guide, slice(2 * k, 2 * k + 2)) for k, guide in enumerate(singles)]
        torch.testing.assert_close(found, torch.cat(expected))
    assert guides.terrain_ids(4).tolist() == [0, 0, 1, 1]


def test_several_terrains_at_once():
    proposals = generator().propose_many(tasks(), 3, np.random.default_rng(0))
    assert [[clip.provenance.notes["candidate"] for clip in clips] for clips in proposals] == [[0, 1, 2]] * 2
    for clips, (terrain, path) in zip(proposals, tasks()):
        for clip in clips:
            assert clip.path is path
            assert np.linalg.norm(clip.root_pos[0, :2] - path.points[0, :2]) < 0.5
            # roots begin 0.7 to 0.9 m over their own ground
            assert clip.root_pos[0, 2] - terrain.height[0, 0] == pytest.approx(0.8, abs=0.4)
            assert np.all(clip.terrain.height == terrain.height[0, 0])


def test_one_terrain_of_several_is_as_good_as_alone():
    alone = generator().propose(*tasks()[0], 2, np.random.default_rng(3))
    first = generator().propose_many(tasks()[:1], 2, np.random.default_rng(3))[0]
    for a, b in zip(alone, first):
        np.testing.assert_array_equal(a.root_pos, b.root_pos)


@pytest.mark.parametrize("count", [1, 3])
def test_whoever_arrives_in_the_last_step_of_all_has_arrived(count):
    # everybody is near enough from the first window on, so that all are done in the same step
    clips = generator(goal_radius=50.0).propose(*tasks()[0], count, np.random.default_rng(0))
    assert all(clip.provenance.notes["reached_goal"] for clip in clips)
    assert all(clip.num_frames < 30 for clip in clips)


def test_nobody_arrives_at_a_goal_that_is_too_far():
    clips = generator(goal_radius=0.01).propose(*tasks()[0], 2, np.random.default_rng(0))
    assert not any(clip.provenance.notes["reached_goal"] for clip in clips)
    assert [clip.num_frames for clip in clips] == [30, 30]  # max_motion_length of 1 s


def test_guidance_towards_the_path_reaches_rollouts():
    def ends(**override):
        made = generator(guidance_gradient="prediction", **override)
        clips = made.propose(*tasks()[0], 4, np.random.default_rng(1))
        return np.mean([clip.root_pos[-1, 0] for clip in clips])

    assert ends(target_guidance=0.5) > ends() + 0.3


def test_generation_over_the_floor_counts_heights_as_training_does():
    # a network that says every feature's mean: the root 0.9 m over the ground, wherever that is
    made = generator(height_from="floor")
    made.model.mean[:, 2] = 0.9
    made.model.std.fill_(1e-6)
    for clips, (terrain, _) in zip(made.propose_many(tasks(), 2, np.random.default_rng(0)), tasks()):
        for clip in clips:
            np.testing.assert_allclose(clip.root_pos[:, 2], terrain.height[0, 0] + 0.9, atol=1e-3)


def test_whoever_has_arrived_stands_still_while_the_others_go_on():
    made = generator()
    walk = _Walk(made.model, PackedTerrains.of([make_terrain((30, 30))]), PathGuide.of(ALONG_X), 2)
    stream = torch.Generator().manual_seed(0)
    local, anchor = walk.first_window(stream)
    frames = anchor.frames_to_world(decode(made.model.kin, made.model.layout, local))
    walk.reached[0] = True
    after = walk.next_window(frames[:, 7:9], stream)
    assert (after.root_pos[0, 2:] - frames.root_pos[0, 8]).abs().max() < 1e-5
    assert (after.root_pos[1, 2:] - frames.root_pos[1, 8]).abs().max() > 1e-3
