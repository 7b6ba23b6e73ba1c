"""What lies in a folder of clips, as the stage that wrote it says: later stages read this instead of every clip."""

from __future__ import annotations

import pathlib
from collections.abc import Iterable

import attrs
import numpy as np

from parc_motion.clips import DatasetEntry, MotionClip, MotionDataset, class_balanced_weights, load_clip
from parc_motion.errors import DataError
from parc_motion.storage import digest_unchanged

__all__ = ["balance", "clip_files", "entries_of", "entry_of", "scan", "write_manifest"]

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

    A folder without a manifest (written by an earlier version) is read clip by clip.
    """
    if (folder / _MANIFEST).is_file():
        entries = list(MotionDataset.load(folder / _MANIFEST).entries)
    else:
        entries = scan(folder, folder.name)
    return [attrs.evolve(entry, origin=origin, weight=weight) for entry in entries]


def scan(folder: pathlib.Path, unclassified: str) -> list[DatasetEntry]:
    """Entries from the clips themselves, see `clip_files`."""
    return [
        entry_of(load_clip(file), file, digest_unchanged(file), unclassified) for file in clip_files(folder)
    ]


def clip_files(folder: pathlib.Path) -> list[pathlib.Path]:
    """Clips below a folder; those in folders called `ignore` or `superseded` are left out."""
    files = sorted(folder.rglob("*.npz"))
    return [file for file in files if not _LEFT_OUT & {*file.relative_to(folder).parts}]


def balance(entries: Iterable[DatasetEntry]) -> list[DatasetEntry]:
    """The entries with class-balanced weights, multiplied by the weights they came with; refuses equal names."""
    entries = list(entries)
    seen: dict[str, pathlib.Path] = {}
    for entry in entries:
        if entry.name in seen:
            raise DataError(
                f"two clips are called '{entry.name}': {seen[entry.name]} and {entry.file}. Rename one."
            )
        seen[entry.name] = entry.file
    weights = class_balanced_weights([e.motion_class for e in entries], [e.length for e in entries])
    weights = weights * np.array([entry.weight for entry in entries])
    weights = weights / weights.sum()
    return [attrs.evolve(entry, weight=float(w)) for entry, w in zip(entries, weights)]
