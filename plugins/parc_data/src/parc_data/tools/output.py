"""Output of the tools: a folder or file appears completely or not at all, and never replaces an input."""

from __future__ import annotations

import contextlib
import logging
import os
import pathlib
from collections.abc import Iterable, Iterator

from parc_data.tools.find import UNCLASSIFIED
from parc_motion import storage
from parc_motion.clips import MotionClip, save_clip
from parc_motion.errors import DataError, StorageError

__all__ = ["check_no_input_inside", "clip_path", "new_file", "new_folder", "save_in"]

log = logging.getLogger(__name__)

_WRITTEN = {".npz", ".npy", ".json", ".yaml", ".bvh", ".csv"}  # suffixes of the files that tools write


@contextlib.contextmanager
def new_folder(
    final: pathlib.Path, inputs: Iterable[pathlib.Path], *, overwrite: bool = False
) -> Iterator[pathlib.Path]:
    """A temporary folder that gets its final name when the block succeeds, and is removed when it fails.

    Args:
        inputs: files that are read; none may lie in the final folder.
        overwrite: an existing folder is replaced as a whole, provided that it holds only files written by `parc data`.

    Raises:
        StorageError: the folder exists, or holds an input or foreign files.
    """
    final = pathlib.Path(final).expanduser()
    _check_free(final, overwrite)
    check_no_input_inside(final, inputs)
    if final.exists():
        _check_replaceable(final)
    staged = final.with_name(f".{final.name}.partial-{os.getpid()}")
    storage.remove(staged)
    storage.make_folder(staged)
    try:
        yield staged
        _put_in_place(staged, final)
    finally:
        storage.remove(staged)


def new_file(path: pathlib.Path, inputs: Iterable[pathlib.Path], *, overwrite: bool = False) -> pathlib.Path:
    """The path, expanded, if a file may be written there.

    Raises:
        StorageError: it exists and is not to be overwritten, is a folder, or one of the inputs.
    """
    path = pathlib.Path(path).expanduser()
    _check_free(path, overwrite)
    if path.is_dir():
        raise StorageError(f"{path}: is a folder, expected the name of a file.")
    if any(file.resolve() == path.resolve() for file in inputs):
        raise StorageError(f"{path}: is an input; inputs are never rewritten. Give another output file.")
    if path.exists():
        log.warning("%s: is replaced", path)
    return path


def check_no_input_inside(folder: pathlib.Path, inputs: Iterable[pathlib.Path]) -> None:
    """Passes if none of the input files lies in the folder that will be written.

    Raises:
        StorageError: one does.
    """
    for file in inputs:
        if file.resolve().is_relative_to(folder.resolve()):
            raise StorageError(
                f"{folder}: holds the input {file}; inputs are never rewritten. Give another output folder."
            )


def clip_path(clip: MotionClip, suffix: str = ".npz") -> pathlib.Path:
    """Path of a clip within a folder: `<class>/<name><suffix>`."""
    return pathlib.Path(clip.motion_class or UNCLASSIFIED) / f"{clip.name}{suffix}"


def save_in(folder: pathlib.Path, clip: MotionClip) -> pathlib.Path:
    """Save a clip as `<class>/<name>.npz` in a folder; returns the file.

    Raises:
        DataError: a clip of that class and name exists already.
    """
    file = folder / clip_path(clip)
    if file.exists():
        raise DataError(
            f"two clips of class '{clip.motion_class or UNCLASSIFIED}' are called '{clip.name}'. Rename one."
        )
    save_clip(file, clip)
    return file


def _check_free(path: pathlib.Path, overwrite: bool) -> None:
    if path.exists() and not overwrite:
        raise StorageError(f"{path}: exists already. Give another name, or --overwrite to replace it.")


def _check_replaceable(folder: pathlib.Path) -> None:
    if not folder.is_dir():
        raise StorageError(f"{folder}: is a file, expected the name of a folder.")
    for file in folder.rglob("*"):
        if file.is_symlink() or (file.is_file() and file.suffix not in _WRITTEN):
            raise StorageError(
                f"{folder}: holds {file.relative_to(folder)}, which `parc data` did not write, so the folder is not "
                "replaced. Remove it or give another name."
            )


def _put_in_place(staged: pathlib.Path, final: pathlib.Path) -> None:
    old = final.with_name(f".{final.name}.replaced-{os.getpid()}")
    if final.exists():
        storage.remove(old)
        storage.commit_folder(final, old)
    try:
        storage.commit_folder(staged, final)
    except BaseException:
        if old.exists():
            storage.commit_folder(old, final)
        raise
    if old.exists():
        count = sum(file.is_file() for file in old.rglob("*"))
        storage.remove(old)
        log.warning("%s: replaced; the %d files that were there are gone", final, count)
