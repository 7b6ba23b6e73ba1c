"""The loss of many clips at once in plain torch: what its terms are, written to be read.

The solver works with `parc_kinopt.compiled`, which computes the same numbers; this is the version that the tests hold
it against.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from operator import add

import attrs
import torch
from torch import Tensor

from parc_kinopt import kernels
from parc_kinopt.batch import frame_mask, split
from parc_kinopt.cloud import PointCloud
from parc_kinopt.limbs import Limb
from parc_motion.geometry import PackedTerrains, clearance, penetration_depth
from parc_motion.kinematics import Kinematics
from parc_motion.kinematics.rotations import quat_to_matrix

__all__ = ["Body", "MotionLoss", "Targets", "center_of_mass"]


@attrs.frozen(kw_only=True, eq=False)
class Body:
    """Everything about the character that the loss needs, in one precision."""

    kin: Kinematics
    cloud: PointCloud
    limbs: tuple[Limb, ...]
    mass: Tensor  # [B] share of the whole
    com: Tensor  # [B, 3] m, in the body's frame

    @property
    def feet(self) -> tuple[Limb, ...]:
        """The limbs that are feet."""
        return tuple(limb for limb in self.limbs if limb.is_foot)


def center_of_mass(body: Body, body_pos: Tensor, matrix: Tensor) -> Tensor:
    """Center of mass of posed bodies: ``[..., 3]`` m for ``[..., B, 3]`` m and ``[..., B, 3, 3]``."""
    center = body_pos + (matrix @ body.com[:, :, None]).squeeze(-1)
    return (center * body.mass[:, None]).sum(dim=-2)


@attrs.frozen(kw_only=True, eq=False)
class Targets:
    """What C clips are pulled to."""

    root_pos: Tensor  # [C, T, 3] m, source
    root_rot: Tensor  # [C, T, 4]
    joint_rot: Tensor  # [C, T, J, 4]
    step: Tensor  # [C, T - 1, B, 3] m, movement of the source's bodies per frame
    angle: Tensor  # [C, T - 1, B] rad
    contacts: Tensor  # [C, T, B] 0..1, 0 in the padding
    held: Tensor  # [C, T, B] 1 inside a body constraint
    point: Tensor  # [C, T, B, 3] m, its point
    settled: Tensor  # [C, T, B] 1 where a constraint or lock takes the place of the sliding term
    lock: Tensor  # [C, T, F, 4] how firmly sole corners keep their height
    lock_pair: Tensor  # [C, T - 1, F, 4] and their place
    lock_height: Tensor  # [C, T, F] m
    airborne: Tensor  # [C, T - 2] 1 where free fall is wanted
    com_step: Tensor  # [C, T - 2, 3] m, second difference of the source's center of mass
    jerk_limit: Tensor  # [C] m per frame^3
    lengths: Tensor  # [C]
    dt: Tensor  # [C] s
    terrain_ids: Tensor  # [C]

    def mask(self, order: int = 0) -> Tensor:
        """1 where frames t..t+order lie inside the clip, ``[C, T - order]``."""
        return frame_mask(self.lengths, self.num_frames, order).to(self.root_pos.dtype)

    @property
    def num_frames(self) -> int:
        """T."""
        return self.root_pos.shape[1]


class MotionLoss:
    """The loss terms of C clips; `terms` gives them unweighted, calling it the weighted totals and their gradients."""

    def __init__(
        self, targets: Targets, terrains: PackedTerrains, body: Body, weights: Mapping[str, float]
    ) -> None:
        self.targets, self.terrains, self.body = targets, terrains, body
        self.weights = {name: weight for name, weight in weights.items() if weight > 0.0}
        t = targets
        self.frame_terrain = t.terrain_ids.repeat_interleave(t.num_frames)
        contact_pair = torch.minimum(t.contacts[:, :-1], t.contacts[:, 1:]).clamp_min(0)
        self.contact_pair = contact_pair * (1 - t.settled[:, :-1]) * t.mask(1)[..., None]

    def __call__(self, x: Tensor, width: Tensor) -> tuple[Tensor, Tensor]:
        """Totals ``[C]`` and gradients ``[C, T, V]`` at the variables ``[C, T, V]``; rounding ``[C]`` m or rad."""
        x = x.detach().requires_grad_()
        total = reduce(add, (self.weights[name] * value for name, value in self.terms(x, width).items()))
        (grad,) = torch.autograd.grad(total.sum(), x)
        return total.detach(), grad

    def terms(self, x: Tensor, width: Tensor) -> dict[str, Tensor]:
        """Unweighted value per term ``[C]`` at ``[C, T, V]``, for every term with a weight."""
        t, body = self.targets, self.body
        root_pos, root_rot, joint_rot = split(x, body.kin)
        body_pos, body_rot = body.kin.forward(root_pos, root_rot, joint_rot)
        matrix = quat_to_matrix(body_rot)
        com = center_of_mass(body, body_pos, matrix)
        step, angle = body_pos[:, 1:] - body_pos[:, :-1], kernels.step_angle(body_rot)
        lower, upper = body.kin.dof_lower, body.kin.dof_upper
        terms = {
            "root_pos": lambda: kernels.position(root_pos, t.root_pos, t.mask()),
            "root_rot": lambda: kernels.pose(root_rot, t.root_rot, t.mask()),
            "joint_rot": lambda: kernels.pose(joint_rot, t.joint_rot, t.mask()),
            "smoothness": lambda: kernels.smoothness(step, angle, t.step, t.angle, t.mask(1)),
            "penetration": lambda: self._penetration(body_pos, matrix, width),
            "contact": lambda: self._contact(body_pos, matrix, width),
            "sliding": lambda: kernels.sliding(step, angle, t.step, t.angle, self.contact_pair),
            "jerk": lambda: kernels.jerk(body_pos, t.jerk_limit, t.mask(3), width),
            "joint_limit": lambda: kernels.joint_limit(x[..., 6:], lower, upper, t.mask(), width),
            "body_constraint": lambda: self._body_constraint(body_pos, matrix, width),
            "foot_lock": lambda: self._foot_lock(body_pos, matrix, width),
            "ballistic": lambda: kernels.ballistic(com, t.dt, t.airborne),
            "steadiness": lambda: kernels.steadiness(com, t.com_step, t.mask(2) * (1.0 - t.airborne)),
        }
        return {name: terms[name]() for name in terms if name in self.weights}

    def _penetration(self, body_pos: Tensor, matrix: Tensor, width: Tensor) -> Tensor:
        """Depth of every surface point inside the ground, m."""
        world = body_pos[:, :, self.body.cloud.body] + (
            matrix[:, :, self.body.cloud.body] @ self.body.cloud.points[:, :, None]
        ).squeeze(-1)
        depth = penetration_depth(self.terrains, self.frame_terrain, world.flatten(0, 1)).view(
            *world.shape[:-1]
        )
        return (kernels.excess(depth, width[:, None, None]).sum(-1) * self.targets.mask()).sum(-1)

    def _contact(self, body_pos: Tensor, matrix: Tensor, width: Tensor) -> Tensor:
        """Distance of each body in contact from the ground, that of its nearest point, times its label, m."""
        total = torch.zeros_like(width)
        cloud = self.body.cloud
        for b in range(len(cloud.counts)):
            clip, frame = (self.targets.contacts[:, :, b] > 1e-6).nonzero(as_tuple=True)
            points = cloud.points[cloud.body == b]
            if not len(points) or not len(clip):
                continue
            place = body_pos[clip, frame, b, None] + points @ matrix[clip, frame, b].mT
            ids = self.targets.terrain_ids[clip]
            away = clearance(self.terrains, ids, place).amin(dim=-1)
            label = self.targets.contacts[clip, frame, b]
            total = total + kernels.per_clip(label * kernels.excess(away, width[clip]), clip, len(width))
        return total

    def _body_constraint(self, body_pos: Tensor, matrix: Tensor, width: Tensor) -> Tensor:
        """Distance of held hands and sole points from their place beyond its radius, m."""
        total = torch.zeros_like(width)
        for limb in self.body.limbs:
            clip, frame = self.targets.held[:, :, limb.body].nonzero(as_tuple=True)
            target = self.targets.point[clip, frame, limb.body]
            local = (
                self.body.cloud.points[list(limb.sole)]
                if limb.is_foot
                else body_pos.new_tensor(limb.center)[None]
            )
            place = body_pos[clip, frame, limb.body, None] + local @ matrix[clip, frame, limb.body].mT
            away = _length(place - target[:, None]) - limb.radius
            rounded = kernels.excess if limb.is_foot else kernels.absolute
            total = total + kernels.per_clip(rounded(away, width[clip, None]).sum(dim=-1), clip, len(width))
        return total

    def _foot_lock(self, body_pos: Tensor, matrix: Tensor, width: Tensor) -> Tensor:
        """Corners of standing soles: movement from frame to frame plus distance from the ground's height, m."""
        feet = self.body.feet
        bodies = [foot.body for foot in feet]
        local = torch.stack([self.body.cloud.points[list(foot.corners)] for foot in feet])  # [F, 4, 3]
        corner = body_pos[:, :, bodies, None] + local @ matrix[:, :, bodies].mT  # [A, T, F, 4, 3]
        w = width[:, None, None, None]
        slide = kernels.excess(_length(corner[:, 1:] - corner[:, :-1]), w)
        rise = kernels.absolute(corner[..., 2] - self.targets.lock_height[..., None], w)
        return (slide * self.targets.lock_pair).sum((1, 2, 3)) + (rise * self.targets.lock).sum((1, 2, 3))


def _length(v: Tensor) -> Tensor:
    return (v.square().sum(-1) + 1e-16).sqrt()
