"""Where the windows of a batch go, one after the other."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from parc_mdm.compiled.gather import Clips
from parc_mdm.compiled.jit import kernel

__all__ = ["Aims", "Rules", "aim"]


class Rules(NamedTuple):
    """How targets are chosen; see `parc_mdm.targets`."""

    fps: float
    earliest: int  # frames after the start of a window
    reference: int  # frames after it
    longest: float  # s after the earliest
    min_speed: float  # m/s
    standing: float  # m
    facing: float  # rad


class Aims(NamedTuple):
    """What is drawn for each window, and where it is seen from."""

    clip: np.ndarray  # [N] int64
    start: np.ndarray  # [N] int64, first frame of the window in its clip
    share: np.ndarray  # [N] 0..1, how late the target is
    noise: np.ndarray  # [N, 2] m
    origin: np.ndarray  # [N, 3] m, of the anchor
    heading: np.ndarray  # [N] rad, of the anchor


@kernel()
def aim(first: int, last: int, clips: Clips, rules: Rules, aims: Aims, out: np.ndarray) -> None:
    """Write the targets of windows first .. last - 1, ``[N, 2]``."""
    fps = np.float32(rules.fps)
    for n in range(first, last):
        m, start, heading = aims.clip[n], aims.start[n], aims.heading[n]
        earliest, end = start + rules.earliest, clips.num_frames[m] - 1
        rest = min(max(np.float32(end - earliest) / fps, np.float32(0.0)), np.float32(rules.longest))
        frame = min(earliest + int(np.rint(aims.share[n] * rest * fps)), end)
        near = np.float32(rules.min_speed) * (np.float32(frame - start - rules.reference) / fps)
        place = clips.first[m] + frame
        east, north = (
            clips.root_pos[place, 0] - aims.origin[n, 0],
            clips.root_pos[place, 1] - aims.origin[n, 1],
        )
        cos, sin = np.cos(heading), np.sin(heading)
        x, y = cos * east + sin * north, cos * north - sin * east
        if np.sqrt(x * x + y * y) < max(near, np.float32(rules.standing)):
            turn = _heading(clips.root_rot[place]) - heading
            cos, sin = np.cos(turn), np.sin(turn)
            is_facing = abs(np.arctan2(sin, cos)) >= np.float32(rules.facing)
            out[n, 0] = cos if is_facing else np.float32(0.0)
            out[n, 1] = sin if is_facing else np.float32(0.0)
        else:
            x, y = x + aims.noise[n, 0], y + aims.noise[n, 1]
            far = max(np.sqrt(x * x + y * y), np.float32(1e-4))
            out[n, 0], out[n, 1] = x / far, y / far


@kernel()
def _heading(q: np.ndarray) -> float:
    """As `parc_motion.kinematics.rotations.heading`."""
    x, y, z, w = q[0], q[1], q[2], q[3]
    two = np.float32(2.0)
    return np.arctan2(two * (x * y + w * z), np.float32(1.0) - two * (y * y + z * z))
