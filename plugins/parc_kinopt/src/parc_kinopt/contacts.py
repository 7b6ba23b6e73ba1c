"""Contact labels of feet and hands, from where they are and how fast they move."""

from __future__ import annotations

import attrs
import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from parc_core.config import setting
from parc_kinopt.batch import ClipBatch
from parc_kinopt.cloud import PointCloud
from parc_kinopt.limbs import Limb

__all__ = [
    "ContactConfig",
    "LimbMotion",
    "clean_contacts",
    "geometric_contacts",
    "hysteresis",
    "limb_motion",
    "without_slides",
]


@attrs.frozen(kw_only=True)
class ContactConfig:
    """When a foot or hand counts as standing."""

    on_distance: float = setting(
        0.015,
        ge=1e-6,
        le=1000,
        unit="m",
        help="A slow body closer to the ground than this comes into contact.",
    )
    off_distance: float = setting(
        0.035,
        ge=1e-6,
        le=1000,
        unit="m",
        help="A contact ends when the body is farther from the ground than this.",
    )
    on_speed: float = setting(
        0.12,
        ge=1e-6,
        le=10000,
        unit="m/s",
        help="A body near the ground that is slower than this comes into contact.",
    )
    off_speed: float = setting(
        0.3, ge=1e-6, le=10000, unit="m/s", help="A contact ends when the body is faster than this."
    )
    label_distance: float = setting(
        0.3,
        ge=1e-6,
        le=1000,
        unit="m",
        help="Maximum distance to the ground at which an existing contact label is kept.",
    )
    label_speed: float = setting(
        2.0, ge=1e-6, le=10000, unit="m/s", help="Maximum speed at which an existing contact label is kept."
    )
    grip_speed: float = setting(
        0.15,
        ge=1e-6,
        le=10000,
        unit="m/s",
        help="Maximum speed between two frames of one contact in the optimized motion.",
    )
    min_run: float = setting(0.06, ge=0.0, le=10000, unit="s", help="Contacts shorter than this are removed.")
    max_gap: float = setting(
        0.06, ge=0.0, le=10000, unit="s", help="Gaps between two contacts shorter than this are closed."
    )


def hysteresis(strong: np.ndarray, weak: np.ndarray) -> np.ndarray:
    """Runs of weak evidence over time that hold some strong evidence: ``[T, K]`` bool for two ``[T, K]``."""
    along_time = np.array([[0, 1, 0], [0, 1, 0], [0, 1, 0]])
    labels, count = ndimage.label(weak | strong, structure=along_time)
    kept = np.zeros(count + 1, dtype=bool)
    kept[np.unique(labels[strong])] = True
    kept[0] = False
    return kept[labels]


@attrs.frozen(kw_only=True, eq=False)
class LimbMotion:
    """Where K feet and hands are and how they move; C clips."""

    distance: np.ndarray  # [C, T, K] m, signed distance of the limb's nearest point to the ground
    step: np.ndarray  # [C, T - 1, K] m/s, speed from frame t to t + 1 of the slowest of a sole's corners

    def of(self, clip: int, frames: int) -> LimbMotion:
        """One clip without its padding: ``[T, K]`` and ``[T - 1, K]``."""
        return LimbMotion(distance=self.distance[clip, :frames], step=self.step[clip, : max(frames - 1, 0)])

    @property
    def speed(self) -> np.ndarray:
        """Speed of each frame ``[..., T, K]`` m/s: the smaller of the two steps around it.

        So the first frame that stands is standing. A single frame has no speed.
        """
        if self.distance.shape[-2] == 1:
            return np.zeros_like(self.distance)
        before = np.concatenate([self.step[..., :1, :], self.step], axis=-2)
        after = np.concatenate([self.step, self.step[..., -1:, :]], axis=-2)
        return np.minimum(before, after)


