"""Where training windows go: the direction of the root at a later time of its clip."""

from __future__ import annotations

import torch
from torch import Tensor

from parc_mdm.compiled import targets as target_kernel
from parc_mdm.compiled.jit import array, parallel_for
from parc_mdm.config import MdmConfig
from parc_mdm.draws import Source, rand, randn
from parc_mdm.features import FPS, REFERENCE, Anchor
from parc_mdm.store import MotionStore
from parc_motion.kinematics import rotations as rot

__all__ = ["compiled_targets", "draw_targets", "plain_targets", "target_direction"]

_STANDING = 0.1  # m, a target nearer than this gives no direction
_FACING = 0.5  # rad, and a turn smaller than this is standing


def target_direction(
    offset: Tensor, turn: Tensor, near: Tensor | float = _STANDING, noise: Tensor | None = None
) -> Tensor:
    """The condition that says where to go, ``[N, 2]``.

    Args:
        offset: way to the future root in the anchor's frame, ``[N, 2]`` m.
        turn: its heading in the anchor's frame, ``[N]`` rad.
        near: a shorter way than this is standing, m or ``[N]`` m.
        noise: added to the offset of moving characters, ``[N, 2]`` m.

    Returns:
        The unit vector of the offset; where that is shorter than `near`, the direction of the future heading, or zero
        for a character that stands still.

    Source: `parc_motion.published`, which compares the signed turn, so that every turn to the right counts as
    standing there; here its size is compared. There, noise comes before the question who stands, so that one standing
    window in seven gets a direction, and the network learns to stand although it should go; here noise comes after.
    """
    is_standing = (offset.norm(dim=-1) < near)[:, None]
    if noise is not None:
        offset = offset + noise
    facing = torch.stack([torch.cos(turn), torch.sin(turn)], dim=-1)
    facing = facing * (torch.atan2(torch.sin(turn), torch.cos(turn)).abs() >= _FACING)[:, None]
    return torch.where(is_standing, facing, offset / offset.norm(dim=-1, keepdim=True).clamp_min(1e-4))


def draw_targets(
    store: MotionStore,
    clip_ids: Tensor,
    start: Tensor,
    anchor: Anchor,
    config: MdmConfig,
    generator: Source,
) -> Tensor:
    """Directions from the anchors of windows to where their roots are later, ``[N, 2]``.

    Args:
        start: first frame of each window in its clip, ``[N]``.
    """
    count, device = len(clip_ids), clip_ids.device
    share = rand(count, source=generator, device=device)
    noise = config.target_noise * randn(count, 2, source=generator, device=device)
    make = compiled_targets if device.type == "cpu" else plain_targets
    return make(store, clip_ids, start, anchor, config, share, noise)


def plain_targets(
    store: MotionStore,
    clip_ids: Tensor,
    start: Tensor,
    anchor: Anchor,
    config: MdmConfig,
    share: Tensor,
    noise: Tensor,
) -> Tensor:
    """The targets for shares ``[N]`` of the time that is left to them, and noise ``[N, 2]`` m on their offsets."""
    last = store.num_frames[clip_ids] - 1
    earliest = start + round(config.target_min_time * FPS)
    remaining = ((last - earliest) / FPS).clamp(0.0, config.target_time_range)
    future = store.first[clip_ids] + torch.minimum(earliest + (share * remaining * FPS).round().long(), last)
    offset = anchor.to_local(store.root_pos[future])[:, :2]
    elapsed = (future - store.first[clip_ids] - start - REFERENCE) / FPS
    near = (config.target_min_speed * elapsed).clamp_min(_STANDING)
    return target_direction(offset, rot.heading(store.root_rot[future]) - anchor.heading, near, noise)


def compiled_targets(
    store: MotionStore,
    clip_ids: Tensor,
    start: Tensor,
    anchor: Anchor,
    config: MdmConfig,
    share: Tensor,
    noise: Tensor,
) -> Tensor:
    """What `plain_targets` does, by a compiled kernel."""
    rules = target_kernel.Rules(
        fps=FPS,
        earliest=round(config.target_min_time * FPS),
        reference=REFERENCE,
        longest=float(config.target_time_range),
        min_speed=float(config.target_min_speed),
        standing=_STANDING,
        facing=_FACING,
    )
    drawn = (clip_ids, start, share, noise, anchor.origin, anchor.heading)
    aims = target_kernel.Aims(*(array(t.contiguous()) for t in drawn))
    out = torch.empty(len(clip_ids), 2)
    parallel_for(target_kernel.aim, len(out), store.clip_arrays, rules, aims, array(out))
    return out
