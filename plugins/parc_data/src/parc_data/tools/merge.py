"""Merges several folders into one data set: selected, thinned out and balanced.

Source: data-set creation of the published system (`parc_motion.published`), whose names of settings are kept. Here
inputs are never rewritten, clips directly in a folder are included, and only the part of a path below the given folder
is searched for "ignore".
"""

from __future__ import annotations

import pathlib
from collections.abc import Sequence

import attrs

from parc_core.config import setting
from parc_data.tools.balance import balanced_dataset
from parc_data.tools.find import FoundClip, dataset_entry, find_clips, load_found
from parc_data.tools.findings import reason_to_leave_out
from parc_data.tools.output import clip_path, new_file, new_folder, save_in
from parc_motion import storage
from parc_motion.clips import DatasetEntry, MotionClip, MotionDataset, load_clip
from parc_motion.errors import DataError

__all__ = ["MANIFEST", "MergeConfig", "Merged", "merge"]

MANIFEST = "dataset.yaml"


@attrs.frozen(kw_only=True)
class MergeConfig:
    """Which clips come into a merged data set, and what is done to them."""

    folder_paths: tuple[str, ...] = setting((), path=True, help="Folders, clips and manifests to merge.")
    save_path: str = setting("", help="Folder to write, or a manifest (.yaml) that refers to the inputs.")
    char_filepath: str = setting("humanoid", help="Built-in character or an MJCF file.")
    min_num_frames: int = setting(15, ge=1, le=1_000_000, unit="frames", help="Shorter clips are left out.")
    max_terrain_dim_x: int = setting(
        1001, ge=1, le=100000, unit="cells", help="Clips on terrain with more cells along x are left out."
    )
    max_terrain_dim_y: int = setting(
        1001, ge=1, le=100000, unit="cells", help="Clips on terrain with more cells along y are left out."
    )
    cut_some_classes_in_half: bool = setting(
        False, help="Keep only every second clip of the classes in motion_classes_to_cut_in_half."
    )
    motion_classes_to_cut_in_half: tuple[str, ...] = setting(
        (), help="Classes of which only every second clip is kept."
    )
    compute_preprocessing_data: bool = setting(
        False, help="Compute touched cells and height bounds of clips that lack them."
    )
    override_old_hf_mask_inds: bool = setting(
        False, help="Recompute touched cells and height bounds of clips that have them."
    )
    rename: bool = setting(False, help="Append a number to repeated clip names instead of refusing them.")


@attrs.frozen(kw_only=True)
class Merged:
    """What `merge` wrote and what it left out."""

    dataset: MotionDataset
    left_out: tuple[tuple[str, str], ...]  # file, reason
    renamed: tuple[tuple[str, str], ...]  # file, new name


@attrs.frozen(kw_only=True)
class _Candidate:
    found: FoundClip
    entry: DatasetEntry
    shape: tuple[int, int] | None  # of the terrain


def merge(config: MergeConfig, *, overwrite: bool = False) -> Merged:
    """Write the merged data set: a folder of clips with `dataset.yaml` in it, or a manifest alone.

    Raises:
        DataError: no clip is left, names are equal, a class to be halved does not occur, or a file is damaged.
        StorageError: the output exists, or would replace an input.
    """
    candidates, left_out = _select(config)
    entries, renamed = _unique([item.entry for item in candidates], config.rename)
    dataset = balanced_dataset(entries)
    files, target = [entry.file for entry in entries], pathlib.Path(config.save_path).expanduser()
    if target.suffix == ".yaml":
        if renamed or config.compute_preprocessing_data:
            raise DataError(
                f"{target}: a manifest alone cannot rename or preprocess clips. Give a folder to write instead."
            )
        dataset.save(new_file(target, files, overwrite=overwrite))
    else:
        with new_folder(target, files, overwrite=overwrite) as folder:
            written = _write(folder, [item.found for item in candidates], dataset.entries, config)
            attrs.evolve(dataset, entries=tuple(written)).save(folder / MANIFEST)
        dataset = MotionDataset.load(target / MANIFEST)
    return Merged(dataset=dataset, left_out=tuple(left_out), renamed=tuple(renamed))


