"""Clips, terrains, paths and data sets refuse what does not fit, and survive a round trip."""

from __future__ import annotations

import attrs
import numpy as np
import pytest

from parc_motion.clips import (
    DatasetEntry,
    MotionDataset,
    class_balanced_weights,
    load_clip,
    mirror_clip,
    save_clip,
)
from parc_motion.errors import CorruptArtifact, DataError, ShapeError, SkeletonMismatch
from parc_motion.skeletons import load_skeleton
from parc_motion.terrains import Path, SegmentKind, Terrain
from parc_testing.builders import make_clip, make_terrain


def make_path() -> Path:
    return Path(
        points=[[0, 0, 0], [0.4, 0, 0], [0.8, 0.4, 0.3]],
        kinds=[SegmentKind.WALK, SegmentKind.CLIMB],
        cost=1.5,
    )


def test_cell_is_centered_on_its_point_and_reaches_half_a_cell():
    terrain = Terrain(height=[[1, 2], [3, 4]], origin_xy=[10, 20], cell=0.5)
    points = np.array([[10.24, 20.24], [10.26, 20.24], [10.24, 20.26], [99, 99], [-99, 99]])
    assert terrain.height_at(points).tolist() == [1, 3, 2, 4, 2]


def test_arrays_of_a_clip_cannot_be_written_into():
    with pytest.raises(ValueError, match="read-only"):
        make_clip().root_pos[0, 0] = 1.0


def test_wrong_shape_names_clip_field_and_both_shapes():
    with pytest.raises(
        ShapeError, match=r"clip 'standing': root_rot has shape \[29, 4\], expected \[30, 4\]\."
    ):
        make_clip(root_rot=np.tile([0, 0, 0, 1], (29, 1)))


def test_nan_is_refused_with_its_place():
    pos = np.zeros((30, 3))
    pos[7, 2] = np.nan
    with pytest.raises(DataError, match=r"root_pos holds nan at index \[7, 2\] \(1 such values\)"):
        make_clip(root_pos=pos)


def test_quaternion_that_is_not_a_rotation_is_refused():
    rot = np.tile([0, 0, 0, 1.0], (30, 1))
    rot[3] *= 1.5
    with pytest.raises(DataError, match=r"quaternion of length 1.5000 at index \[3\]"):
        make_clip(root_rot=rot)


def test_clip_of_another_character_is_refused():
    with pytest.raises(
        SkeletonMismatch, match="was made for character 'g1' with 14 joints; this run uses 'humanoid'"
    ):
        make_clip(skeleton="g1").require_skeleton("humanoid", 14)


def test_clip_survives_a_round_trip_with_equal_bytes(tmp_path):
    clip = make_clip(
        path=make_path(), touched=[[0, 1, 2], [5, 3, 4]], terrain=make_terrain(bounds=np.zeros((12, 10, 2)))
    )
    first = save_clip(tmp_path / "a.npz", clip)
    again = load_clip(tmp_path / "a.npz")
    assert save_clip(tmp_path / "b.npz", again) == first
    assert again.path is not None and again.path.kinds.tolist() == [0, 1]
    assert again.touched is not None and again.touched.tolist() == [[0, 1, 2], [5, 3, 4]]


def test_frames_of_a_clip_keep_their_touched_cells():
    clip = make_clip(touched=[[0, 1, 1], [5, 2, 2], [9, 3, 3]]).frames(5, 9)
    assert clip.num_frames == 4
    assert clip.touched is not None and clip.touched.tolist() == [[0, 2, 2]]


def test_mirroring_twice_gives_the_clip_back():
    clip = make_clip(speed=1.0, path=make_path(), touched=[[0, 1, 2]])
    skeleton = load_skeleton()
    twice = mirror_clip(mirror_clip(clip, skeleton), skeleton)
    for field in ("root_pos", "root_rot", "joint_rot", "contacts", "touched"):
        np.testing.assert_allclose(getattr(twice, field), getattr(clip, field), atol=1e-7, err_msg=field)
    assert twice.terrain is not None and clip.terrain is not None
    np.testing.assert_allclose(twice.terrain.origin_xy, clip.terrain.origin_xy, atol=1e-6)


def test_mirrored_character_stands_on_mirrored_ground():
    terrain = make_terrain(steps=[((slice(0, 4), slice(0, 3)), 0.5)])
    mirrored = mirror_clip(make_clip(terrain=terrain), load_skeleton()).terrain
    points = np.random.default_rng(0).uniform(-2, 5, (50, 2))
    assert mirrored is not None
    np.testing.assert_array_equal(mirrored.height_at(points * [1, -1]), terrain.height_at(points))


def test_every_class_gets_the_same_weight_and_clips_share_it_by_length():
    # class a: lengths 1 and 3, class b: 2. Each class 1/2; within a: 1/4 and 3/4.
    weights = class_balanced_weights(["a", "a", "b"], [1.0, 3.0, 2.0])
    assert weights.tolist() == [0.125, 0.375, 0.5]


def make_dataset(folder) -> MotionDataset:
    file = folder / "clips" / "a.npz"
    digest = save_clip(file, make_clip())
    entry = DatasetEntry(
        file=file, name="standing", motion_class="stand", num_frames=30, fps=30.0, digest=digest
    )
    return MotionDataset(entries=(entry,))


def test_dataset_survives_a_move_of_its_run(tmp_path):
    dataset = make_dataset(tmp_path / "run")
    dataset.save(tmp_path / "run" / "iter_001" / "dataset.yaml")
    (tmp_path / "run").rename(tmp_path / "moved")
    again = MotionDataset.load(tmp_path / "moved" / "iter_001" / "dataset.yaml")
    assert again.digest == dataset.digest
    assert again[0].name == "standing"


def test_changed_clip_file_is_noticed(tmp_path):
    dataset = make_dataset(tmp_path)
    save_clip(tmp_path / "clips" / "a.npz", make_clip(speed=1.0))
    with pytest.raises(CorruptArtifact, match="changed since the data set was made"):
        dataset[0]


def test_clip_header_of_a_newer_format_says_what_to_do(tmp_path):
    from parc_motion import storage

    save_clip(tmp_path / "a.npz", make_clip())
    arrays, header = storage.read_arrays(tmp_path / "a.npz")
    storage.write_arrays(tmp_path / "a.npz", arrays, {**header, "format": 99})
    with pytest.raises(DataError, match=r"clip format 99; this version reads 1. Upgrade parc-core"):
        load_clip(tmp_path / "a.npz")


def test_terrain_needs_a_cell():
    with pytest.raises(DataError, match=r"shape \[0, 3\]: a terrain needs a cell"):
        Terrain(height=np.zeros((0, 3)))


def test_evolved_clip_is_checked_again():
    with pytest.raises(DataError, match="fps is -1"):
        attrs.evolve(make_clip(), fps=-1)
