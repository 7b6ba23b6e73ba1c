"""Why a clip file cannot be read, down to the frames that hold something that is no number."""

from __future__ import annotations

import pathlib

import numpy as np

from parc_data.tools.findings import Finding, frame_runs
from parc_motion import storage
from parc_motion.errors import DataError

__all__ = ["explain_unreadable"]

_ROTATIONS = ("root_rot", "joint_rot")
_FIELDS = ("root_pos", *_ROTATIONS, "contacts")
_UNIT_TOLERANCE = 1e-3  # as MotionClip has it


def explain_unreadable(file: pathlib.Path, err: DataError) -> list[Finding]:
    """Findings that tell which fields and frames of a refused file are bad; the error's own text if none is."""
    try:
        arrays, _ = storage.read_arrays(file)
    except DataError:
        return [Finding(check="unreadable", level="error", text=_without_path(str(err), file))]
    findings = [item for name in _FIELDS if name in arrays for item in _look_at(name, arrays[name])]
    return findings or [Finding(check="unreadable", level="error", text=_without_path(str(err), file))]


def _look_at(name: str, array: np.ndarray) -> list[Finding]:
    if array.dtype.kind != "f" or array.ndim < 2 or not len(array):
        return []
    bad = ~np.isfinite(array)
    if bad.any():
        frames = bad.reshape(len(array), -1).any(axis=1)
        text = f"{name} holds {int(bad.sum())} numbers that are not finite, in {int(frames.sum())} frames"
        return [
            Finding(check="not_finite", level="error", text=text, where=name, frames=frame_runs(frames),
                    worst_frame=int(frames.argmax()))
        ]  # fmt: skip
    if name not in _ROTATIONS or array.shape[-1] != 4:
        return []
    length = np.linalg.norm(array.astype(np.float64), axis=-1).reshape(len(array), -1)
    excess = np.abs(length - 1.0)
    frames = excess.max(axis=1) > _UNIT_TOLERANCE
    if not frames.any():
        return []
    worst = int(excess.max(axis=1).argmax())
    value = float(length[worst, int(excess[worst].argmax())])
    text = f"{name} holds a quaternion of length {value:.4f}, expected 1"
    return [
        Finding(check="not_unit", level="error", text=text, where=name, frames=frame_runs(frames), worst_frame=worst,
                value=value, limit=1.0)
    ]  # fmt: skip


def _without_path(text: str, file: pathlib.Path) -> str:
    return text.removeprefix(f"{file}: ")
