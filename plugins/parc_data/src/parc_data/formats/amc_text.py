"""The text of an .amc: values of every bone in every frame, as written."""

from __future__ import annotations

from typing import NoReturn

import numpy as np

from parc_data.formats.asf_text import LARGEST, AsfSkeleton, read_number
from parc_data.formats.format import MAX_FRAMES
from parc_motion.errors import DataError

__all__ = ["parse_amc"]


def parse_amc(data: bytes, skeleton: AsfSkeleton, where: str) -> tuple[dict[str, np.ndarray], bool]:
    """The values per bone, ``[T, number of its dofs]``, and whether angles are degrees.

    Raises:
        DataError: the text is not .amc, or belongs to another skeleton; names line and field.
    """
    return _Amc(data.decode(errors="replace"), skeleton, where).read()


def _column(words: list[str]) -> np.ndarray:
    if "_" in "".join(words):  # float() takes 1_000 for a number
        raise ValueError
    return np.array(words, dtype=np.float64)


class _Amc:
    def __init__(self, text: str, skeleton: AsfSkeleton, where: str) -> None:
        self.where, self.bones = where, {bone.name: bone for bone in skeleton.bones if bone.dofs}
        self.degrees = skeleton.degrees
        start = 0
        self.first_line = 1
        while start < len(text):  # comments and keywords
            stop = text.find("\n", start)
            stop = len(text) if stop < 0 else stop
            line = text[start:stop].strip()
            if line and line[0] not in "#:":
                break
            if line.upper() in (":DEGREES", ":RADIANS"):
                self.degrees = line.upper() == ":DEGREES"
            start, self.first_line = stop + 1, self.first_line + 1
        self.text = text[start:]

    def read(self) -> tuple[dict[str, np.ndarray], bool]:
        """The values, read column by column: every frame has its words at the same places."""
        tokens = self.text.split()
        layout, width = self.layout(tokens)
        frames, rest = divmod(len(tokens), width)
        if rest or not 1 <= frames <= MAX_FRAMES:
            self.explain(frames)
        try:
            numbers = _column(tokens[::width])
            values = {
                name: np.stack([_column(tokens[i::width]) for i in places], axis=1)
                for name, places in layout.items()
            }
        except ValueError:
            self.explain(frames)
        named = all(set(tokens[places.start - 1 :: width]) == {name} for name, places in layout.items())
        if not named or (np.diff(numbers) != 1).any():
            self.explain(frames)
        if not all((np.abs(value) <= LARGEST).all() for value in values.values()):
            self.explain(frames)
        return values, self.degrees

    def layout(self, tokens: list[str]) -> tuple[dict[str, range], int]:
        """Where the values of each bone stand in the first frame, and how many words a frame has."""
        places: dict[str, range] = {}
        at = 1
        while at < len(tokens) and tokens[at] in self.bones and tokens[at] not in places:
            count = len(self.bones[tokens[at]].dofs)
            places[tokens[at]] = range(at + 1, at + 1 + count)
            at += 1 + count
        if len(places) < len(self.bones) or at > len(tokens):
            self.explain(0)
        return places, at

    def explain(self, frames: int) -> NoReturn:
        """Raises an error that names the first invalid line."""
        open_bones: set[str] = set()
        frame: int | None = None
        for number, line in enumerate(self.text.split("\n"), start=self.first_line):
            words = line.split()
            if not words:
                continue
            if len(words) == 1 and words[0] not in self.bones:
                missing = sorted(open_bones)
                if missing:
                    self.fail(number, f"frame {frame} has no '{missing[0]}'")
                if not (words[0].isascii() and words[0].isdigit() and len(words[0]) < 12):
                    self.fail(number, f"expected the number of a frame, not '{words[0][:40]}'")
                if frame is not None and int(words[0]) != frame + 1:
                    self.fail(number, f"frame {words[0]} follows frame {frame}")
                frame, open_bones = int(words[0]), set(self.bones)
            else:
                self.check_line(number, words, open_bones)
        if frame is None:
            raise DataError(f"{self.where}: holds no frame. Is the file truncated, or not .amc?")
        if open_bones:
            raise DataError(
                f"{self.where}: frame {frame} has no '{sorted(open_bones)[0]}'. Is the file truncated?"
            )
        raise DataError(
            f"{self.where}: {frames} frames cannot be read: bones change their order or share a line."
        )

    def check_line(self, number: int, words: list[str], open_bones: set[str]) -> None:
        """Checks "bone value value" and takes it from the bones that a frame still needs."""
        name = words[0]
        if name not in open_bones:
            known = "named twice" if name in self.bones else "not a moving bone of the .asf"
            self.fail(number, f"'{name[:40]}' is {known}, or appears before the first frame")
        open_bones.discard(name)
        dofs = self.bones[name].dofs
        if len(words) != 1 + len(dofs) or any(read_number(word) is None for word in words[1:]):
            self.fail(number, f"'{name}' needs {len(dofs)} finite numbers ({' '.join(dofs)})")

    def fail(self, number: int, what: str) -> NoReturn:
        """Raises an error at a line."""
        raise DataError(f"{self.where}: line {number}: {what}.")
