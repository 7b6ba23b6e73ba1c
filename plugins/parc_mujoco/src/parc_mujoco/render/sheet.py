"""Pictures of several clips put together, with labels."""

from __future__ import annotations

import pathlib
from collections.abc import Iterable

import numpy as np

from parc_motion import storage
from parc_motion.clips import MotionClip
from parc_motion.draw import label, png_bytes
from parc_motion.skeletons import Skeleton
from parc_mujoco.render.scene import ClipScene, Screen
from parc_mujoco.render.views import follow_cameras, overview_camera, spread_frames

__all__ = ["contact_sheet", "overview", "title", "write_png"]

_GAP = 4  # pixels


def overview(clip: MotionClip, skeleton: Skeleton, screen: Screen, poses: int) -> np.ndarray:
    """The whole clip in one picture, ``[height, width, 3]`` uint8."""
    with ClipScene(clip, skeleton, screen) as scene:
        camera = overview_camera(clip, screen.width / screen.height)
        return scene.strobe(spread_frames(clip.num_frames, poses), camera)


def contact_sheet(clips: Iterable[MotionClip], skeleton: Skeleton, screen: Screen, poses: int) -> np.ndarray:
    """One row per clip: the whole path, then single poses; ``[H, W, 3]`` uint8.

    The screen's height is that of a row, its width that of the path's picture.
    """
    return np.concatenate([_row(clip, skeleton, screen, poses) for clip in clips], axis=0)


def _row(clip: MotionClip, skeleton: Skeleton, screen: Screen, poses: int) -> np.ndarray:
    frames = spread_frames(clip.num_frames, poses)
    small = (round(0.8 * screen.height), screen.height)
    cameras = follow_cameras(clip)
    with ClipScene(clip, skeleton, screen) as scene:
        pictures = [scene.strobe(frames, overview_camera(clip, screen.width / screen.height))]
        for frame in frames:
            picture = scene.draw(frame, cameras[frame], small)
            pictures.append(label(picture, f"{frame / clip.fps:.2f} s", size=12))
    blank = np.full((small[1], small[0], 3), 255, dtype=np.uint8)
    pictures += [blank] * (poses - len(frames))
    pictures[0] = label(pictures[0], title(clip))
    gap = np.full((screen.height, _GAP, 3), 255, dtype=np.uint8)
    row = np.concatenate([part for picture in pictures for part in (picture, gap)], axis=1)
    return np.concatenate([row, np.full((_GAP, row.shape[1], 3), 255, dtype=np.uint8)], axis=0)


def title(clip: MotionClip) -> str:
    """What to write beside a clip."""
    made = " / ".join(part for part in (clip.provenance.stage, clip.provenance.provider) if part)
    parts = (clip.name, made, clip.motion_class, f"{clip.length:.1f} s")
    return "\n".join([parts[0], "  ".join(part for part in parts[1:] if part)])


def write_png(path: pathlib.Path, picture: np.ndarray) -> None:
    """Write the picture durably."""
    storage.write_bytes(path, png_bytes(picture))
