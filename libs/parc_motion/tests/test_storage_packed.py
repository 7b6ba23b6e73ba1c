"""The packed store: what goes in comes out, and damage or age is seen."""

from __future__ import annotations

import pathlib
from typing import Any

import numpy as np
import pytest
import torch

from parc_motion.clips import (
    DatasetEntry,
    MotionClip,
    MotionDataset,
    PackedClips,
    Provenance,
    load_clip,
    save_clip,
    write_packed_clips,
)
from parc_motion.errors import CorruptArtifact, DataError, ShapeError, SkeletonMismatch
from parc_motion.storage import (
    PackedArrays,
    PackedField,
    PackedWriter,
    digest_file,
    digest_json,
    read_json,
    write_json,
)
from parc_motion.terrains import Path
from parc_testing.builders import make_clip, make_terrain

FIELDS = {
    "pos": PackedField(dtype="<f4", shape=(2,), group="frames"),
    "label": PackedField(dtype="|i1", shape=(), group="frames"),
    "cells": PackedField(dtype="<i4", shape=(3,), group="cells"),
}


def item(frames: int, cells: int = 0) -> dict[str, np.ndarray]:
    return {
        "pos": np.arange(2.0 * frames).reshape(frames, 2),
        "label": np.ones(frames),
        "cells": np.full((cells, 3), cells),
    }


def write(folder: pathlib.Path, *items: dict[str, np.ndarray]) -> pathlib.Path:
    with PackedWriter(folder, FIELDS) as writer:
        for one in items:
            writer.append(one)
        writer.finish({"names": len(items)})
    return folder


def write_manifest(folder: pathlib.Path, document: dict[str, Any]) -> None:
    """A manifest whose own digest is right, whatever else is wrong with it."""
    document = {key: value for key, value in document.items() if key != "digest"}
    write_json(folder / "packed.json", {**document, "digest": digest_json(document)})


def dataset_of(folder: pathlib.Path, *clips: MotionClip) -> MotionDataset:
    entries = []
    for clip in clips:
        file = folder / f"{clip.name}.npz"
        save_clip(file, clip)
        facts = {
            "name": clip.name,
            "motion_class": clip.motion_class,
            "num_frames": clip.num_frames,
            "fps": clip.fps,
        }
        entries.append(DatasetEntry(file=file, digest=digest_file(file), weight=1 / len(clips), **facts))
    return MotionDataset(entries=tuple(entries))


def full_clip(name: str = "full", frames: int = 20) -> MotionClip:
    """A clip with everything that a clip can have."""
    terrain = make_terrain(steps=[((slice(3, 5), slice(None)), 0.6)])
    bounds = np.stack([terrain.height - 1.0, terrain.height + 0.3], axis=-1)
    return make_clip(
        frames,
        name=name,
        speed=0.7,
        fps=29.97,
        loop="wrap",
        terrain=make_terrain(steps=[((slice(3, 5), slice(None)), 0.6)], bounds=bounds),
        touched=[[0, 1, 2], [0, 1, 3], [4, 2, 2]],
        path=Path(points=[[0, 0, 0], [1, 0, 0.6], [2, 0, 0]], kinds=[1, 3], cost=2.25),
        provenance=Provenance(
            stage="dataset", provider="test", seed=3, scores={"loss": 0.1}, notes={"a": [1, "b"]}
        ),
    )


def assert_same(a: MotionClip, b: MotionClip, folder: pathlib.Path) -> None:
    """Files of equal clips are equal, byte by byte."""
    assert save_clip(folder / "a.npz", a) == save_clip(folder / "b.npz", b)


def test_items_of_unequal_length_come_back(tmp_path):
    store = PackedArrays.load(write(tmp_path / "s", item(3, 1), item(1), item(4, 2)))
    assert (store.num_items, store.meta) == (3, {"names": 3})
    assert store.rows["frames"].tolist() == [0, 3, 4, 8]
    assert store.item(2)["pos"].tolist() == [[0, 1], [2, 3], [4, 5], [6, 7]]
    assert [len(store.item(i)["cells"]) for i in range(3)] == [1, 0, 2]


def test_files_are_plain_npy(tmp_path):
    folder = write(tmp_path / "s", item(3), item(1))
    assert np.load(folder / "pos.npy", allow_pickle=False).shape == (4, 2)
    assert np.load(folder / "label.npy", allow_pickle=False).dtype == np.int8


def test_arrays_cannot_be_written_through(tmp_path):
    store = PackedArrays.load(write(tmp_path / "s", item(3, 1)))
    with pytest.raises(ValueError, match="read-only"):
        store.arrays["pos"][0] = 1.0


