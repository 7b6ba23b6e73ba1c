"""A set of clips on disk: a manifest that lists files, classes, weights and digests; clips load lazily."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import pathlib
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import attrs
import numpy as np

from parc_motion import storage
from parc_motion.clips.clip import MotionClip
from parc_motion.clips.clip_file import load_clip
from parc_motion.clips.motion_list import ListedMotion, MotionList, read_motion_list
from parc_motion.errors import CorruptArtifact, DataError

__all__ = ["DatasetEntry", "MotionDataset", "class_balanced_weights"]


@attrs.frozen(kw_only=True)
class DatasetEntry:
    """One clip of a data set."""

    file: pathlib.Path
    name: str
    motion_class: str
    num_frames: int
    fps: float
    digest: str  # SHA-256 of the file
    weight: float = 1.0  # sampling weight; all weights of a set sum to 1
    origin: str = "input"  # input | generated | recorded

    @property
    def length(self) -> float:
        """N / fps, s. Source: the weights of `parc_motion.published`, which count frames, not intervals."""
        return self.num_frames / self.fps


@attrs.frozen(kw_only=True)
class MotionDataset(Sequence[MotionClip]):
    """Clips by index, loaded and verified when asked for."""

    entries: tuple[DatasetEntry, ...]

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, index: int) -> MotionClip:  # type: ignore[override]
        entry = self.entries[index]
        if storage.digest_unchanged(entry.file) != entry.digest:
            raise CorruptArtifact(f"{entry.file}: changed since the data set was made; its SHA-256 differs.")
        return load_clip(entry.file)

    def __iter__(self) -> Iterator[MotionClip]:
        return (self[index] for index in range(len(self)))

    @property
    def weights(self) -> np.ndarray:
        """Sampling weights, sum 1, ``[M]`` float64."""
        weights = np.array([entry.weight for entry in self.entries], dtype=np.float64)
        return weights / weights.sum()

    @cached_property
    def digest(self) -> str:
        """SHA-256 over names, classes, weights and clip digests."""
        rows = [[e.name, e.motion_class, repr(e.weight), e.digest] for e in self.entries]
        return storage.digest_json(rows)

    def save(self, path: pathlib.Path, within: pathlib.Path | None = None) -> None:
        """Write the manifest (YAML is JSON's superset: the file is both).

        Args:
            within: folder that may be moved with the manifest and the clips in it: their names are relative. By default
                that around the manifest's own.
        """
        storage.write_json(path, self._document(path.parent, within or path.parent.parent))

    def text(self, folder: pathlib.Path) -> str:
        """The manifest as it would stand in a folder."""
        return json.dumps(self._document(folder, folder.parent))

    def _document(self, folder: pathlib.Path, within: pathlib.Path) -> dict[str, Any]:
        relative = _Relative(folder, within)
        rows = [
            {
                "file": relative.name_of(entry.file),
                "name": entry.name,
                "class": entry.motion_class,
                "weight": entry.weight,
                "num_frames": entry.num_frames,
                "fps": entry.fps,
                "origin": entry.origin,
                "sha256": entry.digest,
            }
            for entry in self.entries
        ]
        return storage.sealed({"format": 2, "digest": self.digest, "motions": rows})

    @staticmethod
    def load(path: pathlib.Path) -> MotionDataset:
        """The data set of a manifest, or of a motion list in the published form whose files are clips (`.npz`).

        A clip of a published list has the class that the list states, else its own, else the name of its folder.

        Raises:
            DataError: no such file, or something in it is wrong (`read_motion_list`); for the published form also if a
                file is not a clip, or two clips have the same name.
        """
        with _no_collection():
            listed = read_motion_list(path)
            if listed.is_manifest:
                return MotionDataset(entries=tuple(_entry(motion) for motion in listed.motions))
        return _of_clips(listed)


def class_balanced_weights(classes: Sequence[str], lengths: Sequence[float]) -> np.ndarray:
    """Weights under which every class is sampled equally often, clips of a class in proportion to their length.

    Args:
        classes: class of each clip, ``[M]``.
        lengths: length of each clip, s, ``[M]``.

    Returns:
        Weights summing to 1, ``[M]`` float64.

    Source:
        Published data-set creation. Its factor length * (L_total / L_class) / C is this one before normalization.
    """
    names = np.asarray(classes)
    length = np.asarray(lengths, dtype=np.float64)
    weights = np.zeros(len(length))
    for name in np.unique(names):
        members = names == name
        weights[members] = length[members] / length[members].sum()
    return weights / weights.sum()


@contextlib.contextmanager
def _no_collection() -> Iterator[None]:
    """No garbage collection: a million new objects, none of them garbage, would be looked through again and again."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _entry(motion: ListedMotion) -> DatasetEntry:
    stated: Any = motion  # a manifest states every field
    return DatasetEntry(
        file=motion.file,
        name=stated.name,
        motion_class=stated.motion_class,
        weight=motion.weight,
        num_frames=stated.num_frames,
        fps=stated.fps,
        origin=motion.origin,
        digest=stated.digest,
    )


def _of_clips(listed: MotionList) -> MotionDataset:
    listed.require_files()
    entries: dict[str, DatasetEntry] = {}
    total = sum(motion.weight for motion in listed.motions)
    for motion in listed.motions:
        if motion.file.suffix != ".npz":
            raise DataError(
                f"{listed.path}: {motion.file} is not a clip (.npz). Lists of other files can be a motion source: "
                "write the list under `dataset` of an iteration file."
            )
        clip = load_clip(motion.file)
        if clip.name in entries:
            raise DataError(
                f"{listed.path}: two clips are called '{clip.name}': {entries[clip.name].file} and {motion.file}. "
                "Rename one."
            )
        entries[clip.name] = DatasetEntry(
            file=motion.file,
            name=clip.name,
            motion_class=motion.motion_class or clip.motion_class or motion.file.parent.name,
            num_frames=clip.num_frames,
            fps=clip.fps,
            digest=storage.digest_unchanged(motion.file),
            weight=motion.weight / total,
        )
    return MotionDataset(entries=tuple(entries.values()))


class _Relative:
    """Names of files as a manifest in a folder states them.

    They are relative within the run, so that a moved run still finds its clips, and absolute for inputs elsewhere.
    """

    def __init__(self, folder: pathlib.Path, within: pathlib.Path) -> None:
        self.folder, self.within = folder.resolve(), within.resolve()
        self._folders: dict[str, str] = {}

    def name_of(self, file: pathlib.Path) -> str:
        place, _, name = str(file).rpartition("/")
        if place not in self._folders:
            self._folders[place] = self._name_of_folder(file.parent.resolve())
        return f"{self._folders[place]}{name}"

    def _name_of_folder(self, place: pathlib.Path) -> str:
        if not place.is_relative_to(self.within):
            return f"{place}/"
        relative = pathlib.Path(os.path.relpath(place, self.folder)).as_posix()
        return "" if relative == "." else f"{relative}/"
