"""All clips of a data set as flat tensors, so that a batch of windows is a few gathers."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import cached_property

import attrs
import numpy as np
import torch
from torch import Tensor

from parc_mdm.compiled.gather import Clips
from parc_mdm.compiled.ground import Ground
from parc_mdm.compiled.jit import array
from parc_mdm.features import FPS
from parc_motion.clips import MotionClip, mirror_clip
from parc_motion.errors import DataError
from parc_motion.geometry import PackedTerrains, height_bounds, touched_cells
from parc_motion.kinematics import Kinematics, surface_points
from parc_motion.resample import resample_clip
from parc_motion.skeletons import Skeleton

__all__ = ["MotionStore"]

log = logging.getLogger(__name__)

_UNROLL_S = 2.0  # s, how far a looping clip is continued, so that windows may cross its end


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
    touched: Tensor  # [F, K] int64, flat cells of the padded terrain under the body, the first one repeated
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
        """The clips (and their mirror images), resampled to 30 frames per second.

        Args:
            weights: sampling weight of each clip, ``[M]``.
            window: frames per window; shorter clips are left out with a warning.

        Raises:
            DataError: a clip has no terrain, or no clip is long enough.
        """
        kept, kept_weights = _usable(clips, weights, skeleton, window)
        if mirror:
            kept += [mirror_clip(clip, skeleton) for clip in kept]
            kept_weights = np.concatenate([kept_weights, kept_weights])
        kin = Kinematics(skeleton, device)
        points = surface_points(skeleton, device)
        terrains = PackedTerrains.of([clip.terrain for clip in kept if clip.terrain is not None], device)
        parts = [_frames_of(clip, kin, device) for clip in kept]
        lengths = torch.tensor([len(part["root_pos"]) for part in parts], device=device)
        starts = [
            len(p["root_pos"]) if c.loop == "clamp" else c.num_frames + window - 1
            for p, c in zip(parts, kept)
        ]
        flat = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
        clip_ids = torch.arange(len(kept), device=device).repeat_interleave(lengths)
        touched, lowest = touched_cells(terrains, clip_ids, flat["body_pos"], flat["body_rot"], points)
        return MotionStore(
            **flat,
            touched=touched,
            first=lengths.cumsum(0) - lengths,
            num_frames=lengths,
            num_starts=torch.tensor(starts, device=device) - (window - 1),
            weights=torch.tensor(kept_weights / kept_weights.sum(), device=device, dtype=torch.float32),
            terrains=terrains,
            bounds=_bounds(kept, terrains, flat["root_pos"], lengths.tolist(), lowest),
        )

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
        own = {name: array(getattr(self, name).contiguous()) for name in ("bounds", "touched")}
        names = ("height", "shape", "origin_xy", "cell")
        return Ground(**own, **{name: array(getattr(self.terrains, name).contiguous()) for name in names})


def _usable(
    clips: Sequence[MotionClip], weights: np.ndarray, skeleton: Skeleton, window: int
) -> tuple[list[MotionClip], np.ndarray]:
    kept: list[MotionClip] = []
    kept_weights: list[float] = []
    short: list[str] = []
    for clip, weight in zip(clips, weights):
        clip.require_skeleton(skeleton.id, skeleton.num_joints)
        if clip.terrain is None:
            raise DataError(
                f"clip '{clip.name}' has no terrain; the generator learns from the ground too. Attach one."
            )
        clip = resample_clip(clip, FPS)
        if clip.num_frames < window:
            short.append(clip.name)
            continue
        kept.append(clip)
        kept_weights.append(float(weight))
    if not kept:
        raise DataError(
            f"the data set has no clip of at least {window} frames ({window / FPS:.2f} s) among {len(short)}; "
            "give longer clips."
        )
    if short:
        log.warning(
            "%d clips are shorter than a window of %d frames and are left out: %s",
            len(short),
            window,
            short[:5],
        )
    return kept, np.array(kept_weights)


def _frames_of(clip: MotionClip, kin: Kinematics, device: str) -> dict[str, Tensor]:
    names = ("root_pos", "root_rot", "joint_rot", "contacts")
    frames = {name: torch.tensor(getattr(clip, name), device=device) for name in names}
    if clip.loop == "wrap":
        frames = _unroll(frames)
    frames["body_pos"], frames["body_rot"] = kin.forward(
        frames["root_pos"], frames["root_rot"], frames["joint_rot"]
    )
    frames["dof"] = kin.joint_rot_to_dof(frames["joint_rot"])
    return frames


def _unroll(frames: dict[str, Tensor]) -> dict[str, Tensor]:
    """A looping clip continued for `_UNROLL_S`; its last frame is its first, moved on in the plane."""
    count = len(frames["root_pos"])
    index = torch.arange(count + round(_UNROLL_S * FPS), device=frames["root_pos"].device)
    cycle, index = index // max(count - 1, 1), index % max(count - 1, 1)
    step = (frames["root_pos"][-1] - frames["root_pos"][0]) * torch.tensor(
        [1.0, 1.0, 0.0], device=index.device
    )
    unrolled = {name: value[index] for name, value in frames.items()}
    unrolled["root_pos"] = unrolled["root_pos"] + cycle[:, None] * step
    return unrolled


def _bounds(
    clips: list[MotionClip], terrains: PackedTerrains, root_pos: Tensor, lengths: list[int], lowest: Tensor
) -> Tensor:
    """Allowed heights per cell ``[M, X * Y, 2]`` m: the terrain's where it has them, else by what the body touches."""
    top = torch.stack([part[:, 2].max() for part in root_pos.split(lengths)])
    result = height_bounds(terrains, lowest, top)
    for m, clip in enumerate(clips):
        if clip.terrain is not None and clip.terrain.bounds is not None:
            nx, ny = clip.terrain.shape
            own = torch.tensor(clip.terrain.bounds, device=result.device)
            result[m].unflatten(0, terrains.height.shape[1:])[:nx, :ny] = own
    return result
