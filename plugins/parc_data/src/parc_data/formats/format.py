"""The interface of a reader of motion files, and the limits that all of them observe."""

from __future__ import annotations

import pathlib
from collections.abc import Callable
from typing import Literal

import attrs

from parc_data.source_motion import SourceMotion
from parc_motion.checks import MAX_BODIES, MAX_FRAMES
from parc_motion.errors import DataError
from parc_motion.storage import read_file

__all__ = [
    "MAX_BODIES",
    "MAX_FILE_BYTES",
    "MAX_FRAMES",
    "MAX_NAME_CHARS",
    "Format",
    "ReadOptions",
    "read_file_bytes",
]

MAX_FILE_BYTES = 512 << 20
MAX_NAME_CHARS = 200  # of a body


@attrs.frozen(kw_only=True)
class ReadOptions:
    """What the file may not state; with None or "auto" the reader infers it."""

    scale: float | None = None  # meters per unit of the file
    up: Literal["auto", "x", "y", "z"] = "auto"  # axis of the file that points up
    fps: float | None = None  # frames per second of the file, where the format does not store them
    rest_frame: Literal["auto", "keep", "drop"] = "auto"  # whether to keep a first frame that is a T-pose
    joint_names: tuple[str, ...] | None = None  # [K] names of columns, for files without names


@attrs.frozen(kw_only=True)
class Format:
    """One file format.

    `recognizes(path, head)` looks at the name and the first 4096 bytes only and never raises. `read(path, options)`
    returns the motions of a file (mostly one) and raises DataError with file, field and cause for anything that is
    wrong with it; it raises no other exception.
    """

    name: str
    summary: str
    suffixes: tuple[str, ...]  # with the dot, lower case
    recognizes: Callable[[pathlib.Path, bytes], bool]
    read: Callable[[pathlib.Path, ReadOptions], list[SourceMotion]]


def read_file_bytes(path: pathlib.Path, max_bytes: int = MAX_FILE_BYTES) -> bytes:
    """The bytes of a file.

    Raises:
        DataError: it cannot be read, is not a regular file, is empty or larger than `max_bytes`.
    """
    data = read_file(path, max_bytes, "motion files")
    if not data:
        raise DataError(f"{path}: the file is empty.")
    return data
