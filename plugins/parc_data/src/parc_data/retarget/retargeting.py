"""A motion of any skeleton on a character: copied where the builds agree, fitted by inverse kinematics where not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import attrs
import numpy as np
import torch

from parc_data.retarget.anatomy import Anatomy, read_anatomy
from parc_data.retarget.body_plan import body_plan
from parc_data.retarget.copy import Copied, copy_motion, rest_rotations
from parc_data.retarget.ik import fit
from parc_data.retarget.landmarks import SIDES, Landmarks, find_landmarks
from parc_data.retarget.measures import copy_errors, make_report, posed_points, target_errors
from parc_data.retarget.partial import partial_motion
from parc_data.retarget.report import RetargetReport
from parc_data.retarget.stance import Footing, find_footing, with_level_feet
from parc_data.retarget.targets import Targets, make_targets
from parc_data.source_motion import SourceMotion
from parc_motion.errors import DataError
from parc_motion.kinematics import Kinematics
from parc_motion.kinematics.rotations import quat_to_matrix
from parc_motion.skeletons import Skeleton

__all__ = ["RetargetOptions", "Retargeted", "retarget"]

_FEWEST_BODIES = (
    13  # a human needs pelvis, head and hips, knees, ankles, shoulders, elbows, wrists on both sides
)


@attrs.frozen(kw_only=True)
class RetargetOptions:
    """How to retarget; None leaves it to the motion."""

    method: Literal["auto", "copy", "ik"] = "auto"
    scale: float | None = None  # of the hips' path; None: by leg length, 1 on a given terrain
    ground: float | None = None  # m, height of level ground in the source's world; None: found from its feet
    iterations: int = 20  # at most


@attrs.frozen(kw_only=True, eq=False)
class Retargeted:
    """A motion of the character, float64, at the frame rate of the source."""

    root_pos: np.ndarray  # [T, 3] m
    root_rot: np.ndarray  # [T, 4] xyzw
    joint_rot: np.ndarray  # [T, J, 4] xyzw
    held: np.ndarray  # [T, B] bool: feet and hands that were kept in place, fit for contact labels
    ground: (
        float | None
    )  # m, level ground that the feet were set on; None on a terrain or where none was found
    report: RetargetReport


def retarget(
    motion: SourceMotion, skeleton: Skeleton, options: RetargetOptions = RetargetOptions()
) -> Retargeted:
    """The motion on another character.

    With a terrain the motion keeps its places on it; otherwise the path of the hips is scaled by leg length about its
    first place and its ground. A skeleton with fewer bodies than a human needs moves root and trunk only, and the
    report says so.

    Args:
        motion: at the frame rate that is wanted.
        skeleton: any character with the limbs of a human.

    Raises:
        DataError: a body that a human needs is not found by its name, or the options do not fit the motion.
    """
    _check(motion, options)
    if options.method != "ik":
        turns = rest_rotations(motion, skeleton)
        copied = None if turns is None else copy_motion(motion, skeleton, turns)
        if copied is not None:
            return _from_copy(motion, skeleton, copied, options)
        if options.method == "copy":
            raise DataError(
                f"motion '{motion.name}' is not of the build of character '{skeleton.id}' (bodies, bone lengths, hinge "
                "axes), so it cannot be copied. Leave the method to 'auto' or choose 'ik'."
            )
    what = f"motion '{motion.name}'"
    marks = find_landmarks(motion.body_names, motion.parents, what)
    if marks.missing and len(motion.body_names) < _FEWEST_BODIES:
        return _from_part(motion, skeleton, marks)
    marks.require_human(what, motion.body_names)
    return _from_fit(motion, skeleton, marks, options)


def _check(motion: SourceMotion, options: RetargetOptions) -> None:
    for name, value in (("scale", options.scale), ("ground", options.ground)):
        if value is not None and not np.isfinite(value):
            raise DataError(f"motion '{motion.name}': {name} is {value}, expected a number.")
    if options.scale is not None and options.scale <= 0:
        raise DataError(f"motion '{motion.name}': scale is {options.scale}, expected more than 0.")
    if options.scale not in (None, 1.0) and motion.terrain is not None:
        raise DataError(
            f"motion '{motion.name}' comes with a terrain, whose cells do not scale; scale is "
            f"{options.scale}. Leave it out, or remove the terrain."
        )
    if options.iterations < 1:
        raise DataError(f"motion '{motion.name}': iterations is {options.iterations}, expected 1 or more.")


def _from_fit(
    motion: SourceMotion, skeleton: Skeleton, marks: Landmarks, options: RetargetOptions
) -> Retargeted:
    plan = body_plan(skeleton)
    anatomy = read_anatomy(motion, marks)
    footing = find_footing(anatomy, motion.fps, motion.terrain, options.ground)
    anatomy = with_level_feet(anatomy, footing)
    targets = make_targets(anatomy, plan, footing, motion.fps, motion.terrain, options.scale)
    solution = fit(plan, targets, motion.terrain, footing.ground, options.iterations)
    joint_rot = _joint_rot(skeleton, solution.dof)
    posed = posed_points(skeleton, solution.root_pos, solution.root_rot, joint_rot)
    ground = None if motion.terrain is not None else footing.ground
    feet = {body: targets.held[body] for body in (plan.landmarks[f"{side}_ankle"] for side in SIDES)}
    report = make_report("ik", motion, posed, target_errors(plan, targets, posed), feet, ground)
    notes = _fit_notes(marks, motion, anatomy, footing, ground)
    notes["moved_by_holds_m"] = float(targets.moved.mean())
    report = attrs.evolve(report, scale=targets.scale, notes=notes)
    return Retargeted(
        root_pos=solution.root_pos,
        root_rot=solution.root_rot,
        joint_rot=joint_rot,
        held=_held_array(targets.held, motion.num_frames, skeleton.num_bodies),
        ground=ground,
        report=report,
    )


def _from_copy(
    motion: SourceMotion, skeleton: Skeleton, copied: Copied, options: RetargetOptions
) -> Retargeted:
    marks = find_landmarks(skeleton.body_names, skeleton.parents, f"character '{skeleton.id}'")
    root_pos, held = np.array(motion.root_pos), {}
    root_rot, joint_rot = np.array(copied.root_rot), np.array(copied.joint_rot)
    ground = options.ground
    warnings = []
    if copied.clamped_frames:
        warnings.append(f"in {copied.clamped_frames} frames a joint was moved to its limit")
    if not marks.missing:
        plan = body_plan(skeleton)
        source = find_landmarks(motion.body_names, motion.parents, f"motion '{motion.name}'")
        footing = find_footing(read_anatomy(motion, source), motion.fps, motion.terrain, options.ground)
        ground = None if motion.terrain is not None else footing.ground
        held = {marks[f"{side}_ankle"]: _frames_of(footing, side, motion.num_frames) for side in SIDES}
        if copied.beyond_frames and options.method == "auto":
            targets = _targets_of_copy(motion, skeleton, copied)
            solution = fit(plan, targets, None, -np.inf, options.iterations, keeps_bends=True)
            root_pos, root_rot = solution.root_pos, solution.root_rot
            joint_rot = _joint_rot(skeleton, solution.dof)
            warnings.append(f"in {copied.beyond_frames} frames the pose was fitted to the joint limits")
    posed = posed_points(skeleton, root_pos, root_rot, joint_rot)
    errors = {} if marks.missing else copy_errors(motion, skeleton, marks, posed)
    report = make_report("copy", motion, posed, errors, held, ground)
    notes: dict[str, Any] = {
        "exact": copied.exact,
        "off_axis_rad": copied.off_axis_rad,
        "frames_clamped": copied.clamped_frames,
        "frames_beyond_limits": copied.beyond_frames,
    }
    return Retargeted(
        root_pos=root_pos,
        root_rot=root_rot,
        joint_rot=joint_rot,
        held=_held_array(held, motion.num_frames, skeleton.num_bodies),
        ground=ground,
        report=attrs.evolve(report, warnings=tuple(warnings), notes=notes),
    )


def _targets_of_copy(motion: SourceMotion, skeleton: Skeleton, copied: Copied) -> Targets:
    arrays = [torch.from_numpy(np.array(a)) for a in (motion.root_pos, copied.root_rot, copied.joint_rot)]
    pos, rot = Kinematics(skeleton, dtype=torch.float64).forward(*arrays)
    return Targets(
        body_pos=pos.numpy(),
        body_rot=quat_to_matrix(rot).numpy(),
        pins=(),
        held={},
        scale=1.0,
        moved=np.zeros(pos.shape[:2]),
    )


def _joint_rot(skeleton: Skeleton, dof: np.ndarray) -> np.ndarray:
    return Kinematics(skeleton, dtype=torch.float64).dof_to_joint_rot(torch.from_numpy(dof)).numpy()


def _from_part(motion: SourceMotion, skeleton: Skeleton, marks: Landmarks) -> Retargeted:
    part = partial_motion(motion, skeleton, marks)
    posed = posed_points(skeleton, part.root_pos, part.root_rot, part.joint_rot)
    report = make_report("partial", motion, posed, {}, {}, None)
    names = ", ".join(motion.body_names)
    warning = (
        f"the skeleton ({names}) is not human: {', '.join(marks.missing)} are missing, so arms and legs keep their "
        "rest pose"
    )
    return Retargeted(
        root_pos=part.root_pos,
        root_rot=part.root_rot,
        joint_rot=part.joint_rot,
        held=np.zeros((motion.num_frames, skeleton.num_bodies), dtype=bool),
        ground=None,
        report=attrs.evolve(
            report, warnings=(warning, *report.warnings), notes={"moved_joints": list(part.moved)}
        ),
    )


def _fit_notes(
    marks: Landmarks, motion: SourceMotion, anatomy: Anatomy, footing: Footing, ground: float | None
) -> dict[str, Any]:
    return {
        "landmarks": {name: motion.body_names[body] for name, body in marks.bodies.items()},
        "frames_from": "rotations" if anatomy.from_rotations else "positions",
        "source_leg_m": anatomy.leg_length,
        "ground_m": ground,
        "footholds": {side: len(footing.feet[side]) for side in SIDES},
        "handholds": {side: len(footing.hands[side]) for side in SIDES},
    }


def _frames_of(footing: Footing, side: str, frames: int) -> np.ndarray:
    held = np.zeros(frames, dtype=bool)
    for hold in footing.feet[side]:
        held[hold.first : hold.stop] = True
    return held


def _held_array(held: Mapping[int, np.ndarray], frames: int, bodies: int) -> np.ndarray:
    array = np.zeros((frames, bodies), dtype=bool)
    for body, at in held.items():
        array[:, body] = at
    return array
