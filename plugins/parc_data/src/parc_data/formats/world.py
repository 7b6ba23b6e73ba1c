"""Unit and axes of a file that states neither, inferred from the size and posture of the person in it.

A reader returns the content of its file, in the unit and axes of the file, as a `RawMotion`; `standardize` converts it
to a `SourceMotion`. What was inferred, and from what, is kept in the notes of the motion.
"""

from __future__ import annotations

import pathlib
from typing import Any

import attrs
import numpy as np

from parc_data.formats.format import ReadOptions
from parc_data.formats.limbs import Limbs, find_limbs
from parc_data.formats.rest_frame import starts_with_rest_pose
from parc_data.source_motion import SourceMotion, up_to_z
from parc_motion.errors import DataError

__all__ = ["UNITS", "RawMotion", "standardize"]

# meters per unit; the ranges below are narrower than the ratio of any two of them, so at most one unit fits a length
UNITS = {
    "meter": 1.0,
    "foot": 0.3048,
    "decimeter": 0.1,
    "inch / 0.45 (CMU)": 0.0254 / 0.45,  # Source: mocap.cs.cmu.edu, frequently asked questions
    "inch": 0.0254,
    "centimeter": 0.01,
    "millimeter": 0.001,
}
# m, hip to ankle of people 1.35 to 2.1 m tall. Source: Drillis and Contini 1966, 0.491 of the height
_LEG = (0.65, 1.05)
_HEIGHT = (1.35, 2.15)  # m
_ROOT_HEIGHT = (0.7, 1.15)  # m
_SAMPLES = 64  # frames that are looked at
_FARTHEST_M = 1e5
_BLOCK_FRAMES = 4096


@attrs.frozen(kw_only=True, eq=False)
class RawMotion:
    """A motion in the unit and the axes of its file; `standardize` may overwrite its arrays."""

    path: pathlib.Path
    format: str
    fps: float
    names: tuple[str, ...]  # [K]
    parents: tuple[int, ...]  # [K]
    offsets: np.ndarray  # [K, 3]
    root_pos: np.ndarray  # [T, 3]
    local_rot: np.ndarray  # [T, K, 4] xyzw
    local_pos: np.ndarray | None = None  # [T, K, 3]
    first_unit: tuple[str, float] | None = None  # what the file says about its unit, tried before the others
    notes: dict[str, Any] = attrs.field(factory=dict)


def standardize(raw: RawMotion, options: ReadOptions) -> SourceMotion:
    """The motion in meters with z up, without a first frame that is only a rest pose.

    Raises:
        DataError: the unit cannot be inferred from the motion, or its numbers are inconsistent.
    """
    limbs = find_limbs(raw.names, raw.parents, raw.offsets)
    sample = _sample(raw)
    up, notes = _find_up(raw, sample, limbs, options)
    scale, unit_notes = _find_scale(raw, sample, limbs, "xyz".index(up), options)
    turn = up_to_z(up)
    turn = _facing(sample, limbs, turn) @ turn
    drop, kept = starts_with_rest_pose(raw.local_rot, options.rest_frame, str(raw.path))
    farthest = max(np.abs(raw.root_pos).max(), np.abs(raw.offsets).max()) * scale
    if not farthest < _FARTHEST_M:
        raise DataError(
            f"{raw.path}: at {scale:g} m per unit, something is {farthest:g} m away. Correct --scale or the file."
        )
    height = float(np.ptp(sample.rest_pos[:, "xyz".index(up)])) * scale
    return SourceMotion(
        name=raw.path.stem,
        format=raw.format,
        fps=raw.fps,
        body_names=raw.names,
        parents=raw.parents,
        offsets=raw.offsets @ turn.T * scale,
        root_pos=raw.root_pos[drop:] @ turn.T * scale,
        local_rot=_turn(raw.local_rot[drop:], turn),
        local_pos=None if raw.local_pos is None else raw.local_pos[drop:] @ turn.T * scale,
        notes={**raw.notes, **notes, **unit_notes, "rest_height_m": round(height, 3), "first_frame": kept},
    )


def _turn(quat: np.ndarray, turn: np.ndarray) -> np.ndarray:
    """The rotations in the new axes, written in place and in blocks, so that long takes fit into memory."""
    # `turn` only permutes and negates axes, so the vector part of a quaternion is transformed like a vector
    columns = np.abs(turn).argmax(axis=1)
    signs = turn[np.arange(3), columns]
    for start in range(0, len(quat), _BLOCK_FRAMES):
        block = quat[start : start + _BLOCK_FRAMES]
        block[..., :3] = block[..., columns] * signs
    return quat


def _sample(raw: RawMotion) -> SourceMotion:
    frames = np.unique(np.linspace(0, len(raw.root_pos) - 1, _SAMPLES).astype(np.int64))
    return SourceMotion(
        name=raw.path.stem,
        format=raw.format,
        fps=raw.fps,
        body_names=raw.names,
        parents=raw.parents,
        offsets=raw.offsets,
        root_pos=raw.root_pos[frames],
        local_rot=raw.local_rot[frames],
        local_pos=None if raw.local_pos is None else raw.local_pos[frames],
    )


