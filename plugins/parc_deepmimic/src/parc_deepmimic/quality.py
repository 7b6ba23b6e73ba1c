"""Checks of a tracked motion before it may become data; each says what is wrong, in words, or nothing.

Source: the documents name low tracking errors, staying within the terrain and matching contacts as quality control;
the limits are ours and configurable.
"""

from __future__ import annotations

import attrs
import numpy as np

from parc_core.config import setting
from parc_core.data.clip import MotionClip

__all__ = ["QualityConfig", "contact_match", "first_flaw"]


@attrs.frozen(kw_only=True)
class QualityConfig:
    """Limits; none switches a check off."""

    max_root_pos: float | None = setting(0.4, gt=0, help="largest mean error of the root position", unit="m")
    max_root_rot: float | None = setting(
        0.6, gt=0, help="largest mean error of the root rotation", unit="rad"
    )
    max_body_pos: float | None = setting(0.3, gt=0, help="largest mean error of body positions", unit="m")
    max_speed: float | None = setting(15.0, gt=0, help="faster between two frames is a teleport", unit="m/s")
    terrain_margin: float | None = setting(
        0.4, help="how far outside the terrain's grid the root may go (its border goes on)", unit="m"
    )
    min_contact_match: float | None = setting(
        0.5, ge=0, le=1, help="least share of frames in which hands and feet touch as in the reference"
    )


def contact_match(contacts: np.ndarray, ref_contacts: np.ndarray, body_ids: tuple[int, ...]) -> float:
    """Share of frames and bodies whose contact agrees with the reference's label, 0..1; 1 without bodies.

    Args:
        contacts: ``[T, B]`` 0 or 1.
        ref_contacts: ``[T, B]`` 0..1.
    """
    if not body_ids:
        return 1.0
    ids = list(body_ids)
    return float(np.mean((contacts[:, ids] > 0.5) == (ref_contacts[:, ids] > 0.5)))


def first_flaw(
    clip: MotionClip,
    errors: dict[str, float],
    match: float,
    config: QualityConfig,
    check_terrain: bool = True,
) -> str | None:
    """What makes the clip unfit as data, or None.

    Args:
        errors: mean tracking errors by name.
        match: see `contact_match`.
    """
    limits = {
        "root_pos": config.max_root_pos,
        "root_rot": config.max_root_rot,
        "body_pos": config.max_body_pos,
    }
    for name, limit in limits.items():
        if limit is not None and errors.get(name, 0.0) > limit:
            unit = "rad" if name.endswith("rot") else "m"
            return f"tracking error: mean {name} is {errors[name]:.2f} {unit}, more than {limit:g} {unit}"
    if config.max_speed is not None and clip.num_frames > 1:
        speed = float(np.linalg.norm(np.diff(clip.root_pos, axis=0), axis=-1).max()) * clip.fps
        if speed > config.max_speed:
            return f"teleport: the root moves at {speed:.1f} m/s, more than {config.max_speed:g} m/s"
    if config.terrain_margin is not None and clip.terrain is not None:
        outside = _distance_outside(clip)
        if outside > config.terrain_margin:
            return f"off the terrain: the root is {outside:.2f} m beyond its border"
    if config.min_contact_match is not None and match < config.min_contact_match:
        return f"contacts: {match:.0%} agree with the reference, less than {config.min_contact_match:.0%}"
    return None


def _distance_outside(clip: MotionClip) -> float:
    half = 0.5 * clip.terrain.cell
    low, high = clip.terrain.origin_xy - half, clip.terrain.max_xy + half
    xy = clip.root_pos[:, :2]
    return float(np.maximum(low - xy, xy - high).max())  # negative inside
