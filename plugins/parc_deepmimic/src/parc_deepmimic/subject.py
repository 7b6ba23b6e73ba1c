"""Characters as the observation needs them: less than a simulator reads back, known for fresh starts as well."""

from __future__ import annotations

import attrs
import torch
from torch import Tensor

from parc_core.interfaces import BodyState

__all__ = ["STATE_FIELDS", "Subject"]

#: what a subject has in common with a state to start from and with one that was read back
STATE_FIELDS = ("root_pos", "root_rot", "root_vel", "root_ang_vel", "joint_rot", "dof_vel")


@attrs.frozen(kw_only=True, eq=False)
class Subject:
    """N characters, world frame, and where each is in which motion on which terrain."""

    root_pos: Tensor  # [N, 3] m
    root_rot: Tensor  # [N, 4]
    root_vel: Tensor  # [N, 3] m/s
    root_ang_vel: Tensor  # [N, 3] rad/s
    joint_rot: Tensor  # [N, J, 4]
    dof_vel: Tensor  # [N, D] rad/s
    key_pos: Tensor  # [N, K, 3] m, key bodies
    contacts: Tensor  # [N, B] bool, which bodies touch something
    motion_ids: Tensor  # [N]
    motion_times: Tensor  # [N] s
    terrain_ids: Tensor  # [N]

    @classmethod
    def of(cls, state: BodyState, key_bodies: Tensor, **where: Tensor) -> Subject:
        """Characters of a simulator's state; `where`: contacts, motion_ids, motion_times, terrain_ids."""
        common = {name: getattr(state, name) for name in STATE_FIELDS}
        return cls(**common, key_pos=state.body_pos.index_select(1, key_bodies), **where)

    def joined(self, other: Subject) -> Subject:
        """These characters and, after them, others."""
        names = [field.name for field in attrs.fields(Subject)]
        return Subject(**{n: torch.cat([getattr(self, n), getattr(other, n)]) for n in names})

    def rows(self, rows: slice) -> Subject:
        """Some of the characters."""
        return Subject(**{field.name: getattr(self, field.name)[rows] for field in attrs.fields(Subject)})
