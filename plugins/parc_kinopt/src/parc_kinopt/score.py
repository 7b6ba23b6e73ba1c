"""Scores of generated candidates, all candidates of a call in one padded batch; lower is better."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import torch
from torch import Tensor

from parc_core.data.clip import MotionClip
from parc_core.data.path import Path
from parc_core.data.skeleton import Skeleton
from parc_core.data.terrain import Terrain
from parc_core.geometry.distance import penetration_depth
from parc_core.kinematics.forward import Kinematics
from parc_core.kinematics.rotations import quat_to_matrix
from parc_kinopt.batch import ClipBatch, pack
from parc_kinopt.cloud import PointCloud
from parc_kinopt.kernels import per_clip, third_difference
from parc_kinopt.limbs import Limb

__all__ = ["CandidateScorer", "Raw", "goal_distance", "path_distance", "rough_steps"]


@attrs.frozen(kw_only=True, eq=False)
class Raw:
    """What a selector weighs, one number per candidate ``[C]``; sums run over frames, bodies and points."""

    frames: Tensor  # frames of the candidate
    contact: Tensor  # m, distance of bodies in contact from the ground, summed
    penetration: Tensor  # m, depth of points inside the ground, summed
    path: Tensor  # m, mean distance of the root from the path in the ground plane
    roughness: Tensor  # m/s, mean change of the root's velocity from frame to frame
    jerk: Tensor  # share of frames with a body above the jerk limit
    slide: Tensor  # m/s, mean speed of feet in contact
    goal: Tensor  # m, mean distance of the feet from the end of the path, at the nearest frame


class CandidateScorer:
    """Measures candidates of one character."""

    def __init__(self, skeleton: Skeleton, limbs: tuple[Limb, ...], device: str = "cpu") -> None:
        self.skeleton, self.device = skeleton, device
        self.kin, self.cloud = Kinematics(skeleton, device), PointCloud(skeleton, device)
        self.feet = tuple(limb for limb in limbs if limb.is_foot)

    def __call__(
        self, clips: Sequence[MotionClip], terrain: Terrain, path: Path, jerk_limit: float, min_label: float
    ) -> Raw:
        """The numbers of every candidate.

        Args:
            jerk_limit: a frame with a body above it is jerky, m/s^3.
            min_label: weaker contact labels count as none, 0..1.
        """
        batch = pack(
            clips, [terrain], self.skeleton, self.device, torch.float32, terrain_ids=[0] * len(clips)
        )
        body_pos, body_rot = self.kin.forward(batch.root_pos, batch.root_rot, batch.joint_rot)
        matrix = quat_to_matrix(body_rot)
        contact, penetration = self._ground(batch, body_pos.flatten(0, 1), matrix.flatten(0, 1), min_label)
        mask, points = batch.mask(), body_pos.new_tensor(path.points)
        feet = [foot.body for foot in self.feet] or [0]
        centre = body_pos[:, :, feet].mean(dim=2)
        return Raw(
            frames=batch.lengths.to(mask.dtype),
            contact=contact,
            penetration=penetration,
            path=_mean(path_distance(batch.root_pos[..., :2], points[:, :2]), mask),
            roughness=rough_steps(batch.root_pos, batch.dt, batch.mask(2)),
            jerk=_jerky(body_pos, batch, jerk_limit),
            slide=_slide(body_pos[:, :, feet], batch.contacts[:, :, feet], batch.dt, batch.mask(1)),
            goal=goal_distance(centre, points[-1], mask),
        )

    def _ground(
        self, batch: ClipBatch, body_pos: Tensor, matrix: Tensor, min_label: float
    ) -> tuple[Tensor, Tensor]:
        cloud, frames = self.cloud, batch.num_frames
        world = cloud.world(body_pos, matrix)
        ids = batch.terrain_ids.repeat_interleave(frames)
        column = cloud.gap(world, batch.terrains, ids)
        inside = (column.gap < 0) & (batch.mask().flatten() > 0)[:, None]
        frame, point = inside.nonzero(as_tuple=True)
        depth = penetration_depth(batch.terrains, ids[frame], world[frame, :, point])
        penetration = per_clip(depth, frame // frames, batch.num_clips)
        frame, body = ((batch.contacts.flatten(0, 1) > min_label) & cloud.has_points).nonzero(as_tuple=True)
        gap = column.gap[frame[:, None], cloud.table[body]].amin(-1)
        frame, body = frame[gap > 0], body[gap > 0]  # a body with a point inside touches
        _, distance = cloud.closest(world, batch.terrains, ids, frame, body, column)
        label = batch.contacts.flatten(0, 1)[frame, body]
        return per_clip(label * distance.clamp_min(0), frame // frames, batch.num_clips), penetration


def path_distance(xy: Tensor, path_xy: Tensor) -> Tensor:
    """Distance of points ``[C, T, 2]`` from the nearest place on a polyline ``[P, 2]``, ``[C, T]`` m."""
    start, way = path_xy[:-1], path_xy[1:] - path_xy[:-1]
    square = way.square().sum(-1).clamp_min(1e-12)
    offset = xy[..., None, :] - start
    along = ((offset * way).sum(-1) / square).clamp(0.0, 1.0)
    return (offset - along[..., None] * way).norm(dim=-1).amin(dim=-1)


def rough_steps(root_pos: Tensor, dt: Tensor, mask: Tensor) -> Tensor:
    """Mean change of the horizontal root velocity from frame to frame, ``[C]`` m/s; mask ``[C, T - 2]``."""
    change = root_pos[..., :2].diff(n=2, dim=1).norm(dim=-1) / dt[:, None]
    return _mean(change, mask)


def goal_distance(centre: Tensor, goal: Tensor, mask: Tensor) -> Tensor:
    """Distance of ``[C, T, 3]`` from the goal ``[3]`` at the frame nearest to it, ``[C]`` m."""
    distance = (centre - goal).norm(dim=-1)
    return torch.where(mask > 0, distance, torch.full_like(distance, torch.inf)).amin(dim=-1)


def _jerky(body_pos: Tensor, batch: ClipBatch, limit: float) -> Tensor:
    size = third_difference(body_pos).norm(dim=-1).amax(dim=-1)
    return _mean((size > limit * batch.dt[:, None] ** 3).to(size.dtype), batch.mask(3))


def _slide(feet: Tensor, contacts: Tensor, dt: Tensor, mask: Tensor) -> Tensor:
    speed = feet[..., :2].diff(dim=1).norm(dim=-1) / dt[:, None, None]
    grip = torch.minimum(contacts[:, :-1], contacts[:, 1:]) * mask[..., None]
    return (speed * grip).sum((-1, -2)) / grip.sum((-1, -2)).clamp_min(1.0)


def _mean(values: Tensor, mask: Tensor) -> Tensor:
    return (values * mask).sum(-1) / mask.sum(-1).clamp_min(1.0)
