"""Training losses: how far a predicted window is from the true one, term by term.

Each term is a sum over frames, bodies and axes, and a mean over the batch; velocities are per second.

Source: terms of `parc_motion.published`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType

import attrs
import torch
from torch import Tensor

from parc_core.interfaces import GeneratorLoss, LossInput, MotionWindows
from parc_mdm.config import LossWeights
from parc_mdm.features import FPS, FeatureLayout
from parc_mdm.ground import PATCH_ORIGIN, PATCH_SPACING
from parc_mdm.windows import Windows
from parc_motion.geometry import PackedTerrains, penetration_depth
from parc_motion.kinematics import Kinematics
from parc_motion.kinematics import rotations as rot
from parc_motion.skeletons import Skeleton

__all__ = ["CollisionPoints", "further_losses", "ground_depth", "loss_terms", "total_loss", "weight_of"]

_HUBER_SQUARE = 0.0009  # pseudo-Huber: sqrt(d^2 + c^2) - c with c = 0.03
_FREE_GROUND = 5.0  # m, how deep a point may lie before the loss stops growing
_AGAINST_TARGET = -0.1  # m, displacement along the target that satisfies the target loss


@attrs.frozen(kw_only=True, eq=False)
class CollisionPoints:
    """A few points inside each body: sphere centers, two on each capsule's axis, the corners of boxes (42)."""

    points: Tensor  # [P, 3] m, in the frame of the body
    body: Tensor  # [P] int64

    @staticmethod
    def of(skeleton: Skeleton, device: str | torch.device = "cpu") -> CollisionPoints:
        """The points of a character."""
        points: list[Tensor] = []
        body: list[int] = []
        for geom in skeleton.geoms:
            size = torch.tensor(geom.size)
            if geom.kind == "sphere":
                local = torch.zeros(1, 3)
            elif geom.kind == "box":
                local = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0])] * 3) * size
            else:
                local = torch.tensor([[0.0, 0.0, -1.0], [0.0, 0.0, 1.0]]) * (2.0 / 3.0) * size[1]
            points.append(
                torch.tensor(geom.pos) + rot.rotate(torch.tensor(geom.rot).expand(len(local), 4), local)
            )
            body += [geom.body] * len(local)
        return CollisionPoints(points=torch.cat(points).to(device), body=torch.tensor(body, device=device))

    def posed(self, body_pos: Tensor, body_rot: Tensor) -> Tensor:
        """The points of posed bodies, ``[..., P, 3]`` m."""
        local = self.points.expand(*body_pos.shape[:-2], -1, 3)
        return body_pos[..., self.body, :] + rot.rotate(body_rot[..., self.body, :], local)


