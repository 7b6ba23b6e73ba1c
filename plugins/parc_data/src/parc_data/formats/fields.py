"""Checked access to what a file holds under a name, and errors that name the file."""

from __future__ import annotations

import contextlib
import pathlib
from collections.abc import Iterator
from functools import cache
from typing import Any

import attrs
import numpy as np
import torch

from parc_data.formats.format import MAX_FRAMES
from parc_data.formats.pickles import Unreadable
from parc_data.source_motion import SourceMotion
from parc_motion.checks import check_finite, check_frame_rate, check_shape, check_unit_quaternions
from parc_motion.errors import DataError
from parc_motion.kinematics import rotations as rot
from parc_motion.skeletons import Skeleton, load_skeleton

__all__ = [
    "array_of", "dict_of", "frame_rate", "humanoid", "naming", "number_of", "turn_world", "unit_quaternions",
]  # fmt: skip

_FARTHEST_M = 1e6


@cache
def humanoid() -> Skeleton:
    """The built-in 15-body character."""
    return load_skeleton("humanoid")


@contextlib.contextmanager
def naming(path: pathlib.Path) -> Iterator[None]:
    """Puts the file's path before the text of every DataError; parts that do not fit together become one."""
    try:
        yield
    except DataError as err:
        raise err if str(err).startswith(str(path)) else type(err)(f"{path}: {err}") from err
    except (KeyError, TypeError, ValueError, IndexError, OverflowError) as err:
        raise DataError(f"{path}: its parts do not fit together: {err}.") from err


def dict_of(tree: Any, what: str) -> dict[Any, Any]:
    """The value, which has to be a dict.

    Raises:
        DataError: it is something else, or a section that cannot be read.
    """
    if isinstance(tree, Unreadable):
        raise DataError(f"{what} is refused: {tree.reason}; nothing was executed.")
    if not isinstance(tree, dict):
        raise DataError(f"{what} holds a {type(tree).__name__}, expected a dict.")
    return tree


def array_of(
    tree: dict[Any, Any], name: str, shape: tuple[int | None, ...] | None, what: str = ""
) -> np.ndarray:
    """The numbers under a name, as they are stored; None in `shape` stands for any length.

    Raises:
        DataError: there are none, they are not a regular array of finite numbers, or they have another shape.
    """
    where = f"{what}.{name}" if what else name
    if tree.get(name) is None:
        raise DataError(f"{where} is missing; there are {', '.join(str(k)[:40] for k in list(tree)[:12])}.")
    try:
        array = np.asarray(tree[name])
    except ValueError as err:
        raise DataError(f"{where} is not a regular array.") from err
    if array.dtype.kind not in "fiub":
        raise DataError(f"{where} holds {array.dtype}, expected plain numbers.")
    if array.ndim and len(array) > MAX_FRAMES:
        raise DataError(f"{where} holds {len(array)} rows; motions up to {MAX_FRAMES} frames are read.")
    if shape is not None:
        check_shape(array, shape, where)
    check_finite(array, where)
    if array.size and np.abs(array).max() > _FARTHEST_M:
        raise DataError(f"{where} holds {np.abs(array).max():.3g}; numbers up to {_FARTHEST_M:.0e} are read.")
    return array


def number_of(tree: dict[Any, Any], name: str, what: str = "") -> float:
    """The one number under a name; an array of equal ones counts as one.

    Raises:
        DataError: there is none, or there are several.
    """
    array = array_of(tree, name, None, what).ravel()
    if array.size not in (1, 2) or (array != array[0]).any():
        where = f"{what}.{name}" if what else name
        raise DataError(f"{where} is {array.tolist()[:4]}, expected one number.")
    return float(array[0])


def frame_rate(fps: float, what: str = "fps") -> float:
    """The rate, if a motion can have it.

    Raises:
        DataError: it is not between 0.1 and 10,000 frames per second.
    """
    check_frame_rate(fps, what)
    return float(fps)


def unit_quaternions(array: np.ndarray, what: str, tolerance: float = 1e-2) -> np.ndarray:
    """The quaternions at length 1, float64.

    Raises:
        DataError: the length of one differs from 1 by more than `tolerance`.
    """
    array = array.astype(np.float64)
    check_unit_quaternions(array, what, tolerance)
    return array / np.linalg.norm(array, axis=-1, keepdims=True)


def turn_world(motion: SourceMotion, up: str) -> SourceMotion:
    """The motion in a world with z up, when its world has another axis up; "auto" and "z" change nothing."""
    if up not in ("x", "y"):
        return motion
    third = (
        2.0 * np.pi / 3.0
    )  # a cyclic permutation of the axes is a rotation by a third of a turn about the space diagonal
    half = 0.5 * (third if up == "y" else -third)
    axis = np.ones(3) / np.sqrt(3.0)
    turn = torch.tensor([*(axis * np.sin(half)), np.cos(half)])
    local_rot = np.array(motion.local_rot)
    local_rot[:, 0] = rot.multiply(
        turn.expand(motion.num_frames, 4), torch.from_numpy(local_rot[:, 0])
    ).numpy()
    root_pos = torch.from_numpy(np.array(motion.root_pos))
    return attrs.evolve(
        motion, root_pos=rot.rotate(turn.expand(motion.num_frames, 4), root_pos).numpy(), local_rot=local_rot
    )
