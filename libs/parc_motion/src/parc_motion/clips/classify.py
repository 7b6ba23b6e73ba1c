"""The class of a clip by what is done in it: from root, ground and contact labels.

Names are those of the motion source `procedural` (``walk``, ``run``, ``turn``, ``start_stop``, ``stairs``, ``box``,
``gap``) and, for what that does not make, ``climb``, ``jump``, ``stand`` and ``other``. A clip in which several things
are done has the class of the rarest: the first that applies in the order of `action_class`.

Lengths are those of a character of human size.
"""

from __future__ import annotations

import numpy as np

from parc_motion.clips.clip import MotionClip
from parc_motion.skeletons import Skeleton
from parc_motion.terrains import Terrain

__all__ = ["ACTION_CLASSES", "action_class"]

ACTION_CLASSES = (
    "climb", "gap", "jump", "stairs", "box", "other", "run", "turn", "start_stop", "stand", "walk",
)  # fmt: skip

CONTACT = 0.5  # a label above it means contact, as everywhere in PARC
MIN_STEP = 0.12  # m; less is uneven ground, which a walk takes without lifting the feet more than usual
MAX_STAIR = 0.35  # m; steps of stairs are 0.15 to 0.25 m high, few are above 0.3 m
MIN_STAIRS = 3  # steps in one direction; two are a box with a step before it
MAX_TREAD = 1.0  # m along the path between steps of stairs; longer treads are platforms
CLIMB_RISE = 0.6  # m; up to mid-thigh, a foot gets onto it without help of the hands or a jump
HAND_RISE = 0.3  # m; hands help with such a change of level; with none they only touch the ground
HAND_S = 0.1  # s of contact; shorter ones are arms that brush along
HAND_REACH = (
    0.15  # m from the middle of a hand to the ground it touches; simulated hands also touch the own thighs
)
ON_FOOT = 1.2  # m, root over ground; hips are at 0.9 m when standing and at most 0.2 m higher in a step
GAP_DEPTH = 0.3  # m below both sides; a foot can step through a shallower one
FLIGHT_S = 0.3  # s without contact; flights of a run last up to 0.25 s
FLIGHT_FALL = 0.6 * 9.81  # m/s^2; a free fall has 9.81 less what limbs and smoothing change
RUN_SPEED = 2.0  # m/s; people run from a Froude number v^2 / (g * leg) of 0.5 on, with legs of 0.85 m
TURN = np.pi / 3  # rad; the heading of a straight walk sways by 15 degrees
STAND_SPEED = 0.2  # m/s; below a slow walk with 0.4 m/s
WALK_SPEED = 0.5  # m/s
UPRIGHT = 0.5  # cosine of the tilt of the pelvis; 60 degrees are beyond any gait
WINDOW_S = 0.3  # s over which a speed is a mean: half a step
LEVEL_S = 0.1  # s over ground of one height; less is a corner of a cell


def action_class(clip: MotionClip, skeleton: Skeleton) -> str:
    """What is done in the clip, one of `ACTION_CLASSES`; without terrain the ground is level at 0.

    In this order:

    * ``climb``: onto ground 0.6 m higher, or over a change of level of 0.3 m with the hands in contact.
    * ``gap``: over ground that is 0.3 m lower than before and behind, without stepping down.
    * ``jump``: in free fall for 0.3 s, or down by 0.6 m.
    * ``stairs``: three or more steps in one direction. ``box``: any other step of 0.12 m.
    * ``other``: the pelvis tilts by 60 degrees, or hands are on level ground: flips, rolls, getting up.
    * ``run``, ``turn`` (by 60 degrees), ``start_stop`` (stands at the start or the end), ``stand``, ``walk``.

    Args:
        skeleton: the character; its declared hands tell climbs.

    Raises:
        SkeletonMismatch: the clip belongs to another character.
    """
    clip.require_skeleton(skeleton.id, skeleton.num_joints)
    root = clip.root_pos.astype(np.float64)  # [T, 3]
    ground = _ground(clip.terrain, root)  # [T]
    contacts: np.ndarray = clip.contacts > CONTACT  # [T, B]
    on_foot = root[:, 2] - ground <= ON_FOOT
    steps, treads = _steps(root[on_foot], ground[on_foot], clip.fps)
    hands = _hands_on_ground(clip, skeleton, contacts).sum() / clip.fps >= HAND_S
    if steps.max(initial=0.0) >= CLIMB_RISE or (hands and np.abs(steps).max(initial=0.0) >= HAND_RISE):
        return "climb"
    if _crosses_gap(ground, on_foot):
        return "gap"
    if steps.min(initial=0.0) <= -CLIMB_RISE or _flies(root[:, 2], contacts, clip.fps):
        return "jump"
    if len(steps):
        return "stairs" if _are_stairs(steps, treads) else "box"
    if hands or _upright(clip.root_rot).min() < UPRIGHT:
        return "other"
    return _gait(root, _heading(clip.root_rot), clip.fps)


def _gait(root: np.ndarray, heading: np.ndarray, fps: float) -> str:
    """The class of a clip on level ground."""
    speed = _speed(root, fps)
    if np.median(speed) >= RUN_SPEED:
        return "run"
    if np.ptp(heading) >= TURN and speed.max() >= STAND_SPEED:
        return "turn"
    if speed.max() < WALK_SPEED:
        return "stand" if speed.max() < STAND_SPEED else "walk"
    return "start_stop" if min(speed[0], speed[-1]) < STAND_SPEED else "walk"


