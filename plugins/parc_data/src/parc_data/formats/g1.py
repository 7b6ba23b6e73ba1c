"""Recognizer of Unitree G1 motions (.csv), which need a character that PARC does not have: `g1`.

Source: files of NVlabs/ProtoMotions: per frame the position of the root, its quaternion and 29 joint angles.
"""

from __future__ import annotations

import pathlib

from parc_data.formats.format import Format, ReadOptions
from parc_data.source_motion import SourceMotion
from parc_motion.errors import DataError

__all__ = ["FORMAT", "read"]

_COLUMNS = 36  # 3 + 4 + 29


def read(path: pathlib.Path, options: ReadOptions) -> list[SourceMotion]:
    """Never a motion.

    Raises:
        DataError: always; the text says what is missing and what can be done.
    """
    raise DataError(
        f"{path}: a motion of the robot Unitree G1 ({_COLUMNS} columns: position and quaternion of the root, 29 joint "
        "angles); the character 'g1' is missing, only 'humanoid' is built in. Joint angles cannot be used on another "
        "skeleton: compute world joint positions with a model of the G1 and import them with --format joints."
    )


def _recognizes(path: pathlib.Path, head: bytes) -> bool:
    if path.suffix.lower() != ".csv":
        return False
    lines = head.split(b"\n")
    # a first line longer than the head is not a line of 36 numbers; it may be a header
    return any(_is_frame(line) for line in lines[: min(2, len(lines) - 1)] or lines[:1])


def _is_frame(line: bytes) -> bool:
    cells = line.split(b",")
    if len(cells) != _COLUMNS:
        return False
    try:
        return all(map(lambda cell: float(cell) == float(cell), cells))
    except ValueError:
        return False


FORMAT = Format(
    name="g1",
    summary="motions of the Unitree G1, .csv: recognized, but refused",
    suffixes=(".csv",),
    recognizes=_recognizes,
    read=read,
)
