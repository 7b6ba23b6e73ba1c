"""Motions of DeepMimic's humanoid3d (JSON text): `deepmimic`.

A frame is 44 numbers: how long it lasts, position and rotation of the root, then the joints in the order of `_JOINTS`,
ball joints as quaternions wxyz, hinges as angles about their z axis. y is up, the character looks along x and has z
on its right; its arms hang down in the rest pose. Its bodies are those of the built-in humanoid and get their names.

Source: data/characters/humanoid3d.txt of xbpeng/DeepMimic for offsets, axes and order; the last frame of its motions
has no duration. Checked by forward kinematics of its motions.
"""

from __future__ import annotations

import json
import pathlib
from typing import Any, Literal

import numpy as np

from parc_data.formats.fields import array_of, dict_of, frame_rate, humanoid, naming, unit_quaternions
from parc_data.formats.format import MAX_FRAMES, Format, ReadOptions, read_file_bytes
from parc_data.source_motion import SourceMotion
from parc_motion.errors import DataError
from parc_motion.resample import interpolate, slerp_frames

__all__ = ["FORMAT", "read"]

_MAX_BYTES = 64 << 20
_WIDTH = 44
_ROOT_POS, _ROOT_ROT = slice(1, 4), slice(4, 8)
_JOINTS = {  # body that the joint moves: its numbers in a frame
    "torso": slice(8, 12), "head": slice(12, 16),
    "right_thigh": slice(16, 20), "right_shin": slice(20, 21), "right_foot": slice(21, 25),
    "right_upper_arm": slice(25, 29), "right_lower_arm": slice(29, 30),
    "left_thigh": slice(30, 34), "left_shin": slice(34, 35), "left_foot": slice(35, 39),
    "left_upper_arm": slice(39, 43), "left_lower_arm": slice(43, 44),
}  # fmt: skip
_HANGING = ("right_lower_arm", "right_hand", "left_lower_arm", "left_hand")
_LOOPS: dict[str, Literal["clamp", "wrap"]] = {"none": "clamp", "wrap": "wrap"}
_WRITTEN_S = 2e-6  # durations have six decimals; an integer frame rate within that precision is assumed
_SAME_S = 1e-5  # durations that differ by less are equal
_MAX_ANGLE_RAD = 100.0
_MAX_LENGTH_ERROR = (
    0.8  # its own motions hold quaternions of length 0.58 to 1.12, which DeepMimic normalizes when reading
)
_NOTED_LENGTH_ERROR = 1e-2
_MAX_RESAMPLED = 50_000  # frames that a motion of different durations may grow to


def read(path: pathlib.Path, options: ReadOptions) -> list[SourceMotion]:
    """The motion of a file.

    Frames of different durations are resampled, by slerp, at the shortest of them.

    Raises:
        DataError: the file is not such a motion; the text names the field and the frame.
    """
    data = read_file_bytes(path, _MAX_BYTES)
    try:
        tree = json.loads(data)
    except (ValueError, RecursionError) as err:
        raise DataError(f"{path}: not readable as JSON ({err}).") from err
    with naming(path):
        return [_assemble(path.stem, dict_of(tree, "the file"), options)]


def _recognizes(path: pathlib.Path, head: bytes) -> bool:
    return head.lstrip()[:1] == b"{" and b'"Frames"' in head


FORMAT = Format(
    name="deepmimic",
    summary="motions of DeepMimic's humanoid3d, JSON text",
    suffixes=(".txt", ".json"),
    recognizes=_recognizes,
    read=read,
)


def _assemble(name: str, tree: dict[str, Any], options: ReadOptions) -> SourceMotion:
    frames = _frames(tree)
    loop = tree.get("Loop", "none")
    if not isinstance(loop, str) or loop not in _LOOPS:
        raise DataError(f"Loop is '{str(loop)[:40]}', expected {' or '.join(_LOOPS)}.")
    root_pos, local_rot = _z_up(frames)
    notes = _faults(frames)
    fps, times = _rate(frames[:, 0], options.fps)
    if times is not None:
        root_pos, local_rot = _resample(root_pos, local_rot, times, fps)
        notes["resampled"] = f"{len(frames)} frames of different durations"
    skeleton = humanoid()
    offsets = np.array(skeleton.offsets, dtype=np.float64)
    for body in map(skeleton.body_id, _HANGING):
        offsets[body] = [0.0, 0.0, -np.abs(offsets[body]).max()]
    return SourceMotion(
        name=name,
        format="deepmimic",
        fps=fps,
        body_names=skeleton.body_names,
        parents=skeleton.parents,
        root_pos=root_pos,
        offsets=offsets,
        local_rot=local_rot,
        loop=_LOOPS[loop],
        notes=notes,
    )