def limb_motion(
    batch: ClipBatch, body_pos: Tensor, matrix: Tensor, cloud: PointCloud, limbs: tuple[Limb, ...]
) -> LimbMotion:
    """Distance to the ground and speed of each limb; a rolling foot, one corner of which rests, is not fast."""
    clips, frames = batch.num_clips, batch.num_frames
    world = cloud.world(body_pos.flatten(0, 1), matrix.flatten(0, 1))
    ids = batch.terrain_ids.repeat_interleave(frames)
    frame = torch.arange(clips * frames, device=ids.device)
    distances, steps = [], []
    for limb in limbs:
        body = torch.full_like(frame, limb.body)
        distances.append(
            cloud.closest(world, batch.terrains, ids, frame, body)[1].unflatten(0, (clips, frames))
        )
        points = (
            list(limb.corners) if limb.is_foot else (cloud.body == limb.body).nonzero().flatten().tolist()[:1]
        )
        place = world[..., points].unflatten(0, (clips, frames))
        steps.append((place[:, 1:] - place[:, :-1]).norm(dim=2).amin(dim=-1) / batch.dt[:, None])
    return LimbMotion(
        distance=torch.stack(distances, dim=-1).numpy(), step=torch.stack(steps, dim=-1).numpy()
    )


def geometric_contacts(
    distance: np.ndarray, speed: np.ndarray, fps: float, config: ContactConfig
) -> np.ndarray:
    """Labels from geometry only, ``[T, K]`` bool, for distances ``[T, K]`` m and speeds ``[T, K]`` m/s."""
    strong = (distance < config.on_distance) & (speed < config.on_speed)
    weak = (distance < config.off_distance) & (speed < config.off_speed)
    return _tidy(hysteresis(strong, weak), fps, config)


def clean_contacts(
    labels: np.ndarray, distance: np.ndarray, speed: np.ndarray, fps: float, config: ContactConfig
) -> np.ndarray:
    """Given labels (a generator's) where geometry does not contradict, and what geometry says beyond doubt.

    Args:
        labels: ``[T, K]`` 0..1.
        distance: ``[T, K]`` m.
        speed: ``[T, K]`` m/s.

    Returns:
        ``[T, K]`` bool.
    """
    believable = (distance < config.label_distance) & (speed < config.label_speed)
    near = (distance < config.on_distance) & (speed < config.on_speed)
    strong = ((labels > 0.7) & believable) | near
    weak = ((labels > 0.5) & believable) | ((distance < config.off_distance) & (speed < config.off_speed))
    return _tidy(hysteresis(strong, weak), fps, config)


def without_slides(contact: np.ndarray, step: np.ndarray, config: ContactConfig, fps: float) -> np.ndarray:
    """The labels ``[T, K]`` bool without any two neighbors between which the limb moves faster than `grip_speed`.

    A contact falls apart at such a step; parts that are too short are dropped, and where two parts follow on each
    other the later one begins a frame later.

    Args:
        step: speed from frame t to t + 1, ``[T - 1, K]`` m/s.
    """
    result = contact.copy()
    shortest = max(round(config.min_run * fps), 2)
    for k in range(contact.shape[1]):
        firm = contact[:-1, k] & contact[1:, k] & (step[:, k] < config.grip_speed)
        lone = contact[:, k] & ~np.append(firm, False) & ~np.insert(firm, 0, False)
        slides = contact[:-1, k] & contact[1:, k] & ~firm
        if not slides.any():
            continue
        cuts = np.flatnonzero(slides) + 1
        result[cuts, k] = False
        result[:, k] &= ~lone
        labels, count = ndimage.label(result[:, k])
        for (run,) in ndimage.find_objects(labels)[:count]:
            inside = run.start > 0 and run.stop < len(labels)
            if inside and run.stop - run.start < shortest:
                result[run, k] = False
    return result


def _tidy(contact: np.ndarray, fps: float, config: ContactConfig) -> np.ndarray:
    """Short gaps closed, then short runs dropped; gaps and runs at the ends count as longer than they are."""
    gap, run = round(config.max_gap * fps), round(config.min_run * fps)
    filled = ~_drop_short(~contact, gap)
    return _drop_short(filled, run - 1)


def _drop_short(mask: np.ndarray, longest: int) -> np.ndarray:
    """The mask ``[T, K]`` without runs along axis 0 of at most `longest` frames that touch neither end."""
    if longest < 1:
        return mask
    labels, count = ndimage.label(mask, structure=np.array([[0, 1, 0], [0, 1, 0], [0, 1, 0]]))
    size = np.bincount(labels.ravel(), minlength=count + 1)
    size[np.unique(labels[[0, -1]])] = longest + 1
    size[0] = 0
    return (size > longest)[labels]
