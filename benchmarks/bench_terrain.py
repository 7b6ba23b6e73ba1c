"""Making terrain: CPU time per terrain of 16 x 16 cells with default settings.

Run: ``python benchmarks/bench_terrain.py [--repeat 60] [--json]``. The published figures are of the published
implementation's generators with the same number of boxes, stairs and tracks, on the same class of machine.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from measure import arguments, cpu_ms, report

from parc_core.interfaces import TerrainSource
from parc_motion.terrains import Terrain
from parc_terrain.boxes import BoxConfig, BoxTerrain
from parc_terrain.paths import PathsConfig, PathsTerrain
from parc_terrain.stairs import StairConfig, StairTerrain

# name -> the source, what the published one takes in ms, and what is on the terrain
SOURCES: dict[str, tuple[TerrainSource, float, str]] = {
    "paths16": (PathsTerrain(PathsConfig()), 265.8, "8 tracks of 1000 steps"),
    "stairs16": (StairTerrain(StairConfig()), 4.6, "4 staircases"),
    "boxes16": (BoxTerrain(BoxConfig()), 1.59, "10 boxes"),
}


def main() -> None:
    """Print one table, or one JSON object."""
    options = arguments(__doc__, repeat=60)
    figures = [
        cpu_ms(name, partial(_sample, source), options.repeat, published, note)
        for name, (source, published, note) in SOURCES.items()
    ]
    report(figures, options.json)


def _sample(source: TerrainSource, seed: int) -> Terrain:
    return source.sample(np.random.default_rng(seed))


if __name__ == "__main__":
    main()
