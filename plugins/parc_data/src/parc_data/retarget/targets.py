"""Where the character's bodies should be: the source's limb directions on the character's own bones.

The source's hips give the root, scaled by leg length about its ground (not scaled where a terrain is given: its boxes
do not shrink). From there the character's own bones follow the source's directions, so hands, feet and head can be
reached. Then every hold gets one place; the root follows what stands, and what is left of the difference fades in and
out around the hold.
"""

from __future__ import annotations

import attrs
import numpy as np
from scipy.spatial.transform import Rotation

from parc_data.retarget.anatomy import Anatomy
from parc_data.retarget.body_plan import BodyPlan
from parc_data.retarget.frames import transform
from parc_data.retarget.holds import Ground, Holds, Pin, fade, follow
from parc_data.retarget.landmarks import SIDES
from parc_data.retarget.pose_guess import turned_bodies
from parc_data.retarget.stance import Footing
from parc_motion.terrains import Terrain

__all__ = ["Targets", "make_targets"]


@attrs.frozen(kw_only=True, eq=False)
class Targets:
    """Goals of one motion for one character."""

    body_pos: np.ndarray  # [T, B, 3] m
    body_rot: np.ndarray  # [T, B, 3, 3]
    pins: tuple[Pin, ...]
    held: dict[int, np.ndarray]  # body -> [T] bool, feet and hands that stay in place
    scale: float
    moved: np.ndarray  # [T, B] m, how far holds moved each body from where the limb directions alone put it


def make_targets(
    anatomy: Anatomy,
    plan: BodyPlan,
    footing: Footing,
    fps: float,
    terrain: Terrain | None,
    scale: float | None,
) -> Targets:
    """The targets of a motion; `scale` None: by leg length, 1 on a terrain."""
    if scale is None:
        scale = 1.0 if terrain is not None else plan.leg_length / anatomy.leg_length
    ground = Ground(terrain=terrain, level=footing.ground, scale=scale)
    turned = turned_bodies(anatomy, plan)
    chain = _chain_positions(plan, turned, _root(anatomy, plan, footing, turned, ground))
    holds, corrections = Holds(anatomy=anatomy, plan=plan, ground=ground, fps=fps), {}
    for side in SIDES:
        ankle, wrist = plan.landmarks[f"{side}_ankle"], plan.landmarks[f"{side}_wrist"]
        corrections[ankle] = holds.foot(side, footing.feet[side], chain[:, ankle])
        corrections[wrist] = holds.hand(side, footing.hands[side], chain[:, wrist])
    shift = follow(list(corrections.values()), fps)
    pos = chain + shift[:, None]
    for body, correction in corrections.items():
        held = correction.held
        pos[:, body] += fade(np.where(held[:, None], correction.move - shift, 0.0), held, fps)
        turn = Rotation.from_rotvec(fade(correction.turn, held, fps)).as_matrix()
        turned[:, body] = turn @ turned[:, body]
    return Targets(
        body_pos=pos,
        body_rot=turned,
        pins=tuple(pin for correction in corrections.values() for pin in correction.pins),
        held={body: correction.held for body, correction in corrections.items()},
        scale=scale,
        moved=np.linalg.norm(pos - chain, axis=-1),
    )


def _root(
    anatomy: Anatomy, plan: BodyPlan, footing: Footing, turned: np.ndarray, ground: Ground
) -> np.ndarray:
    hips, marks = anatomy.pos["hips"], plan.landmarks
    pos = hips[0] + ground.scale * (hips - hips[0])
    if ground.terrain is None:  # the ankle's height over the sole is ours, the rest scales
        sole = float(np.mean([sole.height for sole in plan.soles.values()]))
        pos[:, 2] = ground.level + sole + ground.scale * (hips[:, 2] - ground.level - footing.ankle_rise)
    middle = 0.5 * (plan.rest_pos[marks["left_hip"]] + plan.rest_pos[marks["right_hip"]])
    return pos - transform(turned[:, 0], middle)


def _chain_positions(plan: BodyPlan, turned: np.ndarray, root: np.ndarray) -> np.ndarray:
    pos = [root]
    for body, parent in enumerate(plan.skeleton.parents[1:], start=1):
        pos.append(pos[parent] + transform(turned[:, parent], plan.skeleton.offsets[body].astype(float)))
    return np.stack(pos, axis=1)
