"""What one clip is pulled to, and where the value and derivatives of the loss are written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from parc_kinopt.limbs import Limb

if TYPE_CHECKING:
    from parc_kinopt.objective import Targets

__all__ = ["TERMS", "Goal", "LimbArrays", "LossDerivatives", "goal_of", "limb_arrays", "make_derivatives"]

#: order of weights and values
TERMS = (
    "root_pos",
    "root_rot",
    "joint_rot",
    "smoothness",
    "penetration",
    "contact",
    "sliding",
    "body_constraint",
    "jerk",
    "joint_limit",
    "foot_lock",
    "steadiness",
    "ballistic",
)
# their places, for kernels, which cannot look names up
(
    ROOT_POS,
    ROOT_ROT,
    JOINT_ROT,
    SMOOTHNESS,
    PENETRATION,
    CONTACT,
    SLIDING,
    BODY_CONSTRAINT,
    JERK,
    JOINT_LIMIT,
    FOOT_LOCK,
    STEADINESS,
    BALLISTIC,
) = range(len(TERMS))


class Goal(NamedTuple):
    """`parc_kinopt.objective.Targets` of one clip, without its padding; T frames, float64."""

    root_pos: np.ndarray  # [T, 3] m
    turn: np.ndarray  # [T, B, 4] rotation of the root and of every joint, xyzw
    step: np.ndarray  # [T - 1, B, 3] m
    angle: np.ndarray  # [T - 1, B] rad
    contacts: np.ndarray  # [T, B]
    held: np.ndarray  # [T, B]
    point: np.ndarray  # [T, B, 3] m
    contact_pair: np.ndarray  # [T - 1, B]
    lock: np.ndarray  # [T, F, 4]
    lock_pair: np.ndarray  # [T - 1, F, 4]
    lock_height: np.ndarray  # [T, F] m
    airborne: np.ndarray  # [T - 2]
    com_step: np.ndarray  # [T - 2, 3] m
    jerk_limit: float  # m per frame^3
    dt: float  # s


class LimbArrays(NamedTuple):
    """Feet and hands, K of them; F feet."""

    body: np.ndarray  # [K] int64
    is_foot: np.ndarray  # [K] bool
    center: np.ndarray  # [K, 3] m
    radius: np.ndarray  # [K] m
    sole: np.ndarray  # [K, S] int64 surface points
    sole_count: np.ndarray  # [K] int64
    foot: np.ndarray  # [F] int64 bodies
    corner: np.ndarray  # [F, 4] int64 surface points


class LossDerivatives(NamedTuple):
    """Value and derivatives of the loss; forces are derivatives of the loss, the rest is its Gauss-Newton curvature."""

    values: np.ndarray  # [13] unweighted value per term
    grad: np.ndarray  # [T, V]
    force: np.ndarray  # [T, B, 3]
    torque: np.ndarray  # [T, B, 3]
    same: np.ndarray  # [T, B, 6, 6] a body with itself: position, then rotation
    next: np.ndarray  # [T, B, 6, 6] frame t (rows) with frame t + 1
    far: np.ndarray  # [2, T, B, 3, 3] positions of frame t with those of t + 2, t + 3
    own: np.ndarray  # [T, V, V] variables of one frame
    com: np.ndarray  # [T - 2] weight of the center of mass' second difference


def goal_of(targets: Targets, clip: int) -> Goal:
    """The goal of one clip of a batch of targets."""
    frames = int(targets.lengths[clip])

    def array(name: str, order: int = 0) -> np.ndarray:
        value = getattr(targets, name)[clip, : max(frames - order, 0)]
        return np.ascontiguousarray(value.detach().cpu().numpy(), np.float64)

    contacts = array("contacts")
    settled = array("settled")
    contact_pair = np.maximum(np.minimum(contacts[:-1], contacts[1:]), 0.0) * (1.0 - settled[:-1])
    turn = np.concatenate([array("root_rot")[:, None], array("joint_rot")], axis=1)
    return Goal(
        root_pos=array("root_pos"),
        turn=np.ascontiguousarray(turn),
        step=array("step", 1),
        angle=array("angle", 1),
        contacts=contacts,
        held=array("held"),
        point=array("point"),
        contact_pair=contact_pair,
        lock=array("lock"),
        lock_pair=array("lock_pair", 1),
        lock_height=array("lock_height"),
        airborne=array("airborne", 2),
        com_step=array("com_step", 2),
        jerk_limit=float(targets.jerk_limit[clip]),
        dt=float(targets.dt[clip]),
    )


def limb_arrays(limbs: Sequence[Limb]) -> LimbArrays:
    """The limbs as arrays."""
    feet = [limb for limb in limbs if limb.is_foot]
    most = max([len(limb.sole) for limb in limbs] + [1])
    return LimbArrays(
        body=np.array([limb.body for limb in limbs], np.int64),
        is_foot=np.array([limb.is_foot for limb in limbs], np.bool_),
        center=np.array([limb.center for limb in limbs], np.float64).reshape(-1, 3),
        radius=np.array([limb.radius for limb in limbs], np.float64),
        sole=np.array([[*limb.sole, *[0] * (most - len(limb.sole))] for limb in limbs], np.int64).reshape(
            -1, most
        ),
        sole_count=np.array([len(limb.sole) for limb in limbs], np.int64),
        foot=np.array([limb.body for limb in feet], np.int64),
        corner=np.array([limb.corners for limb in feet], np.int64).reshape(-1, 4),
    )


def make_derivatives(frames: int, bodies: int, variables: int) -> LossDerivatives:
    """Room for the results of a clip."""
    return LossDerivatives(
        values=np.zeros(len(TERMS)),
        grad=np.zeros((frames, variables)),
        force=np.zeros((frames, bodies, 3)),
        torque=np.zeros((frames, bodies, 3)),
        same=np.zeros((frames, bodies, 6, 6)),
        next=np.zeros((frames, bodies, 6, 6)),
        far=np.zeros((2, frames, bodies, 3, 3)),
        own=np.zeros((frames, variables, variables)),
        com=np.zeros(max(frames - 2, 0)),
    )
