"""The clips that files, folders and data-set manifests stand for, and the class of each."""

from __future__ import annotations

import pathlib
from collections.abc import Iterable, Iterator, Sequence

import attrs

from parc_motion.clips import DatasetEntry, MotionClip, MotionDataset, load_clip
from parc_motion.errors import CorruptArtifact, DataError
from parc_motion.storage import digest_file

__all__ = [
    "UNCLASSIFIED",
    "FoundClip",
    "check_unchanged",
    "dataset_entry",
    "find_clips",
    "load_found",
    "load_found_clips",
]

UNCLASSIFIED = "unclassified"
_LEFT_OUT = "ignore"  # paths with a part that contains it are skipped


@attrs.frozen(kw_only=True)
class FoundClip:
    """A clip file, and what its folder or manifest says about it."""

    file: pathlib.Path
    motion_class: str | None = None  # of the sub-folder or manifest; None: that of the clip itself
    fallback_class: str = UNCLASSIFIED  # for a clip without a class
    entry: DatasetEntry | None = None  # of a manifest

    def class_of(self, clip: MotionClip) -> str:
        """The clip's class: that of the manifest or sub-folder, its own, or the folder's name."""
        return self.motion_class or clip.motion_class or self.fallback_class


def find_clips(paths: Sequence[pathlib.Path]) -> list[FoundClip]:
    """The clips that paths stand for, in a fixed order; a file that is named twice counts once.

    A folder stands for every `.npz` below it, except those in a folder or with a name that contains "ignore"; the class
    is the name of the first sub-folder. A manifest (`.yaml`) stands for the clips that it lists.

    Raises:
        DataError: a path does not exist, or there is no clip.
    """
    found: dict[pathlib.Path, FoundClip] = {}
    for path in paths:
        for item in _at(pathlib.Path(path)):
            found.setdefault(item.file.resolve(), item)
    return list(found.values())


def load_found(item: FoundClip) -> MotionClip:
    """The clip, with its class.

    Raises:
        DataError: the file does not hold a clip.
        CorruptArtifact: it is damaged, or changed since the manifest was made.
    """
    check_unchanged(item)
    clip = load_clip(item.file)
    return attrs.evolve(clip, motion_class=item.class_of(clip))


def check_unchanged(item: FoundClip) -> None:
    """Passes if the file is as its manifest says, or no manifest lists it.

    Raises:
        CorruptArtifact: its SHA-256 differs.
    """
    if item.entry is not None and digest_file(item.file) != item.entry.digest:
        raise CorruptArtifact(
            f"{item.file}: changed since the manifest was made; its SHA-256 differs. Make the manifest again "
            "(`parc data weights`)."
        )


def load_found_clips(items: Iterable[FoundClip]) -> Iterator[tuple[FoundClip, MotionClip]]:
    """Each item with its clip, loaded lazily."""
    return ((item, load_found(item)) for item in items)


def dataset_entry(item: FoundClip, clip: MotionClip) -> DatasetEntry:
    """The manifest entry of a clip, with weight 1."""
    return DatasetEntry(
        file=item.file.resolve(),
        name=clip.name,
        motion_class=clip.motion_class,
        num_frames=clip.num_frames,
        fps=clip.fps,
        digest=item.entry.digest if item.entry is not None else digest_file(item.file),
        origin=item.entry.origin if item.entry is not None else "input",
    )


def _at(path: pathlib.Path) -> list[FoundClip]:
    path = path.expanduser()
    if path.is_dir():
        return _below(path)
    if not path.is_file():
        raise DataError(
            f"{path}: does not exist. Give a clip (.npz), a folder of clips or a manifest (.yaml)."
        )
    if path.suffix == ".npz":
        return [FoundClip(file=path)]
    if path.suffix in (".yaml", ".json"):
        entries = MotionDataset.load(path).entries
        return [FoundClip(file=entry.file, motion_class=entry.motion_class, entry=entry) for entry in entries]
    raise DataError(
        f"{path}: not a clip (.npz), a folder or a manifest (.yaml). `parc data import` reads other formats."
    )


def _below(folder: pathlib.Path) -> list[FoundClip]:
    found = []
    for file in sorted(folder.rglob("*.npz")):
        inside = file.relative_to(folder).parts
        if not file.is_file() or any(_LEFT_OUT in part or part.startswith(".") for part in inside):
            continue
        motion_class = inside[0] if len(inside) > 1 else None
        found.append(
            FoundClip(
                file=file, motion_class=motion_class, fallback_class=folder.resolve().name or UNCLASSIFIED
            )
        )
    if not found:
        raise DataError(
            f"{folder}: no clip (.npz) below it, outside of names with '{_LEFT_OUT}'. `parc data import` reads other "
            "formats."
        )
    return found
