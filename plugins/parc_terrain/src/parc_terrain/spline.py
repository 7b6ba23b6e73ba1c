"""A smooth curve through random points of the terrain.

Source: `parc_motion.published`: a Catmull-Rom curve through six random points, with points about a cell apart.
The formula: E. Catmull, R. Rom, "A class of local interpolating splines" (1974), uniform, tension 1/2.
"""

from __future__ import annotations

import attrs
import numpy as np

from parc_core.config import setting
from parc_core.errors import NoPathFound
from parc_core.interfaces import Planner
from parc_motion.terrains import Path, Terrain
from parc_terrain.ground import highest_step, path_on_ground

__all__ = ["SplineConfig", "SplinePlanner", "catmull_rom"]

# The two negative weights of the curve add up to 1/8 at most, so it leaves the box around its points by at most an
# eighth of that box; points off the outer tenth of the terrain (1/8 of the remaining 8/10) keep it inside.
_MARGIN = 0.1


@attrs.frozen(kw_only=True)
class SplineConfig:
    """Settings of `spline`."""

    num_points: int = setting(6, ge=2, le=1000, help="Number of random points that the curve passes through.")
    min_length: float = setting(2.0, ge=1e-6, le=10_000.0, unit="m", help="Minimum length of a curve.")
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
    tries: int = setting(10, ge=1, le=1000, help="Number of curves that are tried per terrain.")


class SplinePlanner(Planner):
    """Follows a smooth curve, up and down every step unless `max_z_diff` is set; for wandering and turning."""

    def __init__(self, config: SplineConfig) -> None:
        self.config = config

    def plan(self, terrain: Terrain, rng: np.random.Generator) -> Path:
        """A curve through random points; it never leaves the terrain.

        Raises:
            NoPathFound: of the tried curves all are too short or cross a step higher than `max_z_diff`.
        """
        config = self.config
        size = terrain.max_xy - terrain.origin_xy
        reasons = []
        for _ in range(config.tries):
            points = rng.uniform(_MARGIN, 1 - _MARGIN, (config.num_points, 2)) * size + terrain.origin_xy
            xy, length = _evenly(catmull_rom(points), terrain.cell)
            if length < config.min_length:
                reasons.append(
                    f"a curve is {length:.2f} m long, shorter than min_length ({config.min_length} m), on a terrain "
                    f"of {size[0]:.1f} x {size[1]:.1f} m; lower min_length or make the terrain larger."
                )
                continue
            step, place = (0.0, xy[0]) if config.max_z_diff is None else highest_step(terrain, xy)
            if config.max_z_diff is not None and step > config.max_z_diff + 1e-5:
                reasons.append(
                    f"a step of {step:.2f} m at ({place[0]:.2f}, {place[1]:.2f}) m is higher than max_z_diff "
                    f"({config.max_z_diff} m); raise it or take gentler terrain."
                )
                continue
            return path_on_ground(terrain, xy, config.walk_z, length)
        raise NoPathFound(f"spline: none of {config.tries} curves fits; the last: {reasons[-1]}")


def catmull_rom(points: np.ndarray, per_piece: int = 64) -> np.ndarray:
    """Points close together on the Catmull-Rom curve through `points`: ``[(n - 1) * per_piece + 1, 2]``.

    The first and the last point are taken twice, so that the curve reaches them.

    Args:
        points: ``[n, 2]``, at least two.
    """
    padded = np.concatenate([points[:1], points, points[-1:]])
    before, start, stop, after = (padded[k : len(points) - 1 + k, None] for k in range(4))
    t = (np.arange(per_piece) / per_piece)[:, None]
    curve = start + t / 2 * (
        stop
        - before
        + t * (2 * before - 5 * start + 4 * stop - after + t * (3 * (start - stop) + after - before))
    )
    return np.concatenate([curve.reshape(-1, 2), points[-1:]])


def _evenly(curve: np.ndarray, spacing: float) -> tuple[np.ndarray, float]:
    """Points at equal distances along a curve, at most `spacing` m, both ends kept; and its length, m."""
    pieces = np.linalg.norm(np.diff(curve, axis=0), axis=1)
    along = np.concatenate([[0.0], np.cumsum(pieces)])
    parts = max(int(np.ceil(along[-1] / spacing - 1e-6)), 1)
    at = np.linspace(0.0, along[-1], parts + 1)
    return np.stack([np.interp(at, along, curve[:, axis]) for axis in range(2)], axis=1), float(along[-1])
