"""Tracking errors: how far a state is from its reference, pure functions of tensors.

Source: published implementation, the errors that its evaluation reports.
"""

from __future__ import annotations

from torch import Tensor

from parc_deepmimic.difference import Difference

__all__ = ["ERROR_UNITS", "tracking_errors"]

#: names of the errors and their units
ERROR_UNITS = {
    "root_pos": "m",
    "root_rot": "rad",
    "body_pos": "m",
    "body_rot": "rad",
    "dof_vel": "rad/s",
    "root_vel": "m/s",
    "root_ang_vel": "rad/s",
}


def tracking_errors(off: Difference) -> dict[str, Tensor]:
    """Mean errors of each character by name, ``[N]`` each.

    ``root_pos`` m, ``root_rot`` rad, ``body_pos`` m (both relative to their roots), ``body_rot`` rad, ``dof_vel``
    rad/s, ``root_vel`` m/s, ``root_ang_vel`` rad/s (the last three: means of absolute components).
    """
    return {
        "root_pos": off.root_square.sqrt(),
        "root_rot": off.body_angle[:, 0],
        "body_pos": off.body_square.sqrt().mean(dim=-1),
        "body_rot": off.body_angle[:, 1:].mean(dim=-1),
        "dof_vel": off.dof_vel.abs().mean(dim=-1),
        "root_vel": off.root_vel.abs().mean(dim=-1),
        "root_ang_vel": off.root_ang_vel.abs().mean(dim=-1),
    }
