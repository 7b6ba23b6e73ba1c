"""Colors and fonts of all pictures, texts that have to fit into a width, PNG files."""

from __future__ import annotations

import functools
import io
from collections.abc import Iterable, Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

__all__ = [
    "BACKGROUND",
    "INK",
    "LINE",
    "PALE",
    "WARNING",
    "Color",
    "fit",
    "font",
    "label",
    "png_bytes",
    "wrap",
    "wrap_words",
]

Color = tuple[int, int, int]  # sRGB, 0..255
Word = tuple[str, Color]

INK: Color = (33, 37, 44)
PALE: Color = (124, 130, 140)  # of what matters less
LINE: Color = (222, 225, 230)
BACKGROUND: Color = (255, 255, 255)
WARNING: Color = (176, 28, 40)


@functools.cache
def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Pillow's own font, which is the same on every machine."""
    return ImageFont.load_default(size)


def png_bytes(picture: Image.Image | np.ndarray) -> bytes:
    """A picture, or pixels ``[height, width, 3]`` uint8, as a PNG file; equal pictures give equal bytes."""
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(np.ascontiguousarray(picture))
    stream = io.BytesIO()
    image.save(stream, format="PNG", optimize=True)
    return stream.getvalue()


def label(picture: np.ndarray, text: str, size: int = 14) -> np.ndarray:
    """Pixels ``[height, width, 3]`` uint8 with a text in their upper left corner."""
    image = Image.fromarray(np.ascontiguousarray(picture))
    draw = ImageDraw.Draw(image)
    draw.multiline_text((6, 4), text, fill=INK, font=font(size), stroke_width=2, stroke_fill=BACKGROUND)
    return np.asarray(image)


def fit(text: str, width: float, size: int) -> str:
    """The text, cut with three dots where it is wider than `width` pixels."""
    if font(size).getlength(text) <= width:
        return text
    while text and font(size).getlength(text + "...") > width:
        text = text[:-1]
    return text + "..."


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
    return [*lines[: most - 1], fit(" ".join(lines[most - 1 :]), width, size)]


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
