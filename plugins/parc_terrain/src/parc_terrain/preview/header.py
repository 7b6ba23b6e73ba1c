"""The top of a sheet: how many terrains have a path, the settings, what the colors mean."""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np
from PIL import Image, ImageDraw

from parc_core.config import Use, dump, key_of
from parc_motion.draw import (
    BACKGROUND,
    FINE,
    INK,
    KIND_COLORS,
    PALE,
    Color,
    HeightScale,
    draw_dashes,
    draw_goal,
    draw_start,
    font,
    wrap_words,
)
from parc_motion.terrains import SegmentKind
from parc_terrain.preview.sample import Tile
from parc_terrain.preview.settings import Ground

__all__ = ["draw_header"]

_TITLE, _SMALL, _LINE, _BAR = 22, 13, 19, (300, 16)  # pixels


def draw_header(ground: Ground, tiles: list[Tile], scale: HeightScale, width: int) -> Image.Image:
    """A picture of the given width, as high as its text needs."""
    rows = [_words("terrain", use, len(ground.terrain) > 1) for use in ground.terrain]
    rows.append(_words("planner", ground.planner, False))
    lines = [line for row in rows for line in wrap_words(row, width, _SMALL)]
    picture = Image.new("RGB", (width, 40 + _LINE * len(lines) + 62), BACKGROUND)
    draw = ImageDraw.Draw(picture)
    found = sum(tile.path is not None for tile in tiles)
    share = f"{found} of {len(tiles)} terrain{'s' * (len(tiles) > 1)} with a path"
    draw.text((0, 0), share, fill=INK, font=font(_TITLE))
    origin = f"seed {ground.seed}" if ground.file is None else f"{ground.file.name}, seed {ground.seed}"
    draw.text((width, 6), origin, fill=PALE, font=font(_SMALL), anchor="ra")
    for number, line in enumerate(lines):
        x = 0.0
        for word, color in line:
            draw.text((x, 36 + _LINE * number), word, fill=color, font=font(_SMALL))
            x += font(_SMALL).getlength(word + "  ")
    top = 36 + _LINE * len(lines) + 12
    _draw_kinds(picture, top)
    _draw_bar(picture, scale, top)
    return picture


def _words(role: str, use: Use, weighted: bool) -> list[tuple[str, Color]]:
    """The settings of a provider, word by word; those that are not at their default are dark."""
    weight = [(f"weight={use.weight:g}", INK)] if weighted else []
    words = [(f"{role} {use.name}", INK), *weight]
    if use.config is None or not attrs.has(type(use.config)):
        return words
    plain = dump(use.config)
    for field in attrs.fields(type(use.config)):
        if key_of(field) in plain:
            changed = getattr(use.config, field.name) != _default(field)
            text = f"{field.name}={_short(plain[key_of(field)])}".replace(", ", ",\n")  # a list may be long
            words += [(piece, INK if changed else PALE) for piece in text.split("\n")]
    return words


def _default(field: attrs.Attribute[Any]) -> Any:
    default: Any = field.default
    if type(default) is not attrs.Factory:
        return default
    return attrs.NOTHING if default.takes_self else default.factory()


def _short(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}={_short(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_short(item) for item in value) + "]"
    return "none" if value is None else str(value)


def _draw_kinds(picture: Image.Image, top: int) -> None:
    """Samples of the lines of a path."""
    draw, x = ImageDraw.Draw(picture), 0
    for label in ("walk", "climb", "drop", "jump", "start", "goal"):
        sample = Image.new("RGB", (26 * FINE, 20 * FINE), BACKGROUND)
        pen, middle = ImageDraw.Draw(sample), 10 * FINE
        if label == "start":
            draw_start(pen, (13 * FINE, middle), 6 * FINE)
        elif label == "goal":
            draw_goal(pen, (13 * FINE, middle), 6 * FINE)
        elif label == "jump":
            draw_dashes(pen, (0, middle), (26 * FINE, middle), 3.4 * FINE)
        else:
            color = KIND_COLORS[SegmentKind[label.upper()]]
            pen.line([(0, middle), (26 * FINE, middle)], fill=color, width=3 * FINE)
        picture.paste(sample.resize((26, 20), Image.Resampling.BOX), (x, top))
        draw.text((x + 32, top + 10), label, fill=INK, font=font(_SMALL), anchor="lm")
        x += 32 + round(font(_SMALL).getlength(label)) + 20


def _draw_bar(picture: Image.Image, scale: HeightScale, top: int) -> None:
    """The height scale at the right end, with ticks in meters."""
    width, height = _BAR
    left = picture.width - width - 24
    draw = ImageDraw.Draw(picture)
    colors = scale.colors(np.linspace(scale.low, scale.high, width))
    picture.paste(Image.fromarray(np.repeat(colors[None], height, axis=0)), (left, top))
    draw.rectangle([left - 1, top - 1, left + width, top + height], outline=PALE)
    span = max(scale.high - scale.low, 1e-9)
    for tick in scale.ticks():
        x = left + (width - 1) * min((tick - scale.low) / span, 1.0)
        draw.line([(x, top + height), (x, top + height + 4)], fill=INK)
        draw.text((x, top + height + 6), f"{tick:g}", fill=INK, font=font(_SMALL), anchor="ma")
    draw.text((picture.width, top), "m", fill=INK, font=font(_SMALL), anchor="ra")
    draw.text((left - 10, top + 7), "height", fill=INK, font=font(_SMALL), anchor="rm")
