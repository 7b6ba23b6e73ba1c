"""Settings of the recorder `retry`."""

from __future__ import annotations

from typing import Any, ClassVar

import attrs

from parc_core.config import Use, setting

__all__ = ["QualityConfig", "RetryConfig"]


@attrs.frozen(kw_only=True)
class QualityConfig:
    """Limits that a recording must keep; null switches a check off."""

    max_root_pos: float | None = setting(
        0.4, ge=1e-6, le=1e6, help="Largest mean error of the root position.", unit="m"
    )
    max_root_rot: float | None = setting(
        0.6, ge=1e-6, le=1000, help="Largest mean error of the root rotation.", unit="rad"
    )
    max_body_pos: float | None = setting(
        0.3, ge=1e-6, le=1e6, help="Largest mean error of body positions, relative to the root.", unit="m"
    )
    max_root_step: float | None = setting(
        0.5, ge=1e-6, le=1e6, help="Largest distance that the root may move between two frames.", unit="m"
    )
    max_speed: float | None = setting(15.0, ge=1e-6, le=10000, help="Largest speed of the root.", unit="m/s")
    max_body_speed: float | None = setting(
        20.0, ge=1e-6, le=10000, help="Largest speed of any body.", unit="m/s"
    )
    max_penetration: float | None = setting(
        0.03,
        ge=1e-6,
        le=1e6,
        help="Largest depth of a surface point of the character inside the ground.",
        unit="m",
    )
    terrain_margin: float | None = setting(
        0.4,
        ge=-1000,
        le=1000,
        help="Largest distance of the root outside the terrain's grid, where the heights of its border continue.",
        unit="m",
    )
    min_contact_match: float | None = setting(
        0.5,
        ge=0,
        le=1,
        help="Smallest share of frames in which contacts of hands and feet agree with the reference.",
    )


@attrs.frozen(kw_only=True)
class RetryConfig:
    """Start times, retries, what is kept, and quality checks of the recorder."""

    start_fractions: tuple[float, ...] = setting(
        (0.0, 0.25, 0.5),
        ge=0,
        lt=1,
        help="Shares of a motion's length at which attempts start, in this order.",
    )
    min_remaining_s: float = setting(
        1.0,
        ge=0,
        le=10000,
        help="Attempts need at least this much of the motion after their start.",
        unit="s",
    )
    keep_partial: bool = setting(
        True,
        help="Keep the longest part without a flaw of a motion that was not followed to its end in any attempt.",
    )
    min_partial_s: float = setting(2.0, ge=1e-6, le=10000, help="Shortest part that is kept.", unit="s")
    partial_margin_s: float = setting(
        0.5,
        ge=0,
        le=10000,
        help="Parts end this long before the motion was lost, because the character is already falling then.",
        unit="s",
    )
    second_chance: Use | None = setting(
        None, kind="agent", help="Agent that attempts the motions that the first agent lost."
    )
    contact_threshold: float = setting(
        5.0,
        ge=0,
        le=1e6,
        help="A body has a contact label when the force on it is larger than this.",
        unit="N",
    )
    terrain_padding: float | None = setting(
        0.8,
        ge=0,
        le=1000,
        help="A recorded clip carries the ground within this distance of the path of its root; null: all of it.",
        unit="m",
    )
    quality: QualityConfig = setting(factory=QualityConfig, help="Limits that a recording must keep.")

    def __attrs_post_init__(self) -> None:
        if not self.start_fractions:
            raise ValueError("start_fractions is empty; give fractions of a motion, 0 <= f < 1")

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
