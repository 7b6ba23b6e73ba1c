"""Feet and hands that stay in place: where each hold is in the character's world, and how targets move to keep it.

A foot of the source creeps, rolls and is longer than ours. One foothold gets one place for the toes and one direction;
the heel lies behind, the ankle above. Where the source's foot really slides or turns on the spot, ours follows it
smoothly.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import numpy as np
from scipy.spatial.transform import Rotation

from parc_data.retarget.anatomy import Anatomy
from parc_data.retarget.body_plan import BodyPlan
from parc_data.retarget.frames import smooth, transform
from parc_data.retarget.stance import HAND_REACH, Foothold, Handhold
from parc_motion.terrains import Terrain

__all__ = ["Correction", "Ground", "Holds", "Pin", "fade", "follow"]

_FADE_S = 0.25  # time in which a hold's correction fades
_FOLLOW_S = 0.12  # width of the smoothing of the root's correction
_DRIFT, _TURN = 0.03, 0.15  # m, rad that a standing foot may creep and still stand still
_ROLL_S = 0.04  # width of the smoothing of the change from flat to heel or toes
_LEVEL = 0.03  # rad of pitch up to which heel and toes are both down
_SLIDE_S = 0.1  # width of the smoothing of a foot that does slide
_SNAP = 0.08  # m between the source's foothold and the ground that are taken for the same
_HAND_SHARE = 0.5  # a hold of a hand counts so much of a foothold where the root has to choose


@attrs.frozen(kw_only=True, eq=False)
class Pin:
    """A point of a body that has its place in some frames."""

    body: int
    local: np.ndarray  # [3] m
    pos: np.ndarray  # [n, 3] m
    frames: np.ndarray  # [n] int64


@attrs.frozen(kw_only=True, eq=False)
class Correction:
    """What keeps one foot or hand in place: movement and turn of its target, zero outside its holds."""

    move: np.ndarray  # [T, 3] m
    turn: np.ndarray  # [T, 3] rad
    held: np.ndarray  # [T] bool
    pins: list[Pin]
    share: float  # how much it counts where the root follows several

    @classmethod
    def none(cls, frames: int, share: float) -> Correction:
        """No hold yet."""
        zero = np.zeros((frames, 3))
        return cls(move=zero, turn=zero.copy(), held=np.zeros(frames, dtype=bool), pins=[], share=share)


@attrs.frozen(kw_only=True, eq=False)
class Ground:
    """The ground of the character, and how the source's world is scaled to it."""

    terrain: Terrain | None
    level: float  # m, where there is no terrain
    scale: float

    def height(self, xy: np.ndarray) -> float:
        """Height at a place of the character's world, m."""
        return self.level if self.terrain is None else float(self.terrain.height_at(xy))

    def sole_level(self, source_level: float, places: Sequence[np.ndarray]) -> float:
        """Where a sole stands that stood at `source_level` in the source's world, m."""
        wanted = source_level
        if self.terrain is None:
            wanted = self.level + self.scale * (source_level - self.level)
        near = [h for h in (self.height(place[:2]) for place in places) if abs(h - wanted) < _SNAP]
        return max(near) if near else wanted


