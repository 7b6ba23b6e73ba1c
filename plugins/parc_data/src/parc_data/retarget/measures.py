"""The measures of a retargeted motion that its report holds."""

from __future__ import annotations

from collections.abc import Mapping

import attrs
import numpy as np
import torch
from scipy.spatial.transform import Rotation

from parc_data.retarget.body_plan import BodyPlan
from parc_data.retarget.ik import head_point
from parc_data.retarget.landmarks import SIDES, Landmarks
from parc_data.retarget.report import Error, RetargetReport
from parc_data.retarget.targets import Targets
from parc_data.source_motion import SourceMotion
from parc_motion.geometry import PackedTerrains, penetration_depth
from parc_motion.kinematics import Kinematics, surface_points
from parc_motion.metrics import joint_limit_excess
from parc_motion.skeletons import Skeleton
from parc_motion.terrains import Terrain

__all__ = ["PosedPoints", "copy_errors", "foot_slides", "make_report", "posed_points", "target_errors"]


@attrs.frozen(kw_only=True, eq=False)
class PosedPoints:
    """A retargeted motion in the world."""

    body_pos: np.ndarray  # [T, B, 3] m
    body_rot: np.ndarray  # [T, B, 4]
    points: np.ndarray  # [T, P, 3] m, on the surface
    body: np.ndarray  # [P]
    limit_excess: np.ndarray  # [T, D] rad


def posed_points(
    skeleton: Skeleton, root_pos: np.ndarray, root_rot: np.ndarray, joint_rot: np.ndarray
) -> PosedPoints:
    """Bodies, surface points and limit excess of a motion as a file would hold it (float32 values)."""
    kinematics = Kinematics(skeleton, dtype=torch.float64)
    arrays = [
        torch.from_numpy(np.asarray(a, dtype=np.float32).astype(np.float64))
        for a in (root_pos, root_rot, joint_rot)
    ]
    pos, rot = kinematics.forward(*arrays)
    surface = surface_points(skeleton, dtype=torch.float64)
    dof = kinematics.joint_rot_to_dof(arrays[2])
    return PosedPoints(
        body_pos=pos.numpy(),
        body_rot=rot.numpy(),
        points=surface.world(pos, rot).numpy(),
        body=surface.body.numpy(),
        limit_excess=joint_limit_excess(dof, kinematics.dof_lower, kinematics.dof_upper).numpy(),
    )


def foot_slides(posed: PosedPoints, held: Mapping[int, np.ndarray], band: float = 0.02) -> np.ndarray:
    """Horizontal movement of standing bodies per frame step, ``[n]`` m, the least among the points that touch.

    Args:
        held: body -> ``[T]`` bool.
        band: points up to this far above the body's lowest one touch, m.

    Source: as `parc_motion.metrics.ground.contact_slides`, which adds the steps of a contact up.
    """
    slides = []
    for body, frames in held.items():
        points = posed.points[:, posed.body == body]
        both = frames[1:] & frames[:-1]
        if not both.any() or not points.shape[1]:
            continue
        low = points[..., 2] <= points[..., 2].min(axis=1, keepdims=True) + band
        moved = np.linalg.norm(np.diff(points[..., :2], axis=0), axis=-1)
        touching = low[1:] & low[:-1]
        least = np.where(touching, moved, np.inf).min(axis=1)
        least = np.where(touching.any(axis=1), least, moved.min(axis=1))
        slides.append(least[both])
    return np.concatenate(slides) if slides else np.zeros(0)


def make_report(
    method: str,
    motion: SourceMotion,
    posed: PosedPoints,
    errors: Mapping[str, np.ndarray],
    feet: Mapping[int, np.ndarray],
    ground: float | None,
) -> RetargetReport:
    """The report of a posed motion.

    Args:
        method: copy, ik or partial.
        errors: key body -> distance from its target, ``[T]`` m.
        feet: standing body -> ``[T]`` bool.
        ground: level ground where there is no terrain, m; None for none.
    """
    slides = foot_slides(posed, feet)
    every = np.concatenate(list(errors.values())) if errors else np.zeros(0)
    return RetargetReport(
        method=method,
        scale=1.0,
        key_bodies={name: Error.of(distance) for name, distance in errors.items()},
        key_body_error=Error.of(every),
        foot_slide=Error.of(slides),
        max_penetration_m=_deepest(posed, motion.terrain, ground),
        max_joint_limit_rad=float(posed.limit_excess.max(initial=0.0)),
        frames_over_limit=int((posed.limit_excess > 0).any(axis=1).sum()),
    )


def target_errors(plan: BodyPlan, targets: Targets, posed: PosedPoints) -> dict[str, np.ndarray]:
    """Distance of each hand and foot, and of the middle of the head, from its target, ``[T]`` m each."""
    names = plan.skeleton.body_names
    found = {}
    for side in SIDES:
        for part in ("wrist", "ankle"):
            body = plan.landmarks[f"{side}_{part}"]
            found[names[body]] = np.linalg.norm(posed.body_pos[:, body] - targets.body_pos[:, body], axis=-1)
    head, middle = head_point(plan)
    is_at = posed.body_pos[:, head] + Rotation.from_quat(posed.body_rot[:, head]).apply(middle)
    should = targets.body_pos[:, head] + targets.body_rot[:, head] @ middle
    found[names[head]] = np.linalg.norm(is_at - should, axis=-1)
    return found


def copy_errors(
    motion: SourceMotion, skeleton: Skeleton, marks: Landmarks, posed: PosedPoints
) -> dict[str, np.ndarray]:
    """Distance of each hand, foot and the head's joint from its place in the source, ``[T]`` m each."""
    bodies = [marks[f"{side}_{part}"] for side in SIDES for part in ("wrist", "ankle")]
    bodies.append(int(marks.first("head", "neck") or 0))
    found = {}
    for body in bodies:
        name = skeleton.body_names[body]
        source = motion.body_pos[:, motion.body_names.index(name)]
        found[name] = np.linalg.norm(posed.body_pos[:, body] - source, axis=-1)
    return found


def _deepest(posed: PosedPoints, terrain: Terrain | None, ground: float | None) -> float:
    """Deepest surface point inside the ground, m; 0 where no ground is known."""
    if terrain is not None:
        packed = PackedTerrains.of([terrain], dtype=torch.float64)
        points = torch.from_numpy(posed.points)[None]
        return float(penetration_depth(packed, torch.zeros(1, dtype=torch.long), points).max())
    if ground is None or not posed.points.size:
        return 0.0
    return max(0.0, ground - float(posed.points[..., 2].min()))
