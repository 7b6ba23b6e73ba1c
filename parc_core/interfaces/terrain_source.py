"""Kind `terrain_source`."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from parc_motion.terrains import Terrain

__all__ = ["TerrainSource"]


class TerrainSource(ABC):
    """Makes terrains to generate motion on.

    Made with ``target(config)``.

    class Flat(TerrainSource):
        def __init__(self, config):
            self.config = config

        def sample(self, rng):
            return Terrain(height=np.zeros((16, 16)), cell=0.4)
    """

    @abstractmethod
    def sample(self, rng: np.random.Generator) -> Terrain:
        """A terrain that depends on the configuration and on `rng` only.

        Not on earlier samples, and not on any other random state. Heights are finite; number and size of the cells,
        and the place of the terrain in the world, may differ from sample to sample.
        """
