"""What `parc data validate` looks for, from when on it matters, and how a fault is told."""

from __future__ import annotations

from typing import Any, Literal

import attrs
import numpy as np

from parc_core.config import setting
from parc_data.runs import runs

__all__ = ["LEVELS", "ClipReport", "Finding", "Level", "ValidateConfig", "frame_runs", "worst_of"]

Level = Literal["error", "warning", "note"]
LEVELS: tuple[Level, ...] = ("error", "warning", "note")


@attrs.frozen(kw_only=True)
class ValidateConfig:
    """From when on a property of a clip is reported."""

    min_num_frames: int = setting(15, ge=1, unit="frames", help="shorter clips cannot be used for training")
    max_length: float = setting(120.0, gt=0, unit="s", help="longer clips are noted")
    min_fps: float = setting(15.0, gt=0, unit="1/s", help="lower frame rates are doubtful")
    max_fps: float = setting(240.0, gt=0, unit="1/s", help="higher frame rates are doubtful")
    max_terrain_dim: int = setting(1001, ge=1, unit="cells", help="wider terrain is left out of data sets")
    max_root_speed: float = setting(
        12.0, gt=0, unit="m/s", help="faster is a teleport; a sprinter reaches 12"
    )
    max_joint_speed: float = setting(50.0, gt=0, unit="rad/s", help="faster is a jump of that joint")
    max_limit_excess: float = setting(0.02, ge=0, unit="rad", help="how far a joint may leave its limits")
    max_slide: float = setting(0.03, ge=0, unit="m", help="how far a foot may slide during one contact")
    max_penetration: float = setting(0.03, ge=0, unit="m", help="how deep the body may be in the ground")
    max_contact_gap: float = setting(
        0.05, ge=0, lt=0.25, unit="m", help="how far from the ground a body with a contact label may be"
    )
    max_deficit: float = setting(
        0.3, ge=0, unit="m/s", help="upward speed that a take-off may lack for its flight"
    )
    max_speed_change: float = setting(
        0.5, ge=0, unit="m/s", help="how much the horizontal velocity may change during a flight"
    )
    flight_height: float = setting(
        0.02,
        ge=0,
        lt=0.25,
        unit="m",
        help="a body nearer to the ground may stand on it, whatever its labels say",
    )


@attrs.frozen(kw_only=True)
class Finding:
    """One fault of one clip."""

    check: str  # e.g. "penetration"
    level: Level
    text: str  # one sentence with the value
    where: str = ""  # body, joint or field
    frames: tuple[tuple[int, int], ...] = ()  # runs of frames, first and last of each
    worst_frame: int | None = None
    value: float | None = None  # the worst
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


def frame_runs(bad: np.ndarray) -> tuple[tuple[int, int], ...]:
    """First and last frame of every run of True in ``[T]``."""
    return tuple((int(first), int(stop) - 1) for first, stop in runs(bad))


def worst_of(
    values: np.ndarray, limit: float, check: str, level: Level, text: str, unit: str, where: str = ""
) -> list[Finding]:
    """One finding if any of ``[T]`` values exceeds the limit, none otherwise.

    Args:
        text: sentence with places for `where`, `value` (the worst) and `frame` (its frame).
    """
    bad = values > limit
    if not bad.any():
        return []
    frame = int(values.argmax())
    value = float(values[frame])
    return [
        Finding(
            check=check,
            level=level,
            text=text.format(where=where, value=value, frame=frame),
            where=where,
            frames=frame_runs(bad),
            worst_frame=frame,
            value=value,
            limit=limit,
            unit=unit,
        )
    ]
