"""Clips as a packed training store, and whether a store still is what its clips are."""

from __future__ import annotations

import pathlib
from collections.abc import Sequence

from parc_data.tools.balance import balanced_dataset
from parc_data.tools.find import check_unchanged, dataset_entry, find_clips, load_found_clips
from parc_data.tools.output import new_folder
from parc_motion.clips import MotionDataset, PackedClips, write_packed_clips

__all__ = ["check_store", "dataset_of", "pack"]


def dataset_of(paths: Sequence[pathlib.Path]) -> MotionDataset:
    """The clips at paths as a data set; a single manifest keeps its weights, otherwise classes are balanced.

    Raises:
        DataError: there is no clip, or two have the same name.
    """
    found = find_clips(paths)
    if len(paths) == 1 and all(item.entry is not None for item in found):
        for item in found:
            check_unchanged(item)
        return MotionDataset(entries=tuple(item.entry for item in found if item.entry is not None))
    return balanced_dataset(dataset_entry(item, clip) for item, clip in load_found_clips(found))


def pack(paths: Sequence[pathlib.Path], output: pathlib.Path, *, overwrite: bool = False) -> PackedClips:
    """Write the clips at paths into a store; returns it, opened.

    Raises:
        DataError: there is no clip, a file is damaged, or the clips belong to different characters.
        StorageError: the output exists.
    """
    dataset = dataset_of(paths)
    with new_folder(output, [entry.file for entry in dataset.entries], overwrite=overwrite) as folder:
        write_packed_clips(folder, dataset)
    return PackedClips.load(output)


def check_store(paths: Sequence[pathlib.Path], store: pathlib.Path) -> PackedClips:
    """The store, if no byte of it is damaged and it holds the clips at paths as they are now.

    Raises:
        CorruptArtifact: a file of the store is damaged.
        DataError: the clips changed.
    """
    return PackedClips.load(store, dataset=dataset_of(paths))
