"""Kind `planner`."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from parc_core.data.path import Path
from parc_core.data.terrain import Terrain

__all__ = ["Planner"]


class Planner(ABC):
    """Finds a route over a terrain.

    Made with ``target(config)``.

    class Straight(Planner):
        def __init__(self, config):
            pass

        def plan(self, terrain, rng):
            ends = np.array([[0, 0], np.array(terrain.shape) - 1])
            return Path(points=terrain.centre_of(ends), kinds=[SegmentKind.WALK])
    """

    def prepare(self, terrain: Terrain, rng: np.random.Generator) -> Terrain:
        """The terrain that will be planned on; a planner may even out its start and goal. The terrain itself here."""
        return terrain

    @abstractmethod
    def plan(self, terrain: Terrain, rng: np.random.Generator) -> Path:
        """A route from a start to a goal that the planner picks.

        Raises:
            NoPathFound: with the reason; the caller counts it and tries another terrain.
        """
