"""Rules about a motion and its terrain: penetration, sliding, contacts in the air, terrain that does not fit."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from parc_data.tools.findings import Finding, ValidateConfig, finding, frame_runs, worst_frame
from parc_motion.clips import MotionClip
from parc_motion.kinematics import SurfacePoints
from parc_motion.metrics import contact_slides
from parc_motion.skeletons import Skeleton
from parc_motion.terrains import Terrain

__all__ = ["check_contacts", "check_penetration", "check_sliding", "check_terrain"]

_CONTACT = 0.5  # labels above it mean contact


def check_terrain(clip: MotionClip, config: ValidateConfig) -> list[Finding]:
    """`no_terrain`, `wide_terrain`, and `off_terrain`: the root leaves the grid."""
    terrain = clip.terrain
    if terrain is None:
        return [finding("no_terrain", "has no terrain; it cannot be simulated or used for training")]
    findings = []
    widest, most = max(terrain.shape), config.max_terrain_dim
    if widest > most:
        text = f"terrain of {terrain.shape[0]} x {terrain.shape[1]} cells, expected {most} at most"
        findings.append(finding("wide_terrain", text, config, value=float(widest)))
    text = "root is {value:.2f} m beyond the terrain in frame {frame}"
    outside = _distance_outside(clip.root_pos, terrain)
    return findings + worst_frame("off_terrain", outside, text, config, "root", limit=0.0)


def check_penetration(
    depth: Tensor, surface: SurfacePoints, skeleton: Skeleton, config: ValidateConfig
) -> list[Finding]:
    """`penetration`: the body is in the terrain; `depth` is that of each surface point, ``[T, P]`` m."""
    deepest, point = depth.max(dim=1)
    values = deepest.numpy()
    body = skeleton.body_names[int(surface.body[point[int(values.argmax())]])]
    text = "{where} is {value:.3f} m in the ground in frame {frame}"
    return worst_frame("penetration", values, text, config, body)


def check_sliding(
    points: Tensor, contacts: np.ndarray, surface: SurfacePoints, skeleton: Skeleton, config: ValidateConfig
) -> list[Finding]:
    """`sliding`: a foot moves while it is in contact, one finding per foot; `points` ``[T, P, 3]`` m."""
    findings = []
    for foot in skeleton.feet:
        label = torch.tensor(contacts[:, foot])
        slides = contact_slides(points[:, surface.body == foot], label, threshold=_CONTACT).numpy()
        if not (slides > config.max_slide).any():
            continue
        contact_runs = frame_runs(contacts[:, foot] > _CONTACT)  # one per slide, in the same order
        worst, name = int(slides.argmax()), skeleton.body_names[foot]
        first, last = contact_runs[worst]
        text = f"{name} slides {slides[worst]:.3f} m during its contact in frames {first} to {last}"
        frames = tuple(run for run, slide in zip(contact_runs, slides) if slide > config.max_slide)
        shown = {"where": name, "worst_frame": first, "value": float(slides[worst]), "frames": frames}
        findings.append(finding("sliding", text, config, **shown))
    return findings


def check_contacts(
    gap: np.ndarray, contacts: np.ndarray, skeleton: Skeleton, config: ValidateConfig
) -> list[Finding]:
    """`no_contacts`, and `floating`: a body with a contact label, or the whole character, is off the ground.

    Args:
        gap: distance of each body to the ground, ``[T, B]`` m.
        contacts: ``[T, B]`` 0..1.
    """
    findings: list[Finding] = []
    if not (contacts > _CONTACT).any():
        findings.append(finding("no_contacts", "no body has a contact label in any frame"))
    nearest = gap.min(axis=1)
    if nearest.min() > config.max_contact_gap:
        text = f"the body never comes closer to the ground than {nearest.min():.2f} m"
        return findings + worst_frame("floating", nearest, text, config, "whole body")
    labeled = np.where(contacts > _CONTACT, gap, 0.0)
    text = "{where} has a contact label {value:.3f} m off the ground in frame {frame}"
    for body, name in enumerate(skeleton.body_names):
        findings += worst_frame("floating", labeled[:, body], text, config, name)
    return findings


def _distance_outside(root_pos: np.ndarray, terrain: Terrain) -> np.ndarray:
    """How far each root is outside the grid, ``[T]`` m; 0 above its cells."""
    half = 0.5 * terrain.cell
    below = terrain.origin_xy - half - root_pos[:, :2]
    above = root_pos[:, :2] - terrain.max_xy - half
    return np.linalg.norm(np.maximum(np.maximum(below, above), 0.0), axis=-1)
