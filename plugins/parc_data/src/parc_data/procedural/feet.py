"""Motion of the feet: flat on their footsteps, and in arcs that clear the ground between them."""

from __future__ import annotations

import itertools

import attrs
import numpy as np

from parc_data.procedural.plan import HEEL, TOE, Footstep, Plan
from parc_data.procedural.smooth import Curve, blur, min_jerk

__all__ = ["ANKLE_HEIGHT", "FeetMotion", "move_feet"]

ANKLE_HEIGHT = 0.05  # m, ankle over the sole
_HALF_WIDTH = 0.045  # m, of the sole
_EDGE_MARGIN = 0.045  # m, that a swinging sole keeps from walls
_MAX_DORSIFLEXION = 0.75  # rad, desired limit of a swinging foot; the joint allows 0.96
_TOE_UP = 0.12  # rad, before landing
_LEG_SPACE = 0.13  # m, from ankle to ankle when one passes the other
_MAX_HEEL_OFF_S = 0.18
_SAME_TIME = 1e-6  # s
_ROLL_S = 0.13  # s, from the toes' landing to the whole sole's


@attrs.frozen(kw_only=True, eq=False)
class FeetMotion:
    """Both feet over time; axis 1 is (right, left)."""

    toe: np.ndarray  # [n, 2, 3] m, middle of the sole's front edge
    yaw: np.ndarray  # [n, 2] rad
    pitch: np.ndarray  # [n, 2] rad, heel up positive
    flat: np.ndarray  # [n, 2] bool, the whole sole stands
    down: np.ndarray  # [n, 2] bool, at least the toes stand

    @property
    def ankle(self) -> np.ndarray:
        """Ankles, ``[n, 2, 3]`` m."""
        return self.toe + _turned(np.array([-TOE, 0.0, ANKLE_HEIGHT]), self.yaw, self.pitch)

    def airborne(self, foot: int, dt: float) -> np.ndarray:
        """0 while any part of the foot is on the ground, rising smoothly to 1 in the middle of a swing, ``[n]``."""
        return _away(self.down[:, foot], dt)

    def relaxed(self, ankle_angle: np.ndarray, dt: float) -> FeetMotion:
        """The feet with the heels of swinging feet raised where the ankle would bend up too far.

        Args:
            ankle_angle: rotation of the ankles about their y axis, ``[n, 2]`` rad.
        """
        excess = np.maximum(-_MAX_DORSIFLEXION - ankle_angle, 0.0)
        extra = np.zeros_like(excess)
        for foot in range(2):
            extra[:, foot] = 1.3 * _away(self.flat[:, foot], dt) * blur(excess[:, foot], 0.04 / dt)
        return attrs.evolve(self, pitch=self.pitch + extra)


def move_feet(plan: Plan, time: np.ndarray) -> FeetMotion:
    """The feet of a plan at the times ``[n]``, evenly spaced, s."""
    n = len(time)
    out = FeetMotion(
        toe=np.zeros((n, 2, 3)),
        yaw=np.zeros((n, 2)),
        pitch=np.zeros((n, 2)),
        flat=np.zeros((n, 2), bool),
        down=np.zeros((n, 2), bool),
    )
    for foot in range(2):
        steps = [step for step in plan.steps if step.foot == foot]
        toe, pitch, yaw = np.zeros((n, 3)), np.zeros(n), np.zeros(n)
        for i, step in enumerate(steps):
            on = (time >= step.land - _SAME_TIME) & (time <= step.lift + _SAME_TIME)
            if i == 0:
                on |= time < step.land
            if i == len(steps) - 1:
                on |= time > step.lift
            toe[on], yaw[on] = _toe_of(step), step.yaw
            out.down[on, foot] = out.flat[on, foot] = True
        for a, b in itertools.pairwise(steps):
            _swing(plan, time, a, b, toe, pitch, yaw)
        out.flat[:, foot] &= np.abs(pitch) < 1e-3
        out.yaw[:, foot], out.pitch[:, foot] = yaw, pitch
        out.toe[:, foot] = toe
    return out


