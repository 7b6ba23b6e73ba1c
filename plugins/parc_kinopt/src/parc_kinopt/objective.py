"""The optimised loss of many clips at once: its data, its value per term, its gradient."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import attrs
import torch
from torch import Tensor

from parc_core.geometry.distance import signed_distance
from parc_core.geometry.packed import PackedTerrains
from parc_core.kinematics.forward import Kinematics
from parc_core.kinematics.rotations import quat_to_matrix
from parc_kinopt import kernels
from parc_kinopt.batch import ClipBatch, split
from parc_kinopt.cloud import PointCloud
from parc_kinopt.limbs import Limb

__all__ = ["Body", "MotionLoss", "Targets", "centre_of_mass"]


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


def centre_of_mass(body: Body, body_pos: Tensor, matrix: Tensor) -> Tensor:
    """Centre of mass of posed bodies: ``[..., 3]`` m for ``[..., B, 3]`` m and ``[..., B, 3, 3]``."""
    centre = body_pos + (matrix @ body.com[:, :, None]).squeeze(-1)
    return (centre * body.mass[:, None]).sum(dim=-2)


@attrs.frozen(kw_only=True, eq=False)
class Targets:
    """What C clips are pulled to; every tensor's first axis is the clip, so clips can leave."""

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
    push: Tensor  # [C, T - 2, 3] m, second difference of the source's centre of mass
    jerk_limit: Tensor  # [C] m per frame^3
    lengths: Tensor  # [C]
    dt: Tensor  # [C] s
    terrain_ids: Tensor  # [C]

    def rows(self, ids: Tensor) -> Targets:
        """Only these clips."""
        return Targets(**{f.name: getattr(self, f.name)[ids] for f in attrs.fields(Targets)})

    def double(self) -> Targets:
        """The same in float64."""
        values = {f.name: getattr(self, f.name) for f in attrs.fields(Targets)}
        return Targets(**{k: v.double() if v.is_floating_point() else v for k, v in values.items()})

    def mask(self, order: int = 0) -> Tensor:
        """1 where frames t..t+order lie inside the clip, ``[C, T - order]``."""
        return ClipBatch.mask(self, order)  # type: ignore[arg-type] - same fields

    @property
    def num_frames(self) -> int:
        """T."""
        return self.root_pos.shape[1]