def _ground(terrain: Terrain | None, root: np.ndarray) -> np.ndarray:
    return np.zeros(len(root)) if terrain is None else terrain.height_at(root[:, :2]).astype(np.float64)


def _hands_on_ground(clip: MotionClip, skeleton: Skeleton, contacts: np.ndarray) -> np.ndarray:
    """Frames in which a hand is in contact with ground below or beside it, ``[T]`` bool."""
    on_ground = np.zeros(clip.num_frames, dtype=bool)
    around = HAND_REACH * np.array([(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1)])
    for hand in skeleton.hands:
        frames = np.flatnonzero(contacts[:, hand])
        place = _body_pos(clip, skeleton, hand)[frames]
        near = place[:, None, :2] + around  # a wall is as high as the cell beside the hand
        height = np.zeros(near.shape[:2]) if clip.terrain is None else clip.terrain.height_at(near)
        on_ground[frames] |= place[:, 2] <= height.max(axis=1) + HAND_REACH
    return on_ground


def _body_pos(clip: MotionClip, skeleton: Skeleton, body: int) -> np.ndarray:
    """Position of one body, ``[T, 3]`` m; `parc_motion.kinematics`, which has that of all, needs torch."""
    pos = np.zeros((clip.num_frames, 3))
    while body > 0:
        pos = skeleton.offsets[body] + _rotate(clip.joint_rot[:, body - 1], pos)
        body = skeleton.parents[body]
    return clip.root_pos + _rotate(clip.root_rot, pos)


def _rotate(quat: np.ndarray, vector: np.ndarray) -> np.ndarray:
    """Vectors ``[T, 3]`` rotated by quaternions ``[T, 4]``, xyzw."""
    twice = 2.0 * np.cross(quat[:, :3], vector)
    return vector + quat[:, 3:] * twice + np.cross(quat[:, :3], twice)


def _steps(root: np.ndarray, ground: np.ndarray, fps: float) -> tuple[np.ndarray, np.ndarray]:
    """Changes of level along the path of the root, ``[n]`` m, and the ground covered before each, ``[n]`` m."""
    if not len(ground):
        return np.zeros(0), np.zeros(0)
    starts = np.concatenate([[0], np.flatnonzero(np.abs(np.diff(ground)) > 0.01) + 1])
    stops = np.append(starts[1:], len(ground))
    long = stops - starts >= max(1, round(LEVEL_S * fps))
    starts, levels = starts[long], ground[starts[long]]
    along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(root[:, :2], axis=0), axis=-1))])
    rise, tread = np.diff(levels), np.diff(along[starts])
    high = np.abs(rise) >= MIN_STEP
    return rise[high], tread[high]


def _are_stairs(steps: np.ndarray, treads: np.ndarray) -> bool:
    count, sign = 0, 0.0
    for k, step in enumerate(steps):
        low = abs(step) <= MAX_STAIR
        follows = count > 0 and np.sign(step) == sign and treads[k] <= MAX_TREAD
        count = (count + 1 if follows else 1) if low else 0
        sign = np.sign(step)
        if count >= MIN_STAIRS:
            return True
    return False


def _crosses_gap(ground: np.ndarray, on_foot: np.ndarray) -> bool:
    """Whether the root passes high above lower ground, with higher ground before and behind."""
    return any(
        first > 0 and stop < len(ground)
        and ground[first:stop].min() <= min(ground[first - 1], ground[stop]) - GAP_DEPTH
        for first, stop in _runs(~on_foot)
    )  # fmt: skip


def _flies(height: np.ndarray, contacts: np.ndarray, fps: float) -> bool:
    """Whether the root falls freely for `FLIGHT_S` somewhere without contact."""
    half = max(1, round(0.5 * FLIGHT_S * fps))
    if len(height) <= 2 * half:
        return False
    # mean downward acceleration between frames t - half and t + half
    sag = height[half:-half] - 0.5 * (height[: -2 * half] + height[2 * half :])
    falls = 2.0 * sag / (half / fps) ** 2 >= FLIGHT_FALL
    total = np.concatenate([[0], np.cumsum(contacts.any(axis=1))])
    free = total[2 * half + 1 :] == total[: -2 * half - 1]
    return bool((falls & free).any())


def _speed(root: np.ndarray, fps: float) -> np.ndarray:
    """Horizontal speed, a mean over `WINDOW_S` or the whole clip where that is shorter: ``[n]`` m/s, n at least 1."""
    step = np.linalg.norm(np.diff(root[:, :2], axis=0), axis=-1) * fps
    if not len(step):
        return np.zeros(1)
    width = min(len(step), max(1, round(WINDOW_S * fps)))
    return np.convolve(step, np.full(width, 1.0 / width), mode="valid")


def _heading(root_rot: np.ndarray) -> np.ndarray:
    """Heading of the root, without jumps by a full turn: ``[T]`` rad."""
    x, y, z, w = root_rot.astype(np.float64).T
    return np.unwrap(np.arctan2(2.0 * (w * z + x * y), 1.0 - 2.0 * (y * y + z * z)))


def _upright(root_rot: np.ndarray) -> np.ndarray:
    """Cosine of the tilt of the root's z axis, ``[T]``."""
    x, y, _, _ = root_rot.astype(np.float64).T
    return 1.0 - 2.0 * (x * x + y * y)


def _runs(held: np.ndarray) -> list[tuple[int, int]]:
    """First frame and stop of each run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], held.astype(np.int8), [0]])))
    return [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]
