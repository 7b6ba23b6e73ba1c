"""What every optimizer promises.

class TestMine(OptimizerContract):
    @pytest.fixture
    def make(self):
        return lambda: MyOptimizer(MyConfig(), skeleton=load_skeleton("humanoid"), device="cpu")
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from parc_core.interfaces import Optimizer
from parc_motion.clips import MotionClip
from parc_testing.builders import make_clip, make_terrain

__all__ = ["OptimizerContract"]


class OptimizerContract:
    """Subclass it, and give a fixture `make` that returns a function making a fresh optimizer."""

    @pytest.fixture
    def make(self) -> Callable[[], Optimizer]:
        """A function that makes the optimizer under test."""
        raise NotImplementedError("a subclass of OptimizerContract gives the fixture `make`")

    @staticmethod
    def clips() -> list[MotionClip]:
        """Two short clips of different length, on terrains of different size."""
        other = make_terrain((9, 14), [((slice(8, 9), slice(None)), 0.3)])
        return [make_clip(9, speed=0.5, name="one"), make_clip(13, speed=0.3, name="two", terrain=other)]

    def test_one_result_per_clip_in_order(self, make: Callable[[], Optimizer]) -> None:
        assert [r.clip.name for r in make().refine(self.clips())] == ["one", "two"]

    def test_nothing_in_gives_nothing_out(self, make: Callable[[], Optimizer]) -> None:
        assert make().refine([]) == []

    def test_terrain_rate_class_and_character_stay(self, make: Callable[[], Optimizer]) -> None:
        for clip, refined in zip(self.clips(), make().refine(self.clips())):
            assert refined.clip.fps == clip.fps
            assert refined.clip.skeleton == clip.skeleton
            assert refined.clip.motion_class == clip.motion_class
            assert refined.clip.terrain is not None and clip.terrain is not None
            assert np.array_equal(refined.clip.terrain.height, clip.terrain.height)

    def test_frames_are_those_that_were_not_removed(self, make: Callable[[], Optimizer]) -> None:
        for clip, refined in zip(self.clips(), make().refine(self.clips())):
            assert refined.clip.num_frames == clip.num_frames - len(refined.removed_frames)
            assert all(0 <= frame < clip.num_frames for frame in refined.removed_frames)

    def test_losses_are_finite_and_cover_the_same_terms(self, make: Callable[[], Optimizer]) -> None:
        for refined in make().refine(self.clips()):
            assert set(refined.before) == set(refined.after)
            assert np.isfinite([*refined.before.values(), *refined.after.values()]).all()

    def test_same_clips_give_same_result(self, make: Callable[[], Optimizer]) -> None:
        one, two = (make().refine(self.clips()) for _ in range(2))
        for a, b in zip(one, two):
            assert np.array_equal(a.clip.root_pos, b.clip.root_pos)
            assert np.array_equal(a.clip.joint_rot, b.clip.joint_rot)
            assert np.array_equal(a.clip.contacts, b.clip.contacts)

    def test_input_is_left_alone(self, make: Callable[[], Optimizer]) -> None:
        clips = self.clips()
        copies = [(clip.root_pos.copy(), clip.joint_rot.copy()) for clip in clips]
        make().refine(clips)
        for clip, (root_pos, joint_rot) in zip(clips, copies):
            assert np.array_equal(clip.root_pos, root_pos)
            assert np.array_equal(clip.joint_rot, joint_rot)

    def test_progress_never_exceeds_its_total(self, make: Callable[[], Optimizer]) -> None:
        calls: list[tuple[float, float, str]] = []
        make().refine(self.clips(), lambda done, total, note: calls.append((done, total, note)))
        assert all(0 <= done <= total for done, total, _ in calls)
