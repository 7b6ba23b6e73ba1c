"""Parts of the observation as pure functions of tensors, in the heading frame of the simulated root.

Source: `parc_motion.published`: own state, targets at coming steps, contacts, ground heights along rays. The small
observation with scalar coordinates and a grid is ours.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["ground_heights", "into_heading", "ray_offsets", "target_vectors"]


def into_heading(vectors: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """World vectors in a frame turned about z by an angle: ``[N, K, 3]`` for ``[N, K, 3]``, cos and sin ``[N]``."""
    x, y, z = vectors.unbind(-1)
    cos, sin = cos[:, None], sin[:, None]
    return torch.stack([cos * x + sin * y, cos * y - sin * x, z], dim=-1)


def target_vectors(
    root_pos: Tensor, ref_root_pos: Tensor, ref_axes: Tensor, ref_key_offset: Tensor
) -> Tensor:
    """Positions of the reference's root and key bodies relative to the simulated root, world axes.

    Args:
        root_pos: simulated root, ``[N, 3]`` m.
        ref_root_pos: S coming roots, ``[N, S, 3]`` m.
        ref_axes: their rotations as two axes, ``[N, S, 6]``.
        ref_key_offset: reference key bodies minus reference root, ``[N, S, K, 3]`` m.

    Returns:
        ``[N, S, 1 + 2 + K, 3]``: root, axes, key bodies relative to the simulated root.
    """
    away = (ref_root_pos - root_pos[:, None])[:, :, None]
    return torch.cat([away, ref_axes.unflatten(-1, (2, 3)), ref_key_offset + away], dim=2)


def ray_offsets(
    num_rays: int, start: float, end: float, spacing: float, device: str | torch.device
) -> Tensor:
    """Points on rays at -45 to 45 degrees, ray by ray: ``[rays, points, 2]`` m (x ahead, y left)."""
    reach = torch.arange(round((end - start) / spacing) + 1, device=device) * spacing + start
    angle = (
        torch.linspace(-0.25 * torch.pi, 0.25 * torch.pi, num_rays, device=device) if num_rays > 1 else None
    )
    angle = torch.zeros(1, device=device) if angle is None else angle
    direction = torch.stack([torch.cos(angle), torch.sin(angle)], dim=-1)
    return direction[:, None] * reach[None, :, None]


def ground_heights(height: Tensor, root_height: Tensor, limit: float) -> Tensor:
    """World heights ``[N, ...]`` m relative to the root ``[N]`` m, clipped to the limit: ``[N, P]``."""
    return (height.flatten(1) - root_height[:, None]).clamp_(-limit, limit)
