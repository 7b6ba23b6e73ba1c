"""Contact labels for motions that come without.

A body is in contact while one of its points is close to the ground and nearly still. Both criteria have hysteresis: a
contact starts below the lower threshold and ends above the higher one, so that noise does not make it flicker. Then
short gaps are closed and short contacts are dropped.

The speed is that of the slowest point near the ground, so a foot that rolls over its toes stays in contact, and of
the slower of the steps before and after a frame, so the frame of touch-down belongs to the contact. The distance is
the exact one, walls included: a hand against the side of a box touches it.
"""

from __future__ import annotations

import attrs
import numpy as np
import torch

from parc_data.import_settings import ContactConfig
from parc_data.runs import runs
from parc_motion.clips import MotionClip
from parc_motion.errors import DataError
from parc_motion.geometry import PackedTerrains, clearance
from parc_motion.kinematics import Kinematics, surface_points
from parc_motion.skeletons import Skeleton
from parc_motion.terrains import Terrain

__all__ = [
    "clip_points",
    "contact_labels",
    "label_clip",
    "point_speed",
]

_DEFAULT = ContactConfig()
_CHUNK = 512  # frames at a time


def contact_labels(
    points: np.ndarray,
    body: np.ndarray,
    labeled: np.ndarray,
    terrain: Terrain,
    fps: float,
    config: ContactConfig = _DEFAULT,
) -> np.ndarray:
    """Which bodies touch the ground: ``[T, B]``, 0 or 1.

    Args:
        points: points on the surface of the bodies, ``[T, P, 3]`` m.
        body: body of each point, ``[P]`` int64.
        labeled: bodies that get labels, ``[B]`` bool; the others stay 0.
        fps: frames per second.

    Raises:
        DataError: shapes do not fit together, or a number is not finite.
    """
    points, body, labeled = (
        np.asarray(points, dtype=np.float64),
        np.asarray(body),
        np.asarray(labeled, bool),
    )
    _check(points, body, labeled, fps)
    wanted = labeled[body]
    points, body = points[:, wanted], body[wanted]
    height, slow = _distance(points, terrain, config.far_m), point_speed(points, fps)
    result = np.zeros((len(points), len(labeled)))
    for one in np.unique(body):
        mine = body == one
        start = np.any((height[:, mine] < config.near_m) & (slow[:, mine] < config.slow), axis=1)
        keep = np.any((height[:, mine] < config.far_m) & (slow[:, mine] < config.fast), axis=1)
        held = _hysteresis(start, keep)
        held = _without_short(held, False, int(np.floor(config.gap_s * fps + 1e-6)))
        result[:, one] = _without_short(held, True, int(np.ceil(config.least_s * fps - 1e-6)) - 1)
    return result


def label_clip(clip: MotionClip, skeleton: Skeleton, config: ContactConfig = _DEFAULT) -> MotionClip:
    """The clip with contact labels of its key bodies (hands and feet), from its own terrain.

    Raises:
        SkeletonMismatch: it belongs to another character.
        DataError: it has no terrain.
    """
    if clip.terrain is None:
        raise DataError(f"clip '{clip.name}' has no terrain to be in contact with; fit one first.")
    points, body = clip_points(clip, skeleton)
    labeled = np.zeros(skeleton.num_bodies, dtype=bool)
    labeled[list(skeleton.key_bodies)] = True
    return attrs.evolve(clip, contacts=contact_labels(points, body, labeled, clip.terrain, clip.fps, config))


def clip_points(clip: MotionClip, skeleton: Skeleton) -> tuple[np.ndarray, np.ndarray]:
    """Surface points of a posed clip ``[T, P, 3]`` m and their bodies ``[P]``.

    Raises:
        SkeletonMismatch: it belongs to another character.
    """
    clip.require_skeleton(skeleton.id, skeleton.num_joints)
    surface = surface_points(skeleton, dtype=torch.float64)
    arrays = [torch.tensor(a, dtype=torch.float64) for a in (clip.root_pos, clip.root_rot, clip.joint_rot)]
    posed = Kinematics(skeleton, dtype=torch.float64).forward(*arrays)
    return surface.world(*posed).numpy(), surface.body.numpy()


def point_speed(points: np.ndarray, fps: float) -> np.ndarray:
    """Speed of each point, the smaller of the steps before and after the frame: ``[T, P]`` m/s."""
    if len(points) < 2:
        return np.zeros(points.shape[:2])
    step = np.linalg.norm(np.diff(points, axis=0), axis=-1) * fps
    return np.minimum(np.concatenate([step[:1], step]), np.concatenate([step, step[-1:]]))


def _check(points: np.ndarray, body: np.ndarray, labeled: np.ndarray, fps: float) -> None:
    if points.ndim != 3 or points.shape[2] != 3 or body.shape != points.shape[1:2] or labeled.ndim != 1:
        raise DataError(
            f"contact_labels got points {list(points.shape)}, body {list(body.shape)}, labeled "
            f"{list(labeled.shape)}; expected [T, P, 3], [P], [B]."
        )
    if len(body) and not 0 <= body.min() <= body.max() < len(labeled):
        raise DataError(f"contact_labels: body holds {body.min()}..{body.max()} for {len(labeled)} bodies.")
    if not np.isfinite(points).all() or not (np.isfinite(fps) and fps > 0):
        raise DataError(f"contact_labels: points or fps ({fps}) are not finite and positive.")


def _distance(points: np.ndarray, terrain: Terrain, most: float) -> np.ndarray:
    packed = PackedTerrains.of([terrain], dtype=torch.float64)
    parts = [
        clearance(packed, torch.zeros(1, dtype=torch.long), torch.from_numpy(part)[None], 2.0 * most)[
            0
        ].numpy()
        for part in np.array_split(points, max(len(points) // _CHUNK, 1))
    ]
    return np.concatenate(parts)


def _hysteresis(start: np.ndarray, keep: np.ndarray) -> np.ndarray:
    """The runs of `keep` that hold a `start`."""
    held = np.zeros_like(keep)
    for first, stop in runs(keep | start):
        held[first:stop] = start[first:stop].any()
    return held


def _without_short(held: np.ndarray, value: bool, longest: int) -> np.ndarray:
    """The labels with runs of `value` of up to `longest` frames inverted, except those at the ends."""
    held = held.copy()
    for first, stop in runs(held == value):
        if stop - first <= longest and first > 0 and stop < len(held):
            held[first:stop] = not value
    return held
