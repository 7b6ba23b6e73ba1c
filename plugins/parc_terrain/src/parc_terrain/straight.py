"""A straight line over the terrain."""

from __future__ import annotations

import attrs
import numpy as np

from parc_core.config import setting
from parc_core.errors import NoPathFound
from parc_core.interfaces import Planner
from parc_motion.terrains import Path, Terrain
from parc_terrain.ground import highest_step, path_on_ground

__all__ = ["StraightConfig", "StraightPlanner"]


@attrs.frozen(kw_only=True)
class StraightConfig:
    """Settings of `straight`."""

    length: float = setting(5.0, ge=1e-6, le=1000.0, unit="m", help="Length of the path.")
    max_z_diff: float | None = setting(
        None,
        ge=0,
        le=100.0,
        unit="m",
        help="Maximum height difference along the path, up or down; null: no limit.",
    )
    walk_z: float = setting(
        0.2,
        ge=0,
        le=100.0,
        unit="m",
        help="Height differences up to this are labeled as walking, not as climb or drop.",
    )


class StraightPlanner(Planner):
    """Goes straight on, as a baseline and for level ground; up and down every step unless `max_z_diff` is set."""

    def __init__(self, config: StraightConfig) -> None:
        self.config = config

    def plan(self, terrain: Terrain, rng: np.random.Generator) -> Path:
        """A line of the set length in a random direction, at a random place where it fits.

        Raises:
            NoPathFound: the terrain is shorter than the path in the drawn direction, or a step on the way is higher
                than `max_z_diff`.
        """
        config = self.config
        angle = rng.uniform(0.0, 2 * np.pi)
        move = config.length * np.array([np.cos(angle), np.sin(angle)])
        low = terrain.origin_xy - np.minimum(move, 0)
        high = terrain.max_xy - np.maximum(move, 0)
        if (high < low).any():
            size = " x ".join(f"{length:.1f}" for length in terrain.max_xy - terrain.origin_xy)
            raise NoPathFound(
                f"straight: a path of {config.length} m in direction {angle:.2f} rad does not fit on a terrain "
                f"of {size} m; lower length or make the terrain larger."
            )
        start = rng.uniform(low, high)
        parts = max(int(np.ceil(config.length / terrain.cell - 1e-6)), 1)
        xy = start + np.linspace(0.0, 1.0, parts + 1)[:, None] * move
        if config.max_z_diff is not None:
            step, place = highest_step(terrain, xy)
            if step > config.max_z_diff + 1e-5:
                raise NoPathFound(
                    f"straight: a step of {step:.2f} m at ({place[0]:.2f}, {place[1]:.2f}) m is higher than max_z_diff "
                    f"({config.max_z_diff} m); raise it or take gentler terrain."
                )
        return path_on_ground(terrain, xy, config.walk_z, config.length)
