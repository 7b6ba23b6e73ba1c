"""The optimizers: contract, and that a spoilt motion comes out clean."""

from __future__ import annotations

import attrs
import numpy as np
import pytest
import torch

from parc_kinopt.contacts import (
    ContactConfig,
    clean_contacts,
    geometric_contacts,
    hysteresis,
    without_slides,
)
from parc_kinopt.limbs import limbs_of
from parc_kinopt.optimizer import KinematicOptimizer, KinoptConfig, NoneConfig, NoOptimizer
from parc_kinopt.problems import describe_runs
from parc_motion.errors import DataError
from parc_motion.kinematics import Kinematics, surface_points
from parc_motion.skeletons import load_skeleton
from parc_motion.terrains import Terrain
from parc_testing.builders import make_clip, make_terrain
from parc_testing.contracts.optimizer import OptimizerContract

SKELETON = load_skeleton("humanoid")


def _optimizer(**settings):
    return KinematicOptimizer(KinoptConfig(**settings), skeleton=SKELETON)


class TestKinopt(OptimizerContract):
    @pytest.fixture
    def make(self):
        return lambda: _optimizer(max_steps=12)


class TestNone(OptimizerContract):
    @pytest.fixture
    def make(self):
        return lambda: NoOptimizer(NoneConfig(), skeleton=SKELETON)


def test_hysteresis_keeps_weak_frames_only_beside_strong_ones():
    strong = np.array([[0, 1, 0, 0, 0, 0]], dtype=bool).T
    weak = np.array([[1, 1, 1, 0, 1, 1]], dtype=bool).T
    assert hysteresis(strong, weak)[:, 0].tolist() == [True, True, True, False, False, False]


def test_label_far_from_ground_is_not_believed():
    labels, speed = np.ones((6, 1)), np.zeros((6, 1))
    distance = np.full((6, 1), 0.05)
    assert clean_contacts(labels, distance, speed, 30.0, ContactConfig()).all()
    assert not clean_contacts(labels, distance + 1.0, speed, 30.0, ContactConfig()).any()


def test_fast_foot_near_the_ground_is_not_standing():
    distance = np.full((6, 1), 0.01)
    assert geometric_contacts(distance, np.zeros((6, 1)), 30.0, ContactConfig()).all()
    assert not geometric_contacts(distance, np.full((6, 1), 2.0), 30.0, ContactConfig()).any()


def _spoilt():
    """Standing with 3 cm of drift up and down, jitter and sliding feet."""
    clip = make_clip(40)
    rng = np.random.default_rng(0)
    time = np.arange(40) / 30
    shift = np.stack([0.15 * time, 0 * time, 0.03 * np.sin(5 * time)], axis=-1) + rng.normal(
        scale=0.004, size=(40, 3)
    )
    return attrs.evolve(clip, root_pos=(clip.root_pos + shift).astype(np.float32))


@pytest.fixture(scope="module")
def refined():
    return _optimizer().refine([_spoilt()])[0]


def test_feet_are_planted(refined):
    assert refined.after["foot_lock"] < 0.1 * refined.before["foot_lock"]
    assert refined.after["contact"] < 0.1 * refined.before["contact"]


def test_nothing_is_inside_the_ground(refined):
    assert refined.before["penetration"] > 1.0
    assert refined.after["penetration"] < 0.1


def test_jitter_is_gone(refined):
    # white noise of 4 mm: the second difference has sqrt(6) * 4 mm = 1 cm per axis
    shake = lambda clip: np.diff(clip.root_pos, n=2, axis=0).std(axis=0).max()  # noqa: E731
    assert shake(_spoilt()) > 0.007
    assert shake(refined.clip) < 0.002  # what lies below the cutoff of 5 Hz is kept


def test_result_stays_near_its_source_and_inside_its_limits(refined):
    assert np.abs(refined.clip.root_pos - _spoilt().root_pos).max() < 0.15
    assert refined.after["joint_limit"] < 0.02
    assert refined.unresolved == ()


def test_what_cannot_be_fixed_is_told():
    # a slab 1.4 m up all over the place: nothing within a few evaluations lifts a whole body out of it
    clip = make_clip(12, terrain=Terrain(height=np.full((12, 10), 1.4), origin_xy=(-0.8, -0.8), cell=0.4))
    (result,) = _optimizer(max_steps=1).refine([clip])
    assert any("penetrates" in text and "frames 0-11" in text for text in result.unresolved)


def test_clips_of_a_batch_do_not_disturb_each_other():
    one, other = _spoilt(), make_clip(25, speed=0.4, name="other")
    alone = _optimizer(max_steps=15).refine([other])[0]
    together = _optimizer(max_steps=15).refine([one, other])[1]
    assert np.abs(alone.clip.root_pos - together.clip.root_pos).max() < 5e-3


