"""Cached stores: built once, whoever comes first and whatever interrupts it; opened without reading the data."""

from __future__ import annotations

import logging
import pathlib
import subprocess
import sys

import attrs
import numpy as np
import pytest

from parc_motion.clips import DatasetEntry, MotionDataset, cached_clips, packed_clips, save_clip
from parc_motion.errors import CorruptArtifact
from parc_motion.storage import PackedArrays, PackedField, PackedWriter, cached_store
from parc_testing.builders import make_clip
from parc_testing.timing import least_cpu_seconds

FIELDS = {"pos": PackedField(dtype="<f4", shape=(2,), group="frames")}

# Appends one line per build to built.txt, slowly enough that two processes overlap.
BUILDER = """
import pathlib, sys, time
import numpy as np
from parc_motion.storage import PackedField, PackedWriter, append_line, cached_store

def build(folder):
    append_line(pathlib.Path(sys.argv[1]) / "built.txt", "built")
    time.sleep(0.5)
    with PackedWriter(folder, {"pos": PackedField(dtype="<f4", shape=(2,), group="frames")}) as writer:
        writer.append({"pos": np.ones((3, 2))})
        writer.finish(None)

print(cached_store(pathlib.Path(sys.argv[1]) / "cache", "test", 1, build).arrays["pos"].sum())
"""


def make_dataset(folder: pathlib.Path, count: int = 5) -> MotionDataset:
    entries = []
    for k in range(count):
        clip = make_clip(20 + k, name=f"clip_{k}", speed=0.1 * k)
        file = folder / f"{clip.name}.npz"
        digest = save_clip(file, clip)
        entries.append(
            DatasetEntry(
                file=file,
                name=clip.name,
                motion_class="",
                num_frames=20 + k,
                fps=30.0,
                digest=digest,
                weight=1 / count,
            )
        )
    return MotionDataset(entries=tuple(entries))


def test_a_second_call_opens_the_store_without_the_clip_files(tmp_path):
    dataset = make_dataset(tmp_path)
    frames = [clip.root_pos for clip in dataset]
    cached_clips(dataset, tmp_path / "cache")
    for entry in dataset.entries:
        entry.file.unlink()
    clips = cached_clips(dataset, tmp_path / "cache")
    assert all((clip.root_pos == pos).all() for clip, pos in zip(clips, frames, strict=True))
    assert not list((tmp_path / "cache").glob("*.partial*"))


def test_another_data_set_gets_another_store(tmp_path):
    dataset = make_dataset(tmp_path)
    smaller = MotionDataset(entries=dataset.entries[:2])
    assert [len(cached_clips(one, tmp_path / "cache")) for one in (dataset, smaller, dataset)] == [5, 2, 5]


@pytest.mark.parametrize("damage", ["size", "manifest", "missing"])
def test_a_damaged_store_is_built_again(tmp_path, caplog, damage):
    dataset = make_dataset(tmp_path)
    folder = cached_clips(dataset, tmp_path / "cache").store.folder
    file = folder / ("packed.json" if damage == "manifest" else "root_pos.npy")
    if damage == "missing":
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[:-9])
    with caplog.at_level(logging.WARNING):
        clips = cached_clips(dataset, tmp_path / "cache")
    assert "the cached store is damaged and will be built again" in caplog.text
    assert (clips[4].root_pos == dataset[4].root_pos).all()


def test_an_interrupted_packing_continues(tmp_path, monkeypatch):
    monkeypatch.setattr(packed_clips, "_CHECKPOINT_CLIPS", 2)
    dataset = make_dataset(tmp_path)
    good = dataset.entries[3].file.read_bytes()
    dataset.entries[3].file.write_bytes(b"interrupted")
    with pytest.raises(CorruptArtifact, match=r"clip_3\.npz"):
        cached_clips(dataset, tmp_path / "cache")
    dataset.entries[3].file.write_bytes(good)
    dataset.entries[1].file.unlink()  # packed before the checkpoint: not read again
    clips = cached_clips(dataset, tmp_path / "cache")
    assert [clip.num_frames for clip in clips] == [20, 21, 22, 23, 24]
    assert [record["name"] for record in clips.records] == [entry.name for entry in dataset.entries]


def test_of_two_processes_one_builds_and_the_other_waits(tmp_path):
    command = [sys.executable, "-c", BUILDER, str(tmp_path)]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert [process.communicate(timeout=60)[0].strip() for process in both] == ["6.0", "6.0"]
    assert (tmp_path / "built.txt").read_text() == "built\n"


def test_opening_two_thousand_items_takes_less_than_a_second(tmp_path):
    def build(folder: pathlib.Path) -> None:
        with PackedWriter(folder, FIELDS) as writer:
            for _ in range(2000):
                writer.append({"pos": np.ones((100, 2))})
            # as much text per item as a clip with its provenance has
            writer.finish({"clips": [{"name": str(k), "notes": "x" * 600} for k in range(2000)]})

    def never(folder: pathlib.Path) -> None:
        raise AssertionError("the store exists")

    cached_store(tmp_path, "test", 1, build)
    assert least_cpu_seconds(lambda: cached_store(tmp_path, "test", 1, never)) < 1.0
    store: PackedArrays = cached_store(tmp_path, "test", 1, never)
    assert (store.num_items, store.arrays["pos"].shape) == (2000, (200_000, 2))


def test_weights_are_those_of_the_data_set(tmp_path):
    dataset = make_dataset(tmp_path, 2)
    entries = [attrs.evolve(entry, weight=weight) for entry, weight in zip(dataset.entries, (0.25, 0.75))]
    clips = cached_clips(MotionDataset(entries=tuple(entries)), tmp_path / "cache")
    assert clips.weights.tolist() == [0.25, 0.75]
