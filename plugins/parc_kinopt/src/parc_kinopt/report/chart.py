"""Every loss term before and after, one line of dots a term, on one logarithmic axis."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from PIL import Image, ImageDraw

from parc_kinopt.report.rows import SOURCE_TERMS, Row
from parc_motion.draw import BACKGROUND, FINE, INK, LINE, PALE, Color, font

__all__ = ["AFTER", "BEFORE", "draw_chart"]

BEFORE, AFTER = (200, 120, 30), (30, 100, 190)  # told apart without red and green

_LOW, _LABEL, _NUMBER, _ROW, _TOP = -4, 130, 176, 30, 44  # power of ten, pixels
_UNITS = {
    "root_pos": "m^2", "root_rot": "rad^2", "joint_rot": "rad^2", "penetration": "m", "contact": "m",
    "body_constraint": "m", "jerk": "m", "joint_limit": "rad", "foot_lock": "m", "ballistic": "m^2",
    "steadiness": "m^2",
}  # fmt: skip


def draw_chart(rows: Sequence[Row], width: int) -> Image.Image:
    """What was wrong first, then how far the clips went from their source; values below 1e-4 lie on the left edge."""
    names = list(dict.fromkeys(name for row in rows for name in row.before))
    names = [n for n in names if n not in SOURCE_TERMS] + [n for n in names if n in SOURCE_TERMS]
    values = [v for row in rows for side in (row.before, row.after) for v in side.values()]
    high = max(math.ceil(math.log10(max([*values, 1.0]))), 0)
    picture = Image.new("RGB", (width, _TOP + _ROW * len(names) + 8), BACKGROUND)
    dots = Image.new("RGB", (picture.width * FINE, picture.height * FINE), BACKGROUND)
    draw = ImageDraw.Draw(dots)
    span = width - _LABEL - _NUMBER

    def x_of(value: float) -> float:
        power = max(math.log10(max(value, 1e-30)), _LOW)
        return _LABEL + span * (power - _LOW) / (high - _LOW)

    for power in range(_LOW, high + 1):
        x = x_of(10.0**power)
        draw.line([_fine(x, _TOP - 6), _fine(x, picture.height - 8)], fill=LINE, width=FINE)
    for number, name in enumerate(names):
        y = _TOP + _ROW * (number + 0.5)
        _draw_term(draw, rows, name, y, x_of)
    picture.paste(dots.resize(picture.size, Image.Resampling.BOX))
    _write(ImageDraw.Draw(picture), rows, names, high, x_of)
    return picture


def _draw_term(draw: ImageDraw.ImageDraw, rows: Sequence[Row], name: str, y: float, x_of) -> None:
    before, after = _values(rows, name)
    for values, color, shift in ((before, BEFORE, -4), (after, AFTER, 4)):
        red, green, blue = (round(0.45 * c + 0.55 * 255) for c in color)
        for value in values:
            _dot(draw, x_of(value), y + shift, 2.2, (red, green, blue))
    a, b = x_of(statistics.median(before)), x_of(statistics.median(after))
    if abs(a - b) > 12:
        draw.line([_fine(a, y), _fine(b, y)], fill=PALE, width=FINE)
    _dot(draw, a, y, 5.5, BEFORE)
    _dot(draw, b, y, 5.5, AFTER)


def _write(draw: ImageDraw.ImageDraw, rows: Sequence[Row], names: list[str], high: int, x_of) -> None:
    draw.text((0, 0), "loss terms, unweighted", fill=INK, font=font(16))
    x = 200
    for text, color in (("before", BEFORE), ("after", AFTER)):
        draw.ellipse([x, 4, x + 10, 14], fill=color)
        draw.text((x + 16, 1), text, fill=INK, font=font(13))
        x += 80
    draw.text((x, 1), "large: median; small: each clip", fill=PALE, font=font(13))
    for power in range(_LOW, high + 1):
        text = f"<1e{power}" if power == _LOW else f"{10.0**power:g}" if abs(power) < 4 else f"1e{power}"
        draw.text((x_of(10.0**power), _TOP - 10), text, fill=PALE, font=font(11), anchor="ms")
    for number, name in enumerate(names):
        y = _TOP + _ROW * (number + 0.5)
        before, after = (statistics.median(values) for values in _values(rows, name))
        draw.text((0, y), name, fill=PALE if name in SOURCE_TERMS else INK, font=font(14), anchor="lm")
        text = f"{_short(before)} -> {_short(after)} {_UNITS.get(name, '')}"
        draw.text((x_of(10.0**high) + 16, y), text, fill=INK, font=font(13), anchor="lm")


def _values(rows: Sequence[Row], name: str) -> tuple[list[float], list[float]]:
    before = [row.before[name] for row in rows if name in row.before]
    return before, [row.after[name] for row in rows if name in row.after]


def _short(value: float) -> str:
    return "0" if value < 5e-5 else f"{value:.2g}"


def _fine(x: float, y: float) -> tuple[float, float]:
    return x * FINE, y * FINE


def _dot(draw: ImageDraw.ImageDraw, x: float, y: float, radius: float, color: Color) -> None:
    draw.ellipse(
        [(x - radius) * FINE, (y - radius) * FINE, (x + radius) * FINE, (y + radius) * FINE], fill=color
    )
