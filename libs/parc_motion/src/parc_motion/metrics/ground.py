"""How a motion fits its ground: penetration (TPL), missed contacts (TCL) and sliding feet.

Source: PARC paper and `parc_motion.published`: both losses are sums over frames and over the surface points of
`parc_motion.kinematics.surface`, so they compare only between clips measured with those points.
"""

from __future__ import annotations

import torch
from torch import Tensor

from parc_motion.geometry import PackedTerrains, clearance, penetration_depth

__all__ = ["contact_slides", "terrain_contact", "terrain_penetration"]


def terrain_penetration(packed: PackedTerrains, terrain_ids: Tensor, points: Tensor) -> Tensor:
    """Sum over frames and surface points of the depth inside the ground: ``[N]`` m.

    Args:
        terrain_ids: ``[N]`` int64.
        points: surface points in the world, ``[N, T, P, 3]`` m; gradients flow to them.
    """
    return penetration_depth(packed, terrain_ids, points).flatten(1).sum(dim=-1)


def terrain_contact(
    packed: PackedTerrains, terrain_ids: Tensor, points: Tensor, body: Tensor, contacts: Tensor
) -> Tensor:
    """Sum over frames and bodies of the contact label times the body's distance to the ground: ``[N]`` m.

    A body's distance is that of its closest surface point, 0 where one lies inside the ground.

    Args:
        terrain_ids: ``[N]`` int64.
        points: surface points in the world, ``[N, T, P, 3]`` m; gradients flow to them.
        body: body of each point, ``[P]`` int64.
        contacts: labels, ``[N, T, B]`` 0..1.
    """
    count, frames, bodies = contacts.shape
    wanted = (contacts[..., body] > 0).nonzero()  # [K, 3] clip, frame, point: others have no weight
    clip, frame, point = wanted.unbind(dim=-1)
    place = (clip * frames + frame) * bodies + body[point]
    near, ids = points[clip, frame, point], terrain_ids[clip]
    # the closest point is no further than any point of the body is above its own column; a margin keeps the points
    # that are cut there from sharing its gradient
    closest = points.new_zeros(count * frames * bodies)
    above = (near[:, 2] - packed.height_at(ids, near[:, :2])).detach().clamp_min(0)
    bound = closest.scatter_reduce(0, place, above, reduce="amin", include_self=False)[place]
    distance = clearance(packed, ids, near, max_distance=bound + 1e-4)
    closest = closest.scatter_reduce(0, place, distance, reduce="amin", include_self=False)
    return (contacts * closest.reshape(contacts.shape)).flatten(1).sum(dim=-1)


def contact_slides(points: Tensor, contact: Tensor, band: float = 0.02, threshold: float = 0.5) -> Tensor:
    """How far one body slides in each of its contacts: ``[C]`` m for C contacts.

    Between two frames of a contact the slide is the smallest horizontal movement among the points near the body's
    lowest one, so a foot that rolls over its heel or toes does not slide. A contact is a run of labeled frames; its
    slides add up.

    Args:
        points: surface points of the body in the world, ``[T, P, 3]`` m.
        contact: its label, ``[T]`` 0..1.
        band: points up to this far above the lowest count as touching, m.
        threshold: labels above it mean contact.
    """
    held = contact > threshold
    if not held.any():
        return points.new_zeros(0)
    low = points[:, :, 2] <= points[:, :, 2].amin(dim=1, keepdim=True) + band
    moved = (points[1:, :, :2] - points[:-1, :, :2]).norm(dim=-1)
    touching = low[1:] & low[:-1]
    least = torch.where(touching, moved, torch.inf).amin(dim=1)
    # no point touches in both frames: the foot was lifted in between, every point counts
    least = torch.where(touching.any(dim=1), least, moved.amin(dim=1))
    starts = held.clone()
    starts[1:] &= ~held[:-1]
    run = starts.long().cumsum(dim=0) - 1  # contact number of each held frame
    both = held[1:] & held[:-1]
    total = points.new_zeros(int(run[-1]) + 1)
    return total.index_add(0, run[1:][both], least[both])
