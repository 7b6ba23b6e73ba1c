"""Touched cells and height bounds of clips: how far their terrain can change without invalidating the motion."""

from __future__ import annotations

import attrs
import torch

from parc_motion.clips import MotionClip
from parc_motion.errors import DataError
from parc_motion.geometry import PackedTerrains, height_bounds, touched_cells, touched_rows
from parc_motion.kinematics import Kinematics, SurfacePoints, surface_points
from parc_motion.skeletons import Skeleton

__all__ = ["Preprocessor"]


class Preprocessor:
    """Computes `touched` of clips and the `bounds` of their terrains from the surface points of one character.

    >>> clip = Preprocessor(skeleton)(clip)
    """

    def __init__(self, skeleton: Skeleton) -> None:
        self.skeleton = skeleton
        self.kinematics = Kinematics(skeleton)
        self.surface: SurfacePoints = surface_points(skeleton)

    def __call__(self, clip: MotionClip, *, override: bool = True) -> MotionClip:
        """The clip with cells and bounds; one that has both is left alone unless `override`.

        Raises:
            DataError: the clip has no terrain.
            SkeletonMismatch: it belongs to another character.
        """
        clip.require_skeleton(self.skeleton.id, self.skeleton.num_joints)
        terrain = clip.terrain
        if terrain is None:
            raise DataError(f"clip '{clip.name}' has no terrain, so it has no touched cells. Attach one.")
        if clip.touched is not None and terrain.bounds is not None and not override:
            return clip
        pose = (torch.tensor(array) for array in (clip.root_pos, clip.root_rot, clip.joint_rot))
        packed, ids = PackedTerrains.of([terrain]), torch.zeros(clip.num_frames, dtype=torch.long)
        cells, lowest = touched_cells(packed, ids, *self.kinematics.forward(*pose), self.surface)
        highest = torch.tensor([float(clip.root_pos[:, 2].max())])
        bounds = height_bounds(packed, lowest, highest).reshape(*terrain.shape, 2)
        return attrs.evolve(
            clip,
            touched=touched_rows(cells, terrain.shape[1]).numpy(),
            terrain=attrs.evolve(terrain, bounds=bounds.numpy()),
        )
