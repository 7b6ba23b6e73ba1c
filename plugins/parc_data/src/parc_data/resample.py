"""Resampling of source motions with the methods of `parc_motion.resample`."""

from __future__ import annotations

from typing import Any

import attrs

from parc_data.source_motion import SourceMotion
from parc_motion.resample import frame_positions, interpolate, nearest_frame, slerp_frames

__all__ = ["resample"]


def resample(motion: SourceMotion, fps: float) -> SourceMotion:
    """The motion at `fps` frames per second; the same object if it has that rate already.

    Raises:
        DataError: the rate is not a positive number, or gives too many frames.
    """
    if motion.fps == fps:
        return motion
    positions = frame_positions(motion.name, motion.num_frames, motion.fps, fps)
    changed: dict[str, Any] = {"fps": fps, "notes": {**motion.notes, "resampled_from_fps": motion.fps}}
    if positions is not None:
        methods = {
            "root_pos": interpolate,
            "local_pos": interpolate,
            "marker_pos": interpolate,
            "local_rot": slerp_frames,
            "contacts": nearest_frame,
        }
        for name, method in methods.items():
            values = getattr(motion, name)
            changed[name] = None if values is None else method(values, positions)
        changed["touched"] = None
    return attrs.evolve(motion, **changed)
