"""A straight line over the terrain, whatever lies on it."""

from __future__ import annotations

import attrs
import numpy as np

from parc_core.config.fields import setting
from parc_core.data.path import Path, SegmentKind
from parc_core.data.terrain import Terrain
from parc_core.errors import NoPathFound
from parc_core.interfaces.planner import Planner

__all__ = ["StraightConfig", "StraightPlanner"]


@attrs.frozen(kw_only=True)
class StraightConfig:
    """Settings of `straight`."""

    length: float = setting(5.0, gt=0, unit="m", help="length of the path")
    walk_z: float = setting(
        0.2, ge=0, unit="m", help="steps up to this count as walking, not as climb or drop"
    )


class StraightPlanner(Planner):
    """Goes straight on, up and down every step, as a baseline and for level ground."""

    def __init__(self, config: StraightConfig) -> None:
        self.config = config

    def plan(self, terrain: Terrain, rng: np.random.Generator) -> Path:
        """A line of the set length in a random direction, at a random place where it fits.

        Raises:
            NoPathFound: the terrain is shorter than the path in the drawn direction.
        """
        angle = rng.uniform(0.0, 2 * np.pi)
        move = self.config.length * np.array([np.cos(angle), np.sin(angle)])
        low = terrain.origin_xy - np.minimum(move, 0)
        high = terrain.max_xy - np.maximum(move, 0)
        if (high < low).any():
            size = " x ".join(f"{length:.1f}" for length in terrain.max_xy - terrain.origin_xy)
            raise NoPathFound(
                f"straight: a path of {self.config.length} m in direction {angle:.2f} rad does not fit on a terrain "
                f"of {size} m; lower length or make the terrain larger."
            )
        start = rng.uniform(low, high)
        parts = max(int(np.ceil(self.config.length / terrain.cell - 1e-6)), 1)
        xy = start + np.linspace(0.0, 1.0, parts + 1)[:, None] * move
        z = terrain.height_at(xy)
        rise = np.diff(z)
        walk = self.config.walk_z + 1e-4
        kinds = np.select(
            [rise > walk, rise < -walk], [SegmentKind.CLIMB, SegmentKind.DROP], SegmentKind.WALK
        )
        return Path(points=np.column_stack([xy, z]), kinds=kinds, cost=self.config.length)
