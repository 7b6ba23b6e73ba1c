"""What every `motion_source` promises.

A test module of a plugin runs it so::

    class TestMySource(MotionSourceContract):
        @pytest.fixture
        def make(self, tmp_path):
            return lambda: MySource(MyConfig(...), skeleton=load_skeleton("humanoid"), seeds=SeedStreams(7))
"""

from __future__ import annotations

import pathlib
from collections.abc import Callable

import numpy as np

from parc_core.interfaces import MotionSource
from parc_motion.clips import MotionClip, load_clip, save_clip

__all__ = ["MotionSourceContract"]

_ARRAYS = ("root_pos", "root_rot", "joint_rot", "contacts")


class MotionSourceContract:
    """Subclass it and give it the fixture `make`: a function that returns a fresh source, always of the same data."""

    def test_source_is_a_motion_source(self, make: Callable[[], MotionSource]) -> None:
        assert isinstance(make(), MotionSource)

    def test_source_gives_at_least_one_clip(self, make: Callable[[], MotionSource]) -> None:
        clips = list(make().clips())
        assert clips
        assert all(isinstance(clip, MotionClip) for clip in clips)

    def test_names_are_unique_and_fit_for_files(self, make: Callable[[], MotionSource]) -> None:
        names = [clip.name for clip in make().clips()]
        assert len(set(names)) == len(names)
        assert all(name and "/" not in name and not name.startswith(".") for name in names)

    def test_every_clip_carries_terrain_under_its_root(self, make: Callable[[], MotionSource]) -> None:
        for clip in make().clips():
            assert clip.terrain is not None, clip.name
            half = 0.5 * clip.terrain.cell
            xy = clip.root_pos[:, :2]
            inside = (xy >= clip.terrain.origin_xy - half) & (xy <= clip.terrain.max_xy + half)
            assert inside.all(), f"{clip.name} leaves its terrain"

    def test_contacts_are_between_0_and_1(self, make: Callable[[], MotionSource]) -> None:
        for clip in make().clips():
            assert clip.contacts.min() >= 0.0, clip.name
            assert clip.contacts.max() <= 1.0, clip.name

    def test_touched_cells_lie_in_the_clip_and_its_terrain(self, make: Callable[[], MotionSource]) -> None:
        for clip in make().clips():
            if clip.touched is not None and clip.terrain is not None and len(clip.touched):
                assert clip.touched.min() >= 0, clip.name
                assert (clip.touched.max(axis=0) < [clip.num_frames, *clip.terrain.shape]).all(), clip.name
                assert (np.diff(clip.touched[:, 0]) >= 0).all(), clip.name

    def test_equal_sources_give_equal_clips_in_equal_order(self, make: Callable[[], MotionSource]) -> None:
        first, second = list(make().clips()), list(make().clips())
        assert [clip.name for clip in first] == [clip.name for clip in second]
        for a, b in zip(first, second):
            assert all((getattr(a, name) == getattr(b, name)).all() for name in _ARRAYS), a.name

    def test_a_source_can_be_read_twice(self, make: Callable[[], MotionSource]) -> None:
        source = make()
        assert [clip.name for clip in source.clips()] == [clip.name for clip in source.clips()]

    def test_weights_are_finite_and_one_is_above_0(self, make: Callable[[], MotionSource]) -> None:
        source = make()
        weights = [source.weight_of(clip) for clip in source.clips()]
        assert np.isfinite(weights).all()
        assert min(weights) >= 0.0 < max(weights)

    def test_clips_survive_a_file(self, make: Callable[[], MotionSource], tmp_path: pathlib.Path) -> None:
        clip = next(make().clips())
        save_clip(tmp_path / "clip.npz", clip)
        loaded = load_clip(tmp_path / "clip.npz")
        assert loaded.name == clip.name
        assert loaded.motion_class == clip.motion_class
        assert all((getattr(loaded, name) == getattr(clip, name)).all() for name in _ARRAYS)
