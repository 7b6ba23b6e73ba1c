"""The arrays of a file of joint positions and the sidecar beside it; nothing is unpickled, sizes come first."""

from __future__ import annotations

import io
import pathlib
from typing import Any

import attrs
import numpy as np

from parc_core.config import parse_text, to_plain
from parc_data.formats.format import read_file_bytes
from parc_motion.checks import check_finite
from parc_motion.errors import DataError, ParcError
from parc_motion.storage import DAMAGED, array_names, npy_header, parse_json, read_npy, read_npz

__all__ = ["POSITION_KEYS", "StoredJoints", "holds_joints", "read_joint_file"]

POSITION_KEYS = (
    "joint_positions", "joint_pos", "positions", "joints", "body_pos", "marker_pos", "global_joint_positions",
)  # fmt: skip
_FPS_KEYS = ("fps", "framerate", "frame_rate", "mocap_framerate")
_MAGIC = b"\x93NUMPY"
_KEYS = (*POSITION_KEYS, "joint_names", "parents", "scale", "up", *_FPS_KEYS)
_MAX_SIDECAR_BYTES = 256 << 10
_FAR = 1e8  # units


@attrs.frozen(kw_only=True, eq=False)
class StoredJoints:
    """The content of a file and its sidecar."""

    positions: np.ndarray  # [T, J, 3] in the unit and axes of the file
    names: tuple[str, ...] | None = None
    columns: tuple[int, ...] | None = None  # of the names, where a map chooses them
    parents: tuple[int, ...] | None = None
    fps: float | None = None
    scale: float | None = None
    up: str | None = None


def holds_joints(path: pathlib.Path, head: bytes) -> bool:
    """Whether the file is a plain array [T, J, 3] in .npy, or an .npz with positions of joints."""
    try:
        if head.startswith(_MAGIC):
            shape, _, dtype = npy_header(io.BytesIO(head))
            return len(shape) == 3 and shape[2] == 3 and shape[1] > 1 and dtype.kind == "f"
        if head.startswith(b"PK"):
            names = array_names(path)
            return any(key in names for key in POSITION_KEYS) and "root_rot" not in names
    except (DataError, *DAMAGED):
        return False
    return False


def read_joint_file(path: pathlib.Path) -> StoredJoints:
    """Positions, names and other fields of the file and its sidecar.

    Raises:
        DataError: one of them is damaged, too large, or holds something else.
    """
    data = read_file_bytes(path)
    said: dict[str, Any] = {}
    if data.startswith(_MAGIC):
        positions = read_npy(data, f"{path}: positions")
    elif data.startswith(b"PK"):
        positions, said = _archive(path)
    else:
        raise DataError(f"{path}: it is neither .npy nor .npz. Save the positions with numpy.save.")
    sidecar, where = _sidecar(path)
    if "joint_names" in sidecar:
        said.pop("joint_names", None)
    return _checked(path, positions, {**said, **sidecar}, where)


def _checked(
    path: pathlib.Path, positions: np.ndarray, said: dict[str, Any], sidecar: pathlib.Path | None
) -> StoredJoints:
    where = f"{path}" if sidecar is None else f"{path} with {sidecar.name}"
    if (
        positions.ndim != 3
        or positions.shape[2] != 3
        or 0 in positions.shape
        or positions.dtype.kind not in "fiu"
    ):
        raise DataError(
            f"{path}: positions: {positions.dtype} of shape {list(positions.shape)}, expected numbers [T, J, 3]."
        )
    check_finite(positions, f"{path}: positions")
    if np.abs(positions.astype(np.float64)).max() > _FAR:
        raise DataError(
            f"{path}: positions: up to {np.abs(positions).max():.3g} units, expected below {_FAR:g}."
        )
    names, columns = _names(where, said.get("joint_names"), positions.shape[1])
    up = said.get("up")
    if up not in (None, "x", "y", "z"):
        raise DataError(f"{where}: up: {up!r}, expected x, y or z.")
    return StoredJoints(
        positions=positions,
        names=names,
        columns=columns,
        parents=_parents(where, said.get("parents")),
        fps=next((_number(where, key, said[key]) for key in _FPS_KEYS if key in said), None),
        scale=_number(where, "scale", said["scale"]) if "scale" in said else None,
        up=up,
    )


def _archive(path: pathlib.Path) -> tuple[np.ndarray, dict[str, Any]]:
    arrays = read_npz(path, _KEYS)
    key = next((key for key in POSITION_KEYS if key in arrays), None)
    if key is None:
        raise DataError(
            f"{path}: positions: it holds {', '.join(array_names(path)) or 'nothing'}; call the array [T, J, 3] "
            f"'{POSITION_KEYS[0]}'."
        )
    return arrays[key], {name: _plain(array) for name, array in arrays.items() if name not in POSITION_KEYS}


def _plain(array: np.ndarray) -> Any:
    """The array as numbers, texts and lists; one that holds a single number is that number."""
    value = (np.char.decode(array, "utf-8", "replace") if array.dtype.kind == "S" else array).tolist()
    return value[0] if isinstance(value, list) and array.size == 1 and array.ndim == 1 else value


def _sidecar(path: pathlib.Path) -> tuple[dict[str, Any], pathlib.Path | None]:
    for suffix in (".json", ".yaml", ".yml"):
        file = path.with_suffix(suffix)
        if not file.is_file():
            continue
        data = read_file_bytes(file, _MAX_SIDECAR_BYTES)
        try:
            text = data.decode("utf-8-sig")
            said = parse_json(text.encode(), file) if suffix == ".json" else _yaml(file, text)
        except (ValueError, RecursionError, ParcError) as err:
            raise DataError(
                f"{file}: cannot be read as {suffix[1:]}: {_reason(file, err)}. It describes {path.name}."
            ) from err
        if not isinstance(said, dict):
            raise DataError(
                f"{file}: it holds a {type(said).__name__}, expected keys such as joint_names and fps."
            )
        return said, file
    return {}, None


def _reason(file: pathlib.Path, err: Exception) -> str:
    return str(err).removeprefix(f"{file}: ").rstrip(".")[:200]


def _yaml(file: pathlib.Path, text: str) -> Any:
    node, problems = parse_text(text, str(file), environ={})
    if problems:
        raise ValueError("; ".join(str(problem) for problem in problems[:3]))
    return to_plain(node)


def _names(where: str, value: Any, joints: int) -> tuple[tuple[str, ...] | None, tuple[int, ...] | None]:
    if value is None:
        return None, None
    if isinstance(value, dict):
        columns = list(value.values())
        if not columns or not all(type(c) is int and 0 <= c < joints for c in columns):
            raise DataError(f"{where}: joint_names: a map gives every name its column, 0 to {joints - 1}.")
        return tuple(str(name) for name in value), tuple(columns)
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise DataError(
            f"{where}: joint_names: expected a list of {joints} texts, or a map from name to column."
        )
    return tuple(value), None


def _parents(where: str, value: Any) -> tuple[int, ...] | None:
    if value is None:
        return None
    if not isinstance(value, list) or not value or not all(type(parent) is int for parent in value):
        raise DataError(f"{where}: parents: expected a list of column numbers, -1 for the root.")
    return tuple(value)


def _number(where: str, key: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < 1e9:
        raise DataError(f"{where}: {key}: {str(value)[:40]!r}, expected a number above 0.")
    return float(value)
