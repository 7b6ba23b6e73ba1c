"""The character: bodies, joints, limits, gains and geoms."""

from __future__ import annotations

import enum
import itertools
from functools import cached_property

import attrs
import numpy as np

from parc_motion.checks import as_float32, check_shape
from parc_motion.errors import DataError

__all__ = ["Geom", "Joint", "JointKind", "Skeleton"]


class JointKind(enum.Enum):
    """Freedom of a joint: 3 (exponential map), 1 (angle) or 0 scalar coordinates."""

    BALL = "ball"
    HINGE = "hinge"
    FIXED = "fixed"

    @property
    def num_dofs(self) -> int:
        """Scalar coordinates of the joint."""
        return {"ball": 3, "hinge": 1, "fixed": 0}[self.value]


@attrs.frozen(kw_only=True, eq=False)
class Joint:
    """The joint that connects one body with its parent; limits are per scalar coordinate."""

    name: str
    kind: JointKind
    axis: np.ndarray = attrs.field(converter=as_float32, default=(0.0, 0.0, 1.0))  # [3], hinge only
    lower: np.ndarray = attrs.field(converter=as_float32, default=())  # [k] rad
    upper: np.ndarray = attrs.field(converter=as_float32, default=())  # [k] rad
    kp: float = 0.0  # N m / rad, gain of the position servo
    kd: float = 0.0  # N m s / rad, its damping
    armature: float = 0.0  # kg m^2
    gear: float = 0.0  # N m, nominal torque limit


@attrs.frozen(kw_only=True, eq=False)
class Geom:
    """A collision shape in the frame of its body.

    `size` is [radius] for a sphere, [radius, half length] for a capsule or cylinder (along local z), half sizes for
    a box.
    """

    body: int
    kind: str  # sphere | capsule | cylinder | box
    pos: np.ndarray = attrs.field(converter=as_float32)  # [3] m
    rot: np.ndarray = attrs.field(converter=as_float32)  # [4] xyzw
    size: np.ndarray = attrs.field(converter=as_float32)
    density: float  # kg / m^3


@attrs.frozen(kw_only=True, eq=False)
class Skeleton:
    """Bodies in depth-first order, body 0 the root; joint i moves body i + 1.

    `dof` order is joint order; a ball joint takes three places (its exponential map in the parent frame), a hinge
    one, a fixed joint none.
    """

    id: str
    body_names: tuple[str, ...]
    parents: tuple[int, ...]  # -1 for the root
    offsets: np.ndarray = attrs.field(converter=as_float32)  # [B, 3] m, in the parent frame
    joints: tuple[Joint, ...]  # [J]
    geoms: tuple[Geom, ...] = ()
    key_bodies: tuple[int, ...] = ()  # hands and feet
    hands: tuple[int, ...] = ()  # bodies that the character declares as hands
    feet: tuple[int, ...] = ()  # bodies that the character declares as feet
    mjcf: str = ""  # the text that it was read from, for simulators

    def __attrs_post_init__(self) -> None:
        check_shape(self.offsets, (self.num_bodies, 3), f"skeleton '{self.id}': offsets")
        if len(self.joints) != self.num_bodies - 1:
            raise DataError(
                f"skeleton '{self.id}' has {len(self.joints)} joints for {self.num_bodies} bodies."
            )
        if self.parents[0] != -1 or any(not 0 <= p < i for i, p in enumerate(self.parents) if i):
            raise DataError(f"skeleton '{self.id}': parents {self.parents} are not in depth-first order.")

    @property
    def num_bodies(self) -> int:
        """B, the root included."""
        return len(self.body_names)

    @property
    def num_joints(self) -> int:
        """J = B - 1, fixed joints included."""
        return len(self.joints)

    @cached_property
    def num_dofs(self) -> int:
        """D, scalar coordinates without the root."""
        return sum(joint.kind.num_dofs for joint in self.joints)

    @cached_property
    def dof_slices(self) -> tuple[slice, ...]:
        """Place of each joint in a dof vector, ``[J]``."""
        ends = np.cumsum([0] + [joint.kind.num_dofs for joint in self.joints])
        return tuple(slice(int(a), int(b)) for a, b in itertools.pairwise(ends))

    @cached_property
    def dof_lower(self) -> np.ndarray:
        """Lower limits, ``[D]`` rad."""
        return np.concatenate([joint.lower for joint in self.joints]).astype(np.float32)

    @cached_property
    def dof_upper(self) -> np.ndarray:
        """Upper limits, ``[D]`` rad."""
        return np.concatenate([joint.upper for joint in self.joints]).astype(np.float32)

    def need_feet(self) -> tuple[int, ...]:
        """`feet`.

        Raises:
            DataError: the character declares none.
        """
        if not self.feet:
            declaration = '<custom><text name="parc_feet" data="BODY BODY"/></custom>'
            raise DataError(f"skeleton '{self.id}' declares no feet. Add {declaration} to its MJCF.")
        return self.feet

    def body_id(self, name: str) -> int:
        """Index of a body.

        Raises:
            DataError: no body has the name; the text lists those that exist.
        """
        if name not in self.body_names:
            raise DataError(
                f"skeleton '{self.id}' has no body '{name}'; it has {', '.join(self.body_names)}."
            )
        return self.body_names.index(name)

    @cached_property
    def mirror_bodies(self) -> np.ndarray:
        """Body that takes the place of each body in a mirrored pose (left_* and right_* swapped), ``[B]`` int64."""
        swap = {"left": "right", "right": "left"}
        ids = []
        for name in self.body_names:
            side, _, rest = name.partition("_")
            other = f"{swap[side]}_{rest}" if side in swap else name
            ids.append(self.body_id(other))
        return np.array(ids, dtype=np.int64)
