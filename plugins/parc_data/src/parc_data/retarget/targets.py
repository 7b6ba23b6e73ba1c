"""Where the character's bodies should be: the source's limb directions on the character's bones, standing where it stands.

The source's hips give the root, scaled by leg length about its ground (not scaled where a terrain is given: its boxes
do not shrink). From there the character's own bones follow the source's directions, so hands, feet and head can be
reached. Then every foothold gets one place; the root follows its feet, and what is left of the difference fades in
and out around the stance.
"""

from __future__ import annotations

import attrs
import numpy as np
from scipy.spatial.transform import Rotation

from parc_core.data.terrain import Terrain
from parc_data.retarget.anatomy import Anatomy
from parc_data.retarget.body_plan import BodyPlan
from parc_data.retarget.frames import smooth, transform
from parc_data.retarget.landmarks import SIDES
from parc_data.retarget.pose_guess import turned_bodies
from parc_data.retarget.stance import HAND_REACH, Foothold, Footing

__all__ = ["Pin", "Targets", "make_targets"]

_FADE_S = 0.25  # time in which a foothold's correction fades
_FOLLOW_S = 0.12  # width of the smoothing of the root's correction
_DRIFT, _TURN = 0.03, 0.15  # m, rad that a standing foot may creep and still stand still
_ROLL_S = 0.04  # width of the smoothing of the change from flat to heel or toes
_LEVEL = 0.03  # rad of pitch up to which heel and toes are both down
_SLIDE_S = 0.1  # width of the smoothing of a foot that does slide
_SNAP = 0.08  # m between the source's foothold and the ground that are taken for the same
_HAND_SHARE = 0.5  # a hold counts so much of a foothold where the root has to choose


@attrs.frozen(kw_only=True, eq=False)
class Pin:
    """A point of a body that stays in one place for some frames."""

    body: int
    local: np.ndarray  # [3] m
    pos: np.ndarray  # [n, 3] m
    frames: np.ndarray  # [n] int64


@attrs.frozen(kw_only=True, eq=False)
class Targets:
    """Goals of one motion for one character."""

    body_pos: np.ndarray  # [T, B, 3] m
    body_rot: np.ndarray  # [T, B, 3, 3]
    pins: tuple[Pin, ...]
    held: dict[int, np.ndarray]  # body -> [T] bool, feet and hands that stay in place
    scale: float


def make_targets(
    anatomy: Anatomy, plan: BodyPlan, footing: Footing, fps: float, terrain: Terrain | None, scale: float | None
) -> Targets:
    """The targets of a motion; `scale` None: by leg length, 1 on a terrain."""
    if scale is None:
        scale = 1.0 if terrain is not None else plan.leg_length / anatomy.leg_length
    ground = _Ground(terrain, footing.ground, scale)
    turned = turned_bodies(anatomy, plan)
    pos = _chain_positions(plan, turned, _root(anatomy, plan, footing, turned, ground))
    corrections = {plan.landmarks[f"{s}_ankle"]: _foot(anatomy, plan, footing, s, pos, ground, fps) for s in SIDES}
    for side in SIDES:
        wrist = plan.landmarks[f"{side}_wrist"]
        corrections[wrist] = _hand(plan, footing, side, pos[:, wrist], ground)
    shift = _follow([c for c in corrections.values()], fps)
    pos = pos + shift[:, None]
    for body, correction in corrections.items():
        correction.move[correction.held] -= shift[correction.held]
        pos[:, body] += _fade(correction.move, correction.held, fps)
        if correction.turn is not None:
            turn = Rotation.from_rotvec(_fade(correction.turn, correction.held, fps)).as_matrix()
            turned[:, body] = turn @ turned[:, body]
    return Targets(
        body_pos=pos,
        body_rot=turned,
        pins=tuple(pin for c in corrections.values() for pin in c.pins),
        held={body: c.held for body, c in corrections.items()},
        scale=scale,
    )


@attrs.frozen(kw_only=True)
class _Correction:
    """What keeps a foot or hand in place: movement and turn of its target, zero outside its holds."""

    move: np.ndarray  # [T, 3] m
    turn: np.ndarray | None  # [T, 3] rad
    held: np.ndarray  # [T] bool
    pins: list[Pin]
    share: float


