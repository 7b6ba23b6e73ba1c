"""What lies in a folder of clips, as the stage that wrote it says: later stages read this instead of every clip."""

from __future__ import annotations

import pathlib
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Literal

import attrs
import numpy as np

from parc_core.interfaces import IterationFolder
from parc_core.stages.record import read_record
from parc_motion.clips import DatasetEntry, MotionClip, MotionDataset, class_balanced_weights, load_clip
from parc_motion.errors import CorruptArtifact, DataError
from parc_motion.storage import digest_unchanged

__all__ = [
    "balance",
    "clip_files",
    "entries_of",
    "entries_of_job",
    "entry_of",
    "kept_dataset",
    "scan",
    "with_mean_weight_1",
    "write_manifest",
]

_MANIFEST = "clips.yaml"
_LEFT_OUT = {"ignore", "superseded"}


def entry_of(clip: MotionClip, file: pathlib.Path, digest: str, unclassified: str) -> DatasetEntry:
    """The entry of a clip that lies in a file; its class is `unclassified` where it has none."""
    return DatasetEntry(
        file=file,
        name=clip.name,
        motion_class=clip.motion_class or unclassified,
        num_frames=clip.num_frames,
        fps=clip.fps,
        digest=digest,
    )


def write_manifest(folder: pathlib.Path, entries: Iterable[DatasetEntry]) -> dict[str, str]:
    """Say which clips lie below a folder; returns the digest of each by its name in the folder."""
    entries = list(entries)
    MotionDataset(entries=tuple(sorted(entries, key=lambda entry: entry.file))).save(folder / _MANIFEST)
    return {entry.file.relative_to(folder).as_posix(): entry.digest for entry in entries}


def entries_of(folder: pathlib.Path, origin: str, weight: float = 1.0) -> list[DatasetEntry]:
    """One entry per clip below a folder (those under `flipped` included), sorted by file name.

    The weights of its manifest are multiplied by `weight`. A folder without a manifest (written by an earlier version)
    is read clip by clip.
    """
    if (folder / _MANIFEST).is_file():
        entries = list(MotionDataset.load(folder / _MANIFEST).entries)
    else:
        entries = scan(folder, folder.name)
    return [attrs.evolve(entry, origin=origin, weight=weight * entry.weight) for entry in entries]


def entries_of_job(
    job: pathlib.Path, origin: str, below: str = "", weight: float = 1.0
) -> list[DatasetEntry]:
    """The entries of the clips that a finished job made, after its list of them was compared with its record.

    Args:
        job: its folder.
        below: the folder in it that holds the clips; "" for itself.

    Raises:
        CorruptArtifact: the list is missing or damaged, or the record is; of a job of an early version, which has no
            list, the clips.
    """
    folder, record = job / below, read_record(job)
    if record is not None:
        listed = (folder / _MANIFEST).relative_to(job).as_posix()
        if listed in record.files:
            record.checked(job, listed)
        elif any(name.startswith(f"{below}/") or not below for name in record.files):
            record.checked(job, below)
    return entries_of(folder, origin, weight)


def kept_dataset(iteration: IterationFolder) -> MotionDataset:
    """The data set of an iteration that has a generator, as its manifest states it.

    Raises:
        CorruptArtifact: the manifest is damaged, or not the one that there was when the generator was trained.
        DataError: there is none.
    """
    dataset, record = MotionDataset.load(iteration.dataset), read_record(iteration.train_gen)
    if record is not None and record.summary.get("dataset", dataset.digest) != dataset.digest:
        raise CorruptArtifact(
            f"{iteration.dataset}: not the list that was there when {record.job} was made; it was swapped or edited. "
            "Restore it, or move it away: then it is made again."
        )
    return dataset


def scan(folder: pathlib.Path, unclassified: str) -> list[DatasetEntry]:
    """Entries from the clips themselves, see `clip_files`."""
    return [
        entry_of(load_clip(file), file, digest_unchanged(file), unclassified) for file in clip_files(folder)
    ]


def clip_files(folder: pathlib.Path) -> list[pathlib.Path]:
    """Clips below a folder; those in folders called `ignore` or `superseded` are left out."""
    files = sorted(folder.rglob("*.npz"))
    return [file for file in files if not _LEFT_OUT & {*file.relative_to(folder).parts}]


def with_mean_weight_1(entries: Iterable[DatasetEntry], source: str) -> list[DatasetEntry]:
    """The entries of a source with their weights relative to each other, 1 on average.

    So the weights of a source say nothing about how often its clips are sampled compared with those of other sources.

    Args:
        source: its name, for errors.

    Raises:
        DataError: a weight is not a number of 0 or more, or all are 0.
    """
    entries = list(entries)
    weights = np.array([entry.weight for entry in entries], dtype=np.float64)
    if not (np.isfinite(weights).all() and (weights >= 0).all() and weights.sum() > 0):
        raise DataError(
            f"{source}: the weights of its {len(weights)} clips lie between {weights.min():g} and {weights.max():g}, "
            "expected numbers of 0 or more, and one above 0. Correct them in the motion list or source."
        )
    weights = weights * len(weights) / weights.sum()
    return [attrs.evolve(entry, weight=float(w)) for entry, w in zip(entries, weights)]


def balance(
    entries: Iterable[DatasetEntry],
    by: Literal["class", "clip", "length"] = "class",
    factors: Mapping[str, float] = MappingProxyType({}),
    classes: Sequence[str] | None = None,
) -> list[DatasetEntry]:
    """The entries with weights that sum to 1, a product of what `by` gives and the weights they came with.

    Args:
        by: "class": equal shares per class, inside a class in proportion to length; "clip": all equal; "length": in
            proportion to length.
        factors: of the weights of a class, 1 for classes that are not named.
        classes: what counts as the class of each entry under "class"; their own if None.

    Raises:
        DataError: two clips have the same name, or all weights are 0.
    """
    entries = list(entries)
    seen: dict[str, pathlib.Path] = {}
    for entry in entries:
        if entry.name in seen:
            raise DataError(
                f"two clips are called '{entry.name}': {seen[entry.name]} and {entry.file}. Rename one."
            )
        seen[entry.name] = entry.file
    lengths = [entry.length for entry in entries]
    if by == "class":
        weights = class_balanced_weights(classes or [e.motion_class for e in entries], lengths)
    else:
        weights = np.ones(len(entries)) if by == "clip" else np.array(lengths)
    weights = weights * np.array([entry.weight for entry in entries])
    if factors:
        weights = weights * np.array([factors.get(entry.motion_class, 1.0) for entry in entries])
    if not weights.sum() > 0:
        raise DataError(
            f"all {len(entries)} clips have weight 0, so none would ever be sampled. Raise the weight of a source, of "
            "a motion in its list, or in `class_weights`."
        )
    weights = weights / weights.sum()
    return [attrs.evolve(entry, weight=float(w)) for entry, w in zip(entries, weights)]
