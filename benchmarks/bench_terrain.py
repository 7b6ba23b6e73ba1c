"""Terrain sources, path planning, ground distances and metrics: CPU time per call, medians.

Run: ``python benchmarks/bench_terrain.py [--repeat 60]``. One thread; the time is that of the process, so other work on
the machine does not count.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from parc_terrain.astar import AStarConfig, AStarPlanner
from parc_terrain.boxes import BoxConfig, BoxTerrain
from parc_terrain.paths import PathsConfig, PathsTerrain
from parc_terrain.simplify import flat_maxpool_2x2
from parc_terrain.stairs import StairConfig, StairTerrain

from parc_core.data.terrain import Terrain
from parc_core.errors import NoPathFound
from parc_core.geometry.boxes import box_cover
from parc_core.geometry.distance import penetration_depth, signed_distance
from parc_core.geometry.heights import grid_offsets, height_patch
from parc_core.geometry.packed import PackedTerrains
from parc_core.kinematics.mjcf import load_skeleton
from parc_core.metrics.clips import clip_metrics
from parc_core.testing.builders import make_clip


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=60)
    repeat = parser.parse_args().repeat
    torch.set_num_threads(1)
    print(f"{platform.processor() or platform.machine()}, torch {torch.__version__}, one thread")
    print(f"{'what':52s} {'median ms':>10s} {'p90 ms':>10s} {'n':>5s}")
    _sources(repeat)
    _planning(repeat)
    _geometry(min(repeat, 20))


def _sources(repeat: int) -> None:
    for name, source in (
        ("boxes", BoxTerrain(BoxConfig())),
        ("stairs", StairTerrain(StairConfig())),
        ("paths", PathsTerrain(PathsConfig())),
    ):
        _row(
            f"terrain {name} 16x16", lambda i, source=source: source.sample(np.random.default_rng(i)), repeat
        )
    height = BoxTerrain(BoxConfig()).sample(np.random.default_rng(0)).height
    _row("flat max pool 2x2, 16x16", lambda _: flat_maxpool_2x2(height), repeat)


def _planning(repeat: int) -> None:
    planner = AStarPlanner(AStarConfig())
    large = BoxConfig(dim_x=100, dim_y=100, num_boxes=390)
    for name, source, count in (
        ("boxes 16x16", BoxTerrain(BoxConfig()), repeat),
        ("stairs 16x16", StairTerrain(StairConfig()), repeat),
        ("paths 16x16", PathsTerrain(PathsConfig()), repeat),
        ("boxes 100x100, 390 boxes", BoxTerrain(large), min(repeat, 10)),
    ):
        grounds = []
        for i in range(count):
            rng = np.random.default_rng(i)
            grounds.append(planner.prepare(source.sample(rng), rng))
        found: list[bool] = []

        def plan(i: int, grounds: list[Terrain] = grounds, found: list[bool] = found) -> None:
            try:
                planner.plan(grounds[i], np.random.default_rng(i))
                found.append(True)
            except NoPathFound:
                found.append(False)

        _row(f"astar {name}", plan, count, found)


def _geometry(repeat: int) -> None:
    rng = np.random.default_rng(0)
    for cells in (16, 100):
        terrain = BoxTerrain(BoxConfig(dim_x=cells, dim_y=cells, num_boxes=cells**2 // 26)).sample(rng)
        packed, ids = PackedTerrains.of([terrain]), torch.zeros(1, dtype=torch.long)
        root = rng.uniform(1, cells * 0.4 - 1, (60, 1, 2))
        xy = root + 0.3 * rng.normal(size=(60, 304, 2))
        z = terrain.height_at(root)[..., None] + rng.uniform(-0.3, 1.7, (60, 304, 1))
        points = torch.tensor(np.concatenate([xy, z], axis=-1), dtype=torch.float32)[None]
        size = f"18,240 points, {cells}x{cells}"
        _row(f"signed distance {size}", partial(_ignore, signed_distance, packed, ids, points), repeat)
        _row(f"penetration depth {size}", partial(_ignore, penetration_depth, packed, ids, points), repeat)
    _row(
        "box cover 16x16",
        lambda i: box_cover(BoxTerrain(BoxConfig()).sample(np.random.default_rng(i))),
        repeat,
    )
    ids = torch.zeros(4096, dtype=torch.long)
    centre, heading = torch.rand(4096, 2) * 6, torch.rand(4096)
    offsets = grid_offsets(10, 10, 10, 10, 0.2).reshape(-1, 2)
    _row("height patches 4096x441", lambda _: height_patch(packed, ids, centre, heading, offsets), repeat)
    clip, skeleton = make_clip(150), load_skeleton("humanoid")
    _row("all metrics of a clip, 150 frames", lambda _: clip_metrics(clip, skeleton), repeat)


def _ignore(call: Callable[..., object], *arguments: object) -> object:
    """The call's result; the number of the repetition, last, is left out."""
    return call(*arguments[:-1])


def _row(what: str, call: Callable[[int], object], repeat: int, found: list[bool] | None = None) -> None:
    call(0)  # fill caches
    if found:
        found.clear()
    times = []
    for i in range(repeat):
        start = time.process_time()
        call(i)
        times.append(1e3 * (time.process_time() - start))
    note = "" if found is None else f"  {sum(found)} of {len(found)} reach the goal"
    p90 = statistics.quantiles(times, n=10)[-1] if len(times) > 1 else times[0]
    print(f"{what:52s} {statistics.median(times):10.3f} {p90:10.3f} {repeat:5d}{note}")


if __name__ == "__main__":
    main()
