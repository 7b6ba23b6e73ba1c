"""Faults of a motion on its ground: penetration, sliding, contacts in the air, terrain that does not fit."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from parc_data.tools.findings import Finding, ValidateConfig, frame_runs, worst_of
from parc_motion.clips import MotionClip
from parc_motion.kinematics import SurfacePoints
from parc_motion.metrics import contact_slides
from parc_motion.skeletons import Skeleton
from parc_motion.terrains import Terrain

__all__ = ["check_contacts", "check_penetration", "check_sliding", "check_terrain"]

_CONTACT = 0.5  # labels above it mean contact


def check_terrain(clip: MotionClip, config: ValidateConfig) -> list[Finding]:
    """Terrain that is missing, too wide, or left by the root."""
    terrain = clip.terrain
    if terrain is None:
        text = "has no terrain; nothing can be learned or simulated on it"
        return [Finding(check="no_terrain", level="warning", text=text)]
    findings = []
    widest = max(terrain.shape)
    if widest > config.max_terrain_dim:
        text = f"terrain of {terrain.shape[0]} x {terrain.shape[1]} cells, expected {config.max_terrain_dim} at most"
        values: dict[str, Any] = {
            "value": float(widest),
            "limit": float(config.max_terrain_dim),
            "unit": "cells",
        }
        findings.append(Finding(check="wide_terrain", level="warning", text=text, **values))
    return findings + worst_of(
        _outside(clip.root_pos, terrain), 0.0, "off_terrain", "warning",
        "root is {value:.2f} m beyond the terrain in frame {frame}", "m", "root",
    )  # fmt: skip


def check_penetration(
    depth: Tensor, surface: SurfacePoints, skeleton: Skeleton, config: ValidateConfig
) -> list[Finding]:
    """The body in the ground; `depth` is that of each surface point, ``[T, P]`` m."""
    deepest, point = depth.max(dim=1)
    values = deepest.numpy()
    body = skeleton.body_names[int(surface.body[point[int(values.argmax())]])]
    return worst_of(
        values, config.max_penetration, "penetration", "warning",
        "{where} is {value:.3f} m in the ground in frame {frame}", "m", body,
    )  # fmt: skip


def check_sliding(
    points: Tensor, contacts: np.ndarray, surface: SurfacePoints, skeleton: Skeleton, config: ValidateConfig
) -> list[Finding]:
    """Feet that slide while they touch, one finding per foot; `points` ``[T, P, 3]`` m."""
    findings = []
    for foot in (body for body, name in enumerate(skeleton.body_names) if "foot" in name):
        label = torch.tensor(contacts[:, foot])
        slides = contact_slides(points[:, surface.body == foot], label, threshold=_CONTACT).numpy()
        if not (slides > config.max_slide).any():
            continue
        runs = frame_runs(contacts[:, foot] > _CONTACT)  # one per slide, in the same order
        worst, value, name = int(slides.argmax()), float(slides.max()), skeleton.body_names[foot]
        text = (
            f"{name} slides {value:.3f} m during its contact in frames {runs[worst][0]} to {runs[worst][1]}"
        )
        findings.append(
            Finding(
                check="sliding", level="warning", text=text, where=name, worst_frame=runs[worst][0], value=value,
                frames=tuple(run for run, slide in zip(runs, slides) if slide > config.max_slide),
                limit=config.max_slide, unit="m",
            )
        )  # fmt: skip
    return findings


def check_contacts(
    gap: np.ndarray, contacts: np.ndarray, skeleton: Skeleton, config: ValidateConfig
) -> list[Finding]:
    """Labels that cannot be: none at all, a labelled body off the ground, or a body that never comes down.

    Args:
        gap: distance of each body to the ground, ``[T, B]`` m.
        contacts: ``[T, B]`` 0..1.
    """
    findings: list[Finding] = []
    if not (contacts > _CONTACT).any():
        text = "no body has a contact label in any frame"
        findings.append(Finding(check="no_contacts", level="warning", text=text))
    nearest = gap.min(axis=1)
    if nearest.min() > config.max_contact_gap:
        return findings + worst_of(
            nearest, config.max_contact_gap, "floating", "warning",
            f"the body never comes nearer to the ground than {nearest.min():.2f} m", "m", "whole body",
        )  # fmt: skip
    held = np.where(contacts > _CONTACT, gap, 0.0)
    for body in np.flatnonzero(held.max(axis=0) > config.max_contact_gap):
        findings += worst_of(
            held[:, body], config.max_contact_gap, "floating", "warning",
            "{where} has a contact label {value:.3f} m off the ground in frame {frame}", "m",
            skeleton.body_names[body],
        )  # fmt: skip
    return findings


def _outside(root_pos: np.ndarray, terrain: Terrain) -> np.ndarray:
    """How far each root is beyond the cells of the terrain, ``[T]`` m, 0 above them."""
    half = 0.5 * terrain.cell
    below = terrain.origin_xy - half - root_pos[:, :2]
    above = root_pos[:, :2] - terrain.max_xy - half
    return np.linalg.norm(np.maximum(np.maximum(below, above), 0.0), axis=-1)
