"""The character that a motion is fitted to: its landmarks, limb bones, bending axes and soles in the rest pose."""

from __future__ import annotations

import attrs
import numpy as np
import torch

from parc_data.retarget.frames import frame_of
from parc_data.retarget.landmarks import SIDES, Landmarks, find_landmarks
from parc_motion.kinematics import surface_points
from parc_motion.skeletons import JointKind, Skeleton

__all__ = ["BodyPlan", "Bone", "Sole", "body_plan"]

ARM, LEG = ("shoulder", "elbow", "wrist"), ("hip", "knee", "ankle")


@attrs.frozen(kw_only=True, eq=False)
class Bone:
    """One limb segment at rest, in the anatomical frame of the character (x ahead, y left, z up)."""

    start: int  # body at its upper end
    end: int  # body at its lower end
    vector: np.ndarray  # [3] m
    flex_axis: np.ndarray  # [3] about which the lower joint bends

    @property
    def length(self) -> float:
        """Length of the bone, m."""
        return float(np.linalg.norm(self.vector))


@attrs.frozen(kw_only=True, eq=False)
class Sole:
    """Where a foot stands: points of its body's frame, and how high the ankle is then."""

    heel: np.ndarray  # [3] m
    toe: np.ndarray  # [3] m
    height: float  # m, of the ankle over the ground


@attrs.frozen(kw_only=True, eq=False)
class BodyPlan:
    """What retargeting knows of a character."""

    skeleton: Skeleton
    landmarks: Landmarks
    rest_pos: np.ndarray  # [B, 3] m, root in the origin
    frame: np.ndarray  # [3, 3] columns ahead, left, up of the rest pose
    bones: dict[str, Bone]  # left_thigh, left_shin, left_upper_arm, left_forearm, right_...
    soles: dict[str, Sole]  # left, right
    hand_radius: float  # m

    @property
    def leg_length(self) -> float:
        """Thigh and shin, mean of both sides, m."""
        return 0.5 * sum(self.bones[f"{side}_{part}"].length for side in SIDES for part in ("thigh", "shin"))


def body_plan(skeleton: Skeleton) -> BodyPlan:
    """The plan of a character.

    Raises:
        DataError: its bodies are not those of a human, by their names.
    """
    what = f"character '{skeleton.id}'"
    marks = find_landmarks(skeleton.body_names, skeleton.parents, what)
    marks.require_human(what, skeleton.body_names)
    rest = np.zeros((skeleton.num_bodies, 3))
    for body, parent in enumerate(skeleton.parents[1:], start=1):
        rest[body] = rest[parent] + skeleton.offsets[body]
    upper = marks.first("neck", "head")
    middle = 0.5 * (rest[marks["left_hip"]] + rest[marks["right_hip"]])
    frame = frame_of(rest[upper] - middle, rest[marks["left_hip"]] - rest[marks["right_hip"]])
    bones = {}
    for side in SIDES:
        for names, limb in ((("thigh", "shin"), LEG), (("upper_arm", "forearm"), ARM)):
            a, b, c = (marks[f"{side}_{part}"] for part in limb)
            axis = _flex_axis(skeleton, b, rest, frame, limb, (a, b, c))
            for name, start, end in zip(names, (a, b), (b, c)):
                vector = (rest[end] - rest[start]) @ frame
                bones[f"{side}_{name}"] = Bone(start=start, end=end, vector=vector, flex_axis=axis)
    return BodyPlan(
        skeleton=skeleton,
        landmarks=marks,
        rest_pos=rest,
        frame=frame,
        bones=bones,
        soles={side: _sole(skeleton, marks[f"{side}_ankle"], frame) for side in SIDES},
        hand_radius=_radius(skeleton, marks["left_wrist"]),
    )


def _flex_axis(
    skeleton: Skeleton, body: int, rest: np.ndarray, frame: np.ndarray, limb: tuple[str, ...], chain: tuple
) -> np.ndarray:
    """Axis of positive bending of a knee or elbow: that of its hinge, else across the limb (knees back, elbows on)."""
    joint = skeleton.joints[body - 1]
    if joint.kind is JointKind.HINGE:
        opens = abs(float(joint.lower[0])) > abs(float(joint.upper[0]))
        return (-1.0 if opens else 1.0) * joint.axis.astype(float) @ frame
    bone = (rest[chain[2]] - rest[chain[0]]) @ frame
    ahead = np.array([-1.0, 0.0, 0.0]) if limb is LEG else np.array([1.0, 0.0, 0.0])
    axis = np.cross(bone, ahead)
    return axis / max(np.linalg.norm(axis), 1e-9)


def _sole(skeleton: Skeleton, foot: int, frame: np.ndarray) -> Sole:
    cloud = surface_points(skeleton, dtype=torch.float64)
    points = cloud.points[cloud.body == foot].numpy() @ frame  # ahead, left, up
    if not len(points):
        return Sole(heel=np.zeros(3), toe=np.zeros(3), height=0.0)
    height = -float(points[:, 2].min())
    low = points[points[:, 2] < -height + 0.01]
    middle = 0.5 * (low[:, 1].min() + low[:, 1].max())
    heel, toe = (np.array([x, middle, -height]) for x in (low[:, 0].min(), low[:, 0].max()))
    return Sole(heel=frame @ heel, toe=frame @ toe, height=height)


def _radius(skeleton: Skeleton, hand: int) -> float:
    cloud = surface_points(skeleton, dtype=torch.float64)
    points = cloud.points[cloud.body == hand]
    return float(points.norm(dim=-1).max()) if len(points) else 0.0
