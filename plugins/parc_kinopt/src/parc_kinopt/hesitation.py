"""Hesitation removal: where a generated motion stands still for no reason, it is cut and joined again.

The documents say: low velocity and low acceleration over consecutive frames is hesitation; such frames are removed,
and the motion is blended again. The published implementation compares poses instead and deletes without blending; that
is rule "pose_distance".
"""

from __future__ import annotations

from typing import Literal

import attrs
import numpy as np
import torch
from scipy import ndimage
from scipy.spatial.distance import cdist
from torch import Tensor

from parc_core.config import setting
from parc_kinopt.smoothing import low_pass
from parc_motion.clips import MotionClip
from parc_motion.kinematics import Kinematics
from parc_motion.kinematics import rotations as rot

__all__ = ["HesitationConfig", "hesitating_frames", "near_pose_frames", "remove_frames", "remove_hesitation"]


@attrs.frozen(kw_only=True)
class HesitationConfig:
    """What counts as hesitation, and how the seam is joined."""

    rule: Literal["velocity", "pose_distance", "none"] = setting(
        "velocity",
        help="Which frames are removed. velocity: slow, steady frames. pose_distance: frames close"
        " to an earlier pose (published). none: no frames.",
    )
    root_speed: float = setting(
        0.12,
        ge=1e-6,
        le=10000,
        unit="m/s",
        help="Rule velocity: root speed below which a frame counts as hesitation.",
    )
    body_speed: float = setting(
        0.25, ge=1e-6, le=10000, unit="m/s", help="Rule velocity: maximum speed of any body in such a frame."
    )
    body_acceleration: float = setting(
        4.0,
        ge=1e-9,
        le=1e6,
        unit="m/s^2",
        help="Rule velocity: maximum acceleration of any body in such a frame.",
    )
    min_duration: float = setting(
        0.25, ge=1e-6, le=10000, unit="s", help="Rule velocity: pauses shorter than this are kept."
    )
    keep: float = setting(
        0.1,
        ge=0.0,
        le=10000,
        unit="s",
        help="Rule velocity: duration that is kept of each pause, half of it at each end.",
    )
    blend: float = setting(
        0.2, ge=0.0, le=10000, unit="s", help="Blending time around each cut; 0 does not blend."
    )
    pose_distance: float = setting(
        0.15,
        ge=1e-6,
        le=1000,
        unit="m",
        help="Rule pose_distance: norm of the difference of all body positions below which two "
        "poses are equal.",
    )
    min_run: int = setting(
        4, ge=1, le=1_000_000, unit="frames", help="Rule pose_distance: runs shorter than this are kept."
    )


def remove_hesitation(
    clip: MotionClip, config: HesitationConfig, kin: Kinematics
) -> tuple[MotionClip, tuple[int, ...]]:
    """The clip without its hesitation, and the frames that were removed."""
    if config.rule == "none" or clip.num_frames < 5:
        return clip, ()
    pose = [torch.tensor(a, dtype=kin.dtype) for a in (clip.root_pos, clip.root_rot, clip.joint_rot)]
    body_pos, _ = kin.forward(*pose)
    if config.rule == "pose_distance":
        drop = near_pose_frames(body_pos.numpy(), config.pose_distance, config.min_run)
    else:
        drop = hesitating_frames(body_pos, clip.fps, config)
    if not drop.any():
        return clip, ()
    return remove_frames(clip, drop, round(config.blend * clip.fps)), tuple(np.flatnonzero(drop).tolist())


def hesitating_frames(body_pos: Tensor, fps: float, config: HesitationConfig) -> np.ndarray:
    """Frames to remove by the velocity rule, ``[T]`` bool, for ``[T, B, 3]`` m, body 0 the root.

    Pauses that reach the first or last frame stay: a clip may begin and end standing.
    """
    steady = low_pass(body_pos, fps, 5.0)  # jitter is not movement
    velocity = torch.gradient(steady, dim=0)[0] * fps
    acceleration = torch.gradient(velocity, dim=0)[0] * fps
    speed = velocity.norm(dim=-1)
    still = (speed[:, 0] < config.root_speed) & (speed.amax(-1) < config.body_speed)
    still &= acceleration.norm(dim=-1).amax(-1) < config.body_acceleration
    labels, count = ndimage.label(still.numpy())
    drop = np.zeros(len(labels), dtype=bool)
    side = round(0.5 * config.keep * fps)
    for (run,) in ndimage.find_objects(labels)[:count]:
        inside = run.start > 0 and run.stop < len(labels)
        if inside and run.stop - run.start >= config.min_duration * fps:
            drop[run.start + side : run.stop - side] = True
    return drop


