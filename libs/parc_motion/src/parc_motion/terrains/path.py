"""A route over a terrain, as a planner gives it."""

from __future__ import annotations

import enum

import attrs
import numpy as np

from parc_motion.checks import as_float32, as_int64, check_near, check_shape
from parc_motion.errors import DataError

__all__ = ["Path", "SegmentKind"]


class SegmentKind(enum.IntEnum):
    """How a character gets from one point of a path to the next."""

    WALK = 0
    CLIMB = 1
    JUMP = 2
    DROP = 3


@attrs.frozen(kw_only=True, eq=False)
class Path:
    """Points on the ground, from start to goal, and the kind of each segment between them."""

    points: np.ndarray = attrs.field(converter=as_float32)  # [n, 3] m
    kinds: np.ndarray = attrs.field(converter=as_int64)  # [n - 1] SegmentKind
    cost: float = attrs.field(converter=float, default=0.0)  # the planner's own unit

    def __attrs_post_init__(self) -> None:
        check_shape(self.points, (None, 3), "Path.points")
        check_near(self.points, "Path.points")
        if len(self.points) < 2:
            raise DataError(f"Path.points holds {len(self.points)} point(s); a path needs at least 2.")
        check_shape(self.kinds, (len(self.points) - 1,), "Path.kinds")
        if self.kinds.min() < 0 or self.kinds.max() >= len(SegmentKind):
            raise DataError(
                f"Path.kinds holds {self.kinds.min()}..{self.kinds.max()}, expected 0..{len(SegmentKind) - 1}."
            )

    @property
    def length(self) -> float:
        """Length of the route in the ground plane, m."""
        return float(np.linalg.norm(np.diff(self.points[:, :2], axis=0), axis=-1).sum())
