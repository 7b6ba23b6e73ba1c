"""A terrain and paths over it, seen from above: x to the right, y up."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator

import numpy as np
from PIL import Image, ImageDraw

from parc_motion.draw.heights import HeightScale
from parc_motion.draw.style import BACKGROUND, INK, Color
from parc_motion.terrains import Path, SegmentKind, Terrain

__all__ = [
    "FINE",
    "KIND_COLORS",
    "draw_dashes",
    "draw_goal",
    "draw_start",
    "draw_terrain",
    "jump_spans",
]

FINE = 3  # drawn that much larger, then made smaller: smooth lines
# saturated, while heights are muted; told apart by lightness too, for eyes that do not tell red from green
KIND_COLORS = {
    SegmentKind.WALK: (25, 25, 30),
    SegmentKind.CLIMB: (222, 0, 118),
    SegmentKind.DROP: (108, 60, 214),
    SegmentKind.JUMP: (0, 148, 52),
}
_LEVEL = 1e-3  # m
_LARGEST = 800  # pixels of a tile's longer side, whatever its number of cells


def draw_terrain(
    terrain: Terrain,
    scale: HeightScale,
    side: int,
    path: Path | None = None,
    ways: Iterable[tuple[np.ndarray, Color]] = (),
) -> Image.Image:
    """A picture whose longer side has about `side` pixels, or one per cell where there are more cells.

    Args:
        ways: lines ``[n, 2]`` m that are drawn under the path, with their colors.
    """
    nx, ny = terrain.shape
    cell = max(side // max(nx, ny), 1)  # pixels
    unit = cell * FINE
    picture = Image.fromarray(_ground(terrain.height, scale, unit))
    draw = ImageDraw.Draw(picture)
    for xy, color in ways:
        draw.line(_pixels(terrain, xy, unit), fill=color, width=2 * FINE, joint="curve")
    if path is not None:
        _draw_path(draw, terrain, path, unit)
    shrink = min(1.0, _LARGEST / (cell * max(nx, ny)))
    size = (max(round(nx * cell * shrink), 1), max(round(ny * cell * shrink), 1))
    return picture.resize(size, Image.Resampling.BOX)


def _ground(height: np.ndarray, scale: HeightScale, unit: int) -> np.ndarray:
    """Colored cells ``[ny * unit, nx * unit, 3]`` uint8, with a dark strip at the foot of every step.

    The strip is wider and darker for higher steps, and darker to the right of and below them: light comes from the
    upper left.
    """
    seen = height.T[::-1].astype(np.float64)  # rows from the largest y down
    pixels = np.repeat(np.repeat(scale.colors(seen), unit, axis=0), unit, axis=1)
    light = np.ones(pixels.shape[:2])
    around = np.pad(seen, 1, mode="edge")
    higher = {
        "left": around[1:-1, :-2] - seen,
        "right": around[1:-1, 2:] - seen,
        "top": around[:-2, 1:-1] - seen,
        "bottom": around[2:, 1:-1] - seen,
    }
    for where, step in higher.items():
        dark = np.where(step > 1e-3, 0.30 + 0.35 * np.minimum(step, 1.0), 0.0)
        dark *= 1.0 if where in ("left", "top") else 0.72
        width = np.clip(np.round(FINE * (0.7 + 1.3 * step)), 1, max(0.3 * unit, 1))
        for k in range(int(np.max(width))):
            strip = np.repeat(1.0 - dark * (width > k), unit, axis=1 if where in ("top", "bottom") else 0)
            first = k if where in ("left", "top") else unit - 1 - k
            part = light[first::unit] if where in ("top", "bottom") else light[:, first::unit]
            np.minimum(part, strip, out=part)
    return (pixels * light[..., None]).astype(np.uint8)


def _pixels(terrain: Terrain, xy: np.ndarray, unit: int) -> list[tuple[float, float]]:
    """Pixels from the upper left corner of points ``[n, 2]`` m, with `unit` pixels to a cell."""
    cells = (xy.astype(np.float64) - terrain.origin_xy) / terrain.cell + 0.5
    cells[:, 1] = terrain.shape[1] - cells[:, 1]
    return [(float(x), float(y)) for x, y in cells * unit]


def _draw_path(draw: ImageDraw.ImageDraw, terrain: Terrain, path: Path, unit: int) -> None:
    points = _pixels(terrain, path.points[:, :2], unit)
    width = FINE * float(np.clip(0.17 * unit / FINE, 1.6, 3.2))
    for a, b in itertools.pairwise(points):
        _round_line(draw, a, b, width + 2.2 * FINE, BACKGROUND)
    _draw_steps(draw, points, path.kinds.tolist(), width)
    for first, last in jump_spans(terrain, path):
        _round_line(draw, points[first], points[last], 1.4 * width + 2.2 * FINE, BACKGROUND)
        draw_dashes(draw, points[first], points[last], 1.4 * width)
        for end in (points[first], points[last]):
            _disc(draw, end, 1.3 * width + FINE, BACKGROUND)
            _disc(draw, end, 1.3 * width, KIND_COLORS[SegmentKind.JUMP])
    size = FINE * float(np.clip(0.4 * unit / FINE, 4.5, 7.0))
    draw_start(draw, points[0], size)
    draw_goal(draw, points[-1], size)


def _draw_steps(
    draw: ImageDraw.ImageDraw, points: list[tuple[float, float]], kinds: list[int], width: float
) -> None:
    """Everything but jumps; a step up or down that is too short to be seen as a line is a dot."""
    for i, kind in enumerate(kinds):
        if kind != SegmentKind.JUMP:
            _round_line(draw, points[i], points[i + 1], width, KIND_COLORS[SegmentKind(kind)])
    for ((ax, ay), (bx, by)), kind in zip(itertools.pairwise(points), kinds):
        if kind in (SegmentKind.CLIMB, SegmentKind.DROP) and np.hypot(bx - ax, by - ay) < 10 * FINE:
            middle = ((ax + bx) / 2, (ay + by) / 2)
            _disc(draw, middle, 3.8 * FINE, BACKGROUND)
            _disc(draw, middle, 2.8 * FINE, KIND_COLORS[SegmentKind(kind)])


def jump_spans(terrain: Terrain, path: Path) -> list[tuple[int, int]]:
    """First and last point of every jump of a path.

    A planner may cut a jump into several segments on a straight line. So a new jump begins where direction or slope
    change, and where the path stands on the ground with enough way for a jump, more than a neighboring cell is away,
    both before and after.
    """
    points = path.points.astype(np.float64)
    segment = np.diff(points, axis=0)
    unit = segment / np.maximum(np.linalg.norm(segment, axis=1, keepdims=True), 1e-9)
    lines: list[tuple[int, int]] = []
    for i in np.flatnonzero(path.kinds == SegmentKind.JUMP).tolist():
        if lines and lines[-1][1] == i and np.allclose(unit[i - 1], unit[i], atol=1e-3):
            lines[-1] = (lines[-1][0], i + 1)
        else:
            lines.append((i, i + 1))
    stands = np.abs(points - terrain.center_of(terrain.cell_of(points[:, :2]))).max(axis=1) < _LEVEL
    spans: list[tuple[int, int]] = []
    for first, last in lines:
        for i in range(first + 1, last):
            far = [
                np.linalg.norm(points[i, :2] - points[end, :2]) > 1.5 * terrain.cell for end in (first, last)
            ]
            if stands[i] and all(far):
                spans.append((first, i))
                first = i
        spans.append((first, last))
    return spans


def draw_dashes(
    draw: ImageDraw.ImageDraw, a: tuple[float, float], b: tuple[float, float], width: float
) -> None:
    """A jump: dashes from one point to another, beginning and ending with a dash."""
    length = float(np.hypot(b[0] - a[0], b[1] - a[1]))
    count = max(round((length / (1.9 * width) + 1) / 2), 1)
    for start, stop in _dashes(count):
        ends = [(a[0] + s * (b[0] - a[0]), a[1] + s * (b[1] - a[1])) for s in (start, stop)]
        draw.line(ends, fill=KIND_COLORS[SegmentKind.JUMP], width=round(width))


def _dashes(count: int) -> Iterator[tuple[float, float]]:
    """Start and end of `count` dashes between 0 and 1, with gaps a little shorter than they are."""
    dash = 1.0 / (count + 0.8 * (count - 1))
    for i in range(count):
        yield 1.8 * i * dash, (1.8 * i + 1) * dash


def draw_start(draw: ImageDraw.ImageDraw, at: tuple[float, float], size: float) -> None:
    """Where a path begins: a white disc with a dark rim."""
    _disc(draw, at, size + 0.8 * FINE, BACKGROUND)
    _disc(draw, at, size, INK)
    _disc(draw, at, 0.6 * size, BACKGROUND)


def draw_goal(draw: ImageDraw.ImageDraw, at: tuple[float, float], size: float) -> None:
    """Where a path ends: a dark disc with a white rim."""
    _disc(draw, at, size + 1.2 * FINE, BACKGROUND)
    _disc(draw, at, size, INK)


def _round_line(
    draw: ImageDraw.ImageDraw,
    a: tuple[float, float],
    b: tuple[float, float],
    width: float,
    color: Color,
) -> None:
    pixels = round(width) | 1  # odd: lines and discs then have the same middle
    draw.line([a, b], fill=color, width=pixels)
    for end in (a, b):
        _disc(draw, end, (pixels - 1) / 2, color)


def _disc(draw: ImageDraw.ImageDraw, at: tuple[float, float], radius: float, color: Color) -> None:
    draw.ellipse([at[0] - radius, at[1] - radius, at[0] + radius, at[1] + radius], fill=color)
