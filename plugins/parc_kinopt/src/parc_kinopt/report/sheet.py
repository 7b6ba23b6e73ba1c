"""The whole picture: title, loss terms, the worst clips, and poses of the worst one."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image, ImageDraw

from parc_kinopt.report.chart import draw_chart
from parc_kinopt.report.rows import Row, worst_first
from parc_kinopt.report.strip import draw_strip
from parc_motion.draw import BACKGROUND, INK, LINE, PALE, fit, font
from parc_motion.skeletons import Skeleton

__all__ = ["draw_report"]

_WIDTH, _MARGIN, _CHART, _LINE, _MOST = 1400, 28, 720, 26, 12
_COLUMNS = (("clip", 0), ("penetration", 180), ("contact", 310), ("left over", 420))


def draw_report(title: str, rows: Sequence[Row], skeleton: Skeleton, poses: int) -> Image.Image:
    """The report of some refined clips, 1400 pixels wide."""
    ranked = worst_first(rows)
    chart, strip = draw_chart(rows, _CHART), draw_strip(ranked[0], skeleton, poses, _WIDTH - 2 * _MARGIN)
    table = _table(ranked[:_MOST], _WIDTH - 2 * _MARGIN - _CHART - 30)
    middle = max(chart.height, table.height)
    sheet = Image.new("RGB", (_WIDTH, 3 * _MARGIN + 50 + middle + strip.height), BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    draw.text((_MARGIN, _MARGIN - 6), fit(f"refinement of {title}", 900, 24), fill=INK, font=font(24))
    draw.text((_WIDTH - _MARGIN, _MARGIN + 2), _counts(rows), fill=PALE, font=font(14), anchor="ra")
    top = _MARGIN + 50
    sheet.paste(chart, (_MARGIN, top))
    sheet.paste(table, (_MARGIN + _CHART + 30, top))
    sheet.paste(strip, (_MARGIN, top + middle + _MARGIN))
    return sheet


def _counts(rows: Sequence[Row]) -> str:
    left = sum(bool(row.unresolved) for row in rows)
    removed = sum(len(row.removed_frames) for row in rows)
    return f"{len(rows)} clips, {left} with something unresolved, {removed} frames of hesitation removed"


def _table(rows: Sequence[Row], width: int) -> Image.Image:
    """The worst clips: two losses before and after, the remaining total, and what could not be fixed."""
    lines = sum(1 + bool(row.unresolved) for row in rows)
    picture = Image.new("RGB", (width, 44 + _LINE * lines + 8), BACKGROUND)
    draw = ImageDraw.Draw(picture)
    draw.text((0, 0), "worst clips", fill=INK, font=font(16))
    for name, x in _COLUMNS:
        draw.text((x, 26), name, fill=PALE, font=font(12))
    y = 44
    for row in rows:
        draw.line([(0, y), (width, y)], fill=LINE)
        cells = (row.name, _change(row, "penetration"), _change(row, "contact"), f"{row.rest:.3g}")
        ends = [x for _, x in _COLUMNS[1:]] + [width]
        for text, (_, x), end in zip(cells, _COLUMNS, ends):
            draw.text((x, y + 6), fit(text, end - x - 8, 13), fill=INK, font=font(13))
        y += _LINE
        if row.unresolved:
            more = f" (and {len(row.unresolved) - 1} more)" if len(row.unresolved) > 1 else ""
            draw.text((12, y), fit(row.unresolved[0] + more, width - 12, 12), fill=PALE, font=font(12))
            y += _LINE
    return picture


def _change(row: Row, name: str) -> str:
    if name not in row.before:
        return "-"
    return f"{row.before[name]:.3g} -> {row.after[name]:.2g}"
