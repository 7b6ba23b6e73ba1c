"""World positions of joints, [T, J, 3] in .npy or .npz, with the boxes of an .obj beside it as ground.

An .npz holds the positions as `joint_positions` (or another name of `joint_file.POSITION_KEYS`) and may hold
`joint_names` [J], `parents` [J], `fps`. A sidecar of the same stem (.json, .yaml, .yml) may say `joint_names` (a list,
or a map from name to column), `parents`, `fps`, `scale` (meters per unit) and `up`. Without names the columns have to
fit a layout of `joint_layouts`: the number of joints, bones of constant length, left and right alike.

Ground: the .obj of the same stem, else all .obj files of the folder, in the unit and axes of the positions.
"""

from __future__ import annotations

import pathlib
from typing import Any

import attrs
import numpy as np

from parc_data.box_terrain import boxes_terrain
from parc_data.formats.format import MAX_BODIES, MAX_FRAMES, Format, ReadOptions
from parc_data.formats.joint_file import StoredJoints, holds_joints, read_joint_file
from parc_data.formats.joint_layouts import Layout, find_layout, tree_of
from parc_data.formats.obj import Box, read_boxes
from parc_data.source_motion import SourceMotion, up_to_z
from parc_motion.errors import DataError
from parc_motion.terrains import Terrain

__all__ = ["FORMAT"]

_MAX_OBJ_FILES = 64
_UNITS = {1.0: "m", 0.01: "cm", 0.001: "mm"}
_REACH = (0.35, 2.2)  # m: median distance from the root to the joint that is furthest from it
_AXES = "xyz"
_FLOATS = 0.05  # m: gap allowed between a box and what is below it


def read(path: pathlib.Path, options: ReadOptions) -> list[SourceMotion]:
    """The motion of a file.

    Raises:
        DataError: it is damaged, or something is missing that the file and the options do not say.
    """
    stored = read_joint_file(path)
    stored, layout, order = _columns(path, stored, options)
    pos = stored.positions.astype(np.float64)[:, order]
    up, how_up = _up(path, pos, layout.names, options, stored)
    scale, how_scale = _scale(path, pos, options, stored)
    fps, how_fps = _fps(path, options, stored, layout)
    turn = up_to_z(up)
    pos = scale * (pos @ turn.T)
    notes: dict[str, Any] = {
        "layout": layout.title,
        "fps_from": how_fps,
        "scale": scale,
        "scale_from": how_scale,
        "up": up,
        "up_from": how_up,
    }
    terrain = _ground(path, turn, scale, pos, notes)
    motion = SourceMotion(
        name=path.stem,
        format="joints",
        fps=fps,
        body_names=layout.names,
        parents=layout.parents,
        root_pos=pos[:, 0],
        marker_pos=pos,
        terrain=terrain,
        notes=notes,
    )
    return [motion]


FORMAT = Format(
    name="joints",
    summary="world positions of joints [T, J, 3], boxes from .obj beside it",
    suffixes=(".npy", ".npz"),
    recognizes=holds_joints,
    read=read,
)


def _columns(
    path: pathlib.Path, stored: StoredJoints, options: ReadOptions
) -> tuple[StoredJoints, Layout, np.ndarray]:
    """Names and parents of the columns, and the order that puts parents first."""
    frames, joints, _ = stored.positions.shape
    if not (1 <= frames <= MAX_FRAMES and 2 <= joints <= MAX_BODIES):
        raise DataError(
            f"{path}: positions: {frames} frames of {joints} joints, expected 1 to {MAX_FRAMES} frames of 2 to "
            f"{MAX_BODIES} joints."
        )
    names = options.joint_names or stored.names
    if names is None:
        layout = find_layout(stored.positions)
        if layout is None:
            raise DataError(
                f"{path}: joint_names: the file does not name its {joints} joints and they fit no known layout. "
                f"Give the names of the columns as 'joint_names' in the .npz, or in {path.stem}.json beside it."
            )
        return stored, layout, np.arange(joints)
    columns = stored.columns
    if columns is not None and options.joint_names is None:
        stored = attrs.evolve(stored, positions=stored.positions[:, list(columns)])
        joints = len(columns)
    if len(names) != joints:
        raise DataError(f"{path}: joint_names: {len(names)} names for {joints} joints; give one for each.")
    if len(set(names)) != len(names) or not all(names):
        raise DataError(f"{path}: joint_names: names are empty or repeated; every joint needs its own.")
    layout, order = tree_of(path, stored.positions, tuple(names), stored.parents)
    return stored, layout, order