def test_clip_without_terrain_is_refused():
    with pytest.raises(DataError, match="clip 'standing' has no terrain"):
        _optimizer().refine([make_clip(6, terrain=None)])


def test_runs_are_described_with_their_worst_value():
    assert describe_runs(np.array([0.0, 0.3, 0.4, 0.0, 0.5]), 0.1) == [(0.4, "frames 1-2"), (0.5, "frame 4")]


def test_relabeling_finds_the_feet(refined):
    assert (refined.clip.contacts[:, [11, 14]] == 1.0).mean() > 0.9
    assert (refined.clip.contacts[:, [5, 8]] == 0.0).all()


def _raised(clip, height):
    return attrs.evolve(clip, root_pos=clip.root_pos + np.array([0, 0, height], dtype=np.float32))


def test_clip_that_floats_a_little_is_put_on_the_ground():
    (result,) = _optimizer().refine([_raised(make_clip(20), 0.2)])
    assert result.before["contact"] == pytest.approx(8.0, abs=0.01)  # 2 soles, 20 frames, 0.2 m
    assert result.after["contact"] < 0.01
    assert result.unresolved == ()


def test_clip_that_floats_too_high_to_be_believed_says_so():
    (result,) = _optimizer().refine([_raised(make_clip(20), 0.5)])
    assert result.unresolved == ("nothing holds the body in frames 0-19, at least 0.50 m above the ground",)


def test_clip_that_starts_inside_a_box_comes_out_of_it():
    box = make_terrain(steps=[((slice(1, 4), slice(0, 10)), 0.5)])
    (result,) = _optimizer().refine([make_clip(20, terrain=box)])
    assert result.before["penetration"] > 100.0
    assert result.after["penetration"] < 0.05
    assert result.unresolved == ()


def test_clip_with_nan_never_gets_here():
    broken = np.array(make_clip(5).root_pos)
    broken[2, 1] = np.nan
    with pytest.raises(DataError, match="clip 'standing': root_pos holds nan at index \\[2, 1\\]"):
        make_clip(5, root_pos=broken)


def test_clip_without_contact_labels_keeps_what_it_has():
    # standing on the ground without labels: they are found, and nothing else changes
    (result,) = _optimizer().refine([make_clip(20, contacts=np.zeros((20, 15)))])
    assert np.abs(result.clip.root_pos - make_clip(20).root_pos).max() < 0.005
    assert (result.clip.contacts[:, [11, 14]] == 1.0).all()
    assert result.unresolved == ()


def test_one_cell_is_ground_without_end():
    cell = Terrain(height=np.zeros((1, 1)), origin_xy=(0.0, 0.0), cell=0.4)
    (result,) = _optimizer().refine([_raised(make_clip(20, speed=0.5, terrain=cell), 0.05)])
    assert result.after["contact"] < 0.01
    assert result.unresolved == ()


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_clip_too_short_for_differences_is_still_put_on_the_ground(frames):
    (result,) = _optimizer().refine([_raised(make_clip(frames), 0.04)])
    lowered = make_clip(frames).root_pos
    assert np.abs(result.clip.root_pos - lowered).max() < 0.01
    assert (result.clip.contacts[:, [11, 14]] == 1.0).all()
    assert result.unresolved == ()


def test_solver_that_has_no_steps_left_says_so():
    (result,) = _optimizer(max_steps=2).refine([_spoilt()])
    assert result.unresolved[0] == "stopped after 2 steps before it converged"


def test_labels_end_where_the_foot_moves():
    # 20 frames labeled; from frame 9 to 10 it moves 0.3 m/s, from 14 to 15 too: the parts begin a frame later
    step = np.full((19, 1), 0.05)
    step[[9, 14]] = 0.3
    labels = without_slides(np.ones((20, 1), dtype=bool), step, ContactConfig(), 30.0)
    assert np.flatnonzero(~labels[:, 0]).tolist() == [10, 15]


def test_labeled_feet_do_not_slide(refined):
    kin, limbs = Kinematics(SKELETON), [limb for limb in limbs_of(SKELETON) if limb.is_foot]
    clip = refined.clip
    body_pos, body_rot = kin.forward(
        *(torch.tensor(a) for a in (clip.root_pos, clip.root_rot, clip.joint_rot))
    )
    points = surface_points(SKELETON).world(body_pos, body_rot)
    for foot in limbs:
        step = points[:, list(foot.corners)].diff(dim=0).norm(dim=-1).amin(dim=-1).numpy()
        held = np.minimum(clip.contacts[:-1, foot.body], clip.contacts[1:, foot.body]) > 0.5
        assert held.any()
        assert step[held].max() < 0.005
