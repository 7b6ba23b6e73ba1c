"""Feet and hands: which points of them touch the ground."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import numpy as np

from parc_motion.kinematics import surface_points
from parc_motion.skeletons import Geom, Skeleton

__all__ = ["Limb", "limbs_of"]


@attrs.frozen(kw_only=True, eq=False)
class Limb:
    """A key body that may be held in place on the ground: a box is a foot, anything else a hand.

    Source: `parc_motion.published` for the radii (its body constraints).
    """

    body: int
    name: str
    is_foot: bool
    center: np.ndarray  # [3] m, in the body's frame
    radius: float  # m, how far contact points may lie from a constraint point
    sole: tuple[int, ...]  # surface points of the underside (a foot's), indices into all surface points
    corners: tuple[int, ...]  # the outermost four of them


def limbs_of(skeleton: Skeleton) -> tuple[Limb, ...]:
    """The key bodies that have a shape, in the skeleton's order."""
    surface = surface_points(skeleton)
    local = surface.points.numpy()
    body = surface.body.numpy()
    result = []
    for key in skeleton.key_bodies:
        shapes = [geom for geom in skeleton.geoms if geom.body == key]
        boxes = [geom for geom in shapes if geom.kind == "box"]
        if boxes:
            result.append(_foot(skeleton, key, boxes[0], local, np.flatnonzero(body == key)))
        elif shapes:
            geom = shapes[0]
            name = skeleton.body_names[key]
            radius = float(geom.size[0])
            result.append(
                Limb(body=key, name=name, is_foot=False, center=geom.pos, radius=radius, sole=(), corners=())
            )
    return tuple(result)


def _foot(skeleton: Skeleton, body: int, box: Geom, local: np.ndarray, points: np.ndarray) -> Limb:
    low = local[points, 2].min()
    sole = points[local[points, 2] < low + 1e-5]
    corners = [
        sole[np.argmax(local[sole, :2] @ np.array(way))] for way in ((1, 1), (1, -1), (-1, 1), (-1, -1))
    ]
    return Limb(
        body=body,
        name=skeleton.body_names[body],
        is_foot=True,
        center=box.pos,
        radius=1.25 * float(np.linalg.norm(box.size)),
        sole=_ints(sole),
        corners=_ints(corners),
    )


def _ints(values: Sequence[int] | np.ndarray) -> tuple[int, ...]:
    return tuple(int(v) for v in values)