def _up(
    path: pathlib.Path,
    pos: np.ndarray,
    names: tuple[str, ...],
    options: ReadOptions,
    stored: StoredJoints,
) -> tuple[str, str]:
    if options.up != "auto":
        return options.up, "options"
    if stored.up is not None:
        return stored.up, "file"
    heads = [
        i for i, name in enumerate(names) if name.lower().split(":")[-1] in ("head", "headend", "head_end")
    ]
    if heads:
        trunk = (pos[:, heads[0]] - pos[:, 0]).mean(axis=0)
        axis = int(np.abs(trunk).argmax())
        if trunk[axis] > 2.0 * np.abs(np.delete(trunk, axis)).max():
            return _AXES[axis], "from root to head"
        if -trunk[axis] > 2.0 * np.abs(np.delete(trunk, axis)).max():
            raise DataError(
                f"{path}: positions: the head is below the root along {_AXES[axis]}, so that axis points down. "
                f"Rotate the positions before importing them."
            )
    extent = np.ptp(pos, axis=1).mean(axis=0)
    axis = int(extent.argmax())
    if extent[axis] > 1.3 * np.delete(extent, axis).max():
        return _AXES[axis], "largest extent"
    raise DataError(
        f"{path}: up: the axis that points up is ambiguous (mean extents {np.round(extent, 3).tolist()}). "
        f"Give --up, or 'up' in {path.stem}.json beside it."
    )


def _scale(
    path: pathlib.Path, pos: np.ndarray, options: ReadOptions, stored: StoredJoints
) -> tuple[float, str]:
    for value, source in ((options.scale, "options"), (stored.scale, "file")):
        if value is not None:
            if not (np.isfinite(value) and value > 0):
                raise DataError(f"{path}: scale: {value} meters per unit, expected more than 0.")
            return float(value), source
    some = pos[:: max(len(pos) // 500, 1)]
    reach = float(np.median(np.linalg.norm(some - some[:, :1], axis=-1).max(axis=1)))
    for unit, name in _UNITS.items():
        if _REACH[0] <= reach * unit <= _REACH[1]:
            return unit, f"size of the body: positions in {name}"
    raise DataError(
        f"{path}: scale: the body reaches {reach:.4g} units from its root, which is not the size of a person in m, cm "
        f"or mm. Give --scale (meters per unit), or 'scale' in {path.stem}.json beside it."
    )


def _fps(path: pathlib.Path, options: ReadOptions, stored: StoredJoints, layout: Layout) -> tuple[float, str]:
    choices = ((options.fps, "options"), (stored.fps, "file"), (layout.fps, f"layout '{layout.title}'"))
    for value, source in choices:
        if value is not None:
            if not (np.isfinite(value) and 0 < value <= 10_000):
                raise DataError(f"{path}: fps: {value} frames per second, expected more than 0, up to 10000.")
            return float(value), source
    raise DataError(
        f"{path}: fps: its frame rate is unknown. Give 'fps' in the .npz, in {path.stem}.json "
        "beside it, or as --source-fps."
    )


def _ground(
    path: pathlib.Path, turn: np.ndarray, scale: float, pos: np.ndarray, notes: dict[str, Any]
) -> Terrain | None:
    files = _obj_files(path)
    if not files:
        return None
    boxes: list[Box] = []
    for file in files:
        for box in read_boxes(file, turn, scale):
            if not any(_same(box, other) for other in boxes):
                boxes.append(box)
    _check_standing(path, boxes)
    if np.abs(pos).max() > 1e5:
        raise DataError(
            f"{path}: positions: joints are up to {np.abs(pos).max():.3g} m away. Is the unit right?"
        )
    try:
        terrain, wrong = boxes_terrain(boxes, pos[:, 0], pos)
    except DataError as err:
        raise DataError(f"{path}: positions: {err}") from err
    notes["boxes"] = [attrs.asdict(box) for box in boxes]
    notes["box_files"] = [file.name for file in files]
    notes["ground_off_share"] = round(wrong, 4)  # points near the ground whose cell differs from the boxes
    return terrain


def _obj_files(path: pathlib.Path) -> list[pathlib.Path]:
    own = path.with_suffix(".obj")
    try:
        files = [own] if own.is_file() else sorted(path.parent.glob("*.obj"))
    except OSError as err:
        raise DataError(f"{path.parent}: cannot read: {err.strerror}.") from err
    if len(files) > _MAX_OBJ_FILES:
        raise DataError(
            f"{path}: {len(files)} .obj files lie beside it, up to {_MAX_OBJ_FILES} are read. Name the one that is "
            f"its ground {own.name}."
        )
    return files


def _same(a: Box, b: Box) -> bool:
    corners = [np.array([*box.center, *sorted(box.half), box.bottom, box.top]) for box in (a, b)]
    return bool(np.abs(corners[0] - corners[1]).max() < 1e-3)


def _check_standing(path: pathlib.Path, boxes: list[Box]) -> None:
    for box in boxes:
        if box.bottom <= _FLOATS:
            continue
        under = [
            b.top for b in boxes if b is not box and b.top < box.top and b.contains(np.array(box.center))
        ]
        if box.bottom > max(under, default=0.0) + _FLOATS:
            raise DataError(
                f"{path}: the box at x {box.center[0]:.2f}, y {box.center[1]:.2f} begins {box.bottom:.2f} m above the "
                "ground with nothing below it; terrain has no overhangs. Extend it to the ground, or remove it."
            )
