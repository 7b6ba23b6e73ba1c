"""Motion-terrain files of the published PARC (.pkl): `parc_ms`.

Source: `parc_motion.published`. A file is a pickled dict of three separately pickled sections: motion (root and
joint rotations of the 15-body humanoid, contacts), terrain (height grid, bounds) and free-form extras (touched cells,
path nodes, constraints of the optimizer, recorded observations).
"""

from __future__ import annotations

import logging
import pathlib
from typing import Any, Literal

import attrs
import numpy as np

from parc_data.formats.fields import array_of, dict_of, frame_rate, humanoid, naming, number_of
from parc_data.formats.format import Format, ReadOptions
from parc_data.formats.pickles import Unreadable, read_pickle_tree
from parc_data.source_motion import SourceMotion
from parc_motion.checks import check_shape
from parc_motion.errors import DataError
from parc_motion.terrains import Path, SegmentKind, Terrain

__all__ = ["FORMAT", "PublishedFile", "read", "read_file"]

log = logging.getLogger(__name__)

_SECTIONS = ("motion_data", "terrain_data", "misc_data")
_LOOPS: dict[str, Literal["clamp", "wrap"]] = {"CLAMP": "clamp", "WRAP": "wrap"}
_MAX_CELLS = 4_000_000


@attrs.frozen(kw_only=True, eq=False)
class PublishedFile:
    """Everything that a published file holds; arrays of the motion as stored, float32."""

    root_pos: np.ndarray  # [T, 3] m
    root_rot: np.ndarray  # [T, 4] xyzw
    joint_rot: np.ndarray  # [T, J, 4] xyzw
    contacts: np.ndarray | None  # [T, J + 1] 0..1
    fps: float
    loop: Literal["clamp", "wrap"]
    terrain: Terrain | None
    touched: np.ndarray | None  # [n, 3] frame, i, j
    path: Path | None
    # the extras as stored: path_nodes [P, 3], obs [T, 1312], obs_shapes, min_point_offset, ...
    misc: dict[str, Any]
    warnings: tuple[str, ...]  # what was left out, and why


def read_file(path: pathlib.Path) -> PublishedFile:
    """Everything in a published motion-terrain file.

    Raises:
        DataError: the file is damaged, hostile or of another kind, or its motion or terrain cannot be read. Extras
            that cannot be read are left out, and `warnings` says so.
    """
    tree = read_pickle_tree(path, _SECTIONS)
    with naming(path):
        return _assemble(tree)


def read(path: pathlib.Path, options: ReadOptions) -> list[SourceMotion]:
    """The motion of a published file on its own skeleton, which is the built-in humanoid.

    Raises:
        DataError: the file cannot be read, or belongs to another character.
    """
    file = read_file(path)
    for warning in file.warnings:
        log.warning("%s: %s", path, warning)
    skeleton = humanoid()
    with naming(path):
        if file.joint_rot.shape[1] != skeleton.num_joints:
            raise DataError(
                f"joint_rot holds {file.joint_rot.shape[1]} joints; the character of these files has "
                f"{skeleton.num_joints}. Was it made for another character?"
            )
        notes = {"warnings": list(file.warnings)} if file.warnings else {}
        return [
            SourceMotion(
                name=path.stem,
                format="parc_ms",
                fps=file.fps,
                body_names=skeleton.body_names,
                parents=skeleton.parents,
                root_pos=file.root_pos,
                offsets=skeleton.offsets,
                local_rot=np.concatenate([file.root_rot[:, None], file.joint_rot], axis=1),
                contacts=file.contacts,
                loop=file.loop,
                terrain=file.terrain,
                path=file.path,
                touched=file.touched,
                notes=notes,
            )
        ]


def _recognizes(path: pathlib.Path, head: bytes) -> bool:
    return head[:1] == b"\x80" and b"motion_data" in head[:200]


FORMAT = Format(
    name="parc_ms",
    summary="motion and terrain of the published PARC, .pkl",
    suffixes=(".pkl",),
    recognizes=_recognizes,
    read=read,
)