def test_tensors_map_the_files_and_never_change_them(tmp_path):
    store = PackedArrays.load(write(tmp_path / "s", item(3), item(5)))
    before = digest_file(tmp_path / "s" / "pos.npy")
    tensors = store.tensors()
    assert {name: tuple(rows.shape) for name, rows in tensors.items()} == {
        name: rows.shape for name, rows in store.arrays.items()
    }
    np.testing.assert_array_equal(tensors["pos"], store.arrays["pos"])
    tensors["pos"][:] = 7.0
    assert digest_file(tmp_path / "s" / "pos.npy") == before
    assert (store.tensors()["pos"] == torch.tensor(store.arrays["pos"])).all()


def test_rows_of_another_shape_are_refused(tmp_path):
    with (
        PackedWriter(tmp_path / "s", FIELDS) as writer,
        pytest.raises(ShapeError, match=r"label has shape \[2\]"),
    ):
        writer.append({**item(3), "label": np.ones(2)})


def test_a_store_that_was_not_finished_is_none(tmp_path):
    with PackedWriter(tmp_path / "s", FIELDS) as writer:
        writer.append(item(3))
    with pytest.raises(DataError, match=r"no packed store here \(packed.json is missing\)"):
        PackedArrays.load(tmp_path / "s")


@pytest.mark.parametrize("name", ["pos.npy", "label.npy", "rows_frames.npy"])
def test_a_flipped_bit_is_seen(tmp_path, name):
    folder = write(tmp_path / "s", item(30, 1))
    data = bytearray((folder / name).read_bytes())
    data[-1] ^= 1
    (folder / name).write_bytes(data)
    with pytest.raises(
        CorruptArtifact, match=rf"{name}: its SHA-256 differs from the one recorded in packed.json"
    ):
        PackedArrays.load(folder)


def test_a_truncated_file_is_seen_without_reading_it(tmp_path):
    folder = write(tmp_path / "s", item(30))
    (folder / "pos.npy").write_bytes((folder / "pos.npy").read_bytes()[:-8])
    with pytest.raises(CorruptArtifact, match=r"pos.npy: 360 bytes, expected 368"):  # 128 + 30 * 2 * 4
        PackedArrays.load(folder, verify=False)


@pytest.mark.parametrize(
    ("key", "value"),
    [("num_items", 3), ("num_items", "x"), ("fields", 7), ("files", None), ("fields", {"pos": {"a": 1}})],
)
def test_a_manifest_that_does_not_fit_its_files_is_refused(tmp_path, key, value):
    folder = write(tmp_path / "s", item(3), item(1))
    document = read_json(folder / "packed.json")
    write_manifest(folder, {**document, key: value})
    for verify in (True, False):
        with pytest.raises(CorruptArtifact, match="Pack the clips again"):
            PackedArrays.load(folder, verify=verify)


def test_a_manifest_cannot_name_files_elsewhere(tmp_path):
    folder = write(tmp_path / "s", item(3))
    document = read_json(folder / "packed.json")
    write(tmp_path, item(3))  # a file pos.npy beside the folder
    for part, key in (("fields", "pos"), ("files", "pos.npy")):
        document[part][f"../{key}"] = document[part].pop(key)
    write_manifest(folder, document)
    with pytest.raises(CorruptArtifact, match="lists the files"):
        PackedArrays.load(folder, verify=False)


def test_a_changed_digit_in_the_manifest_is_seen(tmp_path):
    folder = write(tmp_path / "s", item(3))
    text = (folder / "packed.json").read_text()
    (folder / "packed.json").write_text(text.replace('"names": 1', '"names": 2'))
    with pytest.raises(CorruptArtifact, match=r"packed.json: its digest differs; it is damaged"):
        PackedArrays.load(folder, verify=False)


def test_an_interrupted_writer_continues_after_its_checkpoint(tmp_path):
    items = [item(3, 1), item(1), item(4, 2)]
    with PackedWriter(tmp_path / "s", FIELDS) as writer:
        writer.append(items[0])
        writer.append(items[1])
        writer.checkpoint({"done": 2})
        writer.append(item(7, 7))  # after the checkpoint: written again by the next one
    with PackedWriter(tmp_path / "s", FIELDS) as writer:
        assert (writer.num_items, writer.progress) == (2, {"done": 2})
        writer.append(items[2])
        writer.finish({"names": 3})
    write(tmp_path / "whole", *items)
    assert {f.name: f.read_bytes() for f in (tmp_path / "s").iterdir()} == {
        f.name: f.read_bytes() for f in (tmp_path / "whole").iterdir()
    }


