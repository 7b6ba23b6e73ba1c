"""A clip as one `.npz` file: arrays, and a JSON header with the format version."""

from __future__ import annotations

import pathlib
from typing import Any

import attrs
import numpy as np

from parc_motion import storage
from parc_motion.clips.clip import MotionClip
from parc_motion.clips.stored import (
    array_of,
    field_of,
    naming,
    stored_provenance,
    stored_terrain,
    touched_cells,
)
from parc_motion.errors import DataError
from parc_motion.terrains import Path

__all__ = ["FORMAT_VERSION", "clip_of", "load_clip", "save_clip"]

FORMAT_VERSION = 1
_KIND = "parc.clip"
_FRAME_ARRAYS = ("root_pos", "root_rot", "joint_rot", "contacts")


def save_clip(path: pathlib.Path, clip: MotionClip) -> str:
    """Write the clip durably; returns the SHA-256 of the file. Equal clips give equal files."""
    arrays = {name: getattr(clip, name) for name in _FRAME_ARRAYS}
    if clip.touched is not None:
        arrays["touched"] = clip.touched.astype(np.int32)
    header: dict[str, Any] = {
        "kind": _KIND,
        "format": FORMAT_VERSION,
        "name": clip.name,
        "fps": clip.fps,
        "loop": clip.loop,
        "skeleton": clip.skeleton,
        "motion_class": clip.motion_class,
        "units": "metres, seconds, radians; z up; quaternions xyzw",
        "provenance": attrs.asdict(clip.provenance),
    }
    if clip.terrain is not None:
        header["terrain"] = {"cell": clip.terrain.cell}
        arrays |= {"terrain_height": clip.terrain.height, "terrain_origin_xy": clip.terrain.origin_xy}
        if clip.terrain.bounds is not None:
            arrays["terrain_bounds"] = clip.terrain.bounds
    if clip.path is not None:
        header["path"] = {"cost": clip.path.cost}
        arrays |= {"path_points": clip.path.points, "path_kinds": clip.path.kinds.astype(np.int8)}
    return storage.write_arrays(path, arrays, header)


def load_clip(path: pathlib.Path) -> MotionClip:
    """The clip in a file.

    Raises:
        DataError: no clip of a known format, or its arrays do not fit together.
    """
    return clip_of(path, *storage.read_arrays(path))


def clip_of(path: pathlib.Path, arrays: dict[str, np.ndarray], header: dict[str, Any]) -> MotionClip:
    """The clip that arrays and header of a file hold; raises as `load_clip`."""
    if header.get("kind") != _KIND:
        raise DataError(f"{path}: holds {header.get('kind')!r:.80}, expected '{_KIND}'.")
    if header.get("format") != FORMAT_VERSION:
        raise DataError(
            f"{path}: clip format {header.get('format')!r:.80}; this version reads {FORMAT_VERSION}. Upgrade parc-core."
        )
    with naming(path):
        return _assemble(arrays, header)


def _assemble(arrays: dict[str, np.ndarray], header: dict[str, Any]) -> MotionClip:
    frames = {name: array_of(arrays, name) for name in _FRAME_ARRAYS}
    terrain = path = None
    if "terrain" in header:
        terrain = stored_terrain(arrays, field_of(header, "terrain", dict), "terrain_")
    if "path" in header:
        path = Path(
            points=array_of(arrays, "path_points"),
            kinds=array_of(arrays, "path_kinds", "i"),
            cost=field_of(field_of(header, "path", dict), "cost", float),
        )
    loop: Any = field_of(header, "loop", str)
    if loop not in ("clamp", "wrap"):
        raise DataError(f"field 'loop' is {loop!r:.80}, expected 'clamp' or 'wrap'.")
    return MotionClip(
        name=field_of(header, "name", str),
        fps=field_of(header, "fps", float),
        loop=loop,
        skeleton=field_of(header, "skeleton", str),
        motion_class=field_of(header, "motion_class", str),
        touched=touched_cells(arrays, len(frames["root_pos"]), terrain),
        terrain=terrain,
        path=path,
        provenance=stored_provenance(field_of(header, "provenance", dict)),
        **frames,
    )