def _upward(pos: np.ndarray, limbs: Limbs) -> np.ndarray | None:
    """Unit vectors from the ankles to the head, or to the hips where there is none, ``[..., 3]``."""
    if not limbs.legs:
        return None
    low = np.mean([pos[..., leg.ankle, :] for leg in limbs.legs], axis=0)
    tops = [limbs.head] if limbs.head is not None else [leg.hip for leg in limbs.legs]
    direction = np.mean([pos[..., top, :] for top in tops], axis=0) - low
    return direction / np.maximum(np.linalg.norm(direction, axis=-1, keepdims=True), 1e-9)


def _find_up(
    raw: RawMotion, sample: SourceMotion, limbs: Limbs, options: ReadOptions
) -> tuple[str, dict[str, Any]]:
    rest = _upward(sample.rest_pos, limbs)
    upright = bool(rest is not None and np.abs(rest).max() > 0.9 and _legs_hang(sample.rest_pos, limbs))
    notes: dict[str, Any] = {"rest_pose_upright": upright}
    if options.up != "auto":
        return options.up, {**notes, "up": options.up, "up_from": "the user"}
    moving = _upward(sample.body_pos, limbs)
    if moving is not None:
        share = (moving > 0.8).mean(axis=0)  # of the frames that stand along x, y, z
        axis = int(share.argmax())
        leg = np.mean([leg.length for leg in limbs.legs])
        stands = 0.7 * leg < np.median(sample.root_pos[:, axis]) < 1.5 * leg
        # an upright rest pose has priority over a crawling motion, not over one that stands at height zero throughout
        if share[axis] > 0.9 and stands if upright else share[axis] > 0.5:
            return "xyz"[axis], {**notes, "up": "xyz"[axis], "up_from": "the posture in the motion"}
    if rest is not None and upright:
        axis = int(np.abs(rest).argmax())
        return "xyz"[axis], {**notes, "up": "xyz"[axis], "up_from": "the rest pose"}
    size = np.ptp(sample.rest_pos, axis=0)
    axis = 1 if size[1] >= 0.7 * size.max() else int(size.argmax())
    return "xyz"[axis], {**notes, "up": "xyz"[axis], "up_from": "the longest side of the rest pose"}


def _legs_hang(rest: np.ndarray, limbs: Limbs) -> bool:
    """Whether the hips are between ankles and head, and the legs straight."""
    direction = _upward(rest, limbs)
    if direction is None:
        return False
    tops = [rest[limbs.head]] if limbs.head is not None else []
    return all(
        (rest[leg.hip] - rest[leg.ankle]) @ direction > 0.8 * leg.length
        and all((top - rest[leg.hip]) @ direction > 0.2 * leg.length for top in tops)
        for leg in limbs.legs
    )


def _find_scale(
    raw: RawMotion, sample: SourceMotion, limbs: Limbs, up: int, options: ReadOptions
) -> tuple[float, dict[str, Any]]:
    if options.scale is not None:
        if not (np.isfinite(options.scale) and options.scale > 0):
            raise DataError(f"{raw.path}: --scale is {options.scale}, expected meters per unit, more than 0.")
        return options.scale, {"scale": options.scale, "unit": "given", "unit_from": "the user"}
    units = dict([raw.first_unit] if raw.first_unit else []) | UNITS
    measures = _measures(sample, limbs, up)
    for what, length, (least, most) in measures:
        for unit, scale in units.items():
            if least <= length * scale <= most:
                text = f"{what} {length:.4g} units, so {length * scale:.3f} m"
                return scale, {"scale": scale, "unit": unit, "unit_from": text}
    found = ", ".join(f"{what} {length:.4g}" for what, length, _ in measures) or "none of them exists"
    raise DataError(
        f"{raw.path}: OFFSET: the unit cannot be inferred: in no known unit is this the size of a person ({found} "
        "units; considered were the legs, the height of the rest pose and of the root). Give the meters per "
        "unit as --scale."
    )


def _measures(sample: SourceMotion, limbs: Limbs, up: int) -> list[tuple[str, float, tuple[float, float]]]:
    """Lengths in units of the file, the most reliable first, with what each is on a person in meters."""
    measures = []
    if limbs.legs:
        measures.append(("hip to ankle", float(np.mean([leg.length for leg in limbs.legs])), _LEG))
    rest = sample.rest_pos[:, up]
    height = float(np.ptp(rest))
    # only if the root is about halfway up is this the height of a whole person
    if height > 0 and 0.3 < -rest.min() / height < 0.7:
        measures.append(("height of the rest pose", height, _HEIGHT))
    measures.append(
        ("height of the root in the motion", float(np.median(sample.root_pos[:, up])), _ROOT_HEIGHT)
    )
    return measures


def _facing(sample: SourceMotion, limbs: Limbs, turn: np.ndarray) -> np.ndarray:
    """Quarter turns about z after which the left leg of the rest pose is on the y side, so that it faces x."""
    if limbs.left_leg is None or limbs.right_leg is None:
        return np.eye(3)
    rest = sample.rest_pos
    x, y, z = turn @ (rest[limbs.left_leg.hip] - rest[limbs.right_leg.hip])
    if np.hypot(x, y) < 2 * abs(z) or np.hypot(x, y) == 0:
        return np.eye(3)
    quarters = round(float(np.arctan2(x, y)) / (0.5 * np.pi)) % 4
    quarter = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    return np.linalg.matrix_power(quarter, quarters)
