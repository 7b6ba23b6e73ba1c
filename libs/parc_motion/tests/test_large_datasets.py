"""Thousands of clips: a data set opens in two seconds, within a gigabyte."""

from __future__ import annotations

import pathlib
import resource

import numpy as np

from parc_motion.clips import DatasetEntry, MotionDataset
from parc_motion.storage import PackedArrays, PackedField, PackedWriter
from parc_testing.levels import at_level
from parc_testing.timing import least_cpu_seconds

CLIPS = at_level(pr=2_000, nightly=100_000)
FRAMES = 100
LARGEST_MB = 1000.0


def megabytes() -> float:
    """Most memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def entries(folder: pathlib.Path) -> tuple[DatasetEntry, ...]:
    return tuple(
        DatasetEntry(
            file=folder / f"motions_{k // 50}" / f"motions_{k}_0_opt_dm.npz",
            name=f"motions_{k}_0_opt_dm",
            motion_class=("walk", "run", "climb")[k % 3],
            num_frames=FRAMES,
            fps=30.0,
            digest=f"{k:064x}",
            weight=1.0 / CLIPS,
            origin="recorded",
        )
        for k in range(CLIPS)
    )


def test_a_data_set_opens_in_two_seconds_within_a_gigabyte(tmp_path, measured):
    MotionDataset(entries=entries(tmp_path)).save(tmp_path / "iter_002" / "dataset.yaml")
    before = megabytes()
    seconds = least_cpu_seconds(lambda: MotionDataset.load(tmp_path / "iter_002" / "dataset.yaml"), 3)
    dataset = MotionDataset.load(tmp_path / "iter_002" / "dataset.yaml")
    assert len(dataset) == CLIPS and dataset.entries == entries(tmp_path)
    grown = megabytes() - before
    measured("data set, its list", f"{CLIPS} clips: opens in {seconds:.2f} s CPU, {grown:.0f} MB")
    assert seconds < 2.0 and grown < LARGEST_MB


def test_a_packed_store_opens_in_two_seconds_within_a_gigabyte(tmp_path, measured):
    fields = {"pos": PackedField(dtype="<f4", shape=(30,), group="frames")}
    with PackedWriter(tmp_path / "store", fields) as writer:
        block = {"pos": np.zeros((FRAMES, 30), np.float32)}
        for _ in range(CLIPS):
            writer.append(block)
        writer.finish({"names": [entry.name for entry in entries(tmp_path)]})
    before = megabytes()

    def open_and_sample() -> None:
        store = PackedArrays.load(tmp_path / "store", verify=False)
        rng = np.random.default_rng(0)
        for k in rng.integers(0, CLIPS, 1000):
            assert store.item(int(k))["pos"].shape == (FRAMES, 30)

    seconds, grown = least_cpu_seconds(open_and_sample, 2), megabytes() - before
    measured(
        "data set, packed", f"{CLIPS} clips: opens and gives 1,000 in {seconds:.2f} s CPU, {grown:.0f} MB"
    )
    assert seconds < 2.0 and grown < LARGEST_MB
