"""The selectors."""

from __future__ import annotations

import attrs
import numpy as np
import pytest
import torch
from parc_kinopt.score import path_distance
from parc_kinopt.select import FirstConfig, FirstSelector, HeuristicConfig, HeuristicSelector

from parc_core.data.path import Path
from parc_core.kinematics.mjcf import load_skeleton
from parc_core.testing.builders import make_clip, make_terrain
from parc_core.testing.contracts.selector import SelectorContract

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
    path = torch.tensor([[0.0, 0.0], [2.0, 0.0], [2.0, 2.0]])
    points = torch.tensor([[[1.0, 0.5], [3.0, 1.0], [-3.0, 4.0]]])
    # beside the first leg; beside the second; sqrt(9 + 16) from the start
    assert path_distance(points, path)[0].tolist() == pytest.approx([0.5, 1.0, 5.0])
