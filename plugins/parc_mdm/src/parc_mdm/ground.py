"""The ground around training windows: a patch of heights under each, changed where the window does not touch it."""

from __future__ import annotations

import functools
from collections.abc import Callable

import attrs
import numpy as np
import torch
from torch import Tensor

from parc_mdm.augment import Changes, augment_patch
from parc_mdm.compiled import ground as ground_kernel
from parc_mdm.compiled.jit import array, parallel_for
from parc_mdm.config import MdmConfig
from parc_mdm.draws import Source, rand
from parc_mdm.features import Anchor
from parc_mdm.store import MotionStore
from parc_motion.geometry import grid_offsets, height_patch

__all__ = [
    "PATCH_ORIGIN",
    "PATCH_SPACING",
    "compiled_ground",
    "draw_ground",
    "patch_offsets",
    "plain_ground",
]

PATCH_SPACING = 0.2  # m
PATCH_ORIGIN = (
    10,
    15,
)  # points of the patch behind the character and to its right; 20 lie ahead, 15 to its left
_FREE = 6.0  # m, ground that a window does not touch may lie so far above or below its root


@functools.cache
def patch_offsets(device: str | torch.device) -> Tensor:
    """Points of the height patch in the heading frame: 2 m behind to 4 m ahead, 3 m to each side, ``[31, 31, 2]`` m."""
    behind, right = PATCH_ORIGIN
    return grid_offsets(behind, 20, right, 15, PATCH_SPACING, device)


def draw_ground(
    store: MotionStore,
    clip_ids: Tensor,
    frames: Tensor,
    anchor: Anchor,
    config: MdmConfig,
    generator: Source,
) -> Tensor:
    """Heights over the anchors of windows, changed as `config.augment` says, ``[N, 31, 31]`` m.

    Args:
        frames: frames of the windows, ``[N, S]``.
    """
    xy, root_z = anchor.origin[:, :2], anchor.origin[:, 2, None, None]
    offsets = patch_offsets(xy.device)
    if config.augment == "none":
        return height_patch(store.terrains, clip_ids, xy, anchor.heading, offsets) - root_z
    slope = config.augment_shear * (2.0 * rand(len(xy), 1, source=generator, device=xy.device) - 1.0)
    if config.augment == "maxpool_and_boxes" and xy.device.type == "cpu":
        changes = Changes.draw(len(xy), config, offsets, generator)
        return compiled_ground(store, clip_ids, frames, anchor, slope[:, 0], changes)
    return plain_ground(
        store,
        clip_ids,
        frames,
        anchor,
        slope,
        lambda patch, low, high: augment_patch(patch, low, high, config, generator),
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
    kept = _touched(store, frames)
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
    """What `draw_ground` does for `maxpool_and_boxes`, by a compiled kernel."""
    offsets = patch_offsets("cpu")
    views = ground_kernel.Views(
        clip=array(clip_ids),
        frame=array(frames[:, 0].contiguous()),
        num_frames=frames.shape[1],
        origin=array(anchor.origin.contiguous()),
        heading=array(anchor.heading.contiguous()),
        slope=array(slope.contiguous()),
        ahead=array(offsets[:, 0, 0].contiguous()),
        left=array(offsets[0, :, 1].contiguous()),
        free=np.float32(_FREE),  # type: ignore[arg-type]  # kernels compute in float32
    )
    drawn = ground_kernel.Changes(*(array(getattr(changes, f.name)) for f in attrs.fields(Changes)))
    out = torch.empty(len(clip_ids), *offsets.shape[:2])
    parallel_for(ground_kernel.look, len(out), store.ground_arrays, views, drawn, array(out))
    return out


def _touched(store: MotionStore, frames: Tensor) -> Tensor:
    """Which cells the body is over in any frame of windows with consecutive frames ``[N, S]``: ``[N, X * Y]`` bool."""
    first, last = frames[:, 0], frames[:, -1]
    begin = torch.where(first > 0, store.touched_end[(first - 1).clamp_min(0)], 0)
    count = store.touched_end[last] - begin
    rows = torch.arange(len(frames), device=frames.device).repeat_interleave(count)
    within = torch.arange(len(rows), device=frames.device) - (count.cumsum(0) - count)[rows]
    kept = torch.zeros(len(frames), store.bounds.shape[1], dtype=torch.bool, device=frames.device)
    kept[rows, store.touched[begin[rows] + within].long()] = True
    return kept


def _sheared(offsets: Tensor, slope: Tensor) -> Tensor:
    """Where each point of a patch looks at the ground, in the anchor's frame: ``[N, P, 3]`` m for slopes ``[N, 1]``.

    Points to the side look a little further ahead or behind, so that an edge which lies straight across the way seems
    to lie at an angle. Close to the line of the motion, where the feet stand, next to nothing changes.
    """
    x, y = offsets.reshape(-1, 2).T
    sideways = y.expand(len(slope), -1)
    return torch.stack([x + slope * y, sideways, torch.zeros_like(sideways)], dim=-1)
