"""Training windows: 15 frames of a clip, the ground around them and where they go, drawn a batch at a time."""

from __future__ import annotations

from collections.abc import Callable

import attrs
import numpy as np
import torch
from torch import Generator, Tensor

from parc_core.geometry.heights import grid_offsets, height_patch
from parc_core.kinematics import rotations as rot
from parc_mdm.augment import Changes, augment_patch
from parc_mdm.compiled import ground as ground_kernel
from parc_mdm.compiled.jit import array, spread
from parc_mdm.config import MdmConfig
from parc_mdm.features import FPS, REFERENCE, Anchor, FeatureLayout
from parc_mdm.store import MotionStore

__all__ = [
    "PATCH_ORIGIN",
    "PATCH_SPACING",
    "Windows",
    "anchor_of",
    "compiled_ground",
    "draw_windows",
    "gather_windows",
    "patch_offsets",
    "plain_ground",
    "start_height",
    "target_direction",
    "window_stats",
]

PATCH_SPACING = 0.2  # m
PATCH_ORIGIN = (
    10,
    15,
)  # points of the patch behind the character and to its right; 20 lie ahead, 15 to its left
_FREE = 6.0  # m, ground that a window does not touch may lie so far above or below its root
_STANDING = 0.1  # m, a target nearer than this is no direction
_FACING = 0.5  # rad, and a turn smaller than this is standing
_STATS_CHUNK = 4096


@attrs.frozen(kw_only=True, eq=False)
class Windows:
    """A batch of windows in the frame of their own anchors; the truth that losses compare with."""

    features: Tensor  # [N, S, D], not standardised
    root_rot: Tensor  # [N, S, 4]
    joint_rot: Tensor  # [N, S, J, 4]
    body_pos: Tensor  # [N, S, B, 3] m
    body_rot: Tensor  # [N, S, B, 4]
    patch: Tensor  # [N, 31, 31] m, heights over the reference root
    target: Tensor  # [N, 2]


def patch_offsets(device: str | torch.device) -> Tensor:
    """Points of the height patch in the heading frame: 2 m behind to 4 m ahead, 3 m to each side, ``[31, 31, 2]`` m."""
    behind, right = PATCH_ORIGIN
    return grid_offsets(behind, 20, right, 15, PATCH_SPACING, device)


def draw_windows(
    store: MotionStore, layout: FeatureLayout, config: MdmConfig, window: int, generator: Generator
) -> Windows:
    """`config.batch_size` windows: clips by weight, starts uniform over the clip, ground augmented."""
    clip_ids = torch.multinomial(store.weights, config.batch_size, replacement=True, generator=generator)
    share = torch.rand(config.batch_size, generator=generator, device=clip_ids.device)
    count = store.num_starts[clip_ids]
    start = torch.minimum((share * count).long(), count - 1)
    frames = (store.first[clip_ids] + start)[:, None] + torch.arange(window, device=clip_ids.device)
    anchor = anchor_of(store, layout, frames)
    patch = _patch(store, clip_ids, frames, anchor, config, generator)
    target = _target(store, clip_ids, start, anchor, config, generator)
    return gather_windows(store, layout, frames, anchor, patch, target)


def anchor_of(store: MotionStore, layout: FeatureLayout, frames: Tensor) -> Anchor:
    """The anchors of windows with given frames ``[N, S]``."""
    reference = frames[:, REFERENCE].contiguous()
    anchor = Anchor.of(store.root_pos[reference], store.root_rot[reference])
    if not layout.from_floor:
        return anchor
    clip_ids = torch.searchsorted(store.first, reference, right=True) - 1
    return anchor.on_floor(store.terrains.height_at(clip_ids, anchor.origin[:, :2]))


def gather_windows(
    store: MotionStore, layout: FeatureLayout, frames: Tensor, anchor: Anchor, patch: Tensor, target: Tensor
) -> Windows:
    """The windows of given frames ``[N, S]`` with their conditions."""
    flat, shape = frames.flatten(), (*frames.shape, store.body_pos.shape[1])
    turn_pos, turn_rot = _turns_to_local(anchor.heading)
    from_origin = store.body_pos.index_select(0, flat).view(len(frames), -1, 3) - anchor.origin[:, None]
    body_pos = (from_origin @ turn_pos).view(*shape, 3)
    body_rot = (store.body_rot.index_select(0, flat).view(len(frames), -1, 4) @ turn_rot).view(*shape, 4)
    root_rot = body_rot[..., 0, :]
    joint_rot = store.joint_rot[frames]
    joints = layout.joint_numbers(store.dof[frames], joint_rot)
    features = layout.pack(
        body_pos[..., 0, :], layout.root_numbers(root_rot), body_pos, joints, store.contacts[frames]
    )
    return Windows(
        features=features,
        root_rot=root_rot,
        joint_rot=joint_rot,
        body_pos=body_pos,
        body_rot=body_rot,
        patch=patch,
        target=target,
    )


