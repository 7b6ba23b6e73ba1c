"""Tracking errors: how far a state is from its reference, pure functions of tensors.

Source: `parc_motion.published`, the errors that its evaluation reports.
"""

from __future__ import annotations

from torch import Tensor

from parc_core.interfaces import TrackingFrame

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


def tracking_errors(frame: TrackingFrame) -> dict[str, Tensor]:
    """Mean errors of each character by name, ``[N]`` each.

    ``root_pos`` m, ``root_rot`` rad, ``body_pos`` m (both relative to their roots), ``body_rot`` rad, ``dof_vel``
    rad/s, ``root_vel`` m/s, ``root_ang_vel`` rad/s (the last three: means of absolute components).
    """
    return {
        "root_pos": frame.root_pos_error_squared.sqrt(),
        "root_rot": frame.body_rot_error[:, 0],
        "body_pos": frame.body_pos_error_squared.sqrt().mean(dim=-1),
        "body_rot": frame.body_rot_error[:, 1:].mean(dim=-1),
        "dof_vel": frame.dof_vel_error.abs().mean(dim=-1),
        "root_vel": frame.root_vel_error.abs().mean(dim=-1),
        "root_ang_vel": frame.root_ang_vel_error.abs().mean(dim=-1),
    }
