"""Clips of a folder."""

from __future__ import annotations

import pathlib
from typing import Any

import pytest

from parc_core.interfaces import SeedStreams
from parc_data.folder import FolderConfig, FolderSource
from parc_motion.clips import MotionClip, save_clip
from parc_motion.errors import CorruptArtifact, DataError, SkeletonMismatch
from parc_motion.skeletons import load_skeleton
from parc_testing.builders import make_clip, make_terrain


def read(path: pathlib.Path, **settings: Any) -> list[MotionClip]:
    config = FolderConfig(path=str(path), **settings)
    return list(FolderSource(config, skeleton=load_skeleton("humanoid"), seeds=SeedStreams(0)).clips())


def test_class_is_the_first_sub_folder_and_order_is_that_of_paths(tmp_path: pathlib.Path) -> None:
    save_clip(tmp_path / "run" / "fast" / "z.npz", make_clip(name="z"))
    save_clip(tmp_path / "climb" / "y.npz", make_clip(name="y"))
    save_clip(tmp_path / "x.npz", make_clip(name="x", motion_class="stand"))
    save_clip(tmp_path / "w.npz", make_clip(name="w", motion_class=""))
    found = [(clip.name, clip.motion_class) for clip in read(tmp_path)]
    assert found == [("y", "climb"), ("z", "run"), ("w", tmp_path.name), ("x", "stand")]


def test_short_clips_and_wide_terrains_are_left_out_and_named(
    tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    save_clip(tmp_path / "a.npz", make_clip(name="a", frames=14))
    save_clip(tmp_path / "b.npz", make_clip(name="b", terrain=make_terrain((3, 21))))
    save_clip(tmp_path / "c.npz", make_clip(name="c", frames=15))
    assert [clip.name for clip in read(tmp_path, max_terrain_dim=20)] == ["c"]
    assert "a.npz: left out: 14 frames, fewer than 15" in caplog.text
    assert "b.npz: left out: terrain of 3 x 21 cells" in caplog.text


def test_a_folder_of_which_nothing_is_left_is_refused(tmp_path: pathlib.Path) -> None:
    save_clip(tmp_path / "a.npz", make_clip(name="a", frames=14))
    with pytest.raises(DataError, match="none of its 1 clips can be used"):
        read(tmp_path)


def test_missing_and_empty_folders_are_refused(tmp_path: pathlib.Path) -> None:
    with pytest.raises(DataError, match="no such folder"):
        read(tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"holds no \.npz clip"):
        read(tmp_path)


def test_equal_names_are_refused(tmp_path: pathlib.Path) -> None:
    save_clip(tmp_path / "a.npz", make_clip(name="same"))
    save_clip(tmp_path / "b.npz", make_clip(name="same"))
    with pytest.raises(DataError, match="its clip is called 'same'"):
        read(tmp_path)


def test_a_damaged_file_is_an_error_and_not_skipped(tmp_path: pathlib.Path) -> None:
    save_clip(tmp_path / "a.npz", make_clip(name="a"))
    (tmp_path / "b.npz").write_bytes((tmp_path / "a.npz").read_bytes()[:200])
    with pytest.raises(CorruptArtifact, match=r"b\.npz"):
        read(tmp_path)


def test_a_clip_of_another_character_is_refused(tmp_path: pathlib.Path) -> None:
    save_clip(tmp_path / "a.npz", make_clip(name="a", skeleton="robot"))
    with pytest.raises(SkeletonMismatch, match=r"a\.npz: .*'robot'"):
        read(tmp_path)
