"""What every selector promises.

class TestMine(SelectorContract):
    @pytest.fixture
    def make(self):
        return lambda: MySelector(MyConfig(), skeleton=load_skeleton("humanoid"), device="cpu")
"""

from __future__ import annotations

from collections.abc import Callable

import attrs
import numpy as np
import pytest

from parc_core.interfaces import Scored, Selector
from parc_motion.clips import MotionClip
from parc_motion.terrains import Path
from parc_testing.builders import make_clip, make_terrain

__all__ = ["SelectorContract"]


class SelectorContract:
    """Subclass it, and give a fixture `make` that returns a function making a fresh selector."""

    @pytest.fixture
    def make(self) -> Callable[[], Selector]:
        """A function that makes the selector under test."""
        raise NotImplementedError("a subclass of SelectorContract gives the fixture `make`")

    @staticmethod
    def candidates() -> list[MotionClip]:
        """Clips of different lengths: good ones, one that floats and one inside the ground."""
        clips = [make_clip(frames, speed=1.0, name=f"clip_{frames}") for frames in (20, 31, 45)]
        for lift in (0.6, -0.5):
            clip = make_clip(25, speed=1.0, name=f"lifted_{lift}")
            clips.append(
                attrs.evolve(clip, root_pos=clip.root_pos + np.array([0, 0, lift], dtype=np.float32))
            )
        return clips

    @staticmethod
    def path() -> Path:
        """Straight along x."""
        return Path(points=[[0, 0, 0], [0.5, 0, 0], [1, 0, 0]], kinds=[0, 0])

    def _select(self, make: Callable[[], Selector], clips: list[MotionClip]) -> list[Scored]:
        return make().select(clips, make_terrain(), self.path())

    def test_every_candidate_comes_back_once(self, make: Callable[[], Selector]) -> None:
        clips = self.candidates()
        assert sorted(id(s.clip) for s in self._select(make, clips)) == sorted(id(clip) for clip in clips)

    def test_accepted_come_first_each_part_best_first(self, make: Callable[[], Selector]) -> None:
        scored = self._select(make, self.candidates())
        accepted = [s.accepted for s in scored]
        assert accepted == sorted(accepted, reverse=True)
        for part in (True, False):
            totals = [s.total for s in scored if s.accepted is part]
            assert totals == sorted(totals)

    def test_rejected_have_reasons_and_totals_are_finite(self, make: Callable[[], Selector]) -> None:
        for s in self._select(make, self.candidates()):
            assert np.isfinite(s.total)
            assert all(np.isfinite(value) for value in s.scores.values())
            assert all(reason.strip() for reason in s.rejected)

    def test_same_candidates_give_same_answer(self, make: Callable[[], Selector]) -> None:
        one, two = (self._select(make, self.candidates()) for _ in range(2))
        assert [(s.clip.name, s.total, s.rejected) for s in one] == [
            (s.clip.name, s.total, s.rejected) for s in two
        ]

    def test_one_candidate_and_none_are_fine(self, make: Callable[[], Selector]) -> None:
        assert len(self._select(make, self.candidates()[:1])) == 1
        assert self._select(make, []) == []

    def test_candidates_are_left_alone(self, make: Callable[[], Selector]) -> None:
        clips = self.candidates()
        copies = [clip.root_pos.copy() for clip in clips]
        self._select(make, clips)
        assert all(np.array_equal(clip.root_pos, copy) for clip, copy in zip(clips, copies))
