"""Where both feet are at every moment: flat on their footsteps, and in clear arcs between them."""

from __future__ import annotations

import attrs
import numpy as np

from parc_data.procedural.plan import HEEL, TOE, Footstep, Plan
from parc_data.procedural.smooth import Curve, min_jerk

__all__ = ["ANKLE_HEIGHT", "FeetMotion", "move_feet"]

ANKLE_HEIGHT = 0.05  # m, ankle over the sole
_HALF_WIDTH = 0.045  # m, of the sole
_EDGE_MARGIN = 0.035  # m, that a swinging sole keeps from walls
_TOE_UP = 0.12  # rad, before landing
_MAX_HEEL_OFF_S = 0.16


@attrs.frozen(kw_only=True, eq=False)
class FeetMotion:
    """Both feet over time; axis 1 is (right, left)."""

    ankle: np.ndarray  # [n, 2, 3] m
    yaw: np.ndarray  # [n, 2] rad
    pitch: np.ndarray  # [n, 2] rad, heel up positive
    flat: np.ndarray  # [n, 2] bool, the whole sole stands
    down: np.ndarray  # [n, 2] bool, at least the toes stand


def move_feet(plan: Plan, time: np.ndarray) -> FeetMotion:
    """The feet of a plan at the times ``[n]``, evenly spaced, s."""
    n = len(time)
    out = FeetMotion(
        ankle=np.zeros((n, 2, 3)),
        yaw=np.zeros((n, 2)),
        pitch=np.zeros((n, 2)),
        flat=np.zeros((n, 2), bool),
        down=np.zeros((n, 2), bool),
    )
    for foot in range(2):
        steps = [step for step in plan.steps if step.foot == foot]
        toe, pitch, yaw = np.zeros((n, 3)), np.zeros(n), np.zeros(n)
        for i, step in enumerate(steps):
            on = (time >= step.land - 1e-6) & (time <= step.lift + 1e-6)
            if i == 0:
                on |= time < step.land
            if i == len(steps) - 1:
                on |= time > step.lift
            toe[on], yaw[on] = _toe_of(step), step.yaw
            out.down[on, foot] = out.flat[on, foot] = True
        for a, b in zip(steps[:-1], steps[1:]):
            _swing(plan, time, a, b, toe, pitch, yaw)
        out.flat[:, foot] &= np.abs(pitch) < 1e-3
        out.yaw[:, foot], out.pitch[:, foot] = yaw, pitch
        out.ankle[:, foot] = toe + _turned(np.array([-TOE, 0.0, ANKLE_HEIGHT]), yaw, pitch)
    return out


def _toe_of(step: Footstep) -> np.ndarray:
    return np.array(step.pos) + TOE * np.array([np.cos(step.yaw), np.sin(step.yaw), 0.0])


def _swing(
    plan: Plan, time: np.ndarray, a: Footstep, b: Footstep, toe: np.ndarray, pitch: np.ndarray, yaw: np.ndarray
) -> None:
    # writes the motion from footstep a to footstep b into toe, pitch and yaw
    phase = (time - a.lift) / (b.land - a.lift)
    air = (phase > 0.0) & (phase < 1.0)
    heel_off, moving = _heel_off_time(plan, a), time < b.land
    start, end = _toe_of(a), _toe_of(b)
    rise = b.pos[2] - a.pos[2]
    go = min_jerk(phase if rise <= 0.1 else (phase - 0.1) / 0.9)  # up a step: first up, then forward
    toe[air, :2] = (start + go[:, None] * (end - start))[air, :2]
    yaw[air] = a.yaw + (go * (b.yaw - a.yaw))[air]
    peak = plan.style.heel_off
    top = a.lift + 0.15 * (b.land - a.lift)
    tipped = peak * min_jerk((time - heel_off) / (top - heel_off)) * (1.0 - min_jerk((phase - 0.15) / 0.6))
    toe_up = _TOE_UP * min_jerk((phase - 0.45) / 0.3) * (1.0 - min_jerk((phase - 0.72) / 0.28))
    during = (time > heel_off) & moving
    pitch[during] = (tipped - toe_up)[during]
    inside = np.flatnonzero(air)
    if len(inside):
        toe[inside, 2] = _heights(plan, a, b, inside, phase[inside], toe, pitch, yaw, time[1] - time[0])


def _heel_off_time(plan: Plan, a: Footstep) -> float:
    # the heel leaves when the other foot has landed; without double support, when the whole foot leaves
    landings = [s.land for s in plan.steps if s.foot != a.foot and a.land < s.land < a.lift]
    return max(max(landings), a.lift - _MAX_HEEL_OFF_S) if landings else a.lift


def _heights(
    plan: Plan,
    a: Footstep,
    b: Footstep,
    inside: np.ndarray,
    phase: np.ndarray,
    toe: np.ndarray,
    pitch: np.ndarray,
    yaw: np.ndarray,
    dt: float,
) -> np.ndarray:
    lift = plan.style.clearance * np.minimum(1.0, 1.15 * np.sin(np.pi * phase) ** 0.75)
    floor = _lowest_allowed(plan, toe[inside], yaw[inside], pitch[inside]) + lift
    # two samples on the ground at each side fix height and speed there
    n = len(inside) + 4
    mid = np.arange(2, n - 2)
    wish = a.pos[2] + min_jerk(phase) * (b.pos[2] - a.pos[2]) + lift
    curve = Curve(n, dt).jerk(60.0).near(mid, wish, 1.0 / 0.15)
    curve.near(np.array([0, 1]), a.pos[2], 1e5).near(np.array([n - 2, n - 1]), b.pos[2], 1e5)
    return curve.at_least(mid, floor, 3e3).solve()[mid]


def _lowest_allowed(plan: Plan, toe: np.ndarray, yaw: np.ndarray, pitch: np.ndarray) -> np.ndarray:
    # height of the toe at which the widened sole just touches the ground below any of its points, [k] m
    x = np.linspace(HEEL - _EDGE_MARGIN, TOE + _EDGE_MARGIN, 6) - TOE
    y = (_HALF_WIDTH + 0.02) * np.array([-1.0, 0.0, 1.0])
    grid = np.stack(np.meshgrid(x, y, [0.0], indexing="ij"), axis=-1).reshape(-1, 3)
    points = np.stack([_turned(point, yaw, pitch) for point in grid], axis=1)  # [k, p, 3]
    ground = plan.terrain.height_at(toe[:, None, :2] + points[..., :2])
    return (ground - points[..., 2]).max(axis=1)


def _turned(point: np.ndarray, yaw: np.ndarray, pitch: np.ndarray) -> np.ndarray:
    forward = point[0] * np.cos(pitch) + point[2] * np.sin(pitch)
    up = point[2] * np.cos(pitch) - point[0] * np.sin(pitch)
    return np.stack(
        [
            forward * np.cos(yaw) - point[1] * np.sin(yaw),
            forward * np.sin(yaw) + point[1] * np.cos(yaw),
            up,
        ],
        axis=-1,
    )
