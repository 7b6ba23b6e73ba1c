"""Fonts, and texts that have to fit into a width."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence

from PIL import ImageFont

__all__ = ["font", "wrap", "wrap_words"]

Word = tuple[str, tuple[int, int, int]]  # text and color


@functools.cache
def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Pillow's own font, which is the same on every machine."""
    return ImageFont.load_default(size)


def wrap_words(words: Iterable[Word], width: int, size: int) -> list[list[Word]]:
    """Words in lines that are not wider than `width` pixels; two spaces stand between words."""
    lines: list[list[Word]] = [[]]
    used = 0.0
    for word, color in words:
        if lines[-1] and used + font(size).getlength(word) > width:
            lines.append([])
            used = 0.0
        for piece in _pieces(word, width, size):
            if piece is not word and lines[-1]:
                lines.append([])
                used = 0.0
            lines[-1].append((piece, color))
            used += font(size).getlength(piece + "  ")
    return lines


def wrap(text: str, width: int, size: int, most: int) -> list[str]:
    """At most `most` lines that are not wider than `width` pixels; a text that is cut ends with three dots."""
    lines = [""]
    for word in text.split():
        for piece in _pieces(word, width, size):
            longer = f"{lines[-1]} {piece}".strip()
            if font(size).getlength(longer) <= width:
                lines[-1] = longer
            else:
                lines.append(piece)
    if len(lines) <= most:
        return lines
    last = lines[most - 1]
    while last and font(size).getlength(last + "...") > width:
        last = last[:-1]
    return [*lines[: most - 1], last + "..."]


def _pieces(word: str, width: int, size: int) -> Sequence[str]:
    """The word, cut where it is wider than a whole line."""
    if font(size).getlength(word) <= width:
        return [word]
    pieces, start = [], 0
    for stop in range(1, len(word) + 1):
        if font(size).getlength(word[start:stop]) > width and stop - 1 > start:
            pieces.append(word[start : stop - 1])
            start = stop - 1
    return [*pieces, word[start:]]