def _frames(tree: dict[str, Any]) -> np.ndarray:
    rows = tree.get("Frames")
    if not isinstance(rows, list):
        hint = " It is the description of a character, not a motion." if "Skeleton" in tree else ""
        raise DataError(
            f"Frames is missing or not a list; there are {', '.join(list(map(str, tree))[:8])}.{hint}"
        )
    if not 1 <= len(rows) <= MAX_FRAMES:
        raise DataError(f"Frames holds {len(rows)} frames, expected 1 to {MAX_FRAMES}.")
    for place, row in enumerate(rows):
        if not isinstance(row, list) or len(row) != _WIDTH:
            size = len(row) if isinstance(row, list) else type(row).__name__
            raise DataError(
                f"Frames[{place}] holds {size} numbers, expected {_WIDTH} as for humanoid3d. "
                "Was it made for another character?"
            )
    return array_of(tree, "Frames", (None, _WIDTH)).astype(np.float64)


def _z_up(frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Position of the root ``[T, 3]`` and rotations of all bodies ``[T, 15, 4]`` with z up."""
    skeleton = humanoid()
    local_rot = np.zeros((len(frames), skeleton.num_bodies, 4))
    local_rot[..., 3] = 1.0
    for name, part in {"pelvis": _ROOT_ROT, **_JOINTS}.items():
        numbers = frames[:, part]
        if numbers.shape[1] == 4:
            w, x, y, z = unit_quaternions(numbers, f"Frames, rotation of {name}", _MAX_LENGTH_ERROR).T
        else:
            angle = numbers[:, 0]
            if np.abs(angle).max() > _MAX_ANGLE_RAD:
                raise DataError(
                    f"Frames: angle of {name} is {np.abs(angle).max():.4g} rad. Are these radians?"
                )
            w, z = np.cos(0.5 * angle), np.sin(0.5 * angle)
            x = y = np.zeros_like(angle)
        local_rot[:, skeleton.body_id(name)] = np.stack([x, -z, y, w], axis=-1)
    x, y, z = frames[:, _ROOT_POS].T
    return np.stack([x, -z, y], axis=-1), local_rot


def _faults(frames: np.ndarray) -> dict[str, Any]:
    parts = [_ROOT_ROT, *(part for part in _JOINTS.values() if part.stop - part.start == 4)]
    length = np.stack([np.linalg.norm(frames[:, part], axis=-1) for part in parts])
    worst = float(length.flat[np.abs(length - 1.0).argmax()])
    return {"quaternion_length_was": round(worst, 4)} if abs(worst - 1.0) > _NOTED_LENGTH_ERROR else {}


def _rate(duration: np.ndarray, said: float | None) -> tuple[float, np.ndarray | None]:
    """Frames per second, and the time of each frame when they last differently long."""
    steps = duration[:-1]  # the last frame has no successor
    if len(steps) == 0:
        return frame_rate(said or (1.0 / duration[0] if duration[0] > 0 else 30.0)), None
    if steps.min() <= 0:
        place = int(steps.argmin())
        raise DataError(f"Frames[{place}] lasts {steps[place]:.6g} s, expected more than 0.")
    shortest = float(steps.min())
    fps = frame_rate(1.0 / shortest, f"Frames: a duration of {shortest:.6g} s, the rate")
    whole = round(fps)
    if whole and abs(1.0 / whole - shortest) <= _WRITTEN_S:
        fps = float(whole)
    if steps.max() - shortest <= _SAME_S:
        return fps, None
    times = np.concatenate([[0.0], np.cumsum(steps)])
    if times[-1] * fps > _MAX_RESAMPLED:
        raise DataError(
            f"Frames lasts {times[-1]:.4g} s with frames down to {shortest:.4g} s; resampled it would have more than "
            f"{_MAX_RESAMPLED} frames. Give its frames more equal durations."
        )
    return fps, times


def _resample(
    root_pos: np.ndarray, local_rot: np.ndarray, times: np.ndarray, fps: float
) -> tuple[np.ndarray, np.ndarray]:
    at = np.arange(int(times[-1] * fps + 1e-6) + 1) / fps
    positions = np.interp(at, times, np.arange(len(times)))
    return interpolate(root_pos, positions), slerp_frames(local_rot, positions)
