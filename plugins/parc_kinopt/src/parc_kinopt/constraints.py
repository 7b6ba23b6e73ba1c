"""Where feet and hands are held while they are in contact: body constraints and foot locks."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import numpy as np
import torch
from torch import Tensor

from parc_kinopt.batch import ClipBatch
from parc_kinopt.limbs import Limb
from parc_motion.geometry import project_to_surface

__all__ = ["BodyConstraint", "FootLocks", "automatic_constraints", "contact_runs", "foot_locks", "spread"]

_CORNER_REACH = 0.04  # m above the lowest corner at which a corner of the sole counts as lifted
_LOCK_REACH = 0.3  # m, a sole farther from any ground is not pulled there


@attrs.frozen(kw_only=True, eq=False)
class BodyConstraint:
    """A body's contact points stay near one point on the ground during frames first..last."""

    body: int
    first: int
    last: int
    point: np.ndarray  # [3] m


@attrs.frozen(kw_only=True, eq=False)
class FootLocks:
    """How firmly the corners of each sole are held, F feet with four corners each."""

    weight: Tensor  # [C, T, F, 4] 0..1, 0 for a lifted corner
    pair: Tensor  # [C, T - 1, F, 4] the same for the movement from frame t to t + 1, 0 across contact runs
    height: Tensor  # [C, T, F] m, ground that the sole stands on


def contact_runs(contacts: np.ndarray, threshold: float) -> list[tuple[int, int]]:
    """First and last frame of each run of labels ``[T]`` above the threshold."""
    edges = np.diff(np.concatenate([[0], (contacts > threshold).astype(np.int8), [0]]))
    return list(zip(np.flatnonzero(edges > 0).tolist(), (np.flatnonzero(edges < 0) - 1).tolist()))


def automatic_constraints(
    batch: ClipBatch, body_pos: Tensor, matrix: Tensor, limbs: Sequence[Limb], threshold: float
) -> list[list[BodyConstraint]]:
    """One constraint per contact run of a foot or hand: its mean place, moved to the nearest surface of the ground.

    The published implementation pulls the mean place along the distance to single cells and can end on a wall
    between two solid cells, inside the ground; the true surface is used here.

    Args:
        body_pos: ``[C, T, B, 3]`` m.
        matrix: ``[C, T, B, 3, 3]``.
        threshold: a frame whose label is above it is in contact.
    """
    rows: list[tuple[int, int, int, int]] = []
    points: list[Tensor] = []
    for limb in limbs:
        center = body_pos[:, :, limb.body] + matrix[:, :, limb.body] @ body_pos.new_tensor(limb.center)
        labels = batch.contacts[:, :, limb.body].cpu().numpy()
        for clip in range(batch.num_clips):
            for first, last in contact_runs(labels[clip], threshold):
                rows.append((clip, limb.body, first, last))
                points.append(center[clip, first : last + 1].mean(dim=0))
    result: list[list[BodyConstraint]] = [[] for _ in range(batch.num_clips)]
    if not rows:
        return result
    ids = batch.terrain_ids[torch.tensor([row[0] for row in rows], device=batch.terrain_ids.device)]
    placed = project_to_surface(batch.terrains, ids, torch.stack(points)).cpu().numpy()
    for (clip, body, first, last), point in zip(rows, placed):
        result[clip].append(BodyConstraint(body=body, first=first, last=last, point=point))
    return result


def spread(constraints: Sequence[Sequence[BodyConstraint]], like: Tensor) -> tuple[Tensor, Tensor]:
    """Constraints per clip as dense tensors: held ``[C, T, B]`` (0 or 1) and point ``[C, T, B, 3]`` m.

    Args:
        like: contacts, ``[C, T, B]``.
    """
    held, point = torch.zeros_like(like), like.new_zeros((*like.shape, 3))
    for clip, entries in enumerate(constraints):
        for entry in entries:
            held[clip, entry.first : entry.last + 1, entry.body] = 1.0
            point[clip, entry.first : entry.last + 1, entry.body] = like.new_tensor(entry.point)
    return held, point


def foot_locks(batch: ClipBatch, world: Tensor, feet: Sequence[Limb], threshold: float) -> FootLocks:
    """Which corners of the soles stand on what, judged on the source motion.

    During one contact run a corner that is no more than a little above the lowest corner holds its place (so a heel
    may lift while the toes stand), and the sole lies at the height of the ground that it is nearest to.

    Args:
        world: surface points, ``[C, T, 3, P]`` m.
    """
    corners = torch.stack([world[..., list(foot.corners)] for foot in feet], dim=2)  # [C, T, F, 3, 4]
    z = corners[..., 2, :]
    lift = z - z.amin(dim=-1, keepdim=True)
    nearness = _moving_average((1.0 - lift / _CORNER_REACH).clamp(0.0, 1.0), reach=2)
    clips, frames = z.shape[:2]
    ids = batch.terrain_ids.repeat_interleave(frames)
    ground = batch.terrains.height_at(ids, corners[..., :2, :].movedim(3, -1).flatten(0, 1)).unflatten(
        0, (clips, frames)
    )
    weight, height = torch.zeros_like(nearness), torch.zeros_like(z[..., 0])
    pair = torch.zeros_like(nearness[:, :-1])
    labels = batch.contacts.cpu().numpy()
    for f, foot in enumerate(feet):
        for clip in range(clips):
            for first, last in contact_runs(labels[clip, :, foot.body], threshold):
                run = slice(first, last + 1)
                level = _level(ground[clip, run, f], z[clip, run, f], nearness[clip, run, f])
                if level is None:
                    continue
                weight[clip, run, f] = nearness[clip, run, f]
                height[clip, run, f] = level
                both = torch.minimum(nearness[clip, first:last, f], nearness[clip, first + 1 : last + 1, f])
                pair[clip, first:last, f] = both
    return FootLocks(weight=weight, pair=pair, height=height)


def _level(ground: Tensor, z: Tensor, nearness: Tensor) -> float | None:
    """Ground height that a sole stands on during a run, or None: of the heights under its corners the nearest one."""
    levels, which = torch.unique(ground, return_inverse=True)
    share = torch.zeros_like(levels).index_add(
        0, which.flatten(), nearness.flatten()
    ) / nearness.sum().clamp_min(1e-6)
    gap = (z.amin(dim=-1)[:, None] - levels).abs().mean(dim=0)
    # ground that few of the gripping corners lie over needs to be clearly nearer
    best = int((gap + 0.1 * (share < 0.25)).argmin())
    return float(levels[best]) if gap[best] < _LOCK_REACH else None


def _moving_average(values: Tensor, reach: int) -> Tensor:
    """Mean over frames t - reach .. t + reach, ``[C, T, ...]``; the ends repeat."""
    index = torch.arange(values.shape[1], device=values.device)
    taken = [values[:, (index + k).clamp(0, len(index) - 1)] for k in range(-reach, reach + 1)]
    return torch.stack(taken).mean(dim=0)
