"""Faults of a motion that show without its ground: rates, lengths, speeds, joint limits, impossible flights."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from parc_data.tools.findings import Finding, ValidateConfig, worst_of
from parc_motion.clips import MotionClip
from parc_motion.kinematics import rotations as rot
from parc_motion.metrics import GRAVITY, Flights, joint_limit_excess
from parc_motion.skeletons import Skeleton

__all__ = ["check_flights", "check_limits", "check_rates", "check_speeds"]

_FALL_RATIO = 2.0  # a fall so many times faster or slower than g tells of a wrong frame rate
_LONG_FLIGHT_S = 0.2  # flights from which a fall is measured well


def check_rates(clip: MotionClip, config: ValidateConfig) -> list[Finding]:
    """Frame rate, number of frames and duration."""
    findings = []
    if not config.min_fps <= clip.fps <= config.max_fps:
        limit = config.min_fps if clip.fps < config.min_fps else config.max_fps
        text = f"{clip.fps:g} frames per second, expected {config.min_fps:g} to {config.max_fps:g}"
        findings.append(
            Finding(check="fps", level="warning", text=text, value=clip.fps, limit=limit, unit="1/s")
        )
    elif abs(clip.fps - round(clip.fps)) > 1e-6:
        text = f"{clip.fps:g} frames per second is not a whole number; resample it"
        findings.append(Finding(check="fps", level="note", text=text, value=clip.fps, unit="1/s"))
    if clip.num_frames < config.min_num_frames:
        text = f"{clip.num_frames} frames, expected {config.min_num_frames} or more"
        values: dict[str, Any] = {
            "value": float(clip.num_frames),
            "limit": float(config.min_num_frames),
            "unit": "frames",
        }
        findings.append(Finding(check="too_short", level="warning", text=text, **values))
    if clip.length > config.max_length:
        text = f"lasts {clip.length:.1f} s; cut it into parts (`parc data cut --windows`)"
        values = {"value": clip.length, "limit": config.max_length, "unit": "s"}
        findings.append(Finding(check="too_long", level="note", text=text, **values))
    return findings


def check_speeds(clip: MotionClip, skeleton: Skeleton, config: ValidateConfig) -> list[Finding]:
    """Roots that teleport, joints that jump; the frame is the one before the step."""
    if clip.num_frames < 2:
        return []
    step = np.linalg.norm(np.diff(clip.root_pos.astype(np.float64), axis=0), axis=-1) * clip.fps
    findings = worst_of(
        step, config.max_root_speed, "teleport", "error",
        "root moves at {value:.1f} m/s from frame {frame} on", "m/s", "root",
    )  # fmt: skip
    turns = torch.cat([torch.tensor(clip.root_rot)[:, None], torch.tensor(clip.joint_rot)], dim=1)
    rates = (rot.angle_between(turns[:-1], turns[1:]) * clip.fps).numpy()
    for place in np.flatnonzero(rates.max(axis=0) > config.max_joint_speed):
        findings += worst_of(
            rates[:, place], config.max_joint_speed, "joint_jump", "warning",
            "{where} turns at {value:.0f} rad/s from frame {frame} on", "rad/s",
            "root" if place == 0 else skeleton.joints[place - 1].name,
        )  # fmt: skip
    return findings


def check_limits(dof: Tensor, skeleton: Skeleton, config: ValidateConfig) -> list[Finding]:
    """Joints beyond their limits, one finding per joint; `dof` is ``[T, D]`` rad."""
    excess = joint_limit_excess(
        dof, torch.tensor(skeleton.dof_lower), torch.tensor(skeleton.dof_upper)
    ).numpy()
    findings = []
    for joint, place in zip(skeleton.joints, skeleton.dof_slices):
        if place.stop > place.start:
            findings += worst_of(
                excess[:, place].max(axis=1), config.max_limit_excess, "joint_limit", "warning",
                "{where} is {value:.3f} rad beyond its limit in frame {frame}", "rad", joint.name,
            )  # fmt: skip
    return findings


def check_flights(flights: Flights, fps: float, config: ValidateConfig) -> list[Finding]:
    """Flights that no body could make, and a fall that tells of a wrong frame rate."""
    findings = []
    for k in range(len(flights.first)):
        frames = (int(flights.first[k]), int(flights.last[k]))
        seconds, deficit = float(flights.duration[k]), float(flights.deficit[k])
        common: dict[str, Any] = {
            "check": "flight",
            "level": "warning",
            "frames": (frames,),
            "worst_frame": frames[0],
            "unit": "m/s",
        }
        if deficit > config.max_deficit:
            text = (
                f"flight of {seconds:.2f} s takes off at {float(flights.takeoff_speed[k]):.2f} m/s, "
                f"{deficit:.2f} m/s less than it needs"
            )
            findings.append(
                Finding(text=text, where="take-off", value=deficit, limit=config.max_deficit, **common)
            )
        change = float(flights.speed_change[k])
        if change > config.max_speed_change:
            text = f"horizontal velocity changes by {change:.2f} m/s during a flight of {seconds:.2f} s"
            findings.append(
                Finding(text=text, where="horizontal", value=change, limit=config.max_speed_change, **common)
            )
    return findings + _wrong_rate(flights, fps)


def _wrong_rate(flights: Flights, fps: float) -> list[Finding]:
    fall = flights.fall[flights.duration >= _LONG_FLIGHT_S]
    fall = fall[fall > 0]
    if not len(fall):
        return []
    median = float(fall.median())
    if GRAVITY / _FALL_RATIO <= median <= GRAVITY * _FALL_RATIO:
        return []
    implied = fps * (GRAVITY / median) ** 0.5
    text = (
        f"falls at {median:.1f} m/s^2 in flights, as if taken at {implied:.0f} frames per second, not {fps:g}"
    )
    values: dict[str, Any] = {"value": median, "limit": GRAVITY, "unit": "m/s^2"}
    return [Finding(check="fps", level="warning", text=text, where="fall", **values)]
