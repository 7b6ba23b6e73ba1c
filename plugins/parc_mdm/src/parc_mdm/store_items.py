"""What a motion store holds of each clip; see `parc_mdm.store.MotionStore`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from parc_core.interfaces import stop_point
from parc_mdm.features import FPS
from parc_motion.clips import MotionClip, PackedClips, mirror_clip
from parc_motion.errors import DataError
from parc_motion.geometry import PackedTerrains, height_bounds, touched_cells, touched_rows
from parc_motion.kinematics import Kinematics, surface_points
from parc_motion.resample import resample_clip
from parc_motion.skeletons import Skeleton
from parc_motion.storage import PackedField
from parc_motion.terrains import Terrain

__all__ = ["FORMAT", "grid_size", "store_fields", "store_items"]

FORMAT = 1  # of the items; changes with what they hold and how it is computed
_BATCH_FRAMES = 4_000  # frames whose bodies are computed at once
_UNROLL_S = 2.0  # s, how far a looping clip is continued, so that windows may cross its end
_FRAMES = ("root_pos", "root_rot", "joint_rot", "contacts")

Item = dict[str, np.ndarray]


def grid_size(clips: Sequence[MotionClip]) -> tuple[int, int]:
    """Cells along x and y that hold the terrain of each clip."""
    if isinstance(clips, PackedClips):
        shapes = [record["terrain"]["shape"] for record in clips.records if record["terrain"] is not None]
    else:
        shapes = [clip.terrain.shape for clip in clips if clip.terrain is not None]
    nx, ny = np.array(shapes or [(1, 1)]).max(axis=0).tolist()
    return nx, ny


def store_fields(skeleton: Skeleton, size: tuple[int, int]) -> dict[str, PackedField]:
    """The arrays of an item.

    Args:
        size: of the padded grid.
    """

    def field(group: str, *shape: int, dtype: str = "<f4") -> PackedField:
        return PackedField(dtype=dtype, shape=shape, group=group)

    return {
        "root_pos": field("frames", 3),
        "root_rot": field("frames", 4),
        "joint_rot": field("frames", skeleton.num_joints, 4),
        "dof": field("frames", skeleton.num_dofs),
        "body_pos": field("frames", skeleton.num_bodies, 3),
        "body_rot": field("frames", skeleton.num_bodies, 4),
        "contacts": field("frames", skeleton.num_bodies),
        "touched_end": field("frames", dtype="<i8"),
        "touched": field("touched", dtype="<i4"),
        "num_starts": field("clips", dtype="<i8"),
        "height": field("clips", *size),
        "shape": field("clips", 2, dtype="<i8"),
        "origin_xy": field("clips", 2),
        "cell": field("clips"),
        "bounds": field("clips", size[0] * size[1], 2),
    }


def store_items(
    clips: Sequence[MotionClip], skeleton: Skeleton, window: int, size: tuple[int, int], *, mirror: bool
) -> Iterator[Item]:
    """An item per clip, resampled to 30 frames per second, and then one per mirror image.

    Args:
        window: frames per window; every clip has as many.
        size: of the padded grid, see `grid_size`.

    Raises:
        DataError: a clip has no terrain.
    """
    kin, fields = Kinematics(skeleton, "cpu"), store_fields(skeleton, size)
    num_touched = 0
    for batch in _batches(clips, skeleton, mirror):
        for item in _batch_items(batch, kin, window, size):
            item["touched_end"] = num_touched + item["touched_end"]
            num_touched += len(item["touched"])
            yield {name: item[name].astype(field.dtype, copy=False) for name, field in fields.items()}


def _batches(clips: Sequence[MotionClip], skeleton: Skeleton, mirror: bool) -> Iterator[list[MotionClip]]:
    batch: list[MotionClip] = []
    for clip in _resampled(clips, skeleton, mirror):
        batch.append(clip)
        if sum(one.num_frames for one in batch) >= _BATCH_FRAMES:
            yield batch
            batch = []
    if batch:
        yield batch


def _resampled(clips: Sequence[MotionClip], skeleton: Skeleton, mirror: bool) -> Iterator[MotionClip]:
    for is_mirrored in (False, True) if mirror else (False,):
        for clip in clips:
            stop_point()
            clip.require_skeleton(skeleton.id, skeleton.num_joints)
            found = resample_clip(clip, FPS)
            yield mirror_clip(found, skeleton) if is_mirrored else found


def _batch_items(clips: list[MotionClip], kin: Kinematics, window: int, size: tuple[int, int]) -> list[Item]:
    """Items whose `touched_end` counts from the first cell of each clip."""
    parts = [_frames(clip) for clip in clips]
    lengths = [len(part["root_pos"]) for part in parts]
    flat = {name: torch.cat([part[name] for part in parts]) for name in _FRAMES}
    pose = (flat["root_pos"], flat["root_rot"], flat["joint_rot"])
    flat["body_pos"], flat["body_rot"] = kin.forward(*pose)
    flat["dof"] = kin.joint_rot_to_dof(flat["joint_rot"])
    grounds = [_ground(clip) for clip in clips]
    terrains = PackedTerrains.of(grounds, size=size)
    owner = torch.arange(len(clips)).repeat_interleave(torch.tensor(lengths))
    surface = surface_points(kin.skeleton, "cpu")
    cells, lowest = touched_cells(terrains, owner, flat["body_pos"], flat["body_rot"], surface)
    top = torch.stack([part[:, 2].max() for part in flat["root_pos"].split(lengths)])
    bounds = height_bounds(terrains, lowest, top)
    for m, ground in enumerate(grounds):
        if ground.bounds is not None:
            own = bounds[m].unflatten(0, size)
            own[: ground.shape[0], : ground.shape[1]] = torch.tensor(ground.bounds)
    split = {name: value.split(lengths) for name, value in {**flat, "cells": cells}.items()}
    items = []
    for m, clip in enumerate(clips):
        item = {name: split[name][m].numpy() for name in flat}
        starts = lengths[m] - (window - 1) if clip.loop == "clamp" else clip.num_frames
        ground_rows = {"num_starts": torch.tensor(starts), "bounds": bounds[m]}
        ground_rows |= {name: getattr(terrains, name)[m] for name in ("height", "shape", "origin_xy", "cell")}
        item |= {name: value[None].numpy() for name, value in ground_rows.items()}
        items.append({**item, **_ragged(split["cells"][m], size[1])})
    return items


def _ground(clip: MotionClip) -> Terrain:
    if clip.terrain is None:
        raise DataError(
            f"clip '{clip.name}' has no terrain; the generator learns from the ground too. Attach one."
        )
    return clip.terrain


def _ragged(cells: Tensor, columns: int) -> Item:
    """The cells of each frame without repetitions, and how many there are up to and with each frame."""
    frame, i, j = touched_rows(cells, columns).unbind(dim=1)
    return {
        "touched": (i * columns + j).numpy(),
        "touched_end": torch.bincount(frame, minlength=len(cells)).cumsum(0).numpy(),
    }


def _frames(clip: MotionClip) -> dict[str, Tensor]:
    frames = {name: torch.tensor(getattr(clip, name)) for name in _FRAMES}
    return _unroll(frames) if clip.loop == "wrap" else frames


def _unroll(frames: dict[str, Tensor]) -> dict[str, Tensor]:
    """A looping clip continued for `_UNROLL_S`; its last frame is its first, moved on in the plane."""
    count = len(frames["root_pos"])
    index = torch.arange(count + round(_UNROLL_S * FPS))
    cycle, index = index // max(count - 1, 1), index % max(count - 1, 1)
    step = (frames["root_pos"][-1] - frames["root_pos"][0]) * torch.tensor([1.0, 1.0, 0.0])
    unrolled = {name: value[index] for name, value in frames.items()}
    unrolled["root_pos"] = unrolled["root_pos"] + cycle[:, None] * step
    return unrolled