def loss_terms(
    predicted: Tensor,
    truth: Windows,
    kin: Kinematics,
    layout: FeatureLayout,
    weights: LossWeights,
    *,
    pseudo_huber: bool = False,
    collision: CollisionPoints | None = None,
    further: Mapping[str, GeneratorLoss] = MappingProxyType({}),
) -> dict[str, Tensor]:
    """Unweighted loss of each term whose weight is not 0, averaged over the batch.

    Args:
        predicted: predicted feature vectors, not standardized, ``[N, S, D]``.
        collision: needed where `weights.collision` is not 0.
        further: losses of `weights.terms` whose weight is not 0, by name; see `further_losses`.
    """
    pos, root, bodies, joints, contacts = layout.split(predicted)
    true_pos, _, _, _, true_contacts = layout.split(truth.features)
    root_rot, joint_rot = layout.root_rot(root), layout.joint_rot(kin, joints)
    body_pos, body_rot = kin.forward(pos, root_rot, joint_rot)
    differences = {
        "root_pos": lambda: pos - true_pos,
        "root_rot": lambda: _turn(root_rot, truth.root_rot),
        "joint_rot": lambda: _turn(joint_rot, truth.joint_rot),
        "contacts": lambda: contacts - true_contacts,
        "joint_pos": lambda: bodies - truth.body_pos[..., 1:, :],
        "consistency": lambda: bodies - body_pos[..., 1:, :],
        "body_pos": lambda: body_pos - truth.body_pos,
        "body_rot": lambda: _turn(body_rot, truth.body_rot),
        "body_vel": lambda: FPS * (body_pos - truth.body_pos).diff(dim=1),
        "root_vel": lambda: FPS * (pos - true_pos).diff(dim=1),
        "root_ang_vel": lambda: _world_spin(root_rot) - _world_spin(truth.root_rot),
        "joint_ang_vel": lambda: _joint_spin(joint_rot) - _joint_spin(truth.joint_rot),
    }
    if layout.velocities:
        moved, truly = layout.body_velocities(predicted), layout.body_velocities(truth.features)
        differences["velocities"] = lambda: moved - truly
    terms = {
        name: _penalty(make(), pseudo_huber) for name, make in differences.items() if getattr(weights, name)
    }
    if weights.collision and collision is not None:
        depth = ground_depth(collision.posed(body_pos, body_rot), truth.patch)
        terms["collision"] = 0.5 * depth.square().sum() / len(depth)
    if weights.target:
        along = (truth.target * (pos[:, -1, :2] - pos[:, 0, :2])).sum(dim=-1)
        terms["target"] = (-along).clamp_min(_AGAINST_TARGET).mean()
    if further:
        batch = LossInput(
            predicted=MotionWindows(
                root_pos=pos,
                root_rot=root_rot,
                joint_rot=joint_rot,
                contacts=contacts,
                body_pos=body_pos,
                body_rot=body_rot,
            ),
            truth=MotionWindows(
                root_pos=true_pos,
                root_rot=truth.root_rot,
                joint_rot=truth.joint_rot,
                contacts=true_contacts,
                body_pos=truth.body_pos,
                body_rot=truth.body_rot,
            ),
            height_patch=truth.patch,
            target=truth.target,
            fps=FPS,
            skeleton=kin.skeleton,
        )
        terms |= {name: loss(batch) for name, loss in further.items()}
    return terms


def total_loss(terms: dict[str, Tensor], weights: LossWeights) -> Tensor:
    """Weighted sum of the terms."""
    return torch.stack([weight_of(weights, name) * value for name, value in terms.items()]).sum()


def weight_of(weights: LossWeights, name: str) -> float:
    """Weight of a term, built in or not."""
    return weights.terms[name].complete().config.weight if name in weights.terms else getattr(weights, name)


def further_losses(weights: LossWeights, skeleton: Skeleton, device: str) -> dict[str, GeneratorLoss]:
    """The losses of `weights.terms` whose weight is not 0, ready to be called."""
    return {
        name: use.create(skeleton=skeleton, device=device)
        for name, use in weights.terms.items()
        if weight_of(weights, name)
    }


def ground_depth(points: Tensor, patch: Tensor) -> Tensor:
    """Depth of points ``[N, ..., 3]`` in the ground of height patches, 0 above it: ``[N, ...]`` m.

    Each patch is treated as a small terrain; points and patches are in the frame of their anchor.
    """
    count, device = len(patch), patch.device
    origin = torch.tensor([-PATCH_ORIGIN[0] * PATCH_SPACING, -PATCH_ORIGIN[1] * PATCH_SPACING], device=device)
    ground = PackedTerrains(
        height=patch,
        shape=torch.tensor(patch.shape[1:], device=device).expand(count, 2),
        origin_xy=origin.expand(count, 2),
        cell=torch.full((count,), PATCH_SPACING, device=device),
    )
    return penetration_depth(ground, torch.arange(count, device=device), points, max_distance=_FREE_GROUND)


def _turn(a: Tensor, b: Tensor) -> Tensor:
    """Exponential map from a to b: its square is the squared angle, with a smooth gradient at zero."""
    return rot.quat_to_expmap(rot.multiply(b, rot.inverse(a)))


def _world_spin(q: Tensor) -> Tensor:
    return FPS * rot.quat_to_expmap(rot.multiply(q[:, 1:], rot.inverse(q[:, :-1])))


def _joint_spin(q: Tensor) -> Tensor:
    return FPS * rot.quat_to_expmap(rot.multiply(rot.inverse(q[:, :-1]), q[:, 1:]))


def _penalty(difference: Tensor, pseudo_huber: bool) -> Tensor:
    square = difference.square()
    if pseudo_huber:
        square = (square + _HUBER_SQUARE).sqrt() - math.sqrt(_HUBER_SQUARE)
    return square.sum() / len(difference)
