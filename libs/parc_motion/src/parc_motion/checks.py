"""The rules for arrays that every clip, terrain and path obeys, and the converters that precede them.

The data types check themselves with these functions, readers of other formats check what they read, and
`parc data validate` uses the same rules to name the frames that break them.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from parc_motion.errors import DataError, ShapeError

__all__ = [
    "MAX_BODIES",
    "MAX_FRAMES",
    "UNIT_TOLERANCE",
    "as_float32",
    "as_float32_or_none",
    "as_int64",
    "as_int64_or_none",
    "as_ints",
    "as_strings",
    "check_finite",
    "check_frame_rate",
    "check_name",
    "check_near",
    "check_range",
    "check_shape",
    "check_unit_quaternions",
    "length_error",
]

UNIT_TOLERANCE = 1e-3  # how far the length of a stored quaternion may be from 1
MAX_FRAMES = 2_000_000  # of one motion; more is taken for a wrong frame rate
MAX_BODIES = 1_000  # of one character
_FPS = (0.1, 10_000.0)
_FARTHEST_M = 1e6  # a float32 resolves 6 cm there
_SHOWN = 1e300
_MAX_NAME_BYTES = 200  # file systems allow 255; suffixes and endings such as "_flipped" need room


def as_float32(value: object) -> np.ndarray:
    """The value as a C-contiguous, read-only float32 array."""
    return _freeze(value, np.float32)


def as_int64(value: object) -> np.ndarray:
    """The value as a C-contiguous, read-only int64 array."""
    return _freeze(value, np.int64)


def as_float32_or_none(value: object) -> np.ndarray | None:
    """None, or the value as by `as_float32`."""
    return None if value is None else as_float32(value)


def as_int64_or_none(value: object) -> np.ndarray | None:
    """None, or the value as by `as_int64`."""
    return None if value is None else as_int64(value)


def as_strings(values: Iterable[str]) -> tuple[str, ...]:
    """The strings as a tuple."""
    return tuple(values)


def as_ints(values: Iterable[int]) -> tuple[int, ...]:
    """The integers as a tuple."""
    return tuple(values)


def check_name(name: str, what: str) -> None:
    """Passes if `name` can be the name of a file or folder inside the current one.

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
            f"{what} '{ascii(name)[1:-1]:.80}' cannot be the name of a file: no slashes or control characters, no "
            f"leading dot, 1 to {_MAX_NAME_BYTES} bytes. Rename it."
        )


def check_shape(array: np.ndarray, shape: tuple[int | None, ...], what: str) -> None:
    """Passes if `array` has the shape; None in `shape` stands for any length.

    Raises:
        ShapeError: another number of axes, or another length of one.
    """
    fits = array.ndim == len(shape) and all(w is None or n == w for n, w in zip(array.shape, shape))
    if not fits:
        wanted = ", ".join("any" if w is None else str(w) for w in shape)
        raise ShapeError(f"{what} has shape {list(array.shape)}, expected [{wanted}].")


def check_finite(array: np.ndarray, what: str) -> None:
    """Passes if every number is finite.

    Raises:
        DataError: NaN or infinity; the text names the first one.
    """
    bad = ~np.isfinite(array)
    if bad.any():
        first = [int(i) for i in np.argwhere(bad)[0]]
        raise DataError(
            f"{what} holds {array[tuple(first)]} at index {first} ({int(bad.sum())} such values)."
        )


def check_range(value: float, low: float, high: float, what: str, unit: str = "") -> None:
    """Passes if the number is between `low` and `high`.

    Raises:
        DataError: it is not, or is NaN.
    """
    if not low <= value <= high:
        shown = (
            f"{value:.6g}" if abs(value) < _SHOWN else f"{value!r:.40}"
        )  # a Python int may exceed every float
        raise DataError(f"{what} is {shown}{unit and f' {unit}'}, expected {low:g} to {high:g}.")


def check_frame_rate(fps: float, what: str = "fps") -> None:
    """Passes if a motion can have that many frames per second.

    Raises:
        DataError: it is not between 0.1 and 10,000.
    """
    check_range(fps, *_FPS, what, "frames per second")


def check_near(array: np.ndarray, what: str) -> None:
    """Passes if every number is finite and at most 1,000 km from the origin.

    Raises:
        DataError: it is not.
    """
    check_finite(array, what)
    if array.size and max(array.max(), -array.min()) > _FARTHEST_M:
        raise DataError(
            f"{what} holds {np.abs(array).max():.6g} m, expected at most {_FARTHEST_M:.0e}. Are its units meters?"
        )


def check_unit_quaternions(array: np.ndarray, what: str, tolerance: float = UNIT_TOLERANCE) -> None:
    """Passes if every quaternion on the last axis has length 1.

    Raises:
        DataError: a length differs from 1 by more than `tolerance`.
    """
    error = length_error(array)
    if error.size and error.max() > tolerance:
        worst = [int(i) for i in np.unravel_index(int(error.argmax()), error.shape)]
        length = float(np.linalg.norm(array[tuple(worst)]))
        raise DataError(f"{what} holds a quaternion of length {length:.4f} at index {worst}; expected 1.")


def length_error(quats: np.ndarray) -> np.ndarray:
    """How far the length of each quaternion is from 1: ``[...]`` for ``[..., 4]``."""
    return np.abs(np.linalg.norm(quats, axis=-1) - 1.0)


def _freeze(value: object, dtype: type) -> np.ndarray:
    with np.errstate(over="ignore", invalid="ignore"):  # what does not fit becomes infinity, which is refused
        array: np.ndarray = np.array(value, dtype=dtype, order="C", copy=True)
    array.setflags(write=False)
    return array
