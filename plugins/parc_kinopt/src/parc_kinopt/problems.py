"""What an optimized motion still does wrong, in words."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from parc_kinopt.batch import split
from parc_kinopt.constraints import contact_runs
from parc_kinopt.objective import MotionLoss, center_of_mass
from parc_motion.geometry import signed_distance
from parc_motion.kinematics.rotations import quat_to_matrix
from parc_motion.skeletons import Skeleton

__all__ = ["describe_runs", "unresolved"]

_DEPTH = 0.02  # m, less penetration is not worth a word
_GAP = 0.03  # m, likewise a contact that is missed
_SLIDE = 0.03  # m over a whole contact
_ANGLE = np.deg2rad(2.0)
_FALL = 3.0  # m/s^2, mean over a flight


def unresolved(loss: MotionLoss, x: Tensor, skeleton: Skeleton, max_flight: float) -> list[tuple[str, ...]]:
    """Texts for each clip at the variables ``[C, T, 6 + D]``.

    Args:
        max_flight: a body that nothing holds for longer does not jump, it floats, s.
    """
    targets, body = loss.targets, loss.body
    clips, frames = x.shape[:2]
    body_pos, body_rot = body.kin.forward(*split(x, body.kin))
    matrix = quat_to_matrix(body_rot)
    world = body.cloud.world(body_pos.flatten(0, 1), matrix.flatten(0, 1))
    height = body.cloud.gap(world, loss.terrains, loss.frame_terrain).gap.amin(dim=-1)
    depth = _depth(loss, world).unflatten(0, (clips, frames))
    frame, which = torch.meshgrid(
        torch.arange(clips * frames), body.cloud.has_points.nonzero()[:, 0], indexing="ij"
    )
    labeled = targets.contacts.flatten(0, 1)[frame, which] > 0.5
    gap = torch.zeros_like(targets.contacts).flatten(0, 1)
    rows = frame[labeled], which[labeled]
    gap[rows] = body.cloud.closest(world, loss.terrains, loss.frame_terrain, *rows)[1].to(gap.dtype)
    gap = gap.unflatten(0, (clips, frames))
    over = torch.maximum(body.kin.dof_lower - x[..., 6:], x[..., 6:] - body.kin.dof_upper)
    fall = center_of_mass(body, body_pos, matrix).diff(n=2, dim=1) / targets.dt[:, None, None].square()
    fall[..., 2] += 9.81
    result = []
    for c in range(clips):
        length = int(targets.lengths[c])
        texts = _bodies(skeleton, "penetrates", depth[c, :length], _DEPTH)
        texts += _bodies(skeleton, "misses its contact by", gap[c, :length], _GAP)
        labels, dt = targets.contacts[c, :length].amax(-1).numpy(), float(targets.dt[c])
        texts += _floating(labels, height.view(clips, frames)[c, :length].numpy(), dt, max_flight)
        texts += _limits(skeleton, over[c, :length].cpu().numpy())
        texts += _slides(loss, skeleton, world.unflatten(0, (clips, frames))[c], c)
        texts += _flights(fall[c].norm(dim=-1).cpu().numpy(), targets.airborne[c].cpu().numpy())
        result.append(tuple(texts))
    return result


def describe_runs(values: np.ndarray, threshold: float) -> list[tuple[float, str]]:
    """Largest value and "frame 3" or "frames 3-7" of each run of ``[T]`` above a threshold."""
    runs = contact_runs(values, threshold)
    return [(float(values[a : b + 1].max()), f"frame {a}" if a == b else f"frames {a}-{b}") for a, b in runs]


def _depth(loss: MotionLoss, world: Tensor) -> Tensor:
    """Deepest point of each body inside the ground, ``[F, B]`` m."""
    cloud = loss.body.cloud
    column = cloud.gap(world, loss.terrains, loss.frame_terrain)
    frame, point = (column.gap < 0).nonzero(as_tuple=True)
    result = world.new_zeros((len(world), len(cloud.counts)))
    if len(frame):
        inside = -signed_distance(loss.terrains, loss.frame_terrain[frame], world[frame, :, point])
        place = frame * len(cloud.counts) + cloud.body[point]
        result.view(-1).scatter_reduce_(0, place, inside, reduce="amax")
    return result


def _bodies(skeleton: Skeleton, verb: str, values: Tensor, threshold: float) -> list[str]:
    texts = []
    for body in (values > threshold).any(dim=0).nonzero()[:, 0].tolist():
        for worst, where in describe_runs(values[:, body].cpu().numpy(), threshold):
            texts.append(f"{skeleton.body_names[body]} {verb} {worst:.3f} m in {where}")
    return texts


def _floating(labels: np.ndarray, height: np.ndarray, dt: float, max_flight: float) -> list[str]:
    """Where no body is in contact for longer than a jump lasts, or in the whole clip."""
    texts = []
    for first, last in contact_runs(1.0 - labels, 0.5):
        span = last - first + 1
        lowest = float(height[first : last + 1].min())
        if lowest > _GAP and (span == len(labels) or span * dt > max_flight):
            texts.append(
                f"nothing holds the body in frames {first}-{last}, at least {lowest:.2f} m above the ground"
            )
    return texts


def _limits(skeleton: Skeleton, over: np.ndarray) -> list[str]:
    texts = []
    for joint, where in zip(skeleton.joints, skeleton.dof_slices):
        if where.stop == where.start:
            continue
        for worst, frames in describe_runs(over[:, where].max(axis=1), _ANGLE):
            texts.append(f"joint limit {joint.name} exceeded by {np.rad2deg(worst):.0f} deg in {frames}")
    return texts


def _slides(loss: MotionLoss, skeleton: Skeleton, world: Tensor, clip: int) -> list[str]:
    """How far the firmest corner of each standing sole wanders; ``world`` is ``[T, 3, P]`` m."""
    texts = []
    for f, foot in enumerate(loss.body.feet):
        grip = loss.targets.lock_pair[clip, :, f]
        path = world[:, :, list(foot.corners)].diff(dim=0).norm(dim=1) * grip  # [T - 1, 4]
        for first, last in contact_runs(grip.amax(-1).cpu().numpy(), 0.0):
            moved = float(path[first : last + 1].sum(dim=0).amax())
            if moved > _SLIDE:
                texts.append(
                    f"{skeleton.body_names[foot.body]} slides {moved:.3f} m in frames {first}-{last + 1}"
                )
    return texts


def _flights(deviation: np.ndarray, airborne: np.ndarray) -> list[str]:
    texts = []
    for first, last in contact_runs(airborne, 0.5):
        mean = float(deviation[first : last + 1].mean())
        if mean > _FALL:
            texts.append(f"flight in frames {first}-{last + 2} is {mean:.1f} m/s^2 off free fall")
    return texts
