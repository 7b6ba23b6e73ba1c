"""How smooth a motion is, how far it follows its path, and whether its joints stay within their limits."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["HIGH_JERK", "final_waypoint_distance", "high_jerk_share", "joint_limit_excess", "max_jerk"]

HIGH_JERK = 11666.0  # m/s^3; Source: PARC paper, the largest jerk of its initial motions


def max_jerk(body_pos: Tensor, fps: float) -> Tensor:
    """Largest jerk among the bodies, per third difference: ``[..., T - 3]`` m/s^3 for ``[..., T, B, 3]`` m."""
    return (body_pos.diff(n=3, dim=-3) * fps**3).norm(dim=-1).amax(dim=-1)


def high_jerk_share(body_pos: Tensor, fps: float, limit: float = HIGH_JERK) -> Tensor:
    """Share of frames in which a body's jerk exceeds the limit: ``[...]`` 0..1 for ``[..., T, B, 3]`` m.

    Counted are the T - 3 frames that have a third difference; the share is 0 where there is none.
    """
    if body_pos.shape[-3] < 4:
        return body_pos.new_zeros(body_pos.shape[:-3])
    return (max_jerk(body_pos, fps) > limit).to(body_pos.dtype).mean(dim=-1)


def final_waypoint_distance(root_pos: Tensor, path_points: Tensor) -> Tensor:
    """Horizontal distance of the root in the last frame to the last point of the path, m.

    Args:
        root_pos: ``[..., T, 3]`` m.
        path_points: ``[n, 3]`` m.
    """
    return (root_pos[..., -1, :2] - path_points[-1, :2]).norm(dim=-1)


def joint_limit_excess(dof_pos: Tensor, lower: Tensor, upper: Tensor) -> Tensor:
    """How far each coordinate is outside its limits, 0 inside: ``[..., D]`` rad for ``[..., D]`` and limits ``[D]``."""
    return torch.maximum(lower - dof_pos, dof_pos - upper).clamp_min(0)
