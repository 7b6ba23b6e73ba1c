"""Clips in other formats: MimicKit arrays, BVH, CSV, and copies in PARC's own.

``mimickit`` writes an `.npz` without pickles, with the arrays that MimicKit keeps in its pickles:

* ``frames`` float32 ``[N, 6 + D]``: root position (m), root rotation as exponential map (rad), then the joint
  coordinates in depth-first order: three (exponential map) per ball joint, one (rad) per hinge; 34 numbers for the
  built-in humanoid
* ``fps`` float32: frames per second; ``loop_mode`` int32: 0 clamp, 1 wrap
* ``header``: JSON text with the name, the character and these units

It cannot store contacts, terrain, path, or rotations of a hinge joint about other axes: they are left out.
"""

from __future__ import annotations

import pathlib
from collections.abc import Callable

import numpy as np
import torch

from parc_data.export.config import ExportConfig
from parc_motion import storage
from parc_motion.clips import MotionClip, save_clip
from parc_motion.kinematics import Kinematics
from parc_motion.kinematics import rotations as rot
from parc_motion.skeletons import Skeleton

__all__ = ["FORMATS", "export_clip", "mimickit_frames"]


def export_clip(
    path: pathlib.Path, clip: MotionClip, skeleton: Skeleton, file_format: str, config: ExportConfig
) -> None:
    """Write the clip to a file in one of `FORMATS`.

    Raises:
        SkeletonMismatch: the clip belongs to another character.
    """
    clip.require_skeleton(skeleton.id, skeleton.num_joints)
    _, write = FORMATS[file_format]
    write(path, clip, skeleton, config)


def mimickit_frames(clip: MotionClip, skeleton: Skeleton) -> np.ndarray:
    """Root position, root exponential map and joint coordinates: ``[T, 6 + D]`` float32."""
    kin = Kinematics(skeleton, dtype=torch.float64)
    root_rot, joint_rot = (
        torch.tensor(array, dtype=torch.float64) for array in (clip.root_rot, clip.joint_rot)
    )
    parts = [clip.root_pos, rot.quat_to_expmap(root_rot).numpy(), kin.joint_rot_to_dof(joint_rot).numpy()]
    return np.concatenate(parts, axis=-1).astype(np.float32)


def _write_npz(path: pathlib.Path, clip: MotionClip, skeleton: Skeleton, config: ExportConfig) -> None:
    save_clip(path, clip)


def _write_mimickit(path: pathlib.Path, clip: MotionClip, skeleton: Skeleton, config: ExportConfig) -> None:
    arrays = {
        "frames": mimickit_frames(clip, skeleton),
        "fps": np.array(clip.fps, dtype=np.float32),
        "loop_mode": np.array(clip.loop == "wrap", dtype=np.int32),
    }
    header = {
        "kind": "mimickit",
        "format": 1,
        "name": clip.name,
        "skeleton": skeleton.id,
        "frames": "root position m, root exponential map rad, joint coordinates rad; z up",
    }
    storage.write_arrays(path, arrays, header)


def _write_bvh(path: pathlib.Path, clip: MotionClip, skeleton: Skeleton, config: ExportConfig) -> None:
    from parc_data.export.bvh import clip_to_bvh

    storage.write_bytes(path, clip_to_bvh(clip, skeleton, up=config.up, scale=config.scale))


def _write_csv(path: pathlib.Path, clip: MotionClip, skeleton: Skeleton, config: ExportConfig) -> None:
    from parc_data.export.csv import clip_to_csv

    storage.write_bytes(path, clip_to_csv(clip, skeleton, joints=config.joints))


# name -> suffix, writer
FORMATS: dict[str, tuple[str, Callable[[pathlib.Path, MotionClip, Skeleton, ExportConfig], None]]] = {
    "npz": (".npz", _write_npz),
    "mimickit": (".npz", _write_mimickit),
    "bvh": (".bvh", _write_bvh),
    "csv": (".csv", _write_csv),
}
