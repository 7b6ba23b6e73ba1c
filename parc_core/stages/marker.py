"""`.job.json`: what is made in a folder at work, and how long that has taken so far."""

from __future__ import annotations

import pathlib
from typing import Any

from parc_motion import storage
from parc_motion.errors import CorruptArtifact

__all__ = ["MARKER", "read_marker", "update_marker", "write_marker"]

MARKER = ".job.json"
_FORMAT = 2  # earlier ones had no number and were not sealed


def write_marker(folder: pathlib.Path, fields: dict[str, Any]) -> None:
    """Write the fields into a folder at work."""
    storage.write_sealed(folder / MARKER, {**fields, "format": _FORMAT})


def update_marker(folder: pathlib.Path, **fields: Any) -> None:
    """Change some fields."""
    write_marker(folder, {**(read_marker(folder) or {}), **fields})


def read_marker(folder: pathlib.Path) -> dict[str, Any] | None:
    """The fields of a folder at work: ``stage``, ``key``, ``key_fields``, ``wall_s``, ...; None if it has no marker.

    Raises:
        CorruptArtifact: the marker is damaged.
    """
    path = folder / MARKER
    if not path.is_file():
        return None
    try:
        return storage.read_sealed(path, since_format=_FORMAT)
    except CorruptArtifact as err:
        raise CorruptArtifact(
            f"{err} Restore it, or move {folder} away: then this work begins again, and nothing else changes."
        ) from err