def _away(standing: np.ndarray, dt: float) -> np.ndarray:
    far = blur((~standing).astype(float), 0.05 / dt)
    return np.where(standing, 0.0, min_jerk(2.0 * far - 1.0))


def _toe_of(step: Footstep) -> np.ndarray:
    return np.array(step.pos) + TOE * np.array([np.cos(step.yaw), np.sin(step.yaw), 0.0])


def _swing(
    plan: Plan,
    time: np.ndarray,
    a: Footstep,
    b: Footstep,
    toe: np.ndarray,
    pitch: np.ndarray,
    yaw: np.ndarray,
) -> None:
    # writes the motion from footstep a to footstep b into toe, pitch and yaw
    phase = (time - a.lift) / (b.land - a.lift)
    air = (time > a.lift + _SAME_TIME) & (time < b.land - _SAME_TIME)
    heel_off = _heel_off_time(plan, a)
    start, end = _toe_of(a), _toe_of(b)
    rise = b.pos[2] - a.pos[2]
    if rise > 0.1:  # first up, then forward
        wait = min(0.1 + 0.25 * (rise - 0.15), 0.25)
        go = min_jerk((phase - wait) / (1.0 - wait))
    else:  # off a box: forward before down
        go = _forward(np.clip(phase, 0.0, 1.0) ** (0.75 if rise < -0.25 else 1.0))
    bow = 16.0 * (go * (1.0 - go)) ** 2
    toe[air, :2] = (start + go[:, None] * (end - start))[air, :2] + bow[air, None] * _detour(plan, a, b)
    yaw[air] = a.yaw + (go * (b.yaw - a.yaw))[air]
    peak = plan.style.heel_off
    top = a.lift + (0.02 if rise > 0.25 else 0.15) * (b.land - a.lift)
    tipped = peak * min_jerk((time - heel_off) / (top - heel_off)) * (1.0 - min_jerk((phase - 0.15) / 0.6))
    landing = b.toe_first * min_jerk((phase - 0.5) / 0.4) * (1.0 - min_jerk((time - b.land) / _ROLL_S))
    toe_up = _TOE_UP * min_jerk((phase - 0.45) / 0.3) * (1.0 - min_jerk((phase - 0.72) / 0.28))
    during = (time > heel_off) & (time < b.land + _ROLL_S)
    pitch[during] = (tipped + landing - (toe_up if b.toe_first == 0.0 else 0.0))[during]
    inside = np.flatnonzero(air)
    if len(inside):
        toe[inside, 2] = _heights(plan, a, b, inside, phase[inside], toe, pitch, yaw, time[1] - time[0])


def _detour(plan: Plan, a: Footstep, b: Footstep) -> np.ndarray:
    # how far the swing has to bow outwards to pass the standing leg, [2] m
    standing = [s for s in plan.steps if s.foot != a.foot and s.land < 0.5 * (a.lift + b.land) < s.lift]
    along = np.array(b.pos[:2]) - np.array(a.pos[:2])
    length = float(np.linalg.norm(along))
    if not standing or length < 0.1:
        return np.zeros(2)
    outwards = np.array([-along[1], along[0]]) / length * (-1.0 if a.foot == 0 else 1.0)
    distance = float((np.array(a.pos[:2]) - np.array(standing[-1].pos[:2])) @ outwards)
    return max(0.0, _LEG_SPACE - distance) * outwards


def _forward(phase: np.ndarray) -> np.ndarray:
    # arrives later than a minimum-jerk swing, so that the foot is not stretched far ahead of the body
    u = np.clip(phase, 0.0, 1.0)
    return 0.4 * min_jerk(u) + 0.6 * u * u * (3.0 - 2.0 * u)


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
    lift = plan.style.clearance * min_jerk(phase / 0.4) * min_jerk((1.0 - phase) / 0.5)
    floor = _lowest_allowed(plan, toe[inside], yaw[inside], pitch[inside]) + lift
    # two samples on the ground at each side fix height and speed there
    n = len(inside) + 4
    mid = np.arange(2, n - 2)
    wish = a.pos[2] + min_jerk(phase) * (b.pos[2] - a.pos[2]) + lift
    curve = Curve(n, dt).jerk(100.0).near(mid, wish, 1.0 / 0.03)
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