def _turns_to_local(heading: Tensor) -> tuple[Tensor, Tensor]:
    """Matrices that turn positions and quaternions (rows) about z by minus the heading: ``[N, 3, 3]``, ``[N, 4, 4]``.

    A matrix product is one pass; the same by quaternions is about ten, because it knows of no axis.
    """
    zero, one = torch.zeros_like(heading), torch.ones_like(heading)
    cos, sin = torch.cos(heading), torch.sin(heading)
    pos = torch.stack([cos, -sin, zero, sin, cos, zero, zero, zero, one], dim=-1).unflatten(-1, (3, 3))
    w, z = torch.cos(0.5 * heading), torch.sin(0.5 * heading)
    rows = [w, -z, zero, zero, z, w, zero, zero, zero, zero, w, z, zero, zero, -z, w]
    return pos, torch.stack(rows, dim=-1).unflatten(-1, (4, 4))


def target_direction(
    offset: Tensor, turn: Tensor, near: Tensor | float = _STANDING, noise: Tensor | None = None
) -> Tensor:
    """The condition that says where to go, ``[N, 2]``.

    Args:
        offset: way to the future root in the anchor's frame, ``[N, 2]`` m.
        turn: its heading in the anchor's frame, ``[N]`` rad.
        near: a shorter way than this is standing, m or ``[N]`` m.
        noise: added to the offset of whoever moves, ``[N, 2]`` m.

    Returns:
        The unit vector of the offset; where that is shorter than `near`, the direction of the future heading, or zero
        for a character that stands still.

    Source: published implementation, which compares the signed turn, so that every turn to the right counts as
    standing there; here its size is compared. There, noise comes before the question who stands, so that one standing
    window in seven gets a direction, and the network learns to stand although it should go; here noise comes after.
    """
    is_standing = (offset.norm(dim=-1) < near)[:, None]
    if noise is not None:
        offset = offset + noise
    facing = torch.stack([torch.cos(turn), torch.sin(turn)], dim=-1)
    facing = facing * (torch.atan2(torch.sin(turn), torch.cos(turn)).abs() >= _FACING)[:, None]
    return torch.where(is_standing, facing, offset / offset.norm(dim=-1, keepdim=True).clamp_min(1e-4))


def window_stats(
    store: MotionStore, layout: FeatureLayout, window: int, floor: float
) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each feature at each place in a window, over all windows: ``[S, D]`` each.

    Contacts keep mean 0 and deviation 1. Deviations below `floor` become `floor`: a joint that hardly moves in these
    clips may move in the next ones.
    """
    starts = [
        torch.arange(int(n), device=store.first.device) + f for f, n in zip(store.first, store.num_starts)
    ]
    total = torch.zeros(2, window, layout.width, dtype=torch.float64, device=store.first.device)
    all_starts = torch.cat(starts)
    shift: Tensor | None = None
    for chunk in all_starts.split(_STATS_CHUNK):
        frames = chunk[:, None] + torch.arange(window, device=chunk.device)
        anchor = anchor_of(store, layout, frames)
        features = gather_windows(store, layout, frames, anchor, frames, frames).features.double()
        shift = features.mean(dim=0) if shift is None else shift  # keeps the sum of squares well conditioned
        total += torch.stack([(features - shift).sum(dim=0), (features - shift).square().sum(dim=0)])
    assert shift is not None
    mean, square = total / len(all_starts)
    std = (square - mean.square()).clamp_min(0.0).sqrt().clamp_min(floor)
    mean = mean + shift
    mean[:, layout.contacts], std[:, layout.contacts] = 0.0, 1.0
    return mean.float(), std.float()


def start_height(store: MotionStore) -> Tensor:
    """Range of the root's height over the ground under it in its middle frames, quartile to quartile: ``[2]`` m."""
    clip_ids = torch.arange(store.num_clips, device=store.first.device).repeat_interleave(store.num_frames)
    over = store.root_pos[:, 2] - store.terrains.height_at(clip_ids, store.root_pos[:, :2])
    return torch.quantile(over, torch.tensor([0.25, 0.75], device=over.device))


def _patch(
    store: MotionStore,
    clip_ids: Tensor,
    frames: Tensor,
    anchor: Anchor,
    config: MdmConfig,
    generator: Generator,
) -> Tensor:
    xy, root_z = anchor.origin[:, :2], anchor.origin[:, 2, None, None]
    offsets = patch_offsets(xy.device)
    if config.augment == "none":
        return height_patch(store.terrains, clip_ids, xy, anchor.heading, offsets) - root_z
    slope = config.augment_shear * (2.0 * torch.rand(len(xy), 1, generator=generator, device=xy.device) - 1.0)
    if config.augment == "maxpool_and_boxes" and xy.device.type == "cpu":
        changes = Changes.draw(len(xy), config, offsets, generator)
        return compiled_ground(store, clip_ids, frames, anchor, slope[:, 0], changes)
    return plain_ground(
        store, clip_ids, frames, anchor, slope, lambda *known: augment_patch(*known, config, generator)
    )


