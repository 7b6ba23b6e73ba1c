"""How every body of the character would have to be turned to copy the source's limb directions, ignoring its joints.

Bodies without a landmark follow their neighbors: spines and necks turn part of the way, collar bones
with the chest, the hinges that robots have for a hip or shoulder with the limb below them.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from parc_data.retarget.anatomy import Anatomy
from parc_data.retarget.body_plan import BodyPlan, Bone
from parc_data.retarget.frames import blend, from_pair, swing, transform, unit
from parc_data.retarget.landmarks import SIDES
from parc_motion.skeletons import JointKind, Skeleton

__all__ = ["coordinates_of", "turned_bodies"]

_STRAIGHT = 0.15  # sine of the bend below which the source's bending plane is not believed
_SEGMENTS = {
    "thigh": ("hip", "knee"),
    "shin": ("knee", "ankle"),
    "upper_arm": ("shoulder", "elbow"),
    "forearm": ("elbow", "wrist"),
}


def turned_bodies(anatomy: Anatomy, plan: BodyPlan) -> np.ndarray:
    """Rotation of every body in the world, ``[T, B, 3, 3]``."""
    skeleton, marks = plan.skeleton, plan.landmarks
    known = {marks["pelvis"]: anatomy.pelvis @ plan.frame.T}
    chest, head = marks.first("chest", "spine"), marks.first("head", "neck")
    if chest is not None and chest not in known:
        known[chest] = anatomy.chest @ plan.frame.T
    if head is not None and head not in known:
        known[head] = anatomy.head @ plan.frame.T
    for side in SIDES:
        known.update(_limb(anatomy, plan, side, ("thigh", "shin"), "knee", anatomy.pelvis))
        known.update(_limb(anatomy, plan, side, ("upper_arm", "forearm"), "elbow", anatomy.chest))
        known[marks[f"{side}_ankle"]] = anatomy.feet[side] @ plan.frame.T
        known.setdefault(marks[f"{side}_wrist"], known[plan.bones[f"{side}_forearm"].start])
    known.setdefault(0, known[marks["pelvis"]])
    turned: list[np.ndarray] = []
    for body, parent in enumerate(skeleton.parents):
        turned.append(known[body] if body in known else _between(skeleton, body, turned[parent], known))
    return np.stack(turned, axis=1)


def coordinates_of(turned: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    """Joint coordinates that come closest to the turned bodies, joint by joint from the root out, ``[T, D]`` rad."""
    dof = np.zeros((len(turned), skeleton.num_dofs))
    real = [turned[:, 0]]
    for joint, place in enumerate(skeleton.dof_slices):
        parent, kind = real[skeleton.parents[joint + 1]], skeleton.joints[joint].kind
        if kind is JointKind.FIXED:
            real.append(parent)
            continue
        local = np.swapaxes(parent, -1, -2) @ turned[:, joint + 1]
        if kind is JointKind.HINGE:
            axis = skeleton.joints[joint].axis.astype(float)
            quat = Rotation.from_matrix(local).as_quat()
            angle = 2.0 * np.arctan2(quat[:, :3] @ axis, quat[:, 3])
            dof[:, place.start] = np.arctan2(np.sin(angle), np.cos(angle))
            turn = Rotation.from_rotvec(dof[:, place] * axis).as_matrix()
        else:
            dof[:, place] = Rotation.from_matrix(local).as_rotvec()
            turn = local
        real.append(parent @ turn)
    return dof


def _limb(
    anatomy: Anatomy, plan: BodyPlan, side: str, names: tuple[str, str], joint: str, trunk: np.ndarray
) -> dict[int, np.ndarray]:
    """Rotations of the two long bones of a limb: along the source's, bending about one axis."""
    bones = [plan.bones[f"{side}_{name}"] for name in names]
    ways = [
        anatomy.pos[f"{side}_{_SEGMENTS[n][1]}"] - anatomy.pos[f"{side}_{_SEGMENTS[n][0]}"] for n in names
    ]
    upper, lower = (unit(way) for way in ways)
    natural = transform(swing(transform(trunk, bones[0].vector), upper) @ trunk, bones[0].flex_axis)
    told = anatomy.bend[f"{side}_{joint}"]
    axis = np.cross(upper, lower) + _STRAIGHT * (natural if told is None else unit(told))
    return {
        bone.start: _bone_frame(way, axis, bone) @ plan.frame.T for bone, way in zip(bones, (upper, lower))
    }


def _bone_frame(way: np.ndarray, axis: np.ndarray, bone: Bone) -> np.ndarray:
    """Turns the bone of the rest pose along `way` and its bending axis as near as possible to `axis`."""
    return from_pair(way, axis) @ from_pair(bone.vector, bone.flex_axis).T


def _between(skeleton: Skeleton, body: int, parent: np.ndarray, known: dict[int, np.ndarray]) -> np.ndarray:
    """Rotation of a body without landmark, part of the way from its parent to the next landmark below it."""
    below = [b for b in range(body + 1, skeleton.num_bodies) if body in _chain(skeleton, b) and b in known]
    if not below:
        return parent
    steps = len(_chain(skeleton, below[0])) - len(_chain(skeleton, body))
    if skeleton.joints[body - 1].kind is JointKind.HINGE:
        return known[below[0]]
    return blend(parent, known[below[0]], 1.0 / (steps + 1.0))


def _chain(skeleton: Skeleton, body: int) -> list[int]:
    chain = []
    while body >= 0:
        chain.append(body)
        body = skeleton.parents[body]
    return chain
