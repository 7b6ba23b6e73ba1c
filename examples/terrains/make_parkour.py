"""Makes parkour.npz, the large terrain of examples/paper.yaml, again: python examples/terrains/make_parkour.py

51 m by 51 m in districts of 8 m: scattered blocks, stairs to a platform, trenches to jump over, terraces to climb.
"""

from __future__ import annotations

import pathlib

import numpy as np

from parc_motion.clips import save_terrain
from parc_motion.terrains import Terrain

SIDE, DISTRICT, CELL = 128, 20, 0.4  # cells, cells, m


def blocks(rng: np.random.Generator) -> np.ndarray:
    """Blocks of 1.6 to 2.4 m, from knee to head height."""
    height = np.zeros((DISTRICT, DISTRICT))
    for _ in range(6):
        i, j = 2 * rng.integers(0, DISTRICT // 2 - 2, 2)
        nx, ny = 2 * rng.integers(2, 4, 2)
        height[i : i + nx, j : j + ny] = rng.choice([0.4, 0.6, 0.8, 1.2, 1.6, 2.0])
    return height


def stairs(rng: np.random.Generator) -> np.ndarray:
    """Steps of 0.2 m up to a platform, and down on the other side."""
    step = np.minimum(np.arange(DISTRICT), np.arange(DISTRICT)[::-1])
    return np.repeat(0.2 * np.minimum(step, 7)[:, None], DISTRICT, axis=1)


def trenches(rng: np.random.Generator) -> np.ndarray:
    """Trenches 2 m deep and 0.8 m or 1.6 m wide."""
    height = np.zeros((DISTRICT, DISTRICT))
    for start in (2, 8, 14):
        height[start : start + int(rng.choice([2, 4]))] = -2.0
    return height


def terraces(rng: np.random.Generator) -> np.ndarray:
    """Square terraces, each up to 1 m above the one around it."""
    edge = np.minimum(np.arange(DISTRICT), np.arange(DISTRICT)[::-1]) // 4
    rise = float(rng.choice([0.4, 0.6, 0.8, 1.0]))
    return rise * np.minimum(edge[:, None], edge[None, :]).astype(float)


def main() -> None:
    """Write the file beside this script."""
    rng = np.random.default_rng(0)
    height = np.zeros((SIDE, SIDE))
    kinds = (blocks, stairs, trenches, terraces)
    places = range(4, SIDE - DISTRICT, DISTRICT)
    for number, (i, j) in enumerate((i, j) for i in places for j in places):
        part = kinds[(number + number // len(places)) % len(kinds)](rng)
        height[i : i + DISTRICT, j : j + DISTRICT] = np.rot90(part, int(rng.integers(4)))
    save_terrain(pathlib.Path(__file__).with_name("parkour.npz"), Terrain(height=height, cell=CELL))


if __name__ == "__main__":
    main()