def plain_ground(
    store: MotionStore,
    clip_ids: Tensor,
    frames: Tensor,
    anchor: Anchor,
    slope: Tensor,
    change: Callable[[Tensor, Tensor, Tensor], Tensor],
) -> Tensor:
    """What ``change(heights, low, high)`` makes of the ground around the windows, for slopes ``[N, 1]``."""
    root_z, offsets = anchor.origin[:, 2, None, None], patch_offsets(slope.device)
    world = anchor.to_world(_sheared(offsets, slope))
    cell = store.terrains.cell_of(clip_ids, world[..., :2])
    place = cell[..., 0] * store.terrains.height.shape[2] + cell[..., 1]  # [N, P] flat cells
    rows = torch.arange(len(slope), device=slope.device)[:, None]
    kept = torch.zeros(store.bounds.shape[1], dtype=torch.bool, device=slope.device).repeat(len(slope), 1)
    kept[rows, store.touched[frames].flatten(1)] = True
    heights = (
        store.terrains.height.flatten(1)[clip_ids[:, None], place].reshape(-1, *offsets.shape[:2]) - root_z
    )
    bounds = store.bounds[clip_ids[:, None], place].unflatten(1, offsets.shape[:2]) - root_z[..., None]
    touched = kept.gather(1, place).reshape(heights.shape)
    low = torch.where(touched, bounds[..., 0], -_FREE)
    high = torch.where(touched, bounds[..., 1], _FREE)
    return change(heights, low, high)


def compiled_ground(
    store: MotionStore, clip_ids: Tensor, frames: Tensor, anchor: Anchor, slope: Tensor, changes: Changes
) -> Tensor:
    """What `_patch` does for `maxpool_and_boxes`, by a compiled kernel."""
    terrains, offsets = store.terrains, patch_offsets("cpu")
    ground = (terrains.height, terrains.shape, terrains.origin_xy, terrains.cell, store.bounds, store.touched)
    turn = torch.stack([torch.cos(anchor.heading), torch.sin(anchor.heading)], dim=-1)
    views = ground_kernel.Views(
        clip=array(clip_ids),
        frame=array(frames[:, 0].contiguous()),
        num_frames=frames.shape[1],
        origin=array(anchor.origin.contiguous()),
        turn=array(turn),
        slope=array(slope.contiguous()),
        offsets=array(offsets),
        free=np.float32(_FREE),
    )
    drawn = ground_kernel.Changes(*(array(getattr(changes, f.name)) for f in attrs.fields(Changes)))
    out = torch.empty(len(clip_ids), *offsets.shape[:2])
    spread(ground_kernel.look, len(out), 1, ground_kernel.Ground(*map(array, ground)), views, drawn, array(out))
    return out


def _sheared(offsets: Tensor, slope: Tensor) -> Tensor:
    """Where each point of a patch looks at the ground, in the anchor's frame: ``[N, P, 3]`` m for slopes ``[N, 1]``.

    Points to the side look a little further ahead or behind, so that an edge which lies straight across the way seems
    to lie at an angle. Close to the line of the motion, where the feet stand, next to nothing changes.
    """
    x, y = offsets.reshape(-1, 2).T
    sideways = y.expand(len(slope), -1)
    return torch.stack([x + slope * y, sideways, torch.zeros_like(sideways)], dim=-1)


def _target(
    store: MotionStore,
    clip_ids: Tensor,
    start: Tensor,
    anchor: Anchor,
    config: MdmConfig,
    generator: Generator,
) -> Tensor:
    count, device = len(clip_ids), clip_ids.device
    last = store.num_frames[clip_ids] - 1
    earliest = start + round(config.target_min_time * FPS)
    remaining = ((last - earliest) / FPS).clamp(0.0, config.target_time_range)
    share = torch.rand(count, generator=generator, device=device)
    future = store.first[clip_ids] + torch.minimum(earliest + (share * remaining * FPS).round().long(), last)
    noise = config.target_noise * torch.randn(count, 2, generator=generator, device=device)
    offset = anchor.to_local(store.root_pos[future])[:, :2]
    elapsed = (future - store.first[clip_ids] - start - REFERENCE) / FPS
    near = (config.target_min_speed * elapsed).clamp_min(_STANDING)
    return target_direction(offset, rot.heading(store.root_rot[future]) - anchor.heading, near, noise)
