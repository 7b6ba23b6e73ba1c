"""The loss terms as pure functions; every one sums over everything but the clips.

Axes: C clips, T frames, B bodies. `width` ``[C]`` (or one per row) rounds the kinks of the non-smooth terms: a Huber
function takes the place of max(r, 0) and |r|; width 0 gives the terms exactly.

Source: formulas and default weights of `parc_motion.published`; `foot_lock`, `ballistic`,
`steadiness` and `joint_limit` are additions.
"""

from __future__ import annotations

import torch
from torch import Tensor

from parc_motion.kinematics import rotations as rot

__all__ = [
    "SLIDE_WIDTH",
    "absolute",
    "ballistic",
    "excess",
    "jerk",
    "joint_limit",
    "per_clip",
    "pose",
    "position",
    "sliding",
    "smoothness",
    "steadiness",
    "step_angle",
    "third_difference",
]

SLIDE_WIDTH = 0.03  # m per frame, rounding of the published sliding term


def excess(r: Tensor, width: Tensor) -> Tensor:
    """max(r, 0) with its kink rounded over `width`: r^2 / (2 width) up to there, r - width / 2 beyond; ``[...]``."""
    w = width.clamp_min(1e-12)
    r = r.clamp_min(0.0)
    inside = torch.minimum(r, w)  # keeps the square finite where the other branch holds
    return torch.where(r < w, inside * inside / (2.0 * w), r - 0.5 * width)


def absolute(r: Tensor, width: Tensor) -> Tensor:
    """|r| with its kink rounded over `width`, ``[...]``."""
    return excess(r.abs(), width)


def per_clip(values: Tensor, clip: Tensor, num_clips: int) -> Tensor:
    """Sum of values ``[R]`` of each clip, ``[C]``, for the clip ``[R]`` that each belongs to."""
    return torch.zeros(num_clips, dtype=values.dtype, device=values.device).index_add(0, clip, values)


def position(pos: Tensor, source: Tensor, mask: Tensor) -> Tensor:
    """Squared distance, ``[C]`` m^2, of positions ``[C, T, 3]``; mask ``[C, T]``."""
    return ((pos - source).square().sum(-1) * mask).sum(-1)


def pose(q: Tensor, source: Tensor, mask: Tensor) -> Tensor:
    """Squared angle, ``[C]`` rad^2, of rotations ``[C, T, ..., 4]``; mask ``[C, T]``."""
    square = rot.angle_between(source, q).square()
    return (square.flatten(2).sum(-1) * mask if square.ndim > 2 else square * mask).sum(-1)


def step_angle(body_rot: Tensor) -> Tensor:
    """Angle between the rotations of consecutive frames, ``[C, T - 1, B]`` rad, for ``[C, T, B, 4]``."""
    return rot.angle_between(body_rot[:, :-1], body_rot[:, 1:])


def smoothness(
    step: Tensor, angle: Tensor, source_step: Tensor, source_angle: Tensor, mask: Tensor
) -> Tensor:
    """Squared difference of the bodies' movement per frame from the source's, ``[C]``.

    Args:
        step: movement of each body from frame to frame, ``[C, T - 1, B, 3]`` m.
        angle: its rotation angle from frame to frame, ``[C, T - 1, B]`` rad.
        mask: ``[C, T - 1]``.
    """
    linear = (step - source_step).square().sum((-1, -2))
    return ((linear + (angle - source_angle).square().sum(-1)) * mask).sum(-1)


def sliding(
    step: Tensor, angle: Tensor, source_step: Tensor, source_angle: Tensor, contact_pair: Tensor
) -> Tensor:
    """Difference from the source's movement of bodies in contact, rounded absolute values, ``[C]``.

    Args:
        contact_pair: contact of both frames, zero inside body constraints and the padding, ``[C, T - 1, B]``.
    """
    linear = ((step - source_step).square().sum(-1) + SLIDE_WIDTH**2).sqrt() - SLIDE_WIDTH
    turn = ((angle - source_angle).square() + SLIDE_WIDTH**2).sqrt() - SLIDE_WIDTH
    return (contact_pair * (linear + turn)).sum((-1, -2))


def third_difference(pos: Tensor) -> Tensor:
    """x[t+3] - 3 x[t+2] + 3 x[t+1] - x[t]: ``[C, T - 3, ...]`` for ``[C, T, ...]``."""
    return pos[:, 3:] - pos[:, :-3] + 3.0 * (pos[:, 1:-2] - pos[:, 2:-1])


def jerk(body_pos: Tensor, limit: Tensor, mask: Tensor, width: Tensor) -> Tensor:
    """Third difference of body positions above a limit, ``[C]`` m.

    Args:
        limit: ``[C]`` m per frame^3, the jerk limit times dt^3.
        mask: ``[C, T - 3]``.
    """
    size = (third_difference(body_pos).square().sum(-1) + 1e-16).sqrt()
    over = excess(size - limit[:, None, None], width[:, None, None])
    return (over.sum(-1) * mask).sum(-1)


def joint_limit(dof: Tensor, lower: Tensor, upper: Tensor, mask: Tensor, width: Tensor) -> Tensor:
    """Scalar joint coordinates beyond their limits, ``[C]`` rad, for ``[C, T, D]``."""
    over = excess(torch.maximum(lower - dof, dof - upper), width[:, None, None])
    return (over.sum(-1) * mask).sum(-1)


def steadiness(com: Tensor, source_push: Tensor, supported: Tensor) -> Tensor:
    """Squared difference of the center of mass' second difference from the source's, ``[C]`` m^2.

    What the feet have to push is what a tracker has to follow: locking a sliding foot must not jerk the trunk.

    Args:
        com: ``[C, T, 3]`` m.
        source_push: second difference of the source's center of mass, ``[C, T - 2, 3]`` m.
        supported: 1 at t where frames t, t + 1, t + 2 are inside the clip and not in free fall, ``[C, T - 2]``.
    """
    deviation = com[:, 2:] - 2.0 * com[:, 1:-1] + com[:, :-2] - source_push
    return (deviation.square().sum(-1) * supported).sum(-1)


def ballistic(com: Tensor, dt: Tensor, airborne: Tensor) -> Tensor:
    """Squared difference of the center of mass' second difference from free fall, ``[C]`` m^2.

    Args:
        com: ``[C, T, 3]`` m.
        airborne: 1 at t where frames t, t + 1, t + 2 have no contact, ``[C, T - 2]``.
    """
    fall = com.new_tensor([0.0, 0.0, -9.81]) * dt[:, None, None].square()
    deviation = com[:, 2:] - 2.0 * com[:, 1:-1] + com[:, :-2] - fall
    return (deviation.square().sum(-1) * airborne).sum(-1)