class MotionLoss:
    """The loss terms of a set of clips; `terms` gives them unweighted, `__call__` is what a solver needs."""

    def __init__(
        self, targets: Targets, terrains: PackedTerrains, body: Body, weights: Mapping[str, float]
    ) -> None:
        self.all, self.terrains, self.body = targets, terrains, body
        self.weights = {name: weight for name, weight in weights.items() if weight > 0.0}
        self._select(torch.arange(len(targets.dt), device=targets.dt.device))

    def __call__(self, ids: Tensor, x: Tensor, width: Tensor) -> tuple[Tensor, Tensor]:
        """Weighted totals ``[A]`` and gradients ``[A, n]`` of clips `ids` at points ``[A, n]``."""
        self.focus(ids)
        x = x.detach().requires_grad_()
        values = self.terms(x.unflatten(-1, (self.targets.num_frames, -1)), width)
        total = sum(self.weights[name] * value for name, value in values.items())
        (grad,) = torch.autograd.grad(total.sum(), x)
        return total.detach(), grad

    def focus(self, ids: Tensor) -> None:
        """Make these the clips that `targets`, `masks` and `terms` are about."""
        if not torch.equal(ids, self._ids):
            self._select(ids)

    def _select(self, ids: Tensor) -> None:
        """Make these the clips, and find the places that need the ground."""
        self._ids, self.targets = ids, self.all.rows(ids)
        t = self.targets
        self.masks = [t.mask(order) for order in range(4)]
        self.supported = self.masks[2] * (1.0 - t.airborne)
        self.frame_terrain = t.terrain_ids.repeat_interleave(t.num_frames)
        in_contact = (t.contacts > 1e-6) & self.body.cloud.has_points
        clip, frame, body = in_contact.nonzero(as_tuple=True)
        self._touch = (clip * t.num_frames + frame, body, t.contacts[clip, frame, body])
        self._holds = [(limb, *t.held[:, :, limb.body].nonzero(as_tuple=True)) for limb in self.body.limbs]
        self.grip = torch.minimum(t.contacts[:, :-1], t.contacts[:, 1:]).clamp_min(0)
        self.grip = self.grip * (1 - t.settled[:, :-1]) * self.masks[1][..., None]

    def terms(self, x: Tensor, width: Tensor) -> dict[str, Tensor]:
        """Unweighted value per term ``[A]`` at ``[A, T, 6 + D]``, for every term with a weight."""
        t, body = self.targets, self.body
        root_pos, root_rot, joint_rot = split(x, body.kin)
        body_pos, body_rot = body.kin.forward(root_pos, root_rot, joint_rot)
        matrix = quat_to_matrix(body_rot)
        step, angle = body_pos[:, 1:] - body_pos[:, :-1], kernels.step_angle(body_rot)
        mask0, mask1, _, mask3 = self.masks
        lower, upper = body.kin.dof_lower, body.kin.dof_upper
        simple = {
            "root_pos": lambda: kernels.position(root_pos, t.root_pos, mask0),
            "root_rot": lambda: kernels.pose(root_rot, t.root_rot, mask0),
            "joint_rot": lambda: kernels.pose(joint_rot, t.joint_rot, mask0),
            "smoothness": lambda: kernels.smoothness(step, angle, t.step, t.angle, mask1),
            "sliding": lambda: kernels.sliding(step, angle, t.step, t.angle, self.grip),
            "jerk": lambda: kernels.jerk(body_pos, t.jerk_limit, mask3, width),
            "joint_limit": lambda: kernels.joint_limit(x[..., 6:], lower, upper, mask0, width),
            "body_constraint": lambda: self._body_constraint(body_pos, matrix, width),
            "foot_lock": lambda: self._foot_lock(body_pos, matrix, width),
            "ballistic": lambda: kernels.ballistic(self.centre_of_mass(body_pos, matrix), t.dt, t.airborne),
            "steadiness": lambda: kernels.steadiness(
                self.centre_of_mass(body_pos, matrix), t.push, self.supported
            ),
        }
        values = {name: simple[name]() for name in simple if name in self.weights}
        if "penetration" in self.weights or "contact" in self.weights:
            values |= self._ground(body_pos.flatten(0, 1), matrix.flatten(0, 1), width)
        return values

    def centre_of_mass(self, body_pos: Tensor, matrix: Tensor) -> Tensor:
        """``[A, T, 3]`` m for ``[A, T, B, 3]`` and ``[A, T, B, 3, 3]``."""
        return centre_of_mass(self.body, body_pos, matrix)

    def pushes(
        self, body_pos: Tensor, matrix: Tensor
    ) -> Iterator[tuple[str, Tensor, Tensor, Tensor, Tensor]]:
        """What the ground acts on: term, frame ``[R]``, body ``[R]``, place ``[R, 3]`` m, weight ``[R]``.

        Points inside the ground for penetration; for contact the nearest point of each body in contact that does not
        touch. Places have a gradient; frames are flat over clips, ``[A * T, B, 3]`` and ``[A * T, B, 3, 3]``.
        """
        cloud, ids = self.body.cloud, self.frame_terrain
        with torch.no_grad():
            world = cloud.world(body_pos, matrix)
            column = cloud.gap(world, self.terrains, ids)
        if "penetration" in self.weights:
            frame, point = (column.gap < 0).nonzero(as_tuple=True)
            inside = self.masks[0].flatten()[frame] > 0  # the padding stands for nothing
            frame, point = frame[inside], point[inside]
            place = cloud.place(body_pos, matrix, frame, point)
            yield "penetration", frame, cloud.body[point], place, torch.ones_like(place[:, 0])
        if "contact" in self.weights:
            frame, body, label = self._touch
            with torch.no_grad():
                clear = (
                    column.gap[frame[:, None], cloud.table[body]].amin(-1) > 0
                )  # else some point is inside
                frame, body, label = frame[clear], body[clear], label[clear]
                point, _ = cloud.closest(world, self.terrains, ids, frame, body, column)
            yield "contact", frame, body, cloud.place(body_pos, matrix, frame, point), label

    def _ground(self, body_pos: Tensor, matrix: Tensor, width: Tensor) -> dict[str, Tensor]:
        values = {}
        for name, frame, _, place, weight in self.pushes(body_pos, matrix):
            clip = frame // self.targets.num_frames
            distance = signed_distance(self.terrains, self.frame_terrain[frame], place, None)
            size = -distance if name == "penetration" else distance
            values[name] = kernels.per_clip(weight * kernels.excess(size, width[clip]), clip, len(width))
        return values

    def pulls(
        self, body_pos: Tensor, matrix: Tensor, width: Tensor
    ) -> Iterator[tuple[Limb, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]]:
        """What body constraints act on, per point.

        Limb, clip and frame ``[R]``, lever and unit direction ``[R, 3]``, stiffness along it and across it ``[R]``.
        """
        for limb, clip, frame, lever, offset, away in self._held(body_pos, matrix):
            size = away if limb.is_foot else away.abs()
            w, zero, length = width[clip], torch.zeros_like(size), _length(offset)
            along = torch.where(size > 0, 1.0 / torch.maximum(size, w), zero)
            across = torch.where(away > 0, (away / w).clamp(max=1.0) / length, zero)
            yield limb, clip, frame, lever, offset / length[:, None], along, torch.minimum(across, along)

    def _held(
        self, body_pos: Tensor, matrix: Tensor
    ) -> Iterator[tuple[Limb, Tensor, Tensor, Tensor, Tensor, Tensor]]:
        """Limb, clip, frame, lever, offset from the constraint's point and distance beyond the radius, per point."""
        if "body_constraint" not in self.weights:
            return
        for limb, clip, frame in self._holds:
            target = self.targets.point[clip, frame, limb.body]
            pos, turn = body_pos[clip, frame, limb.body], matrix[clip, frame, limb.body]
            local = (
                self.body.cloud.points[list(limb.sole)] if limb.is_foot else pos.new_tensor(limb.centre)[None]
            )
            lever = local @ turn.mT  # [R, K, 3]
            offset = (pos[:, None] + lever - target[:, None]).flatten(0, 1)
            spread = [v.repeat_interleave(len(local)) for v in (clip, frame)]
            yield limb, *spread, lever.flatten(0, 1), offset, _length(offset) - limb.radius

    def _body_constraint(self, body_pos: Tensor, matrix: Tensor, width: Tensor) -> Tensor:
        total = torch.zeros_like(width)
        for limb, clip, _, _, _, away in self._held(body_pos, matrix):
            rounded = kernels.excess if limb.is_foot else kernels.absolute
            total = total + kernels.per_clip(rounded(away, width[clip]), clip, len(width))
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