@pytest.mark.parametrize("damage", ["fields", "size", "text", "key"])
def test_a_checkpoint_that_does_not_fit_is_not_continued(tmp_path, damage):
    with PackedWriter(tmp_path / "s", FIELDS) as writer:
        writer.append(item(3, 1))
        writer.checkpoint(None)
    if damage == "size":
        (tmp_path / "s" / "pos.npy").write_bytes(b"")
    elif damage == "text":
        (tmp_path / "s" / "progress.json").write_text("{")
    fields = {"pos": FIELDS["pos"]} if damage == "fields" else FIELDS
    with PackedWriter(tmp_path / "s", fields, key=2 if damage == "key" else None) as writer:
        assert writer.num_items == 0


def test_clips_come_back_exactly(tmp_path):
    clips = [full_clip(), make_clip(40, name="plain"), make_clip(16, name="bare", terrain=None)]
    write_packed_clips(tmp_path / "s", dataset_of(tmp_path, *clips))
    store = PackedClips.load(tmp_path / "s")
    assert len(store) == 3
    for clip, packed in zip(clips, store):
        assert_same(clip, packed, tmp_path)


def test_a_window_is_what_the_clip_has_there(tmp_path):
    clips = [make_clip(31, name="a", speed=0.3), full_clip("b", 40)]
    write_packed_clips(tmp_path / "s", dataset_of(tmp_path, *clips))
    window = PackedClips.load(tmp_path / "s").window(1, 7, 30)
    for name, values in window.items():
        assert np.array_equal(values, getattr(clips[1], name)[7:37])


def test_many_windows_at_once_equal_single_ones(tmp_path):
    clips = [make_clip(31, name="a", speed=0.3), full_clip("b", 40)]
    write_packed_clips(tmp_path / "s", dataset_of(tmp_path, *clips))
    store = PackedClips.load(tmp_path / "s")
    ids, starts = np.array([1, 0, 1]), np.array([10, 1, 0])
    batch = store.windows(ids, starts, 30)
    for n, (clip, start) in enumerate(zip(ids, starts)):
        for name, values in store.window(clip, start, 30).items():
            assert np.array_equal(batch[name][n], values)


def test_windows_do_not_reach_into_the_next_clip(tmp_path):
    write_packed_clips(tmp_path / "s", dataset_of(tmp_path, make_clip(31, name="a"), make_clip(40, name="b")))
    store = PackedClips.load(tmp_path / "s")
    with pytest.raises(DataError, match=r"clip 0 has 31 frames; 2\.\.31 is not inside"):
        store.window(0, 2, 30)
    with pytest.raises(DataError, match=r"window 1 wants frames -1\.\.28 of clip 0, which has 31"):
        store.windows(np.array([1, 0]), np.array([0, -1]), 30)


def test_a_store_of_older_clips_is_stale(tmp_path):
    clips = [make_clip(20, name=name) for name in ("a", "b", "c")]
    write_packed_clips(tmp_path / "s", dataset_of(tmp_path, *clips))
    newer = dataset_of(tmp_path, clips[0], make_clip(21, name="b"), make_clip(20, name="d"))
    with pytest.raises(
        DataError,
        match=r"stale: of the data set's 3 clips 1 are new and 1 changed, 1 of the store's are gone",
    ):
        PackedClips.load(tmp_path / "s", dataset=newer)


def test_a_store_of_the_same_clips_is_fresh(tmp_path):
    dataset = dataset_of(tmp_path, make_clip(20, name="a"))
    write_packed_clips(tmp_path / "s", dataset)
    assert PackedClips.load(tmp_path / "s", dataset=dataset).dataset_digest == dataset.digest


def test_a_clip_that_changed_since_the_manifest_is_not_packed(tmp_path):
    dataset = dataset_of(tmp_path, make_clip(20, name="a"), make_clip(20, name="b"))
    save_clip(tmp_path / "b.npz", make_clip(22, name="b"))
    with pytest.raises(CorruptArtifact, match=r"b\.npz: changed since"):
        write_packed_clips(tmp_path / "s", dataset)


def test_clips_of_two_characters_do_not_mix(tmp_path):
    dataset = dataset_of(tmp_path, make_clip(20, name="a"), make_clip(20, name="b", skeleton="robot"))
    with pytest.raises(SkeletonMismatch, match="'robot'"):
        write_packed_clips(tmp_path / "s", dataset)


def test_a_store_of_something_else_is_no_store_of_clips(tmp_path):
    with pytest.raises(DataError, match="a packed store, but not one of clips"):
        PackedClips.load(write(tmp_path / "s", item(3)))


def test_clip_files_are_not_needed_any_more(tmp_path):
    write_packed_clips(tmp_path / "s", dataset_of(tmp_path, make_clip(20, name="a", speed=1.0)))
    clip = load_clip(tmp_path / "a.npz")
    (tmp_path / "a.npz").unlink()
    assert np.array_equal(PackedClips.load(tmp_path / "s")[0].root_pos, clip.root_pos)
