"""Several clips of different lengths and terrains as one padded set of tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import attrs
import numpy as np
import torch
from torch import Tensor

from parc_motion.clips import MotionClip
from parc_motion.errors import DataError
from parc_motion.geometry import PackedTerrains
from parc_motion.kinematics import Kinematics
from parc_motion.kinematics import rotations as rot
from parc_motion.skeletons import Skeleton
from parc_motion.terrains import Terrain

__all__ = ["ClipBatch", "join", "pack", "require_terrain", "split", "to_clip"]


@attrs.frozen(kw_only=True, eq=False)
class ClipBatch:
    """C clips padded to the longest, T frames; the padding repeats each clip's last frame."""

    root_pos: Tensor  # [C, T, 3] m
    root_rot: Tensor  # [C, T, 4] xyzw
    joint_rot: Tensor  # [C, T, J, 4] xyzw
    contacts: Tensor  # [C, T, B] 0..1, zero in the padding
    lengths: Tensor  # [C] int64, frames of each clip
    dt: Tensor  # [C] s per frame
    terrain_ids: Tensor  # [C] int64
    terrains: PackedTerrains

    @property
    def num_clips(self) -> int:
        """C."""
        return self.root_pos.shape[0]

    @property
    def num_frames(self) -> int:
        """T."""
        return self.root_pos.shape[1]

    def mask(self, order: int = 0) -> Tensor:
        """1 where a difference of that order over frames t..t+order lies inside the clip: ``[C, T - order]``."""
        return frame_mask(self.lengths, self.num_frames, order).to(self.root_pos.dtype)


def frame_mask(lengths: Tensor, num_frames: int, order: int) -> Tensor:
    """Whether a difference of that order over frames t..t+order lies inside clips ``[C]``: ``[C, T - order]`` bool."""
    frame = torch.arange(num_frames - order, device=lengths.device)
    return frame[None] + order < lengths[:, None]


def require_terrain(clip: MotionClip) -> Terrain:
    """The clip's terrain.

    Raises:
        DataError: it has none.
    """
    if clip.terrain is None:
        raise DataError(
            f"clip '{clip.name}' has no terrain; contact and penetration need one. "
            "Attach it with attrs.evolve(clip, terrain=...)."
        )
    return clip.terrain


def pack(
    clips: Sequence[MotionClip],
    terrains: Sequence[Terrain],
    skeleton: Skeleton,
    device: str = "cpu",
    dtype: torch.dtype = torch.float64,
    terrain_ids: Sequence[int] | None = None,
) -> ClipBatch:
    """Clips as one batch; clip i stands on ``terrains[terrain_ids[i]]`` (on terrain i when no ids are given).

    Raises:
        SkeletonMismatch: a clip was made for another character.
    """
    for clip in clips:
        clip.require_skeleton(skeleton.id, skeleton.num_joints)
    longest = max(clip.num_frames for clip in clips)
    as_tensor = lambda a: torch.as_tensor(np.asarray(a), device=device, dtype=dtype)  # noqa: E731

    def padded(field: str) -> Tensor:
        arrays = [getattr(clip, field) for clip in clips]
        widths = [[(0, longest - len(a))] + [(0, 0)] * (a.ndim - 1) for a in arrays]
        mode: Literal["constant", "edge"] = "constant" if field == "contacts" else "edge"
        return as_tensor(np.stack([np.pad(a, w, mode=mode) for a, w in zip(arrays, widths)]))

    ids = range(len(clips)) if terrain_ids is None else terrain_ids
    return ClipBatch(
        root_pos=padded("root_pos"),
        root_rot=padded("root_rot"),
        joint_rot=padded("joint_rot"),
        contacts=padded("contacts"),
        lengths=torch.tensor([clip.num_frames for clip in clips], device=device),
        dt=as_tensor([1.0 / clip.fps for clip in clips]),
        terrain_ids=torch.tensor(list(ids), device=device, dtype=torch.long),
        terrains=PackedTerrains.of(list(terrains), device, dtype),
    )


def join(root_pos: Tensor, root_rot: Tensor, joint_rot: Tensor, kin: Kinematics) -> Tensor:
    """The optimizer's variables: root position, root exponential map, dofs: ``[..., 6 + D]`` m, rad."""
    return torch.cat([root_pos, rot.quat_to_expmap(root_rot), kin.joint_rot_to_dof(joint_rot)], dim=-1)


def split(x: Tensor, kin: Kinematics) -> tuple[Tensor, Tensor, Tensor]:
    """root_pos ``[..., 3]``, root_rot ``[..., 4]``, joint_rot ``[..., J, 4]`` of the variables ``[..., 6 + D]``."""
    return x[..., :3], rot.expmap_to_quat(x[..., 3:6]), kin.dof_to_joint_rot(x[..., 6:])


def to_clip(clip: MotionClip, x: Tensor, kin: Kinematics, **changes: Any) -> MotionClip:
    """The clip with the motion of the variables ``[T, 6 + D]``."""
    root_pos, root_rot, joint_rot = split(x.to(kin.dtype), kin)
    return attrs.evolve(
        clip,
        root_pos=root_pos.cpu().numpy(),
        root_rot=rot.normalize(root_rot).cpu().numpy(),
        joint_rot=rot.normalize(joint_rot).cpu().numpy(),
        touched=None,  # the cells touched change with the motion
        **changes,
    )