def _select(config: MergeConfig) -> tuple[list[_Candidate], list[tuple[str, str]]]:
    groups = _groups(config.folder_paths)
    halved = config.motion_classes_to_cut_in_half if config.cut_some_classes_in_half else ()
    classes = {item.entry.motion_class for group in groups for item in group}
    unknown = sorted(set(halved) - classes)
    if unknown:
        raise DataError(
            f"no clip has class '{unknown[0]}', which is to be cut in half; there are {', '.join(sorted(classes))}."
        )
    kept: list[_Candidate] = []
    left_out: list[tuple[str, str]] = []
    for group in groups:
        turn = dict.fromkeys(halved, 0)
        for item in group:
            reason, name = "", item.entry.motion_class
            if name in turn:
                turn[name] += 1
                reason = f"every second clip of class '{name}'" if turn[name] % 2 == 0 else ""
            reason = reason or _unfit(item, config)
            if reason:
                left_out.append((str(item.found.file), reason))
            else:
                kept.append(item)
    if not kept:
        raise DataError(
            f"nothing is left to merge: all {len(left_out)} clips are left out. Loosen the limits."
        )
    return kept, left_out


def _groups(paths: Sequence[str]) -> list[list[_Candidate]]:
    """The clips of each path; a file below several paths belongs to the first of them."""
    seen: set[pathlib.Path] = set()
    groups = []
    for path in paths:
        found = [item for item in find_clips([pathlib.Path(path)]) if item.file.resolve() not in seen]
        seen |= {item.file.resolve() for item in found}
        groups.append(_candidates(found))
    return groups


def _candidates(found: Sequence[FoundClip]) -> list[_Candidate]:
    items = []
    for item in found:
        clip = load_found(item)
        shape = None if clip.terrain is None else clip.terrain.shape
        items.append(_Candidate(found=item, entry=dataset_entry(item, clip), shape=shape))
    return items


def _unfit(item: _Candidate, config: MergeConfig) -> str:
    most = (config.max_terrain_dim_x, config.max_terrain_dim_y)
    return reason_to_leave_out(item.entry.num_frames, item.shape, config.min_num_frames, most)


def _unique(
    entries: Sequence[DatasetEntry], rename: bool
) -> tuple[list[DatasetEntry], list[tuple[str, str]]]:
    """The entries; with `rename`, repeated names become `<name>_2`, `<name>_3`, ..."""
    taken = {entry.name for entry in entries}
    seen: set[str] = set()
    result, renamed = [], []
    for entry in entries:
        name, number = entry.name, 1
        while rename and name in seen:
            number += 1
            candidate = f"{entry.name}_{number}"
            name = candidate if candidate not in taken else name
        if name != entry.name:
            renamed.append((str(entry.file), name))
            taken.add(name)
        seen.add(name)
        result.append(attrs.evolve(entry, name=name))
    return result, renamed


def _write(
    folder: pathlib.Path, found: Sequence[FoundClip], entries: Sequence[DatasetEntry], config: MergeConfig
) -> list[DatasetEntry]:
    """Write the clips; returns entries that refer to the new files. The files of unchanged clips are copied."""
    prepare = None
    if config.compute_preprocessing_data:
        from parc_data.tools.preprocess import Preprocessor
        from parc_motion.skeletons import load_skeleton

        prepare = Preprocessor(load_skeleton(config.char_filepath))
    written = []
    for item, entry in zip(found, entries):
        original = load_clip(item.file)
        clip: MotionClip = attrs.evolve(original, name=entry.name, motion_class=entry.motion_class)
        prepared = clip if prepare is None else prepare(clip, override=config.override_old_hf_mask_inds)
        same = (clip.name, clip.motion_class) == (original.name, original.motion_class)
        if same and prepared is clip:
            file = folder / clip_path(clip)
            storage.copy_file(item.file, file)
        else:
            file = save_in(folder, prepared)
        written.append(attrs.evolve(entry, file=file, digest=storage.digest_file(file)))
    return written
