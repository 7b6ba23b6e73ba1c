"""The ground as everything else asks for it: distances, height patches, box covers. CPU time, medians.

Run: ``python benchmarks/bench_geometry.py [--repeat 60] [--json]``. The points of the distances are those of a clip of
60 frames, 304 surface points each, on scattered boxes; covers take a new terrain each time.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from measure import Figure, arguments, cpu_ms, report

from parc_motion.geometry import (
    PackedTerrains,
    box_cover,
    grid_offsets,
    height_patch,
    penetration_depth,
    signed_distance,
)
from parc_motion.terrains import Terrain, slice_around
from parc_terrain.boxes import BoxConfig, BoxTerrain

PUBLISHED_DISTANCE = {16: 240.0, 64: 4300.0, 100: 13300.0}  # ms CPU


def main() -> None:
    """Print all figures."""
    options = arguments(__doc__, repeat=60)
    torch.set_num_threads(1)
    few = max(options.repeat // 3, 1)
    figures = [*_distances(few), _patches(few), _slice(options.repeat)]
    figures += _solids(16, options.repeat)
    figures += _solids(100, few)
    report(figures, options.json)


def _terrain(cells: int, seed: int) -> Terrain:
    """Scattered boxes, as many for each cell at every size."""
    config = BoxConfig(dim_x=cells, dim_y=cells, num_boxes=10 if cells == 16 else round(cells**2 * 0.039))
    return BoxTerrain(config).sample(np.random.default_rng(seed))


def _distances(repeat: int) -> list[Figure]:
    figures = []
    for cells, published in PUBLISHED_DISTANCE.items():
        terrain, rng = _terrain(cells, 0), np.random.default_rng(0)
        root = rng.uniform(1, cells * 0.4 - 1, (60, 1, 2))
        xy = root + 0.3 * rng.normal(size=(60, 304, 2))
        z = terrain.height_at(root)[..., None] + rng.uniform(-0.3, 1.7, (60, 304, 1))
        points = torch.tensor(np.concatenate([xy, z], axis=-1), dtype=torch.float32)[None]
        packed, ids = PackedTerrains.of([terrain]), torch.zeros(1, dtype=torch.long)
        note = f"18,240 points, {cells} x {cells} cells"
        for name, function, limit, reference in (
            (f"sdf{cells}", signed_distance, None, published),
            (f"sdf{cells}_within_1m", signed_distance, 1.0, None),
            (f"penetration{cells}", penetration_depth, None, None),
        ):
            call = partial(_ignore, function, packed, ids, points, limit)
            figures.append(cpu_ms(name, call, repeat, reference, note))
    return figures


def _patches(repeat: int) -> Figure:
    rng = torch.Generator().manual_seed(0)
    packed, ids = PackedTerrains.of([_terrain(100, 0)]), torch.zeros(4096, dtype=torch.long)
    center, heading = torch.rand(4096, 2, generator=rng) * 40, torch.rand(4096, generator=rng)
    offsets = grid_offsets(10, 10, 10, 10, 0.2).reshape(-1, 2)
    call = partial(_ignore, height_patch, packed, ids, center, heading, offsets)
    return cpu_ms("height_patches", call, repeat, 74.3, "4096 characters, 441 points each")


def _slice(repeat: int) -> Figure:
    terrain = _terrain(100, 0)
    root_pos = np.random.default_rng(0).uniform(5, 15, (300, 3))
    call = partial(_ignore, slice_around, terrain, root_pos, 1.2)
    return cpu_ms("slice_around", call, repeat, note="300 frames, 100 x 100 cells")


def _solids(cells: int, repeat: int) -> list[Figure]:
    terrains = [_terrain(cells, seed) for seed in range(repeat)]
    boxes = [len(box_cover(terrain)[0]) for terrain in terrains]
    return [
        cpu_ms(f"box_cover{cells}", lambda i: box_cover(terrains[i]), repeat),
        Figure(
            name=f"box_cover{cells}_boxes",
            value=statistics.mean(boxes),
            unit="boxes",
            note=f"mean; at most {max(boxes)} for {cells**2:,} cells",
        ),
    ]


def _ignore(call: Callable[..., object], *arguments: object) -> object:
    """The call's result; the number of the repetition, last, is left out."""
    return call(*arguments[:-1])


if __name__ == "__main__":
    main()
