"""Optimizers: `kinopt` makes clips trackable, `none` hands them on."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import attrs
import numpy as np
import torch
from torch import Tensor

from parc_kinopt import kernels
from parc_kinopt.batch import ClipBatch, join, pack, require_terrain, split, to_clip
from parc_kinopt.cloud import PointCloud
from parc_kinopt.config import KinoptConfig, NoneConfig
from parc_kinopt.constraints import BodyConstraint, automatic_constraints, foot_locks, spread
from parc_kinopt.contacts import clean_contacts, geometric_contacts, limb_motion
from parc_kinopt.hesitation import remove_hesitation
from parc_kinopt.limbs import limbs_of
from parc_kinopt.mass import body_masses
from parc_kinopt.objective import Body, MotionLoss, Targets
from parc_kinopt.precondition import TimePreconditioner
from parc_kinopt.problems import unresolved
from parc_kinopt.smoothing import low_pass, low_pass_rot
from parc_kinopt.solver import LbfgsSettings, minimize
from parc_core.data.clip import MotionClip
from parc_core.data.skeleton import Skeleton
from parc_core.interfaces.optimizer import Optimizer, Refined
from parc_core.kinematics.forward import Kinematics
from parc_core.kinematics.rotations import quat_to_matrix

__all__ = ["KinematicOptimizer", "KinoptConfig", "NoOptimizer", "NoneConfig", "make_body", "make_targets"]

Report = Callable[[float, float, str], None]


def make_body(skeleton: Skeleton, device: str = "cpu", dtype: torch.dtype = torch.float32) -> Body:
    """What the loss needs of a character, in one precision."""
    mass, com = body_masses(skeleton)
    as_tensor = lambda a: torch.as_tensor(a, dtype=dtype, device=device)  # noqa: E731
    return Body(
        kin=Kinematics(skeleton, device, dtype),
        cloud=PointCloud(skeleton, device, dtype),
        limbs=limbs_of(skeleton),
        mass=as_tensor(mass / mass.sum()),
        com=as_tensor(com),
    )


def make_targets(
    batch: ClipBatch, body: Body, config: KinoptConfig, constraints: Sequence[Sequence[BodyConstraint]] | None = None
) -> Targets:
    """What clips are pulled to.

    Args:
        constraints: per clip; found from the contact runs when not given.
    """
    body_pos, body_rot = body.kin.forward(batch.root_pos, batch.root_rot, batch.joint_rot)
    matrix = quat_to_matrix(body_rot)
    threshold = config.constraint_threshold
    locked = config.weights.foot_lock > 0.0
    if constraints is None and config.body_constraints and config.weights.body_constraint > 0.0:
        # a locked foot already has its place; holding it at a second one would only be a contradiction
        limbs = [limb for limb in body.limbs if not (locked and limb.is_foot)]
        constraints = automatic_constraints(batch, body_pos, matrix, limbs, threshold)
    held, point = spread(constraints or [[] for _ in range(batch.num_clips)], batch.contacts)
    world = body.cloud.world(body_pos.flatten(0, 1), matrix.flatten(0, 1)).unflatten(0, batch.contacts.shape[:2])
    lock = foot_locks(batch, world, body.feet, threshold)
    if locked:
        # the published sliding term keeps the source's own sliding, which the lock takes away
        for f, foot in enumerate(body.feet):
            held[..., foot.body] = torch.maximum(held[..., foot.body], (lock.weight[:, :, f].amax(-1) > 0).to(held.dtype))
            point[..., foot.body, :] = 0.0
    return Targets(
        root_pos=batch.root_pos,
        root_rot=batch.root_rot,
        joint_rot=batch.joint_rot,
        step=body_pos[:, 1:] - body_pos[:, :-1],
        angle=kernels.step_angle(body_rot),
        contacts=batch.contacts,
        held=held,
        point=point,
        lock=lock.weight,
        lock_pair=lock.pair,
        lock_height=lock.height,
        airborne=_airborne(batch, config.min_flight),
        jerk_limit=config.jerk_limit * batch.dt**3,
        lengths=batch.lengths,
        dt=batch.dt,
        terrain_ids=batch.terrain_ids,
    )


def _airborne(batch: ClipBatch, min_flight: float) -> Tensor:
    """1 at t where frames t..t+2 lie in one contact-free interval of at least `min_flight`, ``[C, T - 2]``.

    Intervals that reach the first or last frame stay out: nobody knows how they began or end.
    """
    free = (batch.contacts.amax(-1) < 0.5) & (batch.mask() > 0)
    result = torch.zeros_like(batch.contacts[:, 2:, 0])
    for clip, (row, length, dt) in enumerate(zip(free.cpu().numpy(), batch.lengths.tolist(), batch.dt.tolist())):
        edges = np.diff(np.concatenate([[0], row[:length].astype(np.int8), [0]]))
        for first, stop in zip(np.flatnonzero(edges > 0), np.flatnonzero(edges < 0)):
            if first > 0 and stop < length and (stop - first) * dt >= min_flight - 1e-6:
                # the fall begins with the last frame of support and ends with the first of the next
                result[clip, max(first - 1, 0) : min(stop + 1, length) - 2] = 1.0
    return result
