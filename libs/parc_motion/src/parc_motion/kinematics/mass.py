"""Mass and center of mass, of each body and of the whole character, from its collision shapes."""

from __future__ import annotations

import math

import numpy as np
from torch import Tensor

from parc_motion.errors import DataError
from parc_motion.kinematics import rotations as rot
from parc_motion.skeletons import Geom, Skeleton

__all__ = ["body_masses", "center_of_mass"]


def body_masses(skeleton: Skeleton) -> tuple[np.ndarray, np.ndarray]:
    """Mass of each body ``[B]`` kg and its center in the body's frame ``[B, 3]`` m; shapes that overlap count twice.

    Raises:
        DataError: the character has no shapes, or their densities are 0.
    """
    mass, moment = np.zeros(skeleton.num_bodies), np.zeros((skeleton.num_bodies, 3))
    for geom in skeleton.geoms:
        m = geom.density * _volume(geom)
        mass[geom.body] += m
        moment[geom.body] += m * geom.pos
    if mass.sum() <= 0:
        raise DataError(f"skeleton '{skeleton.id}' has no mass: it has no shapes, or their densities are 0.")
    return mass, moment / np.where(mass > 0, mass, 1.0)[:, None]


def center_of_mass(body_pos: Tensor, body_rot: Tensor, mass: Tensor, center: Tensor) -> Tensor:
    """Center of mass of posed bodies: ``[..., 3]`` m.

    Args:
        body_pos: ``[..., B, 3]`` m.
        body_rot: ``[..., B, 4]``.
        mass: of each body, ``[B]`` kg.
        center: center of mass of each body in its own frame, ``[B, 3]`` m.
    """
    place = body_pos + rot.rotate(body_rot, center.expand_as(body_pos))
    return (mass[:, None] * place).sum(dim=-2) / mass.sum()


def _volume(geom: Geom) -> float:
    size = [float(v) for v in geom.size]
    if geom.kind == "box":
        return 8.0 * size[0] * size[1] * size[2]
    ball = 4.0 / 3.0 * math.pi * size[0] ** 3
    if geom.kind == "sphere":
        return ball
    cylinder = 2.0 * math.pi * size[0] ** 2 * size[1]
    return cylinder + (ball if geom.kind == "capsule" else 0.0)
