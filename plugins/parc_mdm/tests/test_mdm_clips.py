"""Bad input is named before training starts."""

import attrs
import numpy as np
import pytest

from parc_mdm.clips import hold_out, usable_clips
from parc_mdm.config import MdmConfig
from parc_mdm.generator import MdmGenerator
from parc_motion.errors import DataError, SkeletonMismatch
from parc_motion.skeletons import load_skeleton
from parc_motion.storage import digest_file, read_arrays, write_arrays
from parc_testing.builders import make_clip
from parc_testing.context import make_context
from parc_testing.contracts.generator import tiny_dataset

SKELETON = load_skeleton()


def usable(dataset, short_clips="error"):
    return usable_clips(dataset, dataset.entries[0].file.parent / "cache", SKELETON, 15, short_clips)


def damaged(dataset, index, **arrays):
    """The data set with other arrays in one of its files, and the digest that the file then has."""
    entry = dataset.entries[index]
    old, header = read_arrays(entry.file)
    write_arrays(entry.file, {**old, **arrays}, header)
    entries = list(dataset.entries)
    entries[index] = attrs.evolve(entry, digest=digest_file(entry.file))
    return attrs.evolve(dataset, entries=tuple(entries))


def test_nan_in_a_clip_is_named_with_file_and_place(tmp_path):
    dataset = tiny_dataset(tmp_path)
    root_pos = dataset[1].root_pos.copy()
    root_pos[7, 2] = np.nan
    with pytest.raises(DataError, match=r"gliding\.npz: .*root_pos.* holds nan at index \[7, 2\]"):
        usable(damaged(dataset, 1, root_pos=root_pos))


def test_clip_shorter_than_a_window_is_named_with_its_file(tmp_path):
    clips = [make_clip(30, name="long"), make_clip(14, name="stub"), make_clip(3, name="dot")]
    dataset = tiny_dataset(tmp_path, clips)
    with pytest.raises(DataError) as caught:
        usable(dataset)
    assert str(caught.value) == (
        f"{tmp_path / 'stub.npz'}: clip 'stub' has 14 frames at 30 per second, 14 at 30; the generator learns from "
        "windows of 15. 1 more clips are too short. Take them out of the data set, or leave them out with "
        "`short_clips: skip`."
    )


def test_frames_of_a_faster_clip_are_counted_at_the_windows_rate(tmp_path):
    # 27 frames at 60 per second are 14 at 30, with the same first and last frame
    with pytest.raises(DataError, match="27 frames at 60 per second, 14 at 30"):
        usable(tiny_dataset(tmp_path, [make_clip(27, name="fast", fps=60.0), make_clip(30)]))


def test_short_clips_may_be_skipped(tmp_path):
    clips = [make_clip(30, name="long"), make_clip(14, name="stub")]
    packed, chosen = usable(tiny_dataset(tmp_path, clips), "skip")
    assert [packed[m].name for m in chosen] == ["long"]


def test_nothing_but_short_clips_is_an_error_even_then(tmp_path):
    with pytest.raises(DataError, match=r"no clip of at least 15 frames \(0.50 s\) among 1"):
        usable(tiny_dataset(tmp_path, [make_clip(10, name="stub")]), "skip")


def test_clip_of_another_character_is_named_with_its_file(tmp_path):
    clip = make_clip(30, name="robot", skeleton="g1")
    with pytest.raises(SkeletonMismatch, match=r"robot\.npz: .*g1.*humanoid"):
        usable(tiny_dataset(tmp_path, [clip]))


def test_clip_without_ground_is_named_with_its_file(tmp_path):
    with pytest.raises(DataError, match=r"floating\.npz: clip 'floating' has no terrain"):
        usable(tiny_dataset(tmp_path, [make_clip(30, name="floating", terrain=None)]))


def test_bad_clip_ends_training_before_anything_is_written(tmp_path):
    context = make_context(tmp_path)
    generator = MdmGenerator(MdmConfig.preset("tiny"), skeleton=SKELETON, device="cpu")
    with pytest.raises(DataError, match=r"stub\.npz"):
        generator.fit(tiny_dataset(tmp_path / "data", [make_clip(10, name="stub")]), context)
    assert list(context.folder.iterdir()) == [] and context.checkpoints.steps() == []


def test_held_out_clips_stay_held_out_when_others_join():
    names = [f"clip_{i}" for i in range(20)]
    held = {n for n, h in zip(names, hold_out(names, 0.25)) if h}
    more = [*names, "another"]
    again = {n for n, h in zip(more, hold_out(more, 0.25)) if h}
    assert len(held) == 5 and len(held & again) >= 4


def test_at_least_one_clip_is_held_out_and_one_trains():
    assert hold_out(["a", "b"], 0.01).sum() == 1 and hold_out(["a", "b"], 0.99).sum() == 1
    assert hold_out(["a"], 0.0).sum() == 0


def test_single_clip_cannot_be_held_out():
    with pytest.raises(DataError, match=r"validation_share is 0\.1, but the data set has one clip, 'only'"):
        hold_out(["only"], 0.1)
