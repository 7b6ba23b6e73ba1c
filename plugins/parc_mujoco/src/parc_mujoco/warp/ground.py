"""The ground of each copy: boxes, written into the fields that MuJoCo Warp reads them from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from parc_motion.terrains import Terrain
from parc_mujoco.model import pad_boxes, terrain_boxes

__all__ = ["GroundTable"]


class GroundTable:
    """The boxes of all terrains of a scene on the device, padded to equal numbers.

    A box of the ground is not turned, so its bounding volumes follow from its size.
    """

    def __init__(self, terrains: Sequence[Terrain], device: torch.device) -> None:
        covers = [terrain_boxes(terrain) for terrain in terrains]
        self.num_boxes = max(len(centers) for centers, _ in covers)
        padded = [pad_boxes(cover, self.num_boxes) for cover in covers]
        #: centers and half sizes of terrain 0, ``[K, 3]`` m each
        self.first = padded[0]
        centers, halves = (np.stack(part) for part in zip(*padded))

        def tensor(values: np.ndarray) -> torch.Tensor:
            return torch.tensor(values, device=device, dtype=torch.float32)

        self._pos, self._size = tensor(centers), tensor(halves)  # [T, K, 3] m
        self._radius = tensor(np.linalg.norm(halves, axis=-1))  # [T, K] m

    def __len__(self) -> int:
        return len(self._pos)

    def write(self, geoms: dict[str, Tensor], env_ids: Tensor, terrain_ids: Tensor) -> None:
        """Put the boxes of terrains under copies.

        Args:
            geoms: views of `geom_pos`, `geom_size`, `geom_rbound`, `geom_aabb` of the model and `geom_xpos` of the
                data, a row per copy. `geom_xpos` is the trap: for geoms of the world, physics computes it once only.
        """
        boxes = slice(self.num_boxes)
        pos, size = self._pos[terrain_ids], self._size[terrain_ids]
        geoms["geom_pos"][env_ids, boxes] = pos
        geoms["geom_xpos"][env_ids, boxes] = pos
        geoms["geom_size"][env_ids, boxes] = size
        geoms["geom_rbound"][env_ids, boxes] = self._radius[terrain_ids]
        geoms["geom_aabb"][env_ids, boxes, 1] = size
