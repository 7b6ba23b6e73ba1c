"""Settings of the recorder `retry`; light enough to load for a schema."""

from __future__ import annotations

from typing import Any, ClassVar

import attrs

from parc_core.config import Use, setting

__all__ = ["QualityConfig", "RetryConfig"]


@attrs.frozen(kw_only=True)
class QualityConfig:
    """Limits; none switches a check off."""

    max_root_pos: float | None = setting(0.4, gt=0, help="largest mean error of the root position", unit="m")
    max_root_rot: float | None = setting(
        0.6, gt=0, help="largest mean error of the root rotation", unit="rad"
    )
    max_body_pos: float | None = setting(0.3, gt=0, help="largest mean error of body positions", unit="m")
    max_root_step: float | None = setting(
        0.5, gt=0, help="the root moving further between two frames is a teleport", unit="m"
    )
    max_speed: float | None = setting(15.0, gt=0, help="largest speed of the root", unit="m/s")
    max_body_speed: float | None = setting(20.0, gt=0, help="largest speed of a body", unit="m/s")
    max_penetration: float | None = setting(
        0.03, gt=0, help="deepest that a surface point of the character may be inside the ground", unit="m"
    )
    terrain_margin: float | None = setting(
        0.4, help="how far outside the terrain's grid the root may go (its border goes on)", unit="m"
    )
    min_contact_match: float | None = setting(
        0.5, ge=0, le=1, help="least share of frames in which hands and feet touch as in the reference"
    )


@attrs.frozen(kw_only=True)
class RetryConfig:
    """Starts, retries, what is kept, and quality control of the recorder."""

    start_fractions: tuple[float, ...] = setting(
        (0.0, 0.25, 0.5), help="where in a motion to start, tried in this order, 0..1 of its length"
    )
    min_remaining_s: float = setting(1.0, ge=0, help="shorter rests of motions are not recorded", unit="s")
    keep_partial: bool = setting(
        True, help="whether the longest flawless part is kept of a motion that no try followed to its end"
    )
    min_partial_s: float = setting(2.0, gt=0, help="shorter parts are not kept", unit="s")
    partial_margin_s: float = setting(
        0.5, ge=0, help="time before a loss that a part leaves out: the character is falling then", unit="s"
    )
    second_chance: Use | None = setting(None, kind="agent", help="agent that gets what the first one lost")
    contact_threshold: float = setting(5.0, ge=0, help="least force that becomes a contact label", unit="N")
    terrain_padding: float | None = setting(
        0.8, ge=0, help="ground that a clip carries around the path of its root; null: all of it", unit="m"
    )
    quality: QualityConfig = setting(factory=QualityConfig, help="what a recorded motion must fulfil")

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "paper": {
            "start_fractions": (0.0, 0.1, 0.2, 0.3, 0.4, 0.5),
            "min_remaining_s": 2.0,
            "keep_partial": False,
            "contact_threshold": 1e-5,
            "quality": {
                "max_root_pos": None,
                "max_root_rot": None,
                "max_body_pos": None,
                "max_root_step": None,
                "max_speed": None,
                "max_body_speed": None,
                "max_penetration": None,
                "terrain_margin": None,
                "min_contact_match": None,
            },
        }
    }
