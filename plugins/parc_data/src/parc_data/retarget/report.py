"""What a retargeted clip is worth: distances from the targets, sliding, penetration, joint limits."""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np
import torch

from parc_core.data.skeleton import Skeleton
from parc_core.data.terrain import Terrain
from parc_core.geometry.distance import penetration_depth
from parc_core.geometry.packed import PackedTerrains
from parc_core.kinematics.forward import Kinematics
from parc_core.kinematics.surface import surface_points
from parc_core.metrics.motion import joint_limit_excess

__all__ = ["Error", "RetargetReport", "measure_slides", "posed_points"]


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
            f"{100 * self.key_body_error.mean:.1f} cm from their targets in the mean "
            f"(worst {worst} {100 * self.key_bodies[worst].mean:.1f} cm), standing feet slide "
            f"{1000 * self.foot_slide.mean:.1f} mm per frame (at most {1000 * self.foot_slide.max:.1f}), the ground is "
            f"entered by at most {100 * self.max_penetration_m:.1f} cm, "
        )
        if self.max_joint_limit_rad > 0:
            over = np.degrees(self.max_joint_limit_rad)
            text += f"joint limits are exceeded by up to {over:.1f} degrees in {self.frames_over_limit} frames"
        else:
            text += "and no joint limit is exceeded"
        return text + "".join(f"; {warning}" for warning in self.warnings) + "."


@attrs.frozen(kw_only=True, eq=False)
class PosedPoints:
    """A retargeted motion in the world."""

    body_pos: np.ndarray  # [T, B, 3] m
    body_rot: np.ndarray  # [T, B, 4]
    points: np.ndarray  # [T, P, 3] m, on the surface
    body: np.ndarray  # [P]
    limit_excess: np.ndarray  # [T, D] rad


def posed_points(
    skeleton: Skeleton, root_pos: np.ndarray, root_rot: np.ndarray, joint_rot: np.ndarray
) -> PosedPoints:
    """Bodies, surface points and limit excess of a motion as a file would hold it (float32 values)."""
    kinematics = Kinematics(skeleton, dtype=torch.float64)
    arrays = [
        torch.from_numpy(np.asarray(a, dtype=np.float32).astype(np.float64)) for a in (root_pos, root_rot, joint_rot)
    ]
    pos, rot = kinematics.forward(*arrays)
    surface = surface_points(skeleton, dtype=torch.float64)
    dof = kinematics.joint_rot_to_dof(arrays[2])
    return PosedPoints(
        body_pos=pos.numpy(),
        body_rot=rot.numpy(),
        points=surface.world(pos, rot).numpy(),
        body=surface.body.numpy(),
        limit_excess=joint_limit_excess(dof, kinematics.dof_lower, kinematics.dof_upper).numpy(),
    )


def measure_slides(posed: PosedPoints, held: dict[int, np.ndarray], band: float = 0.02) -> np.ndarray:
    """Horizontal movement of standing bodies per frame step, ``[n]`` m, the least among the points that touch.

    Args:
        held: body -> ``[T]`` bool.
        band: points up to this far above the body's lowest one touch, m.

    Source: as `parc_core.metrics.ground.contact_slides`, which adds the steps of a contact up.
    """
    slides = []
    for body, frames in held.items():
        points = posed.points[:, posed.body == body]
        both = frames[1:] & frames[:-1]
        if not both.any() or not points.shape[1]:
            continue
        low = points[..., 2] <= points[..., 2].min(axis=1, keepdims=True) + band
        moved = np.linalg.norm(np.diff(points[..., :2], axis=0), axis=-1)
        touching = low[1:] & low[:-1]
        least = np.where(touching, moved, np.inf).min(axis=1)
        least = np.where(touching.any(axis=1), least, moved.min(axis=1))
        slides.append(least[both])
    return np.concatenate(slides) if slides else np.zeros(0)


def deepest(posed: PosedPoints, terrain: Terrain | None, ground: float | None) -> float:
    """Deepest surface point inside the ground, m; 0 where no ground is known."""
    if terrain is not None:
        packed = PackedTerrains.of([terrain], dtype=torch.float64)
        points = torch.from_numpy(posed.points)[None]
        return float(penetration_depth(packed, torch.zeros(1, dtype=torch.long), points).max())
    if ground is None or not posed.points.size:
        return 0.0
    return max(0.0, ground - float(posed.points[..., 2].min()))
