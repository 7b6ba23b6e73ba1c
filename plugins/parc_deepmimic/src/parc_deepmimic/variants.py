"""Variants of a motion's terrain: boxes raise or lower the ground where the motion does not touch it.

Source: `parc_motion.published` for the bounds within which a motion stays valid (ground under the body is fixed,
ground far below it may rise, the rest is free) and for boxes as a way to vary a terrain.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs
import numpy as np
import torch

from parc_deepmimic.config import VariantConfig
from parc_motion.clips import MotionClip
from parc_motion.geometry import PackedTerrains, height_bounds, touched_cells
from parc_motion.kinematics import Kinematics, surface_points
from parc_motion.terrains import Terrain

__all__ = ["distinct_terrains", "terrain_bounds", "terrains_of", "variant"]


def terrains_of(clip: MotionClip, config: VariantConfig, kinematics: Kinematics, seed: int) -> list[Terrain]:
    """The clip's own terrain (level ground where it has none) and its variants; equal seeds give equal variants."""
    if clip.terrain is None:
        return [Terrain(height=np.zeros((2, 2)))]
    if config.per_motion == 1:
        return [clip.terrain]
    bounds = clip.terrain.bounds
    if bounds is None:
        bounds = terrain_bounds(clip, clip.terrain, kinematics)
    rng = np.random.default_rng(seed)
    others = [variant(clip.terrain, bounds, config, rng) for _ in range(config.per_motion - 1)]
    return [clip.terrain, *others]


def distinct_terrains(per_motion: Sequence[Sequence[Terrain]]) -> tuple[list[Terrain], list[list[int]]]:
    """The different terrains of all motions, and the ids of each motion's terrains (lists of equal length)."""
    terrains: list[Terrain] = []
    known: dict[tuple[Any, ...], int] = {}
    count, choices = max(len(own) for own in per_motion), []
    for own in per_motion:
        ids = []
        for terrain in own:
            key = (terrain.height.tobytes(), terrain.shape, terrain.origin_xy.tobytes(), terrain.cell)
            if key not in known:
                known[key] = len(terrains)
                terrains.append(terrain)
            ids.append(known[key])
        choices.append([ids[k % len(ids)] for k in range(count)])
    return terrains, choices


def terrain_bounds(clip: MotionClip, terrain: Terrain, kinematics: Kinematics) -> np.ndarray:
    """Lowest and highest height of each cell of a terrain that leave the motion on it valid: ``[nx, ny, 2]`` m."""
    packed = PackedTerrains.of([terrain], kinematics.device)
    pos, turn, joint = (
        torch.tensor(getattr(clip, name), device=kinematics.device)
        for name in ("root_pos", "root_rot", "joint_rot")
    )
    owner = torch.zeros(clip.num_frames, dtype=torch.long, device=kinematics.device)
    surface = surface_points(kinematics.skeleton, kinematics.device)
    _, lowest = touched_cells(packed, owner, *kinematics.forward(pos, turn, joint), surface)
    bounds = height_bounds(packed, lowest, pos[:, 2].amax()[None])
    return bounds[0].reshape(*terrain.shape, 2).cpu().numpy()


def variant(terrain: Terrain, bounds: np.ndarray, config: VariantConfig, rng: np.random.Generator) -> Terrain:
    """The terrain with some boxes of other height, kept within the bounds ``[nx, ny, 2]`` m."""
    height = terrain.height.copy()
    for _ in range(int(rng.integers(config.boxes + 1))):
        size = rng.integers(1, config.largest_cells + 1, size=2)
        corner = np.array([rng.integers(n) for n in terrain.shape])
        i, j = (slice(c, c + s) for c, s in zip(corner, size))
        height[i, j] += np.float32(rng.uniform(-config.change, config.change))
    return attrs.evolve(terrain, height=np.clip(height, bounds[..., 0], bounds[..., 1]), bounds=None)
