"""The text of a BVH file: its hierarchy and the table of its motion, as written and without any interpretation."""

from __future__ import annotations

import math
import re
from typing import NoReturn

import attrs
import numpy as np

from parc_data.formats.bvh_header import LARGEST, Hierarchy, parse_hierarchy
from parc_data.formats.format import MAX_FRAMES
from parc_motion.errors import DataError

__all__ = ["Take", "parse_bvh"]

_MOTION = re.compile(rb"\bMOTION\s+Frames?\s*:[ \t]*(\S*)\s+Frame\s+Time\s*:[ \t]*(\S*)", re.IGNORECASE)
_MAX_HEADER_BYTES = 8 << 20
_BLOCK_BYTES = 4 << 20


@attrs.frozen(kw_only=True)
class Take:
    """A parsed file."""

    hierarchy: Hierarchy
    values: np.ndarray  # [T, C] units and degrees of the file
    frame_time: str  # as printed, s; its number of digits gives its precision


def parse_bvh(data: bytes, where: str) -> Take:
    """The hierarchy and the numbers of a BVH file.

    Raises:
        DataError: the text is not BVH; names line and field.
    """
    data = data.removeprefix(b"\xef\xbb\xbf")
    found = _MOTION.search(data, 0, _MAX_HEADER_BYTES)
    if not found:
        raise DataError(
            f"{where}: no 'MOTION' section with 'Frames:' and 'Frame Time:' in it. Is the file truncated, or not BVH?"
        )
    hierarchy = parse_hierarchy(data[: found.start()].decode(errors="replace"), where)
    table = _Table(data, found.end(), hierarchy, where)
    frames = table.count_of(found.group(1).decode(errors="replace"), _line(data, found.start(1)))
    return Take(
        hierarchy=hierarchy,
        values=table.read(frames),
        frame_time=_frame_time(found.group(2).decode(errors="replace"), _line(data, found.start(2)), where),
    )


def _line(data: bytes, place: int) -> int:
    return data.count(b"\n", 0, place) + 1


def _is_number(token: bytes) -> bool:
    try:
        float(token)
    except ValueError:
        return False
    return b"_" not in token


def _frame_time(text: str, line: int, where: str) -> str:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 1e-5 <= seconds <= 100.0:
        raise DataError(
            f"{where}: line {line}: Frame Time is '{text:.40}', expected the seconds between two frames, "
            "such as 0.0083333. Correct the line."
        )
    return text


class _Table:
    """Reads the numbers after Frame Time, in blocks, so that memory stays near that of the result."""

    def __init__(self, data: bytes, start: int, hierarchy: Hierarchy, where: str) -> None:
        self.data, self.start, self.where = data, start, where
        self.columns = hierarchy.columns
        if not self.columns:
            raise DataError(f"{where}: no joint has a channel, so it holds no motion.")

    def count_of(self, text: str, line: int) -> int:
        """The number after `Frames:`."""
        frames = int(text) if text.isascii() and text.isdigit() and len(text) < 12 else 0
        if not 1 <= frames <= MAX_FRAMES:
            raise DataError(
                f"{self.where}: line {line}: Frames is '{text:.40}', expected a number from 1 to {MAX_FRAMES}."
            )
        return frames

    def read(self, frames: int) -> np.ndarray:
        """All numbers, ``[T, C]``."""
        wanted = frames * len(self.columns)
        if 2 * wanted > len(self.data) - self.start + 1:  # a number takes two characters at least
            self.wrong_count(frames)
        values, filled, place = np.empty(wanted), 0, self.start
        while place < len(self.data):
            stop = self.block_end(place)
            block = self.data[place:stop]
            if b"_" in block:  # float() takes 1_000 for a number
                self.bad_number(place, stop)
            tokens = block.split()
            if filled + len(tokens) > wanted:
                self.wrong_count(frames)
            try:
                values[filled : filled + len(tokens)] = tokens
            except ValueError:
                self.bad_number(place, stop)
            filled, place = filled + len(tokens), stop
        if filled < wanted:
            self.wrong_count(frames)
        table = values.reshape(frames, -1)
        self.check_range(table)
        return table

    def block_end(self, place: int) -> int:
        """End of a block that does not split a number."""
        stop = min(place + _BLOCK_BYTES, len(self.data))
        while stop < len(self.data) and not self.data[stop - 1 : stop].isspace():
            stop += 1
        return stop

    def check_range(self, table: np.ndarray) -> None:
        """Passes if every number is finite and of a plausible size."""
        if table.max() <= LARGEST and table.min() >= -LARGEST:  # false for NaN
            return
        frame, column = (int(i) for i in np.argwhere(~(np.abs(table) <= LARGEST))[0])
        raise DataError(
            f"{self.where}: frame {frame}: {self.columns[column]} is {table[frame, column]}, "
            f"expected finite numbers up to {LARGEST:g}."
        )

    def bad_number(self, place: int, stop: int) -> NoReturn:
        """Raises an error that names the first word of a block that is not a number."""
        for number, line in enumerate(self.data[place:stop].split(b"\n"), _line(self.data, place)):
            for token in line.split():
                if not _is_number(token):
                    shown = token[:40].decode(errors="replace")
                    raise DataError(
                        f"{self.where}: line {number}: '{shown}' is not a number. Correct the motion data."
                    )
        raise DataError(f"{self.where}: the motion data from byte {place} on are not numbers.")

    def wrong_count(self, frames: int) -> NoReturn:
        """Raises an error that names the first line of another length, or the actual number of frames."""
        width, first = len(self.columns), _line(self.data, self.start)
        lengths = [
            (number, len(line.split()))
            for number, line in enumerate(self.data[self.start :].split(b"\n"), first)
        ]
        lengths = [(number, length) for number, length in lengths if length]
        odd = next(((number, length) for number, length in lengths if length != width), None)
        if odd:
            raise DataError(
                f"{self.where}: line {odd[0]}: {odd[1]} numbers, expected {width}, one per channel. "
                "Is the file truncated?"
            )
        raise DataError(
            f"{self.where}: 'Frames:' says {frames}, but {len(lengths)} follow. Is the file truncated? "
            "Correct the number if not."
        )
