"""The part of a state that observations show: less than a simulator reads back, also known where episodes start."""

from __future__ import annotations

import attrs
import torch
from torch import Tensor

from parc_core.interfaces import BodyState

__all__ = ["STATE_FIELDS", "ObservedState"]

#: fields that an observed state shares with a state to start from and with one that was read back
STATE_FIELDS = ("root_pos", "root_rot", "root_vel", "root_ang_vel", "joint_rot", "dof_vel")


@attrs.frozen(kw_only=True, eq=False)
class ObservedState:
    """N characters, world frame, and where each is in which motion on which terrain."""

    root_pos: Tensor  # [N, 3] m
    root_rot: Tensor  # [N, 4]
    root_vel: Tensor  # [N, 3] m/s
    root_ang_vel: Tensor  # [N, 3] rad/s
    joint_rot: Tensor  # [N, J, 4]
    dof_vel: Tensor  # [N, D] rad/s
    key_pos: Tensor  # [N, K, 3] m, key bodies
    contacts: Tensor  # [N, B] bool, which bodies touch the ground
    motion_ids: Tensor  # [N]
    motion_times: Tensor  # [N] s
    terrain_ids: Tensor  # [N]
    extra: Tensor  # [N, X] numbers of the groups that `observation.terms` appends

    @classmethod
    def of(cls, state: BodyState, key_bodies: Tensor, **where: Tensor) -> ObservedState:
        """Characters of a simulator's state; `where`: the other fields."""
        common = {name: getattr(state, name) for name in STATE_FIELDS}
        return cls(**common, key_pos=state.body_pos.index_select(1, key_bodies), **where)

    def joined(self, other: ObservedState) -> ObservedState:
        """These characters and, after them, others."""
        names = [field.name for field in attrs.fields(ObservedState)]
        return ObservedState(**{n: torch.cat([getattr(self, n), getattr(other, n)]) for n in names})

    def rows(self, rows: slice) -> ObservedState:
        """Some of the characters."""
        return ObservedState(
            **{field.name: getattr(self, field.name)[rows] for field in attrs.fields(ObservedState)}
        )
