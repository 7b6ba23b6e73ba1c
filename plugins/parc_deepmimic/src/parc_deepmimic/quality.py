"""Checks of a tracked motion before it becomes data; each gives the reason for a rejection, or None.

Source: PARC's description of its quality control names low tracking errors, staying within the terrain, no excessive
penetration and matching contacts; the limits are ours and configurable.
"""

from __future__ import annotations

import attrs
import numpy as np

from parc_deepmimic.frame_measures import FrameMeasures
from parc_deepmimic.retry_config import QualityConfig

__all__ = ["Flaw", "contact_match", "first_flaw", "rejected_frames"]


@attrs.frozen(kw_only=True)
class Flaw:
    """Why a recording is rejected."""

    reason: str  # in a word or two, for counting
    text: str  # with numbers, for people


@attrs.frozen
class _FrameLimit:
    setting: str  # its field of `QualityConfig`
    measure: str  # its field of `FrameMeasures`
    reason: str
    what: str  # filled with the value, the limit, and the frame's time in the clip


# the first that applies is named
_FRAME_LIMITS = (
    _FrameLimit(
        "max_root_step", "root_step", "teleport", "the root moves {0:.2f} m in one frame, more than {1:g} m"
    ),
    _FrameLimit("max_speed", "root_speed", "too fast", "the root moves at {0:.1f} m/s, more than {1:g} m/s"),
    _FrameLimit(
        "max_body_speed", "body_speed", "too fast", "a body moves at {0:.1f} m/s, more than {1:g} m/s"
    ),
    _FrameLimit(
        "terrain_margin",
        "outside",
        "off the terrain",
        "the root is {0:.2f} m beyond its border, more than {1:g} m",
    ),
    _FrameLimit("max_penetration", "depth", "penetration", "{0:.3f} m inside the ground, more than {1:g} m"),
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
    measures: FrameMeasures, fps: float, errors: dict[str, float], match: float, config: QualityConfig
) -> Flaw | None:
    """The first check that rejects a recording, or None.

    Args:
        measures: of its frames.
        fps: of the clip.
        errors: mean tracking errors by name.
        match: see `contact_match`.
    """
    for name, limit in _error_limits(config).items():
        if errors.get(name, 0.0) > limit:
            unit = "rad" if name.endswith("rot") else "m"
            text = f"mean {name} is {errors[name]:.2f} {unit}, more than {limit:g} {unit}"
            return Flaw(reason="tracking error", text=f"tracking error: {text}")
    for rule in _FRAME_LIMITS:
        limit, values = getattr(config, rule.setting), getattr(measures, rule.measure)
        if limit is not None and values.max() > limit:
            worst = int(values.argmax())
            text = rule.what.format(float(values[worst]), limit)
            return Flaw(
                reason=rule.reason, text=f"{rule.reason}: {text} ({worst / fps:.2f} s after its start)"
            )
    if config.min_contact_match is not None and match < config.min_contact_match:
        text = f"contacts: {match:.0%} agree with the reference, less than {config.min_contact_match:.0%}"
        return Flaw(reason="contacts", text=text)
    return None


def rejected_frames(
    measures: FrameMeasures, errors: dict[str, np.ndarray], config: QualityConfig
) -> np.ndarray:
    """Frames that a part of a recording must not contain: ``[T]`` bool.

    In parts, every single frame keeps the limits of the tracking errors, not only their mean: a motion that was lost
    usually deviated for a while before.

    Args:
        errors: tracking errors of each frame by name, ``[T]``.
    """
    rejected = np.zeros(len(measures.depth), dtype=bool)
    for name, limit in _error_limits(config).items():
        if name in errors:
            rejected |= errors[name] > limit
    for rule in _FRAME_LIMITS:
        limit = getattr(config, rule.setting)
        if limit is not None:
            rejected |= getattr(measures, rule.measure) > limit
    return rejected


def _error_limits(config: QualityConfig) -> dict[str, float]:
    limits = {
        "root_pos": config.max_root_pos,
        "root_rot": config.max_root_rot,
        "body_pos": config.max_body_pos,
    }
    return {name: limit for name, limit in limits.items() if limit is not None}
