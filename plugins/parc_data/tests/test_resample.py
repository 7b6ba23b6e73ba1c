"""Resampling keeps what a motion does: its ends, its length, its rotations and its labels."""

from __future__ import annotations

import time

import numpy as np
import pytest

from parc_data.resample import resample
from parc_data.source_motion import SourceMotion
from parc_motion.errors import DataError

MAX_CPU_S = 6.0


def about_z(angle: np.ndarray) -> np.ndarray:
    """Quaternions about z, ``[..., 4]``."""
    zero = np.zeros_like(angle)
    return np.stack([zero, zero, np.sin(angle / 2), np.cos(angle / 2)], axis=-1)


def make_motion(frames: int = 121, fps: float = 120.0, bodies: int = 2, **override: object) -> SourceMotion:
    """Turns about z at 1 rad/s and glides along x at 2 m/s."""
    t = np.arange(frames) / fps
    root = np.stack([2.0 * t, 0 * t, 1 + 0 * t], axis=-1)
    fields = {
        "name": "spin",
        "format": "test",
        "fps": fps,
        "body_names": [f"b{i}" for i in range(bodies)],
        "parents": [i - 1 for i in range(bodies)],
        "root_pos": root,
        "offsets": np.ones((bodies, 3)),
        "local_rot": np.repeat(about_z(t)[:, None], bodies, axis=1),
        "contacts": np.repeat((t < 0.5)[:, None], bodies, axis=1),
    }
    return SourceMotion(**{**fields, **override})


def test_a_quarter_of_the_rate_takes_every_fourth_frame() -> None:
    motion = make_motion()
    found = resample(motion, 30.0)
    assert (found.num_frames, found.fps, found.notes["resampled_from_fps"]) == (31, 30.0, 120.0)
    assert found.root_pos == pytest.approx(motion.root_pos[::4], abs=1e-12)
    assert found.local_rot == pytest.approx(motion.local_rot[::4], abs=1e-12)
    assert (found.contacts == motion.contacts[::4]).all()


@pytest.mark.parametrize("fps", [24.0, 30.0, 50.0, 59.94, 240.0])
def test_ends_are_kept_and_the_length_changes_by_half_a_frame_at_most(fps: float) -> None:
    motion = make_motion(frames=113, fps=100.0)
    found = resample(motion, fps)
    assert abs(found.length - motion.length) <= 0.5 / fps + 1e-12
    for name in ("root_pos", "local_rot"):
        before, after = getattr(motion, name), getattr(found, name)
        assert after[[0, -1]] == pytest.approx(before[[0, -1]], abs=1e-12)


def test_rotations_turn_at_a_constant_rate_along_the_shorter_arc() -> None:
    # two frames a second apart, 0 and 1 rad, the second written with the other sign: a quarter second is 0.25 rad
    rot = about_z(np.array([0.0, 1.0])) * np.array([[1.0], [-1.0]])
    motion = make_motion(frames=2, fps=1.0, bodies=1, local_rot=rot[:, None], contacts=None)
    z, w = resample(motion, 4.0).local_rot[:, 0, 2:].T
    assert 2 * np.arctan(z / w) == pytest.approx([0.0, 0.25, 0.5, 0.75, 1.0], abs=1e-6)


def test_labels_stay_binary() -> None:
    found = resample(make_motion(frames=100, fps=100.0), 30.0)
    assert set(np.unique(found.contacts)) == {0.0, 1.0}
    # labeled up to 0.49 s of 0.99 s, with 31 new frames 0.033 s apart: frames 0 to 15 (0.495 s is frame 49.5, up)
    assert found.contacts[:, 0].sum() == 15


def test_positions_of_markers_and_moved_bodies_are_linear() -> None:
    markers = np.zeros((3, 2, 3))
    markers[:, 1, 0] = [0.0, 1.0, 4.0]
    motion = make_motion(frames=3, fps=1.0, local_rot=None, offsets=None, contacts=None, marker_pos=markers)
    assert resample(motion, 2.0).marker_pos[:, 1, 0].tolist() == [0.0, 0.5, 1.0, 2.5, 4.0]


def test_touched_cells_are_dropped_with_the_frames() -> None:
    motion = make_motion(touched=np.array([[0, 1, 1]]))
    assert resample(motion, 30.0).touched is None
    assert resample(motion, 120.0).touched is not None


def test_a_motion_at_the_rate_is_returned_as_it_is() -> None:
    motion = make_motion()
    assert resample(motion, 120.0) is motion


def test_a_rate_that_differs_by_rounding_keeps_the_frames() -> None:
    # 0.0083333 s a frame, as files write it
    motion = make_motion(fps=1 / 0.0083333)
    found = resample(motion, 120.0)
    assert found.fps == 120.0
    assert (found.local_rot == motion.local_rot).all()


def test_one_frame_stays_one_frame() -> None:
    assert resample(make_motion(frames=1), 30.0).num_frames == 1


@pytest.mark.parametrize("fps", [0.0, -1.0, float("nan")])
def test_a_rate_that_is_none_is_refused(fps: float) -> None:
    with pytest.raises(DataError, match="frames per second, expected more than 0"):
        resample(make_motion(), fps)


def test_a_rate_that_makes_too_many_frames_is_refused() -> None:
    with pytest.raises(DataError) as caught:
        resample(make_motion(frames=10_001, fps=0.1), 30.0)
    assert str(caught.value) == (
        "motion 'spin': resampling 10001 frames from 0.1 to 30 frames per second gives 3000000 frames; at most 2000000 "
        "are allowed. Is the frame rate of the file right?"
    )


def test_a_hundred_thousand_frames_take_seconds() -> None:
    motion = make_motion(frames=100_000, bodies=38)
    started = time.process_time()
    assert resample(motion, 30.0).num_frames == 25_001
    assert time.process_time() - started < MAX_CPU_S
