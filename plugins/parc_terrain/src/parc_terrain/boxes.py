"""Boxes scattered over a flat field.

Source: `parc_motion.published`: number, size, placement and default values.
"""

from __future__ import annotations

from typing import Any, ClassVar

import attrs
import numpy as np

from parc_core.config import setting
from parc_core.interfaces import TerrainSource
from parc_motion.terrains import Terrain
from parc_terrain.grid import HIGHEST, GridConfig, check_order
from parc_terrain.rectangles import draw_rectangles

__all__ = ["BoxConfig", "BoxTerrain"]

_TURN = 6.2832  # rad, a whole turn, rounded up


@attrs.frozen(kw_only=True)
class BoxConfig(GridConfig):
    """Settings of `boxes`."""

    num_boxes: int = setting(10, ge=0, le=100_000, help="Number of boxes per terrain.")
    min_length: float = setting(5.0, ge=0, le=1000.0, unit="cells", help="Minimum side length of a box.")
    max_length: float = setting(10.0, ge=0, le=1000.0, unit="cells", help="Maximum side length of a box.")
    min_height: float = setting(
        -2.0,
        ge=-HIGHEST,
        le=HIGHEST,
        unit="m",
        help="Minimum height of a box's top; the surrounding ground is at 0.",
    )
    max_height: float = setting(2.0, ge=-HIGHEST, le=HIGHEST, unit="m", help="Maximum height of a box's top.")
    min_angle: float = setting(
        0.0, ge=-_TURN, le=_TURN, unit="rad", help="Minimum rotation of a box about the z axis."
    )
    max_angle: float = setting(
        0.0, ge=-_TURN, le=_TURN, unit="rad", help="Maximum rotation of a box about the z axis."
    )

    # steps that a person walks over or climbs without running up
    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "easy": {"num_boxes": 6, "min_height": -0.3, "max_height": 0.4},
    }

    def __attrs_post_init__(self) -> None:
        pairs = ((f"min_{name}", f"max_{name}") for name in ("length", "height", "angle"))
        check_order("boxes", self, *pairs)


class BoxTerrain(TerrainSource):
    """Boxes of random size, place, turn and height on level ground at 0; raised and sunken ones alike."""

    def __init__(self, config: BoxConfig) -> None:
        self.config = config

    def sample(self, rng: np.random.Generator) -> Terrain:
        """A terrain with its own boxes."""
        config = self.config
        count, shape = config.num_boxes, (config.dim_x, config.dim_y)
        center = rng.uniform(0.0, 1.0, (count, 2)) * shape
        size = rng.uniform(config.min_length, config.max_length, (count, 2))
        angle = rng.uniform(config.min_angle, config.max_angle, count)
        top = rng.uniform(config.min_height, config.max_height, count)
        return config.terrain(draw_rectangles(np.zeros(shape), center, size, angle, top))
