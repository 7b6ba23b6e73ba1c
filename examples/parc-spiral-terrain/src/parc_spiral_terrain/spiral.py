"""A stairway that winds around a center, on level ground at 0.

The ramp's center line is an Archimedean spiral: after `s` turns from the outer end it lies
``outer_radius - pitch * s`` from the center, with ``pitch = ramp_width + gap``.
"""

from __future__ import annotations

from typing import Any, ClassVar

import attrs
import numpy as np

from parc_core.config import setting
from parc_core.interfaces import TerrainSource
from parc_motion.terrains import Terrain

__all__ = ["SpiralConfig", "SpiralTerrain"]

_ROUNDING = 1e-9


@attrs.frozen(kw_only=True)
class SpiralConfig:
    """Settings of `spiral`."""

    dim_x: int = setting(40, ge=1, le=1000, help="cells along x")
    dim_y: int = setting(40, ge=1, le=1000, help="cells along y")
    cell: float = setting(0.4, gt=0, unit="m", help="side of a cell")
    turns: float = setting(2.0, gt=0, le=50, help="turns from the foot of the ramp to the platform")
    min_rise: float = setting(0.8, unit="m", help="least rise of a turn; negative for a way down")
    max_rise: float = setting(1.6, unit="m", help="largest rise of a turn")
    step_height: float = setting(0.2, ge=0, unit="m", help="height of a step; 0 for a smooth ramp")
    ramp_width: float = setting(1.6, gt=0, unit="m", help="width of the ramp")
    gap: float = setting(0.0, ge=0, unit="m", help="width of what lies between two windings")
    gap_height: float = setting(
        0.0, unit="m", help="height between two windings: low for a ditch, high for a wall"
    )
    platform: float = setting(0.8, ge=0, unit="m", help="least radius of the platform that the ramp leads to")
    direction: str = setting(
        "either", choices=("left", "right", "either"), help="way that a walker turns inwards"
    )
    max_shift: float = setting(
        0.8, ge=0, unit="m", help="how far the center may lie from the middle, in x and in y"
    )

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "pit": {"min_rise": -1.6, "max_rise": -0.8},
        "ditch": {"gap": 0.8, "gap_height": -1.0},
        "wall": {"gap": 0.8, "gap_height": 4.0},
    }

    def __attrs_post_init__(self) -> None:
        if self.min_rise > self.max_rise:
            raise ValueError(
                f"min_rise is {self.min_rise}, more than max_rise {self.max_rise}. Exchange the two"
            )
        across, side = 2 * (self.outer_edge + self.max_shift), min(self.dim_x, self.dim_y) * self.cell
        if across > side + _ROUNDING:
            raise ValueError(
                f"{self.turns:g} turns of {self.pitch:g} m around a platform need {across:.2f} m with their shift, "
                f"but the terrain is {side:.2f} m wide. Lower turns, ramp_width, gap, platform or max_shift, "
                f"or raise dim_x and dim_y"
            )

    @property
    def pitch(self) -> float:
        """Distance from one winding to the next, m."""
        return self.ramp_width + self.gap

    @property
    def outer_radius(self) -> float:
        """Radius of the ramp's center line at its foot, m."""
        return self.platform + self.ramp_width / 2 + self.pitch * self.turns

    @property
    def outer_edge(self) -> float:
        """Radius that holds the whole ramp, m."""
        return self.outer_radius + self.ramp_width / 2


class SpiralTerrain(TerrainSource):
    """Every terrain has its own rise, place of the foot, direction and center."""

    def __init__(self, config: SpiralConfig) -> None:
        self.config = config

    def sample(self, rng: np.random.Generator) -> Terrain:
        """A terrain with one spiral."""
        config = self.config
        # always the same draws in the same order, so that no setting changes what another one gets
        rise = rng.uniform(config.min_rise, config.max_rise)
        foot = rng.uniform(0.0, 2 * np.pi)
        coin = rng.choice([-1, 1])
        shift = rng.uniform(-config.max_shift, config.max_shift, 2)
        sign = {"left": 1, "right": -1, "either": coin}[config.direction]
        height = spiral_height(config, rise, foot, sign, shift)
        return Terrain(height=height, cell=config.cell)


def spiral_height(config: SpiralConfig, rise: float, foot: float, sign: int, shift: np.ndarray) -> np.ndarray:
    """Heights of a spiral, ``[dim_x, dim_y]`` m.

    Args:
        rise: of one turn, m.
        foot: direction from the center to the foot of the ramp, rad.
        sign: 1 when the way up turns to the left, -1 to the right.
        shift: of the center from the middle of the terrain, ``[2]`` m.
    """
    x, y = np.meshgrid(
        *((np.arange(n) - (n - 1) / 2) * config.cell for n in (config.dim_x, config.dim_y)), indexing="ij"
    )
    x, y = x - shift[0], y - shift[1]
    angle = np.mod(sign * (np.arctan2(y, x) - foot), 2 * np.pi) / (2 * np.pi)  # turns past the foot, 0..1
    radius = np.hypot(x, y)
    inwards = (config.outer_radius - radius) / config.pitch  # windings from the outer one
    s = np.round(inwards - angle) + angle  # turns that the nearest winding has made here
    aside = (inwards - s) * config.pitch  # m from that winding's center line, inwards is positive
    half = config.ramp_width / 2 + _ROUNDING
    outside = (s < 0) | ((s < 1) & (aside < -half))
    outer_winding = np.where(aside < -half, s - 1, s)  # of the two windings that a gap lies between
    between = (outer_winding >= 0) & (outer_winding <= config.turns) & (radius > config.platform + _ROUNDING)
    in_gap = between & (np.abs(aside) > half)
    height = _in_steps(rise * np.clip(s, 0, config.turns), config.step_height)
    return np.where(outside, 0.0, np.where(in_gap, config.gap_height, height))


def _in_steps(height: np.ndarray, step: float) -> np.ndarray:
    """Heights lowered to whole steps, towards 0."""
    return height if step == 0 else np.sign(height) * np.floor(np.abs(height) / step + _ROUNDING) * step
