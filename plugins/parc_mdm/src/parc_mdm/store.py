"""All clips of a data set as flat tensors, so that a batch of windows is a few gathers."""

from __future__ import annotations

import pathlib
from collections.abc import Sequence
from functools import cached_property

import attrs
import numpy as np
import torch
from torch import Tensor

from parc_mdm.compiled.gather import Clips
from parc_mdm.compiled.ground import Ground
from parc_mdm.compiled.jit import array
from parc_mdm.store_items import FORMAT, grid_size, store_fields, store_items
from parc_motion.clips import MotionClip, PackedClips
from parc_motion.geometry import PackedTerrains
from parc_motion.skeletons import Skeleton
from parc_motion.storage import PackedWriter, digest_json

__all__ = ["MotionStore"]


@attrs.frozen(kw_only=True, eq=False)
class MotionStore:
    """Frames of all clips one after the other; clip m owns ``first[m] .. first[m] + num_frames[m] - 1``."""

    root_pos: Tensor  # [F, 3] m
    root_rot: Tensor  # [F, 4]
    joint_rot: Tensor  # [F, J, 4]
    dof: Tensor  # [F, D] rad
    body_pos: Tensor  # [F, B, 3] m
    body_rot: Tensor  # [F, B, 4]
    contacts: Tensor  # [F, B]
    touched: (
        Tensor  # [C] int32, flat cells of the padded terrain under the body, of one frame after the other
    )
    touched_end: Tensor  # [F] int64, number of rows of `touched` up to and with each frame
    first: Tensor  # [M] int64
    num_frames: Tensor  # [M] int64
    num_starts: Tensor  # [M] int64, windows of the clip
    weights: Tensor  # [M], sampling weights, sum 1
    terrains: PackedTerrains
    bounds: Tensor  # [M, X * Y, 2] m, lowest and highest height of each cell that keep the clip valid

    @staticmethod
    def of(
        clips: Sequence[MotionClip],
        weights: np.ndarray,
        skeleton: Skeleton,
        window: int,
        *,
        mirror: bool,
        device: str,
    ) -> MotionStore:
        """The clips (and their mirror images), resampled to 30 frames per second, in memory.

        Args:
            weights: sampling weight of each clip, ``[M]``.
            window: frames per window; every clip has as many.

        Raises:
            DataError: a clip has no terrain.
        """
        items = list(store_items(clips, skeleton, window, grid_size(clips), mirror=mirror))
        rows = {name: torch.from_numpy(np.concatenate([item[name] for item in items])) for name in items[0]}
        first = np.cumsum([0, *(len(item["root_pos"]) for item in items)])
        return _store({name: value.to(device) for name, value in rows.items()}, first, weights, device)

    @staticmethod
    def cached(
        clips: PackedClips, chosen: np.ndarray, skeleton: Skeleton, window: int, *, mirror: bool, device: str
    ) -> MotionStore:
        """What `of` makes of some of the clips, kept in their cache: later calls map the files of the first one.

        Args:
            chosen: indices of clips, ``[N]`` int64.

        Raises:
            DataError: a clip has no terrain.
            StorageError: the cache cannot be written.
        """
        size = grid_size(clips)

        def build(folder: pathlib.Path) -> None:
            some = clips if len(chosen) == len(clips) else [clips[m] for m in chosen.tolist()]
            with PackedWriter(folder, store_fields(skeleton, size)) as writer:
                for item in store_items(some, skeleton, window, size, mirror=mirror):
                    writer.append(item)
                writer.finish(None)

        key = {
            "format": FORMAT,
            "skeleton": digest_json([skeleton.id, skeleton.mjcf]),
            "chosen": digest_json(chosen.tolist()),
            "window": window,
            "mirror": mirror,
        }
        store = clips.derived("motion_store", key, build)
        return _store(store.tensors(device), store.rows["frames"], clips.weights[chosen], device)

    @property
    def num_clips(self) -> int:
        """M, mirror images included."""
        return len(self.first)

    @cached_property
    def clip_arrays(self) -> Clips:
        """The frames as kernels take them; only on a CPU."""
        return Clips(*(array(getattr(self, name).contiguous()) for name in Clips._fields))

    @cached_property
    def ground_arrays(self) -> Ground:
        """The terrains as kernels take them; only on a CPU."""
        own = {name: array(getattr(self, name).contiguous()) for name in ("bounds", "touched", "touched_end")}
        names = ("height", "shape", "origin_xy", "cell")
        return Ground(**own, **{name: array(getattr(self.terrains, name).contiguous()) for name in names})


def _store(rows: dict[str, Tensor], first: np.ndarray, weights: np.ndarray, device: str) -> MotionStore:
    """The store of these rows.

    Args:
        first: first frame of each clip, and the number of frames, ``[M + 1]``.
        weights: of each clip without mirror images, ``[M]`` or ``[M / 2]``.
    """
    names = ("height", "shape", "origin_xy", "cell")
    terrains = PackedTerrains(**{name: rows.pop(name) for name in names})
    weights = np.tile(weights, (len(first) - 1) // len(weights))
    return MotionStore(
        **rows,
        first=torch.tensor(first[:-1], device=device),
        num_frames=torch.tensor(np.diff(first), device=device),
        weights=torch.tensor(weights / weights.sum(), device=device, dtype=torch.float32),
        terrains=terrains,
    )
