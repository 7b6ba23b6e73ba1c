"""Which clip files a user means by files, folders and run folders."""

from __future__ import annotations

import pathlib
from collections.abc import Sequence

from parc_motion.errors import DataError

__all__ = ["clip_files"]

_LEFT_OUT = {"ignore", "flipped"}
_OF_A_RUN = ("iter_*/p2_kin_gen/**/*.npz", "iter_*/p4_phys_record/**/recorded_motions/**/*.npz")


def clip_files(paths: Sequence[pathlib.Path]) -> list[pathlib.Path]:
    """The clip files that paths stand for, in a steady order.

    A file stands for itself; a run folder for its generated and recorded clips; any other folder for the ``.npz``
    files below it. Inside folders, files below ``ignore`` and ``flipped`` are left out.

    Raises:
        DataError: a path does not exist, or no clip is there.
    """
    files: list[pathlib.Path] = []
    for path in paths:
        if path.is_file():
            files.append(path)
            continue
        if not path.is_dir():
            raise DataError(f"{path}: does not exist. Give a clip (.npz), a folder of clips or a run folder.")
        found = _below(path)
        if not found:
            raise DataError(f"{path}: no clips below it (.npz, outside 'ignore' and 'flipped').")
        files += found
    return files


def _below(folder: pathlib.Path) -> list[pathlib.Path]:
    patterns = _OF_A_RUN if any(folder.glob("iter_*")) else ("**/*.npz",)
    found = sorted({file for pattern in patterns for file in folder.glob(pattern)})
    return [
        file
        for file in found
        if not _LEFT_OUT & set(file.relative_to(folder).parts[:-1]) and file.name != "terrain.npz"
    ]
