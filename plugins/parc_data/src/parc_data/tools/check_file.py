"""Why a clip file cannot be read, down to the frames that hold NaN, infinity or quaternions of a wrong length."""

from __future__ import annotations

import pathlib
from typing import Any

import numpy as np

from parc_data.tools.findings import Finding, finding, frame_runs
from parc_motion import storage
from parc_motion.checks import UNIT_TOLERANCE, length_error
from parc_motion.errors import DataError

__all__ = ["explain_unreadable"]

_ROTATIONS = ("root_rot", "joint_rot")
_FIELDS = ("root_pos", *_ROTATIONS, "contacts")


def explain_unreadable(file: pathlib.Path, err: DataError) -> list[Finding]:
    """Findings that name the fields and frames at fault in a refused file; the error's own text if there are none."""
    try:
        arrays, _ = storage.read_arrays(file)
    except DataError:
        arrays = {}
    findings = [item for name in _FIELDS if name in arrays for item in _check_field(name, arrays[name])]
    return findings or [finding("unreadable", str(err).removeprefix(f"{file}: "))]


def _check_field(name: str, array: np.ndarray) -> list[Finding]:
    if array.dtype.kind != "f" or array.ndim < 2 or not len(array):
        return []
    bad = ~np.isfinite(array)
    if bad.any():
        frames = bad.reshape(len(array), -1).any(axis=1)
        text = f"{name} holds {int(bad.sum())} numbers that are not finite, in {int(frames.sum())} frames"
        return [
            finding(
                "not_finite", text, where=name, frames=frame_runs(frames), worst_frame=int(frames.argmax())
            )
        ]
    if name not in _ROTATIONS or array.shape[-1] != 4:
        return []
    quats = array.astype(np.float64).reshape(len(array), -1, 4)
    error = length_error(quats)
    frames = error.max(axis=1) > UNIT_TOLERANCE
    if not frames.any():
        return []
    worst = int(error.max(axis=1).argmax())
    length = float(np.linalg.norm(quats[worst, int(error[worst].argmax())]))
    text = f"{name} holds a quaternion of length {length:.4f}, expected 1"
    shown: dict[str, Any] = {"where": name, "frames": frame_runs(frames), "worst_frame": worst}
    return [finding("not_unit", text, **shown, value=length, limit=1.0)]
