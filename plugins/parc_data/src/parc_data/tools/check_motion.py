"""Rules that need no terrain: frame rate, length, speeds, joint limits, impossible flights."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from parc_data.tools.findings import Finding, ValidateConfig, finding, worst_frame
from parc_motion.clips import MotionClip
from parc_motion.kinematics import rotations as rot
from parc_motion.metrics import GRAVITY, Flights, joint_limit_excess
from parc_motion.skeletons import Skeleton

__all__ = ["check_flights", "check_limits", "check_rates", "check_speeds"]

_FALL_RATIO = 2.0  # falling this many times faster or slower than g suggests a wrong frame rate
_LONG_FLIGHT_S = 0.2  # the acceleration of a fall is measured in flights of at least this duration


def check_rates(clip: MotionClip, config: ValidateConfig) -> list[Finding]:
    """`fps`, `too_short` and `too_long`."""
    findings = []
    if not config.min_fps <= clip.fps <= config.max_fps:
        limit = config.min_fps if clip.fps < config.min_fps else config.max_fps
        text = f"{clip.fps:g} frames per second, expected {config.min_fps:g} to {config.max_fps:g}"
        findings.append(finding("fps", text, value=clip.fps, limit=limit))
    elif abs(clip.fps - round(clip.fps)) > 1e-6:
        text = f"{clip.fps:g} frames per second is not a whole number; resample it"
        findings.append(finding("fps", text, level="note", value=clip.fps))
    if clip.num_frames < config.min_num_frames:
        text = f"{clip.num_frames} frames, expected {config.min_num_frames} or more"
        findings.append(finding("too_short", text, config, value=float(clip.num_frames)))
    if clip.length > config.max_length:
        text = f"lasts {clip.length:.1f} s; cut it into parts (`parc data cut --windows`)"
        findings.append(finding("too_long", text, config, value=clip.length))
    return findings


def check_speeds(clip: MotionClip, skeleton: Skeleton, config: ValidateConfig) -> list[Finding]:
    """`teleport` of the root and `joint_jump`; the frame is the one before the step."""
    if clip.num_frames < 2:
        return []
    speed = np.linalg.norm(np.diff(clip.root_pos.astype(np.float64), axis=0), axis=-1) * clip.fps
    text = "root moves at {value:.1f} m/s from frame {frame} on"
    findings = worst_frame("teleport", speed, text, config, "root")
    quats = torch.cat([torch.tensor(clip.root_rot)[:, None], torch.tensor(clip.joint_rot)], dim=1)
    rates = (rot.angle_between(quats[:-1], quats[1:]) * clip.fps).numpy()
    text = "{where} turns at {value:.0f} rad/s from frame {frame} on"
    for name, rate in zip(["root", *(joint.name for joint in skeleton.joints)], rates.T):
        findings += worst_frame("joint_jump", rate, text, config, name)
    return findings


def check_limits(dof: Tensor, skeleton: Skeleton, config: ValidateConfig) -> list[Finding]:
    """`joint_limit`, one finding per joint; `dof` is ``[T, D]`` rad."""
    lower, upper = torch.tensor(skeleton.dof_lower), torch.tensor(skeleton.dof_upper)
    excess = joint_limit_excess(dof, lower, upper).numpy()
    text = "{where} is {value:.3f} rad beyond its limit in frame {frame}"
    findings = []
    for joint, dofs in zip(skeleton.joints, skeleton.dof_slices):
        if dofs.stop > dofs.start:
            findings += worst_frame("joint_limit", excess[:, dofs].max(axis=1), text, config, joint.name)
    return findings


def check_flights(flights: Flights, fps: float, config: ValidateConfig) -> list[Finding]:
    """`flight`: one that is physically impossible; `fps`: falls whose acceleration suggests a wrong frame rate."""
    findings = []
    for k in range(len(flights.first)):
        first, last = int(flights.first[k]), int(flights.last[k])
        seconds, deficit = float(flights.duration[k]), float(flights.deficit[k])
        change = float(flights.speed_change[k])
        shown: dict[str, Any] = {"frames": ((first, last),), "worst_frame": first}
        if deficit > config.max_deficit:
            text = (
                f"flight of {seconds:.2f} s takes off at {float(flights.takeoff_speed[k]):.2f} m/s, "
                f"{deficit:.2f} m/s less than it needs"
            )
            fields: dict[str, Any] = {"where": "take-off", "value": deficit, "limit": config.max_deficit}
            findings.append(finding("flight", text, **fields, **shown))
        if change > config.max_speed_change:
            text = f"horizontal velocity changes by {change:.2f} m/s during a flight of {seconds:.2f} s"
            fields = {"where": "horizontal", "value": change, "limit": config.max_speed_change}
            findings.append(finding("flight", text, **fields, **shown))
    return findings + _check_fall(flights, fps)


def _check_fall(flights: Flights, fps: float) -> list[Finding]:
    fall = flights.fall[flights.duration >= _LONG_FLIGHT_S]
    fall = fall[fall > 0]
    if not len(fall):
        return []
    median = float(fall.median())
    if GRAVITY / _FALL_RATIO <= median <= GRAVITY * _FALL_RATIO:
        return []
    implied = fps * (GRAVITY / median) ** 0.5
    text = f"falls at {median:.1f} m/s^2 in flights, as if recorded at {implied:.0f} frames per second, not {fps:g}"
    return [finding("fps", text, where="fall", value=median, limit=GRAVITY, unit="m/s^2")]
