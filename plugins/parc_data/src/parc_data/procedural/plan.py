"""Input of the synthesis: footsteps along a route, in space and time, a style, and terrain."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import numpy as np
from numpy.typing import ArrayLike

from parc_motion.terrains import Terrain

__all__ = ["HEEL", "TOE", "Footstep", "Plan", "Route", "Style", "schedule"]

# sole of the humanoid's foot box, in the frame of the ankle, m
TOE = 0.1335
HEEL = -0.0435
ALWAYS = 1e9  # s; landing or lift time of a foot that stands at the start or end of the plan


@attrs.frozen(kw_only=True, eq=False)
class Route:
    """A curve on the ground, made of arcs, that the middle of the body follows."""

    arc: np.ndarray  # [k] m, length along the curve, increasing
    xy: np.ndarray  # [k, 2] m
    yaw: np.ndarray  # [k] rad

    @staticmethod
    def of(segments: Sequence[tuple[float, float]], before: float = 2.0, step: float = 0.02) -> Route:
        """A route from (length m, turning angle rad) segments; it starts `before` meters behind the origin, along x."""
        curvature = np.concatenate(
            [np.full(round(length / step), angle / length) for length, angle in segments]
        )
        yaw = np.concatenate([[0.0], np.cumsum(curvature) * step])
        mid = 0.5 * (yaw[1:] + yaw[:-1])
        xy = np.concatenate(
            [[[0.0, 0.0]], np.cumsum(step * np.stack([np.cos(mid), np.sin(mid)], -1), axis=0)]
        )
        return Route(arc=np.arange(len(yaw)) * step - before, xy=xy - [before, 0.0], yaw=yaw)

    def at(self, s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Point ``[..., 2]`` and direction ``[...]`` at length s."""
        xy = np.stack([np.interp(s, self.arc, self.xy[:, i]) for i in range(2)], axis=-1)
        return xy, np.interp(s, self.arc, self.yaw)


@attrs.frozen(kw_only=True)
class Footstep:
    """One foot standing flat in one place."""

    foot: int  # 0 right, 1 left
    pos: tuple[float, float, float]  # m, on the ground below the ankle
    yaw: float
    land: float  # s
    lift: float  # s
    toe_first: float = 0.0  # rad, pitch of the foot when its toes land


@attrs.frozen(kw_only=True)
class Style:
    """How the body moves over its footsteps."""

    leg: float = 0.805  # m, desired distance from hip to ankle of the stance leg
    clearance: float = 0.045  # m, of the swinging sole over the ground
    heel_off: float = 0.65  # rad, largest pitch of the foot that leaves while the other stands
    lean: float = 0.02  # rad, of the trunk, forward
    climb_lean: float = 1.3  # rad per meter of rise that lies just ahead
    arm_swing: float = 0.9  # rad per meter of distance between the feet
    elbow: float = 0.35  # rad
    arm_out: float = 1.36  # rad, from the T-pose down


@attrs.frozen(kw_only=True)
class Plan:
    """Everything that a motion is synthesized from."""

    name: str
    motion_class: str
    steps: tuple[Footstep, ...]
    terrain: Terrain
    start: float  # s, time window of the clip
    end: float
    style: Style = Style()


def schedule(
    route: Route,
    terrain: Terrain,
    arcs: ArrayLike,
    periods: ArrayLike,
    overlaps: ArrayLike,
    *,
    first_foot: int = 0,
    width: float = 0.14,
    stand_before: bool = False,
    stand_after: bool = False,
    toe_first: ArrayLike = 0.0,
) -> tuple[Footstep, ...]:
    """Alternating footsteps along a route.

    Args:
        arcs: length along the route of each ankle, m, ``[n]``.
        periods: time from each landing to the next, s, ``[n - 1]`` or one.
        overlaps: duration of double support after each landing but the first, s (negative: flight), ``[n - 1]`` or one.
        stand_before: the plan starts with both feet on the first two steps; time 0 is the landing of the second.
        stand_after: the plan ends with both feet on the last two steps.
        toe_first: pitch at each landing, rad, ``[n]`` or one.
    """
    along = np.asarray(arcs, dtype=float)
    n = len(along)
    pitch = np.broadcast_to(toe_first, n)
    land = np.concatenate([[0.0], np.cumsum(np.broadcast_to(periods, n - 1))])
    lift = np.concatenate([land[1:] + np.broadcast_to(overlaps, n - 1), [ALWAYS]])
    if stand_before:
        land[:2] = -ALWAYS
    if stand_after:
        lift[-2:] = ALWAYS
    xy, yaw = route.at(along)
    feet = (first_foot + np.arange(n)) % 2
    side = np.where(feet == 0, -0.5, 0.5) * width
    xy = xy + side[:, None] * np.stack([-np.sin(yaw), np.cos(yaw)], axis=-1)
    z = terrain.height_at(xy)
    return tuple(
        Footstep(
            foot=int(feet[i]),
            pos=(float(xy[i, 0]), float(xy[i, 1]), float(z[i])),
            yaw=float(yaw[i]),
            land=float(land[i]),
            lift=float(lift[i]),
            toe_first=float(pitch[i]),
        )
        for i in range(n)
    )
