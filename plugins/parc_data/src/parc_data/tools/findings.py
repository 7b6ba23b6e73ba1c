"""The rules that `parc data validate` checks: name, severity and limit of each, and what a violation is reported as."""

from __future__ import annotations

from typing import Any, Literal

import attrs
import numpy as np

from parc_core.config import setting
from parc_data.runs import runs

__all__ = [
    "LEVELS", "RULES", "ClipReport", "Finding", "Level", "Rule", "ValidateConfig", "finding", "frame_runs",
    "reason_to_leave_out", "worst_frame",
]  # fmt: skip

Level = Literal["error", "warning", "note"]
LEVELS: tuple[Level, ...] = ("error", "warning", "note")


@attrs.frozen(kw_only=True)
class ValidateConfig:
    """Limits of the rules."""

    min_num_frames: int = setting(
        15, ge=1, le=1_000_000, unit="frames", help="Clips with fewer frames are reported."
    )
    max_length: float = setting(120.0, ge=1e-6, le=10000, unit="s", help="Longer clips are noted.")
    min_fps: float = setting(15.0, ge=0.01, le=10000, unit="1/s", help="Lower frame rates are reported.")
    max_fps: float = setting(240.0, ge=0.01, le=10000, unit="1/s", help="Higher frame rates are reported.")
    max_terrain_dim: int = setting(
        1001, ge=1, le=100000, unit="cells", help="Terrain with more cells along x or y is reported."
    )
    max_root_speed: float = setting(
        12.0,
        ge=1e-6,
        le=10000,
        unit="m/s",
        help="A faster root is reported as a teleport; a sprinter reaches 12 m/s.",
    )
    max_joint_speed: float = setting(
        50.0, ge=1e-9, le=1e6, unit="rad/s", help="A faster joint is reported as a jump."
    )
    max_limit_excess: float = setting(
        0.02, ge=0, le=1000, unit="rad", help="How far a joint may exceed its limits."
    )
    max_slide: float = setting(
        0.03, ge=0, le=1e6, unit="m", help="How far a foot may slide during one contact."
    )
    max_penetration: float = setting(
        0.03, ge=0, le=1e6, unit="m", help="How deep the body may penetrate the terrain."
    )
    max_contact_gap: float = setting(
        0.05, ge=0, lt=0.25, unit="m", help="How far from the terrain a body with a contact label may be."
    )
    max_deficit: float = setting(
        0.3,
        ge=0,
        le=10000,
        unit="m/s",
        help="How much upward take-off speed may be missing for the flight that follows.",
    )
    max_speed_change: float = setting(
        0.5, ge=0, le=10000, unit="m/s", help="How much the horizontal velocity may change during a flight."
    )
    flight_height: float = setting(
        0.02,
        ge=0,
        lt=0.25,
        unit="m",
        help="A body closer to the terrain than this counts as touching it, whatever its labels say.",
    )


@attrs.frozen(kw_only=True)
class Rule:
    """One thing that is checked."""

    level: Level  # errors make a clip unusable, warnings are faults of the motion, notes are worth knowing
    unit: str = ""
    limit: str = ""  # setting of `ValidateConfig` that holds the limit


RULES = {
    "unreadable": Rule(level="error"),
    "character": Rule(level="error"),
    "not_finite": Rule(level="error"),
    "not_unit": Rule(level="error"),
    "fps": Rule(level="warning", unit="1/s"),
    "too_short": Rule(level="warning", unit="frames", limit="min_num_frames"),
    "too_long": Rule(level="note", unit="s", limit="max_length"),
    "teleport": Rule(level="error", unit="m/s", limit="max_root_speed"),
    "joint_jump": Rule(level="warning", unit="rad/s", limit="max_joint_speed"),
    "joint_limit": Rule(level="warning", unit="rad", limit="max_limit_excess"),
    "flight": Rule(level="warning", unit="m/s"),
    "no_terrain": Rule(level="warning"),
    "wide_terrain": Rule(level="warning", unit="cells", limit="max_terrain_dim"),
    "off_terrain": Rule(level="warning", unit="m"),
    "penetration": Rule(level="warning", unit="m", limit="max_penetration"),
    "sliding": Rule(level="warning", unit="m", limit="max_slide"),
    "no_contacts": Rule(level="warning"),
    "floating": Rule(level="warning", unit="m", limit="max_contact_gap"),
}


@attrs.frozen(kw_only=True)
class Finding:
    """One violation of a rule by one clip."""

    check: str  # name of the rule
    level: Level
    text: str  # one sentence with the value
    where: str = ""  # body, joint or field
    frames: tuple[tuple[int, int], ...] = ()  # ranges of frames, first and last of each
    worst_frame: int | None = None
    value: float | None = None  # in the worst frame
    limit: float | None = None
    unit: str = ""

    def as_json(self) -> dict[str, Any]:
        """Plain values; those that do not apply are left out."""
        fields = attrs.asdict(self, filter=lambda _, value: value not in (None, "", ()))
        return {**fields, **({"value": round(self.value, 6)} if self.value is not None else {})}


@attrs.frozen(kw_only=True)
class ClipReport:
    """What was found in one file."""

    file: str
    name: str
    findings: tuple[Finding, ...]

    def count(self, level: Level) -> int:
        """How many findings have the level."""
        return sum(finding.level == level for finding in self.findings)


def finding(check: str, text: str, config: ValidateConfig | None = None, **fields: Any) -> Finding:
    """A finding with the level, unit and limit of its rule, unless `fields` says otherwise."""
    rule = RULES[check]
    known: dict[str, Any] = {"level": rule.level, "unit": rule.unit if "value" in fields else ""}
    if config is not None and rule.limit:
        known["limit"] = float(getattr(config, rule.limit))
    return Finding(check=check, text=text, **{**known, **fields})


def worst_frame(
    check: str,
    values: np.ndarray,
    text: str,
    config: ValidateConfig,
    where: str = "",
    limit: float | None = None,
) -> list[Finding]:
    """One finding for the worst of the values ``[T]`` if any exceeds the limit, none otherwise.

    Args:
        text: sentence with the fields `where`, `value` (the worst) and `frame` (where it occurs).
        limit: of the rule when left out.
    """
    limit = float(getattr(config, RULES[check].limit)) if limit is None else limit
    bad = values > limit
    if not bad.any():
        return []
    frame = int(values.argmax())
    value = float(values[frame])
    sentence = text.format(where=where, value=value, frame=frame)
    shown = {"where": where, "frames": frame_runs(bad), "worst_frame": frame, "value": value, "limit": limit}
    return [finding(check, sentence, config, **shown)]


def frame_runs(bad: np.ndarray) -> tuple[tuple[int, int], ...]:
    """First and last frame of every run of True in ``[T]``."""
    return tuple((int(first), int(stop) - 1) for first, stop in runs(bad))


def reason_to_leave_out(
    num_frames: int, terrain_shape: tuple[int, int] | None, min_num_frames: int, max_cells: tuple[int, int]
) -> str:
    """Why a clip cannot become part of a data set; empty if it can.

    Args:
        terrain_shape: number of cells along x and y; None for a clip without terrain.
        max_cells: largest number of cells along x and y.
    """
    if num_frames < min_num_frames:
        return f"{num_frames} frames, fewer than {min_num_frames}"
    if terrain_shape is None:
        return "it has no terrain"
    if terrain_shape[0] > max_cells[0] or terrain_shape[1] > max_cells[1]:
        return f"terrain of {terrain_shape[0]} x {terrain_shape[1]} cells"
    return ""
