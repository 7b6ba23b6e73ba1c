"""All metrics of one clip, and their means over many; computed from the clip alone."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import torch

from parc_motion.clips import MotionClip
from parc_motion.geometry import PackedTerrains, penetration_depth
from parc_motion.kinematics import Kinematics, SurfacePoints, surface_points
from parc_motion.metrics.ground import contact_slides, terrain_contact
from parc_motion.metrics.motion import final_waypoint_distance, high_jerk_share, joint_limit_excess, max_jerk
from parc_motion.skeletons import Skeleton

__all__ = ["clip_metrics", "summarize"]


def clip_metrics(clip: MotionClip, skeleton: Skeleton) -> dict[str, float]:
    """The clip's metrics by name.

    * ``terrain_penetration`` (TPL, m): depth inside the ground, summed over frames and surface points.
    * ``terrain_contact`` (TCL, m): contact label times distance to the ground, summed over frames and bodies.
    * ``max_penetration_m``: the deepest point of all frames.
    * ``high_jerk_percent`` (%HJF): frames in which a body's jerk exceeds 11666 m/s^3; ``max_jerk`` (m/s^3).
    * ``final_waypoint_distance_m`` (FWD): horizontal, from the last frame's root to the path's last point.
    * ``foot_slide_m``: mean slide of a foot per contact; ``max_foot_slide_m``: the worst contact.
    * ``max_joint_limit_rad``: the furthest that a joint coordinate leaves its limits.

    Those of the ground are missing for a clip without terrain, FWD without path, sliding without a labeled foot.

    Raises:
        SkeletonMismatch: the clip belongs to another character.
    """
    clip.require_skeleton(skeleton.id, skeleton.num_joints)
    kinematics, surface = _body(skeleton)
    root_pos, root_rot, joint_rot, contacts = (
        torch.tensor(array, dtype=torch.float64)
        for array in (clip.root_pos, clip.root_rot, clip.joint_rot, clip.contacts)
    )
    body_pos, body_rot = kinematics.forward(root_pos, root_rot, joint_rot)
    points = surface.world(body_pos, body_rot)
    values: dict[str, float] = {}
    if clip.terrain is not None:
        packed, ids = PackedTerrains.of([clip.terrain], dtype=torch.float64), torch.zeros(1, dtype=torch.long)
        depth = penetration_depth(packed, ids, points[None])
        values["terrain_penetration"] = float(depth.sum())
        values["terrain_contact"] = float(
            terrain_contact(packed, ids, points[None], surface.body, contacts[None])
        )
        values["max_penetration_m"] = float(depth.max())
    values["high_jerk_percent"] = 100.0 * float(high_jerk_share(body_pos, clip.fps))
    values["max_jerk"] = float(max_jerk(body_pos, clip.fps).max()) if clip.num_frames > 3 else 0.0
    if clip.path is not None:
        path = torch.tensor(clip.path.points, dtype=torch.float64)
        values["final_waypoint_distance_m"] = float(final_waypoint_distance(root_pos, path))
    slides = [contact_slides(points[:, surface.body == foot], contacts[:, foot]) for foot in _feet(skeleton)]
    slide = torch.cat(slides) if slides else torch.zeros(0)
    if len(slide):
        values["foot_slide_m"], values["max_foot_slide_m"] = float(slide.mean()), float(slide.max())
    dof = kinematics.joint_rot_to_dof(joint_rot)
    values["max_joint_limit_rad"] = float(
        joint_limit_excess(dof, kinematics.dof_lower, kinematics.dof_upper).max()
    )
    return values


def summarize(rows: Sequence[dict[str, float]]) -> dict[str, float]:
    """One row for many clips: ``clips`` (how many), the largest of each ``max_*``, the mean of every other name.

    A mean is over the clips that have the name.
    """
    names = list(dict.fromkeys(name for row in rows for name in row))
    summary = {"clips": float(len(rows))}
    for name in names:
        values = [row[name] for row in rows if name in row]
        summary[name] = max(values) if name.startswith("max_") else sum(values) / len(values)
    return summary


@lru_cache(maxsize=8)
def _body(skeleton: Skeleton) -> tuple[Kinematics, SurfacePoints]:
    return Kinematics(skeleton, dtype=torch.float64), surface_points(skeleton, dtype=torch.float64)


def _feet(skeleton: Skeleton) -> list[int]:
    return list(skeleton.need_feet())
