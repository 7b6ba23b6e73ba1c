"""A clip from a plan."""

from __future__ import annotations

import logging

import attrs
import numpy as np
import torch

from parc_core.interfaces import stop_point
from parc_data.procedural.center import center_height, center_over_ground, support_of
from parc_data.procedural.feet import FeetMotion, move_feet
from parc_data.procedural.plan import Plan
from parc_data.procedural.posture import Body, Pose, leg_joints, pose_trunk
from parc_data.procedural.smooth import blur
from parc_motion.clips import MotionClip, Provenance
from parc_motion.kinematics import rotations as rot
from parc_motion.skeletons import Skeleton
from parc_motion.terrains import Path, SegmentKind, Terrain, pad

__all__ = ["FPS", "synthesize"]

log = logging.getLogger(__name__)

FPS = 30
_FINE = 2  # inner samples per frame
_MARGIN_S = 0.6  # computed before and after the clip, so that its ends move like its middle
_ROUNDS = 5
_GROUND_AROUND = 1.65  # m of ground on each side of the motion


def synthesize(plan: Plan, body: Body, skeleton: Skeleton) -> MotionClip:
    """The clip of a plan: 30 frames per second, feet labeled where the whole sole stands."""
    dt = 1.0 / (FPS * _FINE)
    before, after = round(_MARGIN_S / dt), round(_MARGIN_S / dt)
    frames = round((plan.end - plan.start) * FPS) + 1
    time = plan.start + dt * (np.arange((frames - 1) * _FINE + 1 + before + after) - before)
    feet = move_feet(plan, time)
    root_pos, pose = _whole_body(plan, feet, time, body, dt)
    keep = slice(before, before + (frames - 1) * _FINE + 1, _FINE)
    plan = attrs.evolve(plan, terrain=_surrounded(plan.terrain, root_pos[keep, :2].numpy()))
    contacts = np.zeros((frames, skeleton.num_bodies))
    contacts[:, list(skeleton.need_feet())] = feet.flat[keep]
    return MotionClip(
        name=plan.name,
        root_pos=root_pos[keep].numpy(),
        root_rot=pose.root_rot[keep].numpy(),
        joint_rot=pose.joint_rot[keep].numpy(),
        contacts=contacts,
        fps=FPS,
        skeleton=skeleton.id,
        motion_class=plan.motion_class,
        terrain=plan.terrain,
        path=_path(plan, root_pos[keep].numpy()),
        provenance=Provenance(stage="dataset", provider="procedural"),
    )


def _whole_body(
    plan: Plan, feet: FeetMotion, time: np.ndarray, body: Body, dt: float
) -> tuple[torch.Tensor, Pose]:
    support = support_of(plan, feet, time)
    yaw = blur(support.yaw, 0.18 / dt)
    trunk = pose_trunk(body, feet, yaw, support.point[:, 2], plan.style, dt)
    offset = np.tile([0.0, 0.0, 0.1], (len(time), 1))  # from the pelvis to the center of mass, m
    center = np.concatenate([blur(support.point[:, :2], 0.15 / dt), support.point[:, 2:] + 0.9], axis=-1)
    hip = rot.rotate(trunk.root_rot[:, None], body.hip.expand(len(time), 2, 3)).numpy()
    for i in range(_ROUNDS):
        stop_point()
        for _ in range(2):  # height and ground plane depend on each other
            hips = (center - offset)[:, None, :2] + hip[..., :2]
            center[:, 2] = center_height(plan, feet, support, hips, offset[:, 2], dt)
            center[:, :2] = center_over_ground(support, center[:, 2], dt)
        for _ in range(2):  # the legs' own weight moves the center of mass
            root_pos = torch.tensor(center - offset)
            pose, miss = leg_joints(body, root_pos, trunk, feet, dt)
            offset = (body.center(root_pos, pose.root_rot, pose.joint_rot) - root_pos).numpy()
        if i < _ROUNDS - 2:
            feet = feet.relaxed(body.ankle_angle(pose), dt)
    log.debug("%s: largest distance by which an ankle misses its foot %.4f m", plan.name, float(miss.max()))
    return root_pos, pose


def _surrounded(terrain: Terrain, xy: np.ndarray) -> Terrain:
    # repeats border cells, which changes no height, until there is enough terrain on every side
    half = 0.5 * terrain.cell
    low = np.ceil((terrain.origin_xy - half - (xy.min(axis=0) - _GROUND_AROUND)) / terrain.cell)
    high = np.ceil((xy.max(axis=0) + _GROUND_AROUND - (terrain.max_xy + half)) / terrain.cell)
    x, y = np.stack([np.maximum(low, 0), np.maximum(high, 0)], axis=1).astype(int).tolist()
    return pad(terrain, ((x[0], x[1]), (y[0], y[1])))


def _path(plan: Plan, root_pos: np.ndarray) -> Path:
    # a point on the ground about every half meter along the path of the pelvis
    along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(root_pos[:, :2], axis=0), axis=-1))])
    count = max(2, round(along[-1] / 0.5) + 1)
    marks = np.linspace(0.0, along[-1], count)
    xy = np.stack([np.interp(marks, along, root_pos[:, i]) for i in range(2)], axis=-1)
    points = np.concatenate([xy, plan.terrain.height_at(xy)[:, None]], axis=-1)
    rise = np.diff(points[:, 2])
    kinds = np.where(
        rise > 0.28, SegmentKind.CLIMB, np.where(rise < -0.28, SegmentKind.DROP, SegmentKind.WALK)
    )
    return Path(points=points, kinds=kinds)
