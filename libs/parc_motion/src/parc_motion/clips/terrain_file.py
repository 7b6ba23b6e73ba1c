"""A terrain as one `.npz` file: arrays, and a JSON header with the format version."""

from __future__ import annotations

import pathlib

from parc_motion import storage
from parc_motion.clips.clip_file import clip_of
from parc_motion.clips.stored import naming, stored_terrain
from parc_motion.errors import DataError
from parc_motion.terrains import Terrain

__all__ = ["FORMAT_VERSION", "load_terrain", "save_terrain"]

FORMAT_VERSION = 1
_KIND, _CLIP = "parc.terrain", "parc.clip"


def save_terrain(path: pathlib.Path, terrain: Terrain) -> str:
    """Write the terrain durably; returns the SHA-256 of the file. Equal terrains give equal files."""
    arrays = {"height": terrain.height, "origin_xy": terrain.origin_xy}
    if terrain.bounds is not None:
        arrays["bounds"] = terrain.bounds
    header = {
        "kind": _KIND,
        "format": FORMAT_VERSION,
        "cell": terrain.cell,
        "units": "metres; z up; axis 0 is x",
    }
    return storage.write_arrays(path, arrays, header)


def load_terrain(path: pathlib.Path) -> Terrain:
    """The terrain in a file: one that was written by itself, or the ground of a clip.

    Raises:
        DataError: neither a terrain nor a clip of a known format, a clip without terrain, or its arrays do not fit
            together.
    """
    arrays, header = storage.read_arrays(path)
    kind = header.get("kind")
    if kind == _CLIP:
        terrain = clip_of(path, arrays, header).terrain
        if terrain is None:
            raise DataError(f"{path}: the clip has no terrain. Leave the file out.")
        return terrain
    if kind != _KIND:
        raise DataError(f"{path}: holds {kind!r:.80}, expected '{_KIND}' or '{_CLIP}'.")
    if header.get("format") != FORMAT_VERSION:
        raise DataError(
            f"{path}: terrain format {header.get('format')!r:.80}; this version reads {FORMAT_VERSION}. "
            "Upgrade parc-core."
        )
    with naming(path):
        return stored_terrain(arrays, header)
