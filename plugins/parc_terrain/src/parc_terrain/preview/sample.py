"""Terrains and their paths, made as stage 2 makes them, with what is to be said about each."""

from __future__ import annotations

import math
import time
from typing import Any

import attrs
import numpy as np

from parc_core.config import dump
from parc_core.errors import NoPathFound
from parc_core.interfaces import Planner, SeedStreams, TerrainSource
from parc_core.plugins import Registry
from parc_motion.draw import jump_spans
from parc_motion.terrains import Path, SegmentKind, Terrain
from parc_terrain.preview.settings import Ground

__all__ = ["Tile", "report", "sample_tiles", "tile_counts"]


@attrs.frozen(kw_only=True, eq=False)
class Tile:
    """One terrain of a sheet."""

    number: int  # of the motion that a run makes here
    source: str
    terrain: Terrain  # as the planner prepared it
    path: Path | None
    reason: str = ""  # why there is no path
    terrain_ms: float = 0.0  # processor time
    plan_ms: float = 0.0  # processor time of preparing and planning


def sample_tiles(ground: Ground, registry: Registry, count: int) -> list[Tile]:
    """The first terrains of a run with these settings: what its motions 0 to `count` - 1 are tried on first."""
    sources = [(use.name, registry.create("terrain_source", use)) for use in ground.terrain]
    weight = np.array([use.weight for use in ground.terrain], dtype=float)
    planner = registry.create("planner", ground.planner)
    # the streams of stage kin_gen in the first iteration of a run
    seeds = SeedStreams(ground.seed).child("iteration", number=1).child("kin_gen")
    tiles = []
    for number in range(count):
        rng = seeds.numpy("motion", id=number, attempt=0)
        name, source = sources[int(rng.choice(len(sources), p=weight / weight.sum()))]
        tiles.append(_tile(number, name, source, planner, rng))
    return tiles


def _tile(number: int, name: str, source: TerrainSource, planner: Planner, rng: np.random.Generator) -> Tile:
    started = time.process_time()
    raw = source.sample(rng)
    sampled = time.process_time()
    terrain = planner.prepare(raw, rng)
    path, reason = None, ""
    try:
        path = planner.plan(terrain, rng)
    except NoPathFound as err:
        reason = str(err)
    done = time.process_time()
    return Tile(
        number=number,
        source=name,
        terrain=terrain,
        path=path,
        reason=reason,
        terrain_ms=1e3 * (sampled - started),
        plan_ms=1e3 * (done - sampled),
    )


def tile_counts(tile: Tile) -> dict[str, int]:
    """How many steps up, steps down and jumps the path has; empty without a path."""
    if tile.path is None:
        return {}
    return {
        "climbs": int((tile.path.kinds == SegmentKind.CLIMB).sum()),
        "drops": int((tile.path.kinds == SegmentKind.DROP).sum()),
        "jumps": len(jump_spans(tile.terrain, tile.path)),
    }


def report(ground: Ground, tiles: list[Tile]) -> dict[str, Any]:
    """What was drawn, as plain data."""
    found = sum(tile.path is not None for tile in tiles)
    return {
        "file": None if ground.file is None else str(ground.file),
        "seed": ground.seed,
        "terrain": dump(ground.terrain),
        "planner": dump(ground.planner),
        "count": len(tiles),
        "with_path": found,
        "tiles": [_row(tile) for tile in tiles],
    }


def _row(tile: Tile) -> dict[str, Any]:
    path, low, high = tile.path, tile.terrain.height.min(), tile.terrain.height.max()
    return {
        "number": tile.number,
        "source": tile.source,
        "cells": list(tile.terrain.shape),
        "lowest_m": round(float(low), 4),
        "highest_m": round(float(high), 4),
        "ok": path is not None,
        "reason": tile.reason or None,
        "length_m": None if path is None else round(path.length, 4),
        "cost": None if path is None or not math.isfinite(path.cost) else round(path.cost, 4),
        **{name: tile_counts(tile).get(name) for name in ("climbs", "drops", "jumps")},
        "terrain_ms": round(tile.terrain_ms, 3),
        "plan_ms": round(tile.plan_ms, 3),
    }
