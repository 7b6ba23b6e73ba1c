"""One compiled model per terrain, all with data of the same layout, made when a terrain is first stood on."""

from __future__ import annotations

from collections.abc import Sequence

import mujoco

from parc_core.interfaces import stop_point
from parc_motion.skeletons import Skeleton
from parc_motion.terrains import Terrain
from parc_mujoco.config import MujocoConfig
from parc_mujoco.model import build_spec, terrain_boxes

__all__ = ["TerrainModels"]


class TerrainModels:
    """The models of a scene by terrain.

    A model costs about 2 ms and 0.1 MB per terrain; moving an environment to another terrain is
    then one pointer. Writing geom fields per environment instead needs the bounding volumes derived again at
    each change.
    """

    def __init__(self, skeleton: Skeleton, terrains: Sequence[Terrain], config: MujocoConfig) -> None:
        self._skeleton, self._config = skeleton, config
        self._boxes = []
        for terrain in terrains:
            stop_point()
            self._boxes.append(terrain_boxes(terrain))
        self.num_boxes = max(len(centers) for centers, _ in self._boxes)
        self._models: dict[int, mujoco.MjModel] = {}

    def __len__(self) -> int:
        return len(self._boxes)

    def __getitem__(self, terrain_id: int) -> mujoco.MjModel:
        if terrain_id not in self._models:
            self._models[terrain_id] = self._spec(terrain_id).compile()
        return self._models[terrain_id]

    def mjcf(self, terrain_id: int) -> str:
        """The model as a text."""
        spec = self._spec(terrain_id)
        spec.compile()
        return spec.to_xml()

    def _spec(self, terrain_id: int) -> mujoco.MjSpec:
        return build_spec(self._skeleton, self._config, self._boxes[terrain_id], self.num_boxes)
