"""Generates motions over terrains and measures them.

Source: PARC paper for the four figures and for 100 terrains with 32 motions each; the point sampling of TPL and TCL is
that of `parc_motion.kinematics.surface`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import attrs
import numpy as np

from parc_core.errors import NoPathFound
from parc_core.interfaces import SeedStreams
from parc_mdm.evaluate.parts import Parts
from parc_motion.clips import MotionClip
from parc_motion.metrics import clip_metrics
from parc_motion.terrains import Path, Terrain

__all__ = ["FIGURES", "NEAR", "Shown", "bootstrap_mean", "evaluate"]

NEAR = 0.5  # m, a motion that ends this close to its path's end has arrived
FIGURES = {  # name: (metric of a clip, unit)
    "FWD": ("final_waypoint_distance_m", "m"),
    "TPL": ("terrain_penetration", "m"),
    "TCL": ("terrain_contact", "m"),
    "HJF": ("high_jerk_percent", "%"),
}
_ATTEMPTS = 20  # terrains without a path in a row
_MOST_SHOWN = 12
_RESAMPLES = 2000


@attrs.frozen(kw_only=True, eq=False)
class Shown:
    """One terrain for the picture."""

    terrain: Terrain
    path: Path
    clips: list[MotionClip]
    distances: list[float]  # FWD of each clip, m


def evaluate(
    parts: Parts,
    num_terrains: int,
    num_motions: int,
    seed: int,
    say: Callable[[str], None] = lambda text: None,
) -> tuple[dict[str, Any], list[Shown]]:
    """The figures as plain data, and some motions to look at.

    Terrain k and its motions depend on the seed and on k only, so that a larger evaluation contains a smaller one.

    Raises:
        NoPathFound: the planner finds no path on many terrains in a row.
    """
    seeds = SeedStreams(seed).child("eval_generator")
    rows: list[dict[str, Any]] = []
    shown: list[Shown] = []
    cpu = 0.0
    for number in range(num_terrains):
        rng = seeds.numpy("terrain", id=number)
        terrain, path, without = _ground(parts, rng)
        started = time.process_time()
        clips = parts.generator.propose(terrain, path, num_motions, seeds.numpy("motions", id=number))
        cpu += time.process_time() - started
        measured = [clip_metrics(clip, parts.skeleton) for clip in clips]
        rows.append(
            {
                "terrain": number,
                "without_path": without,
                "path_length_m": round(path.length, 4),
                **{name: [row[metric] for row in measured] for name, (metric, _) in FIGURES.items()},
                "seconds": [clip.length for clip in clips],
            }
        )
        if len(shown) < _MOST_SHOWN:
            shown.append(Shown(terrain=terrain, path=path, clips=clips, distances=rows[-1]["FWD"]))
        say(f"terrain {number + 1} of {num_terrains}: {_line(rows[-1])}")
    made = num_terrains * num_motions
    document = {
        "checkpoint": str(parts.folder),
        **parts.settings,
        "terrains": num_terrains,
        "motions": num_motions,
        "seed": seed,
        "terrains_without_path": sum(row["without_path"] for row in rows),
        "figures": _figures(rows),
        "cpu_s_per_motion": cpu / made,
        "seconds_per_motion": float(np.mean([row["seconds"] for row in rows])),
        "rows": rows,
    }
    return document, shown


def bootstrap_mean(values: np.ndarray, seed: int = 0) -> tuple[float, float] | tuple[None, None]:
    """Interval of the mean of values ``[T, M]`` in 95 of 100 evaluations; none for one terrain.

    Motions over one terrain depend on each other, so whole terrains are drawn again.
    """
    means = np.asarray(values, dtype=np.float64).mean(axis=1)
    if len(means) < 2:
        return None, None
    drawn = np.random.default_rng(seed).integers(len(means), size=(_RESAMPLES, len(means)))
    low, high = np.quantile(means[drawn].mean(axis=1), [0.025, 0.975])
    return float(low), float(high)


def _ground(parts: Parts, rng: np.random.Generator) -> tuple[Terrain, Path, int]:
    """A terrain with a path, and how many were drawn before that have none."""
    for attempt in range(_ATTEMPTS):
        terrain = parts.planner.prepare(parts.terrain.sample(rng), rng)
        try:
            return terrain, parts.planner.plan(terrain, rng), attempt
        except NoPathFound as err:
            last = str(err)
    raise NoPathFound(
        f"eval generator: no path on {_ATTEMPTS} terrains in a row; the last one: {last} Give easier terrain with "
        "--terrain, or another --planner."
    )


def _figures(rows: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    table = {name: np.array([row[name] for row in rows]) for name in FIGURES}
    units = {name: unit for name, (_, unit) in FIGURES.items()}
    table["arrived"] = (table["FWD"] <= NEAR).astype(np.float64)
    found = {}
    for name, values in table.items():
        low, high = bootstrap_mean(values)
        found[name] = {
            "mean": float(values.mean()),
            "low": low,
            "high": high,
            "unit": units.get(name, "share"),
        }
        found[name]["median"] = float(np.median(values))
    del found["arrived"]["median"]
    return found


def _line(row: dict[str, Any]) -> str:
    return "  ".join(f"{name} {np.mean(row[name]):.2f}" for name in FIGURES)
