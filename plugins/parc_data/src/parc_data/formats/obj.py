"""Boxes from Wavefront .obj text: the ground of a capture as axis-aligned or turned boxes that stand upright.

Only `v` and `f` lines count. Each connected part has to be an upright box: eight corners, four at one height and four
right above them, in a rectangle.
"""

from __future__ import annotations

import pathlib

import attrs
import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from parc_data.formats.format import read_file_bytes
from parc_motion.errors import DataError

__all__ = ["Box", "heights_of", "read_boxes"]

MAX_BYTES = 16 << 20
MAX_VERTICES = 100_000
MAX_BOXES = 300
MAX_CORNERS = 64  # of one face
_TOLERANCE = 2e-3  # of a box's diagonal: how far a corner may be from its place


@attrs.frozen(kw_only=True)
class Box:
    """An upright box; its sides may be turned about z."""

    center: tuple[float, float]  # m
    half: tuple[float, float]  # m, along its own sides
    yaw: float  # rad, of the first side
    bottom: float  # m
    top: float  # m

    def contains(self, xy: np.ndarray) -> np.ndarray:
        """Whether the points are inside its outline: ``[...]`` bool for ``xy`` ``[..., 2]`` m."""
        x, y = np.moveaxis(np.asarray(xy, dtype=np.float64) - self.center, -1, 0)
        cos, sin = np.cos(self.yaw), np.sin(self.yaw)
        return (np.abs(cos * x + sin * y) <= self.half[0]) & (np.abs(cos * y - sin * x) <= self.half[1])


def heights_of(boxes: list[Box], xy: np.ndarray) -> np.ndarray:
    """Height of the highest box over each point, 0 where there is none: ``[...]`` m for ``xy`` ``[..., 2]`` m."""
    height = np.zeros(np.shape(xy)[:-1])
    for box in boxes:
        height[box.contains(xy)] = np.maximum(height[box.contains(xy)], box.top)
    return height


def read_boxes(path: pathlib.Path, turn: np.ndarray | None = None, scale: float = 1.0) -> list[Box]:
    """The boxes in a file.

    Args:
        turn: rotation ``[3, 3]`` into a world with z up; None for none.
        scale: meters per unit of the file.

    Raises:
        DataError: the file is damaged or too large, or a part of it is not an upright box.
    """
    vertices, edges = _parse(path, read_file_bytes(path, MAX_BYTES))
    vertices = scale * (vertices if turn is None else vertices @ turn.T)
    if np.abs(vertices).max() > 1e4:
        raise DataError(
            f"{path}: v: a corner lies {np.abs(vertices).max():.3g} m from the origin, expected at most 10 km. "
            "Is the scale right?"
        )
    parts = _parts(vertices, edges)
    if len(parts) > MAX_BOXES:
        raise DataError(f"{path}: f: {len(parts)} separate parts; up to {MAX_BOXES} boxes are read.")
    return [_box(path, number, corners) for number, corners in enumerate(parts, start=1)]


def _parse(path: pathlib.Path, data: bytes) -> tuple[np.ndarray, np.ndarray]:
    vertices: list[list[float]] = []
    edges: list[tuple[int, int]] = []
    for number, line in enumerate(data.decode("utf-8", errors="replace").splitlines(), start=1):
        words = line.split()
        if not words or words[0] not in ("v", "f"):
            continue
        where = f"{path}:{number}: {words[0]}"
        try:
            if words[0] == "v":
                vertices.append(_vertex(words))
            else:
                corners = _face(words, len(vertices))
                edges += [(corners[0], corner) for corner in corners[1:]]
        except ValueError as err:
            raise DataError(f"{where}: {err}. The line is '{line[:60].strip()}'.") from None
        if len(vertices) > MAX_VERTICES or len(edges) > 4 * MAX_VERTICES:
            raise DataError(
                f"{where}: more than {MAX_VERTICES} corners or as many faces; does it hold boxes?"
            )
    if not edges:
        raise DataError(f"{path}: f: the file has no face. Boxes are written as 'v' and 'f' lines.")
    return np.array(vertices), np.array(edges)


