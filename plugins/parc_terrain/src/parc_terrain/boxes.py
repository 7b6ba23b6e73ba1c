"""Boxes scattered over a flat field.

Source: published PARC implementation: number, size, placement and strict inside test; later boxes overwrite earlier.
"""

from __future__ import annotations

from typing import Any, ClassVar

import attrs
import numpy as np

from parc_core.config.fields import setting
from parc_core.data.terrain import Terrain
from parc_core.errors import ConfigError
from parc_core.interfaces.terrain_source import TerrainSource
from parc_terrain.grid import GridConfig

__all__ = ["BoxConfig", "BoxTerrain", "inside_rectangles"]


@attrs.frozen(kw_only=True)
class BoxConfig(GridConfig):
    """Settings of `boxes`."""

    num_boxes: int = setting(10, ge=0, help="boxes per terrain")
    min_length: float = setting(5.0, ge=0, unit="cells", help="shortest side of a box")
    max_length: float = setting(10.0, ge=0, unit="cells", help="longest side of a box")
    min_height: float = setting(-2.0, unit="m", help="lowest top of a box; the field is at 0")
    max_height: float = setting(2.0, unit="m", help="highest top of a box")
    min_angle: float = setting(0.0, unit="rad", help="smallest turn of a box about z")
    max_angle: float = setting(0.0, unit="rad", help="largest turn of a box about z")

    # steps that a person walks over or climbs without running up
    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "easy": {"num_boxes": 6, "min_height": -0.3, "max_height": 0.4},
    }

    def __attrs_post_init__(self) -> None:
        for name in ("length", "height", "angle"):
            low, high = getattr(self, f"min_{name}"), getattr(self, f"max_{name}")
            if low > high:
                raise ConfigError(
                    f"boxes: min_{name} is {low}, more than max_{name} {high}. Exchange the two."
                )


class BoxTerrain(TerrainSource):
    """Boxes of random size, place, turn and height on level ground at 0; raised and sunken ones alike."""

    def __init__(self, config: BoxConfig) -> None:
        self.config = config

    def sample(self, rng: np.random.Generator) -> Terrain:
        """A terrain with its own boxes."""
        config = self.config
        count, shape = config.num_boxes, (config.dim_x, config.dim_y)
        centre = rng.uniform(0.0, 1.0, (count, 2)) * shape
        size = rng.uniform(config.min_length, config.max_length, (count, 2))
        angle = rng.uniform(config.min_angle, config.max_angle, count)
        top = rng.uniform(config.min_height, config.max_height, count)
        inside = inside_rectangles(shape, centre, size, angle)
        return config.terrain(overwrite(np.zeros(shape), inside, top))


def inside_rectangles(
    shape: tuple[int, int], centre: np.ndarray, size: np.ndarray, angle: np.ndarray
) -> np.ndarray:
    """Which cells have their centre strictly inside each turned rectangle: ``[K, nx, ny]`` bool.

    Args:
        shape: nx, ny.
        centre: ``[K, 2]`` cells.
        size: full side lengths, ``[K, 2]`` cells.
        angle: turn about z, ``[K]`` rad.
    """
    x = np.arange(shape[0])[None, :, None] - centre[:, 0, None, None]
    y = np.arange(shape[1])[None, None, :] - centre[:, 1, None, None]
    half = size[:, :, None, None] / 2
    if not angle.any():  # the usual case; an outer product of two short rows
        return (np.abs(x) < half[:, 0]) & (np.abs(y) < half[:, 1])
    cos, sin = np.cos(angle)[:, None, None], np.sin(angle)[:, None, None]
    return (np.abs(cos * x + sin * y) < half[:, 0]) & (np.abs(cos * y - sin * x) < half[:, 1])


def overwrite(height: np.ndarray, inside: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Heights ``[nx, ny]`` with a ``value`` ``[K]`` in each region ``[K, nx, ny]``; the last one wins."""
    if len(value) == 0:
        return height
    last = len(value) - 1 - inside[::-1].argmax(axis=0)
    return np.where(inside.any(axis=0), value[last], height)
