"""A first frame that shows the rest pose instead of the motion, as conversions of captured motions have it."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch

from parc_motion.errors import DataError
from parc_motion.kinematics import rotations as rot

__all__ = ["starts_with_rest_pose"]

# mean rotation from the rest pose, without the root; legs 17 degrees apart still count as rest
_REST_RAD = np.radians(12.0)
_JUMP_RAD = np.radians(5.0)  # mean rotation to the second frame
_JUMP_RATIO = 5.0  # of that to the median rotation between two frames
_LOOK_FRAMES = 60


def starts_with_rest_pose(
    local_rot: np.ndarray, choice: Literal["auto", "keep", "drop"], where: str
) -> tuple[int, str]:
    """How many frames to leave out at the start (0 or 1), and what to note about it.

    With auto, a first frame is left out if it is close to the rest pose and the jump to the second frame is large
    compared with the steps that follow.

    Args:
        local_rot: root first, ``[T, K, 4]`` xyzw.
        choice: of the user.
        where: file, for errors.
    """
    if choice == "keep":
        return 0, "kept: requested by the user"
    if choice == "drop":
        if len(local_rot) < 2:
            raise DataError(f"{where}: has one frame only; nothing is left without it. Keep the first frame.")
        return 1, "left out: requested by the user"
    head = local_rot[:_LOOK_FRAMES, 1:]
    if len(head) < 3 or not head.shape[1]:
        return 0, "kept"
    quats = torch.from_numpy(np.ascontiguousarray(head, dtype=np.float64))
    steps = rot.angle_between(quats[1:], quats[:-1]).numpy()
    moving = steps.max(axis=0) > 1e-6
    if not moving.any():
        return 0, "kept"
    steps = steps[:, moving].mean(axis=1)
    rest = rot.angle_between(quats[0], rot.identity_like(quats[0])).numpy()[moving].mean()
    jumps = steps[0] > _JUMP_RAD and steps[0] > _JUMP_RATIO * np.median(steps[1:])
    if rest < _REST_RAD and jumps:
        return 1, f"left out: a rest pose, {np.degrees(steps[0]):.0f} degrees per joint from the second frame"
    return 0, "kept"
