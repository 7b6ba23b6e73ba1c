"""The motion library: what it answers on frames, between them, past the end and in loops."""

from __future__ import annotations

import attrs
import numpy as np
import pytest
import torch

from parc_core.interfaces import Reference
from parc_deepmimic import reference
from parc_deepmimic.reference import MotionLibrary
from parc_motion.clips import cached_clips
from parc_motion.errors import DataError, SkeletonMismatch
from parc_motion.kinematics import rotations as rot
from parc_motion.skeletons import load_skeleton
from parc_testing.builders import make_clip
from parc_testing.contracts.generator import tiny_dataset

SKELETON = load_skeleton("humanoid")


def _library(*clips):
    return MotionLibrary(clips or (make_clip(31, name="a"), make_clip(20, name="b", speed=1.5)), SKELETON)


def test_on_frames_both_ways_agree():
    library = _library()
    ids = torch.tensor([0, 1, 1, 0])
    times = torch.tensor([0, 3, 19, 30]) / 30.0
    fast, exact = library.query(ids, times, on_frames=True), library.query(ids, times)
    for field in attrs.fields(type(fast)):
        a, b = getattr(fast, field.name), getattr(exact, field.name)
        torch.testing.assert_close(a, b, atol=1e-4, rtol=0, msg=lambda m, n=field.name: f"{n}: {m}")


def test_between_frames_positions_are_blended_and_velocities_are_those_of_the_frame_before():
    clip = make_clip(4, name="a")
    pos = np.array(clip.root_pos)
    pos[:, 0] = [0.0, 1.0, 4.0, 9.0]  # velocities 30, 90, 150, 150 m/s
    library = _library(attrs.evolve(clip, root_pos=pos))
    ref = library.query(torch.tensor([0, 0]), torch.tensor([1.25, 3.0]) / 30.0)
    torch.testing.assert_close(ref.root_pos[:, 0], torch.tensor([1.75, 9.0]), atol=1e-4, rtol=0)
    torch.testing.assert_close(ref.root_vel[:, 0], torch.tensor([90.0, 150.0]), atol=1e-3, rtol=0)


def test_limbs_keep_their_length_between_frames():
    clip = make_clip(3, name="a")
    joint_rot = np.array(clip.joint_rot)
    joint_rot[1, 9] = [0.0, np.sin(0.6), 0.0, np.cos(0.6)]  # knee bent by 1.2 rad within one frame
    library = _library(attrs.evolve(clip, joint_rot=joint_rot))
    ref = library.query(torch.tensor([0]), torch.tensor([0.5 / 30.0]))
    shin = (ref.body_pos[0, 11] - ref.body_pos[0, 10]).norm()
    assert abs(float(shin) - 0.40987) < 1e-5  # right shin to right foot


def test_joint_velocities_carry_a_pose_to_the_next():
    clip = make_clip(31, name="a")
    library = _library(clip)
    frames = library.frames
    turn = library.kinematics.dof_to_joint_rot(frames.dof_vel[5] / 30.0)
    torch.testing.assert_close(
        rot.multiply(frames.joint_rot[5], turn), frames.joint_rot[6], atol=1e-5, rtol=0
    )


def test_time_before_and_after_the_motion_is_clamped():
    library = _library()
    ref = library.query(torch.tensor([1, 1]), torch.tensor([-1.0, 99.0]))
    ends = library.query(torch.tensor([1, 1]), torch.tensor([0.0, 19 / 30.0]))
    torch.testing.assert_close(ref.root_pos, ends.root_pos)


@pytest.mark.parametrize("on_frames", [True, False])
def test_a_looping_motion_goes_on_with_its_travel(on_frames):
    clip = make_clip(31, name="a", speed=0.9, loop="wrap")  # 0.9 m in a loop of 1 s
    library = _library(clip, make_clip(31, name="b", speed=0.9))
    ids = torch.tensor([0, 0, 0, 1])
    times = torch.tensor([0.5, 2.5, 1.0, 2.5])
    ref = library.query(ids, times, on_frames)
    torch.testing.assert_close(ref.root_pos[:, 0], torch.tensor([0.45, 2.25, 0.9, 0.9]), atol=1e-4, rtol=0)
    torch.testing.assert_close(ref.body_pos[:, 0, 0], ref.root_pos[:, 0])
    torch.testing.assert_close(ref.root_pos[:, 2], ref.root_pos[:1, 2].expand(4))


def test_times_off_the_frames_are_noticed():
    library = _library(
        make_clip(31, name="a"), make_clip(31, name="b", fps=50.0), make_clip(31, name="c", fps=60.0)
    )
    time = torch.tensor([1 / 30.0])
    assert library.is_on_frames(torch.tensor([0]), time, 30.0)
    assert library.is_on_frames(torch.tensor([2]), time, 30.0)
    assert not library.is_on_frames(torch.tensor([1]), time, 30.0)
    assert not library.is_on_frames(torch.tensor([0]), time + 0.01, 30.0)


def test_a_clip_of_one_frame_is_refused():
    with pytest.raises(DataError, match="clip 'short' has 1 frame; a motion to follow needs at least 2"):
        _library(make_clip(1, name="short"))


def test_a_clip_of_another_character_is_refused():
    with pytest.raises(SkeletonMismatch):
        _library(make_clip(5, skeleton="ant"))


def test_frames_do_not_depend_on_the_clips_beside_them(monkeypatch):
    clips = [
        make_clip(31, name="a"),
        make_clip(20, name="b", speed=1.5),
        make_clip(50, name="c", fps=60.0, speed=0.7),
        make_clip(12, name="d", speed=-2.0),
    ]
    alone = [MotionLibrary([clip], SKELETON).frames for clip in clips]
    for batch_frames in (1, 40, 10_000):
        monkeypatch.setattr("parc_deepmimic.reference._BATCH_FRAMES", batch_frames)
        together = MotionLibrary(clips, SKELETON).frames
        for field in attrs.fields(type(together)):
            expected = torch.cat([getattr(frames, field.name) for frames in alone])
            torch.testing.assert_close(getattr(together, field.name), expected, atol=1e-6, rtol=0)


def packed_clips(folder, clips):
    return cached_clips(tiny_dataset(folder, clips), folder / "cache")


def test_library_of_packed_clips_is_that_of_the_clips(tmp_path, monkeypatch):
    clips = [
        make_clip(31, name="a"),
        make_clip(20, name="b", speed=1.5, fps=60.0),
        make_clip(16, name="c", loop="wrap"),
    ]
    whole = MotionLibrary(clips, SKELETON)

    def twice(frames):
        return 2.0 * frames.root_pos

    expected = whole.frame_table("twice", None, twice)
    packed = packed_clips(tmp_path, clips)
    for attempt in range(2):
        if attempt:  # mapped, not computed
            monkeypatch.setattr(reference, "_frames", None)
            twice = None
        library = MotionLibrary(packed, SKELETON)
        for field in attrs.fields(Reference):
            assert torch.equal(getattr(library.frames, field.name), getattr(whole.frames, field.name)), (
                field.name
            )
        assert torch.equal(library.frame_table("twice", None, twice), expected)
        assert torch.equal(library.travel, whole.travel) and library.names == whole.names


def test_tables_of_other_settings_are_computed(tmp_path):
    library = MotionLibrary(packed_clips(tmp_path, [make_clip(31, name="a")]), SKELETON)
    one, two = (library.frame_table("scaled", k, lambda frames, k=k: k * frames.root_vel) for k in (1.0, 2.0))
    assert torch.equal(2.0 * one, two)
