"""The whole picture: header, tiles in rows, a caption below each."""

from __future__ import annotations

import math

from PIL import Image, ImageDraw

from parc_motion.draw import BACKGROUND, INK, PALE, WARNING, HeightScale, draw_terrain, font, wrap
from parc_terrain.preview.header import draw_header
from parc_terrain.preview.sample import Tile, tile_counts
from parc_terrain.preview.settings import Ground

__all__ = ["draw_sheet"]

_MARGIN, _GAP, _LEAST = 28, 22, 960  # pixels; the header needs the width
_NAME, _SMALL, _FINE_PRINT, _CAPTION = 15, 13, 12, 58
_NARROWEST = 200


def draw_sheet(ground: Ground, tiles: list[Tile]) -> Image.Image:
    """All tiles on one height scale."""
    scale = HeightScale.of(tile.terrain.height for tile in tiles)
    columns = _columns(len(tiles))
    cells = max(max(tile.terrain.shape) for tile in tiles)
    side = max(min(max(1100 // columns, 270), 560), min(4 * cells, 400))
    pictures = [_with_reason(tile, draw_terrain(tile.terrain, scale, side, tile.path)) for tile in tiles]
    side = max(max(picture.width for picture in pictures), _NARROWEST)  # of a column, captions included
    rows = [pictures[first : first + columns] for first in range(0, len(pictures), columns)]
    heights = [max(picture.height for picture in row) + _CAPTION + _GAP for row in rows]
    width = max(columns * (side + _GAP) - _GAP, _LEAST)
    header = draw_header(ground, tiles, scale, width)
    top = _MARGIN + header.height + 12
    sheet = Image.new("RGB", (width + 2 * _MARGIN, top + sum(heights) - _GAP + _MARGIN), BACKGROUND)
    sheet.paste(header, (_MARGIN, _MARGIN))
    for number, (tile, picture) in enumerate(zip(tiles, pictures, strict=True)):
        x = _MARGIN + (number % columns) * (side + _GAP)
        y = top + sum(heights[: number // columns])
        sheet.paste(picture, (x, y))
        ImageDraw.Draw(sheet).rectangle([x - 1, y - 1, x + picture.width, y + picture.height], outline=PALE)
        _write_caption(sheet, tile, (x, y + picture.height + 6), side)
    return sheet


def _columns(count: int) -> int:
    """Columns of a sheet somewhat wider than high, with the last row as full as it gets."""
    rows = math.ceil(count / math.ceil(math.sqrt(1.3 * count)))
    return math.ceil(count / rows)


def _with_reason(tile: Tile, picture: Image.Image) -> Image.Image:
    """The picture, and where there is no path a panel that says why; below a picture too small to hold it."""
    if tile.path is not None:
        return picture
    width = max(picture.width, _NARROWEST)
    inside = picture.width == width and picture.height >= _NARROWEST
    room = picture.height * 2 // 5 if inside else _NARROWEST  # most of the terrain stays visible
    lines = wrap(tile.reason, width - 20, _FINE_PRINT, (room - 14) // 16)
    panel = 16 * len(lines) + 14
    height = picture.height if inside else picture.height + panel
    shown = Image.new("RGB", (width, height), BACKGROUND)
    shown.paste(Image.blend(picture, Image.new("RGB", picture.size, BACKGROUND), 0.35))
    draw, top = ImageDraw.Draw(shown), height - panel
    draw.rectangle([0, top, width, height], fill=BACKGROUND)
    draw.line([(0, top), (width, top)], fill=WARNING, width=2)
    for number, line in enumerate(lines):
        draw.text((10, top + 8 + 16 * number), line, fill=INK, font=font(_FINE_PRINT))
    return shown


def _write_caption(sheet: Image.Image, tile: Tile, at: tuple[int, int], width: int) -> None:
    draw, (x, y) = ImageDraw.Draw(sheet), at
    size = " x ".join(f"{n * tile.terrain.cell:.4g}" for n in tile.terrain.shape)
    draw.text((x, y), f"{tile.source} #{tile.number}", fill=INK, font=font(_NAME))
    draw.text((x + width, y + 2), f"{size} m", fill=PALE, font=font(_SMALL), anchor="ra")
    if tile.path is None:
        draw.text((x, y + 20), "no path", fill=WARNING, font=font(_SMALL))
        return
    draw.text(
        (x, y + 20), f"path {tile.path.length:.1f} m, cost {tile.path.cost:.4g}", fill=INK, font=font(_SMALL)
    )
    parts = [_plural(count, name) for name, count in tile_counts(tile).items() if count]
    draw.text((x, y + 37), ", ".join(parts) or "walk only", fill=INK, font=font(_SMALL))


def _plural(count: int, names: str) -> str:
    return f"{count} {names if count != 1 else names.removesuffix('s')}"