def near_pose_frames(body_pos: np.ndarray, distance: float, min_run: int) -> np.ndarray:
    """Frames to remove by the published rule, ``[T]`` bool, for body positions ``[T, B, 3]`` m.

    Every frame whose pose lies within `distance` of an earlier frame that is itself kept so far, however long ago;
    runs shorter than `min_run` are given back. Source: `parc_motion.published`.
    """
    flat = body_pos.reshape(len(body_pos), -1).astype(np.float64)
    near = np.triu(cdist(flat, flat) < distance, k=1)
    marked = np.zeros(len(flat), dtype=bool)
    for i in range(
        len(flat)
    ):  # which frames mark others depends on what was marked before: one row at a time
        if not marked[i]:
            marked |= near[i]
    labels, count = ndimage.label(marked)
    size = np.bincount(labels, minlength=count + 1)
    size[0] = 0
    return (size >= min_run)[labels]


def remove_frames(clip: MotionClip, drop: np.ndarray, blend: int) -> MotionClip:
    """The clip without frames ``drop`` ``[T]``; the jump of pose and velocity at a seam fades over `blend` frames.

    After a seam the motion starts where the motion before it was heading, and the offset decays to nothing along a
    cubic with the offset's own value and slope at the seam (inertialisation). The labels of a frame go with it.
    Where a single frame is left before the first seam, the first removed frame says where it was heading.
    """
    kept = np.flatnonzero(~drop)
    seams = np.flatnonzero(np.diff(kept) > 1) + 1  # first kept frame after each hole
    pose = {
        "root_pos": torch.tensor(clip.root_pos, dtype=torch.float64),
        "root_rot": torch.tensor(clip.root_rot, dtype=torch.float64)[:, None],
        "joint_rot": torch.tensor(clip.joint_rot, dtype=torch.float64),
    }
    cut = {name: value[kept] for name, value in pose.items()}
    ends = np.append(seams[1:], len(kept))
    for seam, end in zip(seams, ends):
        span = min(blend, int(end - seam))
        if span < 2:
            continue
        for name, values in cut.items():
            is_rotation = name != "root_pos"
            if seam == 1:
                ahead = pose[name][kept[0] + 1]
            else:
                ahead = _ahead(values[seam - 2], values[seam - 1], is_rotation)
            _fade(values, ahead, int(seam), span, is_rotation)
    # cells touched belong to the uncut motion
    return attrs.evolve(
        clip,
        root_pos=cut["root_pos"].numpy(),
        root_rot=cut["root_rot"][:, 0].numpy(),
        joint_rot=cut["joint_rot"].numpy(),
        contacts=clip.contacts[kept],
        touched=None,
    )


def _fade(values: Tensor, ahead: Tensor, seam: int, span: int, is_rotation: bool) -> None:
    """Add the decaying offset to frames seam .. seam + span - 1, in place.

    Args:
        ahead: where frame seam would be if the motion before it went on as it did.
    """
    offset_of = _rotation_offset if is_rotation else torch.sub
    offset = offset_of(ahead, values[seam])
    slope = offset_of(ahead, values[seam - 1]) - (
        offset_of(values[seam + 1], values[seam]) if seam + 1 < len(values) else 0.0
    )
    u = torch.arange(span, dtype=values.dtype) / span
    # cubic Hermite from (offset, slope) to (0, 0)
    value = (1 + 2 * u) * (1 - u) ** 2
    rate = u * (1 - u) ** 2 * span
    shape = (-1, *[1] * (values.ndim - 1))
    fading = value.reshape(shape) * offset + rate.reshape(shape) * slope
    part = values[seam : seam + span]
    if is_rotation:
        part.copy_(rot.normalize(rot.multiply(rot.expmap_to_quat(fading), part)))
    else:
        part.add_(fading)


def _rotation_offset(a: Tensor, b: Tensor) -> Tensor:
    """Exponential map of the rotation from b to a."""
    return rot.quat_to_expmap(rot.multiply(a, rot.inverse(b)))


def _ahead(before: Tensor, last: Tensor, is_rotation: bool) -> Tensor:
    if is_rotation:
        return rot.normalize(rot.multiply(rot.multiply(last, rot.inverse(before)), last))
    return 2.0 * last - before
