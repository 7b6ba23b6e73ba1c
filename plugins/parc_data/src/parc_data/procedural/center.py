"""The center of mass over the footsteps: ballistic in flight, balanced over the standing foot otherwise.

With no change of angular momentum about the center of mass c, the ground force passes through it, so that the point
p where it acts obeys (c - p)_xy (c_z'' + g) = c_xy'' (c - p)_z. Given the height over time, that is linear in c_xy.
"""

from __future__ import annotations

import itertools

import attrs
import numpy as np

from parc_data.procedural.feet import ANKLE_HEIGHT, FeetMotion
from parc_data.procedural.plan import ALWAYS, Plan
from parc_data.procedural.smooth import Curve, blur, min_jerk

__all__ = ["GRAVITY", "Support", "center_height", "center_over_ground", "support_of"]

GRAVITY = 9.81  # m/s^2
_SOLE_CENTER = 0.06  # m ahead of the ankle
_SHIFT_S = 0.5  # s, to shift the weight off a foot when starting from, or coming to, a stand
_LEG_MAX = 0.828  # m, hip to ankle with the knee bent by 9 degrees
_LEG_MIN = 0.36  # m
_RISE_AHEAD_S = 0.12
_FLIGHT_WEIGHT = 30.0


@attrs.frozen(kw_only=True, eq=False)
class Support:
    """The support of the body over time."""

    point: np.ndarray  # [n, 3] m, desired center of pressure
    yaw: np.ndarray  # [n] rad, direction of the standing feet
    flight: np.ndarray  # [n] bool, nothing touches the ground


def support_of(plan: Plan, feet: FeetMotion, time: np.ndarray) -> Support:
    """The support, which moves from footstep to footstep during double support."""
    steps = plan.steps
    soles = [np.array(s.pos) + _SOLE_CENTER * np.array([np.cos(s.yaw), np.sin(s.yaw), 0.0]) for s in steps]
    point = np.tile(soles[0], (len(time), 1))
    yaw = np.full(len(time), steps[0].yaw)
    for i, (a, b) in enumerate(itertools.pairwise(steps)):
        share = _handover(time, b.land, a.lift)[:, None]
        point += share * (soles[i + 1] - soles[i])
        yaw += share[:, 0] * (b.yaw - a.yaw)
    return Support(point=point, yaw=yaw, flight=np.logical_not(feet.down.any(axis=1)))


def _handover(time: np.ndarray, land: float, lift: float) -> np.ndarray:
    if land <= -ALWAYS and lift >= ALWAYS:
        return np.full(len(time), 0.5)
    if land <= -ALWAYS:
        return 0.5 + 0.5 * min_jerk((time - lift + _SHIFT_S) / _SHIFT_S)
    if lift >= ALWAYS:
        return 0.5 * min_jerk((time - land) / _SHIFT_S)
    if lift > land:
        return min_jerk((time - land) / (lift - land))
    return (time > 0.5 * (land + lift)).astype(float)


def center_height(
    plan: Plan, feet: FeetMotion, support: Support, hips: np.ndarray, offset: np.ndarray, dt: float
) -> np.ndarray:
    """Height of the center of mass, ``[n]`` m.

    Args:
        hips: both hip joints relative to the center of mass in the ground plane, plus that center: ``[n, 2, 2]`` m.
        offset: height of the center of mass over the hips, ``[n]`` m.
    """
    n = len(offset)
    away = np.linalg.norm(hips - feet.ankle[..., :2], axis=-1)  # [n, 2]
    reach = np.sqrt(np.maximum(_LEG_MAX**2 - away**2, 0.3**2))
    most = (feet.ankle[..., 2] + reach).min(axis=1) + offset
    shortest = np.sqrt(np.maximum(_LEG_MIN**2 - away**2, 0.0))
    least = np.where(feet.down, feet.ankle[..., 2] + shortest, -np.inf).max(axis=1) + offset
    ground = blur(support.point[:, 2], 0.06 / dt)
    early = round(_RISE_AHEAD_S / dt)  # the rear leg pushes the body up a step before it lifts off
    ground = np.maximum(ground, np.pad(ground, (0, early), mode="edge")[early:])
    wish = np.minimum(ground + ANKLE_HEIGHT + plan.style.leg + offset, most - 0.004)
    curve = Curve(n, dt).jerk(50.0).near(np.arange(n), wish, 1.0 / 0.03)
    flying = np.flatnonzero(support.flight)
    flying = flying[(flying > 0) & (flying < n - 1)]
    heavy = np.full(len(flying), _FLIGHT_WEIGHT)
    curve.relation(flying, np.zeros(len(flying)), heavy, -GRAVITY * heavy)
    standing = np.flatnonzero(~support.flight[1:-1]) + 1
    curve.second_at_least(standing, -0.8 * GRAVITY, 3.0).second_at_least(standing, 2.5 * GRAVITY, -3.0)
    curve.at_most(np.arange(n), most, 1e4)
    low = np.flatnonzero(np.isfinite(least))
    return curve.at_least(low, least[low], 1e3).solve()


def center_over_ground(support: Support, height: np.ndarray, dt: float) -> np.ndarray:
    """The center of mass in the ground plane, ``[n, 2]`` m, for its height ``[n]`` m."""
    n = len(height)
    inner = np.arange(1, n - 1)
    force = np.zeros(n)
    force[inner] = (height[2:] - 2 * height[1:-1] + height[:-2]) / dt**2 / GRAVITY + 1.0
    weight = np.where(support.flight, _FLIGHT_WEIGHT, 1.0) / 0.012
    a = (weight * np.where(support.flight, 0.0, force))[inner]
    b = -(weight * (height - support.point[:, 2]) / GRAVITY)[inner]
    mean = blur(support.point[:, :2], 0.25 / dt)
    every = np.arange(n)
    return np.stack(
        [
            Curve(n, dt)
            .jerk(40.0)
            .near(every, mean[:, i], 1.0 / 0.4)
            .relation(inner, a, b, a * support.point[inner, i])
            .solve()
            for i in range(2)
        ],
        axis=-1,
    )
