"""A motion seen as a human: landmarks over time and the frames of pelvis, chest, head, feet and limb bends.

Frames come from the file's rotations where its rest pose is that of an upright human (any direction, any arms), which
keeps what positions cannot show: the turn of the head, the roll of a foot. Otherwise they come from positions.
"""

from __future__ import annotations

import attrs
import numpy as np
from scipy.spatial.transform import Rotation

from parc_data.retarget.frames import frame_of, from_pair, smooth, swing, transform, unit
from parc_data.retarget.landmarks import SIDES, Landmarks
from parc_data.source_motion import SourceMotion
from parc_motion.errors import DataError

__all__ = ["Anatomy", "read_anatomy"]

_DRAWN_RAD = 0.35  # hips before or behind the spine slant the line from hips to neck by up to this
_MARKER_SMOOTHING_S = 0.033  # captured positions are rounded and noisy


@attrs.frozen(kw_only=True, eq=False)
class Anatomy:
    """Landmarks and body frames of a motion; frames have the columns ahead, left, up."""

    pos: dict[str, np.ndarray]  # landmark -> [T, 3] m
    pelvis: np.ndarray  # [T, 3, 3]
    chest: np.ndarray  # [T, 3, 3]
    head: np.ndarray  # [T, 3, 3]
    feet: dict[str, np.ndarray]  # side -> [T, 3, 3]; x towards the toes, z away from the sole
    bend: dict[str, np.ndarray | None]  # left_knee, ... -> [T, 3] axis of bending where the file knows it
    from_rotations: bool

    @property
    def num_frames(self) -> int:
        """T."""
        return len(self.pelvis)

    @property
    def leg_length(self) -> float:
        """Thigh and shin, mean over sides and frames, m."""
        return 0.5 * sum(
            self.span(f"{s}_hip", f"{s}_knee") + self.span(f"{s}_knee", f"{s}_ankle") for s in SIDES
        )

    def span(self, a: str, b: str) -> float:
        """Median distance of two landmarks, m."""
        return float(np.median(np.linalg.norm(self.pos[a] - self.pos[b], axis=-1)))


def read_anatomy(motion: SourceMotion, marks: Landmarks) -> Anatomy:
    """The motion's anatomy.

    Raises:
        DataError: a limb has no length, or left and right are exchanged.
    """
    what = f"motion '{motion.name}'"
    body_pos = motion.body_pos
    if not motion.has_rotations:
        body_pos = smooth(body_pos, _MARKER_SMOOTHING_S * motion.fps)
    pos = {name: body_pos[:, body] for name, body in marks.bodies.items()}
    pos["hips"] = 0.5 * (pos["left_hip"] + pos["right_hip"])
    pos["neck_base"] = _neck_base(pos)
    _check_limbs(pos, marks, motion, what)
    _check_sides(pos, marks, motion, what)
    rest = _rest_frame(motion, marks)
    turned = None if rest is None else Rotation.from_quat(motion.body_rot.reshape(-1, 4)).as_matrix()
    if turned is None or rest is None:
        return _from_positions(pos)
    turned = turned.reshape(motion.num_frames, len(motion.body_names), 3, 3)
    return _from_rotations(pos, marks, turned, rest, motion.rest_pos)


def _neck_base(pos: dict[str, np.ndarray]) -> np.ndarray:
    """Where the neck leaves the trunk: between the shoulders, as far up as the neck joint says at most."""
    return pos["neck"] if "neck" in pos else 0.5 * (pos["left_shoulder"] + pos["right_shoulder"])


def _rest_frame(motion: SourceMotion, marks: Landmarks) -> np.ndarray | None:
    """Columns ahead, left, up of the rest pose, or None if it is not upright (LAFAN1: all bones along x)."""
    if not motion.has_rotations:
        return None
    rest = motion.rest_pos
    hips = 0.5 * (rest[marks["left_hip"]] + rest[marks["right_hip"]])
    upper = marks.first("neck", "head")
    left = rest[marks["left_hip"]] - rest[marks["right_hip"]]
    if min(np.linalg.norm(left), np.linalg.norm(rest[upper] - hips)) < 1e-3:
        return None
    frame = frame_of(_along_axis(rest[upper] - hips), _along_axis(left))
    legs = [unit(rest[marks[f"{side}_ankle"]] - rest[marks[f"{side}_hip"]]) @ frame for side in SIDES]
    return frame if all(leg[2] < -0.7 for leg in legs) else None


def _along_axis(way: np.ndarray) -> np.ndarray:
    """The coordinate axis that a direction is meant to be, if one is near: rest poses are drawn along axes."""
    axis = np.zeros(3)
    largest = int(np.abs(way).argmax())
    axis[largest] = np.sign(way[largest])
    return axis if unit(way) @ axis > np.cos(_DRAWN_RAD) else way


def _from_rotations(
    pos: dict[str, np.ndarray], marks: Landmarks, turned: np.ndarray, rest: np.ndarray, rest_pos: np.ndarray
) -> Anatomy:
    def frame(name: str) -> np.ndarray:
        return turned[:, marks[name]] @ rest

    bend: dict[str, np.ndarray | None] = {}
    for side in SIDES:
        for joint, upper, lower, ahead in (
            ("knee", "hip", "ankle", -1.0),
            ("elbow", "shoulder", "wrist", 1.0),
        ):
            bone = rest_pos[marks[f"{side}_{lower}"]] - rest_pos[marks[f"{side}_{upper}"]]
            axis = unit(np.cross(bone, ahead * rest[:, 0]))
            bend[f"{side}_{joint}"] = transform(turned[:, marks[f"{side}_{upper}"]], axis)
    return Anatomy(
        pos=pos,
        pelvis=frame("pelvis"),
        chest=frame("chest") if "chest" in marks else _chest(pos),
        head=frame("head") if "head" in marks else frame("neck"),
        feet={side: frame(f"{side}_ankle") for side in SIDES},
        bend=bend,
        from_rotations=True,
    )


