"""What a retargeted clip is worth: distances from the targets, sliding, penetration, joint limits."""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np

__all__ = ["Error", "RetargetReport"]


@attrs.frozen(kw_only=True)
class Error:
    """Distances over the frames of a clip, m."""

    mean: float
    p95: float
    max: float

    @classmethod
    def of(cls, distances: np.ndarray) -> Error:
        """The statistics of distances of any shape, m; zeros where there are none."""
        if not distances.size:
            return cls(mean=0.0, p95=0.0, max=0.0)
        return cls(
            mean=float(distances.mean()), p95=float(np.quantile(distances, 0.95)), max=float(distances.max())
        )


@attrs.frozen(kw_only=True)
class RetargetReport:
    """How a clip was retargeted and how good it is."""

    method: str  # copy | ik | partial
    scale: float  # of the source's hips about its ground
    key_bodies: dict[str, Error]  # distance of each hand, foot and the head from its target
    key_body_error: Error  # over all of them
    foot_slide: Error  # of a standing foot per frame step
    max_penetration_m: float  # of any surface point into the ground
    max_joint_limit_rad: float  # furthest that a coordinate is outside its limits
    frames_over_limit: int
    warnings: tuple[str, ...] = ()
    notes: dict[str, Any] = attrs.field(factory=dict)  # JSON values

    def to_json(self) -> dict[str, Any]:
        """The report as JSON values."""
        return attrs.asdict(self)

    @property
    def sentence(self) -> str:
        """The report for people, in one sentence."""
        if self.method == "partial":
            return f"Only the root and the trunk could be moved: {'; '.join(self.warnings)}."
        how = "copied joint by joint" if self.method == "copy" else "fitted by inverse kinematics"
        worst = max(self.key_bodies, key=lambda name: self.key_bodies[name].mean, default="")
        text = (
            f"{how[0].upper()}{how[1:]} at scale {self.scale:.3f}: hands, feet and head are "
            f"{100 * self.key_body_error.mean:.2f} cm from their targets in the mean "
            f"(worst {worst} {100 * self.key_bodies[worst].mean:.2f} cm), standing feet slide "
            f"{1000 * self.foot_slide.mean:.1f} mm per frame (at most {1000 * self.foot_slide.max:.1f}), the ground is "
            f"entered by at most {100 * self.max_penetration_m:.1f} cm, "
        )
        if self.max_joint_limit_rad > 0:
            over = np.degrees(self.max_joint_limit_rad)
            text += (
                f"joint limits are exceeded by up to {over:.1f} degrees in {self.frames_over_limit} frames"
            )
        else:
            text += "and no joint limit is exceeded"
        return text + "".join(f"; {warning}" for warning in self.warnings) + "."