def _vertex(words: list[str]) -> list[float]:
    if len(words) < 4:
        raise ValueError(f"{len(words) - 1} coordinates, expected 3")
    try:
        place = [float(word) for word in words[1:4]]
    except ValueError:
        raise ValueError("a coordinate is not a number") from None
    if not np.isfinite(place).all():
        raise ValueError("a coordinate is not finite")
    return place


def _face(words: list[str], known: int) -> list[int]:
    if not 4 <= len(words) <= MAX_CORNERS + 1:
        raise ValueError(f"a face of {len(words) - 1} corners, expected 3 to {MAX_CORNERS}")
    corners = []
    for word in words[1:]:
        text = word.partition("/")[0]
        if not text.lstrip("-").isascii() or not text.lstrip("-").isdigit() or len(text) > 9:
            raise ValueError(f"corner '{word[:20]}' is not the number of a vertex")
        index = int(text)
        index = index - 1 if index > 0 else known + index
        if not 0 <= index < known or text.lstrip("-").strip("0") == "":
            raise ValueError(f"corner {text} does not exist, there are {known} vertices so far")
        corners.append(index)
    return corners


def _parts(vertices: np.ndarray, edges: np.ndarray) -> list[np.ndarray]:
    """Distinct corners of each connected part, ``[n, 3]`` m.

    Faces that share vertex positions but not vertex numbers (one normal per face) are merged by position.
    """
    names = np.arange(len(vertices))
    parts = _components(names, edges)
    if any(len(np.unique(vertices[part], axis=0)) < 8 for part in parts):
        size = max(float(np.ptp(vertices, axis=0).max()), 1e-9)
        _, names = np.unique(np.round(vertices / (1e-6 * size)), axis=0, return_inverse=True)
        parts = _components(names.reshape(-1), edges)
    return [np.unique(vertices[part], axis=0) for part in parts]


def _components(names: np.ndarray, edges: np.ndarray) -> list[np.ndarray]:
    size = int(names.max()) + 1
    ones = np.ones(len(edges), dtype=bool)
    _, part = connected_components(coo_array((ones, (names[edges[:, 0]], names[edges[:, 1]])), (size, size)))
    used = np.unique(edges)
    label = part[names[used]]
    order = np.argsort(label, kind="stable")
    return np.split(used[order], np.flatnonzero(np.diff(label[order])) + 1)


def _box(path: pathlib.Path, number: int, corners: np.ndarray) -> Box:
    where = f"{path}: part {number} of the faces"
    advice = "Only upright boxes can become terrain; leave out other shapes."
    corners = _merged(corners)
    if len(corners) != 8:
        raise DataError(f"{where}: it has {len(corners)} distinct corners, a box has 8. {advice}")
    order = np.lexsort((corners[:, 1], corners[:, 0], corners[:, 2]))
    low, high = corners[order][:4], corners[order][4:]
    limit = _TOLERANCE * float(np.linalg.norm(np.ptp(corners, axis=0)))
    center = low[:, :2].mean(axis=0)
    spokes = low[:, :2] - center
    around = spokes[np.argsort(np.arctan2(spokes[:, 1], spokes[:, 0]))]
    sides = around[[1, 2]] - around[[0, 1]]
    length = np.linalg.norm(sides, axis=1)
    above = np.linalg.norm(low[:, None, :2] - high[None, :, :2], axis=-1).min(axis=1)
    wrong = max(np.ptp(low[:, 2]), np.ptp(high[:, 2]), above.max(), np.ptp(np.linalg.norm(around, axis=1)))
    if wrong > limit or min(length) <= limit:
        raise DataError(
            f"{where}: its corners are up to {wrong:.3g} m from an upright box of {length[0]:.3g} x {length[1]:.3g} m. "
            f"{advice}"
        )
    return Box(
        center=(float(center[0]), float(center[1])),
        half=(float(length[0] / 2), float(length[1] / 2)),
        yaw=float(np.arctan2(sides[0, 1], sides[0, 0])),
        bottom=float(low[:, 2].mean()),
        top=float(high[:, 2].mean()),
    )


def _merged(corners: np.ndarray) -> np.ndarray:
    size = max(float(np.ptp(corners, axis=0).max()), 1e-9)
    _, first = np.unique(np.round(corners / (1e-4 * size)), axis=0, return_index=True)
    return corners[np.sort(first)]