@attrs.frozen
class _Ground:
    terrain: Terrain | None
    level: float
    scale: float

    def height(self, xy: np.ndarray) -> float:
        """Height of the ground at a place of the character's world, m."""
        return self.level if self.terrain is None else float(self.terrain.height_at(xy))

    def sole_level(self, source_level: float, *places: np.ndarray) -> float:
        """Where a sole stands that stood at `source_level` in the source's world, m."""
        wanted = self.level + self.scale * (source_level - self.level) if self.terrain is None else source_level
        heights = [self.height(place[:2]) for place in places]
        near = [height for height in heights if abs(height - wanted) < _SNAP]
        return max(near) if near else wanted


def _root(
    anatomy: Anatomy, plan: BodyPlan, footing: Footing, turned: np.ndarray, ground: _Ground
) -> np.ndarray:
    hips, marks = anatomy.pos["hips"], plan.landmarks
    sole = float(np.mean([sole.height for sole in plan.soles.values()]))
    pos = hips[0] + ground.scale * (hips - hips[0])
    rise = footing.ankle_rise
    if ground.terrain is None:
        pos[:, 2] = ground.level + sole + ground.scale * (hips[:, 2] - ground.level - rise)
    middle = 0.5 * (plan.rest_pos[marks["left_hip"]] + plan.rest_pos[marks["right_hip"]])
    return pos - transform(turned[:, 0], middle)


def _chain_positions(plan: BodyPlan, turned: np.ndarray, root: np.ndarray) -> np.ndarray:
    pos = [root]
    for body, parent in enumerate(plan.skeleton.parents[1:], start=1):
        pos.append(pos[parent] + transform(turned[:, parent], plan.skeleton.offsets[body].astype(float)))
    return np.stack(pos, axis=1)


def _foot(
    anatomy: Anatomy, plan: BodyPlan, footing: Footing, side: str, pos: np.ndarray, ground: _Ground, fps: float
) -> _Correction:
    body = plan.landmarks[f"{side}_ankle"]
    frames = len(pos)
    correction = _Correction(
        move=np.zeros((frames, 3)), turn=np.zeros((frames, 3)), held=np.zeros(frames, bool), pins=[], share=1.0
    )
    for hold in footing.feet[side]:
        _stand(correction, hold, anatomy, plan, side, body, pos[:, body], ground, fps)
    return correction


def _stand(
    correction: _Correction,
    hold: Foothold,
    anatomy: Anatomy,
    plan: BodyPlan,
    side: str,
    body: int,
    chain: np.ndarray,
    ground: _Ground,
    fps: float,
) -> None:
    """Enter one foothold: where its toes are and where they point to, the heel behind, the ankle above."""
    span = slice(hold.first, hold.stop)
    sole, foot = plan.soles[side], anatomy.feet[side][span]
    heel, toe = (plan.frame.T @ p for p in (sole.heel, sole.toe))  # ahead, left, up
    yaw = settled(np.unwrap(np.arctan2(foot[:, 1, 0], foot[:, 0, 0]))[:, None], _TURN, fps)[:, 0]
    pitch = _pitch(foot, hold, fps)
    frames = Rotation.from_euler("ZY", np.stack([yaw, pitch], axis=-1)).as_matrix()
    ankle = chain[span] if ground.terrain is None else anatomy.pos[f"{side}_ankle"][span]
    lead = ankle + transform(frames, toe)
    if ground.terrain is not None and f"{side}_toe" in anatomy.pos and not (hold.heel & hold.toe).any():
        lead = anatomy.pos[f"{side}_toe"][span]
    lead = _held_values(lead, hold.toe) if hold.toe.any() else lead
    places = np.empty((hold.stop - hold.first, 3))
    places[:, :2] = settled(lead[:, :2], _DRIFT, fps)
    places[:, 2] = ground.sole_level(hold.level, places[0], places[-1])
    flat = Rotation.from_rotvec(yaw[:, None] * np.array([0.0, 0.0, 1.0])).as_matrix()
    target = places - transform(frames, toe)
    back = places + transform(flat, heel - toe)
    on_heel = pitch < 0
    target[on_heel] = (back - transform(frames, heel))[on_heel]
    for local, place, down in ((toe, places, hold.toe & (pitch > -_LEVEL)), (heel, back, hold.heel & (pitch < _LEVEL))):
        correction.pins.append(
            Pin(body=body, local=plan.frame @ local, pos=place[down], frames=hold.first + np.flatnonzero(down))
        )
    correction.held[span] = True
    correction.move[span] = target - chain[span]
    correction.turn[span] = Rotation.from_matrix(frames @ np.swapaxes(foot, -1, -2)).as_rotvec()


