"""Kind `planner`."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from parc_motion.terrains import Path, Terrain

__all__ = ["Planner"]


class Planner(ABC):
    """Finds a route over a terrain.

    Made with ``target(config)``.

    class Straight(Planner):
        def __init__(self, config):
            pass

        def plan(self, terrain, rng):
            row = np.array([[i, 0] for i in range(terrain.shape[0])])
            if len(row) < 2:
                raise NoPathFound("straight: the terrain is one cell long; make it longer.")
            return Path(points=terrain.center_of(row), kinds=[SegmentKind.WALK] * (len(row) - 1))
    """

    def prepare(self, terrain: Terrain, rng: np.random.Generator) -> Terrain:
        """The terrain that will be planned on; a planner may even out its start and goal. The terrain itself here."""
        return terrain

    @abstractmethod
    def plan(self, terrain: Terrain, rng: np.random.Generator) -> Path:
        """The whole route from a start to a goal that the planner picks; it depends on nothing but its arguments.

        Its points are at most 1.5 cells apart and stand on their cells, but for those in the middle of a jump; climbs
        lead up, drops lead down. The terrain is left as it is.

        Raises:
            NoPathFound: with the reason in one line; the caller counts it and tries another terrain.
        """
