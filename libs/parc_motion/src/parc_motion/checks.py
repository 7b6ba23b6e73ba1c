"""Converters and checks for arrays at the edge; data types and importers call them."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from parc_motion.errors import DataError, ShapeError

__all__ = [
    "as_float32",
    "as_float32_or_none",
    "as_int64",
    "as_int64_or_none",
    "as_ints",
    "as_strings",
    "check_finite",
    "check_name",
    "check_shape",
    "check_unit_quaternions",
]

_MAX_NAME_BYTES = 200  # file systems allow 255; suffixes and endings such as "_flipped" need room


def as_float32(value: object) -> np.ndarray:
    """The value as a C-contiguous, read-only float32 array."""
    return _freeze(value, np.float32)


def as_int64(value: object) -> np.ndarray:
    """The value as a C-contiguous, read-only int64 array."""
    return _freeze(value, np.int64)


def as_strings(values: Iterable[str]) -> tuple[str, ...]:
    """The strings as a tuple."""
    return tuple(values)


def as_ints(values: Iterable[int]) -> tuple[int, ...]:
    """The integers as a tuple."""
    return tuple(values)


def as_float32_or_none(value: object) -> np.ndarray | None:
    """None, or the value as by `as_float32`."""
    return None if value is None else as_float32(value)


def as_int64_or_none(value: object) -> np.ndarray | None:
    """None, or the value as by `as_int64`."""
    return None if value is None else as_int64(value)


def check_name(name: str, what: str) -> None:
    """Nothing, if `name` can be the name of a file or folder: of this folder, not of another place.

    Names from files become parts of paths, so a name such as ``../../x`` would be written elsewhere.

    Raises:
        DataError: it is not text, is empty, too long, begins with a dot, or holds a slash, a backslash or a control
            character.
    """
    if not isinstance(name, str):
        raise DataError(f"{what} is {name!r:.80}, expected text.")
    unsafe = not name or name.startswith(".") or any(c in "/\\" for c in name) or not name.isprintable()
    if unsafe or len(name.encode(errors="replace")) > _MAX_NAME_BYTES:
        raise DataError(
            f"{what} '{ascii(name)[1:-1]:.80}' cannot be the name of a file: no slashes or control characters, no dot "
            f"in front, 1 to {_MAX_NAME_BYTES} bytes. Rename it."
        )


def check_shape(array: np.ndarray, shape: tuple[int | None, ...], what: str) -> None:
    """Nothing, if `array` has the shape; None in `shape` stands for any length.

    Raises:
        ShapeError: another number of axes, or another length of one.
    """
    fits = array.ndim == len(shape) and all(w is None or n == w for n, w in zip(array.shape, shape))
    if not fits:
        wanted = ", ".join("any" if w is None else str(w) for w in shape)
        raise ShapeError(f"{what} has shape {list(array.shape)}, expected [{wanted}].")


def check_finite(array: np.ndarray, what: str) -> None:
    """Nothing, if every number is finite.

    Raises:
        DataError: NaN or infinity; the text names the first place.
    """
    bad = ~np.isfinite(array)
    if bad.any():
        first = [int(i) for i in np.argwhere(bad)[0]]
        raise DataError(
            f"{what} holds {array[tuple(first)]} at index {first} ({int(bad.sum())} such values)."
        )


def check_unit_quaternions(array: np.ndarray, what: str, tolerance: float = 1e-3) -> None:
    """Nothing, if every quaternion on the last axis has length 1.

    Raises:
        DataError: a length is further than `tolerance` from 1.
    """
    excess = np.abs(np.linalg.norm(array, axis=-1) - 1.0)
    if excess.size and excess.max() > tolerance:
        worst = [int(i) for i in np.unravel_index(int(excess.argmax()), excess.shape)]
        length = float(np.linalg.norm(array[tuple(worst)]))
        raise DataError(f"{what} holds a quaternion of length {length:.4f} at index {worst}; expected 1.")


def _freeze(value: object, dtype: type) -> np.ndarray:
    array: np.ndarray = np.array(value, dtype=dtype, order="C", copy=True)
    array.setflags(write=False)
    return array