def settled(path: np.ndarray, tolerance: float, fps: float) -> np.ndarray:
    """The path standing still, as long as it stays in a box of twice the tolerance; else following it with that slack.

    Noise and creeping end; a foot that really slides or turns on the spot does so smoothly.
    """
    if np.all(np.ptp(path, axis=0) <= 2.0 * tolerance):
        return np.broadcast_to(np.median(path, axis=0), path.shape).copy()
    loose = path.copy()
    for t in range(1, len(path)):
        loose[t] = np.clip(loose[t - 1], path[t] - tolerance, path[t] + tolerance)
    return smooth(loose, _SLIDE_S * fps)


def _pitch(foot: np.ndarray, hold: Foothold, fps: float) -> np.ndarray:
    """How far the toes of a standing foot point down: 0 while heel and toe are down, else as the source, ``[n]`` rad."""
    drop = np.arctan2(-foot[:, 2, 0], np.linalg.norm(foot[:, :2, 0], axis=-1))
    pitch = np.where(hold.heel & hold.toe, 0.0, np.where(hold.toe, np.maximum(drop, 0.0), np.minimum(drop, 0.0)))
    return smooth(pitch, _ROLL_S * fps)


def _hand(plan: BodyPlan, footing: Footing, side: str, chain: np.ndarray, ground: _Ground) -> _Correction:
    body, frames = plan.landmarks[f"{side}_wrist"], len(chain)
    correction = _Correction(
        move=np.zeros((frames, 3)), turn=None, held=np.zeros(frames, bool), pins=[], share=_HAND_SHARE
    )
    for hold in footing.hands[side]:
        place = hold.pos.copy()
        top = ground.height(place[:2])
        if 0.0 < place[2] - top < HAND_REACH:
            place[2] = top + plan.hand_radius
        span = slice(hold.first, hold.stop)
        correction.held[span] = True
        correction.move[span] = place - chain[span]
        correction.pins.append(
            Pin(body=body, local=np.zeros(3), pos=np.tile(place, (hold.stop - hold.first, 1)), frames=np.arange(hold.first, hold.stop))
        )
    return correction


def _follow(corrections: list[_Correction], fps: float) -> np.ndarray:
    """How the root moves so that what stands keeps its place with the least change of pose, ``[T, 3]`` m."""
    frames = len(corrections[0].held)
    total, weight = np.zeros((frames, 3)), np.zeros(frames)
    for correction in corrections:
        if correction.held.any():
            share = correction.share * smooth(correction.held.astype(float), _FOLLOW_S * fps)
            total += share[:, None] * _held_values(correction.move, correction.held)
            weight += share
    if not weight.any():
        return total
    sure = weight > 1e-3
    shift = total / np.maximum(weight, 1e-3)[:, None]
    return smooth(_held_values(shift, sure), _FOLLOW_S * fps)


def _held_values(values: np.ndarray, held: np.ndarray) -> np.ndarray:
    """The values at held frames, interpolated over the others."""
    at = np.flatnonzero(held)
    return np.stack([np.interp(np.arange(len(held)), at, values[at, i]) for i in range(values.shape[1])], axis=1)


def _fade(values: np.ndarray, held: np.ndarray, fps: float) -> np.ndarray:
    """The values where held; outside they die away over `_FADE_S` on both sides of each hold."""
    if not held.any():
        return np.zeros_like(values)
    index = np.arange(len(held))
    at = np.flatnonzero(held)
    nearest = np.searchsorted(at, index)
    before, after = at[np.maximum(nearest - 1, 0)], at[np.minimum(nearest, len(at) - 1)]
    span = max(_FADE_S * fps, 1.0)
    weights = [0.5 + 0.5 * np.cos(np.pi * np.clip(np.abs(index - there) / span, 0, 1)) for there in (before, after)]
    total = np.maximum(weights[0] + weights[1], 1.0)
    faded = (weights[0] / total)[:, None] * values[before] + (weights[1] / total)[:, None] * values[after]
    return np.where(held[:, None], values, faded)
