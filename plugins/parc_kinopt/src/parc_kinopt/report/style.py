"""Colors and fonts of the report."""

from __future__ import annotations

import functools

from PIL import ImageFont

__all__ = ["AFTER", "BEFORE", "BURIED", "HELD", "INK", "LINE", "PALE", "PAPER", "fit", "font"]

INK, PALE, LINE, PAPER = (33, 37, 44), (124, 130, 140), (222, 225, 230), (255, 255, 255)
BEFORE, AFTER = (200, 120, 30), (30, 100, 190)  # told apart without red and green
HELD, BURIED = (190, 40, 40), (230, 0, 200)

Color = tuple[int, int, int]


@functools.cache
def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Pillow's own font, which is the same on every machine."""
    return ImageFont.load_default(size)


def fit(text: str, width: float, size: int) -> str:
    """The text, cut with three dots where it is wider than `width` pixels."""
    if font(size).getlength(text) <= width:
        return text
    while text and font(size).getlength(text + "...") > width:
        text = text[:-1]
    return text + "..."
