"""Metrics of whole clips and of motions without ground."""

import numpy as np
import pytest
import torch

from parc_motion.errors import SkeletonMismatch
from parc_motion.metrics import (
    clip_metrics,
    final_waypoint_distance,
    high_jerk_share,
    joint_limit_excess,
    max_jerk,
    summarize,
)
from parc_motion.skeletons import load_skeleton
from parc_motion.terrains import Path
from parc_testing.builders import STANDING_HEIGHT, make_clip


@pytest.fixture(scope="module")
def skeleton():
    return load_skeleton("humanoid")


def lifted(by):
    root = np.tile([0.0, 0.0, STANDING_HEIGHT + by], (30, 1))
    return make_clip(root_pos=root)


def test_jerk_by_hand():
    # x = t^3 in frames: third difference 6 everywhere; 10 fps: 6 * 10^3 m/s^3
    x = torch.arange(6.0) ** 3
    body_pos = torch.stack([x, torch.zeros(6), torch.zeros(6)], dim=-1)[:, None]
    assert max_jerk(body_pos, 10.0).tolist() == pytest.approx([6000.0] * 3)


def test_one_jump_makes_the_frames_around_it_jerky():
    # a step of 1 m at 30 fps: third differences 1, -2, 1 in three of the 7 that 10 frames have
    body_pos = torch.zeros(10, 2, 3)
    body_pos[5:, 1, 0] = 1.0
    assert high_jerk_share(body_pos, 30.0).item() == pytest.approx(3 / 7)


def test_jerk_of_three_frames_is_undefined_and_counts_as_none():
    assert high_jerk_share(torch.rand(3, 2, 3), 30.0).item() == 0.0


def test_waypoint_distance_is_horizontal():
    root, path = (
        torch.tensor([[9.0, 9.0, 9.0], [1.0, 2.0, 7.0]]),
        torch.tensor([[0.0, 0.0, 0.0], [4.0, 6.0, 1.0]]),
    )
    assert final_waypoint_distance(root, path).item() == 5.0  # (3, 4)


def test_joint_limits_are_measured_on_both_sides():
    excess = joint_limit_excess(torch.tensor([-2.0, 0.0, 1.5]), torch.full((3,), -1.0), torch.ones(3))
    assert excess.tolist() == [1.0, 0.0, 0.5]


def test_standing_clip_is_clean(skeleton):
    metrics = clip_metrics(make_clip(), skeleton)
    assert metrics["terrain_penetration"] == 0.0
    assert metrics["max_penetration_m"] == pytest.approx(0.0, abs=1e-6)
    assert metrics["terrain_contact"] == pytest.approx(0.0, abs=1e-4)
    assert metrics["high_jerk_percent"] == 0.0
    assert metrics["max_foot_slide_m"] == pytest.approx(0.0, abs=1e-6)
    assert metrics["max_joint_limit_rad"] == pytest.approx(0.0, abs=1e-6)
    assert "final_waypoint_distance_m" not in metrics


def test_floating_clip_misses_its_contacts(skeleton):
    # 30 frames, two feet, 0.1 m each
    assert clip_metrics(lifted(0.1), skeleton)["terrain_contact"] == pytest.approx(6.0, rel=1e-4)


def test_sunken_clip_penetrates(skeleton):
    # by 3 cm: only the 18 sole points of each foot, 30 frames: 30 * 36 * 0.03
    metrics = clip_metrics(lifted(-0.03), skeleton)
    assert metrics["terrain_penetration"] == pytest.approx(32.4, rel=1e-4)
    assert metrics["max_penetration_m"] == pytest.approx(0.03, rel=1e-4)
    assert metrics["terrain_contact"] == 0.0


def test_gliding_feet_slide(skeleton):
    # 1 m/s for 29 steps at 30 fps
    assert clip_metrics(make_clip(speed=1.0), skeleton)["foot_slide_m"] == pytest.approx(29 / 30, rel=1e-4)


def test_clip_without_terrain_has_no_ground_metrics(skeleton):
    metrics = clip_metrics(make_clip(terrain=None), skeleton)
    assert "terrain_penetration" not in metrics
    assert "high_jerk_percent" in metrics


def test_path_gives_the_waypoint_distance(skeleton):
    path = Path(points=[[0.0, 0.0, 0.0], [3.0, 4.0, 0.0]], kinds=[0])
    assert clip_metrics(make_clip(path=path), skeleton)["final_waypoint_distance_m"] == pytest.approx(5.0)


def test_summary_means_and_maxima_over_the_clips_that_have_the_name():
    rows = [{"a": 1.0, "max_b": 2.0}, {"a": 3.0, "max_b": 1.0, "c": 4.0}]
    assert summarize(rows) == {"clips": 2.0, "a": 2.0, "max_b": 2.0, "c": 4.0}
    assert summarize([]) == {"clips": 0.0}


def test_clip_of_another_character_is_refused(skeleton):
    with pytest.raises(SkeletonMismatch, match="was made for character 'robot' with 14 joints"):
        clip_metrics(make_clip(skeleton="robot"), skeleton)