@attrs.frozen(kw_only=True, eq=False)
class Holds:
    """Places holds of one motion for one character."""

    anatomy: Anatomy
    plan: BodyPlan
    ground: Ground
    fps: float

    def foot(self, side: str, holds: Sequence[Foothold], chain: np.ndarray) -> Correction:
        """Correction of a foot's target, whose ankle would be at `chain` ``[T, 3]`` m."""
        correction = Correction.none(len(chain), share=1.0)
        for hold in holds:
            self._stand(correction, side, hold, chain)
        return correction

    def hand(self, side: str, holds: Sequence[Handhold], chain: np.ndarray) -> Correction:
        """Correction of a hand's target, which would be at `chain` ``[T, 3]`` m."""
        correction = Correction.none(len(chain), share=_HAND_SHARE)
        for hold in holds:
            place = hold.pos.copy()
            top = self.ground.height(place[:2])
            if 0.0 < place[2] - top < HAND_REACH:
                place[2] = top + self.plan.hand_radius
            frames = np.arange(hold.first, hold.stop)
            correction.held[frames] = True
            correction.move[frames] = place - chain[frames]
            body = self.plan.landmarks[f"{side}_wrist"]
            pos = np.tile(place, (len(frames), 1))
            correction.pins.append(Pin(body=body, local=np.zeros(3), pos=pos, frames=frames))
        return correction

    def _stand(self, correction: Correction, side: str, hold: Foothold, chain: np.ndarray) -> None:
        """Enter one foothold: where its toes are and where they point to, the heel behind, the ankle above."""
        frames = np.arange(hold.first, hold.stop)
        sole, foot = self.plan.soles[side], self.anatomy.feet[side][frames]
        heel, toe = (self.plan.frame.T @ place for place in (sole.heel, sole.toe))  # ahead, left, up
        yaw = settled(np.unwrap(np.arctan2(-foot[:, 0, 1], foot[:, 1, 1]))[:, None], _TURN, self.fps)[:, 0]
        flat = Rotation.from_rotvec(yaw[:, None] * np.array([0.0, 0.0, 1.0])).as_matrix()
        pitch = self._pitch(flat, foot, hold)
        rolled = Rotation.from_euler("ZY", np.stack([yaw, pitch], axis=-1)).as_matrix()
        toes = self._toes(side, hold, chain[frames], transform(rolled, toe))
        heels = toes + transform(flat, heel - toe)
        on_heel = (pitch < 0)[:, None]
        ankle = np.where(on_heel, heels - transform(rolled, heel), toes - transform(rolled, toe))
        for local, place, down in (
            (toe, toes, hold.toe & (pitch > -_LEVEL)),
            (heel, heels, hold.heel & (pitch < _LEVEL)),
        ):
            body = self.plan.landmarks[f"{side}_ankle"]
            correction.pins.append(
                Pin(body=body, local=self.plan.frame @ local, pos=place[down], frames=frames[down])
            )
        correction.held[frames] = True
        correction.move[frames] = ankle - chain[frames]
        correction.turn[frames] = Rotation.from_matrix(rolled @ np.swapaxes(foot, -1, -2)).as_rotvec()

    def _pitch(self, flat: np.ndarray, foot: np.ndarray, hold: Foothold) -> np.ndarray:
        """How far the toes point down: 0 with heel and toes down, else as the source, ``[n]`` rad."""
        drop = np.arctan2(-foot[:, 2, 0], (flat[:, :, 0] * foot[:, :, 0]).sum(axis=-1))
        one_down = np.where(hold.toe, np.maximum(drop, 0.0), np.minimum(drop, 0.0))
        return smooth(np.where(hold.heel & hold.toe, 0.0, one_down), _ROLL_S * self.fps)

    def _toes(self, side: str, hold: Foothold, chain: np.ndarray, lead: np.ndarray) -> np.ndarray:
        """Place of the toes in each frame of a hold, ``[n, 3]`` m; `lead` is where they are from the ankle."""
        pos, span = self.anatomy.pos, slice(hold.first, hold.stop)
        on_terrain = self.ground.terrain is not None
        places = (pos[f"{side}_ankle"][span] if on_terrain else chain) + lead
        if on_terrain and f"{side}_toe" in pos and not (hold.heel & hold.toe).any():
            places = pos[f"{side}_toe"][span].copy()  # on a ledge the toes count
        if hold.toe.any():
            places = _held_values(places, hold.toe)
        places[:, :2] = settled(places[:, :2], _DRIFT, self.fps)
        places[:, 2] = self.ground.sole_level(hold.level, (places[0], places[-1]))
        return places


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


def follow(corrections: Sequence[Correction], fps: float) -> np.ndarray:
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
    return np.stack(
        [np.interp(np.arange(len(held)), at, values[at, i]) for i in range(values.shape[1])], axis=1
    )


def fade(values: np.ndarray, held: np.ndarray, fps: float) -> np.ndarray:
    """The values where held; outside they die away over `_FADE_S` on both sides of each hold."""
    if not held.any():
        return np.zeros_like(values)
    index = np.arange(len(held))
    at = np.flatnonzero(held)
    nearest = np.searchsorted(at, index)
    before, after = at[np.maximum(nearest - 1, 0)], at[np.minimum(nearest, len(at) - 1)]
    span = max(_FADE_S * fps, 1.0)
    weights = [
        0.5 + 0.5 * np.cos(np.pi * np.clip(np.abs(index - there) / span, 0, 1)) for there in (before, after)
    ]
    total = np.maximum(weights[0] + weights[1], 1.0)
    faded = (weights[0] / total)[:, None] * values[before] + (weights[1] / total)[:, None] * values[after]
    return np.where(held[:, None], values, faded)