def _assemble(tree: Any) -> PublishedFile:
    if not isinstance(tree, dict) or "motion_data" not in tree:
        found = (
            ", ".join(str(key)[:40] for key in list(tree)[:8])
            if isinstance(tree, dict)
            else type(tree).__name__
        )
        raise DataError(f"holds {found}, expected a dict with {', '.join(_SECTIONS)}.")
    if tree["motion_data"] is None:
        raise DataError("motion_data is empty.")
    motion = dict_of(tree["motion_data"], "motion_data")
    root_pos = array_of(motion, "root_pos", (None, 3), "motion_data")
    frames = len(root_pos)
    contacts = None
    if motion.get("body_contacts") is not None:
        contacts = array_of(motion, "body_contacts", (frames, None), "motion_data")
    terrain = None
    if tree.get("terrain_data") is not None:
        terrain = _terrain(dict_of(tree["terrain_data"], "terrain_data"))
    misc, warnings = _misc(tree.get("misc_data"))
    return PublishedFile(
        root_pos=root_pos,
        root_rot=array_of(motion, "root_rot", (frames, 4), "motion_data"),
        joint_rot=array_of(motion, "joint_rot", (frames, None, 4), "motion_data"),
        contacts=contacts,
        fps=frame_rate(number_of(motion, "fps", "motion_data"), "motion_data.fps"),
        loop=_loop(motion.get("loop_mode", "CLAMP")),
        terrain=terrain,
        touched=_touched(misc, terrain, frames, warnings),
        path=_path(misc, warnings),
        misc=misc,
        warnings=tuple(warnings),
    )


def _loop(mode: Any) -> Literal["clamp", "wrap"]:
    if not isinstance(mode, str) or mode not in _LOOPS:
        raise DataError(f"loop_mode is '{str(mode)[:40]}', expected CLAMP or WRAP.")
    return _LOOPS[mode]


def _terrain(section: dict[Any, Any]) -> Terrain:
    height = array_of(section, "hf", (None, None), "terrain_data")
    if height.size > _MAX_CELLS:
        raise DataError(f"terrain_data.hf has {height.size} cells; up to {_MAX_CELLS} are read.")
    bounds = None
    if section.get("hf_maxmin") is not None:
        maxmin = array_of(section, "hf_maxmin", (*height.shape, 2), "terrain_data")
        # stored as highest, lowest, or as +1, -1 everywhere if not computed; here lowest, highest
        bounds = None if (maxmin == np.array([1.0, -1.0])).all() else maxmin[..., ::-1]
    origin_xy = array_of(section, "min_point", (2,), "terrain_data")
    return Terrain(
        height=height, origin_xy=origin_xy, cell=number_of(section, "dx", "terrain_data"), bounds=bounds
    )


def _misc(section: Any) -> tuple[dict[str, Any], list[str]]:
    if isinstance(section, Unreadable):  # torch tensors, cameras: extras that the motion does not need
        return {}, [f"misc_data is left out: {section.reason}"]
    if section is not None and not isinstance(section, dict):
        return {}, [f"misc_data is left out: it holds a {type(section).__name__}, expected a dict"]
    return section or {}, []


def _touched(
    misc: dict[str, Any], terrain: Terrain | None, frames: int, warnings: list[str]
) -> np.ndarray | None:
    inds = misc.get("hf_mask_inds")
    if inds is None or terrain is None:
        return None
    rows = []
    try:
        for frame, cells in enumerate(inds):
            cells = np.asarray(cells).reshape(-1, 2)
            check_shape(cells, (None, 2), f"hf_mask_inds[{frame}]")
            if cells.dtype.kind not in "iu" and cells.size:
                raise DataError(f"hf_mask_inds[{frame}] holds {cells.dtype}, expected whole numbers")
            rows.append(np.column_stack([np.full(len(cells), frame), cells]))
    except (TypeError, ValueError, DataError) as err:
        warnings.append(f"its touched cells are left out: {err}")
        return None
    touched = np.concatenate(rows).astype(np.int64) if rows else np.zeros((0, 3), dtype=np.int64)
    if len(touched) == 0:
        return None
    if (touched < 0).any() or (touched >= np.array([frames, *terrain.shape])).any():
        warnings.append("its touched cells lie outside the clip or the terrain; they are left out")
        return None
    return touched


def _path(misc: dict[str, Any], warnings: list[str]) -> Path | None:
    if misc.get("path_nodes") is None:
        return None
    try:
        points = array_of(misc, "path_nodes", (None, 3), "misc_data")
    except DataError as err:
        warnings.append(f"its path is left out: {err}")
        return None
    if len(points) < 2:
        return None
    # the file does not say what kind its segments are
    return Path(points=points, kinds=np.full(len(points) - 1, SegmentKind.WALK))
