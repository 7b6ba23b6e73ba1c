"""A clip as one `.npz` file: arrays, and a JSON header with the format version."""

from __future__ import annotations

import pathlib
from typing import Any

import attrs
import numpy as np

from parc_motion import storage
from parc_motion.clips.clip import MotionClip, Provenance
from parc_motion.errors import DataError
from parc_motion.terrains import Path, Terrain

__all__ = ["FORMAT_VERSION", "load_clip", "save_clip"]

FORMAT_VERSION = 1
_KIND = "parc.clip"


def save_clip(path: pathlib.Path, clip: MotionClip) -> str:
    """Write the clip durably; returns the SHA-256 of the file. Equal clips give equal files."""
    arrays = {name: getattr(clip, name) for name in ("root_pos", "root_rot", "joint_rot", "contacts")}
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
    arrays, header = storage.read_arrays(path)
    if header.get("kind") != _KIND:
        raise DataError(f"{path}: holds '{header.get('kind')}', expected '{_KIND}'.")
    if header.get("format") != FORMAT_VERSION:
        raise DataError(
            f"{path}: clip format {header.get('format')}; this version reads {FORMAT_VERSION}. Upgrade parc-core."
        )
    try:
        return _assemble(arrays, header)
    except KeyError as err:
        raise DataError(f"{path}: field {err} is missing.") from err
    except (TypeError, ValueError) as err:
        raise DataError(f"{path}: {err}.") from err
    except DataError as err:
        raise type(err)(f"{path}: {err}") from err


def _assemble(arrays: dict[str, np.ndarray], header: dict[str, Any]) -> MotionClip:
    terrain = path = None
    if "terrain" in header:
        terrain = Terrain(
            height=arrays["terrain_height"],
            origin_xy=arrays["terrain_origin_xy"],
            cell=header["terrain"]["cell"],
            bounds=arrays.get("terrain_bounds"),
        )
    if "path" in header:
        path = Path(points=arrays["path_points"], kinds=arrays["path_kinds"], cost=header["path"]["cost"])
    return MotionClip(
        name=header["name"],
        fps=header["fps"],
        loop=header["loop"],
        skeleton=header["skeleton"],
        motion_class=header["motion_class"],
        touched=arrays.get("touched"),
        terrain=terrain,
        path=path,
        provenance=Provenance(**header["provenance"]),
        **{name: arrays[name] for name in ("root_pos", "root_rot", "joint_rot", "contacts")},
    )
