"""Hesitation: what is cut, what stays, and that the seam is smooth."""

from __future__ import annotations

import attrs
import numpy as np
import pytest
import torch

from parc_kinopt.hesitation import HesitationConfig, near_pose_frames, remove_frames, remove_hesitation
from parc_kinopt.smoothing import low_pass
from parc_motion.kinematics import Kinematics
from parc_motion.skeletons import load_skeleton
from parc_testing.builders import make_clip

KIN = Kinematics(load_skeleton("humanoid"))


def _stop_and_go(move: int, pause: int, speed: float = 1.0):
    """Arms still; glides, stands, glides again."""
    rate = np.concatenate([np.full(move, speed), np.zeros(pause), np.full(move, speed)]) / 30
    frames = len(rate)
    clip = make_clip(frames)
    root_pos, joint_rot = clip.root_pos.copy(), clip.joint_rot.copy()
    root_pos[:, 0] = np.concatenate([[0], np.cumsum(rate)[:-1]])
    joint_rot[:] = [0, 0, 0, 1]
    return attrs.evolve(clip, root_pos=root_pos, joint_rot=joint_rot)


def test_long_pause_inside_is_cut_to_its_remainder():
    clip = _stop_and_go(20, 30)
    shorter, removed = remove_hesitation(clip, HesitationConfig(), KIN)
    assert 15 <= len(removed) <= 30
    assert removed == tuple(range(removed[0], removed[-1] + 1))
    assert removed[0] >= 20 and removed[-1] < 50
    assert shorter.num_frames == clip.num_frames - len(removed)


def test_short_pause_stays():
    assert remove_hesitation(_stop_and_go(20, 5), HesitationConfig(), KIN)[1] == ()


def test_standing_at_the_start_and_end_stays():
    clip = _stop_and_go(20, 0)
    still = lambda a, before, after: np.concatenate([a[:1].repeat(before, 0), a, a[-1:].repeat(after, 0)])  # noqa: E731
    padded = {k: still(getattr(clip, k), 30, 30) for k in ("root_pos", "root_rot", "joint_rot", "contacts")}
    assert remove_hesitation(attrs.evolve(clip, **padded), HesitationConfig(), KIN)[1] == ()


def test_standing_clip_stays_whole():
    clip = make_clip(60)
    assert remove_hesitation(clip, HesitationConfig(), KIN)[1] == ()


def test_seam_has_no_jump_of_velocity():
    # 1 m/s on both sides, 0.5 m apart after the cut: without blending the root would jump at 15 m/s
    clip = make_clip(40, speed=1.0)
    drop = np.zeros(40, dtype=bool)
    drop[15:30] = True
    hard, soft = remove_frames(clip, drop, 0), remove_frames(clip, drop, 8)
    speed = lambda c: np.diff(c.root_pos[:, 0]) * 30  # noqa: E731
    assert speed(hard)[14] == pytest.approx(16.0, abs=0.01)
    # frame 15 lies where frames 13 and 14 pointed: exactly the velocity before the seam
    assert speed(soft)[14] == pytest.approx(1.0, abs=1e-3)
    assert soft.root_pos[-1] == pytest.approx(clip.root_pos[-1])


def test_seam_directly_after_the_first_frame_fades_too():
    # frame 1, the first that is cut, says that the clip began at 1 m/s; without it the root would jump at 15 m/s
    clip = make_clip(40, speed=1.0)
    drop = np.zeros(40, dtype=bool)
    drop[1:15] = True
    soft = remove_frames(clip, drop, 8)
    assert np.diff(soft.root_pos[:, 0])[0] * 30 == pytest.approx(1.0, abs=1e-3)
    assert soft.root_pos[-1] == pytest.approx(clip.root_pos[-1])


def test_turn_across_a_seam_is_joined_without_jump():
    clip = make_clip(40)
    yaw = 0.02 * np.arange(40)
    root_rot = np.stack([0 * yaw, 0 * yaw, np.sin(yaw / 2), np.cos(yaw / 2)], axis=-1)
    drop = np.zeros(40, dtype=bool)
    drop[15:25] = True
    soft = remove_frames(attrs.evolve(clip, root_rot=root_rot), drop, 6)
    angle = 2 * np.arctan2(soft.root_rot[:, 2], soft.root_rot[:, 3])
    assert np.diff(angle)[14] == pytest.approx(0.02, abs=1e-3)
    assert angle[-1] == pytest.approx(yaw[-1], abs=1e-4)


def test_published_rule_marks_returns_to_a_pose_and_spares_short_runs():
    # one coordinate: 0 0 0 0 0 1 2 3 0 0; distance 0.5, runs of at least 4
    values = np.array([0, 0, 0, 0, 0, 1, 2, 3, 0, 0], dtype=float).reshape(-1, 1, 1).repeat(
        3, axis=2
    ) / np.sqrt(3)
    marked = near_pose_frames(values, 0.5, 4)
    # frames 1-4 lie near frame 0 (a run of 4); 8 and 9 too, but only two of them
    assert np.flatnonzero(marked).tolist() == [1, 2, 3, 4]


def test_published_rule_marks_what_a_plain_double_loop_marks():
    rng = np.random.default_rng(2)
    body_pos = np.cumsum(rng.normal(scale=0.03, size=(150, 15, 3)), axis=0)
    body_pos[60:80] = body_pos[20:40]  # comes back, much later
    body_pos[100:109] = body_pos[99]
    marked = np.zeros(150, dtype=bool)
    for i in range(150):
        for j in range(i + 1, 150):
            if not marked[i] and np.sqrt(((body_pos[j] - body_pos[i]) ** 2).sum()) < 0.15:
                marked[j] = True
    edges = np.flatnonzero(np.diff(np.concatenate([[0], marked, [0]])))
    for first, stop in zip(edges[::2], edges[1::2]):
        if stop - first < 4:
            marked[first:stop] = False
    assert marked.sum() > 20
    assert near_pose_frames(body_pos, 0.15, 4).tolist() == marked.tolist()


def test_rule_none_removes_nothing():
    assert remove_hesitation(_stop_and_go(20, 40), HesitationConfig(rule="none"), KIN)[1] == ()


def test_low_pass_keeps_parabolas_and_halves_its_cutoff():
    time = torch.arange(300, dtype=torch.float64) / 30
    parabola = 1.0 + 2.0 * time - 4.9 * time.square()
    assert torch.allclose(low_pass(parabola, 30.0, 5.0), parabola, atol=1e-7)
    wave = torch.sin(2 * torch.pi * 5.0 * time)
    smooth = low_pass(wave, 30.0, 5.0)[100:200]
    assert float(smooth.norm() / wave[100:200].norm()) == pytest.approx(0.5, abs=0.01)
