"""When and where the source's feet stand and its hands hold on, found from landmarks before anything is retargeted.

A foot stands on heel and toes apart: an ankle or toe is down while it is slow and as low as it is when standing. On a
motion without terrain it also stands wherever it stays quite still for a while (a rung, a ledge). A hand holds on while
it is slow and near the given ground.
"""

from __future__ import annotations

import attrs
import numpy as np
import torch

from parc_data.retarget.anatomy import Anatomy
from parc_data.retarget.frames import smooth, swing, unit
from parc_data.retarget.landmarks import SIDES
from parc_data.runs import runs
from parc_motion.geometry import PackedTerrains, clearance
from parc_motion.terrains import Terrain

__all__ = ["HAND_REACH", "Foothold", "Footing", "Handhold", "find_footing", "with_level_feet"]

_SLOW, _FAST = 0.25, 0.40  # m/s: a contact starts below the first and lasts up to the second
_STILL, _STIRRING = 0.10, 0.18  # the same for standing on ground that is not known
_NEAR, _FAR = 0.03, 0.05  # m above where it stands
_LEVEL_SINE = 0.35  # sine of the pitch up to which a foot may stand on ground that is not known
_STEEP_SINE = 0.6  # beyond it a heel is not down
_FEWEST_FLAT, _MOST_SLANT = 4, 0.7  # frames, rad: standing that tells how a foot is slanted
_STILL_S = 0.3  # shortest stance on ground that is not known
_SHORTEST_S, _GAP_S = 0.1, 0.07
_HAND_DRIFT = 0.06  # m from its middle that a hand may move and still hold
HAND_REACH = 0.12  # m from the wrist to the ground that a hand holds
_RISE = {"toe": 0.02, "ankle": 0.08}  # m, usual heights of the joints over the sole
_HIGHEST_RISE = 0.3  # m
_ZERO_BAND = 0.05  # m: ground found this close to z = 0 is z = 0


@attrs.frozen(kw_only=True, eq=False)
class Foothold:
    """One stance of one foot, frames first .. stop - 1."""

    first: int
    stop: int
    heel: np.ndarray  # [stop - first] bool
    toe: np.ndarray  # [stop - first] bool
    level: float  # m, of the sole in the source's world


@attrs.frozen(kw_only=True, eq=False)
class Handhold:
    """One hold of one hand, frames first .. stop - 1."""

    first: int
    stop: int
    pos: np.ndarray  # [3] m, of the wrist


@attrs.frozen(kw_only=True, eq=False)
class Footing:
    """What the source stands on."""

    ground: float  # m, of the level ground (without terrain)
    ankle_rise: float  # m, height of a standing ankle over the sole
    feet: dict[str, tuple[Foothold, ...]]
    hands: dict[str, tuple[Handhold, ...]]


def find_footing(anatomy: Anatomy, fps: float, terrain: Terrain | None, ground: float | None) -> Footing:
    """The footing of a motion.

    Args:
        terrain: the given ground, or None.
        ground: height of level ground where it is known, m; None: found from the feet.
    """
    pos = anatomy.pos
    given = 0.0 if terrain is not None else ground
    over, level = _over_ground(anatomy, fps, terrain, given)
    lowest = next(iter(level))
    found = level[lowest] - _RISE[lowest] if given is None else given
    if given is None and abs(found) < _ZERO_BAND:
        found = 0.0
    feet = {}
    for i, side in enumerate(SIDES):
        slant = np.abs(anatomy.feet[side][:, 2, 0])
        anywhere = (slant < _LEVEL_SINE) & (terrain is None)
        down = {part: _down(pos[f"{side}_{part}"], over[part][:, i], fps, anywhere) for part in level}
        heel = down["ankle"] & (slant < _STEEP_SINE)  # kneeling, the ankle is low as well
        rise = {part: height - found for part, height in level.items()}
        feet[side] = _footholds(pos, side, heel, down.get("toe", heel), rise, fps)
    hands: dict[str, tuple[Handhold, ...]] = dict.fromkeys(SIDES, ())
    if terrain is not None:
        hands = {side: _handholds(pos[f"{side}_wrist"], fps, terrain) for side in SIDES}
    return Footing(ground=found, ankle_rise=level["ankle"] - found, feet=feet, hands=hands)


def _over_ground(
    anatomy: Anatomy, fps: float, terrain: Terrain | None, given: float | None
) -> tuple[dict[str, np.ndarray], dict[str, float]]:
    """Height of toes and ankles over where they are when they stand, ``[T, 2]`` m, and that height itself, m."""
    pos, over, level = anatomy.pos, {}, {}
    for part in ("toe", "ankle"):
        if any(f"{side}_{part}" not in pos for side in SIDES):
            continue
        both = np.stack([pos[f"{side}_{part}"] for side in SIDES], axis=1)  # [T, 2, 3]
        height = both[..., 2] - (0.0 if terrain is None else terrain.height_at(both[..., :2]))
        rate = np.stack([speed(both[:, i], fps) for i in range(len(SIDES))], axis=1)
        level[part] = _standing_level(height, rate)
        if given is not None and not -_ZERO_BAND < level[part] - given < _HIGHEST_RISE:
            level[part] = given + _RISE[part]  # the feet never stand on the ground that is given
        over[part] = height - level[part]
    return over, level