def _from_positions(pos: dict[str, np.ndarray]) -> Anatomy:
    spine = next((pos[name] for name in ("chest", "spine") if name in pos), pos["neck_base"])
    pelvis = frame_of(spine - pos["hips"], pos["left_hip"] - pos["right_hip"])
    chest = _chest(pos)
    bend: dict[str, np.ndarray | None] = dict.fromkeys(f"{s}_{j}" for s in SIDES for j in ("knee", "elbow"))
    return Anatomy(
        pos=pos,
        pelvis=pelvis,
        chest=chest,
        head=_head(pos, chest),
        feet={side: _foot(pos, side, pelvis) for side in SIDES},
        bend=bend,
        from_rotations=False,
    )


def _chest(pos: dict[str, np.ndarray]) -> np.ndarray:
    lower = next((pos[name] for name in ("spine", "pelvis") if name in pos), pos["hips"])
    return frame_of(pos["neck_base"] - lower, pos["left_shoulder"] - pos["right_shoulder"])


def _head(pos: dict[str, np.ndarray], chest: np.ndarray) -> np.ndarray:
    """The chest's frame, leaned as the head leans from its usual place over the neck."""
    top = next((pos[name] for name in ("head_top", "head") if name in pos), None)
    if top is None or np.linalg.norm(top - pos["neck_base"], axis=-1).min() < 0.02:
        return chest
    local = unit(transform(np.swapaxes(chest, -1, -2), top - pos["neck_base"]))
    return chest @ swing(np.median(local, axis=0), local)


def _foot(pos: dict[str, np.ndarray], side: str, pelvis: np.ndarray) -> np.ndarray:
    """Frame of a foot from ankle and toe, level when the foot stands; straight under the shin without a toe."""
    shin = unit(pos[f"{side}_knee"] - pos[f"{side}_ankle"])
    if f"{side}_toe" not in pos:
        return frame_of(shin, pelvis[..., 1])
    ahead = unit(pos[f"{side}_toe"] - pos[f"{side}_ankle"])
    drop = np.arcsin(np.clip(-ahead[:, 2], -1, 1))
    low = pos[f"{side}_ankle"][:, 2] <= np.quantile(pos[f"{side}_ankle"][:, 2], 0.5)
    level = np.clip(
        np.median(drop[low]), 0.0, 1.0
    )  # how far the bone from ankle to toe points down when standing
    thigh = unit(pos[f"{side}_hip"] - pos[f"{side}_knee"])
    # a foot stretched along its shin does not show which way is left; the bent knee and the pelvis do
    left = np.cross(shin, ahead) + 0.5 * np.cross(thigh, shin) + 0.1 * pelvis[..., 1]
    frame = from_pair(ahead, left)  # x along the bone, y left
    c, s = np.cos(level), np.sin(level)
    return frame @ np.array([[c, 0.0, s], [0.0, 1.0, 0.0], [-s, 0.0, c]]).T


def _check_limbs(pos: dict[str, np.ndarray], marks: Landmarks, motion: SourceMotion, what: str) -> None:
    for side in SIDES:
        for a, b in (("hip", "knee"), ("knee", "ankle"), ("shoulder", "elbow"), ("elbow", "wrist")):
            length = np.linalg.norm(pos[f"{side}_{a}"] - pos[f"{side}_{b}"], axis=-1)
            if np.median(length) < 1e-3:
                names = [motion.body_names[marks[f"{side}_{part}"]] for part in (a, b)]
                raise DataError(
                    f"{what}: '{names[0]}' and '{names[1]}' lie {1e3 * np.median(length):.1f} mm apart; between a "
                    f"{side} {a} and {b} there is a bone. Check the file's offsets, or its scale."
                )


def _check_sides(pos: dict[str, np.ndarray], marks: Landmarks, motion: SourceMotion, what: str) -> None:
    """Toes point ahead, and left is on the left of that: in the rest pose, or in frames that stand upright."""
    if "left_toe" not in marks or "right_toe" not in marks:
        return
    if motion.offsets is not None and _rest_frame(motion, marks) is not None:
        pos = {name: motion.rest_pos[None, body] for name, body in marks.bodies.items()}
    hips = [pos[f"{side}_hip"] for side in SIDES]
    neck = pos[next(name for name in ("neck", "head") if name in pos)]
    up = neck - 0.5 * (hips[0] + hips[1])
    legs = sum(unit(pos[f"{side}_ankle"] - pos[f"{side}_hip"]) for side in SIDES)
    ahead = sum(pos[f"{side}_toe"] - pos[f"{side}_ankle"] for side in SIDES)
    turned = (np.cross(up, ahead) * (hips[0] - hips[1])).sum(axis=-1) < 0
    upright = (unit(up) * legs).sum(axis=-1) < -1.6
    if upright.any() and np.mean(turned[upright]) > 0.9:
        raise DataError(
            f"{what}: seen along its feet, '{motion.body_names[marks['left_hip']]}' is on the right of "
            f"'{motion.body_names[marks['right_hip']]}'. The sides are exchanged or the file is mirrored; rename the "
            "bodies, or mirror it first."
        )
