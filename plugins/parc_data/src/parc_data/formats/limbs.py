"""Legs and head of an unknown skeleton, found by the names of its bodies."""

from __future__ import annotations

import re

import attrs
import numpy as np

__all__ = ["Leg", "Limbs", "find_limbs"]

_THIGH = re.compile(r"thigh|upleg|upperleg|femur|hip(?!s)")
_ANKLE = re.compile(r"foot|ankle")
_HEAD = re.compile(r"head")
_NOT_A_JOINT = re.compile(r"toe|end|site|nub|roll|twist|top|ball|target|pole|mesh")
_SIDED = re.compile(r"(l|r)(?=hip|thigh|upleg|upperleg|femur|knee|shin|tibia|calf|leg|ankle|foot)")


@attrs.frozen
class Leg:
    """Indices of the bodies at hip and ankle, and the length of the bones between them."""

    hip: int
    ankle: int
    length: float  # units of the skeleton


@attrs.frozen(kw_only=True)
class Limbs:
    """What was found; None if no name matches."""

    left_leg: Leg | None
    right_leg: Leg | None
    head: int | None

    @property
    def legs(self) -> tuple[Leg, ...]:
        """The legs that were found."""
        return tuple(leg for leg in (self.left_leg, self.right_leg) if leg is not None)


def find_limbs(names: tuple[str, ...], parents: tuple[int, ...], offsets: np.ndarray) -> Limbs:
    """Legs and head by the names that BVH, ASF, Mixamo, 3ds Max, Unreal and SMPL skeletons give them."""
    plain = [re.sub(r"[^a-z0-9]", "", _own_part(name).lower()) for name in names]
    heads = [i for i, name in enumerate(plain) if _HEAD.search(name) and not _NOT_A_JOINT.search(name)]
    lengths = np.linalg.norm(offsets, axis=-1)
    legs: dict[str, Leg | None] = {"left": None, "right": None}
    # from the root outward: SMPL has ankle and foot, which both match; the ankle comes first
    for body, name in enumerate(plain):
        side = _side(names[body])
        if side and legs[side] is None and _ANKLE.search(name) and not _NOT_A_JOINT.search(name):
            legs[side] = _leg(body, plain, parents, lengths)
    return Limbs(left_leg=legs["left"], right_leg=legs["right"], head=heads[0] if heads else None)


def _own_part(name: str) -> str:
    # mixamorig:LeftFoot
    return name.rsplit(":", 1)[-1]


def _side(name: str) -> str | None:
    own = _own_part(name)
    lower = own.lower()
    for side in ("left", "right"):
        if side in lower:
            return side
    found = (
        re.search(r"(?:^|[^a-z])(l|r)(?:[^a-z]|$)", lower)  # L_Foot, foot.l, Bip01 L Foot
        or re.match(r"(L|R)(?=[A-Z])", own)  # LFoot
        or re.search(r"(?<=[a-z])(L|R)$", own)  # FootL
        or _SIDED.match(lower)  # lfoot
    )
    return {"l": "left", "r": "right"}[found.group(1).lower()] if found else None


def _leg(ankle: int, plain: list[str], parents: tuple[int, ...], lengths: np.ndarray) -> Leg | None:
    chain = [ankle]
    while parents[chain[-1]] > 0:
        chain.append(parents[chain[-1]])
    for count, body in enumerate(chain[1:], start=1):
        if _THIGH.search(plain[body]) and not _NOT_A_JOINT.search(plain[body]):
            return Leg(hip=body, ankle=ankle, length=float(lengths[chain[:count]].sum()))
    return None