def with_level_feet(anatomy: Anatomy, footing: Footing) -> Anatomy:
    """The anatomy with feet that are level while heel and toes are down.

    Rest poses with spread legs (CMU) or raised heels leave the feet slanted otherwise, in the air as well.
    """
    feet = {}
    for side, frames in anatomy.feet.items():
        flat = np.zeros(len(frames), dtype=bool)
        for hold in footing.feet[side]:
            flat[hold.first : hold.stop] |= hold.heel & hold.toe
        feet[side] = frames
        if flat.sum() >= _FEWEST_FLAT:
            up = unit(np.median(frames[flat][:, 2], axis=0))  # the world's up in the foot's frame
            if up[2] > np.cos(_MOST_SLANT):
                feet[side] = frames @ swing(np.array([0.0, 0.0, 1.0]), up)
    return attrs.evolve(anatomy, feet=feet)


def speed(pos: np.ndarray, fps: float) -> np.ndarray:
    """Speed from the frames on both sides, ``[T]`` m/s."""
    if len(pos) < 2:
        return np.zeros(len(pos))
    return np.linalg.norm(np.gradient(smooth(pos, 0.02 * fps), axis=0), axis=-1) * fps


def _standing_level(height: np.ndarray, rate: np.ndarray) -> float:
    """Height of a joint when it stands: the lower end of those of slow frames."""
    slow = height[rate < _SLOW]
    return float(np.quantile(slow, 0.15)) if len(slow) >= 5 else float(np.quantile(height, 0.02))


def _hysteresis(start: np.ndarray, keep: np.ndarray, shortest: int, gap: int) -> np.ndarray:
    held = np.zeros_like(start)
    for a, b in runs(keep | start):
        held[a:b] = start[a:b].any()
    for a, b in runs(~held):
        held[a:b] |= a > 0 and b < len(held) and b - a <= gap
    for a, b in runs(held):
        held[a:b] = b - a >= shortest
    return held


def _down(pos: np.ndarray, over: np.ndarray, fps: float, anywhere: np.ndarray) -> np.ndarray:
    rate, frames = speed(pos, fps), len(pos)
    shortest = min(max(round(_SHORTEST_S * fps), 2), frames)
    gap = round(_GAP_S * fps)
    held = _hysteresis((rate < _SLOW) & (over < _NEAR), (rate < _FAST) & (over < _FAR), shortest, gap)
    still = min(max(round(_STILL_S * fps), 2), frames)
    return held | _hysteresis((rate < _STILL) & anywhere, (rate < _STIRRING) & anywhere, still, 0)


def _footholds(
    pos: dict[str, np.ndarray],
    side: str,
    heel: np.ndarray,
    toe: np.ndarray,
    rise: dict[str, float],
    fps: float,
) -> tuple[Foothold, ...]:
    shortest = min(max(round(_SHORTEST_S * fps), 2), len(heel))
    places = []
    for a, b in runs(heel | toe):
        if b - a < shortest:
            continue
        levels = []
        for part, down in (("ankle", heel), ("toe", toe)):
            if part in rise and down[a:b].any():
                levels.append(float(np.median(pos[f"{side}_{part}"][a:b, 2][down[a:b]])) - rise[part])
        places.append(Foothold(first=a, stop=b, heel=heel[a:b], toe=toe[a:b], level=min(levels)))
    return tuple(places)


def _handholds(wrist: np.ndarray, fps: float, terrain: Terrain) -> tuple[Handhold, ...]:
    packed, ids = PackedTerrains.of([terrain], dtype=torch.float64), torch.zeros(1, dtype=torch.long)
    points = torch.tensor(wrist, dtype=torch.float64)[None]
    near = clearance(packed, ids, points, 2.0 * HAND_REACH)[0].numpy()
    rate = speed(wrist, fps)
    held = _hysteresis(
        (rate < _SLOW) & (near < HAND_REACH),
        (rate < _FAST) & (near < 1.3 * HAND_REACH),
        max(round(_SHORTEST_S * fps), 2),
        2,
    )
    holds = []
    for first, stop in runs(held):
        middle = np.median(wrist[first:stop], axis=0)
        if np.linalg.norm(wrist[first:stop] - middle, axis=-1).max() < _HAND_DRIFT:
            holds.append(Handhold(first=first, stop=stop, pos=middle))
    return tuple(holds)
