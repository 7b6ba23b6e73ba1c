"""Checked access to the arrays and header fields of PARC's own files, and errors that name the file."""

from __future__ import annotations

import contextlib
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from parc_motion.clips.clip import Provenance
from parc_motion.errors import CorruptArtifact, DataError
from parc_motion.terrains import Terrain

__all__ = [
    "MISFITS", "array_of", "field_of", "naming", "optional_array", "stored_provenance", "stored_terrain",
    "touched_cells",
]  # fmt: skip

# what values of a wrong kind make their users raise
MISFITS = (KeyError, TypeError, ValueError, OverflowError, IndexError, AttributeError)
_KINDS = {str: "text", float: "a number", int: "a whole number", bool: "true or false", dict: "an object"}


@contextlib.contextmanager
def naming(path: pathlib.Path) -> Iterator[None]:
    """Puts the file's path before the text of every DataError; what does not fit together becomes one."""
    try:
        yield
    except DataError as err:
        raise type(err)(f"{path}: {err}") from err
    except MISFITS as err:
        raise CorruptArtifact(f"{path}: its parts do not fit together: {err!s:.200}.") from err


def field_of(fields: Mapping[str, Any], name: str, kind: type) -> Any:
    """The value of a header field.

    Raises:
        DataError: it is missing or of another kind.
    """
    if name not in fields:
        raise DataError(f"field '{name}' is missing.")
    value = fields[name]
    kinds = (int, float) if kind is float else kind
    if not isinstance(value, kinds) or (isinstance(value, bool) and kind is not bool):
        raise DataError(f"field '{name}' is {value!r:.80}, expected {_KINDS[kind]}.")
    return value


def array_of(arrays: Mapping[str, np.ndarray], name: str, kind: str = "f") -> np.ndarray:
    """The array of a name, floating-point numbers (kind "f") or whole ones ("i").

    Raises:
        DataError: it is missing or of another kind.
    """
    if name not in arrays:
        raise DataError(f"array '{name}' is missing.")
    if arrays[name].dtype.kind != kind:
        raise DataError(
            f"array '{name}' holds {arrays[name].dtype}, expected {'floats' if kind == 'f' else 'integers'}."
        )
    return arrays[name]


def optional_array(arrays: Mapping[str, np.ndarray], name: str, kind: str = "f") -> np.ndarray | None:
    """None where there is no such array, or the array as by `array_of`."""
    return array_of(arrays, name, kind) if name in arrays else None


def stored_provenance(fields: Mapping[str, Any]) -> Provenance:
    """The provenance that header fields state.

    Raises:
        DataError: a field is unknown or of another kind.
    """
    kinds = {"stage": str, "provider": str, "scores": dict, "notes": dict}
    found = {name: field_of(fields, name, kind) for name, kind in kinds.items() if name in fields}
    if fields.get("seed") is not None:
        found["seed"] = field_of(fields, "seed", int)
    parents = fields.get("parents", [])
    if not isinstance(parents, list) or not all(isinstance(parent, str) for parent in parents):
        raise DataError(f"field 'parents' is {parents!r:.80}, expected a list of texts.")
    unknown = fields.keys() - {*kinds, "seed", "parents"}
    if unknown:
        raise DataError(f"provenance has the unknown field {min(unknown)!r:.80}. Upgrade parc-core.")
    return Provenance(parents=parents, **found)


def stored_terrain(arrays: Mapping[str, np.ndarray], fields: Mapping[str, Any], prefix: str = "") -> Terrain:
    """The terrain whose arrays have names with a prefix, and whose header fields are given.

    Raises:
        DataError: something is missing, of another kind, or not a terrain.
    """
    return Terrain(
        height=array_of(arrays, f"{prefix}height"),
        origin_xy=array_of(arrays, f"{prefix}origin_xy"),
        cell=field_of(fields, "cell", float),
        bounds=optional_array(arrays, f"{prefix}bounds"),
    )


def touched_cells(
    arrays: Mapping[str, np.ndarray], num_frames: int, terrain: Terrain | None
) -> np.ndarray | None:
    """The stored cells that a clip touches, None if there are none.

    Raises:
        DataError: a frame or a cell does not exist.
    """
    touched = optional_array(arrays, "touched", "i")
    if touched is None or touched.ndim != 2 or touched.shape[1] != 3 or not len(touched):
        return touched
    low, high = touched.min(axis=0), touched.max(axis=0)
    shape = (num_frames, *(terrain.shape if terrain is not None else high[1:] + 1))
    if (low < 0).any() or (high >= shape).any():
        raise DataError(
            f"touched holds rows from {low.tolist()} to {high.tolist()} (frame and cell), expected numbers below "
            f"{[int(n) for n in shape]}."
        )
    return touched
