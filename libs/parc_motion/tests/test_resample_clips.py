"""Resampling of clips, and of arrays at any positions."""

from __future__ import annotations

import numpy as np
import pytest

from parc_motion.errors import DataError
from parc_motion.resample import frame_positions, interpolate, nearest_frame, resample_clip, slerp_frames
from parc_testing.builders import make_clip


def test_half_the_rate_takes_every_second_frame_and_drops_touched_cells() -> None:
    clip = make_clip(frames=61, fps=60.0, speed=1.0, touched=[[0, 1, 1]])
    result = resample_clip(clip, 30.0)
    assert (result.num_frames, result.fps, result.touched) == (31, 30.0, None)
    assert result.root_pos == pytest.approx(clip.root_pos[::2], abs=1e-6)
    assert result.joint_rot == pytest.approx(clip.joint_rot[::2], abs=1e-6)
    assert (result.contacts == clip.contacts[::2]).all()


def test_a_clip_at_the_wanted_rate_is_returned_as_it_is() -> None:
    clip = make_clip(frames=31, fps=30.0 + 1e-9)
    assert resample_clip(clip, 30.0) is clip


def test_a_rate_of_zero_is_refused() -> None:
    with pytest.raises(DataError) as caught:
        resample_clip(make_clip(), 0.0)
    assert str(caught.value) == (
        "motion 'standing': cannot resample to 0.0 frames per second, expected more than 0."
    )


def test_positions_cover_the_motion_from_the_first_frame_to_the_last() -> None:
    # 5 frames at 4 Hz last 1 s: 4 frames at 3 Hz, a third of a second apart
    assert frame_positions("m", 5, 4.0, 3.0) == pytest.approx([0.0, 4 / 3, 8 / 3, 4.0])
    assert frame_positions("m", 5, 4.0, 4.01) is None


def test_values_between_frames() -> None:
    # a quarter of the way from the first frame to the second; 0 and 1 rad about z give 0.25 rad
    quats = np.array([[0.0, 0.0, np.sin(a / 2), np.cos(a / 2)] for a in (0.0, 1.0)])
    at = np.array([0.25, 1.0])
    assert interpolate(np.array([2.0, 6.0]), at).tolist() == [3.0, 6.0]
    assert nearest_frame(np.array([0, 1]), np.array([0.25, 0.5])).tolist() == [0, 1]
    z, w = slerp_frames(quats, at)[:, 2:].T
    assert 2 * np.arctan2(z, w) == pytest.approx([0.25, 1.0])
