"""The selectors."""

from __future__ import annotations

import attrs
import numpy as np
import pytest
import torch

from parc_kinopt.compiled.score import path_place
from parc_kinopt.select import (
    FirstConfig,
    FirstSelector,
    HeuristicConfig,
    HeuristicSelector,
    RandomConfig,
    RandomSelector,
)
from parc_motion.clips import MotionClip
from parc_motion.errors import SkeletonMismatch
from parc_motion.kinematics import Kinematics, surface_points
from parc_motion.skeletons import load_skeleton
from parc_motion.terrains import Path, Terrain
from parc_testing.builders import make_clip, make_terrain
from parc_testing.contracts.selector import SelectorContract

SKELETON = load_skeleton("humanoid")
PATH = Path(points=[[0, 0, 0], [1, 0, 0]], kinds=[0])


def _selector(**settings):
    return HeuristicSelector(HeuristicConfig(**settings), skeleton=SKELETON)


def _paper(**settings):
    return _selector(**HeuristicConfig.PRESETS["paper"], **settings)


def _lift(clip, height):
    return attrs.evolve(clip, root_pos=clip.root_pos + np.array([0, 0, height], dtype=np.float32))


class TestHeuristic(SelectorContract):
    @pytest.fixture
    def make(self):
        return _selector


class TestPaper(SelectorContract):
    @pytest.fixture
    def make(self):
        return _paper


class TestFirst(SelectorContract):
    @pytest.fixture
    def make(self):
        return lambda: FirstSelector(FirstConfig(), skeleton=SKELETON)


class TestRandom(SelectorContract):
    @pytest.fixture
    def make(self):
        return lambda: RandomSelector(RandomConfig(), skeleton=SKELETON)


def test_published_contact_score_by_hand():
    # both feet in contact, 0.1 m above ground for 30 frames: 0.1 * 2 * 30 * 0.1 = 0.6
    clip = _lift(make_clip(30, speed=1.0), 0.1)
    (scored,) = _paper().select([clip], make_terrain(), PATH)
    assert scored.scores["contact"] == pytest.approx(0.6, abs=1e-3)
    assert scored.accepted


def test_published_penetration_score_by_hand():
    # 18 sole points of both feet 0.02 m deep for 30 frames: 0.1 * 36 * 30 * 0.02 = 2.16
    (scored,) = _paper().select([_lift(make_clip(30, speed=1.0), -0.02)], make_terrain(), PATH)
    assert scored.scores["penetration"] == pytest.approx(2.16, abs=0.01)


def test_published_thresholds_name_their_reason():
    # 0.6 m up: 0.1 * 2 * 30 * 0.6 = 3.6 is not below 3
    (scored,) = _paper().select(
        [
            _lift(make_clip(30, speed=1.0), 0.4),
        ],
        make_terrain(),
        PATH,
    )
    assert scored.accepted
    (scored,) = _paper().select([_lift(make_clip(60, speed=0.5), 0.4)], make_terrain(), PATH)
    assert scored.rejected[0] == "contact 4.80 > 3"


def test_unfinished_candidate_is_refused_and_says_how_far_it_was():
    (scored,) = _selector().select([make_clip(10, speed=0.3)], make_terrain(), PATH)
    # 9 frames at 0.01 m: 0.09 m along x; foot bodies 0.05 m above the ground: sqrt(0.91^2 + 0.05^2) = 0.911 m
    assert scored.rejected == ("goal 0.91 m away > 0.5 m",)
    assert scored.scores["unfinished"] == 100.0


def test_length_does_not_decide_by_default():
    short, long = make_clip(40, speed=1.0), make_clip(120, speed=1.0)
    path = Path(points=[[0, 0, 0], [3.0, 0, 0]], kinds=[0])
    half = Path(points=[[0, 0, 0], [1.0, 0, 0]], kinds=[0])
    terrain = make_terrain((30, 10))
    one = _selector().select([_lift(short, 0.03)], terrain, half)[0]
    two = _selector().select([_lift(long, 0.03)], terrain, path)[0]
    assert one.scores["contact"] == pytest.approx(two.scores["contact"], rel=1e-3)


def test_jittery_candidate_comes_after_a_smooth_one():
    smooth = make_clip(40, speed=1.0, name="smooth")
    noise = np.random.default_rng(0).normal(scale=0.01, size=(40, 3)).astype(np.float32)
    rough = attrs.evolve(smooth, name="rough", root_pos=smooth.root_pos + noise)
    scored = _selector().select([rough, smooth], make_terrain(), PATH)
    assert [s.clip.name for s in scored] == ["smooth", "rough"]


def test_distance_from_a_polyline_by_hand():
    path = np.array([[0.0, 0, 0], [2.0, 0, 0], [2.0, 2.0, 1.0]])
    # beside the first leg; beside the second, 2 + 1 m along; sqrt(9 + 16) from the start
    assert path_place(1.0, 0.5, path) == pytest.approx((0.5, 1.0))
    assert path_place(3.0, 1.0, path) == pytest.approx((1.0, 3.0))
    assert path_place(-3.0, 4.0, path) == pytest.approx((5.0, 0.0))


def test_progress_is_what_is_left_of_the_path():
    # 29 steps of 1/30 m: 0.967 m of 3 m
    path = Path(points=[[0, 0, 0], [3.0, 0, 0]], kinds=[0])
    (scored,) = _selector(w_progress=2.0).select([make_clip(30, speed=1.0)], make_terrain(), path)
    assert scored.scores["progress"] == pytest.approx(2.0 * (3.0 - 29 / 30), abs=1e-5)


def _clip_in_rough_ground(frames: int, seed: int) -> MotionClip:
    """Random poses that hover over, stand in and lie beside columns; faint and strong labels on every body."""
    rng = np.random.default_rng(seed)
    clip = make_clip(frames)
    q = rng.normal(size=(frames, 15, 4)) * [0.3, 0.3, 0.3, 0.0] + [0, 0, 0, 1]
    q /= np.linalg.norm(q, axis=-1, keepdims=True)
    place = rng.uniform([-2.0, -2.0, 0.1], [5.0, 4.5, 2.5], size=(frames, 3))
    labels = rng.uniform(size=(frames, 15)) * (rng.uniform(size=(frames, 15)) < 0.5)
    return attrs.evolve(clip, root_pos=place, root_rot=q[:, 0], joint_rot=q[:, 1:], contacts=labels)


def _published_scores(clip: MotionClip, terrain: Terrain) -> tuple[float, float]:
    """Contact and penetration score, every point against every column: 0.1 times the sums, in float64."""
    body_pos, body_rot = Kinematics(SKELETON, dtype=torch.float64).forward(
        *(torch.tensor(a, dtype=torch.float64) for a in (clip.root_pos, clip.root_rot, clip.joint_rot))
    )
    surface = surface_points(SKELETON, dtype=torch.float64)
    points = surface.world(body_pos, body_rot).numpy()[:, :, None, None]  # [T, P, 1, 1, 3]
    sides = []
    for axis in (0, 1):
        edge = terrain.origin_xy[axis] + (np.arange(terrain.shape[axis] + 1) - 0.5) * terrain.cell
        low, high = (
            np.append(-np.inf, edge[1:-1]),
            np.append(edge[1:-1], np.inf),
        )  # border cells reach outward
        p = points[..., axis]
        shape = (1, 1, -1, 1) if axis == 0 else (1, 1, 1, -1)
        sides.append(np.maximum(np.maximum(low.reshape(shape) - p, p - high.reshape(shape)), 0.0))
    aside = sides[0] ** 2 + sides[1] ** 2
    rise = points[..., 2] - terrain.height.astype(np.float64)
    to_solid = np.sqrt(aside + np.maximum(rise, 0.0) ** 2).min(axis=(2, 3))  # [T, P], 0 inside
    to_air = np.sqrt(aside + np.minimum(rise, 0.0) ** 2).min(axis=(2, 3))  # 0 outside
    bodies = surface.body.numpy()
    nearest = np.stack([to_solid[:, bodies == b].min(axis=1) for b in range(15)], axis=1)
    return 0.1 * float((clip.contacts * nearest).sum()), 0.1 * float(to_air.sum())


@pytest.mark.parametrize("shape", [(9, 8), (1, 1), (1, 6)])
def test_published_scores_are_those_of_a_search_over_every_column(shape):
    rng = np.random.default_rng(7)
    terrain = Terrain(height=rng.uniform(-0.6, 0.6, shape), origin_xy=(-0.7, -0.9), cell=0.4)
    clips = [_clip_in_rough_ground(frames, seed) for seed, frames in enumerate((17, 40))]
    for scored in _paper().select(clips, terrain, PATH):
        contact, penetration = _published_scores(scored.clip, terrain)
        assert min(contact, penetration) > 0.5, "the clip does not exercise the scores"
        assert scored.scores["contact"] == pytest.approx(contact, rel=1e-4)
        assert scored.scores["penetration"] == pytest.approx(penetration, rel=1e-4)


def test_faint_labels_count_only_in_the_published_score():
    clip = _lift(make_clip(30, speed=1.0), 0.1)
    faint = attrs.evolve(clip, contacts=0.1 * clip.contacts)
    assert _selector().select([faint], make_terrain(), PATH)[0].scores["contact"] == 0.0
    assert _paper().select([faint], make_terrain(), PATH)[0].scores["contact"] == pytest.approx(
        0.06, abs=1e-4
    )


def test_random_order_is_another_for_other_candidates_and_other_seeds():
    def order(first: int, seed: int) -> list[int]:
        clips = [make_clip(first + i, name=str(i)) for i in range(8)]
        selector = RandomSelector(RandomConfig(seed=seed), skeleton=SKELETON)
        return [int(s.clip.name) for s in selector.select(clips, make_terrain(), PATH)]

    assert order(20, 0) == order(20, 0)
    assert order(20, 0) != order(20, 1)
    assert order(20, 0) != order(50, 0)
    assert sorted(order(20, 0)) == list(range(8))


def test_candidate_of_one_frame_is_scored():
    (scored,) = _selector().select([make_clip(1)], make_terrain(), PATH)
    assert scored.rejected == ("goal 1.00 m away > 0.5 m",)


def test_candidate_of_another_character_is_refused():
    with pytest.raises(SkeletonMismatch, match="was made for character 'robot'"):
        _selector().select([make_clip(5, skeleton="robot")], make_terrain(), PATH)
